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

/// Runs code that calls targets. If one of them fails, the
/// run ends there: `failed` is set, and gradopt_failed_target() says which.
int32_t runWithTargets(Entry entry, void **buffers, Targets targets,
                       bool &failed);

} // namespace gradopt::runtime

#endif // GRADOPT_RUNTIME_TARGETS_H
