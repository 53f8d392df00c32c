//===- TransposedNest.h - Nests that read across rows -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// How the threads of a GPU share a nest without reductions that writes rows
/// and reads columns, as a transpose does. A block has a square of the
/// iterations. Of what is read along columns, neighbouring threads load
/// neighbours into shared memory, and then each takes what its iterations need.
///
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_TRANSPOSEDNEST_H
#define GRADOPT_PASSES_TRANSPOSEDNEST_H

#include "passes/ThreadedNest.h"

namespace mlir::grad {

class TransposedNest {
public:
  /// None if nothing is gained for `op`.
  static std::optional<TransposedNest> match(linalg::LinalgOp op);

  static constexpr int64_t kNumThreads = 256;
  int64_t getNumBlocks() const;

  /// Writes the op for `team` at the insertion point. `inits` are numbers that
  /// outputs begin with, in place of what is in memory; null where there is
  /// none.
  void write(RewriterBase &rewriter, const ThreadTeam &team,
             ArrayRef<Value> inits);

private:
  explicit TransposedNest(linalg::LinalgOp op)
      : op(op), sizes(op.getStaticLoopRanges()) {}

  bool chooseLoops();
  int64_t getNumTiles(unsigned loop) const;
  /// Calls `body` for each part of the square that the threads have at once,
  /// with the place in the square along rows and columns, where these are
  /// inside of the nest. Neighbouring threads are neighbours along `fast`.
  void forEachPart(unsigned fast,
                   llvm::function_ref<void(Value inRow, Value inColumn)> body);
  Value index(int64_t value);

  linalg::LinalgOp op;
  SmallVector<int64_t> sizes;
  unsigned row = 0, column = 0;    ///< Loops along what is written, and read.
  SmallVector<OpOperand *> across; ///< What is read along columns.

  // While writing.
  RewriterBase *rewriter = nullptr;
  Value thread;
  SmallVector<Value> position;
  Value firstInRow, firstInColumn;
};

} // namespace mlir::grad

#endif // GRADOPT_PASSES_TRANSPOSEDNEST_H
