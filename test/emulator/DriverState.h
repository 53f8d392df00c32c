//===- DriverState.h - What the emulated driver knows -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For the functions of the driver (Driver.cpp, Modules.cpp, Streams.cpp,
// Allocations.cpp), of which one runs at a time (Call).
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_TEST_EMULATOR_DRIVERSTATE_H
#define GRADOPT_TEST_EMULATOR_DRIVERSTATE_H

#include "test/emulator/Driver.h"

#include <map>

namespace gradopt::emulator {

struct Failure {
  std::string function;
  CUresult error = CUDA_SUCCESS;
  int skip = 0;
};

struct State {
  bool isRecording = false;
  bool runsObjects = true;
  int version = 12040;
  uint64_t memory = uint64_t(4) << 30;
  std::vector<CUcontext> contexts;
  std::vector<Failure> failures;
  std::string log;
  std::map<uintptr_t, size_t> pinned;
  /// Captures that forbid other calls: of all threads, or of their own.
  std::vector<CUstream> captured;
  unsigned long long streams = 0;
};

/// Never destroyed: calls may come until the process ends.
extern State &state;

/// What the thread wants captures to forbid.
CUstreamCaptureMode &threadCaptureMode();

CUstream makeStream(CUcontext context, bool isBlocking);

} // namespace gradopt::emulator

#endif // GRADOPT_TEST_EMULATOR_DRIVERSTATE_H
