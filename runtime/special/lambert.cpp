//===- lambert.cpp - Lambert's W function ---------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "special.h"

namespace gradopt::special {

constexpr double kInverseE = 0.367879441171442321596;

/// w such that w exp(w) = x, near to the point -1/e where both branches meet:
/// its series in p = +-sqrt(2 (e x + 1)) (Corless et al., On the Lambert W
/// function, 1996, 4.22).
static double nearBranchPoint(double p) {
  constexpr double kTerms[] = {-1.0,
                               1.0,
                               -0.33333333333333333333,
                               0.15277777777777777778,
                               -0.07962962962962962963,
                               0.044502314814814814815,
                               -0.025984714873603762493,
                               0.015635632532333921223,
                               -0.0096168920242994317068,
                               0.006014543252956117861,
                               -0.0038112980348919992267,
                               0.0024408779911439826659,
                               -0.0015769303446867842539,
                               0.0010262633205076071544,
                               -0.000672061631156136204,
                               0.00044247306181462090993};
  double w = 0;
  for (int k = 15; k >= 0; --k)
    w = kTerms[k] + p * w;
  return w;
}

/// e x + 1, with e in two words.
static double aboveBranchPoint(double x) {
  return std::fma(2.71828182845904509080, x, 1) + 1.4456468917292502e-16 * x;
}

/// Halley's method.
static double refine(double x, double w) {
  for (int k = 0; k < 20; ++k) {
    double e = std::exp(w), rest = w - x / e;
    double step = rest / ((w + 1) - (w + 2) * rest / (2 * (w + 1)));
    w -= step;
    if (std::fabs(step) <= 1e-10 * std::fabs(w))
      break;
  }
  return w;
}

static double lambertw(double x) {
  if (!(x >= -kInverseE))
    return kNaN;
  if (x == 0 || x == kInfinity)
    return x;
  double p = std::sqrt(2 * std::fmax(aboveBranchPoint(x), 0));
  if (p < 0.2)
    return nearBranchPoint(p);
  if (std::fabs(x) < 1e-8)
    return x * (1 - x);
  if (x < 3)
    return refine(x, std::log1p(x) * (x < 0 ? 1.2 : 0.8));
  double first = std::log(x), second = std::log(first);
  if (x < 1e300)
    return refine(x, first - second + second / first);
  // Where exp(w) may overflow: w + log(w) = log(x).
  double w = first - second + second / first;
  for (int k = 0; k < 5; ++k)
    w -= (w + std::log(w) - first) / (1 + 1 / w);
  return w;
}

static double lambertw_below(double x) {
  if (!(x >= -kInverseE && x <= 0))
    return kNaN;
  if (x == 0)
    return -kInfinity;
  double p = std::sqrt(2 * std::fmax(aboveBranchPoint(x), 0));
  if (p < 0.2)
    return nearBranchPoint(-p);
  double first = std::log(-x), second = std::log(-first);
  double w = x < -0.25 ? nearBranchPoint(-p) : first - second + second / first;
  // exp(w) may underflow: log(-w) + w = log(-x).
  for (int k = 0; k < 20; ++k) {
    double step = (w + std::log(-w) - first) / (1 + 1 / w);
    w -= step;
    if (std::fabs(step) <= 1e-16 * std::fabs(w))
      break;
  }
  return w;
}

} // namespace gradopt::special

GRADOPT_SPECIAL_UNARY(lambertw, gradopt::special::lambertw)
GRADOPT_SPECIAL_UNARY(lambertw_below, gradopt::special::lambertw_below)
