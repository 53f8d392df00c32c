//===- LoopAccesses.cpp - How loops go through arrays ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/LoopAccesses.h"
#include "dialect/GradDialect.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace mlir::grad;

bool grad::isSlice(Operation *op) { return isa<SliceOp, DynamicSliceOp>(op); }

bool grad::isPartUpdate(Operation *op) {
  return isa<UpdateSliceOp, DynamicUpdateSliceOp, AddSliceOp,
             DynamicAddSliceOp>(op);
}

Value grad::getPart(Operation *op) {
  return isSlice(op) ? op->getResult(0) : op->getOperand(1);
}

OperandRange grad::getIndices(Operation *access) {
  return access->getOperands().drop_front(isSlice(access) ? 1 : 2);
}

/// What the counter of the loop is multiplied by in an index; none if that is
/// not known.
static std::optional<int64_t> findFactor(Value index, scf::ForOp loop,
                                         unsigned depth = 0) {
  constexpr unsigned kDeepest = 16;
  if (index == loop.getInductionVar())
    return 1;
  if (loop.isDefinedOutsideOfLoop(index))
    return 0;
  Operation *op = index.getDefiningOp();
  if (!op || depth == kDeepest)
    return std::nullopt;
  auto ofOperand = [&](unsigned i) {
    return findFactor(op->getOperand(i), loop, depth + 1);
  };
  if (isa<arith::IndexCastOp, tensor::FromElementsOp, tensor::ExtractOp>(op) &&
      op->getNumOperands() == 1)
    return ofOperand(0);
  bool isDifference = isa<SubtractOp, arith::SubIOp>(op);
  if (!isDifference && !isa<AddOp, arith::AddIOp>(op))
    return std::nullopt;
  std::optional<int64_t> a = ofOperand(0), b = ofOperand(1);
  if (!a || !b)
    return std::nullopt;
  return isDifference ? *a - *b : *a + *b;
}

std::optional<Direction> grad::findDirection(Operation *access) {
  auto loop = dyn_cast<scf::ForOp>(access->getParentOp());
  bool isKnown =
      isa<DynamicSliceOp, DynamicUpdateSliceOp, DynamicAddSliceOp>(access);
  if (!loop || !isKnown || getConstantIntValue(loop.getStep()) != 1 ||
      cast<RankedTensorType>(getPart(access).getType()).getNumElements() != 1)
    return std::nullopt;
  std::optional<Direction> direction;
  for (auto [d, index] : llvm::enumerate(getIndices(access))) {
    std::optional<int64_t> factor = findFactor(index, loop);
    if (factor == 0)
      continue;
    if (direction || !factor || std::abs(*factor) != 1)
      return std::nullopt;
    direction = {static_cast<int64_t>(d), *factor > 0};
  }
  return direction;
}
