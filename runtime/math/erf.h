//===- erf.h - The core of the error functions ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_MATH_ERF_H
#define GRADOPT_RUNTIME_MATH_ERF_H

#include "exp.h"

namespace gradopt {

/// erfc rounds to zero above this.
template <typename T>
constexpr T erfcUnderflow = sizeof(T) == 8 ? T(27.3) : T(10.2);

/// erf(x) for |x| <= 1.
template <typename T> GRADOPT_INLINE T erfInner(T x) {
  return x * horner(x * x, coefficients::Table<T>::erf) + x;
}

/// erfc(x) for 0.6 <= x <= erfcUnderflow, given x^2 in two words, as e^(-x^2)
/// g(t) / (x + 3/2): (x + 3/2) e^(x^2) erfc(x) varies little, and as a
/// polynomial in t = (x - 3/2) / (x + 3/2) converges for every x (after
/// Shepherd and Laframboise, Math. Comp. 36 (1981) 249).
template <typename T> GRADOPT_INLINE T erfcOfSquare(T x, Pair<T> square) {
  using C = ExpConstants<T>;
  T inverse = 1 / (x + T(1.5));
  T t = (x - T(1.5)) * inverse;
  Rounded<T> n = roundProduct(-square.high, C::inverseLn2);
  T r = -square.high - n.value * C::ln2High;
  r = r - (n.value * C::ln2Low + square.low);
  T scaled = inverse * horner(t, coefficients::Table<T>::erfc);
  return scale(expm1Reduced(r) * scaled + scaled, n);
}

} // namespace gradopt

#endif // GRADOPT_RUNTIME_MATH_ERF_H
