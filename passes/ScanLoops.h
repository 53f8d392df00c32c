//===- ScanLoops.h - Loops that add each element to the next ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A nest of loops that combines each element along one dimension with the one
/// before, such as a cumulative sum:
///
///     for i in 1 .. n: y[i] = y[i - 1] + f(i)
///
/// The threads of a GPU share the positions 0 .. n - 1 of a *line*, the first
/// of which has the element that is there before. Lines whose elements are
/// beside each other belong to groups of threads: a warp or a block goes from
/// tile to tile, of which each thread has some elements in a row. Of lines that
/// are beside each other, each has a thread. Few lines are divided into chunks:
/// one kernel finds what each of these has together, a second one begins with
/// what those before it have. All is added up in a fixed order, without atomic
/// operations.
///
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_SCANLOOPS_H
#define GRADOPT_PASSES_SCANLOOPS_H

#include "passes/ScatterLoops.h"

namespace mlir::grad {

class ScanLoops {
public:
  /// None if `op` is something else, or one that may not be regrouped.
  static std::optional<ScanLoops> match(Operation *op);

  static constexpr int64_t kNumThreads = 256;
  int64_t getNumBlocks() const;

  /// Of how many chunks a line has; of one, there is no first kernel.
  int64_t getNumChunks() const { return numChunks; }
  /// For what each chunk has.
  MemRefType getScratchType() const;

  /// Writes to `scratch` what each chunk has together.
  void writeTotals(RewriterBase &rewriter, const ThreadTeam &team,
                   Value scratch);
  /// Writes the loops. `scratch`: null if there is one chunk for each line.
  void write(RewriterBase &rewriter, const ThreadTeam &team, Value scratch);

private:
  struct Writer;

  /// Finds which loop goes along the lines, by the places of the element and
  /// the one before.
  LogicalResult findLine(memref::LoadOp before);
  /// Whether `value` can be calculated for the first position, too, where it is
  /// of no use.
  bool isKnownBefore() const;
  void chooseShape();
  Type getType() const {
    return memref::StoreOp(nest.store).getMemRefType().getElementType();
  }

  StoringLoops nest;
  memref::LoadOp before;
  Operation *combiner = nullptr;
  Value value;       ///< What it combines with the element before.
  unsigned line = 0; ///< The loop that goes along a line.
  /// The others, those whose elements are nearest to each other last.
  SmallVector<unsigned> others;

  int64_t numLines = 1;
  int64_t numPositions = 1; ///< Of a line.
  /// Whether the elements of a line are beside each other.
  bool isContiguous = false;
  int64_t numLanes = 1;    ///< Of a line.
  int64_t numElements = 1; ///< Of a thread, in a row.
  int64_t numParts = 1;    ///< Of a tile, in each of which a thread has such.
  int64_t numChunks = 1;   ///< Of a line.
  int64_t chunkSize = 1;   ///< In positions.
};

} // namespace mlir::grad

#endif // GRADOPT_PASSES_SCANLOOPS_H
