//===- Timer.h - What commands take on a GPU --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_CUDA_TIMER_H
#define GRADOPT_RUNTIME_CUDA_TIMER_H

#include "runtime/cuda/Driver.h"
#include "runtime/gradopt_runtime.h"

#include <cstddef>

namespace gradopt::cuda {

/// Times what is put on a stream, by events in between, which are read when
/// there are many, and at the end. Times are in nanoseconds.
class Timer {
public:
  Timer(const Driver &driver, CUstream stream, gradopt_command_time *times)
      : driver(driver), stream(stream), times(times) {}
  ~Timer();
  Timer(const Timer &) = delete;
  Timer &operator=(const Timer &) = delete;

  CUresult begin();
  /// A command runs once more.
  void count(size_t place) { ++times[place].runs; }
  /// What was put on the stream since the last time is this command's.
  CUresult mark(size_t place);
  /// Waits for all that is marked.
  CUresult finish();

  uint64_t total = 0;

private:
  static constexpr size_t kMostEvents = 256;

  /// The first event has no command before it.
  struct Mark {
    CUevent event;
    size_t place;
  };

  CUresult record(size_t place);
  CUresult read();

  const Driver &driver;
  CUstream stream;
  gradopt_command_time *times;
  Mark marks[kMostEvents];
  size_t numMarks = 0;
};

} // namespace gradopt::cuda

#endif // GRADOPT_RUNTIME_CUDA_TIMER_H
