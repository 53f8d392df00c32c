//===- KernelWriter.h - Bodies of kernels of a GPU --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_KERNELWRITER_H
#define GRADOPT_PASSES_KERNELWRITER_H

#include "passes/ThreadedNest.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::grad {

/// Writes the body of one kernel.
class KernelWriter {
public:
  explicit KernelWriter(gpu::GPUFuncOp kernel)
      : rewriter(kernel.getContext()), team(kernel) {}
  /// The second kernel of two that `first` has begun with.
  KernelWriter(gpu::GPUFuncOp kernel, const KernelWriter &first)
      : rewriter(kernel.getContext()), team(kernel) {
    if (first.scanPhase == ScanPhase::Totals)
      scanPhase = ScanPhase::Rest;
  }

  LogicalResult write();

  /// Lets the kernel, if its reduction or scan is divided into chunks, put what
  /// they find into scratch memory that it gets as its last arguments. Returns
  /// the kernel that goes on with that; null if there are no chunks.
  gpu::GPUFuncOp divide();

  int64_t getNumBlocks() const { return numBlocks; }
  int64_t getNumThreads() const { return team.numThreads; }
  ArrayRef<MemRefType> getScratchTypes() const { return scratchTypes; }

private:
  /// The only nest, if the kernel is one that several blocks may share, and the
  /// fills before it.
  linalg::LinalgOp findOnlyNest(SmallVectorImpl<linalg::FillOp> &fills);
  /// Copies become nests, nests without iterations nothing.
  void prepare();
  /// What a block of threads has for itself becomes memory that it shares.
  void shareTemporaries();
  /// As many threads as the largest nest has work for.
  void chooseTeam();
  void identifyThreads(bool hasBlocks);
  void writeDivided(linalg::LinalgOp nest, ArrayRef<linalg::FillOp> fills);
  /// Lets threads that go through loops have enough registers: without being
  /// told, ptxas prefers more blocks of a multiprocessor to the last values.
  void setFewBlocks();
  /// Divides the iterations of a loop, of which the call tells how many there
  /// are, among blocks, or, if they are short, among threads.
  LogicalResult writeRows(scf::ForOp loop, int64_t most);
  /// Writes a kernel of a product and its epilogue; false if it is none.
  bool writeWithEpilogue();
  /// Numbers that the outputs of `nest` begin with; null where there is none.
  SmallVector<Value> getInits(linalg::LinalgOp nest,
                              ArrayRef<linalg::FillOp> fills);
  /// Writes a kernel that does nothing but to scatter; false if it does.
  bool writeScatter(Operation *only);
  /// The same for a scan.
  bool writeScan(Operation *only);
  /// The same for the factorisation of small matrices, and solutions by it.
  bool writeFactorization(Operation *only);
  gpu::GPUFuncOp divideReduction(linalg::LinalgOp op);
  gpu::GPUFuncOp divideScan();
  /// Adds arguments for scratch memory; returns a copy of the kernel then.
  gpu::GPUFuncOp copyWithScratch(StringRef suffix);
  /// The only op of the kernel that does anything; null if there are more.
  Operation *findOnlyOp();
  LogicalResult writeBlock(Block &block);
  LogicalResult writeOp(Operation *op);
  /// Lets threads wait before `op` writes what others may not have read yet, or
  /// behind it.
  void waitBefore(Operation *op);
  void wait(Location loc) {
    if (team.numThreads > 1)
      gpu::BarrierOp::create(rewriter, loc);
  }

  IRRewriter rewriter;
  ThreadTeam team;
  int64_t numBlocks = 1;
  SmallVector<MemRefType> scratchTypes;
  /// What the kernel of a scan finds: all, or what its chunks have together, or
  /// all from that.
  enum class ScanPhase { All, Totals, Rest } scanPhase = ScanPhase::All;
};

/// Whether it does not matter when threads do `op`: it writes nothing, and what
/// it reads has a number that nobody writes.
bool isAnytime(Operation *op);

/// What kernels say of arguments that begin at a multiple of what a thread
/// loads or stores at most at once.
NamedAttribute getKernelAlignment(MLIRContext *context);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_KERNELWRITER_H
