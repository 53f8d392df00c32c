//===- FourierRoots.h - Roots of unity --------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_FOURIERROOTS_H
#define GRADOPT_RUNTIME_FOURIERROOTS_H

#include <cstdint>

namespace gradopt::runtime::fourier {

struct LongNumber {
  long double re, im;
};

/// exp(-2 pi i a / n), 0 <= a < n, right to all digits of a double but for the
/// rounding.
LongNumber getRoot(int64_t a, int64_t n);

} // namespace gradopt::runtime::fourier

#endif // GRADOPT_RUNTIME_FOURIERROOTS_H
