//===- RuntimeError.h - Error messages of the runtime -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_RUNTIMEERROR_H
#define GRADOPT_RUNTIME_RUNTIMEERROR_H

#include "runtime/gradopt_runtime.h"

namespace gradopt::runtime {

/// Keeps a message, made as by printf(), for gradopt_last_error(), and returns
/// `status`.
[[gnu::format(printf, 2, 3)]] gradopt_status fail(gradopt_status status,
                                                  const char *format, ...);

} // namespace gradopt::runtime

#endif // GRADOPT_RUNTIME_RUNTIMEERROR_H
