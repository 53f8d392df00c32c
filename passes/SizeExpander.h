//===- SizeExpander.h - Loops for tensors of unknown size -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// What ExpandSizes.cpp (elements), ExpandSizesTiles.cpp and
/// ExpandSizesMemory.cpp share. The first says what these words mean.
///
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_SIZEEXPANDER_H
#define GRADOPT_PASSES_SIZEEXPANDER_H

#include "dialect/AnyOrder.h"
#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "passes/SizedTensors.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLExtras.h"

namespace mlir::grad {

/// Says so if `value` is a sum or a product that may be added up in any order.
inline Value inAnyOrder(Value value) {
  Operation *op = value.getDefiningOp();
  if (isa<AddOp, MultiplyOp>(op) && isDifferentiable(value.getType()))
    op->setAttr(kAnyOrder, UnitAttr::get(op->getContext()));
  return value;
}

/// Writes loops for the ops of one function.
class Expander {
public:
  explicit Expander(func::FuncOp function) : builder(function.getContext()) {}

  LogicalResult expand(Operation *op);

private:
  /// What loops carry.
  using Carried = SmallVector<Value>;
  using Body = function_ref<Carried(ArrayRef<Value>, ValueRange)>;

  // What is known of dimensions of unknown size.
  Value findExtent(Value value, int64_t dimension);
  void noteBounds(Value value);
  unsigned findDepth(Operation *op);

  // Elements. `position` has one entry for each dimension of unknown size.
  Value getElement(Value value, ArrayRef<Value> position);
  Value computeElement(Value value, ArrayRef<Value> position);
  Value getElementOf(SizedSliceOp op, ArrayRef<Value> position);
  Value getElementOf(SizedBroadcastOp op, ArrayRef<Value> position);
  Value getElementOf(TransposeOp op, ArrayRef<Value> position);
  Value getElementOf(ReverseOp op, ArrayRef<Value> position);
  Value getElementOf(DotGeneralOp op, ArrayRef<Value> position);
  Value getElementOf(GatherOp op, ArrayRef<Value> position);
  Value reduceElements(Operation *op, ArrayRef<int64_t> reduced,
                       ArrayRef<Value> position);
  Value computeElementwise(Operation *op, ArrayRef<Value> position);
  SmallVector<Value> splitRow(Value row);
  Value readPart(Value x, ArrayRef<Value> start, ArrayRef<int64_t> sizes,
                 ArrayRef<int64_t> shape, bool isInBounds);

  // Tiles, of values with one dimension of unknown size.
  using TileBody = function_ref<Carried(Value, int64_t, ValueRange)>;
  Value findOnlyExtent(Value value);
  bool hasTiles(Value value, Value extent);
  bool hasTilesOf(Operation *op, Value extent);
  bool hasMatrixProduct(Value value);
  Value getTile(Value value, Value start, int64_t width);
  Value computeTile(Value value, Value start, int64_t width);
  Carried loopOverTiles(Value extent, int64_t bound, ValueRange init,
                        TileBody body);

  // What is kept in memory.
  bool isAccess(Value value);
  bool isRepeated(Value value);
  bool isReadElsewhere(SizedUpdateOp op);
  void keep(Value value);
  bool keepByRows(DotGeneralOp op);
  void write(SizedUpdateOp op);
  template <typename Op> void writeRows(Op op);

  Carried loopOver(ArrayRef<Value> extents, ValueRange init, Body body);
  Value add(Value x, Value y) { return builder.createOrFold<AddOp>(loc, x, y); }
  Value reshape(Value x, ArrayRef<int64_t> shape) {
    if (typeOf(x).getShape() == shape)
      return x;
    return ReshapeOp::create(builder, loc, x, shape);
  }
  RankedTensorType elementType(Value value) {
    RankedTensorType type = typeOf(value);
    SmallVector<int64_t> shape;
    for (int64_t size : type.getShape())
      if (!ShapedType::isDynamic(size))
        shape.push_back(size);
    return RankedTensorType::get(shape, type.getElementType());
  }

  /// Where an element takes more ops, elements on the way are kept.
  static constexpr unsigned kDeepest = 64;
  /// How many positions a tile has.
  static constexpr int64_t kTile = 32;
  /// Of how many ops an element may be made each time.
  static constexpr unsigned kShallow = 5;

  OpBuilder builder;
  Location loc = builder.getUnknownLoc();
  /// Tensors of the largest size that hold values of unknown size.
  DenseMap<Value, Value> kept;
  /// The largest sizes of values of unknown size.
  DenseMap<Value, SmallVector<int64_t>> bounds;
  /// How many ops compute an element of them.
  DenseMap<Value, unsigned> depths;
  /// What a loop reads in place of a tensor that it writes to.
  DenseMap<Value, Value> written;
};

} // namespace mlir::grad

#endif // GRADOPT_PASSES_SIZEEXPANDER_H
