//===- Timer.cpp - What commands take on a GPU ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/Timer.h"

namespace gradopt::cuda {

Timer::~Timer() {
  for (size_t i = 0; i < numMarks; ++i)
    driver.cuEventDestroy_v2(marks[i].event);
}

CUresult Timer::record(size_t place) {
  CUevent event = nullptr;
  CUresult error = driver.cuEventCreate(&event, CU_EVENT_DEFAULT);
  if (error != CUDA_SUCCESS)
    return error;
  marks[numMarks++] = {event, place};
  return driver.cuEventRecord(event, stream);
}

CUresult Timer::begin() { return record(0); }

CUresult Timer::mark(size_t place) {
  if (numMarks == kMostEvents)
    if (CUresult error = read(); error != CUDA_SUCCESS)
      return error;
  return record(place);
}

/// Adds up the times between marks, of which the last one stays.
CUresult Timer::read() {
  CUresult error = driver.cuStreamSynchronize(stream);
  for (size_t i = 1; i < numMarks && error == CUDA_SUCCESS; ++i) {
    float milliseconds = 0;
    error = driver.cuEventElapsedTime(&milliseconds, marks[i - 1].event,
                                      marks[i].event);
    auto nanoseconds = uint64_t(double(milliseconds) * 1e6);
    times[marks[i].place].ticks += nanoseconds;
    total += nanoseconds;
  }
  if (error != CUDA_SUCCESS)
    return error;
  for (size_t i = 0; i + 1 < numMarks; ++i)
    driver.cuEventDestroy_v2(marks[i].event);
  marks[0] = marks[numMarks - 1];
  numMarks = 1;
  return CUDA_SUCCESS;
}

CUresult Timer::finish() { return read(); }

} // namespace gradopt::cuda
