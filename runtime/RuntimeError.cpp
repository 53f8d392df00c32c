//===- RuntimeError.cpp - Error messages of the runtime -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/RuntimeError.h"

#include <utility>

static thread_local std::string lastError;

gradopt_status gradopt::runtime::fail(gradopt_status status,
                                      std::string message) {
  lastError = std::move(message);
  return status;
}

const char *gradopt_last_error(void) { return lastError.c_str(); }
