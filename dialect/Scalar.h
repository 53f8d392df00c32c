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
#include "mlir/Dialect/Complex/IR/Complex.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"

namespace mlir::grad {

struct Scalar;

/// The function of complex numbers that `Op` is of real ones
/// (ComplexScalar.cpp).
template <typename Op> Value onComplex(const Scalar &s);

struct Scalar {
  OpBuilder &builder;
  Location loc;
  ValueRange operands;
  /// Whether operands that are integers are unsigned numbers.
  bool areUnsigned = false;

  Value operator[](unsigned i) const { return operands[i]; }
  Type type() const { return operands.front().getType(); }
  bool isFloat() const { return isa<FloatType>(type()); }
  bool isComplex() const { return isa<ComplexType>(type()); }

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
  /// The same of floats, complex numbers or integers.
  template <typename FloatOp, typename ComplexOp, typename IntOp>
  Value arithmetic() const {
    return isComplex() ? op<ComplexOp>() : op<FloatOp, IntOp>();
  }
  /// `Op` of floats or complex numbers.
  template <typename Op> Value analytic() const {
    return isComplex() ? onComplex<Op>(*this) : op<Op>();
  }
  template <typename FloatOp, typename SignedOp, typename UnsignedOp>
  Value op() const {
    return areUnsigned ? op<UnsignedOp>() : op<FloatOp, SignedOp>();
  }

  /// `value` in the type of the operands.
  Value constant(double value) const {
    if (isFloat())
      return apply<arith::ConstantOp>(builder.getFloatAttr(type(), value));
    if (auto complex = dyn_cast<ComplexType>(type())) {
      Type part = complex.getElementType();
      return apply<complex::ConstantOp>(
          complex, builder.getArrayAttr({builder.getFloatAttr(part, value),
                                         builder.getFloatAttr(part, 0)}));
    }
    return apply<arith::ConstantOp>(
        builder.getIntegerAttr(type(), static_cast<int64_t>(value)));
  }

  Value divide(Value lhs, Value rhs) const {
    return apply<arith::DivFOp>(lhs, rhs);
  }
  Value sum() const {
    return arithmetic<arith::AddFOp, complex::AddOp, arith::AddIOp>();
  }
  Value difference() const {
    return arithmetic<arith::SubFOp, complex::SubOp, arith::SubIOp>();
  }
  Value product() const {
    return arithmetic<arith::MulFOp, complex::MulOp, arith::MulIOp>();
  }
  Value quotient() const {
    return isComplex() ? complexQuotient() : op<arith::DivFOp>();
  }
  Value complexQuotient() const;
  Value reciprocal() const {
    return isComplex() ? complexReciprocal() : divide(constant(1), operands[0]);
  }
  Value complexReciprocal() const;
  Value negative() const {
    if (isComplex()) {
      Value parts[] = {apply<arith::NegFOp>(real()),
                       apply<arith::NegFOp>(imag())};
      return Scalar{builder, loc, parts}.complex();
    }
    return isFloat() ? op<arith::NegFOp>()
                     : apply<arith::SubIOp>(constant(0), operands[0]);
  }
  Value square() const {
    return Scalar{builder, loc, {operands[0], operands[0]}}.product();
  }
  /// The complex number of two floats.
  Value complex() const {
    return apply<complex::CreateOp>(ComplexType::get(type()), operands[0],
                                    operands[1]);
  }
  Value real() const { return apply<complex::ReOp>(operands[0]); }
  Value imag() const { return apply<complex::ImOp>(operands[0]); }
  /// `test` of either part of a complex number, or of both.
  template <typename Combine>
  Value ofParts(Value (Scalar::*test)() const) const {
    Value parts[] = {real(), imag()};
    return apply<Combine>((Scalar{builder, loc, parts[0]}.*test)(),
                          (Scalar{builder, loc, parts[1]}.*test)());
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
    if (isComplex())
      return ofParts<arith::OrIOp>(&Scalar::isnan);
    return apply<arith::CmpFOp>(arith::CmpFPredicate::UNO, operands[0],
                                operands[0]);
  }
  Value isinf() const {
    if (isComplex())
      return ofParts<arith::OrIOp>(&Scalar::isinf);
    return apply<arith::CmpFOp>(arith::CmpFPredicate::OEQ,
                                apply<math::AbsFOp>(operands[0]), infinity());
  }
  Value isfinite() const {
    if (isComplex())
      return ofParts<arith::AndIOp>(&Scalar::isfinite);
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
  Value convertComplex(Type to) const;
};

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_SCALAR_H
