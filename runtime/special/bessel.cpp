//===- bessel.cpp - Bessel and Airy functions -----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "special.h"

#include <boost/math/special_functions/airy.hpp>
#include <boost/math/special_functions/bessel.hpp>

namespace gradopt::special {

//===----------------------------------------------------------------------===//
// Scaled functions where the others leave the range
//===----------------------------------------------------------------------===//

/// Whether exp(x) may overflow, or a recurrence to the order v is long.
static bool isLarge(double v, double x) { return v * v + x * x > 700.0 * 700; }

/// The expansion that is uniform in the order v >= 0 (DLMF 10.41), of which
/// four terms are exact where v or x is large: exp(shift - x) I(v, x), or
/// exp(shift + x) K(v, x).
static double uniform(double v, double x, bool isFirstKind, double shift) {
  double larger = v > x ? v : x, part = v > x ? x / v : v / x;
  double length = larger * std::sqrt(1 + part * part);
  double t = 1 / length, p = v * t, z = p * p;
  double terms[] = {
      (3 - 5 * z) / 24, (81 + z * (-462 + z * 385)) / 1152,
      (30375 + z * (-369603 + z * (765765 - z * 425425))) / 414720,
      (4465125 +
       z * (-94121676 + z * (349922430 + z * (-446185740 + z * 185910725)))) /
          39813120};
  double sign = isFirstKind ? 1 : -1, sum = 0;
  for (int k = 3; k >= 0; --k)
    sum = sign * t * (terms[k] + sum);
  // sqrt(v^2 + x^2) - v asinh(v / x) - x, without the difference of the large
  // terms.
  double ratio = v / x;
  double exponent = v * (v / (length + x) -
                         (ratio < kInfinity ? std::asinh(ratio)
                                            : std::log(2 * v) - std::log(x)));
  double scale = isFirstKind ? t / (2 * kPi) : t * kPi / 2;
  return std::exp(sign * exponent + shift) * std::sqrt(scale) * (1 + sum);
}

//===----------------------------------------------------------------------===//
// Real orders
//===----------------------------------------------------------------------===//

static double jv(double v, double x) {
  if (isNaN(v) || isNaN(x) || (x < 0 && !isInteger(v)))
    return kNaN;
  if (std::fabs(x) == kInfinity)
    return 0;
  if (v < 0 && !isInteger(v)) {
    // An overflow that forgets its sign.
    double sign = isOdd(std::floor(v)) ? -1 : 1;
    if (x == 0)
      return sign * kInfinity;
    double result = bm::cyl_bessel_j(v, x);
    return std::fabs(result) == kInfinity ? sign * kInfinity : result;
  }
  return bm::cyl_bessel_j(v, x);
}

static double yv(double v, double x) {
  if (isNaN(v) || !(x >= 0))
    return kNaN;
  if (x == kInfinity)
    return 0;
  return x == 0 ? -kInfinity : bm::cyl_neumann(v, x);
}

/// exp(shift - |x|) I(v, x) where v or x is large.
static double largeIv(double v, double x, double shift) {
  double size = std::fabs(x);
  double result = uniform(std::fabs(v), size, true, shift);
  // I(-v) is I(v) and a multiple of K(v).
  if (v < 0 && !isInteger(v))
    result += 2 / kPi * std::sin(kPi * std::fmod(-v, 2)) *
              uniform(-v, size, false, shift - 2 * size);
  return x < 0 && isOdd(v) ? -result : result;
}

static double iv(double v, double x) {
  if (isNaN(v) || isNaN(x) || (x < 0 && !isInteger(v)))
    return kNaN;
  if (std::fabs(x) == kInfinity)
    return x < 0 && isOdd(v) ? -kInfinity : kInfinity;
  if (x == 0 && v < 0 && !isInteger(v))
    return std::copysign(kInfinity, isOdd(std::floor(v)) ? -1 : 1);
  return x != 0 && isLarge(v, x) ? largeIv(v, x, std::fabs(x))
                                 : bm::cyl_bessel_i(v, x);
}

static double kv(double v, double x) {
  if (isNaN(v) || !(x >= 0))
    return kNaN;
  if (x == kInfinity)
    return 0;
  if (x == 0)
    return kInfinity;
  if (isLarge(v, x))
    return uniform(std::fabs(v), x, false, -x);
  return bm::cyl_bessel_k(std::fabs(v), x);
}

static double kve(double v, double x) {
  if (isNaN(v) || !(x >= 0))
    return kNaN;
  if (x == kInfinity)
    return 0;
  if (isLarge(v, x))
    return uniform(std::fabs(v), x, false, 0);
  return kv(v, x) * std::exp(x);
}

static double ive(double v, double x) {
  if (isNaN(v) || isNaN(x) || (x < 0 && !isInteger(v)))
    return kNaN;
  double size = std::fabs(x);
  if (size == kInfinity)
    return 0;
  return x != 0 && isLarge(v, x) ? largeIv(v, x, 0)
                                 : iv(v, x) * std::exp(-size);
}

//===----------------------------------------------------------------------===//
// Orders 0 and 1
//===----------------------------------------------------------------------===//

template <int order> double j(double x) {
  if (std::fabs(x) == kInfinity)
    return 0;
  return isNaN(x) ? x : bm::cyl_bessel_j(order, x);
}
template <int order> double y(double x) {
  if (!(x > 0))
    return x == 0 ? -kInfinity : kNaN;
  return x == kInfinity ? 0 : bm::cyl_neumann(order, x);
}
template <int order> double i(double x) {
  if (std::fabs(x) == kInfinity)
    return order == 1 ? x : kInfinity;
  return isNaN(x) ? x : bm::cyl_bessel_i(order, x);
}
template <int order> double ie(double x) { return ive(order, x); }
template <int order> double k(double x) {
  if (!(x > 0))
    return x == 0 ? kInfinity : kNaN;
  return x == kInfinity ? 0 : bm::cyl_bessel_k(order, x);
}
template <int order> double ke(double x) { return kve(order, x); }

//===----------------------------------------------------------------------===//
// Spherical functions, of an integer n >= 0
//===----------------------------------------------------------------------===//

static bool isOrder(double n) { return n >= 0 && isInteger(n) && n < 1e9; }

/// Those of a negative argument: even or odd ones of the order.
static double signOf(double n, double x) { return x < 0 && isOdd(n) ? -1 : 1; }

static double spherical_jn(double n, double x) {
  if (!isOrder(n) || isNaN(x))
    return kNaN;
  if (std::fabs(x) == kInfinity)
    return 0;
  return signOf(n, x) * bm::sph_bessel(static_cast<unsigned>(n), std::fabs(x));
}

static double spherical_yn(double n, double x) {
  if (!isOrder(n) || isNaN(x))
    return kNaN;
  if (std::fabs(x) == kInfinity)
    return 0;
  if (x == 0)
    return -kInfinity;
  return signOf(n + 1, x) *
         bm::sph_neumann(static_cast<unsigned>(n), std::fabs(x));
}

static double spherical_in(double n, double x) {
  if (!isOrder(n) || isNaN(x))
    return kNaN;
  if (x == 0)
    return n == 0;
  double size = std::fabs(x);
  if (size == kInfinity)
    return signOf(n, x) * kInfinity;
  if (size < 1e-3) {
    double first = 1;
    for (int k = 1; k <= n && first != 0; ++k)
      first *= size / (2 * k + 1);
    double z = size * size / 2;
    return signOf(n, x) * first *
           (1 + z / (2 * n + 3) * (1 + z / (2 * (2 * n + 5))));
  }
  double root = std::sqrt(kPi / (2 * size));
  if (!isLarge(n, size))
    return signOf(n, x) * root * iv(n + 0.5, size);
  return signOf(n, x) * root * ive(n + 0.5, size) * std::exp(size / 2) *
         std::exp(size / 2);
}

static double spherical_kn(double n, double x) {
  if (!isOrder(n) || isNaN(x))
    return kNaN;
  if (x == 0)
    return kInfinity;
  if (std::fabs(x) == kInfinity)
    return x > 0 ? 0 : -kInfinity;
  if (x > 0 && n > 20)
    return std::sqrt(kPi / (2 * x)) * kv(n + 0.5, x);
  // The sum of (n + k)! / (k! (n - k)!) (2 x)^-k ends (DLMF 10.49.12).
  double term = 1, sum = 1;
  for (double k = 1; k <= n; k += 1)
    sum += term *= (n + k) * (n - k + 1) / k / (2 * x);
  return kPi / 2 * std::exp(-x) / x * sum;
}

//===----------------------------------------------------------------------===//
// Airy functions
//===----------------------------------------------------------------------===//

/// The two series at 0 that both functions are made of: f = 1 + x^3/6 + ...,
/// g = x + x^4/12 + ..., and their derivatives.
struct AirySeries {
  double f, g, slopeOfF, slopeOfG;

  explicit AirySeries(double x) {
    double z = x * x * x;
    f = 1 + z / 6 * (1 + z / 30 * (1 + z / 72));
    g = x * (1 + z / 12 * (1 + z / 42 * (1 + z / 90)));
    slopeOfF = x * x / 2 * (1 + z / 15 * (1 + z / 48));
    slopeOfG = 1 + z / 3 * (1 + z / 24 * (1 + z / 63));
  }
};

/// Ai(0), -Ai'(0), and the square root of 3.
constexpr double kAi = 0.355028053887817239, kAiSlope = 0.258819403792806798,
                 kRoot3 = 1.73205080756887729;

static bool isSmall(double x) { return std::fabs(x) < 0.05; }

static double airy_ai(double x) {
  if (isSmall(x))
    return kAi * AirySeries(x).f - kAiSlope * AirySeries(x).g;
  return isNaN(x) ? x : bm::airy_ai(x);
}
static double airy_ai_dx(double x) {
  if (isSmall(x))
    return kAi * AirySeries(x).slopeOfF - kAiSlope * AirySeries(x).slopeOfG;
  return isNaN(x) ? x : bm::airy_ai_prime(x);
}
static double airy_bi(double x) {
  if (isSmall(x))
    return kRoot3 * (kAi * AirySeries(x).f + kAiSlope * AirySeries(x).g);
  return isNaN(x) ? x : bm::airy_bi(x);
}
static double airy_bi_dx(double x) {
  if (isSmall(x))
    return kRoot3 *
           (kAi * AirySeries(x).slopeOfF + kAiSlope * AirySeries(x).slopeOfG);
  return isNaN(x) ? x : bm::airy_bi_prime(x);
}

} // namespace gradopt::special

GRADOPT_SPECIAL_BINARY(jv, gradopt::special::jv)
GRADOPT_SPECIAL_BINARY(yv, gradopt::special::yv)
GRADOPT_SPECIAL_BINARY(iv, gradopt::special::iv)
GRADOPT_SPECIAL_BINARY(ive, gradopt::special::ive)
GRADOPT_SPECIAL_BINARY(kv, gradopt::special::kv)
GRADOPT_SPECIAL_BINARY(kve, gradopt::special::kve)
GRADOPT_SPECIAL_UNARY(j0, gradopt::special::j<0>)
GRADOPT_SPECIAL_UNARY(j1, gradopt::special::j<1>)
GRADOPT_SPECIAL_UNARY(y0, gradopt::special::y<0>)
GRADOPT_SPECIAL_UNARY(y1, gradopt::special::y<1>)
GRADOPT_SPECIAL_UNARY(i0, gradopt::special::i<0>)
GRADOPT_SPECIAL_UNARY(i1, gradopt::special::i<1>)
GRADOPT_SPECIAL_UNARY(i0e, gradopt::special::ie<0>)
GRADOPT_SPECIAL_UNARY(i1e, gradopt::special::ie<1>)
GRADOPT_SPECIAL_UNARY(k0, gradopt::special::k<0>)
GRADOPT_SPECIAL_UNARY(k1, gradopt::special::k<1>)
GRADOPT_SPECIAL_UNARY(k0e, gradopt::special::ke<0>)
GRADOPT_SPECIAL_UNARY(k1e, gradopt::special::ke<1>)
GRADOPT_SPECIAL_BINARY(spherical_jn, gradopt::special::spherical_jn)
GRADOPT_SPECIAL_BINARY(spherical_yn, gradopt::special::spherical_yn)
GRADOPT_SPECIAL_BINARY(spherical_in, gradopt::special::spherical_in)
GRADOPT_SPECIAL_BINARY(spherical_kn, gradopt::special::spherical_kn)
GRADOPT_SPECIAL_UNARY(airy_ai, gradopt::special::airy_ai)
GRADOPT_SPECIAL_UNARY(airy_ai_dx, gradopt::special::airy_ai_dx)
GRADOPT_SPECIAL_UNARY(airy_bi, gradopt::special::airy_bi)
GRADOPT_SPECIAL_UNARY(airy_bi_dx, gradopt::special::airy_bi_dx)
