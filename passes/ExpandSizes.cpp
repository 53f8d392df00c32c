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
#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "dialect/Updates.h"
#include "passes/AnyOrder.h"
#include "passes/DeadOps.h"
#include "passes/Passes.h"
#include "passes/SizedTensors.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADEXPANDSIZES
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

namespace {

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

} // namespace

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

/// Says so if `value` is a sum or a product that may be added up in any order.
static Value inAnyOrder(Value value) {
  Operation *op = value.getDefiningOp();
  if (isa<AddOp, MultiplyOp>(op) && isDifferentiable(value.getType()))
    op->setAttr(kAnyOrder, UnitAttr::get(op->getContext()));
  return value;
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
// Tiles
//===----------------------------------------------------------------------===//

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

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

/// Whether an element is read, not computed, or takes few ops on integers, as
/// indices do: less than its memory would.
bool Expander::isAccess(Value value) {
  if (!isSized(value) || kept.contains(value))
    return true;
  Operation *op = value.getDefiningOp();
  if (isPointwise(op))
    return isa<IntegerType>(typeOf(value).getElementType()) &&
           depths.lookup(value) <= kShallow &&
           llvm::all_of(op->getOperands(),
                        [&](Value operand) { return isAccess(operand); });
  return isa<SizedIotaOp>(op) ||
         (isa<SizedSliceOp, SizedBroadcastOp, TransposeOp, ReverseOp>(op) &&
          isAccess(op->getOperand(0)));
}

/// Whether elements would be computed several times.
bool Expander::isRepeated(Value value) {
  if (isAccess(value))
    return false;
  return !value.hasOneUse() ||
         llvm::any_of(value.getUsers(), [&](Operation *user) {
           if (auto dot = dyn_cast<DotGeneralOp>(user))
             return typeOf(dot).getRank() > 0;
           if (auto gather = dyn_cast<GatherOp>(user))
             return gather.getX() == value; // Any number of times.
           if (auto broadcast = dyn_cast<SizedBroadcastOp>(user))
             return typeOf(broadcast.getX()).getRank() <
                    typeOf(broadcast).getRank();
           return false;
         });
}

/// Writes all elements to memory.
void Expander::keep(Value value) {
  SmallVector<int64_t> shape = bounds[value],
                       unknown = dimensionsOf(value, true);
  SmallVector<Value> extents = llvm::map_to_vector(
      unknown, [&](int64_t d) { return findExtent(value, d); });
  // What is behind the elements that there are is not read, unless a check of
  // sizes fails; it is no index then.
  Type type = typeOf(value).getElementType();
  Value init =
      isa<IntegerType>(type)
          ? createSplat(builder, loc, RankedTensorType::get(shape, type), 0)
          : tensor::EmptyOp::create(builder, loc, shape, type).getResult();
  Value zero = createSplat(builder, loc, typeOf(extents.front()), 0);
  int64_t first = unknown.front();
  if (unknown.size() == 1 && hasMatrixProduct(value) &&
      hasTiles(value, extents.front())) {
    kept[value] =
        loopOverTiles(extents.front(), shape[first], init,
                      [&](Value at, int64_t width, ValueRange before) {
                        SmallVector<Value> start(shape.size(), zero);
                        start[first] = at;
                        auto update = DynamicUpdateSliceOp::create(
                            builder, loc, before.front(),
                            computeTile(value, at, width), start);
                        update->setAttr(kInBounds, builder.getUnitAttr());
                        return Carried{update};
                      })
            .front();
    return;
  }
  Value memory =
      loopOver(extents, init, [&](ArrayRef<Value> at, ValueRange before) {
        SmallVector<Value> start(shape.size(), zero);
        SmallVector<int64_t> one(shape);
        for (auto [number, d] : llvm::enumerate(unknown)) {
          start[d] = at[number];
          one[d] = 1;
        }
        Value element = reshape(getElement(value, at), one);
        auto update = DynamicUpdateSliceOp::create(builder, loc, before.front(),
                                                   element, start);
        update->setAttr(kInBounds, builder.getUnitAttr());
        return Carried{update};
      }).front();
  kept[value] = memory;
}

/// A vector times rows of an array: adds the rows up in memory, one after the
/// other, as sums along columns would jump from row to row. Returns whether it
/// is such a product.
bool Expander::keepByRows(DotGeneralOp op) {
  auto rows = op.getRhs().getDefiningOp<SizedSliceOp>();
  RankedTensorType vector = typeOf(op.getLhs());
  if (!rows || isSized(rows.getX()) || vector.getRank() != 1 ||
      !vector.hasStaticShape() || rows.getShape().size() != 2 ||
      !ShapedType::isDynamic(rows.getShape()[1]) ||
      op.getLhsContract().size() != 1 || op.getRhsContract().front() != 0)
    return false;
  auto type = RankedTensorType::get(bounds[op], vector.getElementType());
  auto number = [&](int64_t value) {
    auto index = RankedTensorType::get({}, builder.getI64Type());
    return createSplat(builder, loc, index, value);
  };
  SmallVector<Value> extents{number(vector.getDimSize(0)), findExtent(op, 0)};
  Value init = createSplat(builder, loc, type, 0);
  kept[op] =
      loopOver(extents, init, [&](ArrayRef<Value> at, ValueRange before) {
        SmallVector<Value> start(rows.getIndices());
        for (auto [d, place] : llvm::zip_equal(rows.getDimensions(), at))
          start[d] = add(place, start[d]);
        Value sum = readPart(before.front(), at[1], {1}, {}, true);
        Value factor = readPart(op.getLhs(), at[0], {1}, {}, true);
        Value element =
            readPart(rows.getX(), start, SmallVector<int64_t>(start.size(), 1),
                     {}, rows->hasAttr(kInBounds));
        sum = inAnyOrder(AddOp::create(
            builder, loc, sum,
            inAnyOrder(MultiplyOp::create(builder, loc, factor, element))));
        auto update = DynamicUpdateSliceOp::create(
            builder, loc, before.front(), reshape(sum, {1}), at.drop_front());
        update->setAttr(kInBounds, builder.getUnitAttr());
        return Carried{update};
      }).front();
  return true;
}

/// Whether the update is computed from elements of `x` in other places than
/// those that they are written to.
bool Expander::isReadElsewhere(SizedUpdateOp op) {
  SmallVector<std::pair<Value, bool>> pending{{op.getUpdate(), true}};
  while (!pending.empty()) {
    auto [value, isInPlace] = pending.pop_back_val();
    if (!isSized(value) || kept.contains(value))
      continue;
    Operation *maker = value.getDefiningOp();
    if (auto slice = dyn_cast<SizedSliceOp>(maker))
      if (slice.getX() == op.getX() &&
          (!isInPlace || slice.getDimensions() != op.getDimensions() ||
           slice.getIndices() != op.getIndices()))
        return true;
    bool isStill = isInPlace && isPointwise(maker);
    for (Value operand : maker->getOperands())
      pending.push_back({operand, isStill});
  }
  return false;
}

void Expander::write(SizedUpdateOp op) {
  Value update = op.getUpdate();
  bool wasKept = kept.contains(update);
  if (isReadElsewhere(op))
    keep(update);
  SmallVector<int64_t> unknown = dimensionsOf(update, true);
  SmallVector<Value> extents = llvm::map_to_vector(
      unknown, [&](int64_t d) { return findExtent(update, d); });
  Value result =
      loopOver(extents, op.getX(), [&](ArrayRef<Value> at, ValueRange before) {
        SmallVector<Value> start(op.getIndices());
        SmallVector<int64_t> sizes(start.size(), 1);
        auto *next = at.begin();
        for (auto [i, d] : llvm::enumerate(op.getDimensions()))
          if (typeOf(update).isDynamicDim(i))
            start[d] = add(*next++, start[d]);
          else
            sizes[d] = typeOf(update).getDimSize(i);
        written[op.getX()] = before.front();
        Value element = reshape(getElement(update, at), sizes);
        written.erase(op.getX());
        auto part = DynamicUpdateSliceOp::create(builder, loc, before.front(),
                                                 element, start);
        if (op->hasAttr(kInBounds))
          part->setAttr(kInBounds, builder.getUnitAttr());
        return Carried{part};
      }).front();
  if (!wasKept)
    kept.erase(update); // Not there in blocks that this one is not in.
  op.replaceAllUsesWith(result);
}

/// `grad.scatter` and `grad.scatter_add` of a number of rows that is known at
/// run time only: one after the other.
template <typename Op> void Expander::writeRows(Op op) {
  Value indices = op.getIndices(), updates = op.getUpdates();
  SmallVector<int64_t> unknown = dimensionsOf(indices, true);
  SmallVector<Value> extents = llvm::map_to_vector(
      unknown, [&](int64_t d) { return findExtent(indices, d); });
  Value result =
      loopOver(extents, op.getX(), [&](ArrayRef<Value> at, ValueRange before) {
        Value row = getElement(indices, at), update = getElement(updates, at);
        if (typeOf(row).getRank() > 1)
          return Carried{Op::create(builder, loc, before.front(), row, update)};
        SmallVector<Value> start = splitRow(row);
        SmallVector<int64_t> sizes(typeOf(op).getShape());
        Value zero = createSplat(
            builder, loc, RankedTensorType::get({}, builder.getI64Type()), 0);
        std::fill_n(sizes.begin(), start.size(), 1);
        start.resize(sizes.size(), zero);
        update = reshape(update, sizes);
        if (isa<ScatterAddOp>(op))
          update = add(DynamicSliceOp::create(builder, loc, before.front(),
                                              start, sizes),
                       update);
        return Carried{DynamicUpdateSliceOp::create(
            builder, loc, before.front(), update, start)};
      }).front();
  op.replaceAllUsesWith(result);
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
