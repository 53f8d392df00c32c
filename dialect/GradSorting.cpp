//===- GradSorting.cpp - Order of elements --------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The type, the derivative and the folds of `grad.sort`.
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::grad;

LogicalResult SortOp::inferReturnTypes(MLIRContext *context,
                                       std::optional<Location> loc,
                                       Adaptor adaptor,
                                       SmallVectorImpl<Type> &types) {
  RankedTensorType type = typeOf(adaptor.getX());
  if (type.getRank() == 0)
    return emitOptionalError(
        loc, "'grad.sort' op expected at least one dimension, but got ", type);
  types.append({type, type.clone(IntegerType::get(context, 64))});
  return success();
}

/// What moves the values moves their tangents.
LogicalResult SortOp::linearize(LinearizeContext &context) {
  SmallVector<int64_t> shape(typeOf(getIndices()).getShape());
  auto batch = static_cast<int64_t>(shape.size()) - 1;
  shape.push_back(1);
  Value positions =
      ReshapeOp::create(context.primal, getLoc(), getIndices(), shape);
  context.setTangent(getValues(), GatherOp::create(context.linear, getLoc(),
                                                   context.getTangent(getX()),
                                                   positions, batch));
  return success();
}

/// At most one element => the element, at position 0.
LogicalResult SortOp::fold(FoldAdaptor,
                           SmallVectorImpl<OpFoldResult> &results) {
  RankedTensorType type = typeOf(getIndices());
  if (type.getShape().back() > 1)
    return failure();
  Attribute zero = IntegerAttr::get(type.getElementType(), 0);
  results.append({getX(), DenseElementsAttr::get(type, zero)});
  return success();
}

namespace {

/// sort(values of sort(x)) => the same values, at positions 0, 1, 2, ...
struct SortOfSorted : OpRewritePattern<SortOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SortOp op,
                                PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<SortOp>();
    RankedTensorType type = typeOf(op.getIndices());
    if (!inner || inner.getValues() != op.getX())
      return rewriter.notifyMatchFailure(op, "operand is not sorted");
    Value positions = IotaOp::create(rewriter, op.getLoc(), type.getRank() - 1,
                                     type.getShape(), type.getElementType());
    rewriter.replaceOp(op, {op.getX(), positions});
    return success();
  }
};

} // namespace

void SortOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                         MLIRContext *context) {
  patterns.add<SortOfSorted>(context);
}
