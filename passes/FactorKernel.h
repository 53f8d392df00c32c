//===- FactorKernel.h - Factorisations by threads of a GPU ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Calls of LAPACK on small matrices, of which there may be many, as kernels.
/// Of a factorisation each row is a thread's: those of a matrix are of one
/// block, and wait for each other after each column. Of a solution each column
/// is a thread's, or each row where the matrix stands on the right, and depends
/// on no other one. The orders in which is added up are those of the loops of
/// the host (runtime/FactorLoops.h), and so are statuses.
///
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_FACTORKERNEL_H
#define GRADOPT_PASSES_FACTORKERNEL_H

#include "dialect/GradDialect.h"
#include "passes/ThreadedNest.h"
#include "runtime/Lapack.h"

namespace mlir::grad {

class FactorKernel {
public:
  /// No larger matrix is factored by threads.
  static constexpr int64_t kMostRows = 32;
  static constexpr int64_t kNumThreads = 128;

  /// None if `op` is something else, or for the host: matrices that are larger,
  /// or complex, and other routines.
  static std::optional<FactorKernel> match(Operation *op);

  int64_t getNumBlocks() const;

  /// Writes the kernel for the threads of all blocks of `team`.
  void write(RewriterBase &rewriter, const ThreadTeam &team);

private:
  FactorKernel(LapackIntoOp op, gradopt::runtime::lapack::Routine routine)
      : op(op), routine(routine) {}

  bool isSolution() const;
  bool has(int64_t flag) const;
  /// How many threads a matrix has: a power of two if these are rows.
  int64_t getThreadsOfMatrix() const;

  void writeCholesky();
  void writeLu();
  void writeSolution();

  Value index(int64_t value);
  /// Lets the threads of a block wait for each other.
  void wait();
  /// The element of an operand that is a stack of matrices, vectors or numbers.
  Value load(Value stack, ValueRange place);
  void store(Value value, Value stack, ValueRange place);
  void loop(Value begin, Value end, llvm::function_ref<void(Value)> body);
  void when(Value condition, llvm::function_ref<void()> body);

  LapackIntoOp op;
  gradopt::runtime::lapack::Routine routine;
  int64_t rows = 0, columns = 0; ///< Of the first input.
  int64_t numMatrices = 1;
  ArrayRef<int64_t> stack; ///< The dimensions that number the matrices.

  // While writing.
  RewriterBase *rewriter = nullptr;
  Value place;               ///< Of this thread in its matrix.
  Value isInside;            ///< Whether there is a matrix for it.
  SmallVector<Value> matrix; ///< Where that is in the stack.
};

} // namespace mlir::grad

#endif // GRADOPT_PASSES_FACTORKERNEL_H
