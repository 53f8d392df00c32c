//===- ConvertGradToLinalgSorting.cpp - Sorting by the runtime ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad.sort` becomes a call of the runtime, on new tensors. What that works
/// in is a tensor, too: it lies in the arena in the end.
///
//===----------------------------------------------------------------------===//

#include "passes/ConvertGradToLinalg.h"
#include "passes/DropSigns.h"
#include "runtime/Sorting.h"

using namespace mlir;
using namespace mlir::grad;
namespace sorting = gradopt::runtime::sorting;

namespace {

/// grad.sort => grad.sort_into, of the results that are used.
struct LowerSort : OpRewritePattern<SortOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(SortOp op,
                                PatternRewriter &rewriter) const override {
    bool hasValues = !op.getValues().use_empty(),
         hasIndices = !op.getIndices().use_empty();
    if (!hasValues && !hasIndices) {
      rewriter.eraseOp(op);
      return success();
    }
    SmallVector<Value> sorted;
    for (Value result : op->getResults())
      if (!result.use_empty())
        sorted.push_back(result);
    SmallVector<Type> types(ValueRange(sorted).getTypes());
    types.push_back(getWork(op, hasIndices));
    auto outs = llvm::map_to_vector(types, [&](Type type) {
      return emptyLike(rewriter, op.getLoc(), type);
    });
    auto call =
        SortIntoOp::create(rewriter, op.getLoc(), types, hasValues, hasIndices,
                           hadUnsignedOperands(op), op.getX(), outs);
    for (auto [result, value] : llvm::zip(sorted, call.getResults()))
      rewriter.replaceAllUsesWith(result, value);
    rewriter.eraseOp(op);
    return success();
  }

private:
  /// The memory to work in, which is the same for all rows.
  static Type getWork(SortOp op, bool hasIndices) {
    RankedTensorType type = typeOf(op.getX());
    Type element = type.getElementType();
    auto complex = dyn_cast<ComplexType>(element);
    unsigned bits = complex ? complex.getElementType().getIntOrFloatBitWidth()
                            : element.getIntOrFloatBitWidth();
    int64_t words = sorting::getWork(type.getShape().back(), bits,
                                     complex != nullptr, hasIndices);
    return RankedTensorType::get({words},
                                 IntegerType::get(op.getContext(), 64));
  }
};

} // namespace

void mlir::grad::populateSortingToLinalg(RewritePatternSet &patterns) {
  patterns.add<LowerSort>(patterns.getContext());
}
