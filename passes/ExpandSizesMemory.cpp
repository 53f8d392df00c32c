//===- ExpandSizesMemory.cpp - What is kept, and what is written ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Elements that are kept in memory, and updates of tensors.
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

/// Whether it has no elements that could be written.
static bool isEmpty(Value x) {
  return llvm::is_contained(cast<RankedTensorType>(x.getType()).getShape(), 0);
}

void Expander::write(SizedUpdateOp op) {
  if (isEmpty(op.getX()))
    return op.replaceAllUsesWith(op.getX());
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
  if (isEmpty(op.getX()))
    return op.replaceAllUsesWith(op.getX());
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

template void Expander::writeRows(ScatterOp);
template void Expander::writeRows(ScatterAddOp);
