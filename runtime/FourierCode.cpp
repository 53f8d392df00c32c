//===- FourierCode.cpp - Code of transforms for one kind of CPUs ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiled several times, for a GRADOPT_FOURIER_TARGET each.
//
//===----------------------------------------------------------------------===//

#include "runtime/FourierCode.h"
#include "runtime/FourierAxis.h"

namespace gradopt::runtime::fourier {
namespace GRADOPT_FOURIER_TARGET {

/// The square root, as close as its type allows.
inline double getRootOf(double x) { return __builtin_sqrt(x); }

template <typename T> T getFactor(Norm norm, int64_t points) {
  switch (norm) {
  case None:
    return 1;
  case Size:
    return T(1 / double(points));
  case Root:
    return T(1 / getRootOf(double(points)));
  }
  return 1;
}

template <typename T> void run(const Call &call) {
  const gradopt_buffer &real = call.transform == R2c ? *call.x : *call.y;
  int32_t rank = real.rank;
  int64_t half[kMaxRank], points = 1, numbers = 2;
  int32_t order[kMaxRank], count = 0;
  for (int32_t d = 0; d < rank; ++d) {
    bool isHalf = call.transform != C2c && d == call.last;
    half[d] = isHalf ? real.shape[d] / 2 + 1 : real.shape[d];
    numbers *= half[d];
    if (call.dimensions >> d & 1) {
      points *= real.shape[d];
      if (d != call.last)
        order[count++] = d;
    }
  }
  auto *x = static_cast<const T *>(call.x->data);
  auto *y = static_cast<T *>(call.y->data), *work = static_cast<T *>(call.work);
  T factor = getFactor<T>(call.norm, points);
  // The last one of the dimensions is the first one for real numbers, so that
  // the others have half as much to do; in the other direction, it is the last.
  int32_t left = count + (call.dimensions != 0);
  bool isDone = true;
  auto next = [&](const int64_t *shape, int32_t d) {
    return Task<T>{getAxis(shape, rank, d), call.isForward,
                   --left == 0 ? factor : T(1), work};
  };
  if (call.transform == R2c) {
    isDone = transformReals(next(real.shape, call.last), x, y);
    x = y;
  }
  T *between = y;
  if (call.transform == C2r && count > 0) {
    between = work;
    work += numbers;
  }
  for (int32_t i = 0; i < count; ++i) {
    isDone = isDone && transformNumbers(next(half, order[i]), x, between);
    x = between;
  }
  if (call.transform == C2r)
    isDone = isDone && transformToReals(next(real.shape, call.last), x, y);
  else if (call.transform == C2c && call.dimensions != 0)
    isDone = isDone && transformNumbers(next(half, call.last), x, y);
  else if (call.transform == C2c)
    std::memcpy(y, x, size_t(numbers) * sizeof(T));
  if (isDone)
    return;
  // No memory for a plan: no result, and not another one.
  int64_t size = 1;
  for (int32_t d = 0; d < rank; ++d)
    size *= call.y->shape[d];
  for (int64_t i = 0; i < (call.transform == C2r ? size : 2 * size); ++i)
    y[i] = T(__builtin_nan(""));
}

} // namespace GRADOPT_FOURIER_TARGET

const Code GRADOPT_FOURIER_CODE = {&GRADOPT_FOURIER_TARGET::run<float>,
                                   &GRADOPT_FOURIER_TARGET::run<double>};

} // namespace gradopt::runtime::fourier
