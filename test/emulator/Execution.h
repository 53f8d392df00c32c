//===- Execution.h - Running emulated kernels -------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_TEST_EMULATOR_EXECUTION_H
#define GRADOPT_TEST_EMULATOR_EXECUTION_H

#include "runtime/cuda/DriverApi.h"

#include <string>
#include <vector>

namespace gradopt::emulator {

using KernelEntry = void (*)(const int64_t *parameters);

struct Launch {
  std::string name;
  KernelEntry entry = nullptr;
  unsigned grid = 1, block = 1;
  std::vector<int64_t> parameters;
  int device = 0;
};

struct LaunchError {
  CUresult code = CUDA_SUCCESS;
  /// Which thread did what.
  std::string words;
};

/// Runs all threads of a kernel, up to the first error.
LaunchError run(const Launch &launch);

} // namespace gradopt::emulator

#endif // GRADOPT_TEST_EMULATOR_EXECUTION_H
