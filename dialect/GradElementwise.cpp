//===- GradElementwise.cpp - Vocabulary of the elementwise records --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Expr.h"
#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "dialect/Scalar.h"

using namespace mlir;
using namespace mlir::grad;

//===----------------------------------------------------------------------===//
// Scalar lowerings
//===----------------------------------------------------------------------===//

/// Integers: clamp(x, -1, 1). Floats: x itself at +-0 and NaN, else +-1.
Value Scalar::sign() const {
  Value x = operands[0];
  if (!isFloat())
    return apply<arith::MinSIOp>(apply<arith::MaxSIOp>(x, constant(-1)),
                                 constant(1));
  Value ordered =
      apply<arith::CmpFOp>(arith::CmpFPredicate::ONE, x, constant(0));
  return apply<arith::SelectOp>(
      ordered, apply<math::CopySignOp>(constant(1), x),
      // sign(-0.0) is 0.0 in NumPy; x + 0 keeps NaN and turns -0 into 0.
      apply<arith::AddFOp>(x, constant(0)));
}

/// With e = exp(-|x|), which never overflows: 1 / (1 + e) from 0 up, else
/// e / (1 + e).
Value Scalar::logistic() const {
  Value x = operands[0];
  Value e = apply<math::ExpOp>(apply<arith::NegFOp>(apply<math::AbsFOp>(x)));
  Value isNegative =
      apply<arith::CmpFOp>(arith::CmpFPredicate::OLT, x, constant(0));
  Value numerator = apply<arith::SelectOp>(isNegative, e, constant(1));
  return divide(numerator, apply<arith::AddFOp>(constant(1), e));
}

Value Scalar::compare(arith::CmpFPredicate forFloat,
                      arith::CmpIPredicate forInt) const {
  if (isFloat())
    return apply<arith::CmpFOp>(forFloat, operands[0], operands[1]);
  // A set i1 is -1 to a signed comparison.
  if (type().isInteger(1)) {
    Type wide = builder.getI8Type();
    return apply<arith::CmpIOp>(forInt,
                                apply<arith::ExtUIOp>(wide, operands[0]),
                                apply<arith::ExtUIOp>(wide, operands[1]));
  }
  return apply<arith::CmpIOp>(forInt, operands[0], operands[1]);
}

/// x86-64 converts to 32 or 64 bits and has the smallest integer for NaN and
/// for what is out of range; a narrower type gets the low bits. FPToSIOp alone
/// is undefined there, and a constant would become anything.
Value Scalar::truncate(Type to) const {
  Value x = operands[0];
  unsigned width = std::max(32u, to.getIntOrFloatBitWidth());
  Type wide = builder.getIntegerType(width);
  // The lower bound itself has the smallest integer, too.
  Value isInRange =
      apply<arith::CmpFOp>(arith::CmpFPredicate::OLT, apply<math::AbsFOp>(x),
                           constant(std::ldexp(1.0, width - 1)));
  Value smallest = apply<arith::ConstantOp>(
      builder.getIntegerAttr(wide, APInt::getSignedMinValue(width)));
  Value result = apply<arith::SelectOp>(
      isInRange, apply<arith::FPToSIOp>(wide, x), smallest);
  return to == wide ? result : apply<arith::TruncIOp>(to, result);
}

Value Scalar::convert(Type to) const {
  Value x = operands[0];
  Type from = type();
  if (from == to)
    return x;
  bool fromBool = from.isInteger(1);
  if (to.isInteger(1))
    return isFloat()
               ? apply<arith::CmpFOp>(arith::CmpFPredicate::UNE, x, constant(0))
               : apply<arith::CmpIOp>(arith::CmpIPredicate::ne, x, constant(0));
  unsigned fromWidth = from.getIntOrFloatBitWidth();
  unsigned toWidth = to.getIntOrFloatBitWidth();
  if (isFloat()) {
    if (!isa<FloatType>(to))
      return truncate(to);
    return toWidth > fromWidth ? apply<arith::ExtFOp>(to, x)
                               : apply<arith::TruncFOp>(to, x);
  }
  if (isa<FloatType>(to))
    return fromBool ? apply<arith::UIToFPOp>(to, x)
                    : apply<arith::SIToFPOp>(to, x);
  if (toWidth < fromWidth)
    return apply<arith::TruncIOp>(to, x);
  return fromBool ? apply<arith::ExtUIOp>(to, x) : apply<arith::ExtSIOp>(to, x);
}

//===----------------------------------------------------------------------===//
// Expressions of derivative rules
//===----------------------------------------------------------------------===//

Value Expr::materialize(ExprBuilder &context) const {
  if (value)
    return value;
  return createSplat(context.builder, context.loc, context.type, number);
}

void grad::setTangentFromPartials(Operation *op, LinearizeContext &context,
                                  ArrayRef<std::function<Expr()>> partials) {
  ExprBuilder primal{context.primal, op->getLoc()};
  ExprBuilder linear{context.linear, op->getLoc()};
  primal.use(op->getResult(0));
  Value sum;
  for (auto [operand, partial] : llvm::zip_equal(op->getOperands(), partials)) {
    Value tangent = context.getTangent(operand);
    if (!tangent)
      continue;
    Expr factor = partial();
    if (factor.isNumber(0))
      continue;
    // A number is a coefficient like others.
    if (factor.isNumber() && std::abs(factor.getNumber()) != 1)
      factor = Expr(primal, factor.materialize(primal));
    Value term = (linear.use(tangent) * factor).getValue();
    sum =
        sum ? AddOp::create(context.linear, op->getLoc(), sum, term).getResult()
            : term;
  }
  context.setTangent(op->getResult(0), sum);
}

static ExprBuilder &contextOf(const Expr &lhs, const Expr &rhs) {
  return lhs.isNumber() ? *rhs.getContext() : *lhs.getContext();
}

template <typename Op> static Expr unary(const Expr &x) {
  ExprBuilder &c = *x.getContext();
  return Expr(c, Op::create(c.builder, c.loc, x.materialize(c)).getResult());
}

template <typename Op> static Expr binary(const Expr &lhs, const Expr &rhs) {
  ExprBuilder &c = contextOf(lhs, rhs);
  return Expr(
      c, Op::create(c.builder, c.loc, lhs.materialize(c), rhs.materialize(c))
             .getResult());
}

Expr grad::operator+(const Expr &lhs, const Expr &rhs) {
  return binary<AddOp>(lhs, rhs);
}
Expr grad::operator-(const Expr &lhs, const Expr &rhs) {
  return binary<SubtractOp>(lhs, rhs);
}
Expr grad::operator*(const Expr &lhs, const Expr &rhs) {
  if (lhs.isNumber(1))
    return rhs;
  if (rhs.isNumber(1))
    return lhs;
  if (lhs.isNumber(-1))
    return -rhs;
  if (rhs.isNumber(-1))
    return -lhs;
  return binary<MultiplyOp>(lhs, rhs);
}
Expr grad::operator/(const Expr &lhs, const Expr &rhs) {
  return binary<DivideOp>(lhs, rhs);
}
Expr grad::operator-(const Expr &x) {
  return x.isNumber() ? Expr(-x.getNumber()) : unary<NegativeOp>(x);
}
Expr grad::equal(const Expr &lhs, const Expr &rhs) {
  return binary<EqualOp>(lhs, rhs);
}
Expr grad::less(const Expr &lhs, const Expr &rhs) {
  return binary<LessOp>(lhs, rhs);
}
Expr grad::greater(const Expr &lhs, const Expr &rhs) {
  return binary<GreaterOp>(lhs, rhs);
}
Expr grad::select(const Expr &condition, const Expr &onTrue,
                  const Expr &onFalse) {
  ExprBuilder &c = *condition.getContext();
  return Expr(c, SelectOp::create(c.builder, c.loc, condition.getValue(),
                                  onTrue.materialize(c), onFalse.materialize(c))
                     .getResult());
}
Expr grad::power(const Expr &lhs, const Expr &rhs) {
  return binary<PowerOp>(lhs, rhs);
}
Expr grad::square(const Expr &x) { return unary<SquareOp>(x); }
Expr grad::sqrt(const Expr &x) { return unary<SqrtOp>(x); }
Expr grad::exp(const Expr &x) { return unary<ExpOp>(x); }
Expr grad::log(const Expr &x) { return unary<LogOp>(x); }
Expr grad::sin(const Expr &x) { return unary<SinOp>(x); }
Expr grad::cos(const Expr &x) { return unary<CosOp>(x); }
Expr grad::sinh(const Expr &x) { return unary<SinhOp>(x); }
Expr grad::cosh(const Expr &x) { return unary<CoshOp>(x); }
Expr grad::sign(const Expr &x) { return unary<SignOp>(x); }
Expr grad::logistic(const Expr &x) { return unary<LogisticOp>(x); }
