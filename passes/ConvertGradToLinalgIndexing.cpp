//===- ConvertGradToLinalgIndexing.cpp - Slices, gather, scatter ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Slices become tensor.extract_slice and tensor.insert_slice, which
/// bufferization turns into views where it can. Gather is a generic with
/// computed reads; scatters, whose writes may collide, are loops.
///
//===----------------------------------------------------------------------===//

#include "passes/ConvertGradToLinalg.h"

#include "dialect/Positions.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::grad;

/// `position`, an i64, as an index in `[0, last]`.
static Value clampedIndex(OpBuilder &builder, Location loc, Value position,
                          int64_t last) {
  auto constant = [&](int64_t value) -> Value {
    return arith::ConstantOp::create(builder, loc,
                                     builder.getI64IntegerAttr(value));
  };
  position = arith::MaxSIOp::create(builder, loc, position, constant(0));
  position = arith::MinSIOp::create(builder, loc, position, constant(last));
  return arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                    position);
}

static Value constantIndex(OpBuilder &builder, Location loc, int64_t value) {
  return arith::ConstantIndexOp::create(builder, loc, value);
}

/// An attribute of slices at positions known at run time: none is moved. It is
/// there while operations are replaced, as what positions are made of goes.
static constexpr llvm::StringLiteral kIsWithin = "grad.is_within";

template <typename Op> static ArrayRef<int64_t> getPartShape(Op op) {
  if constexpr (std::is_same_v<Op, DynamicSliceOp>)
    return op.getSizes();
  else
    return cast<ShapedType>(op.getUpdate().getType()).getShape();
}

/// The offsets of a dynamic slice, clamped where that may be needed.
template <typename Op>
static SmallVector<OpFoldResult> offsetsOf(OpBuilder &builder, Location loc,
                                           Op op) {
  SmallVector<OpFoldResult> offsets;
  for (auto [index, extent, size] : llvm::zip_equal(
           op.getIndices(), cast<ShapedType>(op.getX().getType()).getShape(),
           getPartShape(op))) {
    if (extent == size) {
      offsets.push_back(builder.getIndexAttr(0));
      continue;
    }
    Value position = tensor::ExtractOp::create(builder, loc, index);
    offsets.push_back(
        op->hasAttr(kIsWithin)
            ? arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                         position)
                  .getResult()
            : clampedIndex(builder, loc, position, extent - size));
  }
  return offsets;
}

namespace {

//===----------------------------------------------------------------------===//
// Slices
//===----------------------------------------------------------------------===//

/// grad.slice => tensor.extract_slice.
struct LowerSlice : OpRewritePattern<SliceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(SliceOp op,
                                PatternRewriter &rewriter) const override {
    MLIRContext *context = getContext();
    rewriter.replaceOpWithNewOp<tensor::ExtractSliceOp>(
        op, op.getX(), getAsIndexOpFoldResult(context, op.getOffsets()),
        getAsIndexOpFoldResult(context, op.getSizes()),
        getAsIndexOpFoldResult(context, op.getStrides()));
    return success();
  }
};

/// grad.dynamic_slice => tensor.extract_slice.
struct LowerDynamicSlice : OpRewritePattern<DynamicSliceOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(DynamicSliceOp op,
                                PatternRewriter &rewriter) const override {
    auto type = cast<RankedTensorType>(op.getX().getType());
    SmallVector<OpFoldResult> ones(type.getRank(), rewriter.getIndexAttr(1));
    rewriter.replaceOpWithNewOp<tensor::ExtractSliceOp>(
        op, op.getX(), offsetsOf(rewriter, op.getLoc(), op),
        getAsIndexOpFoldResult(getContext(), op.getSizes()), ones);
    return success();
  }
};

/// Where a slice of a tensor begins and how far its elements are apart.
struct Place {
  SmallVector<OpFoldResult> offsets, strides;
};

Place placeOf(OpBuilder &builder, Location, UpdateSliceOp op) {
  return {getAsIndexOpFoldResult(builder.getContext(), op.getOffsets()),
          getAsIndexOpFoldResult(builder.getContext(), op.getStrides())};
}
Place placeOf(OpBuilder &builder, Location, AddSliceOp op) {
  return {getAsIndexOpFoldResult(builder.getContext(), op.getOffsets()),
          getAsIndexOpFoldResult(builder.getContext(), op.getStrides())};
}
template <typename Op> Place placeOf(OpBuilder &builder, Location loc, Op op) {
  return {offsetsOf(builder, loc, op),
          SmallVector<OpFoldResult>(op.getIndices().size(),
                                    builder.getIndexAttr(1))};
}

/// grad.update_slice, grad.dynamic_update_slice => tensor.insert_slice, at
/// clamped offsets. A number is written there, and to nowhere else before.
template <typename Op> struct LowerUpdate : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    if (hasNoElements(op.getUpdate())) {
      rewriter.replaceOp(op, op.getX());
      return success();
    }
    Location loc = op.getLoc();
    Value update = op.getUpdate();
    auto type = cast<RankedTensorType>(update.getType());
    Place place = placeOf(rewriter, loc, op);
    SmallVector<OpFoldResult> sizes =
        getAsIndexOpFoldResult(rewriter.getContext(), type.getShape());
    Value scalar = type.getNumElements() > 1
                       ? lookThrough(rewriter, update).scalar
                       : Value();
    if (scalar) {
      Value slice = tensor::ExtractSliceOp::create(
          rewriter, loc, type, op.getX(), place.offsets, sizes, place.strides);
      update =
          linalg::FillOp::create(rewriter, loc, scalar, slice).getResult(0);
    }
    rewriter.replaceOpWithNewOp<tensor::InsertSliceOp>(
        op, update, op.getX(), place.offsets, sizes, place.strides);
    return success();
  }
};

/// grad.add_slice, grad.dynamic_add_slice => a sum into the slice, in place
/// where the tensor dies.
template <typename Op> struct LowerAddSlice : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    if (hasNoElements(op.getUpdate())) {
      rewriter.replaceOp(op, op.getX());
      return success();
    }
    Location loc = op.getLoc();
    auto update = cast<RankedTensorType>(op.getUpdate().getType());
    Place place = placeOf(rewriter, loc, op);
    SmallVector<OpFoldResult> sizes =
        getAsIndexOpFoldResult(rewriter.getContext(), update.getShape());
    Value slice = tensor::ExtractSliceOp::create(
        rewriter, loc, update, op.getX(), place.offsets, sizes, place.strides);
    View view = lookThrough(rewriter, op.getUpdate());
    SmallVector<Value> inputs;
    SmallVector<AffineMap> maps;
    if (!view.scalar) {
      inputs.push_back(view.source);
      maps.push_back(view.map);
    }
    maps.push_back(rewriter.getMultiDimIdentityMap(update.getRank()));
    auto sum = linalg::GenericOp::create(
        rewriter, loc, TypeRange(update), inputs, ValueRange(slice), maps,
        iterators(update.getRank()),
        [&](OpBuilder &builder, Location loc, ValueRange elements) {
          Value term = view.scalar ? view.scalar : elements.front();
          linalg::YieldOp::create(
              builder, loc, addNumbers(builder, loc, elements.back(), term));
        });
    rewriter.replaceOpWithNewOp<tensor::InsertSliceOp>(
        op, sum.getResult(0), op.getX(), place.offsets, sizes, place.strides);
    return success();
  }
};

/// grad.pad => a fill and a tensor.insert_slice, strided for interior gaps. Of
/// large tensors only the border is filled.
struct LowerPad : OpRewritePattern<PadOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(PadOp op,
                                PatternRewriter &rewriter) const override {
    constexpr int64_t kLarge = 4096;
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getX().getType());
    Value scalar = lookThrough(rewriter, op.getValue()).scalar;
    if (!scalar)
      scalar = tensor::ExtractOp::create(rewriter, loc, op.getValue());
    bool isContiguous =
        llvm::all_of(op.getInterior(), [](int64_t gap) { return gap == 0; });
    bool fillsBorder = isContiguous && type.getNumElements() >= kLarge;
    Value result = fillsBorder ? emptyLike(rewriter, loc, op.getType())
                               : filled(rewriter, loc, op.getType(), scalar);
    if (!hasNoElements(op.getX())) {
      SmallVector<OpFoldResult> strides;
      for (int64_t gap : op.getInterior())
        strides.push_back(rewriter.getIndexAttr(gap + 1));
      result = tensor::InsertSliceOp::create(
          rewriter, loc, op.getX(), result,
          getAsIndexOpFoldResult(getContext(), op.getLow()),
          getAsIndexOpFoldResult(getContext(), type.getShape()), strides);
    }
    // Behind the operand: pads that differ in it have nothing in common then,
    // which would have to be copied.
    if (fillsBorder)
      result = withBorder(rewriter, op, result, scalar);
    rewriter.replaceOp(op, result);
    return success();
  }

private:
  /// `result` with `scalar` in the border: in what lies before and behind the
  /// operand in each dimension, and within it in the dimensions before.
  static Value withBorder(PatternRewriter &rewriter, PadOp op, Value result,
                          Value scalar) {
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getType());
    ArrayRef<int64_t> inner =
        cast<RankedTensorType>(op.getX().getType()).getShape();
    SmallVector<int64_t> offsets(type.getRank(), 0), sizes(type.getShape());
    SmallVector<OpFoldResult> ones(type.getRank(), rewriter.getIndexAttr(1));
    for (int64_t d = 0; d < type.getRank(); ++d) {
      for (auto [offset, size] :
           {std::pair<int64_t, int64_t>(0, op.getLow()[d]),
            std::pair<int64_t, int64_t>(op.getLow()[d] + inner[d],
                                        op.getHigh()[d])}) {
        if (size == 0)
          continue;
        offsets[d] = offset;
        sizes[d] = size;
        SmallVector<OpFoldResult> where =
            getAsIndexOpFoldResult(op.getContext(), offsets);
        SmallVector<OpFoldResult> extent =
            getAsIndexOpFoldResult(op.getContext(), sizes);
        Value slab = tensor::ExtractSliceOp::create(rewriter, loc, result,
                                                    where, extent, ones);
        slab = linalg::FillOp::create(rewriter, loc, scalar, slab).getResult(0);
        result = tensor::InsertSliceOp::create(rewriter, loc, slab, result,
                                               where, extent, ones);
      }
      offsets[d] = op.getLow()[d];
      sizes[d] = inner[d];
    }
    return result;
  }
};

/// grad.concatenate => one tensor.insert_slice for each input, which lets
/// inputs be computed in place.
struct LowerConcatenate : OpRewritePattern<ConcatenateOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ConcatenateOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getType());
    auto dim = static_cast<int64_t>(op.getDimension());
    SmallVector<OpFoldResult> ones(type.getRank(), rewriter.getIndexAttr(1));
    Value result = emptyLike(rewriter, loc, type);
    int64_t offset = 0;
    for (Value input : op.getInputs()) {
      auto inputType = cast<RankedTensorType>(input.getType());
      if (inputType == type) {
        rewriter.replaceOp(op, input);
        return success();
      }
      if (hasNoElements(input))
        continue;
      SmallVector<OpFoldResult> offsets(type.getRank(),
                                        rewriter.getIndexAttr(0));
      offsets[dim] = rewriter.getIndexAttr(offset);
      result = tensor::InsertSliceOp::create(
          rewriter, loc, input, result, offsets,
          getAsIndexOpFoldResult(getContext(), inputType.getShape()), ones);
      offset += inputType.getDimSize(dim);
    }
    rewriter.replaceOp(op, result);
    return success();
  }
};

/// grad.reverse => linalg.generic that reads `size - 1 - i` for `i`.
struct LowerReverse : OpRewritePattern<ReverseOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ReverseOp op,
                                PatternRewriter &rewriter) const override {
    auto type = cast<RankedTensorType>(op.getType());
    SmallVector<AffineExpr> exprs;
    for (int64_t dim = 0; dim < type.getRank(); ++dim) {
      AffineExpr expr = rewriter.getAffineDimExpr(dim);
      if (llvm::is_contained(op.getDimensions(), dim))
        expr = type.getDimSize(dim) - 1 - expr;
      exprs.push_back(expr);
    }
    View view = lookThrough(rewriter, op.getX(), /*permutationsOnly=*/true);
    AffineMap map =
        AffineMap::get(type.getRank(), 0, exprs, rewriter.getContext());
    auto generic = linalg::GenericOp::create(
        rewriter, op.getLoc(), TypeRange(type), ValueRange(view.source),
        ValueRange(emptyLike(rewriter, op.getLoc(), type)),
        ArrayRef<AffineMap>{view.map.compose(map),
                            rewriter.getMultiDimIdentityMap(type.getRank())},
        iterators(type.getRank()),
        [](OpBuilder &builder, Location loc, ValueRange elements) {
          linalg::YieldOp::create(builder, loc, elements[0]);
        });
    rewriter.replaceOp(op, generic);
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Gather and scatter
//===----------------------------------------------------------------------===//

/// Element `at` of what is seen.
static Value extract(OpBuilder &builder, Location loc, const View &view,
                     ArrayRef<Value> at) {
  if (view.scalar)
    return view.scalar;
  SmallVector<Value> place;
  for (AffineExpr expr : view.map.getResults()) {
    if (auto number = dyn_cast<AffineConstantExpr>(expr))
      place.push_back(constantIndex(builder, loc, number.getValue()));
    else
      place.push_back(at[cast<AffineDimExpr>(expr).getPosition()]);
  }
  return tensor::ExtractOp::create(builder, loc, view.source, place);
}

/// Where the slice begins that a row of indices points at: row `row...` holds
/// the positions in the dimensions of a tensor of `shape` that are behind the
/// first `batch`; in those, the row is where the slice is.
static SmallVector<Value> slicePosition(OpBuilder &builder, Location loc,
                                        const View &indices, int64_t count,
                                        ArrayRef<Value> row,
                                        ArrayRef<int64_t> shape,
                                        int64_t batch) {
  SmallVector<Value> position(row.take_front(batch));
  SmallVector<Value> at(row);
  at.emplace_back();
  for (int64_t dim = 0; dim < count; ++dim) {
    at.back() = constantIndex(builder, loc, dim);
    Value index = extract(builder, loc, indices, at);
    position.push_back(
        clampedIndex(builder, loc, index, shape[batch + dim] - 1));
  }
  return position;
}

/// grad.gather => linalg.generic that reads at the positions in `indices`.
struct LowerGather : OpRewritePattern<GatherOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(GatherOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getType());
    auto from = cast<RankedTensorType>(op.getX().getType());
    if (hasNoElements(op.getX())) {
      rewriter.replaceOp(op, filled(rewriter, loc, type, 0));
      return success();
    }
    auto indices = cast<RankedTensorType>(op.getIndices().getType());
    int64_t rowRank = indices.getRank() - 1;
    View view = lookThrough(rewriter, op.getIndices());
    auto generic = linalg::GenericOp::create(
        rewriter, loc, TypeRange(type), ValueRange(),
        ValueRange(emptyLike(rewriter, loc, type)),
        rewriter.getMultiDimIdentityMap(type.getRank()),
        iterators(type.getRank()),
        [&](OpBuilder &builder, Location loc, ValueRange) {
          SmallVector<Value> dims;
          for (int64_t dim = 0; dim < type.getRank(); ++dim)
            dims.push_back(linalg::IndexOp::create(builder, loc, dim));
          ArrayRef<Value> all(dims);
          SmallVector<Value> position = slicePosition(
              builder, loc, view, indices.getShape().back(),
              all.take_front(rowRank), from.getShape(), op.getBatch());
          llvm::append_range(position, all.drop_front(rowRank));
          Value element =
              tensor::ExtractOp::create(builder, loc, op.getX(), position);
          linalg::YieldOp::create(builder, loc, element);
        });
    rewriter.replaceOp(op, generic);
    return success();
  }
};

/// grad.scatter, grad.scatter_add => loops over the updates, in order.
template <typename Op> struct LowerScatter : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getType());
    auto updates = cast<RankedTensorType>(op.getUpdates().getType());
    if (hasNoElements(op.getUpdates())) {
      rewriter.replaceOp(op, op.getX());
      return success();
    }
    auto indices = cast<RankedTensorType>(op.getIndices().getType());
    int64_t rowRank = indices.getRank() - 1;
    View view = lookThrough(rewriter, op.getIndices());
    int64_t rank = updates.getRank();
    SmallVector<Value> lower(rank, constantIndex(rewriter, loc, 0));
    SmallVector<Value> step(rank, constantIndex(rewriter, loc, 1));
    SmallVector<Value> upper;
    for (int64_t size : updates.getShape())
      upper.push_back(constantIndex(rewriter, loc, size));
    auto body = [&](OpBuilder &builder, Location loc, ValueRange loops,
                    ValueRange state) -> scf::ValueVector {
      SmallVector<Value> all(loops);
      SmallVector<Value> position = slicePosition(
          builder, loc, view, indices.getShape().back(),
          ArrayRef(all).take_front(rowRank), type.getShape(), op.getBatch());
      llvm::append_range(position, loops.drop_front(rowRank));
      Value update =
          tensor::ExtractOp::create(builder, loc, op.getUpdates(), loops);
      if constexpr (std::is_same_v<Op, ScatterAddOp>) {
        Value old = tensor::ExtractOp::create(builder, loc, state[0], position);
        update = addNumbers(builder, loc, old, update);
      }
      return {
          tensor::InsertOp::create(builder, loc, update, state[0], position)};
    };
    scf::LoopNest nest =
        scf::buildLoopNest(rewriter, loc, lower, upper, step, op.getX(), body);
    rewriter.replaceOp(op, nest.results[0]);
    return success();
  }
};

} // namespace

void mlir::grad::notePositionsWithin(Operation *root) {
  auto note = [](auto op) {
    ArrayRef<int64_t> shape = cast<ShapedType>(op.getX().getType()).getShape();
    if (llvm::all_of(llvm::zip_equal(op.getIndices(), shape, getPartShape(op)),
                     [](auto dimension) {
                       auto [index, extent, size] = dimension;
                       return extent == size || isWithin(index, size, extent);
                     }))
      op->setAttr(kIsWithin, UnitAttr::get(op->getContext()));
  };
  root->walk([&](Operation *op) {
    llvm::TypeSwitch<Operation *>(op)
        .Case<DynamicSliceOp, DynamicUpdateSliceOp, DynamicAddSliceOp>(note);
  });
}

void mlir::grad::populateIndexingToLinalg(RewritePatternSet &patterns) {
  patterns.add<LowerSlice, LowerDynamicSlice, LowerUpdate<UpdateSliceOp>,
               LowerUpdate<DynamicUpdateSliceOp>, LowerAddSlice<AddSliceOp>,
               LowerAddSlice<DynamicAddSliceOp>, LowerPad, LowerConcatenate,
               LowerReverse, LowerGather, LowerScatter<ScatterOp>,
               LowerScatter<ScatterAddOp>>(patterns.getContext());
}
