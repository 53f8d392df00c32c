//===- exp.h - The core of the exponential functions ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The exponential core: x = n ln(2) + r with |r| <= ln(2)/2, then e^x = 2^n e^r
// (Cody and Waite).
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_MATH_EXP_H
#define GRADOPT_RUNTIME_MATH_EXP_H

#include "common.h"

namespace gradopt {

template <typename T> struct ExpConstants;

template <> struct ExpConstants<double> {
  static constexpr double inverseLn2 = 0x1.71547652b82fep+0;
  /// ln(2) as a short number, whose product with any n that occurs is exact,
  /// and the rest.
  static constexpr double ln2High = 0x1.62e42fefa4p-1;
  static constexpr double ln2Low = -0x1.8432a1b0e2634p-43;
  static constexpr double overflow = 0x1.62e42fefa39efp+9;
  static constexpr double underflow = -746.0;
  /// expm1 is -1 below this.
  static constexpr double expm1Saturates = -40.0;
};

template <> struct ExpConstants<float> {
  static constexpr float inverseLn2 = 0x1.715476p+0f;
  static constexpr float ln2High = 0x1.62e8p-1f;
  static constexpr float ln2Low = -0x1.e8082ep-16f;
  static constexpr float overflow = 0x1.62e42ep+6f;
  static constexpr float underflow = -104.0f;
  static constexpr float expm1Saturates = -18.0f;
};

template <typename T> struct ExpReduced {
  Rounded<T> n;
  T r;
};

template <typename T> GRADOPT_INLINE ExpReduced<T> reduceExp(T x) {
  using C = ExpConstants<T>;
  Rounded<T> n = roundProduct(x, C::inverseLn2);
  T r = x - n.value * C::ln2High;
  return {n, r - n.value * C::ln2Low};
}

/// e^r - 1 - r for |r| <= ln(2)/2.
template <typename T> GRADOPT_INLINE T expTail(T r) {
  return r * r * horner(r, coefficients::Table<T>::exp);
}

/// e^r - 1.
template <typename T> GRADOPT_INLINE T expm1Reduced(T r) {
  return r * r * horner(r, coefficients::Table<T>::exp) + r;
}

/// mantissa * 2^n for a mantissa in [2^-7, 2) and any n for which the result is
/// finite, the subnormal ones included. The exponent is added to the bits; a
/// result that would be subnormal is made 2^64 times larger first.
template <typename T> GRADOPT_INLINE T scale(T mantissa, Rounded<T> n) {
  bool small = n.value < T(20 - Format<T>::bias);
  T shifted = n.shifted + select(small, T(64), T(0));
  T scaled = fromBits<T>(toBits(mantissa) +
                         (toBits(shifted) << Format<T>::mantissaBits));
  return scaled * select(small, T(0x1p-64), T(1));
}

/// The value of a function that grows without bound: infinity above the limit,
/// NaN for NaN.
template <typename T> GRADOPT_INLINE T overflowAbove(T x, T limit, T value) {
  return select(x <= limit, value, x + Format<T>::infinity);
}

template <typename T> GRADOPT_INLINE T exp(T x) {
  using C = ExpConstants<T>;
  auto [n, r] = reduceExp(clampBelow(x, C::underflow));
  return overflowAbove(x, C::overflow, scale(expm1Reduced(r) + 1, n));
}

/// e^x - 1 = 2 (2^(n-1) (e^r - 1) + (2^(n-1) - 1/2)), the largest terms first;
/// half the power, because 2^n itself may overflow.
template <typename T> GRADOPT_INLINE T expm1(T x) {
  using C = ExpConstants<T>;
  auto [n, r] = reduceExp(clampBelow(x, C::expm1Saturates));
  T half = powerOfTwo(n.shifted - 1);
  T result = 2 * (half * expTail(r) + (half * r + (half - T(0.5))));
  return select(abs(x) < Format<T>::tiny, x,
                overflowAbove(x, C::overflow, result));
}

} // namespace gradopt

#endif // GRADOPT_RUNTIME_MATH_EXP_H
