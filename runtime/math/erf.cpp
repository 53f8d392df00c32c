//===- erf.cpp - The error function ---------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// erf, erfc.
//
//===----------------------------------------------------------------------===//

#include "exp.h"

namespace gradopt {

/// erfc rounds to zero above this.
template <typename T>
constexpr T erfcUnderflow = sizeof(T) == 8 ? T(27.3) : T(10.2);

/// erf(x) for |x| <= 1.
template <typename T> GRADOPT_INLINE T erfInner(T x) {
  return x * horner(x * x, coefficients::Table<T>::erf) + x;
}

/// erfc(x) for x >= 0.6 as e^(-x^2) g(t) / (x + 3/2): (x + 3/2) e^(x^2) erfc(x)
/// varies little, and as a polynomial in t = (x - 3/2) / (x + 3/2) converges
/// for every x (after Shepherd and Laframboise, Math. Comp. 36 (1981) 249). x^2
/// is used in two words.
template <typename T> GRADOPT_INLINE T erfcOuter(T x) {
  using C = ExpConstants<T>;
  T clamped = clampAbove(x, erfcUnderflow<T>);
  T inverse = 1 / (clamped + T(1.5));
  T t = (clamped - T(1.5)) * inverse;
  Pair<T> square = twoProduct(clamped, clamped);
  Rounded<T> n = roundProduct(-square.high, C::inverseLn2);
  T r = -square.high - n.value * C::ln2High;
  r = r - (n.value * C::ln2Low + square.low);
  T scaled = inverse * horner(t, coefficients::Table<T>::erfc);
  return scale(expm1Reduced(r) * scaled + scaled, n);
}

template <typename T> GRADOPT_INLINE T erfc(T x) {
  T outer = erfcOuter(abs(x));
  T reflected = select(x < 0, 2 - outer, outer);
  return select(x == x, select(abs(x) < T(0.65), 1 - erfInner(x), reflected),
                x);
}

template <typename T> GRADOPT_INLINE T erf(T x) {
  T outer = copysign(1 - erfcOuter(abs(x)), x);
  return select(abs(x) >= 1, outer, erfInner(x));
}

} // namespace gradopt

GRADOPT_MATH_UNARY(erf, gradopt::erf)
GRADOPT_MATH_UNARY(erfc, gradopt::erfc)
