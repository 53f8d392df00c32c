//===- Targets.h - Functions that compiled code calls -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_TARGETS_H
#define GRADOPT_RUNTIME_TARGETS_H

#include "runtime/gradopt_runtime.h"

#include <cstddef>

namespace gradopt::runtime {

/// The entry of a program.
using Entry = int32_t (*)(void **buffers);

/// The functions that a program calls by their numbers.
struct Targets {
  const gradopt_target *data = nullptr;
  size_t size = 0;
};

/// How a run ended: by itself, or where it called a target that failed, or one
/// that is not there. gradopt_failed_target() says which.
enum class RunEnd { Returned, TargetFailed, NoTarget };

/// Runs code that calls targets. `status` is what it returned.
RunEnd runWithTargets(Entry entry, void **buffers, Targets targets,
                      int32_t &status);

/// Keeps the message of a run that did not return by itself; `numTargets` is
/// how many there were.
gradopt_status reportEnd(RunEnd end, size_t numTargets);

} // namespace gradopt::runtime

#endif // GRADOPT_RUNTIME_TARGETS_H
