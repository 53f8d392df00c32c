//===- BufferLiveness.cpp - Where a buffer is live ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/BufferLiveness.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace mlir::grad;

/// Numbers `op` and its nested operations in program order from `next` on. The
/// body of a linalg operation has no order of its own.
static void numberOperations(Operation *op, unsigned &next,
                             llvm::DenseMap<Operation *, Lifetime> &ranges) {
  Lifetime range;
  range.begin = next++;
  if (!isa<linalg::LinalgOp>(op))
    for (Region &region : op->getRegions())
      for (Operation &nested : region.getOps())
        numberOperations(&nested, next, ranges);
  range.end = next - 1;
  ranges[op] = range;
}

BufferLiveness::BufferLiveness(func::FuncOp func) {
  unsigned next = 0;
  for (Operation &op : func.getBody().getOps())
    numberOperations(&op, next, ranges);
}

Lifetime BufferLiveness::range(Operation *op) const {
  auto it = ranges.find(op);
  while (it == ranges.end()) {
    op = op->getParentOp();
    it = ranges.find(op);
  }
  return it->second;
}

SetVector<Value> mlir::grad::collectAliases(Value buffer) {
  SetVector<Value> aliases;
  aliases.insert(buffer);
  auto addAll = [&](ValueRange values) {
    for (Value value : values)
      if (isa<BaseMemRefType>(value.getType()))
        aliases.insert(value);
  };
  // An operation with memref results may return any of its memref operands, one
  // with memref region arguments may pass them on, and a terminator may hand
  // them to its parent or to any sibling region.
  auto addFlow = [&](Operation *op) {
    addAll(op->getResults());
    for (Region &region : op->getRegions())
      for (Block &block : region)
        addAll(block.getArguments());
  };
  for (unsigned i = 0; i < aliases.size(); ++i) {
    for (Operation *user : aliases[i].getUsers()) {
      addFlow(user);
      Operation *parent = user->getParentOp();
      if (user->hasTrait<OpTrait::IsTerminator>() && !isa<func::FuncOp>(parent))
        addFlow(parent);
    }
  }
  return aliases;
}

bool mlir::grad::takesAddress(Operation *op) {
  return isa<memref::ExtractAlignedPointerAsIndexOp, bufferization::ToTensorOp,
             UnrealizedConversionCastOp>(op);
}

SetVector<Operation *>
mlir::grad::collectAccesses(const SetVector<Value> &aliases) {
  SetVector<Operation *> accesses;
  for (Value alias : aliases) {
    for (Operation *user : alias.getUsers()) {
      if (isa<memref::DeallocOp>(user))
        continue;
      bool isView = user->getNumRegions() == 0 && user->getNumResults() > 0 &&
                    isMemoryEffectFree(user) && !takesAddress(user);
      if (!isView)
        accesses.insert(user);
    }
  }
  return accesses;
}

bool mlir::grad::mayWrite(Operation *op, const SetVector<Value> &aliases) {
  if (isMemoryEffectFree(op))
    return false;
  auto interface = dyn_cast<MemoryEffectOpInterface>(op);
  if (!interface || op->hasTrait<OpTrait::HasRecursiveMemoryEffects>())
    return true;
  SmallVector<MemoryEffects::EffectInstance> effects;
  interface.getEffects(effects);
  return llvm::any_of(effects, [&](const auto &effect) {
    return isa<MemoryEffects::Write>(effect.getEffect()) &&
           (!effect.getValue() || aliases.contains(effect.getValue()));
  });
}

Value mlir::grad::getFullyViewedBuffer(Value value) {
  auto isPlain = [](Value v) {
    auto type = dyn_cast<MemRefType>(v.getType());
    return type && type.hasStaticShape() && type.getLayout().isIdentity();
  };
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<memref::CastOp, memref::CollapseShapeOp, memref::ExpandShapeOp,
             memref::ReinterpretCastOp>(op) ||
        !isPlain(value) || !isPlain(op->getOperand(0)) ||
        cast<MemRefType>(value.getType()).getNumElements() !=
            cast<MemRefType>(op->getOperand(0).getType()).getNumElements())
      break;
    value = op->getOperand(0);
  }
  return value;
}

FailureOr<Lifetime> BufferLiveness::lifetime(Operation *alloc) const {
  SetVector<Value> aliases = collectAliases(alloc->getResult(0));
  SetVector<Operation *> accesses = collectAccesses(aliases);

  // The innermost block that holds the allocation and all accesses.
  Block *home = alloc->getBlock();
  for (Operation *access : accesses) {
    if (isa<func::ReturnOp>(access))
      return alloc->emitOpError("expected results to be written to function "
                                "arguments, but the buffer is returned");
    while (!home->findAncestorOpInBlock(*access)) {
      Operation *parent = home->getParentOp();
      if (isa<LoopLikeOpInterface>(parent))
        return alloc->emitOpError("expected a buffer that dies within one "
                                  "iteration, but it escapes from its loop");
      home = parent->getBlock();
    }
  }

  Lifetime live = range(alloc);
  for (auto [i, access] : llvm::enumerate(accesses)) {
    Lifetime at = range(home->findAncestorOpInBlock(*access));
    live.begin = i == 0 ? at.begin : std::min(live.begin, at.begin);
    live.end = i == 0 ? at.end : std::max(live.end, at.end);
    // Nobody can tell when an address that was taken is used.
    if (takesAddress(access))
      live.end = std::max(live.end, range(home->getTerminator()).end);
  }
  return live;
}
