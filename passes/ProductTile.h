//===- ProductTile.h - A tile of a matrix product on a GPU ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What the threads of one block do to calculate a tile of a matrix product,
/// step by step along the sum. For a step, they load a tile of both factors to
/// shared memory, so that neighbours load neighbouring elements; then each adds
/// to a square of results in its registers. What the next step needs is loaded
/// meanwhile. Numbers of 64 bits are multiplied by tensor cores, which round as
/// all others do: what is of a warp is calculated by its threads together. So
/// are narrow floats, whose products are exact and whose sums are of 32 bits.
///
/// Where elements are in memory is for others to say: in a matrix, or in a
/// tensor whose windows are what is multiplied.
///
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_PRODUCTTILE_H
#define GRADOPT_PASSES_PRODUCTTILE_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

#include <functional>

namespace mlir::grad {

/// The sizes of a tile.
struct TileShape {
  int64_t rows, columns;
  int64_t depth; ///< Of a step.

  static constexpr int64_t kNumThreads = 256;
  /// One for a product of this size of numbers of type `element`, whose sum may
  /// be divided among as many blocks as there are `chunks`.
  static TileShape choose(Type element, int64_t rows, int64_t columns,
                          int64_t chunks = 1);
  /// How many of them the product consists of.
  int64_t getNumTiles(int64_t rows, int64_t columns) const;
  /// How many blocks a multiprocessor is to have registers for; an epilogue
  /// takes some, too. Without being told, ptxas prefers one more block to the
  /// last values where tensor cores multiply, and else registers to a second
  /// block.
  int64_t getNumBlocks(Type element, bool hasEpilogue = false) const;
};

/// A matrix that is multiplied: the rows of the first one, or the columns of
/// the second one, along the sum.
struct ProductFactor {
  Value elements; ///< A buffer of one dimension.
  Value count;    ///< Of rows, or columns.
  /// An element is at the sum of two places: that of its row, or column, and
  /// that of its position along the sum; `index`, or i32, of which more fit the
  /// registers.
  std::function<Value(Value)> placeOf, placeAlongSum;
  bool isContiguousAlongSum; ///< Else along rows, or columns.
};

/// Writes what a thread does for a tile of a product.
class ProductTile {
public:
  /// One of numbers of type `element`, which are narrow floats, or of that of
  /// their sums.
  ProductTile(OpBuilder &builder, Location loc, gpu::GPUFuncOp kernel,
              Value thread, Type element, Type sum, TileShape shape)
      : builder(builder), loc(loc), kernel(kernel), thread(thread),
        element(element), sum(sum), shape(shape) {}

  /// Adds up products from `begin` to below `end`, for the tile from `row` and
  /// `column` on, and calls `store`, in code for elements that are in the
  /// result, with each row, column and sum that the thread has found.
  void write(const ProductFactor &a, const ProductFactor &b, Value row,
             Value column, Value begin, Value end,
             function_ref<void(Value row, Value column, Value sum)> store);

private:
  /// What a thread loads of a factor.
  struct Loader {
    const ProductFactor *factor;
    Value tile;                ///< In shared memory: two tiles, one a step.
    Value pairs;               ///< The same, by two narrow floats.
    bool isBySum;              ///< Neighbours in a tile are along the sum.
    SmallVector<Value> at;     ///< Rows, or columns, in the tile.
    SmallVector<Value> places; ///< Of these.
    SmallVector<Value> along;  ///< Positions in a step.
  };

  Value index(int64_t value);
  Value zero(Type type);
  Value add(Value a, Value b);
  Value multiply(Value value, int64_t factor);
  Value isLess(Value a, Value b);
  /// `value` divided by a constant, and what is left.
  std::pair<Value, Value> divide(Value value, int64_t divisor);

  Loader createLoader(const ProductFactor &factor, Value first, int64_t count);
  SmallVector<Value> load(const Loader &loader, Value begin, Value end);
  void storeTile(const Loader &loader, Value buffer, ValueRange elements);

  bool isNarrow() const { return element != sum; }
  bool usesTensorCores() const { return isNarrow() || element.isF64(); }
  void allocateTile(Loader &loader, int64_t count);
  SmallVector<Value> getPlace(const Loader &loader, Value buffer, Value at,
                              Value along);
  /// Elements of a tile at a position in the step; pairs at the position of
  /// one, if floats are narrow.
  SmallVector<Value> read(const Loader &loader, Value buffer, ValueRange at,
                          Value along);
  /// Finds the rows and columns of the thread.
  void chooseMine();
  /// Those of `count` that thread `number` of a row, or column, has.
  SmallVector<Value> getSquare(Value number, int64_t count, int64_t each);
  /// Adds the products of a step to `sums`, by rows.
  SmallVector<Value> addSquares(const Loader &a, const Loader &b, Value buffer,
                                ValueRange sums);
  /// The same by tensor cores: of fragments of 8 x 8 x 4, or 16 x 8 x 16.
  SmallVector<Value> addFragments(const Loader &a, const Loader &b,
                                  Value buffer, ValueRange sums);
  SmallVector<Value> addNarrowFragments(const Loader &a, const Loader &b,
                                        Value buffer, ValueRange sums);

  OpBuilder &builder;
  Location loc;
  gpu::GPUFuncOp kernel;
  Value thread;
  Type element, sum;
  TileShape shape;
  SmallVector<Value> rows, columns; ///< In the tile, those of the thread.
  /// For tensor cores: the columns that the thread brings of the second factor,
  /// and its position, or that of its pair, along the sum.
  SmallVector<Value> broughtColumns;
  Value broughtAlong;
};

} // namespace mlir::grad

#endif // GRADOPT_PASSES_PRODUCTTILE_H
