//===- Updates.cpp - Parts of arrays that are replaced --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Updates.h"

#include "dialect/ControlFlow.h"
#include "dialect/GradDialect.h"
#include "dialect/Rereads.h"
#include "dialect/Stacks.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::grad;

//===----------------------------------------------------------------------===//
// Single updates
//===----------------------------------------------------------------------===//

/// The array that the op updates, and the part that it puts there or adds; none
/// if it is no update.
static std::pair<Value, Value> getOperands(Operation *op) {
  using Pair = std::pair<Value, Value>;
  return llvm::TypeSwitch<Operation *, Pair>(op)
      .Case<UpdateSliceOp, DynamicUpdateSliceOp, AddSliceOp, DynamicAddSliceOp>(
          [](auto op) { return Pair(op.getX(), op.getUpdate()); })
      .Case<ScatterOp, ScatterAddOp>(
          [](auto op) { return Pair(op.getX(), op.getUpdates()); })
      .Case([](tensor::InsertOp op) {
        return Pair(op.getDest(), op.getScalar());
      })
      .Case([](tensor::InsertSliceOp op) {
        return Pair(op.getDest(), op.getSource());
      })
      .Default(Pair());
}

static ArrayRef<int64_t> getShape(Type type) {
  return cast<RankedTensorType>(type).getShape();
}

bool grad::isUpdate(Operation *op) {
  auto [array, part] = getOperands(op);
  return array && isStorable(array.getType()) && isStorable(part.getType());
}

Value grad::readOverwritten(OpBuilder &builder, Operation *update) {
  Location loc = update->getLoc();
  Value array = getOperands(update).first;
  Type part = getOperands(update).second.getType();
  return llvm::TypeSwitch<Operation *, Value>(update)
      .Case<UpdateSliceOp, AddSliceOp>([&](auto op) {
        return SliceOp::create(builder, loc, part, array, op.getOffsets(),
                               getShape(part), op.getStrides());
      })
      .Case<DynamicUpdateSliceOp, DynamicAddSliceOp>([&](auto op) {
        return DynamicSliceOp::create(builder, loc, array, op.getIndices(),
                                      getShape(part));
      })
      .Case<ScatterOp, ScatterAddOp>([&](auto op) {
        return GatherOp::create(builder, loc, array, op.getIndices(),
                                op.getBatch());
      })
      .Case([&](tensor::InsertOp op) {
        return tensor::ExtractOp::create(builder, loc, array, op.getIndices());
      })
      .Case([&](tensor::InsertSliceOp op) {
        return tensor::ExtractSliceOp::create(
            builder, loc, op.getSourceType(), array, op.getMixedOffsets(),
            op.getMixedSizes(), op.getMixedStrides());
      });
}

Value grad::putBack(OpBuilder &builder, Operation *update, Value array,
                    Value overwritten) {
  Location loc = update->getLoc();
  return llvm::TypeSwitch<Operation *, Value>(update)
      .Case<UpdateSliceOp, AddSliceOp>([&](auto op) {
        return UpdateSliceOp::create(builder, loc, array, overwritten,
                                     op.getOffsets(), op.getStrides());
      })
      .Case<DynamicUpdateSliceOp, DynamicAddSliceOp>([&](auto op) {
        return DynamicUpdateSliceOp::create(builder, loc, array, overwritten,
                                            op.getIndices());
      })
      // Where rows point at one slice, all of them have read it.
      .Case<ScatterOp, ScatterAddOp>([&](auto op) {
        return ScatterOp::create(builder, loc, array, op.getIndices(),
                                 overwritten, /*unique=*/false, op.getBatch());
      })
      .Case([&](tensor::InsertOp op) {
        return tensor::InsertOp::create(builder, loc, overwritten, array,
                                        op.getIndices());
      })
      .Case([&](tensor::InsertSliceOp op) {
        return tensor::InsertSliceOp::create(
            builder, loc, overwritten, array, op.getMixedOffsets(),
            op.getMixedSizes(), op.getMixedStrides());
      });
}

Value grad::findHeld(Operation *update) {
  if (!isa<UpdateSliceOp, DynamicUpdateSliceOp, tensor::InsertOp,
           tensor::InsertSliceOp>(update))
    return nullptr;
  Value part = getOperands(update).second;
  while (auto reshape = part.getDefiningOp<ReshapeOp>())
    part = reshape.getX();
  return part;
}

Value grad::readHeld(OpBuilder &builder, Operation *update, Value array) {
  // An update reads what it would overwrite if it had `array`.
  IRMapping mapping;
  mapping.map(getOperands(update).first, array);
  OwningOpRef<Operation *> again = update->clone(mapping);
  Value part = readOverwritten(builder, *again);
  Type type = findHeld(update).getType();
  if (part.getType() == type)
    return part;
  return ReshapeOp::create(builder, update->getLoc(), part, getShape(type));
}

//===----------------------------------------------------------------------===//
// Parts
//===----------------------------------------------------------------------===//

/// So many elements at distances of `strides`, and those in between.
static Part createPart(Value array, ArrayRef<OpFoldResult> offsets,
                       ArrayRef<int64_t> sizes, ArrayRef<int64_t> strides,
                       bool isClamped) {
  Part part = {array, SmallVector<OpFoldResult>(offsets), {}, isClamped};
  for (auto [size, stride] : llvm::zip_equal(sizes, strides))
    part.sizes.push_back(size == 0 ? 0 : (size - 1) * stride + 1);
  return part;
}

static Part createPart(Value array, ValueRange indices, ArrayRef<int64_t> sizes,
                       bool isClamped) {
  return createPart(array,
                    SmallVector<OpFoldResult>(indices.begin(), indices.end()),
                    sizes, SmallVector<int64_t>(sizes.size(), 1), isClamped);
}

/// Of an op with offsets, sizes and strides of which all but the offsets are to
/// be known.
static std::optional<Part> createPart(Value array,
                                      OffsetSizeAndStrideOpInterface op) {
  auto isKnown = [](int64_t number) {
    return !ShapedType::isDynamic(number) && number >= 0;
  };
  if (!llvm::all_of(op.getStaticSizes(), isKnown) ||
      !llvm::all_of(op.getStaticStrides(), isKnown))
    return std::nullopt;
  return createPart(array, op.getMixedOffsets(), op.getStaticSizes(),
                    op.getStaticStrides(), /*isClamped=*/false);
}

static SmallVector<int64_t> ones(ValueRange indices) {
  return SmallVector<int64_t>(indices.size(), 1);
}

std::optional<Part> grad::getPartRead(Operation *op) {
  using Result = std::optional<Part>;
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case([](SliceOp op) {
        return createPart(
            op.getX(), getAsIndexOpFoldResult(op.getContext(), op.getOffsets()),
            op.getSizes(), op.getStrides(), /*isClamped=*/false);
      })
      .Case([](DynamicSliceOp op) {
        return createPart(op.getX(), op.getIndices(), op.getSizes(),
                          /*isClamped=*/!op->hasAttr(kInBounds));
      })
      .Case([](tensor::ExtractOp op) {
        return createPart(op.getTensor(), op.getIndices(),
                          ones(op.getIndices()), /*isClamped=*/false);
      })
      .Case([](tensor::ExtractSliceOp op) {
        return createPart(op.getSource(), op);
      })
      .Default(Result());
}

std::optional<Part> grad::getPartWritten(Operation *update) {
  using Result = std::optional<Part>;
  return llvm::TypeSwitch<Operation *, Result>(update)
      .Case<UpdateSliceOp, AddSliceOp>([](auto op) {
        return createPart(
            op.getResult(),
            getAsIndexOpFoldResult(op.getContext(), op.getOffsets()),
            getShape(op.getUpdate().getType()), op.getStrides(),
            /*isClamped=*/false);
      })
      .Case<DynamicUpdateSliceOp, DynamicAddSliceOp>([](auto op) {
        return createPart(op.getResult(), op.getIndices(),
                          getShape(op.getUpdate().getType()),
                          /*isClamped=*/!op->hasAttr(kInBounds));
      })
      .Case([](tensor::InsertOp op) {
        return createPart(op.getResult(), op.getIndices(),
                          ones(op.getIndices()), /*isClamped=*/false);
      })
      .Case([](tensor::InsertSliceOp op) {
        return createPart(op.getResult(), op);
      })
      .Default(Result());
}

//===----------------------------------------------------------------------===//
// Chains of updates
//===----------------------------------------------------------------------===//

/// What a block starts from to make `value` of it: a value from outside.
static Value findOutside(Value value, Region &region) {
  while (value && region.isAncestor(value.getParentRegion()))
    value = findPrevious(value);
  return value;
}

Value grad::findPrevious(Value version) {
  auto result = dyn_cast<OpResult>(version);
  if (!result)
    return nullptr;
  Operation *op = result.getOwner();
  if (isUpdate(op))
    return getOperands(op).first;
  if (!isa<RankedTensorType>(version.getType()))
    return nullptr;
  unsigned i = result.getResultNumber();
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return getMaxTripCount(loop) && !findVersions(loop.getRegionIterArg(i),
                                                  loop.getYieldedValues()[i])
                                         .empty()
               ? loop.getInitArgs()[i]
               : Value();
  if (!isa<scf::IfOp, scf::IndexSwitchOp>(op))
    return nullptr;
  Value start;
  for (Region &region : op->getRegions()) {
    Value found =
        findOutside(region.front().getTerminator()->getOperand(i), region);
    if (!found || (start && start != found))
      return nullptr;
    start = found;
  }
  return start;
}

SmallVector<Value> grad::findVersions(Value before, Value after) {
  SmallVector<Value> versions = {after};
  while (versions.back() != before) {
    Value previous = findPrevious(versions.back());
    if (!previous)
      return {};
    versions.push_back(previous);
  }
  std::reverse(versions.begin(), versions.end());
  return versions;
}

bool grad::forEachUpdate(Value version,
                         function_ref<bool(Operation *update)> visit) {
  auto result = cast<OpResult>(version);
  Operation *op = result.getOwner();
  if (isUpdate(op))
    return visit(op);
  unsigned i = result.getResultNumber();
  auto visitAll = [&](Value before, Value after) {
    return llvm::all_of(
        ArrayRef(findVersions(before, after)).drop_front(),
        [&](Value inside) { return forEachUpdate(inside, visit); });
  };
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return visitAll(loop.getRegionIterArg(i), loop.getYieldedValues()[i]);
  return llvm::all_of(op->getRegions(), [&](Region &region) {
    return visitAll(findPrevious(version),
                    region.front().getTerminator()->getOperand(i));
  });
}

static int64_t countOverwrittenBy(OpResult version) {
  Operation *op = version.getOwner();
  // What is there without being stored takes nothing.
  if (isUpdate(op))
    return findOverwritten(op) ? 0 : getBytes(getOperands(op).second.getType());
  unsigned i = version.getResultNumber();
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return llvm::SaturatingMultiply<uint64_t>(
        *getMaxTripCount(loop),
        countOverwritten(loop.getRegionIterArg(i), loop.getYieldedValues()[i]));
  int64_t most = 0;
  for (Region &region : op->getRegions())
    most = std::max(
        most, countOverwritten(findPrevious(version),
                               region.front().getTerminator()->getOperand(i)));
  return most;
}

int64_t grad::countOverwritten(Value before, Value after) {
  uint64_t bytes = 0;
  SmallVector<Value> versions = findVersions(before, after);
  for (Value version : ArrayRef(versions).drop_front())
    bytes = llvm::SaturatingAdd<uint64_t>(
        bytes, countOverwrittenBy(cast<OpResult>(version)));
  return std::min<uint64_t>(bytes, int64_t(1) << 50);
}
