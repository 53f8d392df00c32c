//===- DeadOps.h - Erasing what nobody uses ---------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_DEADOPS_H
#define GRADOPT_DIALECT_DEADOPS_H

#include "mlir/IR/Iterators.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace mlir::grad {

/// Erases what has no effect and no use inside of `block`, uses first.
inline void eraseDeadOps(Block &block) {
  block.walk<WalkOrder::PostOrder, ReverseIterator>([](Operation *op) {
    if (isOpTriviallyDead(op))
      op->erase();
  });
}

/// The same inside of `root`.
inline void eraseDeadOps(Operation *root) {
  root->walk<WalkOrder::PostOrder, ReverseIterator>([&](Operation *op) {
    if (op != root && isOpTriviallyDead(op))
      op->erase();
  });
}

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_DEADOPS_H
