//===- gamma.cpp - Gamma functions ----------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The incomplete gamma functions, their inverses and their derivatives in the
// shape; the gamma and beta functions.
//
//===----------------------------------------------------------------------===//

#include "Jet.h"

#include <boost/math/special_functions/beta.hpp>
#include <boost/math/special_functions/digamma.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <boost/math/special_functions/trigamma.hpp>

namespace gradopt::special {

//===----------------------------------------------------------------------===//
// Incomplete gamma functions
//===----------------------------------------------------------------------===//

/// Whether a and x, not both at the end of their domain, are in it.
static bool isOutside(double a, double x) {
  return !(a >= 0) || !(x >= 0) || (a == 0 && x == 0) ||
         (a == kInfinity && x == kInfinity);
}

static double gammainc(double a, double x) {
  if (isOutside(a, x))
    return kNaN;
  if (x == 0 || a == kInfinity)
    return 0;
  return a == 0 || x == kInfinity ? 1 : bm::gamma_p(a, x);
}

static double gammaincc(double a, double x) {
  if (isOutside(a, x))
    return kNaN;
  if (x == 0 || a == kInfinity)
    return 1;
  return a == 0 || x == kInfinity ? 0 : bm::gamma_q(a, x);
}

/// What is less than all numbers is the least normal one to root finders.
static double flushed(double x) { return x <= 0x1p-1022 ? 0 : x; }

static double gammaincinv(double a, double p) {
  if (!(a > 0) || !(p >= 0 && p <= 1))
    return kNaN;
  if (p == 0)
    return 0;
  if (p == 1 || a == kInfinity)
    return kInfinity;
  return flushed(bm::gamma_p_inv(a, p));
}

static double gammainccinv(double a, double p) {
  if (!(a > 0) || !(p >= 0 && p <= 1))
    return kNaN;
  if (p == 1)
    return 0;
  if (p == 0 || a == kInfinity)
    return kInfinity;
  return flushed(bm::gamma_q_inv(a, p));
}

/// x^(a - 1) exp(-x) / gamma(a); for a <= 0, too, where gamma has a sign and
/// poles.
static double density(double a, double x) {
  if (isNaN(a) || !(x >= 0))
    return kNaN;
  if (a <= 0 && isInteger(a))
    return 0;
  if (x == kInfinity || a == kInfinity)
    return 0;
  if (x == 0)
    return a > 1    ? 0
           : a == 1 ? 1
           : a > 0  ? kInfinity
                    : std::copysign(kInfinity, isOdd(std::floor(a)) ? -1 : 1);
  double factor = 1;
  for (; a <= 0; a += 1)
    // gamma(a) = gamma(a + 1) / a.
    factor *= a / x;
  return factor * bm::gamma_p_derivative(a, x);
}

/// gammainc as a function of a = s. The lower function by its series, the upper
/// one by its continued fraction, each where it is the smaller one.
static Jet gammaincOf(double a, double x) {
  if (isOutside(a, x) || a == 0)
    return kNaN;
  if (x == 0 || x == kInfinity || a == kInfinity)
    return gammainc(a, x);
  Jet shape = Jet::first(a);
  // x^a exp(-x) / gamma(a + 1), whose logarithm has these derivatives.
  double slope = std::log(x) - bm::digamma(a + 1),
         curvature = -bm::trigamma(a + 1), head = density(a, x) * (x / a);
  Jet factor(head, head * slope, 0, head * (slope * slope + curvature), 0, 0);
  constexpr int kMaxTerms = 1000000;
  if (x < a + 1) {
    Jet term(1), sum(1);
    for (int n = 1; n < kMaxTerms; ++n) {
      term = term * (x * inverse(shape + n));
      sum = sum + term;
      if (!matters(term, sum))
        return factor * sum;
    }
    return kNaN;
  }
  // Lentz's method, for x + 1 - a - (1 - a) / (x + 3 - a - ...).
  Jet denominator = Jet(x + 1) - shape;
  Jet fraction = denominator, c = denominator, d(0);
  for (int n = 1; n < kMaxTerms; ++n) {
    Jet numerator = n * (shape - n);
    denominator = denominator + 2;
    d = inverse(denominator + numerator * d);
    c = denominator + numerator / c;
    Jet next = fraction * (c * d);
    bool isDone = isNear(next, fraction);
    fraction = next;
    if (isDone)
      return Jet(1) - factor * shape / fraction;
  }
  return kNaN;
}

static double gammainc_da(double a, double x) { return gammaincOf(a, x).s; }
static double gammainc_daa(double a, double x) { return gammaincOf(a, x).ss; }

//===----------------------------------------------------------------------===//
// The gamma function
//===----------------------------------------------------------------------===//

static bool isPole(double x) { return x <= 0 && isInteger(x); }

static double gamma(double x) {
  if (x == 0)
    return std::copysign(kInfinity, x);
  if (isPole(x))
    return kNaN;
  if (x > 172)
    return x * kInfinity;
  // Half-way to the next pole, gamma is less than all numbers.
  return x < -190 ? (isOdd(std::floor(x)) ? -0.0 : 0.0) : bm::tgamma(x);
}

/// log(gamma(x)) - (x - 1/2) log(x) + x - log(2 pi) / 2 for x >= 100, by
/// Stirling's series.
static double stirlingRest(double x) {
  double z = 1 / (x * x);
  return (1.0 / 12 - z * (1.0 / 360 - z * (1.0 / 1260 - z / 1680))) / x;
}

/// log(gamma(x) / gamma(x + s)) for x >= 100, without the difference of two
/// large logarithms.
static double logGammaRatio(double x, double s) {
  return s - (x - 0.5) * std::log1p(s / x) - s * std::log(x + s) +
         (stirlingRest(x) - stirlingRest(x + s));
}

static double betaln(double p, double q);

static double beta(double p, double q) {
  if (p > 0 && q > 0) {
    if (p == kInfinity || q == kInfinity)
      return 0;
    double large = p < q ? q : p;
    return large < 1e5 ? bm::beta(p, q) : std::exp(betaln(p, q));
  }
  // Of negative numbers, where the gammas have signs.
  if (isPole(p) || isPole(q)) {
    if (isPole(p + q) && !(isPole(p) && isPole(q))) {
      // gamma(p) / gamma(p + q) has a limit: q is a positive integer.
      double n = isPole(p) ? q : p, m = isPole(p) ? p : q;
      return (isOdd(n) ? -1 : 1) * bm::beta(1 - m - n, n);
    }
    return kInfinity;
  }
  if (isPole(p + q))
    return 0;
  if (isNaN(p) || isNaN(q))
    return kNaN;
  int signs[3];
  double sum = bm::lgamma(p, &signs[0]) + bm::lgamma(q, &signs[1]) -
               bm::lgamma(p + q, &signs[2]);
  return signs[0] * signs[1] * signs[2] * std::exp(sum);
}

static double betaln(double p, double q) {
  if (p > 0 && q > 0) {
    double small = p < q ? p : q, large = p < q ? q : p;
    if (large == kInfinity)
      return -kInfinity;
    if (large < 100)
      return std::log(bm::beta(p, q));
    return bm::lgamma(small) + logGammaRatio(large, small);
  }
  if (isPole(p) || isPole(q) || isPole(p + q))
    return std::log(std::fabs(beta(p, q)));
  return bm::lgamma(p) + bm::lgamma(q) - bm::lgamma(p + q);
}

} // namespace gradopt::special

GRADOPT_SPECIAL_BINARY(gammainc, gradopt::special::gammainc)
GRADOPT_SPECIAL_BINARY(gammaincc, gradopt::special::gammaincc)
GRADOPT_SPECIAL_BINARY(gammaincinv, gradopt::special::gammaincinv)
GRADOPT_SPECIAL_BINARY(gammainccinv, gradopt::special::gammainccinv)
GRADOPT_SPECIAL_BINARY(gammainc_dx, gradopt::special::density)
GRADOPT_SPECIAL_BINARY(gammainc_da, gradopt::special::gammainc_da)
GRADOPT_SPECIAL_BINARY(gammainc_daa, gradopt::special::gammainc_daa)
GRADOPT_SPECIAL_UNARY(gamma, gradopt::special::gamma)
GRADOPT_SPECIAL_BINARY(beta, gradopt::special::beta)
GRADOPT_SPECIAL_BINARY(betaln, gradopt::special::betaln)
