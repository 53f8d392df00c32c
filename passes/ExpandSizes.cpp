//===- ExpandSizes.cpp - Sizes known at run time become loops -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-expand-sizes`: what works on tensors with dimensions of unknown size
/// becomes loops over these dimensions, on tensors without them.
///
///  1. Such a tensor is not made: where an element of it is needed, that is
///     computed, from elements of what it was computed from. So one loop does
///     what several ops say. An *element* is what is there at one position
///     along the dimensions of unknown size: a tensor of the other dimensions.
///  2. Products of matrices are computed for several positions at once, and the
///     last few one by one: a *tile* is what an element is, with the dimension
///     of unknown size in it.
///  3. What would be computed several times is kept in a tensor of the largest
///     size that it can have, as is what is written over the elements that it
///     is computed from.
///
//===----------------------------------------------------------------------===//

#include "dialect/ControlFlow.h"
#include "dialect/DeadOps.h"
#include "dialect/Updates.h"
#include "passes/Passes.h"
#include "passes/SizeExpander.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADEXPANDSIZES
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

//===----------------------------------------------------------------------===//
// Dimensions
//===----------------------------------------------------------------------===//

Value Expander::findExtent(Value value, int64_t dimension) {
  while (true) {
    Operation *op = value.getDefiningOp();
    if (auto iota = dyn_cast<SizedIotaOp>(op))
      return iota.getExtent();
    unsigned number = numberAmongUnknown(value, dimension);
    if (auto slice = dyn_cast<SizedSliceOp>(op))
      return slice.getExtents()[number];
    if (auto broadcast = dyn_cast<SizedBroadcastOp>(op))
      return broadcast.getExtents()[number];
    Origin origin = findOrigin(op, dimension);
    value = origin.operand;
    dimension = origin.dimension;
  }
}

/// Notes the bounds of a value, given those of operands.
void Expander::noteBounds(Value value) {
  Operation *op = value.getDefiningOp();
  auto boundOf = [&](int64_t dimension) -> int64_t {
    if (!typeOf(value).isDynamicDim(dimension))
      return typeOf(value).getDimSize(dimension);
    if (auto iota = dyn_cast<SizedIotaOp>(op))
      return iota.getBound();
    if (auto broadcast = dyn_cast<SizedBroadcastOp>(op))
      return broadcast.getBounds()[numberAmongUnknown(value, dimension)];
    auto below = [&](Value operand, int64_t d) {
      return isSized(operand) ? bounds[operand][d]
                              : typeOf(operand).getDimSize(d);
    };
    Origin origin = findOrigin(op, dimension);
    int64_t bound = below(origin.operand, origin.dimension);
    if (isPointwise(op))
      for (Value operand : op->getOperands())
        bound = std::min(bound, below(operand, dimension));
    return bound;
  };
  bounds[value] =
      llvm::map_to_vector(llvm::seq<int64_t>(typeOf(value).getRank()), boundOf);
}

/// How many ops an element is computed by, one after the other.
unsigned Expander::findDepth(Operation *op) {
  unsigned depth = 0;
  for (Value operand : op->getOperands())
    if (!kept.contains(operand))
      depth = std::max(depth, depths.lookup(operand));
  return depth + 1;
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

/// Loops, one in the other, with what they carry. The body gets the position
/// and what is carried, and returns what that becomes.
Expander::Carried Expander::loopOver(ArrayRef<Value> extents, ValueRange init,
                                     Body body) {
  OpBuilder::InsertionGuard guard(builder);
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  Value one = arith::ConstantIndexOp::create(builder, loc, 1);
  SmallVector<Value> position;
  SmallVector<scf::ForOp> loops;
  Carried carried(init);
  auto index = RankedTensorType::get({}, builder.getI64Type());
  for (Value extent : extents) {
    Value end = arith::IndexCastOp::create(
        builder, loc, builder.getIndexType(),
        tensor::ExtractOp::create(builder, loc, extent));
    auto loop = scf::ForOp::create(builder, loc, zero, end, one, carried);
    builder.setInsertionPointToStart(loop.getBody());
    carried.assign(loop.getRegionIterArgs().begin(),
                   loop.getRegionIterArgs().end());
    Value counter = arith::IndexCastOp::create(
        builder, loc, builder.getI64Type(), loop.getInductionVar());
    position.push_back(
        tensor::FromElementsOp::create(builder, loc, index, counter));
    loops.push_back(loop);
  }
  carried = body(position, carried);
  for (scf::ForOp loop : llvm::reverse(loops)) {
    builder.setInsertionPointToEnd(loop.getBody());
    scf::YieldOp::create(builder, loc, carried);
    carried.assign(loop->result_begin(), loop->result_end());
  }
  return carried;
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

/// `sizes` elements of `x` from `start` on, in another shape.
Value Expander::readPart(Value x, ArrayRef<Value> start,
                         ArrayRef<int64_t> sizes, ArrayRef<int64_t> shape,
                         bool isInBounds) {
  if (start.empty())
    return x;
  // An array without elements is read in no iteration, whatever the type says.
  for (auto [extent, size] : llvm::zip_equal(typeOf(x).getShape(), sizes))
    if (extent < size)
      return createSplat(
          builder, loc,
          RankedTensorType::get(shape, typeOf(x).getElementType()), 0);
  auto part = DynamicSliceOp::create(builder, loc, x, start, sizes);
  if (isInBounds)
    part->setAttr(kInBounds, builder.getUnitAttr());
  return reshape(part, shape);
}

Value Expander::getElement(Value value, ArrayRef<Value> position) {
  if (!isSized(value))
    return value;
  if (Value memory = kept.lookup(value)) {
    SmallVector<Value> start;
    SmallVector<int64_t> sizes;
    Value zero;
    auto *next = position.begin();
    for (int64_t size : typeOf(value).getShape()) {
      bool isUnknown = ShapedType::isDynamic(size);
      if (!isUnknown && !zero)
        zero = createSplat(builder, loc, typeOf(position.front()), 0);
      start.push_back(isUnknown ? *next++ : zero);
      sizes.push_back(isUnknown ? 1 : size);
    }
    return readPart(memory, start, sizes, elementType(value).getShape(), true);
  }
  return computeElement(value, position);
}

Value Expander::computeElement(Value value, ArrayRef<Value> position) {
  Operation *op = value.getDefiningOp();
  if (std::optional<ArrayRef<int64_t>> reduced = findReduced(op))
    return reduceElements(op, *reduced, position);
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case<SizedSliceOp, SizedBroadcastOp, TransposeOp, ReverseOp,
            DotGeneralOp, GatherOp>(
          [&](auto known) { return getElementOf(known, position); })
      .Case([&](SizedIotaOp iota) -> Value {
        return ConvertOp::create(builder, loc, position.front(),
                                 iota.getDtype());
      })
      .Default([&](Operation *) { return computeElementwise(op, position); });
}

Value Expander::getElementOf(SizedSliceOp op, ArrayRef<Value> position) {
  Value x = op.getX();
  SmallVector<Value> places(op.getIndices());
  SmallVector<int64_t> sizes(places.size(), 1);
  auto *next = position.begin();
  for (auto [i, d] : llvm::enumerate(op.getDimensions()))
    if (ShapedType::isDynamic(op.getShape()[i]))
      places[d] = add(*next++, places[d]);
    else
      sizes[d] = op.getShape()[i];
  SmallVector<Value> outer, start;
  SmallVector<int64_t> startSizes;
  for (auto [d, size] : llvm::enumerate(typeOf(x).getShape())) {
    if (ShapedType::isDynamic(size)) {
      outer.push_back(places[d]);
      continue;
    }
    start.push_back(places[d]);
    startSizes.push_back(sizes[d]);
  }
  Value source = isSized(x) ? getElement(x, outer) : written.lookup_or(x, x);
  return readPart(source, start, startSizes, elementType(op).getShape(),
                  op->hasAttr(kInBounds));
}

Value Expander::getElementOf(SizedBroadcastOp op, ArrayRef<Value> position) {
  Value x = op.getX();
  SmallVector<int64_t> unknown = dimensionsOf(op, true),
                       known = dimensionsOf(op, false);
  SmallVector<Value> inner;
  SmallVector<int64_t> dimensions;
  for (auto [i, d] : llvm::enumerate(op.getDimensions()))
    if (typeOf(x).isDynamicDim(i))
      inner.push_back(position[placesOf(d, unknown).front()]);
    else
      dimensions.push_back(placesOf(d, known).front());
  Value element = getElement(x, inner);
  RankedTensorType type = elementType(op);
  if (element.getType() == type)
    return element;
  return BroadcastOp::create(builder, loc, element, type.getShape(),
                             dimensions);
}

Value Expander::getElementOf(TransposeOp op, ArrayRef<Value> position) {
  SmallVector<int64_t> unknown = dimensionsOf(op, true),
                       unknownBelow = dimensionsOf(op.getX(), true),
                       knownBelow = dimensionsOf(op.getX(), false);
  ArrayRef<int64_t> permutation = op.getPermutation();
  SmallVector<Value> below(position);
  for (auto [number, d] : llvm::enumerate(unknown))
    below[placesOf(permutation[d], unknownBelow).front()] = position[number];
  Value element = getElement(op.getX(), below);
  SmallVector<int64_t> order;
  for (int64_t d : dimensionsOf(op, false))
    order.push_back(placesOf(permutation[d], knownBelow).front());
  if (llvm::is_sorted(order))
    return element;
  return TransposeOp::create(builder, loc, element, order);
}

Value Expander::getElementOf(ReverseOp op, ArrayRef<Value> position) {
  SmallVector<int64_t> unknown = dimensionsOf(op, true),
                       known = dimensionsOf(op, false), dimensions;
  SmallVector<Value> below(position);
  for (int64_t d : op.getDimensions()) {
    if (!typeOf(op).isDynamicDim(d)) {
      dimensions.push_back(placesOf(d, known).front());
      continue;
    }
    unsigned number = placesOf(d, unknown).front();
    Value extent = findExtent(op, d);
    Value one = createSplat(builder, loc, typeOf(extent), 1);
    Value last = SubtractOp::create(builder, loc, extent, one);
    below[number] = SubtractOp::create(builder, loc, last, position[number]);
  }
  Value element = getElement(op.getX(), below);
  if (dimensions.empty())
    return element;
  return ReverseOp::create(builder, loc, element, dimensions);
}

Value Expander::computeElementwise(Operation *op, ArrayRef<Value> position) {
  SmallVector<Value> operands;
  for (Value operand : op->getOperands())
    operands.push_back(getElement(operand, position));
  Operation *element = builder.clone(*op);
  element->setOperands(operands);
  element->getResult(0).setType(elementType(op->getResult(0)));
  return element->getResult(0);
}
Value Expander::reduceElements(Operation *op, ArrayRef<int64_t> reduced,
                               ArrayRef<Value> position) {
  Value x = op->getOperand(0);
  SmallVector<int64_t> unknown = dimensionsOf(x, true),
                       known = dimensionsOf(x, false), within;
  SmallVector<Value> extents;
  for (int64_t d : reduced)
    if (typeOf(x).isDynamicDim(d))
      extents.push_back(findExtent(x, d));
    else
      within.push_back(placesOf(d, known).front());
  Value init = neutralOf(builder, loc, op, elementType(op->getResult(0)));
  return loopOver(extents, init,
                  [&](ArrayRef<Value> at, ValueRange sum) {
                    SmallVector<Value> below;
                    auto *outer = position.begin(), *inner = at.begin();
                    for (int64_t d : unknown)
                      below.push_back(
                          llvm::is_contained(reduced, d) ? *inner++ : *outer++);
                    Value element = getElement(x, below);
                    if (!within.empty()) {
                      Operation *part = builder.clone(*op);
                      part->setOperands(element);
                      part->setAttr("dimensions",
                                    builder.getDenseI64ArrayAttr(within));
                      part->getResult(0).setType(elementType(op->getResult(0)));
                      element = part->getResult(0);
                    }
                    return Carried{inAnyOrder(
                        combine(builder, loc, op, sum.front(), element))};
                  })
      .front();
}

Value Expander::getElementOf(DotGeneralOp op, ArrayRef<Value> position) {
  // Where each operand is read along its dimensions of unknown size.
  DenseMap<int64_t, Value> lhsAt, rhsAt;
  SmallVector<Origin> origins = findOrigins(op);
  int64_t batch = op.getLhsBatch().size(),
          free = typeOf(op.getLhs()).getRank() - op.getLhsContract().size();
  for (auto [d, at] : llvm::zip_equal(dimensionsOf(op, true), position)) {
    if (d < free)
      lhsAt[origins[d].dimension] = at;
    if (d >= free)
      rhsAt[origins[d].dimension] = at;
    else if (d < batch)
      rhsAt[op.getRhsBatch()[d]] = at;
  }

  SmallVector<Value> extents;
  for (auto [l, r] : llvm::zip_equal(op.getLhsContract(), op.getRhsContract()))
    if (typeOf(op.getLhs()).isDynamicDim(l))
      extents.push_back(findExtent(op.getLhs(), l));
  RankedTensorType type = elementType(op);
  auto product = [&](ArrayRef<Value> at) -> Value {
    auto *next = at.begin();
    for (auto [l, r] :
         llvm::zip_equal(op.getLhsContract(), op.getRhsContract()))
      if (typeOf(op.getLhs()).isDynamicDim(l))
        lhsAt[l] = rhsAt[r] = *next++;
    auto read = [&](Value operand, DenseMap<int64_t, Value> &places) {
      return getElement(
          operand,
          llvm::map_to_vector(dimensionsOf(operand, true),
                              [&](int64_t d) { return places.lookup(d); }));
    };
    Value lhs = read(op.getLhs(), lhsAt), rhs = read(op.getRhs(), rhsAt);
    auto inner = [](Value operand, ArrayRef<int64_t> dimensions) {
      SmallVector<int64_t> known = dimensionsOf(operand, false);
      SmallVector<int64_t> left = llvm::filter_to_vector(
          dimensions, [&](int64_t d) { return llvm::is_contained(known, d); });
      return placesOf(left, known);
    };
    if (typeOf(lhs).getRank() == 0 && typeOf(rhs).getRank() == 0)
      return inAnyOrder(MultiplyOp::create(builder, loc, lhs, rhs));
    return DotGeneralOp::create(builder, loc, lhs, rhs,
                                inner(op.getLhs(), op.getLhsBatch()),
                                inner(op.getRhs(), op.getRhsBatch()),
                                inner(op.getLhs(), op.getLhsContract()),
                                inner(op.getRhs(), op.getRhsContract()));
  };
  if (extents.empty())
    return product({});
  Value init = createSplat(builder, loc, type, 0);
  Value lhs = op.getLhs(), rhs = op.getRhs();
  if (position.empty() && extents.size() == 1 && type.getRank() > 1 &&
      hasTiles(lhs, extents.front()) && hasTiles(rhs, extents.front())) {
    int64_t contracted = dimensionsOf(lhs, true).front();
    return loopOverTiles(extents.front(), bounds[lhs][contracted], init,
                         [&](Value start, int64_t width, ValueRange sum) {
                           Value left = getTile(lhs, start, width),
                                 right = getTile(rhs, start, width);
                           Operation *part = builder.clone(*op);
                           part->setOperands({left, right});
                           return Carried{inAnyOrder(AddOp::create(
                               builder, loc, sum.front(), part->getResult(0)))};
                         })
        .front();
  }
  return loopOver(extents, init,
                  [&](ArrayRef<Value> at, ValueRange sum) {
                    return Carried{inAnyOrder(
                        AddOp::create(builder, loc, sum.front(), product(at)))};
                  })
      .front();
}

/// The numbers of a row of indices, which has one dimension.
SmallVector<Value> Expander::splitRow(Value row) {
  auto index = RankedTensorType::get({}, builder.getI64Type());
  return llvm::map_to_vector(
      llvm::seq<int64_t>(typeOf(row).getDimSize(0)), [&](int64_t i) -> Value {
        return readPart(row, createSplat(builder, loc, index, i), {1}, {},
                        true);
      });
}

Value Expander::getElementOf(GatherOp op, ArrayRef<Value> position) {
  Value x = op.getX();
  unsigned inRows = llvm::count_if(dimensionsOf(op, true), [&](int64_t d) {
    return d < countRowDimensions(op);
  });
  Value row = getElement(op.getIndices(), position.take_front(inRows));
  if (typeOf(row).getRank() > 1)
    return GatherOp::create(builder, loc, x, row);

  // One row of indices: one place in `x`.
  SmallVector<Value> places = splitRow(row), outer, start;
  SmallVector<int64_t> sizes;
  auto *next = position.begin() + inRows;
  Value zero;
  for (auto [d, size] : llvm::enumerate(typeOf(x).getShape())) {
    bool isIndexed = d < places.size();
    if (ShapedType::isDynamic(size)) {
      outer.push_back(isIndexed ? places[d] : *next++);
      continue;
    }
    if (!isIndexed && !zero)
      zero = createSplat(builder, loc,
                         RankedTensorType::get({}, builder.getI64Type()), 0);
    start.push_back(isIndexed ? places[d] : zero);
    sizes.push_back(isIndexed ? 1 : size);
  }
  return readPart(getElement(x, outer), start, sizes,
                  elementType(op).getShape(), false);
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

LogicalResult Expander::expand(Operation *op) {
  SmallVector<Value> operands =
      llvm::filter_to_vector(op->getOperands(), isSized);
  bool makesSized = llvm::any_of(op->getResults(), isSized);
  auto isStated = [](Value operand) {
    Operation *maker = operand.getDefiningOp();
    return maker && isa_and_nonnull<GradDialect>(maker->getDialect());
  };
  bool isKnown = isa<SizedSliceOp, SizedUpdateOp, SizedBroadcastOp, SizedIotaOp,
                     TransposeOp, ReverseOp, DotGeneralOp, GatherOp, ScatterOp,
                     ScatterAddOp>(op) ||
                 isPointwise(op) || findReduced(op);
  if ((operands.empty() && !makesSized) ||
      (!isKnown && llvm::none_of(operands, isStated)))
    return success(); // Other dialects have other uses for such tensors.
  if (!isKnown)
    return op->emitOpError("expected tensors of known size");
  if (!llvm::all_of(operands, isStated))
    return op->emitOpError("expected tensors whose sizes are stated by ops of "
                           "this dialect in the same function");
  loc = op->getLoc();
  builder.setInsertionPointAfter(op);
  Value result = op->getResult(0);
  if (auto update = dyn_cast<SizedUpdateOp>(op)) {
    write(update);
    return success();
  }
  if (auto scatter = dyn_cast<ScatterOp>(op)) {
    writeRows(scatter);
    return success();
  }
  if (auto scatter = dyn_cast<ScatterAddOp>(op)) {
    writeRows(scatter);
    return success();
  }
  if (!makesSized) {
    result.replaceAllUsesWith(computeElement(result, {}));
    return success();
  }
  noteBounds(result);
  depths[result] = findDepth(op);
  if (auto dot = dyn_cast<DotGeneralOp>(op); dot && keepByRows(dot))
    return success();
  if (isRepeated(result) || depths[result] == kDeepest)
    keep(result);
  return success();
}

namespace {

struct GradExpandSizes : grad::impl::GradExpandSizesBase<GradExpandSizes> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    SmallVector<Operation *> ops;
    function.walk<WalkOrder::PreOrder>(
        [&](Operation *op) { ops.push_back(op); });
    Expander expander(function);
    for (Operation *op : ops)
      if (failed(expander.expand(op)))
        return signalPassFailure();
    eraseDeadOps(function);
  }
};

} // namespace
