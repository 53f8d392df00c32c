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

#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
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

namespace {

/// A part of a tensor that is static: where it begins, and so on.
struct Part {
  explicit Part(OffsetSizeAndStrideOpInterface op)
      : offsets(op.getMixedOffsets()), sizes(op.getMixedSizes()),
        strides(op.getMixedStrides()) {}

  Value readFrom(OpBuilder &builder, Location loc, Value whole) const {
    return tensor::ExtractSliceOp::create(builder, loc, whole, offsets, sizes,
                                          strides);
  }
  Value writeTo(OpBuilder &builder, Location loc, Value whole,
                Value value) const {
    return tensor::InsertSliceOp::create(builder, loc, value, whole, offsets,
                                         sizes, strides);
  }

  SmallVector<OpFoldResult> offsets, sizes, strides;
};

/// A slice whose strides may be 0, cut up so that no part has an element twice:
/// in the dimensions in which they may be, one position after the other.
class OverlappingSlice {
public:
  explicit OverlappingSlice(OffsetSizeAndStrideOpInterface op) : whole(op) {
    for (auto [d, stride] : llvm::enumerate(whole.strides))
      if (op.getStaticSizes()[d] != 1 &&
          getConstantIntValue(stride).value_or(0) == 0)
        dimensions.push_back(d);
  }

  bool isDistinct() const { return dimensions.empty(); }

  /// What loops over the parts make of `inits`. `run` gets each part as one of
  /// the tensor, and as one of the slice in all its dimensions.
  using Run = function_ref<SmallVector<Value>(
      OpBuilder &builder, const Part &in, const Part &of, ValueRange carried)>;
  SmallVector<Value> loop(OpBuilder &builder, Location loc, bool backwards,
                          ValueRange inits, Run run) const {
    Part of(whole);
    llvm::fill(of.offsets, builder.getIndexAttr(0));
    llvm::fill(of.strides, builder.getIndexAttr(1));
    return nest(builder, loc, backwards, dimensions, whole, of, inits, run);
  }

private:
  SmallVector<Value> nest(OpBuilder &builder, Location loc, bool backwards,
                          ArrayRef<unsigned> rest, Part in, Part of,
                          ValueRange inits, Run run) const {
    if (rest.empty())
      return run(builder, in, of, inits);
    unsigned d = rest.front();
    Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
    Value one = arith::ConstantIndexOp::create(builder, loc, 1);
    Value size = getValueOrCreateConstantIndexOp(builder, loc, whole.sizes[d]);
    auto loop = scf::ForOp::create(
        builder, loc, zero, size, one, inits,
        [&](OpBuilder &inside, Location loc, Value position,
            ValueRange carried) {
          if (backwards) {
            Value last = arith::SubIOp::create(inside, loc, size, one);
            position = arith::SubIOp::create(inside, loc, last, position);
          }
          auto valueOf = [&](OpFoldResult number) {
            return getValueOrCreateConstantIndexOp(inside, loc, number);
          };
          Value distance = arith::MulIOp::create(inside, loc, position,
                                                 valueOf(whole.strides[d]));
          in.offsets[d] = arith::AddIOp::create(
                              inside, loc, valueOf(whole.offsets[d]), distance)
                              .getResult();
          of.offsets[d] = position;
          in.sizes[d] = of.sizes[d] = in.strides[d] = inside.getIndexAttr(1);
          scf::YieldOp::create(inside, loc,
                               nest(inside, loc, backwards, rest.drop_front(),
                                    in, of, carried, run));
        });
    return loop.getResults();
  }

  Part whole;
  SmallVector<unsigned> dimensions;
};

} // namespace

static LogicalResult transposeExtractSlice(tensor::ExtractSliceOp op,
                                           TransposeContext &context) {
  Location loc = op.getLoc();
  Value ct = context.getCotangent(op.getResult());
  Part part(op);
  OverlappingSlice slice(op);
  context.updateCotangent(op.getSource(), [&](Value sum) -> Value {
    OpBuilder &builder = context.builder;
    if (slice.isDistinct()) {
      Value before = tensor::ExtractSliceOp::create(builder, loc, op.getType(),
                                                    sum, part.offsets,
                                                    part.sizes, part.strides);
      return part.writeTo(builder, loc, sum,
                          createSum(builder, loc, before, ct));
    }
    Value all = ReshapeOp::create(builder, loc, ct, op.getStaticSizes());
    auto add = [&](OpBuilder &inside, const Part &in, const Part &of,
                   ValueRange carried) -> SmallVector<Value> {
      Value sum = carried.front();
      Value after = createSum(inside, loc, in.readFrom(inside, loc, sum),
                              of.readFrom(inside, loc, all));
      return {in.writeTo(inside, loc, sum, after)};
    };
    return slice.loop(builder, loc, /*backwards=*/false, sum, add).front();
  });
  return success();
}

static LogicalResult transposeInsertSlice(tensor::InsertSliceOp op,
                                          TransposeContext &context) {
  OpBuilder &builder = context.builder;
  Location loc = op.getLoc();
  Value ct = context.getCotangent(op.getResult());
  if (!context.areTerms({op.getSource(), op.getDest()}))
    return failure();
  Part part(op);
  OverlappingSlice slice(op);
  if (!slice.isDistinct()) {
    // What is written last stays.
    RankedTensorType type = op.getSourceType().clone(op.getStaticSizes());
    auto take = [&](OpBuilder &inside, const Part &in, const Part &of,
                    ValueRange carried) -> SmallVector<Value> {
      Value ct = carried[0], taken = carried[1];
      Value here = in.readFrom(inside, loc, ct);
      Value zeros = createZero(inside, loc, here.getType());
      return {in.writeTo(inside, loc, ct, zeros),
              of.writeTo(inside, loc, taken, here)};
    };
    SmallVector<Value> results =
        slice.loop(builder, loc, /*backwards=*/true,
                   {ct, createZero(builder, loc, type)}, take);
    context.addCotangent(op.getDest(), results[0]);
    context.addCotangent(op.getSource(),
                         ReshapeOp::create(builder, loc, results[1],
                                           op.getSourceType().getShape()));
    return success();
  }
  if (context.isLinear(op.getSource()))
    context.addCotangent(
        op.getSource(),
        tensor::ExtractSliceOp::create(builder, loc, op.getSourceType(), ct,
                                       part.offsets, part.sizes, part.strides));
  if (context.isLinear(op.getDest()))
    context.addCotangent(
        op.getDest(),
        part.writeTo(builder, loc, ct,
                     createZero(builder, loc, op.getSourceType())));
  return success();
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

/// Paddings that depend on the position were put in other terms before.
static LogicalResult linearizePad(tensor::PadOp op, LinearizeContext &context) {
  Location loc = op.getLoc();
  Value padding = op.getConstantPaddingValue();
  if (!padding || !op.getSourceType().hasStaticShape())
    return op.emitOpError("expected a source of static shape and a padding "
                          "that is the same value everywhere, where it is "
                          "differentiated");
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

static SmallVector<OpFoldResult> negateAll(OpBuilder &builder, Location loc,
                                           ArrayRef<OpFoldResult> numbers) {
  return llvm::map_to_vector(numbers, [&](OpFoldResult number) -> OpFoldResult {
    if (std::optional<int64_t> constant = getConstantIntValue(number))
      return builder.getIndexAttr(-*constant);
    Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
    return arith::SubIOp::create(builder, loc, zero, cast<Value>(number))
        .getResult();
  });
}

/// Padding with negative numbers takes away what was added, and adds what was
/// taken away.
static LogicalResult transposePad(tensor::PadOp op, TransposeContext &context) {
  OpBuilder &builder = context.builder;
  Location loc = op.getLoc();
  Value padding = op.getConstantPaddingValue();
  if (!padding)
    return context.emitOpError(op)
           << "expected a padding that is the same value everywhere";
  if (!context.areTerms({op.getSource(), padding}))
    return failure();
  Value ct = context.getCotangent(op.getResult());
  if (context.isLinear(op.getSource())) {
    auto low = negateAll(builder, loc, op.getMixedLowPad()),
         high = negateAll(builder, loc, op.getMixedHighPad());
    context.addCotangent(
        op.getSource(),
        tensor::PadOp::create(builder, loc, op.getSourceType(), ct, low, high,
                              createZero(builder, loc, padding.getType())));
  }
  if (context.isLinear(padding)) {
    auto mask = [&](RankedTensorType like, bool value) -> Value {
      auto type = like.clone(builder.getI1Type());
      return ConstantOp::create(builder, loc,
                                DenseElementsAttr::get(type, value));
    };
    Value isTrue = arith::ConstantIntOp::create(builder, loc, 1, 1);
    Value isPadding = tensor::PadOp::create(
        builder, loc, op.getType().clone(builder.getI1Type()),
        mask(op.getSourceType(), false), op.getMixedLowPad(),
        op.getMixedHighPad(), isTrue);
    Value border = SelectOp::create(builder, loc, isPadding, ct,
                                    createZero(builder, loc, op.getType()));
    context.addCotangent(padding, sumUp(builder, loc, border));
  }
  return success();
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
