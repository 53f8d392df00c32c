//===- GradElementwise.cpp - Vocabulary of the elementwise records --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Expr.h"
#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "dialect/Scalar.h"
#include "mlir/IR/TypeUtilities.h"
#include "runtime/math/coefficients.h"

using namespace mlir;
using namespace mlir::grad;

//===----------------------------------------------------------------------===//
// Scalar lowerings
//===----------------------------------------------------------------------===//

/// Integers: clamp(x, -1, 1) of what there is. Floats: x itself at +-0 and NaN,
/// else +-1.
Value Scalar::sign() const {
  Value x = operands[0];
  if (areUnsigned)
    return apply<arith::MinUIOp>(x, constant(1));
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
                      arith::CmpIPredicate forSigned,
                      arith::CmpIPredicate forUnsigned) const {
  if (isFloat())
    return apply<arith::CmpFOp>(forFloat, operands[0], operands[1]);
  if (isComplex()) {
    auto ofParts = [&](auto part) {
      return apply<arith::CmpFOp>(forFloat, part(operands[0]),
                                  part(operands[1]));
    };
    Value re = ofParts([&](Value x) { return apply<complex::ReOp>(x); });
    Value im = ofParts([&](Value x) { return apply<complex::ImOp>(x); });
    return forFloat == arith::CmpFPredicate::OEQ ? apply<arith::AndIOp>(re, im)
                                                 : apply<arith::OrIOp>(re, im);
  }
  // A set i1 is -1 to a signed comparison.
  bool isUnsigned = areUnsigned || type().isInteger(1);
  return apply<arith::CmpIOp>(isUnsigned ? forUnsigned : forSigned, operands[0],
                              operands[1]);
}

/// What rhs is replaced by where the machine has no quotient: 1 leaves 0 of
/// everything, and is right for the least number over -1, too.
static Value safeDivisor(const Scalar &s, Value isNull) {
  Value unsafe = isNull;
  if (!s.areUnsigned) {
    auto isEqual = [&](Value x, APInt number) {
      return s.apply<arith::CmpIOp>(
          arith::CmpIPredicate::eq, x,
          s.apply<arith::ConstantOp>(
              s.builder.getIntegerAttr(s.type(), number)));
    };
    Value overflows = s.apply<arith::AndIOp>(
        isEqual(s[0], APInt::getSignedMinValue(s.bits())),
        isEqual(s[1], APInt::getAllOnes(s.bits())));
    unsafe = s.apply<arith::OrIOp>(unsafe, overflows);
  }
  return s.apply<arith::SelectOp>(unsafe, s.constant(1), s[1]);
}

/// Whether a remainder is not 0 and has another sign than the divisor.
static Value isOnOtherSide(const Scalar &s, Value rest, Value divisor) {
  Value zero = s.constant(0);
  Value differ = s.apply<arith::CmpIOp>(
      arith::CmpIPredicate::slt, s.apply<arith::XOrIOp>(rest, divisor), zero);
  return s.apply<arith::AndIOp>(
      differ, s.apply<arith::CmpIOp>(arith::CmpIPredicate::ne, rest, zero));
}

Value Scalar::floorDivide() const {
  Value isNull =
      apply<arith::CmpIOp>(arith::CmpIPredicate::eq, operands[1], constant(0));
  Value divisor = safeDivisor(*this, isNull);
  Value quotient;
  if (areUnsigned) {
    quotient = apply<arith::DivUIOp>(operands[0], divisor);
  } else {
    quotient = apply<arith::DivSIOp>(operands[0], divisor);
    Value rest = apply<arith::RemSIOp>(operands[0], divisor);
    quotient = apply<arith::SelectOp>(
        isOnOtherSide(*this, rest, divisor),
        apply<arith::SubIOp>(quotient, constant(1)), quotient);
  }
  return apply<arith::SelectOp>(isNull, constant(0), quotient);
}

Value Scalar::remainder() const {
  Value rest = truncatedRemainder();
  if (areUnsigned)
    return rest;
  return apply<arith::SelectOp>(isOnOtherSide(*this, rest, operands[1]),
                                apply<arith::AddIOp>(rest, operands[1]), rest);
}

Value Scalar::truncatedRemainder() const {
  Value isNull =
      apply<arith::CmpIOp>(arith::CmpIPredicate::eq, operands[1], constant(0));
  Value divisor = safeDivisor(*this, isNull);
  return areUnsigned ? apply<arith::RemUIOp>(operands[0], divisor)
                     : apply<arith::RemSIOp>(operands[0], divisor);
}

/// Whether the machine can shift by the second operand.
static Value isShift(const Scalar &s) {
  return s.apply<arith::CmpIOp>(arith::CmpIPredicate::ult, s[1],
                                s.constant(s.bits()));
}

Value Scalar::shiftLeft() const {
  Value can = isShift(*this);
  Value by = apply<arith::SelectOp>(can, operands[1], constant(0));
  return apply<arith::SelectOp>(can, apply<arith::ShLIOp>(operands[0], by),
                                constant(0));
}

/// A shift by one bit less than there are leaves copies of the sign.
Value Scalar::shiftRight() const {
  Value can = isShift(*this);
  if (!areUnsigned)
    return apply<arith::ShRSIOp>(
        operands[0],
        apply<arith::SelectOp>(can, operands[1], constant(bits() - 1)));
  Value by = apply<arith::SelectOp>(can, operands[1], constant(0));
  return apply<arith::SelectOp>(can, apply<arith::ShRUIOp>(operands[0], by),
                                constant(0));
}

Value Scalar::times(Value logarithm) const {
  Value isZero =
      apply<arith::CmpFOp>(arith::CmpFPredicate::OEQ, operands[0], constant(0));
  Value isNumber =
      apply<arith::CmpFOp>(arith::CmpFPredicate::ORD, operands[1], operands[1]);
  return apply<arith::SelectOp>(apply<arith::AndIOp>(isZero, isNumber),
                                constant(0),
                                apply<arith::MulFOp>(operands[0], logarithm));
}

/// Of the origin as of a point on the axis: Atan2Op of two constant zeros folds
/// to NaN, where the function has an angle that depends on their signs.
Value Scalar::arctan2() const {
  Value y = operands[0], x = operands[1];
  auto isZero = [&](Value value) {
    return apply<arith::CmpFOp>(arith::CmpFPredicate::OEQ, value, constant(0));
  };
  Value onAxis = apply<math::CopySignOp>(constant(1), x);
  Value isOrigin = apply<arith::AndIOp>(isZero(x), isZero(y));
  return apply<math::Atan2Op>(y, apply<arith::SelectOp>(isOrigin, onAxis, x));
}

/// With the larger component scaled, no square leaves the range that matters.
Value Scalar::hypot() const {
  Value a = apply<math::AbsFOp>(operands[0]),
        b = apply<math::AbsFOp>(operands[1]);
  auto compare = [&](arith::CmpFPredicate predicate, Value lhs, Value rhs) {
    return apply<arith::CmpFOp>(predicate, lhs, rhs);
  };
  auto select = [&](Value condition, Value onTrue, Value onFalse) {
    return apply<arith::SelectOp>(condition, onTrue, onFalse);
  };
  auto multiply = [&](Value lhs, Value rhs) {
    return apply<arith::MulFOp>(lhs, rhs);
  };
  bool isF32 = type().isF32();
  double bound = isF32 ? 0x1p50 : 0x1p400, factor = isF32 ? 0x1p100 : 0x1p600;
  Value larger = select(compare(arith::CmpFPredicate::OGT, a, b), a, b);
  Value isLarge = compare(arith::CmpFPredicate::OGT, larger, constant(bound));
  Value isSmall =
      compare(arith::CmpFPredicate::OLT, larger, constant(1 / bound));
  Value up = constant(factor), down = constant(1 / factor);
  Value scale = select(isLarge, down, select(isSmall, up, constant(1)));
  Value back = select(isLarge, up, select(isSmall, down, constant(1)));
  Value u = multiply(a, scale), v = multiply(b, scale);
  Value sum = apply<arith::AddFOp>(multiply(u, u), multiply(v, v));
  Value length = multiply(apply<math::SqrtOp>(sum), back);
  // Infinite also beside NaN.
  for (Value part : {a, b})
    length = select(compare(arith::CmpFPredicate::OEQ, part, infinity()), part,
                    length);
  return length;
}

/// c[0] + c[1] x + ... by Horner's rule; multiply-adds may round once.
template <typename T>
static Value horner(const Scalar &s, Value x, ArrayRef<T> c) {
  auto fused = arith::FastMathFlags::contract;
  Value sum = s.constant(c.back());
  for (T coefficient : llvm::reverse(c.drop_back()))
    sum = s.apply<arith::AddFOp>(s.apply<arith::MulFOp>(sum, x, fused),
                                 s.constant(coefficient), fused);
  return sum;
}

/// erfinv(x) / x is smooth in w = -log(1 - x^2) where that is small, and in
/// sqrt(w) beyond (after Giles, Approximating the erfinv function, 2011).
template <typename T>
static Value inverseErfOf(const Scalar &s, double farCenter) {
  using Coefficients = gradopt::coefficients::Table<T>;
  Value x = s[0], one = s.constant(1);
  Value w = s.apply<arith::NegFOp>(s.apply<math::LogOp>(s.apply<arith::MulFOp>(
      s.apply<arith::SubFOp>(one, x), s.apply<arith::AddFOp>(one, x))));
  auto less = arith::CmpFPredicate::OLT, equal = arith::CmpFPredicate::OEQ;
  Value near = horner<T>(s, s.apply<arith::SubFOp>(w, s.constant(3.125)),
                         Coefficients::erfinv);
  Value far = horner<T>(
      s,
      s.apply<arith::SubFOp>(s.apply<math::SqrtOp>(w), s.constant(farCenter)),
      Coefficients::erfinv_far);
  Value ratio = s.apply<arith::SelectOp>(
      s.apply<arith::CmpFOp>(less, w, s.constant(6.25)), near, far);
  Value isEnd = s.apply<arith::CmpFOp>(equal, w, s.infinity());
  return s.apply<arith::MulFOp>(
      x, s.apply<arith::SelectOp>(isEnd, s.infinity(), ratio));
}

Value Scalar::inverseErf() const {
  return type().isF32() ? inverseErfOf<float>(*this, 3.25)
                        : inverseErfOf<double>(*this, 4.25);
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

/// As the compilers of NumPy do it for types of at least 32 bits.
Value Scalar::truncateUnsigned(Type to) const {
  unsigned width = to.getIntOrFloatBitWidth();
  if (width < 32)
    return truncate(to);
  Value x = operands[0], half = constant(std::ldexp(1.0, width - 1));
  Value isLarge = apply<arith::CmpFOp>(arith::CmpFPredicate::OGE, x, half);
  Value rest =
      apply<arith::SelectOp>(isLarge, apply<arith::SubFOp>(x, half), x);
  Value number = Scalar{builder, loc, rest}.truncate(to);
  Value highest = apply<arith::ConstantOp>(
      builder.getIntegerAttr(to, APInt::getSignedMinValue(width)));
  return apply<arith::SelectOp>(isLarge, apply<arith::XOrIOp>(number, highest),
                                number);
}

Value Scalar::convertComplex(Type target) const {
  auto part = [&](Value x, Type to) {
    return Scalar{builder, loc, x}.convert(to);
  };
  if (target.isInteger(1))
    return apply<arith::OrIOp>(part(real(), target), part(imag(), target));
  auto complex = dyn_cast<ComplexType>(target);
  if (!complex)
    return part(real(), target);
  Type element = complex.getElementType();
  return Scalar{builder, loc, {part(real(), element), part(imag(), element)}}
      .complex();
}

Value Scalar::convert(Type target) const {
  Value x = operands[0];
  Type from = type();
  bool toUnsigned = target.isUnsignedInteger();
  Type to = toUnsigned ? builder.getIntegerType(target.getIntOrFloatBitWidth())
                       : target;
  if (from == to)
    return x;
  if (isComplex())
    return convertComplex(target);
  if (auto complex = dyn_cast<ComplexType>(to)) {
    Value re = convert(complex.getElementType());
    return Scalar{builder, loc, {re, Scalar{builder, loc, re}.constant(0)}}
        .complex();
  }
  // Narrow floats become other types, and integers narrow floats, through f32.
  Type f32 = builder.getF32Type();
  if ((isNarrowFloat(from) && to != f32) || (isNarrowFloat(to) && !isFloat()))
    return Scalar{builder, loc, convert(f32)}.convert(target);
  bool isUnsigned = areUnsigned || from.isInteger(1);
  if (to.isInteger(1))
    return isFloat()
               ? apply<arith::CmpFOp>(arith::CmpFPredicate::UNE, x, constant(0))
               : apply<arith::CmpIOp>(arith::CmpIPredicate::ne, x, constant(0));
  unsigned fromWidth = from.getIntOrFloatBitWidth();
  unsigned toWidth = to.getIntOrFloatBitWidth();
  if (isFloat()) {
    if (!isa<FloatType>(to))
      return toUnsigned ? truncateUnsigned(to) : truncate(to);
    return toWidth > fromWidth ? apply<arith::ExtFOp>(to, x)
                               : apply<arith::TruncFOp>(to, x);
  }
  if (isa<FloatType>(to))
    return isUnsigned ? apply<arith::UIToFPOp>(to, x)
                      : apply<arith::SIToFPOp>(to, x);
  if (toWidth < fromWidth)
    return apply<arith::TruncIOp>(to, x);
  return isUnsigned ? apply<arith::ExtUIOp>(to, x)
                    : apply<arith::ExtSIOp>(to, x);
}

//===----------------------------------------------------------------------===//
// Parts of complex numbers
//===----------------------------------------------------------------------===//

LogicalResult ComplexOp::inferReturnTypes(MLIRContext *,
                                          std::optional<Location>,
                                          Adaptor adaptor,
                                          SmallVectorImpl<Type> &types) {
  auto type = cast<ShapedType>(adaptor.getRe().getType());
  types.push_back(type.clone(ComplexType::get(type.getElementType())));
  return success();
}

LogicalResult ImagOp::inferReturnTypes(MLIRContext *, std::optional<Location>,
                                       Adaptor adaptor,
                                       SmallVectorImpl<Type> &types) {
  auto type = cast<ShapedType>(adaptor.getX().getType());
  auto complex = cast<ComplexType>(type.getElementType());
  types.push_back(type.clone(complex.getElementType()));
  return success();
}

//===----------------------------------------------------------------------===//
// Expressions of derivative rules
//===----------------------------------------------------------------------===//

Expr ExprBuilder::useResult(Operation *op) {
  Value result = op->getResult(0);
  if (auto narrow = op->getAttrOfType<TypeAttr>(kStoredAs)) {
    Value stored = ConvertOp::create(builder, loc, result, narrow.getValue());
    result = ConvertOp::create(builder, loc, stored,
                               getElementTypeOrSelf(result.getType()));
  }
  return use(result);
}

Value Expr::materialize(ExprBuilder &context) const {
  if (value)
    return value;
  if (auto type = dyn_cast<RankedTensorType>(context.type))
    return createSplat(context.builder, context.loc, type, number);
  return arith::ConstantOp::create(
      context.builder, context.loc,
      context.builder.getFloatAttr(context.type, number));
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
    sum = sum ? createSum(context.linear, op->getLoc(), sum, term) : term;
  }
  context.setTangent(op->getResult(0), sum);
}

static ExprBuilder &contextOf(const Expr &lhs, const Expr &rhs) {
  return lhs.isNumber() ? *rhs.getContext() : *lhs.getContext();
}

template <typename Op> static Expr unary(const Expr &x) {
  ExprBuilder &c = *x.getContext();
  return Expr(c, createElementwise<Op>(c.builder, c.loc, x.materialize(c)));
}

template <typename Op> static Expr binary(const Expr &lhs, const Expr &rhs) {
  ExprBuilder &c = contextOf(lhs, rhs);
  return Expr(c,
              createElementwise<Op>(c.builder, c.loc,
                                    {lhs.materialize(c), rhs.materialize(c)}));
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
  return Expr(c, createElementwise<SelectOp>(c.builder, c.loc,
                                             {condition.getValue(),
                                              onTrue.materialize(c),
                                              onFalse.materialize(c)}));
}
Expr grad::power(const Expr &lhs, const Expr &rhs) {
  return binary<PowerOp>(lhs, rhs);
}
Expr grad::square(const Expr &x) { return unary<SquareOp>(x); }
Expr grad::sqrt(const Expr &x) { return unary<SqrtOp>(x); }
Expr grad::exp(const Expr &x) { return unary<ExpOp>(x); }
Expr grad::log(const Expr &x) { return unary<LogOp>(x); }
Expr grad::log1p(const Expr &x) { return unary<Log1pOp>(x); }
Expr grad::sin(const Expr &x) { return unary<SinOp>(x); }
Expr grad::cos(const Expr &x) { return unary<CosOp>(x); }
Expr grad::sinh(const Expr &x) { return unary<SinhOp>(x); }
Expr grad::cosh(const Expr &x) { return unary<CoshOp>(x); }
Expr grad::absolute(const Expr &x) { return unary<AbsoluteOp>(x); }
Expr grad::sign(const Expr &x) { return unary<SignOp>(x); }
Expr grad::round(const Expr &x) { return unary<RoundOp>(x); }
Expr grad::isinf(const Expr &x) { return unary<IsinfOp>(x); }
Expr grad::logistic(const Expr &x) { return unary<LogisticOp>(x); }

Expr grad::share(const Expr &isChosen, const Expr &isNot, const Expr &isTie) {
  Expr half = select(isTie, 0.5, std::numeric_limits<double>::quiet_NaN());
  return select(isChosen, 1.0, select(isNot, 0.0, half));
}

Expr grad::fraction(const Expr &x, const Expr &r) {
  Expr isInfinite = isinf(x);
  return select(isInfinite, sign(x), x) /
         select(isInfinite, 1.0, select(equal(r, 0.0), 1.0, r));
}

Expr grad::quotient(const Expr &x, const Expr &z) {
  return x / select(equal(x, 0.0), select(equal(z, 0.0), 1.0, z), z);
}

static FloatType floatTypeOf(const Expr &x) {
  return cast<FloatType>(getElementTypeOrSelf(x.getContext()->type));
}

Expr grad::overSquares(const Expr &x, const Expr &u, const Expr &v) {
  // So that the square of the scaled length is in range, and its square, which
  // the second derivative makes, wherever that is in range.
  bool isF32 = floatTypeOf(u).isF32();
  double bound = isF32 ? 0x1p33 : 0x1p257, down = isF32 ? 0x1p-65 : 0x1p-513,
         up = isF32 ? 0x1p64 : 0x1p512;
  Expr a = absolute(u), b = absolute(v);
  Expr larger = select(greater(a, b), a, b);
  Expr scale = select(greater(larger, bound), down,
                      select(less(larger, 1 / bound), up, 1.0));
  Expr isNull = equal(larger, 0.0);
  Expr squares = square(u * scale) + square(v * scale);
  Expr inverse = 1.0 / select(isNull, 1.0, squares);
  // Infinity over infinity squared is 0.
  Expr numerator = select(isinf(x), 1.0, x * scale);
  return select(isNull, 0.0, numerator * inverse * scale);
}

Expr grad::gaussian(const Expr &x) {
  // Of this number it is 0 in all floats.
  constexpr double kFar = 40;
  return exp(-square(select(greater(absolute(x), kFar), kFar, x)));
}

// Conditions are of one operand where they can, so that they fold where it is
// constant.

/// Whether an expression is of complex numbers, which have no order.
static bool isComplex(const Expr &x) {
  return isa<ComplexType>(getElementTypeOrSelf(x.getContext()->type));
}

Expr grad::slopeOfPower(const Expr &base, const Expr &exponent, const Expr &y) {
  if (isComplex(base)) {
    Expr isConstant = equal(exponent, 0.0);
    Expr r = select(isConstant, 1.0, exponent);
    return select(isConstant, 0.0, r * power(base, r - 1.0));
  }
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Expr atInfinity = select(equal(exponent, kInfinity), y,
                           select(equal(exponent, -kInfinity), y, 1.0));
  Expr vanishes = equal(atInfinity, 0.0);
  Expr r = select(vanishes, 1.0, exponent);
  Expr isNull = equal(base, 0.0);
  Expr x = select(equal(r, 0.0), select(isNull, 1.0, base), base);
  // With an exponent next to 0 the derivative of base^(r - 1) would overflow,
  // though that of the product with r does not: it is about r / base.
  constexpr double kSmall = 0x1p-10;
  Expr size = absolute(base);
  Expr finite = select(less(size, kInfinity), size, 0.0);
  Expr isSmall = greater(
      select(less(r, kSmall), select(greater(r, -kSmall), finite, 0.0), 0.0),
      0.0);
  Expr product = r / select(isSmall, base, 1.0) * select(isSmall, y, 1.0);
  Expr other = select(isSmall, 1.0, r);
  Expr quotient = other * power(select(isSmall, 1.0, x), other - 1.0);
  return select(vanishes, 0.0, select(isSmall, product, quotient));
}

Expr grad::growthOfPower(const Expr &base, const Expr &exponent,
                         const Expr &y) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Expr vanishes = equal(y, 0.0);
  if (isComplex(base))
    return select(vanishes, 0.0, y * log(select(equal(base, 0.0), 1.0, base)));
  Expr atZero = select(less(exponent, 0.0), 0.0, 1.0);
  Expr atInfinity = select(vanishes, 1.0, base);
  Expr x = select(equal(base, 0.0), atZero,
                  select(equal(base, kInfinity), atInfinity, base));
  return select(vanishes, 0.0, y * log(x));
}

/// The number beyond which x^2 + 1 and x^2 - 1 round to x^2.
static double dwarfsOne(const Expr &x) {
  int bits = floatTypeOf(x).getFPMantissaWidth();
  return std::ldexp(1.0, (bits + 3) / 2);
}

Expr grad::overOnePlusSquare(const Expr &x) {
  if (isComplex(x))
    return 1.0 / (1.0 + square(x));
  Expr isLarge = greater(absolute(x), dwarfsOne(x));
  Expr rest = select(isLarge, 1.0, x);
  Expr inverse = 1.0 / select(isLarge, x, 1.0 + square(rest));
  return select(isLarge, square(inverse), inverse);
}

Expr grad::sqrtOfSquarePlusOne(const Expr &x) {
  if (isComplex(x))
    return sqrt(1.0 + square(x));
  Expr isLarge = greater(absolute(x), dwarfsOne(x));
  Expr rest = select(isLarge, 1.0, x);
  return select(isLarge, absolute(x), sqrt(1.0 + square(rest)));
}

Expr grad::sqrtOfSquareMinusOne(const Expr &x) {
  if (isComplex(x))
    return sqrt(x - 1.0) * sqrt(x + 1.0);
  Expr isLarge = greater(x, dwarfsOne(x));
  Expr rest = select(isLarge, 2.0, x);
  return select(isLarge, x, sqrt(rest - 1.0) * sqrt(rest + 1.0));
}
