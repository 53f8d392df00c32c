//===- lgamma.cpp - The logarithm of the gamma function -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// gammaln and its first two derivatives, psi and trigamma. Beyond 6 to 8 the
// asymptotic series; below, arguments are shifted by integers. Arguments below
// 0 are reflected.
//
//===----------------------------------------------------------------------===//

#include "log.h"

namespace gradopt {

constexpr double pi = 0x1.921fb54442d18p+1;

GRADOPT_INLINE double floor(double x) { return __builtin_floor(x); }
GRADOPT_INLINE float floor(float x) { return __builtin_floorf(x); }

/// sin(pi r) for |r| <= 1/2.
template <typename T> GRADOPT_INLINE T sinPi(T r) {
  T angle = T(pi) * r, z = angle * angle;
  return angle * z * horner(z, coefficients::Table<T>::sin) + angle;
}

/// The distance to the nearest integer: exact.
template <typename T> GRADOPT_INLINE T fromInteger(T x) {
  // Exact, also of small negative numbers, whose distance to -1 is rounded
  // to 1.
  T low = floor(x), above = x - low;
  return select(above > T(0.5), low + 1 - x, above);
}

/// log(gamma(x)) for x >= 0.
template <typename T> GRADOPT_INLINE T gammalnOfPositive(T x) {
  using C = coefficients::Table<T>;
  constexpr T rest = T(0.918938533204672741780 - 0.5);
  bool isFar = x >= 7;
  T near = select(isFar, T(2), x);
  // near = z + n with z in [1.5, 2.5), n from -2 to 5.
  T n = floor(near - T(1.5)), z = near - n, t = near - (n + 2);
  T product = select(n == -1, near, near * (near + 1));
  T rising = 1;
#pragma unroll
  for (int i = 0; i < 5; ++i)
    rising = select(T(i) < n, rising * (z + i), rising);
  product = select(n < 0, product, rising);
  T logarithm = log(select(isFar, x, product));
  T inner = (t + 1) * t * horner(t, C::gammaln) +
            select(n < 0, -logarithm, logarithm);
  // (x - 1/2) log(x) - x + log(2 pi) / 2 and its correction.
  T inverse = 1 / x;
  T outer = (x - T(0.5)) * (logarithm - 1) +
            (rest + inverse * horner(inverse * inverse, C::gammaln_far));
  return select(isFar, select(x < Format<T>::infinity, outer, x), inner);
}

/// log|gamma(x)| = log(pi / |sin(pi x)|) - log(gamma(1 - x)) below 0.
template <typename T> GRADOPT_INLINE T gammaln(T x) {
  bool isBelow = x < 0;
  T value = gammalnOfPositive(select(isBelow, 1 - x, x));
  T sine = sinPi(fromInteger(select(isBelow, x, T(0.5))));
  T below = -log(T(1 / pi) * sine) - value;
  T result = select(isBelow, below, value);
  // What SciPy has there.
  return select(x == -Format<T>::infinity, x, result);
}

/// The zero of psi.
template <typename T> constexpr Pair<T> psiZero;
template <>
constexpr Pair<double> psiZero<double> = {0x1.762d86356be3fp+0,
                                          0x1.b86a722197829p-54};
template <>
constexpr Pair<float> psiZero<float> = {0x1.762d86p+0f, 0x1.ab5f2p-27f};

/// psi(x) for x >= 0: next to its zero a multiple of the distance to that.
template <typename T> GRADOPT_INLINE T psiOfPositive(T x) {
  using C = coefficients::Table<T>;
  bool isFar = x >= 6;
  // x = z + n with z in [1, 2), n from -1 to 4.
  T near = select(isFar, T(1), x);
  T n = floor(near) - 1, z = near - n;
  T base =
      ((z - psiZero<T>.high) - psiZero<T>.low) * horner(z - T(1.5), C::psi);
  // The sum of 1 / (z + i) as one fraction.
  T numerator = 0, denominator = 1;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    T factor = z + i;
    T next = numerator * factor + denominator;
    numerator = select(T(i) < n, next, numerator);
    denominator = select(T(i) < n, denominator * factor, denominator);
  }
  numerator = select(n < 0, T(-1), numerator);
  denominator = select(n < 0, near, denominator);
  T inner = base + numerator / denominator;
  T inverse = 1 / x, square = inverse * inverse;
  T outer = log(select(isFar, x, T(1))) -
            (T(0.5) * inverse + square * horner(square, C::psi_far));
  return select(isFar, outer, inner);
}

/// psi(x) = psi(1 - x) - pi / tan(pi x) below 0.
template <typename T> GRADOPT_INLINE T psi(T x) {
  bool isBelow = x < 0;
  T value = psiOfPositive(select(isBelow, 1 - x, x));
  T inside = select(isBelow, x, T(0.25));
  T distance = fromInteger(inside);
  T cotangent = sinPi(T(0.5) - distance) / sinPi(distance);
  T sign = select(inside - floor(inside) > T(0.5), T(-1), T(1));
  T below =
      select(distance == 0, Format<T>::nan, value - T(pi) * sign * cotangent);
  return select(isBelow, below, select(x == x, value, x));
}

/// The derivative of psi for x >= 0.
template <typename T> GRADOPT_INLINE T trigammaOfPositive(T x) {
  bool isFar = x >= 8;
  T near = select(isFar, T(1), x);
  T sum = 0;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    T inverse = 1 / (near + i);
    sum = sum + inverse * inverse;
  }
  T inverse = 1 / select(isFar, x, x + 8), square = inverse * inverse;
  T outer =
      inverse +
      square * (T(0.5) +
                inverse * horner(square, coefficients::Table<T>::trigamma_far));
  return select(isFar, outer, sum + outer);
}

/// (pi / sin(pi x))^2 - trigamma(1 - x) below 0.
template <typename T> GRADOPT_INLINE T trigamma(T x) {
  bool isBelow = x < 0;
  T value = trigammaOfPositive(select(isBelow, 1 - x, x));
  T ratio = T(pi) / sinPi(fromInteger(select(isBelow, x, T(0.5))));
  return select(isBelow, ratio * ratio - value, value);
}

} // namespace gradopt

GRADOPT_MATH_UNARY(gammaln, gradopt::gammaln)
GRADOPT_MATH_UNARY(psi, gradopt::psi)
GRADOPT_MATH_UNARY(trigamma, gradopt::trigamma)
