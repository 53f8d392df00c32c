//===- Rules.h - Helpers shared by rules and patterns -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_RULES_H
#define GRADOPT_DIALECT_RULES_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"

namespace mlir::grad {

/// A `grad.constant` of `type` with every element `number`.
Value createSplat(OpBuilder &builder, Location loc, RankedTensorType type,
                  double number);

/// The zero among the tangents of values of `type`, which have some.
Value createZero(OpBuilder &builder, Location loc, Type type);

/// The sum of two tangents of one type.
Value createSum(OpBuilder &builder, Location loc, Value lhs, Value rhs);

/// The cotangent times a coefficient, or divided by one, as `scale` says. Where
/// a choice made it zero it stays zero, whatever the coefficient is: the
/// derivative of `where(x > 0, log(x), 0)` at 0 is 0.
Value scaleCotangent(OpBuilder &builder, Location loc, Value ct,
                     function_ref<Value(Value)> scale);

/// The elementwise `Op` on tensors, its scalar form on scalars.
template <typename Op>
Value createElementwise(OpBuilder &builder, Location loc, ValueRange operands) {
  if (isa<RankedTensorType>(operands.back().getType()))
    return Op::create(builder, loc, operands);
  return Op::createScalar(builder, loc, operands);
}

/// Whether a tensor of `type` is dense, and its dimensions of known size have a
/// size that sums of sizes in bytes do not overflow.
bool isRepresentable(Type type);

/// Whether values of this type have tangents (`TangentTypeInterface`).
bool isDifferentiable(Type type);

/// Gives types of other dialects their tangents; done once for a context.
void attachTangentTypes(MLIRContext *context);

/// The number that `value` holds, in all elements, if it is a constant.
std::optional<double> getSplat(Value value);

/// Whether all elements of `value` are known to be zero.
bool isZero(Value value);

/// The type of a value that is a tensor.
inline RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// The number of elements of a tensor or buffer, if its shape is static.
std::optional<int64_t> countElements(Value value);

inline bool hasNoElements(Value value) { return countElements(value) == 0; }

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_RULES_H
