//===- elementary.cpp - What libm has and runtime/math has not ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "special.h"

#include <cstdint>

extern "C" double ldexp(double x, int n) noexcept {
  // In steps, as powers of two have a range, too; the last one rounds.
  for (; n > 1000; n -= 1000)
    x *= 0x1p1000;
  for (; n < -960; n += 960)
    x *= 0x1p-960;
  return x * __builtin_bit_cast(double, static_cast<uint64_t>(n + 1023) << 52);
}

extern "C" double frexp(double x, int *exponent) noexcept {
  *exponent = 0;
  if (x == 0 || !(__builtin_fabs(x) < gradopt::special::kInfinity))
    return x;
  if (__builtin_fabs(x) < 0x1p-1022) {
    x *= 0x1p64;
    *exponent = -64;
  }
  auto bits = __builtin_bit_cast(uint64_t, x);
  *exponent += static_cast<int>((bits >> 52) & 0x7ff) - 1022;
  return __builtin_bit_cast(double, (bits & ~(uint64_t(0x7ff) << 52)) |
                                        (uint64_t(1022) << 52));
}

extern "C" double modf(double x, double *whole) noexcept {
  *whole = __builtin_trunc(x);
  if (__builtin_isinf(x))
    return __builtin_copysign(0.0, x);
  return __builtin_copysign(x - *whole, x);
}

extern "C" double fmod(double x, double y) noexcept {
  double a = __builtin_fabs(x), b = __builtin_fabs(y);
  if (!(a < gradopt::special::kInfinity) || !(b > 0))
    return gradopt::special::kNaN;
  // Schoolbook division: each step is exact.
  int high, low;
  frexp(b, &low);
  while (a >= b) {
    frexp(a, &high);
    double part = ldexp(b, high - low);
    a -= part <= a ? part : ldexp(b, high - low - 1);
  }
  return __builtin_copysign(a, x);
}
