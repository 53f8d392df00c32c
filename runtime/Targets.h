//===- Targets.h - Functions that compiled code calls -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_TARGETS_H
#define GRADOPT_RUNTIME_TARGETS_H

#include "runtime/gradopt_runtime.h"

#include <vector>

namespace gradopt::runtime {

/// The entry of a program.
using Entry = int32_t (*)(void **buffers);

/// Runs code that calls `targets` by their numbers. If one of them fails, the
/// run ends there: `failed` is set, and gradopt_failed_target() says which.
int32_t runWithTargets(Entry entry, void **buffers,
                       const std::vector<gradopt_target> &targets,
                       bool &failed);

} // namespace gradopt::runtime

#endif // GRADOPT_RUNTIME_TARGETS_H
