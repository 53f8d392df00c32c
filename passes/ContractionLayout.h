//===- ContractionLayout.h - Tensor products as matrix products -*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A contraction is loops in four groups: batch, m (left operand and result),
// n (right operand and result), k (both operands). It is a matrix product that
// a BLAS can do in place where each group of loops walks each operand with one
// stride and one of an operand's two strides is 1.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_CONTRACTIONLAYOUT_H
#define GRADOPT_PASSES_CONTRACTIONLAYOUT_H

#include "mlir/IR/AffineMap.h"

#include <optional>

namespace mlir::grad {

struct Contraction {
  SmallVector<int64_t> sizes; ///< Of all loops.
  SmallVector<int64_t> batch, m, n, k;
  AffineMap lhs, rhs, result; ///< From loops to elements.
};

/// Element (r, c) is at `r * leading + c`, or at `r + c * leading`.
struct MatrixLayout {
  int64_t rows, columns;
  int64_t leading;
  bool transposed;
};

/// How far one step of each loop moves in memory, 0 where it does not.
SmallVector<int64_t> loopStrides(AffineMap map, ArrayRef<int64_t> strides,
                                 int64_t loops);

/// The layout of an operand whose rows and columns are groups of loops; none
/// where no leading dimension describes it.
std::optional<MatrixLayout> matrixLayout(ArrayRef<int64_t> sizes,
                                         ArrayRef<int64_t> strides,
                                         ArrayRef<int64_t> rows,
                                         ArrayRef<int64_t> columns);

/// The number of iterations of the loops in `group`.
int64_t extent(ArrayRef<int64_t> sizes, ArrayRef<int64_t> group);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_CONTRACTIONLAYOUT_H
