//===- FourierRoots.cpp - Roots of unity ----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/FourierRoots.h"

#include <utility>

using namespace gradopt::runtime;

using Long = long double;

fourier::LongNumber fourier::getRoot(int64_t a, int64_t n) {
  // In eighths of 1 / n of the circle, as integers: exact. What is not in the
  // first eighth is the mirror image of what is.
  int64_t x = 8 * a;
  bool isBelow = x > 4 * n;
  if (isBelow)
    x = 8 * n - x;
  bool isLeft = x > 2 * n;
  if (isLeft)
    x = 4 * n - x;
  bool isSteep = x > n;
  if (isSteep)
    x = 2 * n - x;
  // Taylor's series; the first term that is left out is less than 2^-70.
  Long t = 0.785398163397448309615660845819875721L * Long(x) / Long(n);
  Long square = t * t, cosine = 1, sine = 1;
  for (int k = 20; k >= 2; k -= 2) {
    cosine = 1 - square / Long(k * (k - 1)) * cosine;
    sine = 1 - square / Long(k * (k + 1)) * sine;
  }
  sine *= t;
  if (isSteep)
    std::swap(cosine, sine);
  return {isLeft ? -cosine : cosine, isBelow ? sine : -sine};
}
