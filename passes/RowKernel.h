//===- RowKernel.h - Rows in the registers of threads -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// How the threads of a block go through ops on a few rows, such as those of
/// softmax and of a layer norm, with each element of a row loaded once.
///
/// Each row is for a group of threads, its lanes. A lane has the same columns
/// in all ops: what it loads or calculates there stays in its registers, and
/// needs no barrier. A reduction along rows is combined in a fixed order, and
/// each lane gets to know the result, so that numbers of rows are in registers,
/// too.
///
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_ROWKERNEL_H
#define GRADOPT_PASSES_ROWKERNEL_H

#include "passes/ThreadedNest.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace mlir::grad {

class RowKernel {
public:
  /// The ops of a loop with the attributes kParallelAttr and kRowLoopsAttr, if
  /// they can be done so.
  static std::optional<RowKernel> match(scf::ForOp loop);

  int64_t getNumThreads() const { return numRows * numLanes; }

  /// Writes the ops in the place of each, and erases them.
  void write(RewriterBase &rewriter, ThreadTeam &team);

private:
  /// What of a buffer a lane has: nothing that depends on columns, an element
  /// for each of its columns, or neither.
  enum class Access { Row, Columns, Other };
  /// A buffer, and where the ops access it in iterations of the row loops, and
  /// of the columns.
  using Place = std::pair<Value, AffineMap>;

  bool findShape();
  bool checkMember(linalg::LinalgOp op);
  bool checkBuffers();
  void chooseLanes();
  bool fitsRegisters() const;

  /// Whether `op` has loops for columns.
  bool hasColumns(linalg::LinalgOp op) const;
  Access getAccess(linalg::LinalgOp op, OpOperand &operand) const;
  Place getPlace(linalg::LinalgOp op, OpOperand &operand) const;

  // Writing.
  Value index(int64_t value);
  /// How many elements a lane has.
  int64_t getNumElements() const;
  /// The columns that are an element of a lane, and whether there are such;
  /// null if there always are.
  void findColumns();
  SmallVector<Value> getPosition(linalg::LinalgOp op, int64_t element);
  /// What `operand` has at the elements of the lane; one if it has no columns.
  ArrayRef<Value> getValues(OpOperand &operand);
  Value load(OpOperand &operand, int64_t element);
  void store(OpOperand &output, ValueRange values);
  void writeRow(linalg::LinalgOp op);
  void writeColumns(linalg::LinalgOp op);
  SmallVector<Value> combineLanes(ArrayRef<Operation *> combiners,
                                  ValueRange partial);

  SmallVector<linalg::LinalgOp> members;
  unsigned numRowLoops = 0;
  int64_t numRows = 1, numColumns = 1;
  SmallVector<int64_t> columnSizes;
  int64_t mostBytes = 1; ///< Of an element.
  int64_t numLanes = 1;
  int64_t numTogether = 1; ///< Neighbouring elements of a lane.

  RewriterBase *rewriter = nullptr;
  ThreadTeam *team = nullptr;
  linalg::LinalgOp current;
  Value row, lane;
  /// For each element of a lane: counters of columns.
  SmallVector<SmallVector<Value>> columns;
  Value isLastInside;
  llvm::DenseMap<Place, SmallVector<Value>> known;
};

} // namespace mlir::grad

#endif // GRADOPT_PASSES_ROWKERNEL_H
