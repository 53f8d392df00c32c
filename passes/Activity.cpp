//===- Activity.cpp - What a derivative has to follow ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Activity.h"
#include "dialect/GradDialect.h"
#include "dialect/Uses.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace mlir::grad;

bool Activity::mayCarryTangent(Type type) {
  return !getElementTypeOrSelf(type).isIntOrIndex();
}

bool Activity::mayCarryTangent(Value value) {
  return mayCarryTangent(value.getType()) ||
         isa_and_nonnull<arith::BitcastOp, tensor::BitcastOp>(
             value.getDefiningOp());
}

/// Calls `visit` on each pair of a value and the value it is passed on as when
/// control enters a region of `op`, goes from one to another, or leaves.
static void forEachEdge(RegionBranchOpInterface op,
                        function_ref<void(Value from, Value to)> visit) {
  auto follow = [&](RegionBranchPoint point, auto getOperands) {
    SmallVector<RegionSuccessor> successors;
    op.getSuccessorRegions(point, successors);
    for (const RegionSuccessor &successor : successors)
      for (auto [from, to] : llvm::zip_equal(getOperands(successor),
                                             successor.getSuccessorInputs()))
        visit(from, to);
  };
  follow(RegionBranchPoint::parent(), [&](const RegionSuccessor &successor) {
    return op.getEntrySuccessorOperands(successor);
  });
  for (Region &region : op->getRegions())
    for (Block &block : region)
      if (auto terminator = dyn_cast_or_null<RegionBranchTerminatorOpInterface>(
              block.mightHaveTerminator() ? block.getTerminator() : nullptr))
        follow(RegionBranchPoint(terminator),
               [&](const RegionSuccessor &successor) {
                 return terminator.getSuccessorOperands(successor);
               });
}

/// The op, if it says where all its results come from: what runs iterations in
/// parallel does not.
static RegionBranchOpInterface getBranch(Operation &op) {
  auto branch = dyn_cast<RegionBranchOpInterface>(op);
  if (!branch)
    return {};
  DenseSet<Value> reached;
  forEachEdge(branch, [&](Value, Value to) { reached.insert(to); });
  bool isWhole = llvm::all_of(op.getResults(),
                              [&](Value v) { return reached.contains(v); });
  return isWhole ? branch : RegionBranchOpInterface();
}

bool Activity::markVaried(Value value) {
  return mayCarryTangent(value) && varied.insert(value).second;
}

bool Activity::markUseful(Value value) { return useful.insert(value).second; }

bool Activity::usesVaried(Operation &op) const {
  return usesAny(&op, [&](Value v) { return varied.contains(v); });
}

bool Activity::spreadForward(Operation &op) {
  bool changed = false;
  if (RegionBranchOpInterface branch = getBranch(op)) {
    for (bool again = true; again;) {
      again = false;
      forEachEdge(branch, [&](Value from, Value to) {
        if (varied.contains(from))
          again |= markVaried(to);
      });
      for (Region &region : op.getRegions())
        for (Block &block : region)
          again |= spreadForward(block);
      changed |= again;
    }
    return changed;
  }
  if (op.hasTrait<OpTrait::grad::LocallyConstant>() || !usesVaried(op))
    return false;
  for (Value result : op.getResults())
    changed |= markVaried(result);
  for (Region &region : op.getRegions())
    for (Block &block : region) {
      for (Value argument : block.getArguments())
        changed |= markVaried(argument);
      changed |= spreadForward(block);
    }
  return changed;
}

bool Activity::spreadForward(Block &block) {
  bool changed = false;
  for (Operation &op : block)
    changed |= spreadForward(op);
  return changed;
}

bool Activity::spreadBackward(Operation &op) {
  bool changed = false;
  if (RegionBranchOpInterface branch = getBranch(op)) {
    for (bool again = true; again;) {
      again = false;
      forEachEdge(branch, [&](Value from, Value to) {
        if (useful.contains(to))
          again |= markUseful(from);
      });
      for (Region &region : llvm::reverse(op.getRegions()))
        for (Block &block : llvm::reverse(region))
          again |= spreadBackward(block);
      changed |= again;
    }
    return changed;
  }
  bool isUseful =
      llvm::any_of(op.getResults(),
                   [&](Value v) { return useful.contains(v); }) ||
      (!op.hasTrait<OpTrait::IsTerminator>() && !isMemoryEffectFree(&op));
  if (isUseful)
    op.walk([&](Operation *nested) {
      for (Value operand : nested->getOperands())
        changed |= markUseful(operand);
    });
  return changed;
}

bool Activity::spreadBackward(Block &block) {
  bool changed = false;
  for (Operation &op : llvm::reverse(block))
    changed |= spreadBackward(op);
  return changed;
}

void Activity::collectActive(Block &block) {
  for (Operation &op : block) {
    bool follow =
        llvm::any_of(op.getResults(), [&](Value v) { return isActive(v); }) ||
        (!op.hasTrait<OpTrait::IsTerminator>() && !isMemoryEffectFree(&op) &&
         usesVaried(op));
    if (follow)
      active.insert(&op);
    for (Region &region : op.getRegions())
      for (Block &nested : region)
        collectActive(nested);
  }
}

Activity::Activity(Block &body, ValueRange inputs, ValueRange outputs) {
  varied.insert_range(inputs);
  useful.insert_range(outputs);
  spreadForward(body);
  spreadBackward(body);
  collectActive(body);
}
