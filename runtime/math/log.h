//===- log.h - The core of the logarithms -----------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The logarithm core: x = 2^k m with sqrt(1/2) <= m < sqrt(2), then log(x) = k
// ln(2) + log(1 + f) with f = m - 1.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_MATH_LOG_H
#define GRADOPT_RUNTIME_MATH_LOG_H

#include "common.h"
#include "exp.h"

namespace gradopt {

template <typename T> struct LogReduced {
  T exponent;
  T mantissa;
};

/// Splits a positive finite x, subnormal numbers included.
template <typename T> GRADOPT_INLINE LogReduced<T> reduceLog(T x) {
  constexpr T sqrtHalf = T(0x1.6a09e667f3bcdp-1);
  constexpr BitsOf<T> mantissaMask =
      (BitsOf<T>(1) << Format<T>::mantissaBits) - 1;
  bool subnormal = x < Format<T>::smallestNormal;
  T normal = x * select(subnormal, T(0x1p64), T(1));
  BitsOf<T> bits = toBits(normal) + (toBits(T(1)) - toBits(sqrtHalf));
  T exponent = toReal<T>(bits >> Format<T>::mantissaBits) -
               select(subnormal, T(Format<T>::bias + 64), T(Format<T>::bias));
  return {exponent, fromBits<T>((bits & mantissaMask) + toBits(sqrtHalf))};
}

/// log(1 + f) - f for f in [sqrt(1/2) - 1, sqrt(2) - 1].
template <typename T> GRADOPT_INLINE T log1pMinusLinear(T f) {
  T square = f * f;
  return f * square * horner(f, coefficients::Table<T>::log) - T(0.5) * square;
}

/// exponent ln(2) + log(1 + f).
template <typename T> GRADOPT_INLINE T joinLog(T exponent, T f) {
  using C = ExpConstants<T>;
  T rest = exponent * C::ln2Low + log1pMinusLinear(f);
  return exponent * C::ln2High + (f + rest);
}

/// The value of a logarithm whose singularity is at x = pole: -infinity there,
/// NaN below, infinity at infinity.
template <typename T> GRADOPT_INLINE T logDomain(T x, T pole, T value) {
  T outside = select(x == pole, -Format<T>::infinity, Format<T>::nan);
  return select(x > pole, select(x < Format<T>::infinity, value, x), outside);
}

template <typename T> GRADOPT_INLINE T log(T x) {
  auto [exponent, mantissa] = reduceLog(x);
  return logDomain(x, T(0), joinLog(exponent, mantissa - 1));
}

/// log(1 + x). The fraction f = 2^-k (1 + x) - 1 is made from x itself, so that
/// what 1 + x loses is kept; where 1 + x = x the mantissa serves as it is.
template <typename T> GRADOPT_INLINE T log1p(T x) {
  auto [exponent, mantissa] = reduceLog(1 + x);
  T power = powerOfTwo(roundingShift<T> - exponent);
  T fraction = select(x < T(0x1p60), fma(power, x, power - 1), mantissa - 1);
  T result = logDomain(x, T(-1), joinLog(exponent, fraction));
  return select(abs(x) < Format<T>::tiny, x, result);
}

} // namespace gradopt

#endif // GRADOPT_RUNTIME_MATH_LOG_H
