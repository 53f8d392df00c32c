//===- RuntimeError.cpp - Error messages of the runtime -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/RuntimeError.h"

#include <cstdarg>
#include <cstdio>

/// Longer messages, of which only names from files can be the cause, are cut.
static thread_local char lastError[1024];

gradopt_status gradopt::runtime::fail(gradopt_status status, const char *format,
                                      ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(lastError, sizeof(lastError), format, arguments);
  va_end(arguments);
  return status;
}

const char *gradopt_last_error(void) { return lastError; }
