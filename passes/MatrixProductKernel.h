//===- MatrixProductKernel.h - Matrix products on a GPU ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_MATRIXPRODUCTKERNEL_H
#define GRADOPT_PASSES_MATRIXPRODUCTKERNEL_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace mlir::grad {

/// A product of matrices of f32 or f64, and which of them are transposed.
struct MatrixProduct {
  Type element;
  bool transposesA, transposesB;

  /// The name of its kernel.
  std::string getName() const;

  /// Writes the kernel: it takes the parameters of `gradopt_gemm_f64`, and does
  /// what a machine does that has no library for that.
  gpu::GPUFuncOp createKernel(OpBuilder &builder, Location loc) const;

  static constexpr int64_t kNumThreads = 256;
  /// The blocks for a result of this size.
  static int64_t getNumBlocks(int64_t rows, int64_t columns);
};

} // namespace mlir::grad

#endif // GRADOPT_PASSES_MATRIXPRODUCTKERNEL_H
