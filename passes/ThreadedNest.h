//===- ThreadedNest.h - Loop nests for many threads -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// How the threads of a GPU share the iterations of a linalg op on buffers.
///
/// The parallel iterations, in their linear order, are divided among groups of
/// threads; the threads of a group, its lanes, share the reduction of each and
/// add up in a fixed order. Neighbouring threads take neighbouring iterations
/// of the loop that most operands are contiguous in: parallel iterations (then
/// the lanes of a group are far from each other), or those of the reduction.
///
/// Where there are few parallel iterations, a long reduction is divided into
/// chunks for several blocks. What each finds goes to scratch memory, for a
/// second kernel to add up.
///
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_THREADEDNEST_H
#define GRADOPT_PASSES_THREADEDNEST_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::grad {

/// The op that combines the element of `output` with a value that does not
/// depend on it, and has no other use; null if that is not a single op.
Operation *findCombiner(linalg::LinalgOp op, OpOperand *output);

/// The threads that work together.
struct ThreadTeam {
  explicit ThreadTeam(gpu::GPUFuncOp kernel) : kernel(kernel) {}

  gpu::GPUFuncOp kernel;
  int64_t numThreads = 1; ///< Of a block.
  Value thread;           ///< Its number in the block.
  Value block;            ///< Null if one block does all.

  /// Shared memory with an element for each thread. Who gets a number again
  /// gets the same memory.
  Value getShared(Type element, unsigned number);

private:
  SmallVector<Value> shared;
};

/// The iterations of an op, and how to share them.
class ThreadedNest {
public:
  explicit ThreadedNest(linalg::LinalgOp op);

  /// Whether several blocks may share the op: each element that is written
  /// depends on no other one.
  bool isDivisible() const { return isStandard; }

  /// Iterations, all of them.
  int64_t getNumIterations() const { return numParallel * numReduced; }

  /// Lets several blocks share the op, and, if there is memory for what they
  /// find, a reduction. Returns the threads of each.
  int64_t chooseThreads(bool hasScratch);
  /// How many blocks that takes.
  int64_t getNumBlocks() const;

  /// Of how many chunks there is something to add up.
  int64_t getNumChunks() const { return numChunks; }
  /// Lets somebody else divide the reduction, and write what chunks find.
  void setNumChunks(int64_t count) { numChunks = count; }
  /// Where chunks put what they find, for each accumulated output.
  SmallVector<MemRefType> getScratchTypes();
  /// The loops that the dimensions of scratch memory behind the first are for.
  ArrayRef<unsigned> getParallelLoops() const { return parallel; }
  /// Writes an op that adds up what is in `scratch`, and is a nest itself.
  linalg::LinalgOp addUpChunks(OpBuilder &builder, ValueRange scratch);

  /// Writes the op for `team` at the insertion point. `inits` are numbers that
  /// outputs begin with, in place of what is in memory; null where there is
  /// none. `scratch` is for chunks, if there are any.
  void write(RewriterBase &rewriter, ThreadTeam &team, ArrayRef<Value> inits,
             ValueRange scratch = {});

private:
  /// An output that the reduction accumulates in a register.
  struct Accumulator {
    OpOperand *output;
    /// What combines the element with a value; null if that is not a single op.
    Operation *combiner;
  };

  /// Whether `output` begins with the value that it has.
  bool isAccumulated(OpOperand *output);
  void findAccumulators();
  void chooseOrder();
  /// Divides `threads` into groups of lanes.
  void chooseLanes(int64_t threads, bool isAlone);

  // Writing.
  Value index(int64_t value);
  /// The counters of `loops`, last one fastest, at a linear position.
  void delinearize(Value linear, ArrayRef<unsigned> loops);
  void writeGroup(Value unit, Value lane, Value isInside);
  void writeElements(Value unit);
  SmallVector<Value> writeReduction(Value lane);
  void storeFound(ValueRange found);
  SmallVector<Value> writeBody(ValueRange carried);
  SmallVector<Value> writeSteps(Value begin, Value end,
                                ArrayRef<Value> neutral);
  SmallVector<Value> combineLanes(Value lane, ValueRange partial);
  void combineWarps(Value lane, MutableArrayRef<Value> found,
                    ArrayRef<Accumulator> accumulators);
  int64_t getLanesOfWarp() const;
  /// Whether the lanes of a group exchange values through shared memory.
  bool sharesMemory() const { return getLanesOfWarp() < numLanes; }
  SmallVector<Value> indices(OpOperand *operand);
  Value load(OpOperand *operand);
  void store(Value value, OpOperand *output);
  Value neutral(const Accumulator &accumulator);
  Value combine(const Accumulator &accumulator, Value a, Value b);

  linalg::LinalgOp op;
  SmallVector<int64_t> sizes;
  SmallVector<unsigned> parallel, reduced; ///< Loops, the fastest one last.
  int64_t numParallel = 1, numReduced = 1;
  SmallVector<Accumulator> accumulators;
  bool isStandard = true;
  bool lanesAreNeighbours = false;
  int64_t numLanes = 1, numGroups = 1; ///< Of a block.
  int64_t numElements = 1;             ///< Of a thread, in a row.
  int64_t numChunks = 1;               ///< Of the reduction.

  RewriterBase *rewriter = nullptr;
  ThreadTeam *team = nullptr;
  ArrayRef<Value> inits;
  SmallVector<Value> scratch;
  Value chunk;
  SmallVector<Value> position;
};

} // namespace mlir::grad

#endif // GRADOPT_PASSES_THREADEDNEST_H
