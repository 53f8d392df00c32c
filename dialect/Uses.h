//===- Uses.h - What an op uses ---------------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_USES_H
#define GRADOPT_DIALECT_USES_H

#include "mlir/IR/Operation.h"

namespace mlir::grad {

/// Whether the op, or an op in its regions, uses a value that `matches`.
inline bool usesAny(Operation *op, function_ref<bool(Value)> matches) {
  auto visit = [&](Operation *nested) {
    return llvm::any_of(nested->getOperands(), matches)
               ? WalkResult::interrupt()
               : WalkResult::advance();
  };
  return op->walk(visit).wasInterrupted();
}

/// Calls `visit` on what the op, or an op in its regions, uses.
inline void forEachUsed(Operation *op, function_ref<void(Value)> visit) {
  op->walk(
      [&](Operation *nested) { llvm::for_each(nested->getOperands(), visit); });
}

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_USES_H
