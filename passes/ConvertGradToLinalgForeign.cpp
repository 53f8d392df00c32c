//===- ConvertGradToLinalgForeign.cpp - Calls of foreign code -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/ConvertGradToLinalg.h"
#include "passes/DropSigns.h"

using namespace mlir;
using namespace mlir::grad;

namespace {

/// grad.custom_call => grad.custom_call_into, on new tensors.
struct LowerCustomCall : OpRewritePattern<CustomCallOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(CustomCallOp op,
                                PatternRewriter &rewriter) const override {
    auto outs = llvm::map_to_vector(op.getResultTypes(), [&](Type type) {
      return emptyLike(rewriter, op.getLoc(), type);
    });
    rewriter.replaceOpWithNewOp<CustomCallIntoOp>(
        op, op.getResultTypes(), op.getName(), op.getTarget(), op.getInputs(),
        outs, getUnsignedArrays(op));
    return success();
  }
};

} // namespace

void mlir::grad::populateForeignCallsToLinalg(RewritePatternSet &patterns) {
  patterns.add<LowerCustomCall>(patterns.getContext());
}
