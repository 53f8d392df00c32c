//===- Scalar.h - Vocabulary of scalar lowerings ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the `scalar` strings of GradElementwise.td may say. `s[i]` is the
// element of operand i; the rest builds `arith` and `math` ops on elements.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_SCALAR_H
#define GRADOPT_DIALECT_SCALAR_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"

namespace mlir::grad {

struct Scalar {
  OpBuilder &builder;
  Location loc;
  ValueRange operands;
  /// Whether operands that are integers are unsigned numbers.
  bool areUnsigned = false;

  Value operator[](unsigned i) const { return operands[i]; }
  Type type() const { return operands.front().getType(); }
  bool isFloat() const { return isa<FloatType>(type()); }

  template <typename Op, typename... Args> Value apply(Args &&...args) const {
    return Op::create(builder, loc, std::forward<Args>(args)...);
  }

  /// `Op` on all operands.
  template <typename Op> Value op() const {
    if constexpr (Op::template hasTrait<OpTrait::OneOperand>())
      return apply<Op>(operands[0]);
    else
      return apply<Op>(operands[0], operands[1]);
  }
  /// `FloatOp` or `IntOp` on all operands, by their type.
  template <typename FloatOp, typename IntOp> Value op() const {
    return isFloat() ? op<FloatOp>() : op<IntOp>();
  }
  template <typename FloatOp, typename SignedOp, typename UnsignedOp>
  Value op() const {
    return areUnsigned ? op<UnsignedOp>() : op<FloatOp, SignedOp>();
  }

  /// `value` in the type of the operands.
  Value constant(double value) const {
    if (isFloat())
      return apply<arith::ConstantOp>(builder.getFloatAttr(type(), value));
    return apply<arith::ConstantOp>(
        builder.getIntegerAttr(type(), static_cast<int64_t>(value)));
  }

  Value divide(Value lhs, Value rhs) const {
    return apply<arith::DivFOp>(lhs, rhs);
  }
  Value negative() const {
    return isFloat() ? op<arith::NegFOp>()
                     : apply<arith::SubIOp>(constant(0), operands[0]);
  }
  Value square() const {
    return isFloat() ? apply<arith::MulFOp>(operands[0], operands[0])
                     : apply<arith::MulIOp>(operands[0], operands[0]);
  }
  Value absolute() const {
    return areUnsigned ? operands[0] : op<math::AbsFOp, math::AbsIOp>();
  }
  Value sign() const;
  Value logistic() const;
  /// The first operand times a logarithm of the second one; 0 where the first
  /// is 0 and the second a number.
  Value times(Value logarithm) const;
  /// The angle of the point (second operand, first operand).
  Value arctan2() const;
  /// The square root of the sum of squares of both operands.
  Value hypot() const;
  /// The inverse of the error function.
  Value inverseErf() const;
  Value isnan() const {
    return apply<arith::CmpFOp>(arith::CmpFPredicate::UNO, operands[0],
                                operands[0]);
  }
  Value isinf() const {
    return apply<arith::CmpFOp>(arith::CmpFPredicate::OEQ,
                                apply<math::AbsFOp>(operands[0]), infinity());
  }
  Value isfinite() const {
    return apply<arith::CmpFOp>(arith::CmpFPredicate::OLT,
                                apply<math::AbsFOp>(operands[0]), infinity());
  }
  Value infinity() const {
    return constant(std::numeric_limits<double>::infinity());
  }
  Value compare(arith::CmpFPredicate forFloat, arith::CmpIPredicate forSigned,
                arith::CmpIPredicate forUnsigned) const;
  /// Integers and bools with all bits changed.
  Value invert() const {
    return apply<arith::XOrIOp>(operands[0],
                                apply<arith::ConstantOp>(builder.getIntegerAttr(
                                    type(), APInt::getAllOnes(bits()))));
  }
  Value floorDivide() const;
  Value remainder() const;
  Value truncatedRemainder() const;
  Value shiftLeft() const;
  Value shiftRight() const;
  unsigned bits() const { return type().getIntOrFloatBitWidth(); }
  /// A float truncated toward zero to an integer type without sign.
  Value truncate(Type to) const;
  /// The same to the numbers that an unsigned type holds.
  Value truncateUnsigned(Type to) const;
  /// The operand in a type of the dialect; its integers lose their sign.
  Value convert(Type to) const;
};

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_SCALAR_H
