//===- ScaledValues.cpp - Values up to constant factors -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/ScaledValues.h"

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SetVector.h"

#include <cmath>

using namespace mlir;
using namespace mlir::grad;

/// More operations than this are not worth to be done for each use.
static constexpr size_t kMaxScaling = 8;

/// The operands that `op` is linear in: of a product with a finite constant the
/// other factor. None if it is no such operation.
static SmallVector<Value, 2> getLinearOperands(Operation *op) {
  if (isa_and_nonnull<NegativeOp>(op))
    return {op->getOperand(0)};
  if (isa_and_nonnull<AddOp, SubtractOp>(op))
    return {op->getOperand(0), op->getOperand(1)};
  auto product = dyn_cast_or_null<MultiplyOp>(op);
  if (product && isa<FloatType>(getElementTypeOrSelf(product.getType())))
    for (unsigned i : {0, 1}) {
      std::optional<double> factor = getSplat(product->getOperand(1 - i));
      if (factor && std::isfinite(*factor))
        return {product->getOperand(i)};
    }
  return {};
}

/// Adds to `ops` those between `base` and `value`, operands first. Returns
/// false if something else leads there, too, or there are more than `left`.
static bool collect(Value value, Value base, SetVector<Operation *> &ops,
                    size_t &left) {
  Operation *op = value.getDefiningOp();
  if (value == base || ops.contains(op))
    return true;
  SmallVector<Value, 2> operands = getLinearOperands(op);
  if (operands.empty() || left-- == 0)
    return false;
  for (Value operand : operands)
    if (!collect(operand, base, ops, left))
      return false;
  ops.insert(op);
  return true;
}

std::optional<SmallVector<Operation *>> mlir::grad::getScaling(Value value,
                                                               Value base) {
  SetVector<Operation *> ops;
  size_t left = kMaxScaling;
  if (!collect(value, base, ops, left))
    return std::nullopt;
  return ops.takeVector();
}

Value mlir::grad::getScaleBase(Value value) {
  Value base = value, next = value;
  for (size_t i = 0; i < kMaxScaling; ++i) {
    SmallVector<Value, 2> operands = getLinearOperands(next.getDefiningOp());
    if (operands.empty())
      break;
    next = operands.front();
    if (getScaling(value, next))
      base = next;
  }
  return base;
}

Value mlir::grad::applyScaling(OpBuilder &builder,
                               ArrayRef<Operation *> scaling, Value base,
                               Value other) {
  auto type = cast<RankedTensorType>(other.getType());
  llvm::SmallDenseMap<Value, Value> values{{base, other}};
  for (Operation *op : scaling) {
    SmallVector<Value, 2> operands;
    for (Value operand : op->getOperands()) {
      Value &value = values[operand];
      if (!value)
        value = createSplat(builder, op->getLoc(), type, *getSplat(operand));
      operands.push_back(value);
    }
    Operation *copy =
        builder.create(op->getLoc(), op->getName().getIdentifier(), operands,
                       {type}, op->getAttrs());
    values[op->getResult(0)] = copy->getResult(0);
    other = copy->getResult(0);
  }
  return other;
}
