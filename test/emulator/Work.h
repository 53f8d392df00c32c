//===- Work.h - Streams, events and graphs of the emulator ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What is put on a stream is a piece of work that remembers what has to be done
// before it. It is done when somebody waits for it, with all that it needs and
// nothing else.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_TEST_EMULATOR_WORK_H
#define GRADOPT_TEST_EMULATOR_WORK_H

#include "runtime/cuda/DriverApi.h"
#include "test/emulator/Execution.h"
#include "test/emulator/Memory.h"

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace gradopt::emulator {

struct Error {
  CUresult code = CUDA_SUCCESS;
  std::string words;
};

/// What a device does at once. `kind` is the same for those that can take each
/// other's place in a graph.
struct Action {
  std::string kind;
  /// For the log.
  std::string words;
  std::function<Error()> run;
};

struct Work {
  uint64_t number = 0;
  CUcontext context = nullptr;
  std::vector<Action> actions;
  std::vector<std::shared_ptr<Work>> after;
  bool isDone = false;
  /// When, in nanoseconds.
  int64_t time = 0;
};
using WorkPtr = std::shared_ptr<Work>;

/// What is freed, and can be allocated again on the stream or when it is done.
struct FreeLater {
  Allocation *allocation;
  CUstream stream;
  WorkPtr work;
};

} // namespace gradopt::emulator

struct CUgraph_st {
  std::vector<gradopt::emulator::Action> actions;
};

struct CUgraphExec_st {
  std::vector<gradopt::emulator::Action> actions;
};

struct CUstream_st {
  CUcontext context = nullptr;
  unsigned long long id = 0;
  bool isBlocking = true;
  gradopt::emulator::WorkPtr last;
  /// While it is captured.
  CUgraph graph = nullptr;
  bool isInvalidated = false;
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  std::thread::id capturer;
};

struct CUevent_st {
  CUcontext context = nullptr;
  unsigned flags = 0;
  gradopt::emulator::WorkPtr work;
  /// The stream that it was recorded on while that was captured.
  CUstream captured = nullptr;
};

struct CUctx_st {
  int device = 0;
  int chip = 90;
  uint64_t bytesInUse = 0;
  /// The first error of a kernel; nothing is done any more.
  gradopt::emulator::Error error;
  std::vector<CUstream> streams;
  CUstream legacy = nullptr, perThread = nullptr;
  std::vector<gradopt::emulator::FreeLater> freed;
};

namespace gradopt::emulator {

/// Puts work on a stream, or into the graph that captures it.
WorkPtr enqueue(CUstream stream, Action action);
WorkPtr enqueue(CUstream stream, std::vector<Action> actions);

/// Lets the stream wait for work of another one.
void waitFor(CUstream stream, const WorkPtr &work);

/// Does the work, if it is not null, and what it waits for.
void complete(const WorkPtr &work);

/// Does all that is on a stream, or on all of a device; the device's error.
CUresult synchronize(CUstream stream);
CUresult synchronize(CUcontext context);

/// Writes a line, if lines are asked for.
void log(const std::string &line);

} // namespace gradopt::emulator

#endif // GRADOPT_TEST_EMULATOR_WORK_H
