//===- Coloring.h - Products that a sparse matrix is found from -*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Columns of one color are computed as one product of the matrix with a vector.
// The algorithms are those of A. H. Gebremedhin, F. Manne and A. Pothen, *What
// color is your Jacobian? Graph coloring for computing derivatives*, SIAM
// Review 47 (2005): greedy coloring of the column intersection graph, at
// distance one, for any matrix, and greedy star coloring of the adjacency graph
// for a symmetric one, of which elements are then read from either of the two
// columns that they are in. Vertices are taken by falling degree.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_COLORING_H
#define GRADOPT_PASSES_COLORING_H

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <vector>

namespace mlir::grad {

/// Where a matrix may have elements other than zero, row by row.
struct SparsityPattern {
  int64_t rows = 0, columns = 0;
  /// Where each row begins among `indices`, and where the last one ends.
  std::vector<int64_t> offsets = {0};
  /// Columns, increasing within a row.
  std::vector<int32_t> indices;

  llvm::ArrayRef<int32_t> row(int64_t i) const {
    return llvm::ArrayRef<int32_t>(indices).slice(offsets[i],
                                                  offsets[i + 1] - offsets[i]);
  }
  SparsityPattern transposed() const;
  /// With the elements of its transpose, of a square one.
  SparsityPattern symmetrized() const;
};

/// How the elements of a matrix are found from few products.
struct Compression {
  enum Direction : int64_t {
    /// Products with sums of columns of the identity: forward mode.
    Columns,
    /// Sums of rows: reverse mode.
    Rows,
    /// Columns of a symmetric matrix.
    Symmetric
  };
  Direction direction = Columns;
  int32_t colorCount = 0;
  /// One for each column, or row.
  std::vector<int32_t> colors;
  /// For each element of the pattern its place in the products, one behind the
  /// other: the number of the product times its length, and the place in that.
  std::vector<int64_t> sources;
};

/// By columns or by rows, whichever takes fewer products.
Compression compress(const SparsityPattern &pattern);

/// Of a pattern that is symmetric.
Compression compressSymmetric(const SparsityPattern &pattern);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_COLORING_H
