//===- ComplexScalar.cpp - Elementary functions of complex numbers --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Expressions in real and imaginary parts, without branches, so that loops of
// them become vectors as those of real functions do. Branch cuts, and which
// zero or infinity there is, are those of C's Annex G and so NumPy's. Inverse
// functions are after Kahan, Branch cuts for complex elementary functions, or
// much ado about nothing's sign bit (1987).
//
//===----------------------------------------------------------------------===//

#include "dialect/Scalar.h"

using namespace mlir;
using namespace mlir::grad;

//===----------------------------------------------------------------------===//
// Real and complex numbers as values with operators
//===----------------------------------------------------------------------===//

namespace {

/// A real number in an expression.
struct Real {
  const Scalar *s;
  Value value;

  Real number(double x) const {
    return {s, s->apply<arith::ConstantOp>(
                   s->builder.getFloatAttr(value.getType(), x))};
  }
  bool isF32() const { return value.getType().isF32(); }
  template <typename Op> Real of() const { return {s, s->apply<Op>(value)}; }
  template <typename Op> Real with(const Real &rhs) const {
    return {s, s->apply<Op>(value, rhs.value)};
  }
};

struct Condition {
  const Scalar *s;
  Value value;
};

/// A complex number in an expression.
struct Complex {
  Real re, im;
};

Real operator+(const Real &a, const Real &b) {
  return a.with<arith::AddFOp>(b);
}
Real operator-(const Real &a, const Real &b) {
  return a.with<arith::SubFOp>(b);
}
Real operator*(const Real &a, const Real &b) {
  return a.with<arith::MulFOp>(b);
}
Real operator/(const Real &a, const Real &b) {
  return a.with<arith::DivFOp>(b);
}
Real operator-(const Real &a) { return a.of<arith::NegFOp>(); }
Real operator+(const Real &a, double b) { return a + a.number(b); }
Real operator-(const Real &a, double b) { return a - a.number(b); }
Real operator*(const Real &a, double b) { return a * a.number(b); }
Real operator+(double a, const Real &b) { return b.number(a) + b; }
Real operator-(double a, const Real &b) { return b.number(a) - b; }
Real operator*(double a, const Real &b) { return b.number(a) * b; }
Real operator/(double a, const Real &b) { return b.number(a) / b; }

Condition compare(arith::CmpFPredicate predicate, const Real &a,
                  const Real &b) {
  return {a.s, a.s->apply<arith::CmpFOp>(predicate, a.value, b.value)};
}
Condition operator<(const Real &a, const Real &b) {
  return compare(arith::CmpFPredicate::OLT, a, b);
}
Condition operator>(const Real &a, double b) {
  return compare(arith::CmpFPredicate::OGT, a, a.number(b));
}
Condition operator>=(const Real &a, const Real &b) {
  return compare(arith::CmpFPredicate::OGE, a, b);
}
Condition operator==(const Real &a, double b) {
  return compare(arith::CmpFPredicate::OEQ, a, a.number(b));
}
Condition operator&(const Condition &a, const Condition &b) {
  return {a.s, a.s->apply<arith::AndIOp>(a.value, b.value)};
}
Condition operator|(const Condition &a, const Condition &b) {
  return {a.s, a.s->apply<arith::OrIOp>(a.value, b.value)};
}
Real select(const Condition &c, const Real &a, const Real &b) {
  return {c.s, c.s->apply<arith::SelectOp>(c.value, a.value, b.value)};
}
Complex select(const Condition &c, const Complex &a, const Complex &b) {
  return {select(c, a.re, b.re), select(c, a.im, b.im)};
}

Real abs(const Real &x) { return x.of<math::AbsFOp>(); }
Real sqrt(const Real &x) { return x.of<math::SqrtOp>(); }
Real exp(const Real &x) { return x.of<math::ExpOp>(); }
Real log(const Real &x) { return x.of<math::LogOp>(); }
Real log1p(const Real &x) { return x.of<math::Log1pOp>(); }
Real sin(const Real &x) { return x.of<math::SinOp>(); }
Real cos(const Real &x) { return x.of<math::CosOp>(); }
Real sinh(const Real &x) { return x.of<math::SinhOp>(); }
Real cosh(const Real &x) { return x.of<math::CoshOp>(); }
Real asinh(const Real &x) { return x.of<math::AsinhOp>(); }
Real copysign(const Real &x, const Real &sign) {
  return x.with<math::CopySignOp>(sign);
}
/// Scalars that the real ops know how to lower.
Real atan2(const Real &y, const Real &x) {
  return {x.s, Scalar{x.s->builder, x.s->loc, {y.value, x.value}}.arctan2()};
}
Real hypot(const Complex &z) {
  return {
      z.re.s,
      Scalar{z.re.s->builder, z.re.s->loc, {z.re.value, z.im.value}}.hypot()};
}
Condition isFinite(const Real &x) {
  return compare(arith::CmpFPredicate::OLT, abs(x),
                 x.number(std::numeric_limits<double>::infinity()));
}
Condition isInfinite(const Real &x) {
  return abs(x) == std::numeric_limits<double>::infinity();
}
Condition isNan(const Real &x) {
  return compare(arith::CmpFPredicate::UNO, x, x);
}
/// x * y; 0 of the right sign where x is 0 and y an infinity.
Real timesOverflow(const Real &x, const Real &y) {
  return select(x == 0, copysign(x, x * copysign(y.number(1), y)), x * y);
}

Complex timesI(const Complex &z) { return {-z.im, z.re}; }
Complex overI(const Complex &z) { return {z.im, -z.re}; }

} // namespace

static Complex operandOf(const Scalar &s, unsigned i = 0) {
  return {{&s, s.apply<complex::ReOp>(s[i])},
          {&s, s.apply<complex::ImOp>(s[i])}};
}

static Value made(const Complex &z) {
  const Scalar &s = *z.re.s;
  return s.apply<complex::CreateOp>(ComplexType::get(z.re.value.getType()),
                                    z.re.value, z.im.value);
}

//===----------------------------------------------------------------------===//
// Arithmetic
//===----------------------------------------------------------------------===//

/// Smith's quotient, as NumPy's: no square of a part over- or underflows.
static Complex quotientOf(const Complex &a, const Complex &b) {
  Condition isWide = abs(b.re) >= abs(b.im);
  Real large = select(isWide, b.re, b.im), small = select(isWide, b.im, b.re);
  Real ratio = small / large;
  Real scale = 1.0 / (large + small * ratio);
  Real re = select(isWide, a.re + a.im * ratio, a.re * ratio + a.im) * scale;
  Real im = select(isWide, a.im - a.re * ratio, a.im * ratio - a.re) * scale;
  // Of zero, an infinity or NaN in both parts.
  Condition isNull = large == 0;
  Real zero = abs(b.re);
  return {select(isNull, a.re / zero, re), select(isNull, a.im / zero, im)};
}

Value Scalar::complexQuotient() const {
  return made(quotientOf(operandOf(*this), operandOf(*this, 1)));
}

Value Scalar::complexReciprocal() const {
  Complex z = operandOf(*this);
  return made(quotientOf({z.re.number(1), z.re.number(0)}, z));
}

template <> Value grad::onComplex<math::SqrtOp>(const Scalar &s) {
  Complex z = operandOf(s);
  bool isF32 = z.re.isF32();
  // Sums of parts next to the largest number, and subnormal ones, are scaled.
  double most = isF32 ? 0x1p125 : 0x1p1021, least = isF32 ? 0x1p-100 : 0x1p-900;
  double down = 0x1p-4, up = isF32 ? 0x1p48 : 0x1p108;
  Real larger = select(abs(z.re) >= abs(z.im), abs(z.re), abs(z.im));
  Condition isLarge = larger >= z.re.number(most);
  Condition isSmall = larger < z.re.number(least);
  Real one = z.re.number(1);
  Real factor =
      select(isLarge, one.number(down), select(isSmall, one.number(up), one));
  Real back = select(isLarge, one.number(1 / std::sqrt(down)),
                     select(isSmall, one.number(1 / std::sqrt(up)), one));
  Complex w = {z.re * factor, z.im * factor};
  Real root = sqrt(0.5 * (abs(w.re) + hypot(w)));
  Real other = abs(w.im) / (2.0 * root);
  Condition isRight = w.re >= w.re.number(0);
  Real re = select(isRight, root, other) * back;
  Real im = copysign(select(isRight, other, root) * back, z.im);
  // Of zeros, the zeros; beside an infinite imaginary part, infinity.
  Condition isNull = larger == 0;
  re = select(isNull, one.number(0), re);
  im = select(isNull, z.im, im);
  Real infinity = abs(one.number(std::numeric_limits<double>::infinity()));
  Condition isTall = isInfinite(z.im);
  re = select(isTall, infinity, re);
  im = select(isTall, z.im, im);
  // Along the real axis, the other part is zero.
  Condition isFar = isInfinite(z.re) & isFinite(z.im);
  Condition isFarRight = isFar & (z.re > 0);
  im = select(isFarRight, copysign(one.number(0), z.im), im);
  re = select(isFar, select(isFarRight, infinity, one.number(0)), re);
  return made({re, im});
}

//===----------------------------------------------------------------------===//
// Exponentials and logarithms
//===----------------------------------------------------------------------===//

/// e^re (cos im + i sin im), where e^re may overflow and the product not.
static Complex expOf(const Complex &z) {
  bool isF32 = z.re.isF32();
  double limit = isF32 ? 88 : 709, shift = isF32 ? 80 : 700;
  Condition isLarge = z.re > limit;
  Real zero = z.re.number(0), one = z.re.number(1);
  Real size = exp(z.re - select(isLarge, one.number(shift), zero));
  Real rest = select(isLarge, one.number(std::exp(shift)), one);
  Condition isReal = z.im == 0;
  Real c = select(isReal, one, cos(z.im)), s = select(isReal, z.im, sin(z.im));
  // What has no angle is 0 at the far left.
  Condition isNull = (z.re == -std::numeric_limits<double>::infinity());
  Condition hasAngle = isFinite(z.im);
  c = select(isNull, select(hasAngle, c, zero), c);
  s = select(isNull, select(hasAngle, s, zero), s);
  return {timesOverflow(c, size) * rest, timesOverflow(s, size) * rest};
}

template <> Value grad::onComplex<math::ExpOp>(const Scalar &s) {
  return made(expOf(operandOf(s)));
}

template <> Value grad::onComplex<math::Exp2Op>(const Scalar &s) {
  constexpr double kLog2 = 0.693147180559945309417;
  Complex z = operandOf(s);
  return made(expOf({z.re * kLog2, z.im * kLog2}));
}

/// Without cancellation: e^re cos im - 1 is (e^re - 1) cos im + (cos im - 1).
template <> Value grad::onComplex<math::ExpM1Op>(const Scalar &s) {
  Complex z = operandOf(s), e = expOf(z);
  Real half = sin(0.5 * z.im);
  Real near = z.re.of<math::ExpM1Op>() * cos(z.im) - 2.0 * half * half;
  return made({select(abs(z.re) > 1, e.re - 1, near), e.im});
}

/// log |z|; near the circle of radius 1 by the difference from it.
static Real logOfSize(const Complex &z) {
  Condition isWide = abs(z.re) >= abs(z.im);
  Real x = select(isWide, abs(z.re), abs(z.im)),
       y = select(isWide, abs(z.im), abs(z.re));
  Real one = x.number(1);
  Condition isNear = (x < one.number(1.5)) & (x > 0.5);
  Real u = select(isNear, x, one), v = select(isNear, y, one.number(0));
  Real near = 0.5 * log1p((u - 1) * (u + 1) + v * v);
  return select(isNear, near, log(hypot(z)));
}

static Complex logOf(const Complex &z) {
  return {logOfSize(z), atan2(z.im, z.re)};
}

template <> Value grad::onComplex<math::LogOp>(const Scalar &s) {
  return made(logOf(operandOf(s)));
}

static Value scaledLog(const Scalar &s, double factor) {
  Complex z = logOf(operandOf(s));
  return made({z.re * factor, z.im * factor});
}
template <> Value grad::onComplex<math::Log2Op>(const Scalar &s) {
  return scaledLog(s, 1.44269504088896340736);
}
template <> Value grad::onComplex<math::Log10Op>(const Scalar &s) {
  return scaledLog(s, 0.434294481903251827651);
}

template <> Value grad::onComplex<math::Log1pOp>(const Scalar &s) {
  Complex z = operandOf(s);
  Complex w = {1.0 + z.re, z.im};
  Condition isNear =
      (abs(z.re) < z.re.number(0.5)) & (abs(z.im) < z.re.number(0.5));
  Real zero = z.re.number(0);
  Real u = select(isNear, z.re, zero), v = select(isNear, z.im, zero);
  Real near = 0.5 * log1p(u * (2.0 + u) + v * v);
  return made({select(isNear, near, logOfSize(w)), atan2(w.im, w.re)});
}

/// e^(w log z); 1 to the power 0, and 0 to powers of the right half.
template <> Value grad::onComplex<math::PowFOp>(const Scalar &s) {
  Complex z = operandOf(s), w = operandOf(s, 1);
  Real zero = z.re.number(0), one = z.re.number(1);
  Condition isNull = (z.re == 0) & (z.im == 0);
  Condition isOne = (w.re == 0) & (w.im == 0);
  Complex safe = {select(isNull | isOne, one, z.re),
                  select(isNull | isOne, zero, z.im)};
  Complex l = logOf(safe);
  Complex power = expOf({w.re * l.re - w.im * l.im, w.re * l.im + w.im * l.re});
  Real nan = one.number(std::numeric_limits<double>::quiet_NaN());
  Real ofNull = select(w.re > 0, zero, nan);
  power = select(isNull, Complex{ofNull, ofNull}, power);
  return made(select(isOne, Complex{one, zero}, power));
}

//===----------------------------------------------------------------------===//
// Trigonometric and hyperbolic functions
//===----------------------------------------------------------------------===//

static Complex sinhOf(const Complex &z) {
  Real re = timesOverflow(cos(z.im), sinh(z.re));
  // On the imaginary axis the real part is zero, of no angle, too.
  Condition hasNoAngle = isNan(re) & (z.re == 0);
  return {select(hasNoAngle, z.re, re), timesOverflow(sin(z.im), cosh(z.re))};
}

static Complex coshOf(const Complex &z) {
  Real re = timesOverflow(cos(z.im), cosh(z.re));
  Real size = sinh(z.re);
  return {re, select(size == 0, size * copysign(size.number(1), sin(z.im)),
                     timesOverflow(sin(z.im), size))};
}

/// Kahan's: with t = tan im and s = sinh re it is
/// ((1 + t^2) s cosh re + i t) / (1 + (1 + t^2) s^2).
static Complex tanhOf(const Complex &z) {
  Real one = z.re.number(1);
  Condition isFar = abs(z.re) > (z.re.isF32() ? 12 : 22);
  Real re = select(isFar, one, z.re);
  Real t = z.im.of<math::TanOp>(), s = sinh(re);
  Real beta = 1.0 + t * t, divisor = 1.0 + beta * s * s;
  Complex near = {beta * s * sqrt(1.0 + s * s) / divisor, t / divisor};
  // Where the tangent has a pole.
  Condition isPole = isInfinite(t);
  near.re = select(isPole, sqrt(1.0 + s * s) / s, near.re);
  // On the imaginary axis, also where there is no angle.
  near.re = select(z.re == 0, z.re, near.re);
  Complex far = {copysign(one, z.re),
                 4.0 * sin(z.im) * cos(z.im) * exp(-2.0 * abs(z.re))};
  far.im = select(isFinite(z.im), far.im, one.number(0));
  return select(isFar, far, near);
}

template <> Value grad::onComplex<math::SinhOp>(const Scalar &s) {
  return made(sinhOf(operandOf(s)));
}
template <> Value grad::onComplex<math::CoshOp>(const Scalar &s) {
  return made(coshOf(operandOf(s)));
}
template <> Value grad::onComplex<math::TanhOp>(const Scalar &s) {
  return made(tanhOf(operandOf(s)));
}
template <> Value grad::onComplex<math::SinOp>(const Scalar &s) {
  return made(overI(sinhOf(timesI(operandOf(s)))));
}
template <> Value grad::onComplex<math::CosOp>(const Scalar &s) {
  return made(coshOf(timesI(operandOf(s))));
}
template <> Value grad::onComplex<math::TanOp>(const Scalar &s) {
  return made(overI(tanhOf(timesI(operandOf(s)))));
}

//===----------------------------------------------------------------------===//
// Inverse functions
//===----------------------------------------------------------------------===//

static Complex sqrtOf(const Complex &z) {
  Value operand = made(z);
  Scalar inner{z.re.s->builder, z.re.s->loc, operand};
  Value root = onComplex<math::SqrtOp>(inner);
  const Scalar &s = *z.re.s;
  return {{&s, s.apply<complex::ReOp>(root)},
          {&s, s.apply<complex::ImOp>(root)}};
}

/// The roots of 1 - z and 1 + z. A zero imaginary part keeps its sign.
static std::pair<Complex, Complex> rootsAround(const Complex &z) {
  return {sqrtOf({1.0 - z.re, -z.im}), sqrtOf({1.0 + z.re, z.im})};
}
/// The real part of the product, and the imaginary one with the first factor
/// conjugate.
static Real reOfProduct(const Complex &a, const Complex &b) {
  return a.re * b.re - a.im * b.im;
}
static Real imOfConjugateProduct(const Complex &a, const Complex &b) {
  return a.re * b.im - a.im * b.re;
}

static Complex asinOf(const Complex &z) {
  auto [below, above] = rootsAround(z);
  Complex w = {atan2(z.re, reOfProduct(below, above)),
               asinh(imOfConjugateProduct(below, above))};
  // Of infinities, the angle alone counts.
  Real infinity = z.re.number(std::numeric_limits<double>::infinity());
  Complex far = {copysign(atan2(abs(z.re), abs(z.im)), z.re),
                 copysign(infinity, z.im)};
  return select(isInfinite(z.re) | isInfinite(z.im), far, w);
}

static Complex acosOf(const Complex &z) {
  auto [below, above] = rootsAround(z);
  Complex w = {2.0 * atan2(below.re, above.re),
               asinh(imOfConjugateProduct(above, below))};
  // Of two infinities, the angle alone counts.
  Real infinity = z.re.number(std::numeric_limits<double>::infinity());
  Complex far = {atan2(abs(z.im), z.re), copysign(infinity, -z.im)};
  return select(isInfinite(z.re) & isInfinite(z.im), far, w);
}

static Complex atanhOf(const Complex &z) {
  Real size = abs(z.re), distance = 1.0 - size;
  Real re = 0.25 * log1p(4.0 * size / (distance * distance + z.im * z.im));
  Real im = 0.5 * atan2(2.0 * z.im, distance * (1.0 + size) - z.im * z.im);
  // On the imaginary axis it stays there, beside what is no number, too.
  re = select(z.re == 0, z.re, re);
  // Where squares overflow, it is 1 / z on the side of the cut that z is on.
  double limit = z.re.isF32() ? 0x1p40 : 0x1p300;
  Condition isFar = (size > limit) | (abs(z.im) > limit);
  Real length = hypot(z);
  Condition isEnd = isInfinite(z.re) | isInfinite(z.im);
  Real farRe = select(isEnd, z.re.number(0), size / length / length);
  constexpr double kHalfPi = 1.57079632679489661923;
  Real farIm = copysign(z.im.number(kHalfPi), z.im);
  // An infinity has its angle beside a real part that is no number, too.
  farIm = select(isNan(z.re) & isFinite(z.im), z.re, farIm);
  farIm = select(isNan(z.im), z.im, farIm);
  return {copysign(select(isFar, farRe, re), z.re), select(isFar, farIm, im)};
}

template <> Value grad::onComplex<math::AsinOp>(const Scalar &s) {
  return made(asinOf(operandOf(s)));
}
template <> Value grad::onComplex<math::AcosOp>(const Scalar &s) {
  return made(acosOf(operandOf(s)));
}
template <> Value grad::onComplex<math::AtanOp>(const Scalar &s) {
  return made(overI(atanhOf(timesI(operandOf(s)))));
}
template <> Value grad::onComplex<math::AsinhOp>(const Scalar &s) {
  return made(overI(asinOf(timesI(operandOf(s)))));
}
template <> Value grad::onComplex<math::AcoshOp>(const Scalar &s) {
  Complex z = operandOf(s);
  Complex below = sqrtOf({z.re - 1, z.im}), above = sqrtOf({1.0 + z.re, z.im});
  Complex w = {asinh(below.re * above.re + below.im * above.im),
               2.0 * atan2(below.im, above.re)};
  Real infinity = z.re.number(std::numeric_limits<double>::infinity());
  Complex far = {infinity, copysign(atan2(abs(z.im), z.re), z.im)};
  return made(select(isInfinite(z.re) & isInfinite(z.im), far, w));
}
template <> Value grad::onComplex<math::AtanhOp>(const Scalar &s) {
  return made(atanhOf(operandOf(s)));
}
