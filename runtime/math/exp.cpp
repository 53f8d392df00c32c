//===- exp.cpp - Exponential functions ------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// exp, exp2, expm1.
//
//===----------------------------------------------------------------------===//

#include "exp.h"

namespace gradopt {

/// 2^x: n = round(x) leaves an exact remainder.
template <typename T> GRADOPT_INLINE T exp2(T x) {
  constexpr T overflow = T(Format<T>::bias + 1);
  constexpr T underflow = -T(Format<T>::bias + Format<T>::mantissaBits + 1);
  T clamped = clampBelow(x, underflow);
  Rounded<T> n = roundProduct(clamped, T(1));
  T r = clamped - n.value;
  T result = scale(r * horner(r, coefficients::Table<T>::exp2) + 1, n);
  return select(x < overflow, result, x + Format<T>::infinity);
}

} // namespace gradopt

GRADOPT_MATH_UNARY(exp, gradopt::exp)
GRADOPT_MATH_UNARY(exp2, gradopt::exp2)
GRADOPT_MATH_UNARY(expm1, gradopt::expm1)
