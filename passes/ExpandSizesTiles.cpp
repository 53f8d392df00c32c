//===- ExpandSizesTiles.cpp - Several positions at once -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Tiles of values with one dimension of unknown size.
///
//===----------------------------------------------------------------------===//

#include "dialect/ControlFlow.h"
#include "dialect/Updates.h"
#include "passes/SizeExpander.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::grad;

/// The size of the only dimension of unknown size; null if there are others.
Value Expander::findOnlyExtent(Value value) {
  SmallVector<int64_t> unknown = dimensionsOf(value, true);
  return unknown.size() == 1 ? findExtent(value, unknown.front()) : nullptr;
}

/// Whether there are tiles of a value along a dimension of this size, or the
/// value is the same for all of them.
bool Expander::hasTiles(Value value, Value extent) {
  if (!isSized(value))
    return true;
  return findOnlyExtent(value) == extent &&
         bounds[value][dimensionsOf(value, true).front()] >= kTile &&
         (kept.contains(value) || hasTilesOf(value.getDefiningOp(), extent));
}

bool Expander::hasTilesOf(Operation *op, Value extent) {
  auto ofOperands = [&] {
    return llvm::all_of(op->getOperands(), [&](Value operand) {
      return hasTiles(operand, extent);
    });
  };
  if (isPointwise(op) || findReduced(op))
    return ofOperands();
  return llvm::TypeSwitch<Operation *, bool>(op)
      .Case([&](SizedSliceOp slice) { return !isSized(slice.getX()); })
      .Case([&](SizedBroadcastOp broadcast) {
        return hasTiles(broadcast.getX(), extent);
      })
      .Case<TransposeOp, DotGeneralOp>([&](auto) { return ofOperands(); })
      .Case([&](ReverseOp reverse) {
        return ofOperands() &&
               llvm::none_of(reverse.getDimensions(), [&](int64_t d) {
                 return typeOf(reverse).isDynamicDim(d);
               });
      })
      .Default([](Operation *other) { return isa<SizedIotaOp>(other); });
}

/// Whether an element takes the product of a vector and a matrix.
bool Expander::hasMatrixProduct(Value value) {
  if (!isSized(value) || kept.contains(value))
    return false;
  Operation *op = value.getDefiningOp();
  if (auto dot = dyn_cast<DotGeneralOp>(op))
    return typeOf(dot.getLhs()).getRank() > 1 &&
           typeOf(dot.getRhs()).getRank() > 1 && dot.getLhsBatch().empty();
  return llvm::any_of(op->getOperands(),
                      [&](Value operand) { return hasMatrixProduct(operand); });
}

/// The elements at `width` positions from `start` on.
Value Expander::getTile(Value value, Value start, int64_t width) {
  if (!isSized(value))
    return value;
  Value memory = kept.lookup(value);
  if (!memory)
    return computeTile(value, start, width);
  int64_t unknown = dimensionsOf(value, true).front();
  SmallVector<int64_t> shape(typeOf(value).getShape());
  Value zero = createSplat(builder, loc, typeOf(start), 0);
  SmallVector<Value> places(shape.size(), zero);
  places[unknown] = start;
  shape[unknown] = width;
  return readPart(memory, places, shape, shape, true);
}

Value Expander::computeTile(Value value, Value start, int64_t width) {
  Operation *op = value.getDefiningOp();
  SmallVector<int64_t> shape(typeOf(value).getShape());
  shape[dimensionsOf(value, true).front()] = width;
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](SizedSliceOp slice) {
        SmallVector<Value> places(slice.getIndices());
        SmallVector<int64_t> sizes(places.size(), 1);
        for (auto [i, d] : llvm::enumerate(slice.getDimensions())) {
          sizes[d] = shape[i];
          if (typeOf(value).isDynamicDim(i))
            places[d] = add(start, places[d]);
        }
        return readPart(written.lookup_or(slice.getX(), slice.getX()), places,
                        sizes, shape, slice->hasAttr(kInBounds));
      })
      .Case([&](SizedBroadcastOp broadcast) -> Value {
        return BroadcastOp::create(builder, loc,
                                   getTile(broadcast.getX(), start, width),
                                   shape, broadcast.getDimensions());
      })
      .Case([&](SizedIotaOp iota) -> Value {
        Value numbers =
            IotaOp::create(builder, loc, 0, shape, builder.getI64Type());
        Value from = BroadcastOp::create(builder, loc, start, shape,
                                         ArrayRef<int64_t>());
        return ConvertOp::create(builder, loc, add(numbers, from),
                                 iota.getDtype());
      })
      .Default([&](Operation *) {
        SmallVector<Value> operands =
            llvm::map_to_vector(op->getOperands(), [&](Value operand) {
              return getTile(operand, start, width);
            });
        Operation *tile = builder.clone(*op);
        tile->setOperands(operands);
        tile->getResult(0).setType(
            RankedTensorType::get(shape, typeOf(value).getElementType()));
        return tile->getResult(0);
      });
}

/// A loop over tiles and one over the positions behind them.
Expander::Carried Expander::loopOverTiles(Value extent, int64_t bound,
                                          ValueRange init, TileBody body) {
  auto number = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(builder, loc, value);
  };
  Value zero = number(0), one = number(1), tile = number(kTile);
  Value end = arith::IndexCastOp::create(
      builder, loc, builder.getIndexType(),
      tensor::ExtractOp::create(builder, loc, extent));
  Value count = arith::DivUIOp::create(
      builder, loc, arith::MaxSIOp::create(builder, loc, end, zero), tile);
  Value behind = arith::MulIOp::create(builder, loc, count, tile);
  auto word = RankedTensorType::get({}, builder.getI64Type());
  Carried carried(init);
  auto loopOver = [&](Value from, Value to, int64_t width, int64_t most) {
    OpBuilder::InsertionGuard guard(builder);
    auto loop = scf::ForOp::create(builder, loc, from, to, one, carried);
    setMaxTripCount(loop, most);
    builder.setInsertionPointToStart(loop.getBody());
    Value start = loop.getInductionVar();
    if (width > 1)
      start = arith::MulIOp::create(builder, loc, start, tile);
    start =
        arith::IndexCastOp::create(builder, loc, builder.getI64Type(), start);
    start = tensor::FromElementsOp::create(builder, loc, word, start);
    carried = body(start, width, loop.getRegionIterArgs());
    builder.setInsertionPointToEnd(loop.getBody());
    scf::YieldOp::create(builder, loc, carried);
    carried.assign(loop->result_begin(), loop->result_end());
  };
  loopOver(zero, count, kTile, bound / kTile);
  loopOver(behind, end, 1, kTile - 1);
  return carried;
}
