//===- zeta.cpp - Zeta functions ------------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Jet.h"

#include <boost/math/special_functions/digamma.hpp>
#include <boost/math/special_functions/gamma.hpp>
#include <boost/math/special_functions/trigamma.hpp>
#include <boost/math/special_functions/zeta.hpp>

namespace gradopt::special {

/// exp(-s log(x)) as a function of the jet s.
static Jet powerOf(double x, const Jet &s) {
  double f = std::pow(x, -s.value), slope = -std::log(x);
  return s.map(f, f * slope, f * slope * slope);
}

/// Hurwitz's zeta function by the formula of Euler and Maclaurin.
static Jet hurwitz(const Jet &s, double x) {
  // B_2k / (2k)!
  constexpr double kTerms[] = {
      0.083333333333333333333,   -0.0013888888888888888889,
      3.3068783068783068783e-5,  -8.2671957671957671958e-7,
      2.0876756987868098979e-8,  -5.2841901386874931848e-10,
      1.3382536530684678833e-11, -3.3896802963225828668e-13,
      8.5860620562778445641e-15, -2.1748686985580618730e-16,
      5.5090028283602295153e-18, -1.3954464685812523341e-19};
  Jet sum = 0;
  // Negative numbers are integers to the power of s there.
  for (double start = 10 + std::fabs(s.value); x <= start; x += 1) {
    Jet term = x > 0 ? powerOf(x, s)
                     : Jet((isOdd(s.value) ? -1 : 1) * std::pow(-x, -s.value));
    sum = sum + term;
    if (x > 0 && !matters(term, sum))
      return sum;
  }
  Jet power = powerOf(x, s);
  sum = sum + power * x / (s - 1) + 0.5 * power;
  Jet rising = s;
  Jet factor = power * (1 / x);
  for (int k = 0; k < 12; ++k) {
    Jet term = kTerms[k] * rising * factor;
    sum = sum + term;
    if (!matters(term, sum))
      break;
    rising = rising * (s + (2 * k + 1)) * (s + (2 * k + 2));
    factor = factor * (1 / (x * x));
  }
  return sum;
}

static double zeta(double s, double x) {
  if (!(s >= 1) || isNaN(x))
    return kNaN;
  if (s == 1)
    return kInfinity;
  if (x <= 0) {
    if (isInteger(x))
      return kInfinity;
    if (!isInteger(s) || x < -1e6)
      return kNaN;
  }
  if (s == kInfinity)
    return x > 1 ? 0 : x == 1 ? 1 : kInfinity;
  if (x == kInfinity)
    return 0;
  if (x > 0x1p60)
    return std::pow(x, 1 - s) / (s - 1);
  return hurwitz(s, x).value;
}

/// The derivative of psi of the order n, an integer.
static double polygamma(double n, double x) {
  if (!(n >= 0) || !isInteger(n) || isNaN(x))
    return kNaN;
  if (n == 0) {
    if (x == 0)
      return std::copysign(kInfinity, -x);
    return x < 0 && isInteger(x) ? kNaN : x == kInfinity ? x : bm::digamma(x);
  }
  return (isOdd(n) ? 1 : -1) * bm::tgamma(n + 1) * zeta(n + 1, x);
}

static double riemann_zeta(double s) {
  if (s == 1)
    return kInfinity;
  if (s == kInfinity)
    return 1;
  return s == -kInfinity || isNaN(s) ? kNaN : bm::zeta(s);
}

/// The function with its derivatives in s. Below 1 it is Riemann's, x = 1, by
/// the functional equation.
static Jet zetaOf(double s, double x) {
  if (isNaN(s) || !(x > 0) || (s < 1 && x != 1) || s == -kInfinity)
    return {kNaN, kNaN, 0, kNaN, 0, 0};
  if (s == 1)
    return {kInfinity, -kInfinity, 0, kInfinity, 0, 0};
  if (s == kInfinity || x == kInfinity)
    return 0;
  if (s > 0)
    return hurwitz(Jet::first(s), x);
  // 2 (2 pi)^(s - 1) sin(pi s / 2) gamma(1 - s) zeta(1 - s)
  Jet t = Jet::first(s), rest = Jet(1) - t;
  Jet power = powerOf(2 * kPi, rest);
  double angle = kPi / 2 * std::fmod(s, 4), f = std::sin(angle);
  Jet sine = t.map(f, kPi / 2 * std::cos(angle), -kPi * kPi / 4 * f);
  double g = bm::tgamma(1 - s), psi = bm::digamma(1 - s);
  Jet gamma = rest.map(g, g * psi, g * (psi * psi + bm::trigamma(1 - s)));
  if (s == 0)
    // The zero of the sine meets a pole.
    return {-0.5, -0.918938533204672741780, 0, -2.00635645590858485122, 0, 0};
  return 2 * power * sine * gamma * hurwitz(rest, 1);
}

static double zeta_ds(double s, double x) { return zetaOf(s, x).s; }
static double zeta_dss(double s, double x) { return zetaOf(s, x).ss; }

} // namespace gradopt::special

GRADOPT_SPECIAL_BINARY(zeta, gradopt::special::zeta)
GRADOPT_SPECIAL_BINARY(polygamma, gradopt::special::polygamma)
GRADOPT_SPECIAL_BINARY(zeta_ds, gradopt::special::zeta_ds)
GRADOPT_SPECIAL_BINARY(zeta_dss, gradopt::special::zeta_dss)
GRADOPT_SPECIAL_UNARY(riemann_zeta, gradopt::special::riemann_zeta)
