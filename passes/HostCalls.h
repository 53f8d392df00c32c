//===- HostCalls.h - What calls of the host say to the runtime  -*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_HOSTCALLS_H
#define GRADOPT_PASSES_HOSTCALLS_H

#include "mlir/IR/Operation.h"
#include "runtime/Commands.h"

namespace mlir::grad {

/// A function of the runtime, the number of what it is to do, and which of the
/// buffers hold unsigned numbers; none if that is empty.
struct HostCallee {
  gradopt_host_function kind;
  StringRef function;
  int64_t number;
  ArrayRef<bool> areUnsigned;

  bool isUnsigned(size_t buffer) const {
    return buffer < areUnsigned.size() && areUnsigned[buffer];
  }
};

/// What `op`, for which isHostCall() is true, calls.
HostCallee getHostCallee(Operation *op);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_HOSTCALLS_H
