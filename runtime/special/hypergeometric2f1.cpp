//===- hypergeometric2f1.cpp - Gauss's hypergeometric function ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Of real operands. Negative arguments go to those in [0, 1) by Pfaff's
// transformation (DLMF 15.8.1). The series at 0 is taken where it keeps its
// digits; elsewhere the differential equation (15.10.1) is followed from near
// 0, by Taylor series within half of the distance to the next singular point,
// so that neither integer differences of parameters nor arguments near 1 are
// special.
//
//===----------------------------------------------------------------------===//

#include "Pair.h"
#include "special.h"

#include <boost/math/special_functions/gamma.hpp>

namespace gradopt::special {

namespace {

/// A sum, and the size of its largest term.
struct Sum {
  double value, largest;

  /// The factor by which the rounding errors of terms count.
  double loss() const {
    return value == 0 ? kInfinity : largest / std::fabs(value);
  }
};

struct Parameters {
  double a, b, c;

  Parameters next() const { return {a + 1, b + 1, c + 1}; }
};

} // namespace

constexpr double kSmallLoss = 32;
constexpr int kMostTerms = 100000;

static bool isNatural(double x) { return x >= 0 && isInteger(x); }

/// The series at 0, for |x| < 1 or where it ends; NaN if it is too long.
static Sum series(const Parameters &p, double x) {
  double term = 1, sum = 1, largest = 1;
  double first = std::fmax(-p.a, std::fmax(-p.b, -p.c));
  for (int k = 0; k < kMostTerms; ++k) {
    term *= (p.a + k) * (p.b + k) / ((p.c + k) * (k + 1)) * x;
    sum += term;
    double size = std::fabs(term);
    if (size > largest)
      largest = size;
    if (term == 0 || (k > first && size < 0.1 * kEpsilon * std::fabs(sum)))
      return {sum, largest};
  }
  return {kNaN, 0};
}

/// The same where it ends, with digits to spare for those that cancel.
static double polynomial(const Parameters &p, double x) {
  Pair term{1, 0}, sum{1, 0};
  for (int k = 0; k < -p.a && k < kMostTerms; ++k) {
    Pair upper = exactSum(p.a, k) * exactSum(p.b, k) * Pair{x, 0};
    term = term * upper / (exactSum(p.c, k) * Pair{k + 1.0, 0});
    sum = sum + term;
  }
  return -p.a < kMostTerms ? sum.high : kNaN;
}

/// Follows the differential equation from `x` to where 1 - x is `rest`.
static double followed(const Parameters &p, double x, double value,
                       double slope, double rest) {
  double w = 1 - x, total = p.a + p.b + 1;
  for (int step = 0; step < kMostTerms; ++step) {
    double left = w - rest;
    if (left <= 0)
      return value;
    double radius = std::fmin(x, w), h = std::fmin(0.5 * radius, left);
    double friction = (p.c - total) + total * w;
    // With each step that loses digits, one of half the size is tried.
    for (;; h *= 0.5) {
      // Terms are those of the value; those of the slope are divided by h.
      double older = value, newer = h * slope;
      double y = older + newer, dy = newer, largest = std::fabs(newer);
      double size = std::fabs(value) + largest;
      int small = 0;
      for (int k = 0; k < 400 && small < 2; ++k) {
        double next = ((p.a + k) * (p.b + k) * older * (h * h) -
                       ((w - x) * k + friction) * (k + 1) * newer * h) /
                      (x * w * (k + 1) * (k + 2));
        older = newer;
        newer = next;
        y += next;
        dy += (k + 2) * next;
        largest = std::fmax(largest, std::fabs(next));
        small =
            (k + 2) * std::fabs(next) < 0.1 * kEpsilon * size ? small + 1 : 0;
      }
      dy /= h;
      if (isNaN(y) || isNaN(dy))
        return kNaN;
      double scale = std::fabs(y) + radius * std::fabs(dy);
      if ((small == 2 && largest <= kSmallLoss * scale) || h < 1e-6 * radius) {
        value = y;
        slope = dy;
        break;
      }
    }
    x += h;
    w = h == left ? rest : w - h;
  }
  return kNaN;
}

/// For x in [0, 1), with 1 - x = rest.
static double inUnitInterval(const Parameters &p, double x, double rest) {
  if (x <= 0.9) {
    Sum direct = series(p, x);
    if (direct.loss() <= kSmallLoss)
      return direct.value;
    // Euler's transformation, DLMF 15.8.1.
    Parameters other{p.c - p.a, p.c - p.b, p.c};
    Sum euler = series(other, x);
    if (euler.loss() <= kSmallLoss)
      return std::pow(rest, p.c - p.a - p.b) * euler.value;
  }
  double start = std::fmin(0.5, x);
  Sum value = series(p, start), slope = series(p.next(), start);
  while (start > 1e-12 &&
         !(value.loss() <= kSmallLoss && slope.loss() <= kSmallLoss)) {
    start *= 0.5;
    value = series(p, start);
    slope = series(p.next(), start);
  }
  return followed(p, start, value.value, p.a * p.b / p.c * slope.value, rest);
}

/// Gauss's sum, at x = 1 (DLMF 15.4.20).
static double atOne(const Parameters &p) {
  double d = p.c - p.a - p.b;
  if (!(d > 0))
    return kInfinity;
  if (isNatural(p.a - p.c) || isNatural(p.b - p.c))
    return 0;
  int signs[3];
  double sum = bm::lgamma(p.c, &signs[0]) - bm::lgamma(p.c - p.a, &signs[1]) -
               bm::lgamma(p.c - p.b, &signs[2]);
  double most = std::fmax(std::fabs(p.c), std::fabs(p.c - p.a));
  if (std::fmax(most, std::fmax(std::fabs(p.c - p.b), d)) < 100)
    return bm::tgamma(p.c) / bm::tgamma(p.c - p.a) * bm::tgamma(d) /
           bm::tgamma(p.c - p.b);
  return signs[0] * signs[1] * signs[2] * std::exp(sum + bm::lgamma(d));
}

static double hyp2f1(double a, double b, double c, double x) {
  if (isNaN(a) || isNaN(b) || isNaN(c) || isNaN(x))
    return kNaN;
  if (isNatural(-b) && !(isNatural(-a) && a > b)) {
    double other = a;
    a = b;
    b = other;
  }
  // Now the series ends with the term -a, if it does.
  Parameters p{a, b, c};
  bool ends = isNatural(-a);
  if (isNatural(-c) && !(ends && a >= c))
    return kInfinity;
  if (x == 0 || a == 0 || b == 0)
    return 1;
  if (ends && (x >= 1 || x < -1 || a > -3))
    return polynomial(p, x);
  if (x > 1) {
    double d = c - a - b;
    if (d <= -1 && isInteger(d) && (isNatural(a - c) || isNatural(b - c)))
      return std::pow(1 - x, d) * polynomial(isNatural(a - c)
                                                 ? Parameters{c - a, c - b, c}
                                                 : Parameters{c - b, c - a, c},
                                             x);
    return kInfinity;
  }
  if (x == 1)
    return atOne(p);
  if (x > 0)
    return inUnitInterval(p, x, 1 - x);
  if (x == -kInfinity)
    return kNaN;
  if (x > -0.9) {
    Sum direct = series(p, x);
    if (direct.loss() <= kSmallLoss)
      return direct.value;
  }
  if (std::fabs(b) < std::fabs(a) && !ends) {
    p.a = b;
    p.b = a;
  }
  double z = x / (x - 1), rest = 1 / (1 - x);
  return std::pow(rest, p.a) * inUnitInterval({p.a, p.c - p.b, p.c}, z, rest);
}

} // namespace gradopt::special

GRADOPT_SPECIAL_QUATERNARY(hyp2f1, gradopt::special::hyp2f1)
