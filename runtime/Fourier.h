//===- Fourier.h - Fourier transforms ---------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// libGradOptFourier: what compiled code asks of `gradopt_fourier`, and how much
// memory that needs to work in. The runtime loads it when it loads code with
// transforms, so that other programs need neither this library nor that of C++.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_FOURIER_H
#define GRADOPT_RUNTIME_FOURIER_H

#include "runtime/gradopt_runtime.h"

#include <cstddef>
#include <cstdint>

namespace gradopt::runtime::fourier {

constexpr char kLibrary[] = "libGradOptFourier.so";

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

/// The number that compiled code hands over: two bits each of transform and
/// norm, the direction, the last one of the dimensions, and from bit 16 on one
/// bit for each of them.
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

extern "C" {

/// Transforms `inputs[0]` into `outs[0]`, with `outs[1]` to work in. Called by
/// compiled code. Where there is no memory for its tables, all results are NaN.
GRADOPT_EXPORT void gradopt_fourier(int64_t number,
                                    const gradopt_buffer *inputs,
                                    int64_t num_inputs,
                                    const gradopt_buffer *outs,
                                    int64_t num_outs);

/// How many real numbers `outs[1]` has to have, on any CPU, for arrays that
/// have `shape` on the side of the real numbers. If it has less, memory is
/// allocated. Negative if there is no memory to find out.
GRADOPT_EXPORT int64_t gradopt_fourier_work(int64_t number,
                                            const int64_t *shape, int32_t rank,
                                            bool is_f32);
}

#endif // GRADOPT_RUNTIME_FOURIER_H
