//===- GradSpecial.cpp - Special functions and their derivatives ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the partials of GradSpecial.td say beside arithmetic, elementary
// functions and each other. Where a formula loses digits, a series takes its
// place; what a select does not choose is finite, in derivatives, too.
//
//===----------------------------------------------------------------------===//

#include "dialect/GradSpecial.h"
#include "dialect/Expr.h"
#include "dialect/Rules.h"

using namespace mlir;
using namespace mlir::grad;

template <typename... Ops> static void insertAll(Dialect &dialect) {
  (RegisteredOperationName::insert<Ops>(dialect), ...);
}

void grad::addSpecialFunctions(Dialect &dialect) {
  insertAll<
#define GET_OP_LIST
#include "dialect/GradSpecial.cpp.inc"
      >(dialect);
}

/// Fails if a derivative is asked for in an operand that has a name here: those
/// that have one have an empty name.
static LogicalResult checkHasPartials(Operation *op, LinearizeContext &context,
                                      ArrayRef<StringRef> names) {
  for (auto [operand, name] : llvm::zip_equal(op->getOperands(), names))
    if (!name.empty() && context.getTangent(operand))
      return op->emitOpError("has no derivative in operand `")
             << name
             << "`: keep it constant, or call a function with custom_vjp "
             << "or custom_jvp";
  return success();
}

/// `Op` of expressions, of which one at least is in the IR.
template <typename Op> static Expr ofExprs(std::initializer_list<Expr> exprs) {
  auto *known =
      llvm::find_if_not(exprs, [](const Expr &e) { return e.isNumber(); });
  ExprBuilder &c = *known->getContext();
  SmallVector<Value> operands;
  for (const Expr &expr : exprs)
    operands.push_back(expr.materialize(c));
  return Expr(c, createElementwise<Op>(c.builder, c.loc, operands));
}

//===----------------------------------------------------------------------===//
// Shapes of distributions
//===----------------------------------------------------------------------===//

static Expr logarithmOrOne(const Expr &x) {
  return log(select(equal(x, 0.0), 1.0, x));
}

/// The derivative in a of y = x^(a - 1) exp(-x) / gamma(a).
static Expr gammaSlopeInShape(const Expr &a, const Expr &x, const Expr &y) {
  return y * (logarithmOrOne(x) - PsiOp::of(a));
}

/// The second derivative in a of the same.
static Expr gammaCurvatureInShape(const Expr &a, const Expr &x, const Expr &y) {
  return y * (square(logarithmOrOne(x) - PsiOp::of(a)) - TrigammaOp::of(a));
}

/// The derivative in p of y = x^(p - 1) (1 - x)^(q - 1) / beta(p, q).
static Expr betaSlopeInShape(const Expr &x, const Expr &p, const Expr &q,
                             const Expr &y) {
  return y * (logarithmOrOne(x) - PsiOp::of(p) + PsiOp::of(p + q));
}

/// The derivative in q of the same.
static Expr betaSlopeInOtherShape(const Expr &x, const Expr &p, const Expr &q,
                                  const Expr &y) {
  Expr safe = select(equal(x, 1.0), 0.0, x);
  return y * (log1p(-safe) - PsiOp::of(q) + PsiOp::of(p + q));
}

/// The derivative in x of the same. At the ends it is one of densities of other
/// shapes, where the factors of the usual form are 0 and infinite.
static Expr slopeOfBetaDensity(const Expr &p, const Expr &q, const Expr &x,
                               const Expr &y) {
  auto atEnds = [&](const Expr &value, const Expr &otherwise) {
    return select(equal(x, 0.0), value,
                  select(equal(x, 1.0), value, otherwise));
  };
  Expr inner = atEnds(0.5, x);
  Expr usual = y * ((p - 1.0) / inner - (q - 1.0) / (1.0 - inner));
  Expr u = atEnds(p, 2.0), v = atEnds(q, 2.0);
  Expr end = (u + v - 1.0) *
             (BetaincDxOp::of(u - 1.0, v, x) - BetaincDxOp::of(u, v - 1.0, x));
  return atEnds(end, usual);
}

/// The density of Student's t distribution.
static Expr studentDensity(const Expr &df, const Expr &t) {
  Expr half = 0.5 * df;
  return exp(-(half + 0.5) * log1p(square(t) / df) - 0.5 * log(df) -
             BetalnOp::of(half, 0.5));
}

/// The derivative of Student's distribution function in df.
static Expr slopeOfStudentInShape(const Expr &df, const Expr &t) {
  // It is 1 - betainc(df / 2, 1 / 2, x) / 2 above 0.
  Expr x = df / (df + square(t));
  return -0.25 * sign(t) * BetaincDpOp::of(0.5 * df, 0.5, x) -
         0.5 * (t / df) * studentDensity(df, t);
}

//===----------------------------------------------------------------------===//
// The error function's relatives
//===----------------------------------------------------------------------===//

static constexpr double kRootHalf = 0.707106781186547524401;
static constexpr double kInverseRootTwoPi = 0.398942280401432677940;

/// sum of c[k] x^k.
static Expr polynomial(const Expr &x, ArrayRef<double> c) {
  Expr sum(c.back());
  for (double coefficient : llvm::reverse(c.drop_back()))
    sum = coefficient + x * sum;
  return sum;
}

/// exp(-x^2 / 2) / sqrt(2 pi).
static Expr normalDensity(const Expr &x) {
  return kInverseRootTwoPi * gaussian(kRootHalf * x);
}

/// Beyond this, f' = 2 x f - c, in which nearly all cancels, is a series of
/// inverse powers.
static constexpr double kFarOut = 12;

/// The sum of sign^k (2 k + 1)!! (z / 2)^k, as far as it converges at
/// 1 / kFarOut^2.
static Expr asymptoticSlope(const Expr &z, double sign) {
  SmallVector<double> series{1};
  for (int k = 1; k < 13; ++k)
    series.push_back(series.back() * sign * (k + 0.5));
  return polynomial(z, series);
}

/// The derivative of y = exp(x^2) erfc(x).
static Expr slopeOfErfcx(const Expr &x, const Expr &y) {
  constexpr double kTwoOverRootPi = 1.12837916709551257390;
  Expr isFar = greater(x, kFarOut);
  Expr far = select(isFar, x, kFarOut), near = select(isFar, 0.0, x);
  Expr z = square(1.0 / far);
  Expr series = asymptoticSlope(z, -1);
  return select(isFar, -0.5 * kTwoOverRootPi * z * series,
                2.0 * near * select(isFar, 0.0, y) - kTwoOverRootPi);
}

/// The derivative of Dawson's integral y.
static Expr slopeOfDawson(const Expr &x, const Expr &y) {
  Expr isFar = greater(absolute(x), kFarOut);
  Expr far = select(isFar, x, kFarOut), near = select(isFar, 0.0, x);
  Expr z = square(1.0 / far);
  Expr series = asymptoticSlope(z, 1);
  return select(isFar, -0.5 * z * series,
                1.0 - 2.0 * near * select(isFar, 0.0, y));
}

/// The density over ndtr(x): the quotient where ndtr has all its digits, else
/// by erfcx, as both would vanish.
static Expr slopeOfLogNdtr(const Expr &x) {
  constexpr double kRootTwoOverPi = 0.797884560802865355880;
  Expr isBelow = less(x, 0.0);
  Expr below = select(isBelow, x, 0.0), above = select(isBelow, 0.0, x);
  return select(isBelow, kRootTwoOverPi / ErfcxOp::of(-kRootHalf * below),
                normalDensity(above) / NdtrOp::of(above));
}

/// The derivative of Owen's T(h, a) in h.
static Expr slopeOfOwensT(const Expr &h, const Expr &a) {
  // -exp(-h^2 / 2) erf(a h / sqrt(2)) / (2 sqrt(2 pi)), and erf by ndtr.
  return normalDensity(h) * (0.5 - NdtrOp::of(a * h));
}

//===----------------------------------------------------------------------===//
// Quotients whose singularity at 0 is removable
//===----------------------------------------------------------------------===//

/// f(x) / x: a series in z where |x| is less than `bound`.
static Expr smoothQuotient(const Expr &x, double bound, const Expr &z,
                           ArrayRef<double> series,
                           function_ref<Expr(const Expr &)> f) {
  Expr isNear = less(absolute(x), bound);
  Expr far = select(isNear, bound, x);
  return select(isNear, polynomial(select(isNear, z, 0.0), series),
                f(far) / far);
}

/// sin(x) / x.
static Expr sineQuotient(const Expr &x) {
  static constexpr double kSeries[] = {1,
                                       -1.0 / 6,
                                       1.0 / 120,
                                       -1.0 / 5040,
                                       1.0 / 362880,
                                       -1.0 / 39916800,
                                       1.0 / 6227020800.0,
                                       -1.0 / 1307674368e3};
  return smoothQuotient(x, 0.5, square(x), kSeries,
                        [](const Expr &x) { return sin(x); });
}

/// sinh(x) / x.
static Expr hyperbolicSineQuotient(const Expr &x) {
  static constexpr double kSeries[] = {1,
                                       1.0 / 6,
                                       1.0 / 120,
                                       1.0 / 5040,
                                       1.0 / 362880,
                                       1.0 / 39916800,
                                       1.0 / 6227020800.0,
                                       1.0 / 1307674368e3};
  return smoothQuotient(x, 0.5, square(x), kSeries,
                        [](const Expr &x) { return sinh(x); });
}

/// log(1 + t) / t.
static Expr logarithmQuotient(const Expr &t) {
  SmallVector<double> series;
  for (int k = 1; k <= 24; ++k)
    series.push_back((k % 2 ? 1.0 : -1.0) / k);
  return smoothQuotient(t, 0.125, t, series,
                        [](const Expr &t) { return log1p(t); });
}

/// The derivative of D(m), m = 1 - x, in x: -dD/dm, with
/// D = pi/4 2F1(3/2, 1/2; 2; m).
static Expr slopeOfEllipd(const Expr &x) {
  SmallVector<double> series;
  double term = 0.785398163397448309616;
  for (int k = 0; k < 16; ++k) {
    term *= (1.5 + k) * (0.5 + k) / ((2.0 + k) * (1.0 + k));
    series.push_back(-term * (k + 1));
  }
  Expr m = 1.0 - x;
  Expr isNear = less(absolute(m), 0.0625);
  Expr far = select(isNear, 0.5, x);
  Expr rest = Ellipkm1Op::of(far) - EllipdOp::of(far) * (1.0 + far);
  return select(isNear, polynomial(select(isNear, m, 0.0), series),
                -0.5 * (rest / (far * (1.0 - far))));
}

/// sqrt(1 - m sin^2) of the amplitude, the derivative of the amplitude.
static Expr deltaOfAmplitude(const Expr &phi, const Expr &m) {
  return sqrt((1.0 - m) + m * square(cos(phi)));
}

/// (x / 2)^v / (sqrt(pi) gamma(v + 3 / 2)); 0 at the poles.
static Expr struveTerm(const Expr &v, const Expr &x) {
  constexpr double kInverseRootPi = 0.564189583547756286948;
  Expr shifted = v + 1.5;
  Expr isPole = select(greater(shifted, 0.5), 0.0,
                       select(equal(round(shifted), shifted), 1.0, 0.0));
  Expr regular = select(greater(isPole, 0.5), 1.0, shifted);
  Expr term = kInverseRootPi * power(0.5 * x, v) / GammaOp::of(regular);
  return select(greater(isPole, 0.5), 0.0, term);
}

/// n - 1, and for n = 0, where what has this order counts for nothing, 0.
static Expr orderBelow(const Expr &n) {
  return select(greater(n, 0.5), n - 1.0, 0.0);
}

#define GET_OP_CLASSES
#include "dialect/GradSpecial.cpp.inc"
