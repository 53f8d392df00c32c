//===- BlockOrder.h - Which operation comes first ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_BLOCKORDER_H
#define GRADOPT_DIALECT_BLOCKORDER_H

#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/DenseMap.h"

#include <cstdint>

namespace mlir::grad {

/// Answers as `Operation::isBeforeInBlock` for a pass that inserts operations
/// meanwhile, all by a rewriter that this listens to. MLIR numbers all of a
/// block anew after a few insertions at one place, which makes a pass over a
/// long block quadratic.
class BlockOrder : public RewriterBase::Listener {
public:
  bool isBefore(Operation *a, Operation *b);

  void notifyOperationInserted(Operation *op,
                               OpBuilder::InsertPoint previous) override;
  void notifyOperationErased(Operation *op) override;

private:
  void number(Block &block);

  llvm::DenseMap<Operation *, uint64_t> places;
};

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_BLOCKORDER_H
