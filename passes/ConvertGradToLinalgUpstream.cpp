//===- ConvertGradToLinalgUpstream.cpp - Upstream ops in other terms ------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Ops of other dialects that mean more than bufferization and the passes after
// it take them for.
//
//===----------------------------------------------------------------------===//

#include "dialect/Structured.h"
#include "passes/ConvertGradToLinalg.h"

#include "mlir/Dialect/Linalg/Transforms/Transforms.h"

using namespace mlir;
using namespace mlir::grad;

namespace {

/// An op of linalg that stands for several, such as linalg.softmax => these.
struct LowerAggregate
    : OpInterfaceRewritePattern<linalg::AggregatedOpInterface> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;

  LogicalResult matchAndRewrite(linalg::AggregatedOpInterface op,
                                PatternRewriter &rewriter) const override {
    FailureOr<SmallVector<Value>> parts = op.decomposeOperation(rewriter);
    if (failed(parts))
      return rewriter.notifyMatchFailure(op, "has no parts");
    rewriter.replaceOp(op, *parts);
    return success();
  }
};

/// A structured op that leaves a part of its init as it is => one that computes
/// the rest, inserted into the init.
struct LowerUnreached : OpInterfaceRewritePattern<linalg::LinalgOp> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;

  LogicalResult matchAndRewrite(linalg::LinalgOp op,
                                PatternRewriter &rewriter) const override {
    std::optional<SmallVector<Value>> results = keepUnreached(rewriter, op);
    if (!results)
      return rewriter.notifyMatchFailure(op, "reaches all elements");
    rewriter.replaceOp(op, *results);
    return success();
  }
};

/// tensor.pad by numbers that are negative => what is left of its source,
/// inserted into the padding; element by element where they may be. Upstream
/// would write past the end.
struct LowerNegativePad : OpRewritePattern<tensor::PadOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(tensor::PadOp op,
                                PatternRewriter &rewriter) const override {
    auto mayBeNegative = [](ArrayRef<int64_t> numbers) {
      return llvm::any_of(numbers, [](int64_t number) { return number < 0; });
    };
    static_assert(ShapedType::kDynamic < 0,
                  "what is not known may be negative");
    if (!op.getType().hasStaticShape() ||
        !op.getSourceType().hasStaticShape() ||
        !(mayBeNegative(op.getStaticLow()) ||
          mayBeNegative(op.getStaticHigh())))
      return rewriter.notifyMatchFailure(op, "leaves nothing out");
    Value padding = op.getConstantPaddingValue();
    bool isKnown = op.getLow().empty() && op.getHigh().empty();
    if (!padding || !isKnown) {
      rewriter.replaceOp(op, padByElement(rewriter, op));
      return success();
    }
    SmallVector<int64_t> from, to, sizes;
    for (auto [low, before, after] :
         llvm::zip_equal(op.getStaticLow(), op.getSourceType().getShape(),
                         op.getType().getShape())) {
      from.push_back(std::max<int64_t>(-low, 0));
      to.push_back(std::max<int64_t>(low, 0));
      sizes.push_back(std::min(before - from.back(), after - to.back()));
    }
    Location loc = op.getLoc();
    Value border = filled(rewriter, loc, op.getType(), padding);
    if (llvm::any_of(sizes, [](int64_t size) { return size <= 0; })) {
      rewriter.replaceOp(op, border);
      return success();
    }
    auto attrs = [&](ArrayRef<int64_t> numbers) {
      return getAsIndexOpFoldResult(getContext(), numbers);
    };
    SmallVector<OpFoldResult> ones(sizes.size(), rewriter.getIndexAttr(1));
    Value part = tensor::ExtractSliceOp::create(
        rewriter, loc, op.getSource(), attrs(from), attrs(sizes), ones);
    rewriter.replaceOpWithNewOp<tensor::InsertSliceOp>(
        op, part, border, attrs(to), attrs(sizes), ones);
    return success();
  }
};

} // namespace

void mlir::grad::populateUpstreamToLinalg(RewritePatternSet &patterns) {
  patterns.add<LowerAggregate, LowerUnreached, LowerNegativePad>(
      patterns.getContext());
  // arith and math on tensors.
  linalg::populateElementwiseToLinalgConversionPatterns(patterns);
}
