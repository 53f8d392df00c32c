//===- MaskedCotangents.cpp - Products that keep zeros --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The transpose of a choice is a choice between a cotangent and zeros. A
// coefficient that multiplies it later may be infinite where it is zero; the
// choice is made once more after the product.
//
//===----------------------------------------------------------------------===//

#include "dialect/Expr.h"
#include "dialect/GradDialect.h"
#include "dialect/Rules.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::grad;

namespace {
/// A cotangent that is zero but where `condition` is as `holds` says.
struct Masked {
  Value value; ///< What it is there; null for the cotangent itself.
  Value condition;
  bool holds;
};
} // namespace

static std::optional<Masked> findMask(OpBuilder &builder, Value ct,
                                      unsigned depth);

/// Where a masked cotangent may differ from zero.
static Value findSupport(OpBuilder &builder, const Masked &mask,
                         unsigned depth) {
  Location loc = mask.condition.getLoc();
  Value holds = mask.condition;
  if (!mask.holds)
    holds = createElementwise<LogicalNotOp>(builder, loc, holds);
  std::optional<Masked> inner =
      mask.value ? findMask(builder, mask.value, depth) : std::nullopt;
  if (!inner)
    return holds;
  // A product of conditions of two kinds is not needed: the outer one will do.
  Value both = findSupport(builder, *inner, depth);
  if (both.getType() != holds.getType())
    return holds;
  return createElementwise<LogicalAndOp>(builder, loc, {holds, both});
}

/// The operands of a choice, of tensors or scalars; nothing for other ops.
static std::optional<std::array<Value, 3>> getChoice(Operation *op) {
  if (!isa<SelectOp, arith::SelectOp>(op))
    return std::nullopt;
  return std::array<Value, 3>{op->getOperand(0), op->getOperand(1),
                              op->getOperand(2)};
}

/// Finds the choice between a cotangent and zeros that a `select` left behind,
/// through what was done to it since; looks at `depth` ops at most.
static std::optional<Masked> findMask(OpBuilder &builder, Value ct,
                                      unsigned depth) {
  Operation *op = ct.getDefiningOp();
  if (!op || depth == 0)
    return std::nullopt;
  --depth;
  Location loc = op->getLoc();
  if (auto choice = getChoice(op)) {
    auto [condition, onTrue, onFalse] = *choice;
    bool holds = isZero(onFalse);
    if (holds == isZero(onTrue))
      return std::nullopt;
    return Masked{holds ? onTrue : onFalse, condition, holds};
  }
  if (isa<AddOp, arith::AddFOp>(op)) {
    std::optional<Masked> left = findMask(builder, op->getOperand(0), depth);
    std::optional<Masked> right =
        left ? findMask(builder, op->getOperand(1), depth) : std::nullopt;
    if (!right)
      return std::nullopt;
    Value one = findSupport(builder, *left, depth);
    Value other = findSupport(builder, *right, depth);
    if (one.getType() != other.getType())
      return std::nullopt;
    return Masked{nullptr,
                  createElementwise<LogicalOrOp>(builder, loc, {one, other}),
                  true};
  }
  bool isElementwise =
      isa<NegativeOp, ConvertOp, arith::NegFOp, arith::ExtFOp, arith::TruncFOp>(
          op);
  if (!isElementwise && !isa<BroadcastOp, ReshapeOp, TransposeOp>(op))
    return std::nullopt;
  std::optional<Masked> mask = findMask(builder, op->getOperand(0), depth);
  if (!mask)
    return std::nullopt;
  // The same op on the value and, if it moves elements, on the condition.
  auto apply = [&](Value x) -> Value {
    if (auto broadcast = dyn_cast<BroadcastOp>(op))
      return BroadcastOp::create(builder, loc, x, broadcast.getShape(),
                                 broadcast.getDimensions());
    if (auto reshape = dyn_cast<ReshapeOp>(op))
      return ReshapeOp::create(builder, loc, x, reshape.getShape());
    if (auto transpose = dyn_cast<TransposeOp>(op))
      return TransposeOp::create(builder, loc, x, transpose.getPermutation());
    Operation *copy = builder.clone(*op);
    copy->setOperand(0, x);
    return copy->getResult(0);
  };
  if (mask->value)
    mask->value = apply(mask->value);
  if (!isElementwise && isa<RankedTensorType>(mask->condition.getType()))
    mask->condition = apply(mask->condition);
  return mask;
}

Value grad::scaleCotangent(OpBuilder &builder, Location loc, Value ct,
                           function_ref<Value(Value)> scale) {
  constexpr unsigned kDepth = 16;
  std::optional<Masked> mask = findMask(builder, ct, kDepth);
  if (!mask)
    return scale(ct);
  Value value = mask->value ? scaleCotangent(builder, loc, mask->value, scale)
                            : scale(ct);
  Value zeros = createZero(builder, loc, value.getType());
  Value onTrue = mask->holds ? value : zeros;
  Value onFalse = mask->holds ? zeros : value;
  // A condition for all elements at once is not a tensor.
  if (!isa<RankedTensorType>(mask->condition.getType()))
    return arith::SelectOp::create(builder, loc, mask->condition, onTrue,
                                   onFalse);
  return SelectOp::create(builder, loc, mask->condition, onTrue, onFalse);
}
