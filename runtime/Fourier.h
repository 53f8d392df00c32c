//===- Fourier.h - Fourier transforms ---------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What compiled code asks of `gradopt_fourier`, and how much memory that needs
// to work in.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_FOURIER_H
#define GRADOPT_RUNTIME_FOURIER_H

#include "runtime/gradopt_runtime.h"

#include <cstddef>
#include <cstdint>

namespace gradopt::runtime::fourier {

enum Transform : int64_t {
  C2c, ///< complex numbers to complex numbers
  R2c, ///< real numbers to half of their spectrum
  C2r, ///< half of a spectrum to real numbers
};
constexpr const char *kNames[] = {"fft", "rfft", "irfft"};

/// What results are divided by.
enum Norm : int64_t {
  None, ///< by nothing
  Size, ///< by the number of points
  Root, ///< by the square root of that
};
constexpr const char *kNorms[] = {"none", "size", "root"};

constexpr int64_t kMaxRank = 32;

/// Vectors that are not to be exceeded. Compiled code takes the widest ones of
/// the CPU; tests ask for the others.
enum Vectors : int64_t { Widest, OfAll, OfV3, OfV4 };
constexpr int64_t kVectorsBit = 5;

/// The number that compiled code hands over: two bits each of transform and
/// norm, the direction, two bits of Vectors, the last one of the dimensions,
/// and from bit 16 on one bit for each of them.
template <typename Dimensions>
int64_t encode(Transform transform, Norm norm, bool forward,
               const Dimensions &dimensions) {
  int64_t number = transform | norm << 2 | int64_t(forward) << 4, last = 0;
  for (int64_t d : dimensions) {
    number |= int64_t(1) << (16 + d);
    last = d;
  }
  return number | last << 8;
}

} // namespace gradopt::runtime::fourier

/// Transforms `inputs[0]` into `outs[0]`, with `outs[1]` to work in. Called by
/// compiled code.
extern "C" GRADOPT_EXPORT void gradopt_fourier(int64_t number,
                                               const gradopt_buffer *inputs,
                                               int64_t num_inputs,
                                               const gradopt_buffer *outs,
                                               int64_t num_outs);

#endif // GRADOPT_RUNTIME_FOURIER_H
