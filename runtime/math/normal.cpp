//===- normal.cpp - The normal distribution -------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// erfcx, ndtr, log_ndtr, and the inverses erfcinv and ndtri.
//
//===----------------------------------------------------------------------===//

#include "erf.h"
#include "log.h"

namespace gradopt {

constexpr double rootHalf = 0x1.6a09e667f3bcdp-1,
                 rootTwo = 0x1.6a09e667f3bcdp+0;

/// e^(x^2) erfc(x) for x >= 0, as a polynomial in t = (x - 2) / (x + 2) over x
/// + 2 (after Shepherd and Laframboise).
template <typename T> GRADOPT_INLINE T erfcxOfPositive(T x) {
  T inverse = 1 / (x + 2);
  return inverse * horner(1 - 4 * inverse, coefficients::Table<T>::erfcx);
}

/// e^(x^2), with x^2 in two words.
template <typename T> GRADOPT_INLINE T expOfSquare(T x) {
  using C = ExpConstants<T>;
  Pair<T> square = twoProduct(x, x);
  auto [n, r] = reduceExp(clampAbove(square.high, C::overflow));
  T value = scale(expm1Reduced(r + square.low) + 1, n);
  return overflowAbove(square.high, C::overflow, value);
}

/// erfc(-x) = 2 - erfc(x).
template <typename T> GRADOPT_INLINE T erfcx(T x) {
  T outer = erfcxOfPositive(abs(x));
  T below = select(x < 0, x, T(0));
  return select(x < 0, 2 * expOfSquare(below) - outer, outer);
}

/// erfc(-x / sqrt(2)) / 2. The square in the exponent is made of x itself.
template <typename T> GRADOPT_INLINE T ndtr(T x) {
  T z = T(rootHalf) * x;
  T clamped = clampAbove(abs(x), T(rootTwo) * erfcUnderflow<T>);
  T outer = T(0.5) * erfcOfSquare(T(rootHalf) * clamped,
                                  twoProduct(clamped, T(0.5) * clamped));
  T reflected = select(x > 0, 1 - outer, outer);
  return select(
      x == x,
      select(abs(z) < T(0.65), T(0.5) * erfInner(z) + T(0.5), reflected), x);
}

/// -x^2 / 2 + log(erfcx(-x / sqrt(2)) / 2) where ndtr(x) is small, and from -1
/// up log(1 - ndtr(-x)).
template <typename T> GRADOPT_INLINE T logNdtr(T x) {
  T inner = clampBelow(x, T(-1)), outer = clampAbove(x, T(-1));
  T scaled = T(0.5) * erfcxOfPositive(T(-rootHalf) * outer);
  return select(x < -1, log(scaled) - T(0.5) * outer * outer,
                log1p(-ndtr(-inner)));
}

/// erfinv(x) / x as a function of w = -log(1 - x^2): see Scalar::inverseErf for
/// the first two parts. Beyond, it is about s = sqrt(w).
template <typename T> GRADOPT_INLINE T inverseErfRatio(T w) {
  using C = coefficients::Table<T>;
  constexpr bool isDouble = sizeof(T) == 8;
  constexpr T center = isDouble ? T(4.25) : T(3.25);
  T s = sqrt(w);
  T near = horner(w - T(3.125), C::erfinv);
  T far = horner(s - center, C::erfinv_far);
  T farther = s * horner(1 / s - (isDouble ? T(0.1) : T(0.17)), C::erfcinv_far);
  return select(w < T(6.25), near,
                select(w < (isDouble ? T(36) : T(16)), far, farther));
}

template <typename T> GRADOPT_INLINE T erfcinv(T y) {
  return (1 - y) * inverseErfRatio(-log(y * (2 - y)));
}

template <typename T> GRADOPT_INLINE T ndtri(T p) {
  T ratio = inverseErfRatio(-log(4 * p * (1 - p)));
  return T(-rootTwo) * ((1 - 2 * p) * ratio);
}

} // namespace gradopt

GRADOPT_MATH_UNARY(erfcx, gradopt::erfcx)
GRADOPT_MATH_UNARY(ndtr, gradopt::ndtr)
GRADOPT_MATH_UNARY(log_ndtr, gradopt::logNdtr)
GRADOPT_MATH_UNARY(erfcinv, gradopt::erfcinv)
GRADOPT_MATH_UNARY(ndtri, gradopt::ndtri)
