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

/// Whether it is a float, or has elements, of less than 32 bits: f16 or bf16.
bool isNarrowFloat(Type type);

/// An attribute of elementwise ops in f32 that stand for one in a narrow type:
/// the type to which the result is rounded and in which it lies in memory. What
/// a derivative needs of the result it takes from there.
inline constexpr llvm::StringLiteral kStoredAs = "grad.stored_as";

/// A tangent or cotangent in another type. The rounding to a narrow type is
/// left out on the way back from it: derivatives are those of exact functions,
/// and small ones do not vanish where the function is rounded.
Value convertDirection(OpBuilder &builder, Location loc, Value direction,
                       Type element);

/// The sum of two tangents of one type. Of narrow ones, it is that of the f32
/// numbers that they were rounded from, and is rounded once.
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
