//===- ScatterLoops.h - Loops that write to calculated places ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A nest of loops that changes one element in each iteration, at a place that
/// may be calculated from data. The threads of a GPU share it without atomic
/// operations, with the result of the loops in order: each element has one
/// thread, which goes through the iterations that may write it.
///
/// The counters of some loops are indices of the element themselves, and of
/// what else is read of its buffer. A thread has one value of each, and if that
/// makes too few threads, a place in the other dimensions too, and skips the
/// iterations that write elsewhere.
///
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_SCATTERLOOPS_H
#define GRADOPT_PASSES_SCATTERLOOPS_H

#include "passes/ThreadedNest.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

namespace mlir::grad {

/// A nest of loops of known sizes, by steps of 1, that stores one element in
/// each iteration.
struct StoringLoops {
  /// None if `op` is something else.
  static std::optional<StoringLoops> match(Operation *op);

  SmallVector<scf::ForOp> loops; ///< The outermost one first.
  SmallVector<int64_t> sizes;
  memref::StoreOp store; ///< The last op of the innermost one.

private:
  LogicalResult analyze(scf::ForOp loop);
};

/// Whether two buffers, perhaps arguments of a kernel, lie in other bytes.
bool areDistinct(Value a, Value b);

class ScatterLoops {
public:
  /// None if `op` is something else.
  static std::optional<ScatterLoops> match(Operation *op);

  int64_t getNumIterations() const;

  /// How many threads have something to do.
  int64_t getNumThreads() const;

  /// Writes the loops for the threads of all blocks of `team`.
  void write(RewriterBase &rewriter, const ThreadTeam &team);

private:
  void clone(RewriterBase &rewriter, unsigned depth);
  void cloneUpdate(RewriterBase &rewriter);
  bool isOwned() const { return !ownDims.empty(); }

  SmallVector<scf::ForOp> loops;
  SmallVector<int64_t> sizes;
  memref::StoreOp store;
  /// The same element before; null if that is not read.
  memref::LoadOp old;
  /// Of each loop, the dimension that its counter is the index of; -1 if none.
  SmallVector<int> dimOf;
  /// Dimensions in which a thread has a place of its own.
  SmallVector<unsigned> ownDims;

  // While writing.
  IRMapping map;
  SmallVector<Value> counters, ownPlaces;
};

} // namespace mlir::grad

#endif // GRADOPT_PASSES_SCATTERLOOPS_H
