//===- beta.cpp - The incomplete beta function ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// With its complement, their inverses, and its derivatives in the shapes.
//
//===----------------------------------------------------------------------===//

#include "Jet.h"

// A root finder takes one of single precision.
#define ldexp(x, n) ldexp(static_cast<double>(x), n)
#include <boost/math/special_functions/beta.hpp>
#undef ldexp
#include <boost/math/special_functions/digamma.hpp>
#include <boost/math/special_functions/erf.hpp>
#include <boost/math/special_functions/trigamma.hpp>

namespace gradopt::special {

/// Where a distribution of the shapes p and q has all of its mass: 0, 1, or
/// nowhere in particular.
enum class Limit { None, AtZero, AtOne };

static Limit limitOf(double p, double q) {
  if ((p == 0 && q > 0) || (q == kInfinity && p < kInfinity))
    return Limit::AtZero;
  if ((q == 0 && p > 0) || (p == kInfinity && q < kInfinity))
    return Limit::AtOne;
  return Limit::None;
}

static bool isOutside(double p, double q, double x) {
  return !(p >= 0) || !(q >= 0) || !(x >= 0 && x <= 1) || (p == 0 && q == 0) ||
         (p == kInfinity && q == kInfinity);
}

static double betainc(double p, double q, double x) {
  if (isOutside(p, q, x))
    return kNaN;
  if (Limit limit = limitOf(p, q); limit != Limit::None)
    return limit == Limit::AtZero ? x > 0 : x == 1;
  return x == 0 || x == 1 ? x : bm::ibeta(p, q, x);
}

static double betaincc(double p, double q, double x) {
  if (isOutside(p, q, x))
    return kNaN;
  if (Limit limit = limitOf(p, q); limit != Limit::None)
    return limit == Limit::AtZero ? x == 0 : x < 1;
  return x == 0 || x == 1 ? 1 - x : bm::ibetac(p, q, x);
}

/// The root x of betainc(p, q, x) = u, or of betaincc, from one that may be far
/// off where the function is steep: Newton's method on logarithms.
static double polish(double p, double q, double u, double x, bool isUpper) {
  for (int k = 0; k < 40 && x > 0 && x < 1; ++k) {
    double value = isUpper ? bm::ibetac(p, q, x) : bm::ibeta(p, q, x);
    double slope = x * bm::ibeta_derivative(p, q, x) / value;
    double step = std::log(value / u) / slope;
    if (!(std::fabs(step) > 1e-14) || !(std::fabs(step) < kInfinity))
      break;
    double next = x * std::exp(isUpper ? step : -step);
    x = next < 1 ? next : (x + 1) / 2;
  }
  return x;
}

static double betaincinv(double p, double q, double u) {
  if (!(p > 0) || !(q > 0) || p == kInfinity || q == kInfinity ||
      !(u >= 0 && u <= 1))
    return kNaN;
  if (u == 0 || u == 1)
    return u;
  return polish(p, q, u, bm::ibeta_inv(p, q, u), false);
}

static double betainccinv(double p, double q, double u) {
  if (!(p > 0) || !(q > 0) || p == kInfinity || q == kInfinity ||
      !(u >= 0 && u <= 1))
    return kNaN;
  if (u == 0 || u == 1)
    return 1 - u;
  return polish(p, q, u, bm::ibetac_inv(p, q, u), true);
}

/// x^(p - 1) (1 - x)^(q - 1) / beta(p, q); for p or q <= 0, too, one of them.
static double density(double p, double q, double x) {
  if (!(x >= 0 && x <= 1) || isNaN(p) || isNaN(q))
    return kNaN;
  if ((p <= 0 && isInteger(p)) || (q <= 0 && isInteger(q)))
    return 0;
  // 1 / beta(p, q) = p / (p + q) / beta(p + 1, q).
  double factor = 1;
  for (; p <= 0; p += 1)
    factor *= p / (p + q) / x;
  for (; q <= 0; q += 1)
    factor *= q / (p + q) / (1 - x);
  if (x == 0)
    return p > 1 ? 0 : p == 1 ? factor * q : factor * kInfinity;
  if (x == 1)
    return q > 1 ? 0 : q == 1 ? factor * p : factor * kInfinity;
  return factor * bm::ibeta_derivative(p, q, x);
}

/// betainc as a function of p = s and q = t by its continued fraction, which
/// converges fast where x is less than the mean.
static Jet lowerOf(const Jet &p, const Jet &q, double x, double logX,
                   double logY, double head) {
  // The factor x^p (1 - x)^q / (p beta(p, q)), whose logarithm has these
  // derivatives.
  double ofSum = bm::digamma(p.value + q.value),
         sumSlope = bm::trigamma(p.value + q.value);
  double dp = logX + ofSum - bm::digamma(p.value + 1),
         dq = logY + ofSum - bm::digamma(q.value),
         dpp = sumSlope - bm::trigamma(p.value + 1),
         dqq = sumSlope - bm::trigamma(q.value);
  head /= p.value;
  Jet factor = head;
  double a = p.s * dp + q.s * dq, c = p.t * dp + q.t * dq;
  factor.s = head * a;
  factor.t = head * c;
  factor.ss = head * (a * a + p.s * dpp + q.s * dqq);
  factor.st = head * (a * c + sumSlope);
  factor.tt = head * (c * c + p.t * dpp + q.t * dqq);

  // Lentz's method, for 1 + d1 / (1 + d2 / (1 + ...)).
  Jet fraction = 1, above = 1, below = 0;
  constexpr int kMaxTerms = 100000;
  for (int n = 1; n < kMaxTerms; ++n) {
    int m = n / 2;
    Jet d = n % 2 ? Jet(-x) * (p + m) * (p + q + m) /
                        ((p + 2 * m) * (p + (2 * m + 1)))
                  : m * x * (q - m) / ((p + (2 * m - 1)) * (p + 2 * m));
    below = inverse(Jet(1) + d * below);
    above = Jet(1) + d / above;
    Jet next = fraction * (above * below);
    bool isDone = isNear(next, fraction);
    fraction = next;
    if (isDone)
      return factor / fraction;
  }
  return kNaN;
}

static Jet betaincOf(double p, double q, double x) {
  if (isOutside(p, q, x) || limitOf(p, q) != Limit::None)
    return kNaN;
  if (x == 0 || x == 1)
    return x;
  double y = 1 - x, logX = std::log(x), logY = std::log1p(-x);
  double head = bm::ibeta_derivative(p, q, x) * x * y;
  if (x < (p + 1) / (p + q + 2))
    return lowerOf(Jet::first(p), Jet::second(q), x, logX, logY, head);
  return Jet(1) - lowerOf(Jet::second(q), Jet::first(p), y, logY, logX, head);
}

static double betainc_dp(double p, double q, double x) {
  return betaincOf(p, q, x).s;
}
static double betainc_dq(double p, double q, double x) {
  return betaincOf(p, q, x).t;
}
static double betainc_dpp(double p, double q, double x) {
  return betaincOf(p, q, x).ss;
}
static double betainc_dpq(double p, double q, double x) {
  return betaincOf(p, q, x).st;
}
static double betainc_dqq(double p, double q, double x) {
  return betaincOf(p, q, x).tt;
}

//===----------------------------------------------------------------------===//
// Student's t distribution
//===----------------------------------------------------------------------===//

static double stdtr(double df, double t) {
  if (!(df > 0) || isNaN(t))
    return kNaN;
  if (std::fabs(t) == kInfinity)
    return t > 0;
  if (df > 1e15)
    return 0.5 * bm::erfc(-t / std::sqrt(2.0));
  double square = t * t;
  // The tail, by the one of two forms whose argument is not near to 1.
  double tail = df > 2 * square
                    ? 0.5 * bm::ibetac(0.5, df / 2, square / (df + square))
                    : 0.5 * bm::ibeta(df / 2, 0.5, df / (df + square));
  return t > 0 ? 1 - tail : tail;
}

static double stdtrit(double df, double p) {
  if (!(df > 0) || !(p >= 0 && p <= 1))
    return kNaN;
  if (p == 0.5)
    return 0;
  double tail = p < 0.5 ? p : 1 - p, sign = p < 0.5 ? -1 : 1;
  if (tail == 0)
    return sign * kInfinity;
  if (df > 1e15)
    return sign * std::sqrt(2.0) * bm::erfc_inv(2 * tail);
  // Where x = df / (df + t^2) is near to 1, 1 - x.
  if (tail > 0.25) {
    double rest = betainccinv(0.5, df / 2, 2 * tail);
    return sign * std::sqrt(df * rest / (1 - rest));
  }
  double x = betaincinv(df / 2, 0.5, 2 * tail);
  return sign * std::sqrt(df * (1 - x) / x);
}

} // namespace gradopt::special

GRADOPT_SPECIAL_BINARY(stdtr, gradopt::special::stdtr)
GRADOPT_SPECIAL_BINARY(stdtrit, gradopt::special::stdtrit)

GRADOPT_SPECIAL_TERNARY(betainc, gradopt::special::betainc)
GRADOPT_SPECIAL_TERNARY(betaincc, gradopt::special::betaincc)
GRADOPT_SPECIAL_TERNARY(betaincinv, gradopt::special::betaincinv)
GRADOPT_SPECIAL_TERNARY(betainccinv, gradopt::special::betainccinv)
GRADOPT_SPECIAL_TERNARY(betainc_dx, gradopt::special::density)
GRADOPT_SPECIAL_TERNARY(betainc_dp, gradopt::special::betainc_dp)
GRADOPT_SPECIAL_TERNARY(betainc_dq, gradopt::special::betainc_dq)
GRADOPT_SPECIAL_TERNARY(betainc_dpp, gradopt::special::betainc_dpp)
GRADOPT_SPECIAL_TERNARY(betainc_dpq, gradopt::special::betainc_dpq)
GRADOPT_SPECIAL_TERNARY(betainc_dqq, gradopt::special::betainc_dqq)
