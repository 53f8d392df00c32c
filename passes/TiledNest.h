//===- TiledNest.h - Tensor products for many threads -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// A tensor product on buffers, such as a convolution, as a matrix product of
/// which each block calculates a tile (ProductTile.h): rows, columns and
/// summands are the iterations of groups of loops, and elements are loaded from
/// where these access them. Nothing is copied to a matrix.
///
/// Where there are few tiles, a long sum is divided into chunks, as other
/// reductions are (ThreadedNest.h). An epilogue (Epilogue.h) is done with sums
/// that are in registers.
///
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_TILEDNEST_H
#define GRADOPT_PASSES_TILEDNEST_H

#include "passes/ProductTile.h"
#include "passes/TensorProduct.h"
#include "passes/ThreadedNest.h"

namespace mlir::grad {

class TiledNest {
public:
  /// Describes `op`, if it is a product that tiles are good for, with an
  /// epilogue, unless that is null.
  static std::optional<TiledNest> match(linalg::LinalgOp op,
                                        linalg::LinalgOp epilogue = nullptr);

  /// How many chunks of the sum keep the device busy.
  int64_t chooseChunks() const;
  int64_t getNumBlocks(int64_t numChunks) const;

  /// Writes the op for `team` at the insertion point. `init` is what sums are
  /// added to, if not what is in memory. With several chunks, sums are put into
  /// `scratch`, whose dimensions are the chunks and `scratchLoops`. What an
  /// epilogue writes takes the place of the sums.
  void write(OpBuilder &builder, const ThreadTeam &team, Value init,
             int64_t numChunks, Value scratch, ArrayRef<unsigned> scratchLoops);

private:
  /// An operand: its strides by loop.
  struct Operand {
    Value buffer;
    SmallVector<int64_t> strides;
  };

  TiledNest(linalg::LinalgOp op, linalg::LinalgOp epilogue,
            TensorProduct product)
      : op(op), epilogue(epilogue), product(std::move(product)) {}
  bool addOperands();
  /// Finds the strides of an operand whose map is `map`; fails as above.
  bool addOperand(Operand &operand, Value value, AffineMap map) const;
  bool addEpilogue();
  void chooseOrder();
  int64_t countRows() const;
  int64_t countColumns() const;
  int64_t countSummands() const;
  double getContiguity(const Operand &operand, ArrayRef<int64_t> loops) const;

  linalg::LinalgOp op, epilogue;
  TensorProduct product;
  Operand lhs, rhs, result;
  /// Those of the epilogue; without strides what is no buffer, and the result.
  SmallVector<Operand> others;
  TileShape shape;
};

} // namespace mlir::grad

#endif // GRADOPT_PASSES_TILEDNEST_H
