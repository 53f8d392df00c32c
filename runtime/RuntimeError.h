//===- RuntimeError.h - Error messages of the runtime -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_RUNTIMEERROR_H
#define GRADOPT_RUNTIME_RUNTIMEERROR_H

#include "runtime/gradopt_runtime.h"
#include <string>

namespace gradopt::runtime {

/// Keeps `message` for gradopt_last_error() and returns `status`.
gradopt_status fail(gradopt_status status, std::string message);

} // namespace gradopt::runtime

#endif // GRADOPT_RUNTIME_RUNTIMEERROR_H
