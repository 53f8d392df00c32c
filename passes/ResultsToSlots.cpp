//===- ResultsToSlots.cpp - Kernels that return through memory ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-results-to-slots`, on lists of commands for a GPU. What a kernel
/// returns is stored in a slot of the arena. Its users are dominated by the
/// call, and the slot is written again only where the call is run again, so
/// that they may load the number as late as they like.
///
//===----------------------------------------------------------------------===//

#include "passes/CommandList.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADRESULTSTOSLOTS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

static MemRefType slotType(Type number) { return MemRefType::get({}, number); }

/// Where the slot of a number begins, which `end` is moved behind.
static int64_t addSlot(Type number, int64_t &end) {
  constexpr int64_t kWord = 8;
  int64_t bytes = isa<ComplexType>(number) ? 2 * kWord : kWord;
  int64_t begin = llvm::alignTo(end, bytes);
  end = begin + bytes;
  return begin;
}

/// Notes that nothing else lies in the slots that `kernel` gets.
static void setAlone(func::FuncOp kernel, unsigned slot) {
  kernel.setArgAttr(slot, LLVM::LLVMDialect::getNoAliasAttrName(),
                    UnitAttr::get(kernel.getContext()));
}

/// Lets `kernel` store its results in buffers that it gets behind its other
/// arguments.
static void storeResults(func::FuncOp kernel) {
  Block &body = kernel.getBody().front();
  unsigned numArguments = body.getNumArguments();
  auto results = cast<func::ReturnOp>(body.getTerminator());
  OpBuilder builder(results);
  for (Value result : results.getOperands()) {
    Value slot = body.addArgument(slotType(result.getType()), kernel.getLoc());
    memref::StoreOp::create(builder, results.getLoc(), result, slot);
  }
  results.getOperandsMutable().clear();
  kernel.setType(builder.getFunctionType(body.getArgumentTypes(), {}));
  if (ArrayAttr attrs = kernel.getArgAttrsAttr()) {
    SmallVector<Attribute> all(attrs.begin(), attrs.end());
    all.resize(body.getNumArguments(), builder.getDictionaryAttr({}));
    kernel.setArgAttrsAttr(builder.getArrayAttr(all));
  }
  for (unsigned i = numArguments; i < body.getNumArguments(); ++i)
    setAlone(kernel, i);
}

/// Lets `kernel` load the arguments in `mask`.
static void loadArguments(func::FuncOp kernel, const llvm::BitVector &mask) {
  Block &body = kernel.getBody().front();
  OpBuilder builder = OpBuilder::atBlockBegin(&body);
  for (unsigned i : mask.set_bits()) {
    BlockArgument argument = body.getArgument(i);
    argument.setType(slotType(argument.getType()));
    auto number = memref::LoadOp::create(builder, kernel.getLoc(), argument);
    argument.replaceAllUsesExcept(number, number);
  }
  kernel.setType(builder.getFunctionType(body.getArgumentTypes(),
                                         kernel.getResultTypes()));
  for (unsigned i : mask.set_bits())
    setAlone(kernel, i);
}

namespace {

struct GradResultsToSlots
    : grad::impl::GradResultsToSlotsBase<GradResultsToSlots> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    // Kernels may be erased.
    SmallVector<func::FuncOp> lists = llvm::filter_to_vector(
        getOperation().getOps<func::FuncOp>(),
        [](func::FuncOp function) { return function->hasAttr(kFrameAttr); });
    for (func::FuncOp list : lists)
      if (failed(runOn(list, symbols)))
        return signalPassFailure();
  }

private:
  LogicalResult runOn(func::FuncOp list, SymbolTable &symbols);
};

} // namespace

/// Erases what computes of numbers what nobody needs: they would be read back.
static void eraseUnneeded(func::FuncOp list) {
  SmallVector<Operation *> ops;
  list.walk([&](Operation *op) {
    if (op->getNumRegions() == 0)
      ops.push_back(op);
  });
  for (Operation *op : llvm::reverse(ops))
    if (isOpTriviallyDead(op))
      op->erase();
}

LogicalResult GradResultsToSlots::runOn(func::FuncOp list,
                                        SymbolTable &symbols) {
  eraseUnneeded(list);
  SmallVector<func::CallOp> calls;
  int64_t numBytes = 0;
  list.walk([&](func::CallOp call) {
    auto kernel = symbols.lookup<func::FuncOp>(call.getCallee());
    if (!kernel || kernel.isExternal())
      return;
    calls.push_back(call);
    for (Type type : call.getResultTypes())
      (void)addSlot(type, numBytes);
  });
  if (numBytes == 0)
    return success();
  for (func::CallOp call : calls)
    for (Type type : call.getResultTypes())
      if (!type.isIntOrIndexOrFloat() && !isa<ComplexType>(type))
        return call.emitOpError("expected a kernel to return numbers, but got ")
               << type;

  int64_t first = growArena(list, numBytes), end = 0;
  Value arena = list.getArguments().back();
  llvm::DenseSet<Value> slots;
  llvm::SmallPtrSet<Operation *, 8> changed;
  for (func::CallOp &call : calls) {
    if (call.getNumResults() == 0)
      continue;
    Location loc = call.getLoc();
    SmallVector<Value> operands(call.getOperands());
    SmallVector<Value> created;
    OpBuilder atStart = OpBuilder::atBlockBegin(&list.getBody().front());
    for (Value result : call.getResults()) {
      Value at = arith::ConstantIndexOp::create(
          atStart, loc, first + addSlot(result.getType(), end));
      created.push_back(memref::ViewOp::create(
          atStart, loc, slotType(result.getType()), arena, at, ValueRange()));
    }
    llvm::append_range(operands, created);
    auto kernel = symbols.lookup<func::FuncOp>(call.getCallee());
    if (changed.insert(kernel).second)
      storeResults(kernel);
    OpBuilder builder(call);
    auto stored = func::CallOp::create(builder, loc, kernel, operands);
    for (auto [result, slot] : llvm::zip_equal(call.getResults(), created)) {
      ++numSlots;
      auto isKernel = [&](OpOperand &use) {
        auto user = dyn_cast<func::CallOp>(use.getOwner());
        auto callee =
            user ? symbols.lookup<func::FuncOp>(user.getCallee()) : nullptr;
        return callee && !callee.isExternal();
      };
      if (!llvm::all_of(result.getUses(), isKernel)) {
        Value number = memref::LoadOp::create(builder, loc, slot);
        Value(result).replaceUsesWithIf(
            number, [&](OpOperand &use) { return !isKernel(use); });
        ++numReads;
      }
      Value(result).replaceAllUsesWith(slot);
      slots.insert(slot);
    }
    call.erase();
    call = stored;
  }

  // Kernels that got a slot in the place of a number.
  llvm::DenseMap<std::pair<Operation *, Attribute>, func::FuncOp> variants;
  for (func::CallOp call : calls) {
    auto kernel = symbols.lookup<func::FuncOp>(call.getCallee());
    llvm::BitVector mask(call.getNumOperands());
    for (unsigned i = 0, e = call.getNumOperands(); i < e; ++i)
      if (slots.contains(call.getOperand(i)) &&
          !isa<MemRefType>(kernel.getArgumentTypes()[i]))
        mask.set(i);
    if (mask.none())
      continue;
    SmallVector<bool> bits = llvm::map_to_vector(
        llvm::seq(mask.size()), [&](unsigned i) { return mask.test(i); });
    Attribute key = DenseBoolArrayAttr::get(&getContext(), bits);
    func::FuncOp &variant = variants[{kernel.getOperation(), key}];
    if (!variant) {
      variant = kernel.clone();
      loadArguments(variant, mask);
      symbols.insert(variant);
    }
    call.setCallee(variant.getName());
  }
  // Those that nobody calls as they were.
  llvm::DenseSet<StringAttr> called;
  for (func::CallOp call : calls)
    called.insert(call.getCalleeAttr().getAttr());
  llvm::SmallSetVector<Operation *, 4> replaced;
  for (auto &[key, variant] : variants)
    if (!called.contains(cast<func::FuncOp>(key.first).getNameAttr()))
      replaced.insert(key.first);
  for (Operation *kernel : replaced)
    symbols.erase(kernel);
  return success();
}
