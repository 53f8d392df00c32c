//===- DeadOps.h - Erasing what nobody uses ---------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_DEADOPS_H
#define GRADOPT_PASSES_DEADOPS_H

#include "mlir/IR/Iterators.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace mlir::grad {

/// Erases what has no effect and no use inside of `root`, uses first.
inline void eraseDeadOps(Operation *root) {
  root->walk<WalkOrder::PostOrder, ReverseIterator>([&](Operation *op) {
    if (op != root && isOpTriviallyDead(op))
      op->erase();
  });
}

} // namespace mlir::grad

#endif // GRADOPT_PASSES_DEADOPS_H
