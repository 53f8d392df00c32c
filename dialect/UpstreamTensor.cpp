//===- UpstreamTensor.cpp - Rules of tensor -------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All ops here move elements: each is its own tangent, on tangents. What reads
// a part of a tensor adds to that part of the cotangent, in place; what writes
// a part of a tensor takes it out of the cotangent.
//
//===----------------------------------------------------------------------===//

#include "dialect/Models.h"
#include "dialect/Rules.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

/// The sum of all elements, a scalar.
static Value sumUp(OpBuilder &builder, Location loc, Value tensor) {
  Value sum = ReduceSumOp::create(
      builder, loc, tensor,
      llvm::to_vector(llvm::seq<int64_t>(0, typeOf(tensor).getRank())));
  return tensor::ExtractOp::create(builder, loc, sum, ValueRange());
}

//===----------------------------------------------------------------------===//
// Elements
//===----------------------------------------------------------------------===//

static LogicalResult transposeExtract(tensor::ExtractOp op,
                                      TransposeContext &context) {
  OpBuilder &builder = context.builder;
  Location loc = op.getLoc();
  context.updateCotangent(op.getTensor(), [&](Value sum) -> Value {
    Value before =
        tensor::ExtractOp::create(builder, loc, sum, op.getIndices());
    Value after =
        createSum(builder, loc, before, context.getCotangent(op.getResult()));
    return tensor::InsertOp::create(builder, loc, after, sum, op.getIndices());
  });
  return success();
}

static LogicalResult transposeInsert(tensor::InsertOp op,
                                     TransposeContext &context) {
  OpBuilder &builder = context.builder;
  Location loc = op.getLoc();
  Value ct = context.getCotangent(op.getResult());
  if (context.isLinear(op.getScalar()))
    context.addCotangent(
        op.getScalar(),
        tensor::ExtractOp::create(builder, loc, ct, op.getIndices()));
  if (context.isLinear(op.getDest())) {
    Value zero = createZero(builder, loc, op.getScalar().getType());
    context.addCotangent(
        op.getDest(),
        tensor::InsertOp::create(builder, loc, zero, ct, op.getIndices()));
  }
  return success(context.areTerms({op.getScalar(), op.getDest()}));
}

static LogicalResult transposeFromElements(tensor::FromElementsOp op,
                                           TransposeContext &context) {
  OpBuilder &builder = context.builder;
  Location loc = op.getLoc();
  Value ct = context.getCotangent(op.getResult());
  ArrayRef<int64_t> shape = op.getType().getShape();
  SmallVector<int64_t> strides = computeStrides(shape);
  for (auto [i, element] : llvm::enumerate(op.getElements())) {
    if (!context.isLinear(element))
      continue;
    SmallVector<Value> indices = llvm::map_to_vector(
        delinearize(i, strides), [&](int64_t index) -> Value {
          return arith::ConstantIndexOp::create(builder, loc, index);
        });
    context.addCotangent(element,
                         tensor::ExtractOp::create(builder, loc, ct, indices));
  }
  return success(context.areTerms(op.getElements()));
}

static LogicalResult transposeSplat(tensor::SplatOp op,
                                    TransposeContext &context) {
  context.addCotangent(op.getInput(),
                       sumUp(context.builder, op.getLoc(),
                             context.getCotangent(op.getResult())));
  return success();
}

//===----------------------------------------------------------------------===//
// Slices
//===----------------------------------------------------------------------===//

/// A transpose takes each element of a slice for another one.
static LogicalResult checkStrides(OffsetSizeAndStrideOpInterface op,
                                  TransposeContext &context) {
  if (!llvm::is_contained(op.getStaticStrides(), 0))
    return success();
  return context.emitOpError(op)
         << "expected strides other than 0, where it is differentiated in "
            "reverse mode";
}

static LogicalResult transposeExtractSlice(tensor::ExtractSliceOp op,
                                           TransposeContext &context) {
  if (failed(checkStrides(op, context)))
    return failure();
  OpBuilder &builder = context.builder;
  Location loc = op.getLoc();
  context.updateCotangent(op.getSource(), [&](Value sum) -> Value {
    auto offsets = op.getMixedOffsets(), sizes = op.getMixedSizes(),
         strides = op.getMixedStrides();
    Value before = tensor::ExtractSliceOp::create(builder, loc, op.getType(),
                                                  sum, offsets, sizes, strides);
    Value after =
        createSum(builder, loc, before, context.getCotangent(op.getResult()));
    return tensor::InsertSliceOp::create(builder, loc, after, sum, offsets,
                                         sizes, strides);
  });
  return success();
}

static LogicalResult transposeInsertSlice(tensor::InsertSliceOp op,
                                          TransposeContext &context) {
  if (failed(checkStrides(op, context)))
    return failure();
  OpBuilder &builder = context.builder;
  Location loc = op.getLoc();
  Value ct = context.getCotangent(op.getResult());
  auto offsets = op.getMixedOffsets(), sizes = op.getMixedSizes(),
       strides = op.getMixedStrides();
  if (context.isLinear(op.getSource()))
    context.addCotangent(op.getSource(), tensor::ExtractSliceOp::create(
                                             builder, loc, op.getSourceType(),
                                             ct, offsets, sizes, strides));
  if (context.isLinear(op.getDest())) {
    Value zeros = createZero(builder, loc, op.getSourceType());
    context.addCotangent(
        op.getDest(), tensor::InsertSliceOp::create(builder, loc, zeros, ct,
                                                    offsets, sizes, strides));
  }
  return success(context.areTerms({op.getSource(), op.getDest()}));
}

static LogicalResult transposeConcat(tensor::ConcatOp op,
                                     TransposeContext &context) {
  OpBuilder &builder = context.builder;
  Value ct = context.getCotangent(op.getResult());
  int64_t rank = op.getResultType().getRank(), dimension = op.getDim();
  SmallVector<OpFoldResult> offsets(rank, builder.getIndexAttr(0)),
      strides(rank, builder.getIndexAttr(1));
  int64_t offset = 0;
  for (Value input : op.getInputs()) {
    offsets[dimension] = builder.getIndexAttr(offset);
    offset += typeOf(input).getDimSize(dimension);
    if (!context.isLinear(input))
      continue;
    SmallVector<OpFoldResult> sizes =
        getAsIndexOpFoldResult(op.getContext(), typeOf(input).getShape());
    context.addCotangent(input, tensor::ExtractSliceOp::create(
                                    builder, op.getLoc(), typeOf(input), ct,
                                    offsets, sizes, strides));
  }
  return success(context.areTerms(op.getInputs()));
}

/// What is padded with; null if it depends on the position.
static Value getPadding(tensor::PadOp op) {
  return op.getConstantPaddingValue();
}

static LogicalResult linearizePad(tensor::PadOp op, LinearizeContext &context) {
  Location loc = op.getLoc();
  Value padding = getPadding(op);
  if (!padding)
    return op.emitOpError("expected a padding that is the same value "
                          "everywhere, where it is differentiated");
  auto tangentOf = [&](Value value) {
    Value tangent = context.getTangent(value);
    return tangent ? tangent : createZero(context.primal, loc, value.getType());
  };
  context.setTangent(
      op.getResult(),
      tensor::PadOp::create(context.linear, loc, op.getType(),
                            tangentOf(op.getSource()), op.getMixedLowPad(),
                            op.getMixedHighPad(), tangentOf(padding)));
  return success();
}

static LogicalResult transposePad(tensor::PadOp op, TransposeContext &context) {
  OpBuilder &builder = context.builder;
  Location loc = op.getLoc();
  Value padding = getPadding(op);
  if (!padding)
    return context.emitOpError(op)
           << "expected a padding that is the same value everywhere";
  Value ct = context.getCotangent(op.getResult());
  SmallVector<OpFoldResult> strides(op.getType().getRank(),
                                    builder.getIndexAttr(1));
  Value inside = tensor::ExtractSliceOp::create(
      builder, loc, op.getSourceType(), ct, op.getMixedLowPad(),
      getAsIndexOpFoldResult(op.getContext(), op.getSourceType().getShape()),
      strides);
  context.addCotangent(op.getSource(), inside);
  if (context.isLinear(padding))
    context.addCotangent(
        padding, createElementwise<SubtractOp>(
                     builder, loc,
                     {sumUp(builder, loc, ct), sumUp(builder, loc, inside)}));
  return success(context.areTerms({op.getSource(), padding}));
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

static LogicalResult transposeCollapse(tensor::CollapseShapeOp op,
                                       TransposeContext &context) {
  context.addCotangent(op.getSrc(),
                       tensor::ExpandShapeOp::create(
                           context.builder, op.getLoc(), op.getSrcType(),
                           context.getCotangent(op.getResult()),
                           op.getReassociationIndices()));
  return success();
}

static LogicalResult transposeExpand(tensor::ExpandShapeOp op,
                                     TransposeContext &context) {
  context.addCotangent(op.getSrc(),
                       tensor::CollapseShapeOp::create(
                           context.builder, op.getLoc(), op.getSrcType(),
                           context.getCotangent(op.getResult()),
                           op.getReassociationIndices()));
  return success();
}

static LogicalResult transposeCast(tensor::CastOp op,
                                   TransposeContext &context) {
  context.addCotangent(
      op.getSource(),
      tensor::CastOp::create(context.builder, op.getLoc(),
                             op.getSource().getType(),
                             context.getCotangent(op.getResult())));
  return success();
}

/// The shape is static and says all.
static LogicalResult linearizeReshape(tensor::ReshapeOp op,
                                      LinearizeContext &context) {
  context.setTangent(op.getResult(),
                     ReshapeOp::create(context.linear, op.getLoc(),
                                       context.getTangent(op.getSource()),
                                       typeOf(op.getResult()).getShape()));
  return success();
}

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

template <typename Op, auto transpose>
static void attachLinear(MLIRContext *context) {
  Op::template attachInterface<Linearize<Op, linearizeByItself>,
                               Transpose<Op, transpose>>(*context);
}

static void attachTensor(MLIRContext *context, tensor::TensorDialect *) {
  attachLinear<tensor::ExtractOp, transposeExtract>(context);
  attachLinear<tensor::InsertOp, transposeInsert>(context);
  attachLinear<tensor::FromElementsOp, transposeFromElements>(context);
  attachLinear<tensor::SplatOp, transposeSplat>(context);
  attachLinear<tensor::ExtractSliceOp, transposeExtractSlice>(context);
  attachLinear<tensor::InsertSliceOp, transposeInsertSlice>(context);
  attachLinear<tensor::ConcatOp, transposeConcat>(context);
  attachLinear<tensor::CollapseShapeOp, transposeCollapse>(context);
  attachLinear<tensor::ExpandShapeOp, transposeExpand>(context);
  attachLinear<tensor::CastOp, transposeCast>(context);
  tensor::PadOp::attachInterface<Linearize<tensor::PadOp, linearizePad>,
                                 Transpose<tensor::PadOp, transposePad>>(
      *context);
  tensor::ReshapeOp::attachInterface<
      Linearize<tensor::ReshapeOp, linearizeReshape>>(*context);
}

void grad::registerTensorModels(DialectRegistry &registry) {
  registry.addExtension(attachTensor);
}
