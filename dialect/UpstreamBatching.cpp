//===- UpstreamBatching.cpp - Batching rules of upstream ops --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Elementwise ops of arith and math need no rule: they are themselves on
// batches. A structured op gets a parallel loop in front, whose position is the
// first index of what is batched. What moves elements moves those of the whole
// batch, at positions that are the same for all elements; where elements are
// taken or put at positions that differ, they are gathered or scattered.
//
// A scalar that differs between the elements is a tensor of one dimension, an
// index one of i64.
//
//===----------------------------------------------------------------------===//

#include "dialect/Models.h"
#include "dialect/Rules.h"
#include "dialect/Structured.h"

#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

static bool anyBatched(const BatchContext &context, ValueRange values) {
  return llvm::any_of(values, [&](Value v) { return context.isBatched(v); });
}

/// `first` in front of `rest`.
template <typename T> static SmallVector<T> prepend(T first, ArrayRef<T> rest) {
  SmallVector<T> all{first};
  llvm::append_range(all, rest);
  return all;
}

static RankedTensorType batchedType(const BatchContext &context, Value value) {
  return cast<RankedTensorType>(context.getBatchedType(value));
}

/// `value`, a batched tensor, in the shape that `result` has when it is
/// batched.
static LogicalResult reshapeTo(BatchContext &context, Value result,
                               Value value) {
  context.setBatched(
      result, ReshapeOp::create(context.builder, result.getLoc(), value,
                                batchedType(context, result).getShape()));
  return success();
}

//===----------------------------------------------------------------------===//
// Regions that run for one element at a time
//===----------------------------------------------------------------------===//

/// The value of type `type` that belongs to element number `index` of a batch.
static Value pickElement(OpBuilder &builder, Location loc, Value batch,
                         Type type, Value index) {
  if (auto tensor = dyn_cast<RankedTensorType>(type)) {
    SmallVector<OpFoldResult> offsets(tensor.getRank() + 1,
                                      builder.getIndexAttr(0)),
        strides(tensor.getRank() + 1, builder.getIndexAttr(1));
    SmallVector<OpFoldResult> sizes = prepend<OpFoldResult>(
        builder.getIndexAttr(1),
        getAsIndexOpFoldResult(builder.getContext(), tensor.getShape()));
    offsets.front() = index;
    return tensor::ExtractSliceOp::create(builder, loc, tensor, batch, offsets,
                                          sizes, strides);
  }
  Value element = tensor::ExtractOp::create(builder, loc, batch, index);
  if (type.isIndex())
    element = arith::IndexCastOp::create(builder, loc, type, element);
  return element;
}

/// Maps what `op` uses in its regions to what it became; of batched values to
/// what belongs to element number `index`.
static void mapCaptured(BatchContext &context, Operation *op,
                        OpBuilder &builder, Value index, IRMapping &mapping) {
  SetVector<Value> captured;
  getUsedValuesDefinedAbove(op->getRegions(), captured);
  for (Value value : captured) {
    Value now = context.get(value);
    if (context.isBatched(value))
      now = pickElement(builder, value.getLoc(), now, value.getType(), index);
    mapping.map(value, now);
  }
}

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

/// A division of integers. It is done for elements, too, that are not meant to
/// take part, because they are done or go another way: not by 0 there, and not
/// so that the result is too large.
template <typename Op, bool isSigned>
static LogicalResult batchDivision(Op op, BatchContext &context) {
  if (!hasBatches(op.getType()))
    return failure();
  OpBuilder &builder = context.builder;
  Location loc = op.getLoc();
  Value x = context.getBatched(op.getLhs()),
        y = context.getBatched(op.getRhs());
  auto type = cast<RankedTensorType>(y.getType());
  auto constant = [&](APInt number) -> Value {
    return ConstantOp::create(builder, loc,
                              DenseElementsAttr::get(type, number));
  };
  auto equal = [&](Value value, APInt number) -> Value {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, value,
                                 constant(number));
  };
  unsigned width = type.getElementTypeBitWidth();
  APInt one(width, 1);
  std::optional<double> divisor = getSplat(op.getRhs());
  if (!divisor || *divisor == 0 || *divisor == -1) {
    Value isWrong = equal(y, APInt::getZero(width));
    if (isSigned) {
      Value isTooLarge = arith::AndIOp::create(
          builder, loc, equal(x, APInt::getSignedMinValue(width)),
          equal(y, APInt::getAllOnes(width)));
      isWrong = arith::OrIOp::create(builder, loc, isWrong, isTooLarge);
    }
    y = arith::SelectOp::create(builder, loc, isWrong, constant(one), y);
  }
  context.setBatched(op.getResult(), Op::create(builder, loc, x, y));
  return success();
}

//===----------------------------------------------------------------------===//
// Structured ops
//===----------------------------------------------------------------------===//

LogicalResult grad::batchStructured(linalg::LinalgOp op,
                                    BatchContext &context) {
  auto isUsable = [](Type type) { return hasBatches(type) && !type.isIndex(); };
  if (!op.hasPureTensorSemantics() ||
      !llvm::all_of(op->getOperandTypes(), isUsable))
    return batchOneByOne(op, context);
  OpBuilder &builder = context.builder;
  Location loc = op.getLoc();
  Draft draft(op);
  draft.iterators.insert(draft.iterators.begin(),
                         utils::IteratorType::parallel);
  auto access = [&](OpOperand &operand, bool isBatched) {
    AffineMap map = op.getMatchingIndexingMap(&operand).shiftDims(1);
    if (isBatched)
      map = map.insertResult(builder.getAffineDimExpr(0), 0);
    return map;
  };
  IRMapping mapping;
  for (OpOperand *input : op.getDpsInputOperands()) {
    Value value = input->get();
    if (BlockArgument argument = findArgument(op, *input))
      mapping.map(argument,
                  draft.addInput(context.get(value),
                                 access(*input, context.isBatched(value))));
  }
  for (OpOperand &init : op.getDpsInitsMutable()) {
    Value value = init.get(), before;
    bool isRead = op.payloadUsesValueFromOperand(&init) ||
                  !op.getMatchingIndexingMap(&init).isProjectedPermutation();
    if (isRead && !value.getDefiningOp<tensor::EmptyOp>()) {
      before = context.getBatched(value);
    } else {
      RankedTensorType type = batchedType(context, value);
      before = tensor::EmptyOp::create(builder, loc, type.getShape(),
                                       type.getElementType());
    }
    Value element = draft.addInit(before, access(init, true));
    if (BlockArgument argument = findArgument(op, init))
      mapping.map(argument, element);
  }
  OpBuilder inside(op->getContext());
  inside.setInsertionPointToEnd(draft.body.get());
  Value number = linalg::IndexOp::create(inside, loc, 0);
  mapCaptured(context, op, inside, number, mapping);
  for (Operation &nested : *op.getBlock()) {
    Operation *copy = inside.clone(nested, mapping);
    copy->walk([](linalg::IndexOp index) { index.setDim(index.getDim() + 1); });
  }
  linalg::GenericOp batched = draft.create(builder, loc);
  for (auto [result, now] :
       llvm::zip_equal(op->getResults(), batched->getResults()))
    context.setBatched(result, now);
  return success();
}

static LogicalResult batchSoftmax(linalg::SoftmaxOp op, BatchContext &context) {
  Value input = context.getBatched(op.getInput());
  RankedTensorType type = batchedType(context, op->getResult(0));
  Value output = tensor::EmptyOp::create(
      context.builder, op.getLoc(), type.getShape(), type.getElementType());
  auto batched =
      linalg::SoftmaxOp::create(context.builder, op.getLoc(), TypeRange(type),
                                input, output, op.getDimension() + 1);
  context.setBatched(op->getResult(0), batched->getResult(0));
  return success();
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

/// Positions that differ between the elements of a batch: a row for each.
static Value stackIndices(BatchContext &context, Location loc,
                          ValueRange indices) {
  SmallVector<Value> columns;
  for (Value index : indices)
    columns.push_back(ReshapeOp::create(context.builder, loc,
                                        context.getBatched(index),
                                        ArrayRef<int64_t>{context.size, 1}));
  return ConcatenateOp::create(context.builder, loc, columns, 1);
}

namespace {

/// One place in a tensor, the same for all elements of a batch, as a slice of
/// the batched tensor.
struct Place {
  Place(BatchContext &context, ValueRange indices)
      : offsets{context.builder.getIndexAttr(0)},
        sizes(indices.size() + 1, context.builder.getIndexAttr(1)),
        strides(sizes) {
    sizes.front() = context.builder.getIndexAttr(context.size);
    for (Value index : indices)
      offsets.push_back(getAsOpFoldResult(context.get(index)));
  }
  SmallVector<OpFoldResult> offsets, sizes, strides;
};

} // namespace

static LogicalResult batchExtract(tensor::ExtractOp op, BatchContext &context) {
  Value tensor = op.getTensor();
  if (!hasBatches(tensor.getType()) || op.getType().isIndex())
    return batchOneByOne(op, context);
  OpBuilder &builder = context.builder;
  Location loc = op.getLoc();
  Value now = context.get(tensor), result = now;
  bool isBatched = context.isBatched(tensor);
  if (anyBatched(context, op.getIndices())) {
    result = GatherOp::create(builder, loc, now,
                              stackIndices(context, loc, op.getIndices()),
                              isBatched ? 1 : 0);
  } else if (!op.getIndices().empty()) {
    Place place(context, op.getIndices());
    result = tensor::ExtractSliceOp::create(
        builder, loc, batchedType(context, op.getResult()), now, place.offsets,
        place.sizes, place.strides);
  }
  context.setBatched(op.getResult(), result);
  return success();
}

static LogicalResult batchInsert(tensor::InsertOp op, BatchContext &context) {
  if (!hasBatches(op.getType()) || op.getScalar().getType().isIndex())
    return batchOneByOne(op, context);
  OpBuilder &builder = context.builder;
  Location loc = op.getLoc();
  Value scalar = context.getBatched(op.getScalar()), result = scalar;
  if (anyBatched(context, op.getIndices())) {
    result = ScatterOp::create(builder, loc, context.getBatched(op.getDest()),
                               stackIndices(context, loc, op.getIndices()),
                               scalar, /*unique=*/true, /*batch=*/1);
  } else if (!op.getIndices().empty()) {
    Place place(context, op.getIndices());
    result = tensor::InsertSliceOp::create(
        builder, loc, scalar, context.getBatched(op.getDest()), place.offsets,
        place.sizes, place.strides);
  }
  context.setBatched(op.getResult(), result);
  return success();
}

static LogicalResult batchFromElements(tensor::FromElementsOp op,
                                       BatchContext &context) {
  if (!hasBatches(op.getType()))
    return batchOneByOne(op, context);
  if (op.getType().getRank() == 0) {
    context.setBatched(op.getResult(), context.get(op->getOperand(0)));
    return success();
  }
  return reshapeTo(context, op.getResult(),
                   stackIndices(context, op.getLoc(), op.getElements()));
}

static LogicalResult batchSplat(tensor::SplatOp op, BatchContext &context) {
  if (!hasBatches(op.getType()))
    return failure();
  context.setBatched(
      op.getResult(),
      BroadcastOp::create(context.builder, op.getLoc(),
                          context.get(op.getInput()),
                          batchedType(context, op.getResult()).getShape(),
                          ArrayRef<int64_t>{0}));
  return success();
}

/// All tensors have one shape that is known.
static LogicalResult batchDim(tensor::DimOp op, BatchContext &context) {
  auto type = dyn_cast<RankedTensorType>(op.getSource().getType());
  std::optional<int64_t> dim = op.getConstantIndex();
  if (!type || !dim || *dim < 0 || *dim >= type.getRank() ||
      type.isDynamicDim(*dim))
    return batchOneByOne(op, context);
  context.setUnbatched(
      op.getResult(), arith::ConstantIndexOp::create(
                          context.builder, op.getLoc(), type.getDimSize(*dim)));
  return success();
}

/// A conversion between an index, i64 in a batch, and an integer.
template <typename Op, typename Extend>
static LogicalResult batchIndexCast(Op op, BatchContext &context) {
  if (!hasBatches(op.getType()) || !hasBatches(op.getIn().getType()))
    return batchOneByOne(op, context);
  Value value = context.get(op.getIn());
  Type type = context.getBatchedType(op.getResult());
  auto widthOf = [](Type type) {
    return getElementTypeOrSelf(type).getIntOrFloatBitWidth();
  };
  unsigned from = widthOf(value.getType()), to = widthOf(type);
  if (from < to)
    value = Extend::create(context.builder, op.getLoc(), type, value);
  else if (from > to)
    value = arith::TruncIOp::create(context.builder, op.getLoc(), type, value);
  context.setBatched(op.getResult(), value);
  return success();
}

//===----------------------------------------------------------------------===//
// Slices
//===----------------------------------------------------------------------===//

namespace {

/// The same slice of each tensor in a batch.
struct BatchedSlice {
  BatchedSlice(BatchContext &context, OffsetSizeAndStrideOpInterface op)
      : offsets(with(context, 0, op.getMixedOffsets())),
        sizes(with(context, context.size, op.getMixedSizes())),
        strides(with(context, 1, op.getMixedStrides())) {}

  static SmallVector<OpFoldResult> with(BatchContext &context, int64_t first,
                                        ArrayRef<OpFoldResult> rest) {
    SmallVector<OpFoldResult> all{context.builder.getIndexAttr(first)};
    for (OpFoldResult number : rest)
      if (auto value = dyn_cast<Value>(number))
        all.push_back(context.get(value));
      else
        all.push_back(number);
    return all;
  }
  SmallVector<OpFoldResult> offsets, sizes, strides;
};

} // namespace

/// One slice after the other, at offsets that lie in the tensor: those of
/// elements that are not meant to take part may be anywhere.
static LogicalResult batchSlices(OffsetSizeAndStrideOpInterface op,
                                 ArrayRef<int64_t> shape,
                                 BatchContext &context) {
  if (!op.getSizes().empty() || !op.getStrides().empty() ||
      ShapedType::isDynamicShape(shape) ||
      llvm::any_of(op.getStaticStrides(),
                   [](int64_t stride) { return stride < 0; }))
    return failure();
  SmallVector<int64_t> most;
  for (auto [offset, size, stride, extent] :
       llvm::zip_equal(op.getStaticOffsets(), op.getStaticSizes(),
                       op.getStaticStrides(), shape))
    if (ShapedType::isDynamic(offset))
      most.push_back(std::max<int64_t>(extent - 1 - (size - 1) * stride, 0));
  return batchOneByOne(op, context, [&](Operation *copy) {
    OpBuilder builder(copy);
    Location loc = copy->getLoc();
    auto slice = cast<OffsetSizeAndStrideOpInterface>(copy);
    unsigned first = slice.getOffsetSizeAndStrideStartOperandIndex();
    for (auto [i, bound] : llvm::enumerate(most)) {
      OpOperand &offset = copy->getOpOperand(first + i);
      Value least = arith::ConstantIndexOp::create(builder, loc, 0);
      Value end = arith::ConstantIndexOp::create(builder, loc, bound);
      Value above = arith::MaxSIOp::create(builder, loc, offset.get(), least);
      offset.set(arith::MinSIOp::create(builder, loc, above, end));
    }
  });
}

static LogicalResult batchExtractSlice(tensor::ExtractSliceOp op,
                                       BatchContext &context) {
  if (anyBatched(context, op->getOperands().drop_front()))
    return batchSlices(op, op.getSourceType().getShape(), context);
  if (!hasBatches(op.getType()))
    return failure();
  BatchedSlice slice(context, op);
  context.setBatched(
      op.getResult(),
      tensor::ExtractSliceOp::create(context.builder, op.getLoc(),
                                     batchedType(context, op.getResult()),
                                     context.get(op.getSource()), slice.offsets,
                                     slice.sizes, slice.strides));
  return success();
}

static LogicalResult batchInsertSlice(tensor::InsertSliceOp op,
                                      BatchContext &context) {
  if (anyBatched(context, op->getOperands().drop_front(2)))
    return batchSlices(op, op.getType().getShape(), context);
  if (!hasBatches(op.getSourceType()) || !hasBatches(op.getType()))
    return failure();
  BatchedSlice slice(context, op);
  context.setBatched(
      op.getResult(),
      tensor::InsertSliceOp::create(context.builder, op.getLoc(),
                                    context.getBatched(op.getSource()),
                                    context.getBatched(op.getDest()),
                                    slice.offsets, slice.sizes, slice.strides));
  return success();
}

static LogicalResult batchConcat(tensor::ConcatOp op, BatchContext &context) {
  if (!llvm::all_of(op->getOperandTypes(), hasBatches))
    return batchOneByOne(op, context);
  SmallVector<Value> inputs;
  for (Value input : op.getInputs())
    inputs.push_back(context.getBatched(input));
  context.setBatched(op.getResult(),
                     tensor::ConcatOp::create(context.builder, op.getLoc(),
                                              op.getDim() + 1, inputs));
  return success();
}

/// Writes the region of `op`, which computes elements at the indices that its
/// arguments are, to that of `batched`, which has the batch as one more index.
template <typename Op>
static void batchElements(Op op, Op batched, BatchContext &context) {
  Region &from = op->getRegion(0), &to = batched->getRegion(0);
  unsigned count = from.getNumArguments() + 1;
  OpBuilder::InsertionGuard guard(context.builder);
  SmallVector<Type> types(count, context.builder.getIndexType());
  SmallVector<Location> locations(count, op.getLoc());
  context.builder.createBlock(&to, {}, types, locations);
  IRMapping mapping;
  mapCaptured(context, op, context.builder, to.getArgument(0), mapping);
  mapping.map(from.getArguments(), to.getArguments().drop_front());
  for (Operation &nested : from.front())
    context.builder.clone(nested, mapping);
}

static LogicalResult batchGenerate(tensor::GenerateOp op,
                                   BatchContext &context) {
  if (!hasBatches(op.getType()))
    return failure();
  auto batched = tensor::GenerateOp::create(
      context.builder, op.getLoc(), context.getBatchedType(op.getResult()),
      ValueRange());
  batchElements(op, batched, context);
  context.setBatched(op.getResult(), batched.getResult());
  return success();
}

static LogicalResult batchPad(tensor::PadOp op, BatchContext &context) {
  if (anyBatched(context, op.getLow()) || anyBatched(context, op.getHigh()) ||
      !hasBatches(op.getSourceType()) || !hasBatches(op.getType()))
    return batchOneByOne(op, context);
  auto batched = tensor::PadOp::create(
      context.builder, op.getLoc(), context.getBatchedType(op.getResult()),
      context.getBatched(op.getSource()),
      BatchedSlice::with(context, 0, op.getMixedLowPad()),
      BatchedSlice::with(context, 0, op.getMixedHighPad()));
  batchElements(op, batched, context);
  context.setBatched(op.getResult(), batched.getResult());
  return success();
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

template <typename Op>
static LogicalResult batchReshape(Op op, BatchContext &context) {
  if (anyBatched(context, op->getOperands().drop_front()) ||
      !hasBatches(op->getOperand(0).getType()) ||
      !hasBatches(op.getResult().getType()))
    return batchOneByOne(op, context);
  return reshapeTo(context, op.getResult(), context.get(op->getOperand(0)));
}

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

template <typename Op, auto rule> static void attach(MLIRContext *context) {
  Op::template attachInterface<Batch<Op, rule>>(*context);
}

void grad::registerBatchingModels(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, arith::ArithDialect *) {
    using namespace arith;
    attach<DivSIOp, batchDivision<DivSIOp, true>>(context);
    attach<RemSIOp, batchDivision<RemSIOp, true>>(context);
    attach<CeilDivSIOp, batchDivision<CeilDivSIOp, true>>(context);
    attach<FloorDivSIOp, batchDivision<FloorDivSIOp, true>>(context);
    attach<DivUIOp, batchDivision<DivUIOp, false>>(context);
    attach<RemUIOp, batchDivision<RemUIOp, false>>(context);
    attach<CeilDivUIOp, batchDivision<CeilDivUIOp, false>>(context);
    attach<arith::IndexCastOp,
           batchIndexCast<arith::IndexCastOp, arith::ExtSIOp>>(context);
    attach<arith::IndexCastUIOp,
           batchIndexCast<arith::IndexCastUIOp, arith::ExtUIOp>>(context);
  });
  registry.addExtension(+[](MLIRContext *context, linalg::LinalgDialect *) {
    attach<linalg::SoftmaxOp, batchSoftmax>(context);
  });
  registry.addExtension(+[](MLIRContext *context, tensor::TensorDialect *) {
    attach<tensor::ExtractOp, batchExtract>(context);
    attach<tensor::InsertOp, batchInsert>(context);
    attach<tensor::FromElementsOp, batchFromElements>(context);
    attach<tensor::SplatOp, batchSplat>(context);
    attach<tensor::DimOp, batchDim>(context);
    attach<tensor::ExtractSliceOp, batchExtractSlice>(context);
    attach<tensor::InsertSliceOp, batchInsertSlice>(context);
    attach<tensor::ConcatOp, batchConcat>(context);
    attach<tensor::GenerateOp, batchGenerate>(context);
    attach<tensor::PadOp, batchPad>(context);
    attach<tensor::ExpandShapeOp, batchReshape<tensor::ExpandShapeOp>>(context);
    attach<tensor::CollapseShapeOp, batchReshape<tensor::CollapseShapeOp>>(
        context);
    attach<tensor::ReshapeOp, batchReshape<tensor::ReshapeOp>>(context);
    attach<tensor::CastOp, batchReshape<tensor::CastOp>>(context);
  });
}
