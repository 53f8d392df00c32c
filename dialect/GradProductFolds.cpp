//===- GradProductFolds.cpp - Patterns of products of arrays --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What an operand is made of is left to the product: transposes become its
// dimensions, repeated numbers are multiplied once.
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"

using namespace mlir;
using namespace mlir::grad;

namespace {

/// dot_general(transpose(x), v) => dot_general(x, v) with x's dimensions, where
/// the free dimensions keep their order.
struct DotOfTranspose : OpRewritePattern<DotGeneralOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DotGeneralOp op,
                                PatternRewriter &rewriter) const override {
    Value lhs = op.getLhs(), rhs = op.getRhs();
    SmallVector<int64_t> lhsBatch(op.getLhsBatch()), rhsBatch(op.getRhsBatch()),
        lhsContract(op.getLhsContract()), rhsContract(op.getRhsContract());
    bool changed = strip(lhs, lhsBatch, lhsContract);
    changed |= strip(rhs, rhsBatch, rhsContract);
    if (!changed)
      return rewriter.notifyMatchFailure(op, "no transpose to fold");
    rewriter.replaceOpWithNewOp<DotGeneralOp>(op, lhs, rhs, lhsBatch, rhsBatch,
                                              lhsContract, rhsContract);
    return success();
  }

  static bool strip(Value &operand, SmallVectorImpl<int64_t> &batch,
                    SmallVectorImpl<int64_t> &contract) {
    auto transpose = operand.getDefiningOp<TransposeOp>();
    if (!transpose)
      return false;
    ArrayRef<int64_t> permutation = transpose.getPermutation();
    int64_t previous = -1;
    for (int64_t d = 0, rank = permutation.size(); d < rank; ++d) {
      if (llvm::is_contained(batch, d) || llvm::is_contained(contract, d))
        continue;
      if (permutation[d] < previous)
        return false;
      previous = permutation[d];
    }
    for (int64_t &d : batch)
      d = permutation[d];
    for (int64_t &d : contract)
      d = permutation[d];
    operand = transpose.getX();
    return true;
  }
};

/// One operand of a product: its dimensions by their role.
struct Factor {
  Factor(DotGeneralOp op, bool left)
      : value(left ? op.getLhs() : op.getRhs()),
        batch(left ? op.getLhsBatch() : op.getRhsBatch()),
        contract(left ? op.getLhsContract() : op.getRhsContract()) {
    for (int64_t d = 0, rank = typeOf(value).getRank(); d < rank; ++d)
      if (!llvm::is_contained(batch, d) && !llvm::is_contained(contract, d))
        free.push_back(d);
    // Dimensions of the result: batch, free of lhs, free of rhs.
    int64_t rank = typeOf(op.getResult()).getRank();
    begin = left ? batch.size() : rank - free.size();
  }
  Value value;
  ArrayRef<int64_t> batch, contract;
  SmallVector<int64_t> free;
  int64_t begin; ///< Dimension of the result that the first free one becomes.
};

/// dot_general(c, x) with c the same everywhere => c times sums of x, repeated.
/// The terms of the sums are the same.
struct DotOfUniform : OpRewritePattern<DotGeneralOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DotGeneralOp op,
                                PatternRewriter &rewriter) const override {
    for (bool left : {true, false}) {
      Value uniform = Factor(op, left).value;
      std::optional<double> number = getSplat(uniform);
      if (!number)
        continue;
      Factor other(op, !left);
      Value x = other.value;
      if (*number != 1)
        x = MultiplyOp::create(
            rewriter, op.getLoc(), x,
            createSplat(rewriter, op.getLoc(), typeOf(x), *number));
      SmallVector<int64_t> summed(other.contract), order(other.batch);
      llvm::sort(summed);
      x = ReduceSumOp::create(rewriter, op.getLoc(), x, summed);
      llvm::append_range(order, other.free);
      SmallVector<int64_t> remaining(order), dimensions;
      llvm::sort(remaining);
      for (int64_t &d : order)
        d = llvm::find(remaining, d) - remaining.begin();
      x = TransposeOp::create(rewriter, op.getLoc(), x, order);
      llvm::append_range(dimensions, llvm::seq<int64_t>(0, other.batch.size()));
      llvm::append_range(
          dimensions,
          llvm::seq<int64_t>(other.begin, other.begin + other.free.size()));
      rewriter.replaceOpWithNewOp<BroadcastOp>(
          op, x, typeOf(op.getResult()).getShape(), dimensions);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no operand is uniform");
  }
};

/// dot_general(broadcast(x), y) => broadcast(dot_general(x, y)) for free
/// dimensions along which x is repeated.
struct DotOfBroadcast : OpRewritePattern<DotGeneralOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DotGeneralOp op,
                                PatternRewriter &rewriter) const override {
    for (bool left : {true, false}) {
      Factor factor(op, left);
      auto broadcast = factor.value.getDefiningOp<BroadcastOp>();
      if (!broadcast)
        continue;
      auto isRepeated = [&](int64_t d) {
        return llvm::is_contained(factor.free, d) &&
               !llvm::is_contained(broadcast.getDimensions(), d);
      };
      if (llvm::none_of(factor.free, isRepeated))
        continue;

      // Where each dimension is when those are gone.
      SmallVector<int64_t> position, shape, dimensions;
      for (auto [d, size] : llvm::enumerate(broadcast.getShape())) {
        position.push_back(shape.size());
        if (!isRepeated(d))
          shape.push_back(size);
      }
      auto renumber = [&](ArrayRef<int64_t> dims) {
        return llvm::map_to_vector(dims,
                                   [&](int64_t d) { return position[d]; });
      };
      Value x = BroadcastOp::create(rewriter, op.getLoc(), broadcast.getX(),
                                    shape, renumber(broadcast.getDimensions()));
      SmallVector<int64_t> batch = renumber(factor.batch);
      SmallVector<int64_t> contract = renumber(factor.contract);
      Value product =
          left ? DotGeneralOp::create(rewriter, op.getLoc(), x, op.getRhs(),
                                      batch, op.getRhsBatch(), contract,
                                      op.getRhsContract())
               : DotGeneralOp::create(rewriter, op.getLoc(), op.getLhs(), x,
                                      op.getLhsBatch(), batch,
                                      op.getLhsContract(), contract);
      RankedTensorType type = typeOf(op.getResult());
      for (int64_t d = 0; d < type.getRank(); ++d) {
        int64_t number = d - factor.begin;
        bool isFree =
            0 <= number && number < static_cast<int64_t>(factor.free.size());
        if (!isFree || !isRepeated(factor.free[number]))
          dimensions.push_back(d);
      }
      rewriter.replaceOpWithNewOp<BroadcastOp>(op, product, type.getShape(),
                                               dimensions);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no free dimension is repeated");
  }
};

/// transpose(dot_general(a, c)) => dot_general(c, a), where the transpose swaps
/// the free dimensions of a with those of c.
struct TransposeOfDot : OpRewritePattern<TransposeOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(TransposeOp op,
                                PatternRewriter &rewriter) const override {
    auto dot = op.getX().getDefiningOp<DotGeneralOp>();
    if (!dot || !dot->hasOneUse())
      return rewriter.notifyMatchFailure(op,
                                         "operand is not a product of one use");
    int64_t rank = op.getPermutation().size(), batch = dot.getLhsBatch().size();
    int64_t lhsEnd =
        typeOf(dot.getLhs()).getRank() - dot.getLhsContract().size();
    auto swap = llvm::to_vector(llvm::seq<int64_t>(0, batch));
    llvm::append_range(swap, llvm::seq<int64_t>(lhsEnd, rank));
    llvm::append_range(swap, llvm::seq<int64_t>(batch, lhsEnd));
    if (op.getPermutation() != ArrayRef<int64_t>(swap))
      return rewriter.notifyMatchFailure(op, "does not swap the factors");
    rewriter.replaceOpWithNewOp<DotGeneralOp>(
        op, dot.getRhs(), dot.getLhs(), dot.getRhsBatch(), dot.getLhsBatch(),
        dot.getRhsContract(), dot.getLhsContract());
    return success();
  }
};

} // namespace

void TransposeOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                              MLIRContext *context) {
  patterns.add<TransposeOfDot>(context);
}
void DotGeneralOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                               MLIRContext *context) {
  patterns.add<DotOfTranspose, DotOfUniform, DotOfBroadcast>(context);
}
