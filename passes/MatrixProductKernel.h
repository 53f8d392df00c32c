//===- MatrixProductKernel.h - Matrix products on a GPU ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_MATRIXPRODUCTKERNEL_H
#define GRADOPT_PASSES_MATRIXPRODUCTKERNEL_H

#include "passes/ProductTile.h"

namespace mlir::grad {

/// A product of matrices of f32 or f64: which of them are transposed, and the
/// tile that a block calculates.
struct MatrixProduct {
  Type element; ///< Of what is multiplied.
  bool transposesA, transposesB;
  TileShape shape;

  /// The type of sums: narrow floats are added up as f32.
  Type getSum() const;

  /// The name of its kernel.
  std::string getName() const;

  /// Writes the kernel: it takes the operands of a command of matrix products
  /// (runtime/Commands.h), and does what a machine does that has no library for
  /// that.
  gpu::GPUFuncOp createKernel(OpBuilder &builder, Location loc) const;
};

} // namespace mlir::grad

#endif // GRADOPT_PASSES_MATRIXPRODUCTKERNEL_H
