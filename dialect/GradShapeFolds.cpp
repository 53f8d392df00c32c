//===- GradShapeFolds.cpp - Folders of arrays and their sums --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Only sums may round differently: equal terms become a product with their
// number, and a factor that all terms have is taken out.
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::grad;

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

static Attribute foldSplat(Attribute operand, Type type) {
  auto elements = dyn_cast_or_null<DenseElementsAttr>(operand);
  if (!elements || !elements.isSplat())
    return nullptr;
  return elements.resizeSplat(cast<ShapedType>(type));
}

static bool isIdentity(ArrayRef<int64_t> permutation) {
  for (auto [i, d] : llvm::enumerate(permutation))
    if (d != static_cast<int64_t>(i))
      return false;
  return true;
}

/// Entry `i` is the one of `outer` that entry `i` of `inner` names.
static SmallVector<int64_t> compose(ArrayRef<int64_t> outer,
                                    ArrayRef<int64_t> inner) {
  return llvm::map_to_vector(inner, [&](int64_t d) { return outer[d]; });
}

OpFoldResult BroadcastOp::fold(FoldAdaptor adaptor) {
  if (getType() == getX().getType())
    return getX();
  // broadcast(broadcast(x)) => broadcast(x)
  if (auto inner = getX().getDefiningOp<BroadcastOp>()) {
    setDimensions(compose(getDimensions(), inner.getDimensions()));
    getXMutable().assign(inner.getX());
    return getResult();
  }
  return foldSplat(adaptor.getX(), getType());
}

OpFoldResult ReshapeOp::fold(FoldAdaptor adaptor) {
  if (getType() == getX().getType())
    return getX();
  // reshape(reshape(x)) => reshape(x)
  if (auto inner = getX().getDefiningOp<ReshapeOp>()) {
    getXMutable().assign(inner.getX());
    return getResult();
  }
  return foldSplat(adaptor.getX(), getType());
}

OpFoldResult TransposeOp::fold(FoldAdaptor adaptor) {
  if (isIdentity(getPermutation()))
    return getX();
  // transpose(transpose(x)) => transpose(x)
  if (auto inner = getX().getDefiningOp<TransposeOp>()) {
    setPermutation(compose(inner.getPermutation(), getPermutation()));
    getXMutable().assign(inner.getX());
    return getResult();
  }
  return foldSplat(adaptor.getX(), getType());
}

OpFoldResult SliceOp::fold(FoldAdaptor adaptor) {
  if (getType() == getX().getType())
    return getX();
  // slice(slice(x)) => slice(x)
  if (auto inner = getX().getDefiningOp<SliceOp>()) {
    SmallVector<int64_t> offsets, strides;
    for (auto [offset, stride, innerOffset, innerStride] :
         llvm::zip_equal(getOffsets(), getStrides(), inner.getOffsets(),
                         inner.getStrides())) {
      offsets.push_back(innerOffset + offset * innerStride);
      strides.push_back(stride * innerStride);
    }
    setOffsets(offsets);
    setStrides(strides);
    getXMutable().assign(inner.getX());
    return getResult();
  }
  return foldSplat(adaptor.getX(), getType());
}

OpFoldResult AddSliceOp::fold(FoldAdaptor) {
  return hasNoElements(getUpdate()) ? getX() : Value();
}

OpFoldResult DynamicAddSliceOp::fold(FoldAdaptor) {
  return hasNoElements(getUpdate()) ? getX() : Value();
}

OpFoldResult ConcatenateOp::fold(FoldAdaptor) {
  return getInputs().size() == 1 ? getInputs().front() : Value();
}

OpFoldResult ReverseOp::fold(FoldAdaptor adaptor) {
  if (llvm::all_of(getDimensions(), [&](int64_t d) {
        return !typeOf(getX()).isDynamicDim(d) &&
               typeOf(getX()).getDimSize(d) <= 1;
      }))
    return getX();
  // reverse(reverse(x)) => x
  if (auto inner = getX().getDefiningOp<ReverseOp>())
    if (inner.getDimensions() == getDimensions())
      return inner.getX();
  return foldSplat(adaptor.getX(), getType());
}

OpFoldResult FftOp::fold(FoldAdaptor) {
  bool isIdentity = llvm::all_of(getDimensions(), [&](int64_t d) {
    return typeOf(getX()).getDimSize(d) == 1;
  });
  return isIdentity ? getX() : Value();
}

OpFoldResult ReduceSumOp::fold(FoldAdaptor) {
  return getDimensions().empty() ? getX() : Value();
}

namespace {

/// add_slice(x, u) of the whole of x => x + u
struct AddWhole : OpRewritePattern<AddSliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(AddSliceOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getUpdate().getType() != op.getType())
      return rewriter.notifyMatchFailure(op, "adds to a part");
    rewriter.replaceOpWithNewOp<AddOp>(op, op.getX(), op.getUpdate());
    return success();
  }
};

/// reduce_sum(broadcast(x)) over new dimensions => x * their size
struct SumOfBroadcast : OpRewritePattern<ReduceSumOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceSumOp op,
                                PatternRewriter &rewriter) const override {
    auto broadcast = op.getX().getDefiningOp<BroadcastOp>();
    if (!broadcast || !isDifferentiable(op.getType()))
      return rewriter.notifyMatchFailure(
          op, "operand is not a broadcast of floats");
    SmallVector<int64_t> remaining;
    double count = 1;
    for (auto [d, size] : llvm::enumerate(broadcast.getShape())) {
      if (!llvm::is_contained(op.getDimensions(), static_cast<int64_t>(d)))
        remaining.push_back(d);
      else if (llvm::is_contained(broadcast.getDimensions(),
                                  static_cast<int64_t>(d)))
        return rewriter.notifyMatchFailure(
            op, "sums over a dimension of the operand");
      else
        count *= size;
    }
    if (count == 0)
      return rewriter.notifyMatchFailure(op, "sums over nothing");
    SmallVector<int64_t> dimensions;
    for (int64_t d : broadcast.getDimensions())
      dimensions.push_back(llvm::find(remaining, d) - remaining.begin());
    Value x =
        BroadcastOp::create(rewriter, op.getLoc(), broadcast.getX(),
                            typeOf(op.getResult()).getShape(), dimensions);
    Value factor = createSplat(rewriter, op.getLoc(), typeOf(x), count);
    rewriter.replaceOpWithNewOp<MultiplyOp>(op, x, factor);
    return success();
  }
};

/// reduce_sum(-x) => -reduce_sum(x)
struct SumOfNegative : OpRewritePattern<ReduceSumOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceSumOp op,
                                PatternRewriter &rewriter) const override {
    auto negative = op.getX().getDefiningOp<NegativeOp>();
    if (!negative || !isDifferentiable(op.getType()))
      return rewriter.notifyMatchFailure(op, "operand is not negated");
    Value sum = ReduceSumOp::create(rewriter, op.getLoc(), negative.getX(),
                                    op.getDimensions());
    rewriter.replaceOpWithNewOp<NegativeOp>(op, sum);
    return success();
  }
};

/// reduce_sum(broadcast(x) * y) over new dimensions => x * reduce_sum(y), if
/// this sum is there already: the one of derivatives of softmax and logsumexp.
/// As a sum of its own it could overflow where that of the products does not.
struct SumOfProduct : OpRewritePattern<ReduceSumOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceSumOp op,
                                PatternRewriter &rewriter) const override {
    auto product = op.getX().getDefiningOp<MultiplyOp>();
    if (!product || !isDifferentiable(op.getType()))
      return rewriter.notifyMatchFailure(op, "operand is not a product");
    for (unsigned i : {0, 1}) {
      auto broadcast = product->getOperand(i).getDefiningOp<BroadcastOp>();
      Value y = product->getOperand(1 - i);
      if (!broadcast || !hasSum(y, op) ||
          llvm::any_of(broadcast.getDimensions(), [&](int64_t d) {
            return llvm::is_contained(op.getDimensions(), d);
          }))
        continue;
      Value sum =
          ReduceSumOp::create(rewriter, op.getLoc(), y, op.getDimensions());
      SmallVector<int64_t> dimensions;
      for (int64_t d : broadcast.getDimensions())
        dimensions.push_back(
            d - llvm::count_if(op.getDimensions(),
                               [&](int64_t summed) { return summed < d; }));
      Value x = BroadcastOp::create(rewriter, op.getLoc(), broadcast.getX(),
                                    typeOf(sum).getShape(), dimensions);
      rewriter.replaceOpWithNewOp<MultiplyOp>(op, x, sum);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no factor of a known sum");
  }

  /// Whether the block has a sum like `op` of `y`, among its last users.
  static bool hasSum(Value y, ReduceSumOp op) {
    for (auto [i, user] : llvm::enumerate(y.getUsers())) {
      auto sum = dyn_cast<ReduceSumOp>(user);
      if (sum && sum->getBlock() == op->getBlock() &&
          sum.getDimensions() == op.getDimensions())
        return true;
      if (i == 16)
        break;
    }
    return false;
  }
};

} // namespace

void AddSliceOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                             MLIRContext *context) {
  patterns.add<AddWhole>(context);
}
void ReduceSumOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                              MLIRContext *context) {
  patterns.add<SumOfBroadcast, SumOfNegative, SumOfProduct>(context);
}
