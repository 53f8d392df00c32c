//===- hyperbolic.cpp - Hyperbolic functions ------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// sinh, cosh, tanh and their inverses.
//
//===----------------------------------------------------------------------===//

#include "exp.h"
#include "log.h"

namespace gradopt {

template <typename T> struct HyperbolicConstants;

template <> struct HyperbolicConstants<double> {
  static constexpr double ln2 = 0x1.62e42fefa39efp-1;
  /// Beyond this sinh and cosh overflow: a little above the true limit, which
  /// 2^n must still reach.
  static constexpr double overflow = 710.6;
  /// tanh is 1 from half of this on.
  static constexpr double tanhSaturates = 40.0;
};

template <> struct HyperbolicConstants<float> {
  static constexpr float ln2 = 0x1.62e43p-1f;
  static constexpr float overflow = 89.5f;
  static constexpr float tanhSaturates = 20.0f;
};

/// With |x| = n ln(2) + r: the powers 2^(n-2) and 2^(-n-2), sinh(r) and cosh(r)
/// - 1. A quarter of each power, because e^x / 2 may be finite where 2^n is
/// not.
template <typename T> struct HyperbolicReduced {
  T rising;
  T falling;
  T sinh;
  T coshMinusOne;
};

template <typename T>
GRADOPT_INLINE HyperbolicReduced<T> reduceHyperbolic(T x) {
  auto [n, r] = reduceExp(clampAbove(abs(x), HyperbolicConstants<T>::overflow));
  T z = r * r;
  T rising = powerOfTwo(n.shifted - 2);
  T falling =
      select(n.value > 60, T(0), powerOfTwo(roundingShift<T> - n.value - 2));
  T sinh = r * z * horner(z, coefficients::Table<T>::sinh) + r;
  T coshMinusOne = z * z * horner(z, coefficients::Table<T>::cosh) + T(0.5) * z;
  return {rising, falling, sinh, coshMinusOne};
}

/// sinh(n ln(2) + r) = 2 ((rising - falling) cosh(r) + (rising + falling)
/// sinh(r)): sinh(r) alone for n = 0.
template <typename T> GRADOPT_INLINE T sinh(T x) {
  auto [rising, falling, sinhR, coshMinusOne] = reduceHyperbolic(x);
  T sum = rising + falling, difference = rising - falling;
  T half = difference + (difference * coshMinusOne + sum * sinhR);
  return select(abs(x) < Format<T>::tiny, x, copysign(2 * half, x));
}

template <typename T> GRADOPT_INLINE T cosh(T x) {
  auto [rising, falling, sinhR, coshMinusOne] = reduceHyperbolic(x);
  T sum = rising + falling, difference = rising - falling;
  return 2 * (sum + (sum * coshMinusOne + difference * sinhR));
}

/// (e^(2x) - 1) / (e^(2x) + 1), both from e^r - 1. For tiny x this is 2x / 2,
/// exactly.
template <typename T> GRADOPT_INLINE T tanh(T x) {
  auto [n, r] =
      reduceExp(clampAbove(2 * abs(x), HyperbolicConstants<T>::tanhSaturates));
  T power = powerOfTwo(n.shifted);
  T grown = expm1Reduced(r);
  T numerator = power * grown + (power - 1);
  T denominator = power * grown + (power + 1);
  return copysign(divideOrdinary(numerator, denominator), x);
}

/// log1p(argument), or log(2 x) where x is so large that its square may
/// overflow and 1 + x = x.
template <typename T> GRADOPT_INLINE T log1pOrLogTwice(T x, T argument) {
  bool large = x > T(0x1p60);
  return log1p(select(large, x, argument)) +
         select(large, HyperbolicConstants<T>::ln2, T(0));
}

/// log(x + sqrt(1 + x^2)) = log1p(x + x^2 / (1 + sqrt(1 + x^2))) for x >= 0.
template <typename T> GRADOPT_INLINE T asinh(T x) {
  T magnitude = abs(x);
  T square = magnitude * magnitude;
  T argument = magnitude + square / (1 + sqrt(square + 1));
  return select(magnitude < Format<T>::tiny, x,
                copysign(log1pOrLogTwice(magnitude, argument), x));
}

/// log(x + sqrt(x^2 - 1)) = log1p(t + sqrt(2 t + t^2)) with t = x - 1.
template <typename T> GRADOPT_INLINE T acosh(T x) {
  T t = x - 1;
  T result = log1pOrLogTwice(x, t + sqrt(t * t + 2 * t));
  return select(x < 1, Format<T>::nan, result);
}

template <typename T> GRADOPT_INLINE T atanh(T x) {
  T magnitude = abs(x);
  T result = T(0.5) * log1p(2 * magnitude / (1 - magnitude));
  return select(magnitude < Format<T>::tiny, x, copysign(result, x));
}

} // namespace gradopt

GRADOPT_MATH_UNARY(sinh, gradopt::sinh)
GRADOPT_MATH_UNARY(cosh, gradopt::cosh)
GRADOPT_MATH_UNARY(tanh, gradopt::tanh)
GRADOPT_MATH_UNARY(asinh, gradopt::asinh)
GRADOPT_MATH_UNARY(acosh, gradopt::acosh)
GRADOPT_MATH_UNARY(atanh, gradopt::atanh)
