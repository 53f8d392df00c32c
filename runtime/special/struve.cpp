//===- struve.cpp - Struve functions --------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Power series (DLMF 11.2.1-2), in pairs of doubles where their terms cancel,
// and the expansion for large arguments (11.6.1).
//
//===----------------------------------------------------------------------===//

#include "Pair.h"
#include "special.h"

#include <boost/math/special_functions/gamma.hpp>

extern "C" double gradopt_jv_f64(double v, double x);
extern "C" double gradopt_iv_f64(double v, double x);
extern "C" double gradopt_yv_f64(double v, double x);

namespace gradopt::special {

constexpr double kRootPi = 1.77245385090551602730;

/// (x / 2)^(v + 1) / (gamma(3 / 2) gamma(v + 3 / 2)).
static double firstTerm(double v, double x) {
  double power = std::pow(0.5 * x, v + 1), factor = bm::tgamma(v + 1.5);
  if (std::fabs(power) < kInfinity && power != 0 &&
      std::fabs(factor) < kInfinity)
    return power / factor * (2 / kRootPi);
  int sign = 1;
  double logarithm = bm::lgamma(v + 1.5, &sign);
  return sign * std::exp((v + 1) * std::log(0.5 * x) - logarithm) *
         (2 / kRootPi);
}

/// The power series, its terms with alternating signs or without.
static double powerSeries(double v, double x, bool alternates) {
  Pair square = exactProduct(0.5 * x, 0.5 * x);
  if (alternates)
    square = {-square.high, -square.low};
  Pair term{1, 0}, sum{1, 0};
  for (int k = 0; k < 10000; ++k) {
    Pair shifted = exactSum(v, k + 1.5);
    term = term * square / (Pair{k + 1.5, 0} * shifted);
    sum = sum + term;
    if (k > -v && std::fabs(term.high) < 1e-18 * std::fabs(sum.high))
      break;
  }
  return sum.high * firstTerm(v, x);
}

/// The expansion of H - Y for large arguments; NaN if its terms do not become
/// small enough beside `least`.
static double differenceFar(double v, double x, double least) {
  double half = 0.5 * x, scale = std::pow(half, v - 1) / kRootPi;
  double term = scale / bm::tgamma(v + 0.5), sum = term;
  if (isNaN(term) || std::fabs(scale) == kInfinity)
    return kNaN;
  for (int k = 0; k < 200; ++k) {
    double next = term * (k + 0.5) * (v - 0.5 - k) / (half * half);
    if (std::fabs(next) > std::fabs(term) && k > v)
      return kNaN;
    term = next;
    sum += term;
    if (std::fabs(term) <= 0.1 * kEpsilon * (std::fabs(sum) + least))
      return sum;
  }
  return kNaN;
}

/// What is the same for both functions; `isModified` says which one it is.
static double ofEither(double v, double x, bool isModified) {
  if (isNaN(v) || isNaN(x))
    return kNaN;
  if (x < 0) {
    if (!isInteger(v))
      return kNaN;
    return (isOdd(v) ? 1 : -1) * ofEither(v, -x, isModified);
  }
  double n = -v - 0.5;
  bool isBessel = n > 0 && isInteger(n);
  if (x == 0) {
    if (v == -1)
      return 2 / kPi;
    if (v > -1 || isBessel)
      return 0;
    return bm::tgamma(v + 1.5) < 0 ? -kInfinity : kInfinity;
  }
  if (isBessel)
    return isModified ? gradopt_iv_f64(n + 0.5, x)
                      : (isOdd(n) ? -1 : 1) * gradopt_jv_f64(n + 0.5, x);
  if (x == kInfinity)
    return isModified || v > 1 ? kInfinity : v == 1 ? 2 / kPi : 0;
  if (isModified)
    return powerSeries(v, x, false);
  if (x > 20) {
    double y = gradopt_yv_f64(v, x);
    double far = differenceFar(v, x, std::fabs(y));
    if (!isNaN(far) || x > 40 + std::fabs(v))
      return far + y;
  }
  return powerSeries(v, x, true);
}

static double struve(double v, double x) { return ofEither(v, x, false); }
static double modstruve(double v, double x) { return ofEither(v, x, true); }

} // namespace gradopt::special

GRADOPT_SPECIAL_BINARY(struve, gradopt::special::struve)
GRADOPT_SPECIAL_BINARY(modstruve, gradopt::special::modstruve)
