//===- AliasScopes.cpp - Which buffers of the arena are distinct ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/AliasScopes.h"
#include "passes/BufferPlace.h"

#include "mlir/Conversion/LLVMCommon/Pattern.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::grad;

using Accesses = llvm::MapVector<ByteRange, SmallVector<Operation *>>;

/// Joins neighbours among the slots of a nest until no more than `kMaxSlots`
/// are left: each access lists all slots but its own.
static Accesses joinNeighbours(Accesses accesses) {
  constexpr size_t kMaxSlots = 64;
  size_t most = llvm::divideCeil(accesses.size(), kMaxSlots);
  if (most <= 1)
    return accesses;
  auto slots = accesses.takeVector();
  llvm::sort(slots, llvm::less_first());
  Accesses joined;
  for (size_t i = 0; i < slots.size();) {
    ByteRange range = slots[i].first;
    SmallVector<Operation *> ops;
    for (size_t first = i; i < slots.size(); ++i) {
      if (i >= first + most && slots[i].first.first >= range.second)
        break;
      range.second = std::max(range.second, slots[i].first.second);
      llvm::append_range(ops, slots[i].second);
    }
    joined[range] = std::move(ops);
  }
  return joined;
}

static void addScopes(func::FuncOp func, AliasScopes &scopes) {
  MLIRContext *context = func.getContext();
  Value arena = func.getArguments().back();
  auto domain = LLVM::AliasScopeDomainAttr::get(context);
  llvm::MapVector<ByteRange, LLVM::AliasScopeAttr> scopeOf;

  for (Operation &nest : func.getBody().getOps()) {
    if (nest.getNumRegions() == 0)
      continue;
    Accesses accesses;
    nest.walk([&](Operation *op) {
      Value buffer;
      if (auto load = dyn_cast<memref::LoadOp>(op))
        buffer = load.getMemref();
      else if (auto store = dyn_cast<memref::StoreOp>(op))
        buffer = store.getMemref();
      else
        return;
      if (auto slot = findSlot(buffer, arena))
        accesses[*slot].push_back(op);
    });
    accesses = joinNeighbours(std::move(accesses));
    for (auto &[slot, ops] : accesses)
      if (auto &scope = scopeOf[slot]; !scope)
        scope = LLVM::AliasScopeAttr::get(domain);
    for (auto &[slot, ops] : accesses) {
      SmallVector<Attribute> others;
      for (auto &[other, otherOps] : accesses)
        if (!overlap(other, slot))
          others.push_back(scopeOf[other]);
      auto own = ArrayAttr::get(context, {scopeOf[slot]});
      for (Operation *op : ops)
        scopes[op] = {own, ArrayAttr::get(context, others)};
    }
  }
}

AliasScopes mlir::grad::computeAliasScopes(ModuleOp module) {
  AliasScopes scopes;
  for (auto func : module.getOps<func::FuncOp>())
    if (func->hasAttr("grad.arena_bytes") && !func.isExternal() &&
        func.getNumArguments() != 0)
      addScopes(func, scopes);
  return scopes;
}

namespace {

/// Indices of an access are in bounds and not negative.
constexpr LLVM::GEPNoWrapFlags kInBounds =
    LLVM::GEPNoWrapFlags::inbounds | LLVM::GEPNoWrapFlags::nuw;

/// memref.load of an arena => llvm.load with scopes.
struct ScopedLoad : ConvertOpToLLVMPattern<memref::LoadOp> {
  ScopedLoad(const LLVMTypeConverter &converter, const AliasScopes &scopes)
      : ConvertOpToLLVMPattern(converter, /*benefit=*/2), scopes(scopes) {}

  LogicalResult
  matchAndRewrite(memref::LoadOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    auto it = scopes.find(op);
    if (it == scopes.end())
      return rewriter.notifyMatchFailure(op, "not in an arena");
    MemRefType type = op.getMemRefType();
    Value address =
        getStridedElementPtr(rewriter, op.getLoc(), type, adaptor.getMemref(),
                             adaptor.getIndices(), kInBounds);
    auto load = rewriter.replaceOpWithNewOp<LLVM::LoadOp>(
        op, typeConverter->convertType(type.getElementType()), address,
        op.getAlignment().value_or(0), false, op.getNontemporal());
    load.setAliasScopesAttr(it->second.scopes);
    load.setNoaliasScopesAttr(it->second.noalias);
    return success();
  }

  const AliasScopes &scopes;
};

/// memref.store to an arena => llvm.store with scopes.
struct ScopedStore : ConvertOpToLLVMPattern<memref::StoreOp> {
  ScopedStore(const LLVMTypeConverter &converter, const AliasScopes &scopes)
      : ConvertOpToLLVMPattern(converter, /*benefit=*/2), scopes(scopes) {}

  LogicalResult
  matchAndRewrite(memref::StoreOp op, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    auto it = scopes.find(op);
    if (it == scopes.end())
      return rewriter.notifyMatchFailure(op, "not in an arena");
    Value address = getStridedElementPtr(
        rewriter, op.getLoc(), op.getMemRefType(), adaptor.getMemref(),
        adaptor.getIndices(), kInBounds);
    auto store = rewriter.replaceOpWithNewOp<LLVM::StoreOp>(
        op, adaptor.getValue(), address, op.getAlignment().value_or(0), false,
        op.getNontemporal());
    store.setAliasScopesAttr(it->second.scopes);
    store.setNoaliasScopesAttr(it->second.noalias);
    return success();
  }

  const AliasScopes &scopes;
};

} // namespace

void mlir::grad::populateAliasScopePatterns(const LLVMTypeConverter &converter,
                                            const AliasScopes &scopes,
                                            RewritePatternSet &patterns) {
  patterns.add<ScopedLoad, ScopedStore>(converter, scopes);
}
