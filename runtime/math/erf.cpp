//===- erf.cpp - The error function ---------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// erf, erfc.
//
//===----------------------------------------------------------------------===//

#include "erf.h"

namespace gradopt {

/// erfc(x) for x >= 0.6.
template <typename T> GRADOPT_INLINE T erfcOuter(T x) {
  T clamped = clampAbove(x, erfcUnderflow<T>);
  return erfcOfSquare(clamped, twoProduct(clamped, clamped));
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
