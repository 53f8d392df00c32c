//===- integrals.cpp - Exponential, sine, Fresnel and other integrals -----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "special.h"

#include <boost/math/special_functions/expint.hpp>
#include <boost/math/special_functions/owens_t.hpp>

namespace gradopt::special {

//===----------------------------------------------------------------------===//
// Exponential integrals
//===----------------------------------------------------------------------===//

static double expi(double x) {
  if (x == 0)
    return -kInfinity;
  if (std::fabs(x) == kInfinity)
    return x > 0 ? x : 0;
  return isNaN(x) ? x : bm::expint(x);
}

/// E_n(x) of any integer n: those below 0 by the recurrence from E_0 down, in
/// which no digits cancel.
static double expn(double n, double x) {
  if (!isInteger(n) || !(x >= 0) || !(std::fabs(n) <= 1e9))
    return kNaN;
  if (x == 0)
    return n > 1 ? 1 / (n - 1) : kInfinity;
  if (x == kInfinity)
    return 0;
  if (n >= 1)
    return bm::expint(static_cast<unsigned>(n), x);
  double top = std::exp(-x), result = top / x;
  for (double k = 0; k > n && result > 0 && result < kInfinity; k -= 1)
    result = (top + (1 - k) * result) / x;
  // Of numbers that vanish, those of orders beyond x need not do so.
  return result > 0 || -n <= x ? result : kNaN;
}

static double exp1(double x) { return expn(1, x); }

//===----------------------------------------------------------------------===//
// Complex continued fractions
//===----------------------------------------------------------------------===//

struct Complex {
  double re, im;
};

static Complex operator+(Complex a, Complex b) {
  return {a.re + b.re, a.im + b.im};
}
static Complex operator*(Complex a, Complex b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
static Complex operator*(double a, Complex b) { return {a * b.re, a * b.im}; }
static Complex inverse(Complex a) {
  double size = a.re * a.re + a.im * a.im;
  return {a.re / size, -a.im / size};
}

/// first + 2 step 0 - a_1 / (first + step - a_2 / (first + 2 step - ...)) by
/// Lentz's method.
template <typename Numerator>
static Complex fractionOf(Complex first, double step, Numerator numerator) {
  Complex fraction = first, c = first, d = {0, 0}, term = first;
  for (int n = 1; n < 10000; ++n) {
    double a = -numerator(n);
    term.re += step;
    d = inverse(term + a * d);
    c = term + a * inverse(c);
    Complex change = c * d;
    fraction = fraction * change;
    if (std::fabs(change.re - 1) + std::fabs(change.im) < kEpsilon)
      break;
  }
  return fraction;
}

//===----------------------------------------------------------------------===//
// Sine and cosine integrals
//===----------------------------------------------------------------------===//

/// E_1(i x) for x >= 2: -Ci(x) + i (Si(x) - pi/2).
static Complex exponentialIntegralOf(double x) {
  Complex fraction =
      fractionOf({1, x}, 2, [](int n) { return static_cast<double>(n) * n; });
  return Complex{std::cos(x), -std::sin(x)} * inverse(fraction);
}

/// The sum of sign^k x^j / (j j!) for j = first + 2 k.
static double integralSeries(double x, int first, double sign) {
  double square = sign * x * x, power = 1, sum = 0;
  for (int j = 1; j <= first; ++j)
    power *= x / j;
  if (first == 2)
    power *= sign;
  for (int j = first; j < 400; j += 2) {
    double term = power / j;
    sum += term;
    if (std::fabs(term) < 1e-18 * std::fabs(sum))
      break;
    power *= square / ((j + 1.0) * (j + 2.0));
  }
  return sum;
}

/// Up to here the series are used.
constexpr double kSeriesEnd = 3;

static double si(double x) {
  double size = std::fabs(x);
  if (size <= kSeriesEnd)
    return x == 0 ? x : integralSeries(x, 1, -1);
  if (isNaN(x))
    return x;
  double result =
      size == kInfinity ? kPi / 2 : kPi / 2 + exponentialIntegralOf(size).im;
  return std::copysign(result, x);
}

/// Even, as the real part of the complex function is.
static double ci(double x) {
  x = std::fabs(x);
  if (isNaN(x))
    return x;
  if (x == 0)
    return -kInfinity;
  if (x <= kSeriesEnd)
    return kEuler + std::log(x) + integralSeries(x, 2, -1);
  return x == kInfinity ? 0 : -exponentialIntegralOf(x).re;
}

static double shi(double x) {
  double size = std::fabs(x);
  if (isNaN(x) || x == 0 || size == kInfinity)
    return x;
  if (size <= 18)
    return integralSeries(x, 1, 1);
  return std::copysign(0.5 * bm::expint(size), x);
}

static double chi(double x) {
  double size = std::fabs(x);
  if (isNaN(x) || size == kInfinity)
    return size;
  if (x == 0)
    return -kInfinity;
  if (size <= 18)
    return kEuler + std::log(size) + integralSeries(size, 2, 1);
  return 0.5 * bm::expint(size);
}

//===----------------------------------------------------------------------===//
// Fresnel's integrals
//===----------------------------------------------------------------------===//

/// C(x) + i S(x) for x >= 0.
static Complex fresnel(double x) {
  double square = x * x, angle = kPi / 2 * square;
  if (x < 1.6) {
    // The integral of exp(i angle), term by term.
    Complex sum = {0, 0}, power = {x, 0};
    for (int n = 0; n < 200; ++n) {
      Complex term = (1.0 / (2 * n + 1)) * power;
      sum = sum + term;
      if (std::fabs(term.re) + std::fabs(term.im) <
          1e-18 * (std::fabs(sum.re) + std::fabs(sum.im)))
        break;
      power = (angle / (n + 1)) * Complex{-power.im, power.re};
    }
    return sum;
  }
  if (x > 1e8)
    return {0.5, 0.5};
  // (1 + i) / 2 erf(z), z = sqrt(pi) / 2 (1 - i) x, where erfc is
  // z exp(-z^2) / sqrt(pi) / (z^2 + 1/2 - 1/2 / (z^2 + 5/2 - ...)).
  Complex fraction =
      fractionOf({0.5, -angle}, 2, [](int n) { return n * (n - 0.5); });
  // x^2 modulo 4 with what its rounding loses.
  double low = std::fma(x, x, -square);
  double turn = kPi / 2 * (std::fmod(square, 4.0) + low);
  Complex wave = {std::cos(turn), std::sin(turn)};
  // (1 + i) / 2 (1 - i) / 2 = 1/2.
  Complex rest = (0.5 * x) * (wave * inverse(fraction));
  return {0.5 - rest.re, 0.5 - rest.im};
}

static double fresnel_s(double x) {
  return isNaN(x) ? x : std::copysign(fresnel(std::fabs(x)).im, x);
}
static double fresnel_c(double x) {
  return isNaN(x) ? x : std::copysign(fresnel(std::fabs(x)).re, x);
}

//===----------------------------------------------------------------------===//
// Others
//===----------------------------------------------------------------------===//

/// Dawson's integral as a sum of Gaussians at odd multiples of a step h
/// (Rybicki, Computers in Physics 3 (1989) 85), which is wrong by exp(-(pi / (2
/// h))^2).
static double dawsn(double x) {
  constexpr double kStep = 0.25;
  double size = std::fabs(x);
  if (isNaN(x))
    return x;
  if (size < 0.25) {
    // The sum of (-2 x^2)^n / (2 n + 1)!!.
    double term = x, sum = x;
    for (int n = 1; n < 20; ++n)
      sum += term *= -2 * x * x / (2 * n + 1);
    return sum;
  }
  if (size > 50) {
    double z = 1 / (x * x);
    return 0.5 / x * (1 + z * (0.5 + z * (0.75 + z * (1.875 + z * (6.5625)))));
  }
  double nearest = 2 * std::floor(0.5 * size / kStep + 0.5);
  double rest = size - nearest * kStep, sum = 0;
  for (int n = 27; n >= 1; n -= 2) {
    double below = rest + n * kStep, above = rest - n * kStep;
    sum += std::exp(-above * above) / (nearest + n) +
           std::exp(-below * below) / (nearest - n);
  }
  return std::copysign(sum / 1.77245385090551602730, x);
}

/// The integral of log(t) / (1 - t) from 1 to x: the dilogarithm of 1 - x.
static double spence(double x) {
  if (!(x >= 0))
    return kNaN;
  if (x == 0)
    return kPi * kPi / 6;
  if (x == kInfinity)
    return -kInfinity;
  if (x > 2) {
    double u = std::log(x);
    return -0.5 * u * u - spence(1 / x);
  }
  if (x < 0.5)
    return kPi * kPi / 6 - std::log(x) * std::log1p(-x) - spence(1 - x);
  // u - u^2 / 4 + the sum of B_2k u^(2k + 1) / (2k + 1)!, u = -log(x).
  constexpr double kTerms[] = {
      0.027777777777777777778,   -0.00027777777777777777778,
      4.7241118669690098262e-6,  -9.1857730746619635509e-8,
      1.8978869988970999072e-9,  -4.0647616451442255268e-11,
      8.9216910204564525552e-13, -1.9939295860721075687e-14,
      4.5189800296199181917e-16, -1.0356517612182470145e-17};
  double u = -std::log1p(x - 1), z = u * u, sum = 0;
  for (int k = 9; k >= 0; --k)
    sum = kTerms[k] + z * sum;
  return u * (1 - u / 4 + z * sum);
}

static double owens_t(double h, double a) {
  if (isNaN(h) || isNaN(a))
    return kNaN;
  if (std::fabs(h) == kInfinity)
    return 0;
  return bm::owens_t(h, a);
}

} // namespace gradopt::special

GRADOPT_SPECIAL_UNARY(expi, gradopt::special::expi)
GRADOPT_SPECIAL_UNARY(exp1, gradopt::special::exp1)
GRADOPT_SPECIAL_BINARY(expn, gradopt::special::expn)
GRADOPT_SPECIAL_UNARY(si, gradopt::special::si)
GRADOPT_SPECIAL_UNARY(ci, gradopt::special::ci)
GRADOPT_SPECIAL_UNARY(shi, gradopt::special::shi)
GRADOPT_SPECIAL_UNARY(chi, gradopt::special::chi)
GRADOPT_SPECIAL_UNARY(fresnel_s, gradopt::special::fresnel_s)
GRADOPT_SPECIAL_UNARY(fresnel_c, gradopt::special::fresnel_c)
GRADOPT_SPECIAL_UNARY(dawsn, gradopt::special::dawsn)
GRADOPT_SPECIAL_UNARY(spence, gradopt::special::spence)
GRADOPT_SPECIAL_BINARY(owens_t, gradopt::special::owens_t)
