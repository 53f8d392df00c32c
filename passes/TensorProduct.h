//===- TensorProduct.h - Sums of products of two tensors --------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_TENSORPRODUCT_H
#define GRADOPT_PASSES_TENSORPRODUCT_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

#include <optional>

namespace mlir::grad {

/// Whether `body` is `yield c + a * b` in any order of operands.
bool isMultiplyAdd(Block &body);

/// A sum of products of floats from two operands: a matrix product whose rows,
/// columns and summands are groups of loops. Operands are read at places that
/// are linear in the loops; in a convolution, some are sums of two counters.
struct TensorProduct {
  SmallVector<int64_t> sizes; ///< Of all loops.
  /// Loops that both operands and the result depend on, the first operand and
  /// the result, the second one and the result, and both operands.
  SmallVector<int64_t> batch, m, n, k;
};

/// Describes `op` as such a product, with more than one row, column and
/// summand; none if it is something else.
std::optional<TensorProduct> matchTensorProduct(linalg::LinalgOp op);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_TENSORPRODUCT_H
