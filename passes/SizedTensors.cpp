//===- SizedTensors.cpp - Dimensions of unknown size ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/SizedTensors.h"

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"

#include <limits>

using namespace mlir;
using namespace mlir::grad;

bool mlir::grad::isSized(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && !type.hasStaticShape();
}

SmallVector<int64_t> mlir::grad::dimensionsOf(Value value, bool isUnknown) {
  RankedTensorType type = typeOf(value);
  return llvm::filter_to_vector(
      llvm::seq<int64_t>(type.getRank()),
      [&](int64_t d) { return type.isDynamicDim(d) == isUnknown; });
}

SmallVector<int64_t> mlir::grad::placesOf(ArrayRef<int64_t> dimensions,
                                          ArrayRef<int64_t> all) {
  return llvm::map_to_vector(dimensions, [&](int64_t d) -> int64_t {
    return llvm::find(all, d) - all.begin();
  });
}

SmallVector<int64_t> mlir::grad::keptDimensions(Value x,
                                                ArrayRef<int64_t> reduced) {
  return llvm::filter_to_vector(
      llvm::seq<int64_t>(typeOf(x).getRank()),
      [&](int64_t d) { return !llvm::is_contained(reduced, d); });
}

std::optional<ArrayRef<int64_t>> mlir::grad::findReduced(Operation *op) {
  return llvm::TypeSwitch<Operation *, std::optional<ArrayRef<int64_t>>>(op)
      .Case<ReduceSumOp, ReduceProdOp, ReduceMaxOp, ReduceMinOp, ReduceAnyOp,
            ReduceAllOp>(
          [](auto reduction) { return reduction.getDimensions(); })
      .Default(std::nullopt);
}

bool mlir::grad::isPointwise(Operation *op) {
  return isa<ElementwiseOpInterface, StopGradientOp>(op);
}

int64_t mlir::grad::countRowDimensions(GatherOp op) {
  return typeOf(op.getIndices()).getRank() - 1;
}

SmallVector<Origin> mlir::grad::findOrigins(DotGeneralOp op) {
  SmallVector<Origin> origins;
  for (int64_t d : op.getLhsBatch())
    origins.push_back({op.getLhs(), d});
  auto addFree = [&](Value operand, ArrayRef<int64_t> batch,
                     ArrayRef<int64_t> contract) {
    for (int64_t d : llvm::seq<int64_t>(typeOf(operand).getRank()))
      if (!llvm::is_contained(batch, d) && !llvm::is_contained(contract, d))
        origins.push_back({operand, d});
  };
  addFree(op.getLhs(), op.getLhsBatch(), op.getLhsContract());
  addFree(op.getRhs(), op.getRhsBatch(), op.getRhsContract());
  return origins;
}

Origin mlir::grad::findOrigin(Operation *op, int64_t dimension) {
  return llvm::TypeSwitch<Operation *, Origin>(op)
      .Case([&](SizedSliceOp slice) -> Origin {
        return {slice.getX(), slice.getDimensions()[dimension]};
      })
      .Case([&](TransposeOp transpose) -> Origin {
        return {transpose.getX(), transpose.getPermutation()[dimension]};
      })
      .Case([&](DotGeneralOp dot) { return findOrigins(dot)[dimension]; })
      .Case([&](GatherOp gather) -> Origin {
        int64_t rows = countRowDimensions(gather),
                indexed = typeOf(gather.getIndices()).getShape().back();
        if (dimension < rows)
          return {gather.getIndices(), dimension};
        return {gather.getX(), dimension - rows + indexed};
      })
      .Default([&](Operation *other) -> Origin {
        Value x = other->getOperand(0);
        if (std::optional<ArrayRef<int64_t>> reduced = findReduced(other))
          return {x, keptDimensions(x, *reduced)[dimension]};
        return {x, dimension};
      });
}

unsigned mlir::grad::numberAmongUnknown(Value value, int64_t dimension) {
  return placesOf(dimension, dimensionsOf(value, true)).front();
}

Value mlir::grad::combine(OpBuilder &builder, Location loc,
                          Operation *reduction, Value x, Value y) {
  return llvm::TypeSwitch<Operation *, Value>(reduction)
      .Case([&](ReduceProdOp) -> Value {
        return MultiplyOp::create(builder, loc, x, y);
      })
      .Case([&](ReduceMaxOp) -> Value {
        return MaximumOp::create(builder, loc, x, y);
      })
      .Case([&](ReduceMinOp) -> Value {
        return MinimumOp::create(builder, loc, x, y);
      })
      .Case([&](ReduceAnyOp) -> Value {
        return LogicalOrOp::create(builder, loc, x, y);
      })
      .Case([&](ReduceAllOp) -> Value {
        return LogicalAndOp::create(builder, loc, x, y);
      })
      .Default([&](Operation *) -> Value {
        return AddOp::create(builder, loc, x, y);
      });
}

/// The least or the greatest number of a type.
static Value createExtreme(OpBuilder &builder, Location loc,
                           RankedTensorType type, bool least) {
  Type element = type.getElementType();
  if (isa<FloatType>(element))
    return createSplat(builder, loc, type,
                       least ? -std::numeric_limits<double>::infinity()
                             : std::numeric_limits<double>::infinity());
  unsigned width = element.getIntOrFloatBitWidth();
  bool isUnsigned = element.isUnsignedInteger();
  APInt number = isUnsigned ? (least ? APInt::getMinValue(width)
                                     : APInt::getMaxValue(width))
                            : (least ? APInt::getSignedMinValue(width)
                                     : APInt::getSignedMaxValue(width));
  return ConstantOp::create(builder, loc, DenseElementsAttr::get(type, number));
}

Value mlir::grad::neutralOf(OpBuilder &builder, Location loc,
                            Operation *reduction, RankedTensorType type) {
  if (isa<ReduceMaxOp, ReduceMinOp>(reduction))
    return createExtreme(builder, loc, type, isa<ReduceMaxOp>(reduction));
  return createSplat(builder, loc, type,
                     isa<ReduceProdOp, ReduceAllOp>(reduction) ? 1 : 0);
}
