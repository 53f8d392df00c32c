//===- GradIndexingFolds.cpp - Gathers of gathers -------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Rows that are gathered by `i`, then by `j`, are those at `i[j]`. So the
// derivative of a few elements of a sorted array touches no others.
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::grad;

/// Whether rows of `indices`, of which the first `batch` dimensions go together
/// with those of what they index, are one behind the other along one dimension,
/// and have one number each.
static bool areRows(Value indices, int64_t batch) {
  RankedTensorType type = typeOf(indices);
  return type.hasStaticShape() && type.getRank() == batch + 2 &&
         type.getShape().back() == 1;
}

/// Whether rows of `few` chosen among those of `many` are fewer.
static bool areFewer(Value few, Value many) {
  RankedTensorType type = typeOf(few);
  return type.hasStaticShape() && type.getShape().back() == 1 &&
         type.getNumElements() < typeOf(many).getNumElements();
}

namespace {

/// gather(gather(x, i), j) => gather(x, gather(i, j)), for fewer j than i
struct GatherOfGather : OpRewritePattern<GatherOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(GatherOp op,
                                PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<GatherOp>();
    if (!inner || inner.getBatch() != op.getBatch() ||
        !areRows(inner.getIndices(), op.getBatch()) ||
        !areFewer(op.getIndices(), inner.getIndices()))
      return rewriter.notifyMatchFailure(op, "not of a larger gather of rows");
    Value chosen = GatherOp::create(rewriter, op.getLoc(), inner.getIndices(),
                                    op.getIndices(), op.getBatch());
    rewriter.replaceOpWithNewOp<GatherOp>(op, inner.getX(), chosen,
                                          op.getBatch());
    return success();
  }
};

/// scatter_add(0, i, scatter_add(0, j, u)) => scatter_add(0, gather(i, j), u),
/// for fewer j than i
struct ScatterOfScatter : OpRewritePattern<ScatterAddOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ScatterAddOp op,
                                PatternRewriter &rewriter) const override {
    auto inner = op.getUpdates().getDefiningOp<ScatterAddOp>();
    if (!inner || inner.getBatch() != op.getBatch() || !isZero(op.getX()) ||
        !isZero(inner.getX()) || !areRows(op.getIndices(), op.getBatch()) ||
        !areFewer(inner.getIndices(), op.getIndices()))
      return rewriter.notifyMatchFailure(op, "not of a few updates");
    Value chosen = GatherOp::create(rewriter, op.getLoc(), op.getIndices(),
                                    inner.getIndices(), op.getBatch());
    rewriter.replaceOpWithNewOp<ScatterAddOp>(
        op, op.getX(), chosen, inner.getUpdates(), op.getBatch());
    return success();
  }
};

} // namespace

void GatherOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                           MLIRContext *context) {
  patterns.add<GatherOfGather>(context);
}

void ScatterAddOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                               MLIRContext *context) {
  patterns.add<ScatterOfScatter>(context);
}
