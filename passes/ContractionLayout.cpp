//===- ContractionLayout.cpp - Products of tensors as matrix products -----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/ContractionLayout.h"

using namespace mlir;
using namespace mlir::grad;

SmallVector<int64_t> mlir::grad::loopStrides(AffineMap map,
                                             ArrayRef<int64_t> strides,
                                             int64_t loops) {
  SmallVector<int64_t> result(loops, 0);
  for (unsigned i = 0, e = map.getNumResults(); i < e; ++i)
    result[map.getDimPosition(i)] = strides[i];
  return result;
}

int64_t mlir::grad::extent(ArrayRef<int64_t> sizes, ArrayRef<int64_t> group) {
  int64_t product = 1;
  for (int64_t loop : group)
    product *= sizes[loop];
  return product;
}

/// The one stride of the loops in `group`, outermost first; 1 for one
/// iteration.
static std::optional<int64_t> commonStride(ArrayRef<int64_t> sizes,
                                           ArrayRef<int64_t> strides,
                                           ArrayRef<int64_t> group) {
  std::optional<int64_t> innermost;
  int64_t next = 0;
  for (int64_t loop : llvm::reverse(group)) {
    if (sizes[loop] == 1)
      continue;
    if (innermost && strides[loop] != next)
      return std::nullopt;
    if (!innermost)
      innermost = strides[loop];
    next = strides[loop] * sizes[loop];
  }
  return innermost.value_or(1);
}

std::optional<MatrixLayout>
mlir::grad::matrixLayout(ArrayRef<int64_t> sizes, ArrayRef<int64_t> strides,
                         ArrayRef<int64_t> rows, ArrayRef<int64_t> columns) {
  std::optional<int64_t> rowStride = commonStride(sizes, strides, rows);
  std::optional<int64_t> columnStride = commonStride(sizes, strides, columns);
  if (!rowStride || !columnStride)
    return std::nullopt;
  int64_t m = extent(sizes, rows), n = extent(sizes, columns);
  if (n == 1 || *columnStride == 1) {
    int64_t leading = m == 1 ? std::max<int64_t>(n, 1) : *rowStride;
    if (leading >= n)
      return MatrixLayout{m, n, leading, /*transposed=*/false};
  }
  if (m == 1 || *rowStride == 1) {
    int64_t leading = n == 1 ? std::max<int64_t>(m, 1) : *columnStride;
    if (leading >= m)
      return MatrixLayout{m, n, leading, /*transposed=*/true};
  }
  return std::nullopt;
}
