//===- GradIdentity.cpp - Products with the standard basis ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A Jacobian is a product with all vectors of the standard basis at once, and
// its first products of tensors are with the basis itself: they choose elements
// of the other factor, and sum up nothing.
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

using Dimensions = SmallVector<int64_t>;

static Dimensions range(int64_t begin, int64_t end) {
  return llvm::to_vector(llvm::seq<int64_t>(begin, end));
}

static Dimensions joined(ArrayRef<int64_t> front, ArrayRef<int64_t> back) {
  Dimensions all(front);
  llvm::append_range(all, back);
  return all;
}

/// The shape of the vectors, if `value` is their standard basis: its first
/// dimension numbers the vectors in row-major order.
static std::optional<Dimensions> basisShape(Value value) {
  auto reshape = value.getDefiningOp<ReshapeOp>();
  auto identity = reshape ? reshape.getX().getDefiningOp<IdentityOp>()
                          : value.getDefiningOp<IdentityOp>();
  if (!identity)
    return std::nullopt;
  ArrayRef<int64_t> shape = identity.getShape();
  auto whole = joined({ShapedType::getNumElements(shape)}, shape);
  if (shape.empty() || ArrayRef<int64_t>(whole) != typeOf(value).getShape())
    return std::nullopt;
  return Dimensions(shape);
}

namespace {

/// dot_general(basis, x) => the elements of x that the basis chooses: x itself
/// in another order, and where the vectors are contracted in some dimensions
/// only, zeros where they differ from the result in the others.
struct DotOfBasis : OpRewritePattern<DotGeneralOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DotGeneralOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.getLhsBatch().empty() || op.getLhsContract().empty())
      return rewriter.notifyMatchFailure(op, "has batch dimensions");
    for (bool left : {true, false}) {
      Value basis = left ? op.getLhs() : op.getRhs();
      Dimensions places(left ? op.getLhsContract() : op.getRhsContract());
      std::optional<Dimensions> shape = basisShape(basis);
      if (!shape)
        continue;
      // A matrix is symmetric.
      if (shape->size() == 1 && places.size() == 1)
        places.front() = 1;
      if (llvm::is_contained(places, 0))
        continue;
      Value chosen = choose(rewriter, op.getLoc(), *shape, places,
                            left ? op.getRhs() : op.getLhs(),
                            left ? op.getRhsContract() : op.getLhsContract());
      if (!left) {
        // The dimensions of the basis are behind those of the other.
        int64_t rank = typeOf(chosen).getRank();
        int64_t own = 1 + shape->size() - places.size();
        chosen = TransposeOp::create(rewriter, op.getLoc(), chosen,
                                     joined(range(own, rank), range(0, own)));
      }
      rewriter.replaceOp(op, chosen);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no operand is a basis");
  }

private:
  /// The product of a basis of vectors of `shape` with `x`, contracted in
  /// `places` of the one and `contract` of the other.
  static Value choose(OpBuilder &builder, Location loc, ArrayRef<int64_t> shape,
                      ArrayRef<int64_t> places, Value x,
                      ArrayRef<int64_t> contract) {
    auto rank = static_cast<int64_t>(shape.size());
    Dimensions order, contracted, kept, keptShape, freeShape;
    for (int64_t d = 0; d < rank; ++d) {
      const auto *found = llvm::find(places, d + 1);
      if (found != places.end()) {
        order.push_back(contract[found - places.begin()]);
        contracted.push_back(d);
      } else {
        kept.push_back(d);
        keptShape.push_back(shape[d]);
      }
    }
    for (int64_t d = 0; d < typeOf(x).getRank(); ++d)
      if (!llvm::is_contained(contract, d)) {
        order.push_back(d);
        freeShape.push_back(typeOf(x).getDimSize(d));
      }
    x = TransposeOp::create(builder, loc, x, order);
    if (!kept.empty()) {
      // Dimensions of the vectors, those that are kept, and those of x.
      Dimensions whole = joined(joined(shape, keptShape), freeShape);
      int64_t behind = rank + kept.size();
      auto end = static_cast<int64_t>(whole.size());
      x = BroadcastOp::create(builder, loc, x, whole,
                              joined(contracted, range(behind, end)));
      Value same =
          IdentityOp::create(builder, loc, keptShape, builder.getI1Type());
      same = BroadcastOp::create(builder, loc, same, whole,
                                 joined(kept, range(rank, behind)));
      x = SelectOp::create(builder, loc, same, x,
                           createSplat(builder, loc, typeOf(x), 0));
    }
    Dimensions result = joined({ShapedType::getNumElements(shape)},
                               joined(keptShape, freeShape));
    return ReshapeOp::create(builder, loc, x, result);
  }
};

/// dot_general(basis * d, x) => dot_general(basis, x) * d, where d is repeated
/// for all vectors of the basis: what it scales is element `i` of vector `i`.
struct DotOfScaledBasis : OpRewritePattern<DotGeneralOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(DotGeneralOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.getLhsBatch().empty())
      return rewriter.notifyMatchFailure(op, "has batch dimensions");
    for (bool left : {true, false}) {
      auto product =
          (left ? op.getLhs() : op.getRhs()).getDefiningOp<MultiplyOp>();
      ArrayRef<int64_t> contract =
          left ? op.getLhsContract() : op.getRhsContract();
      if (!product || llvm::is_contained(contract, 0))
        continue;
      for (auto [basis, factor] :
           {std::pair(product.getLhs(), product.getRhs()),
            std::pair(product.getRhs(), product.getLhs())}) {
        auto repeated = factor.getDefiningOp<BroadcastOp>();
        std::optional<Dimensions> shape = basisShape(basis);
        if (!shape || !repeated ||
            repeated.getDimensions() !=
                ArrayRef<int64_t>(range(1, shape->size() + 1)))
          continue;
        Location loc = op.getLoc();
        Value dot = DotGeneralOp::create(
            rewriter, loc, left ? basis : op.getLhs(),
            left ? op.getRhs() : basis, op.getLhsBatch(), op.getRhsBatch(),
            op.getLhsContract(), op.getRhsContract());
        // The first dimension of the basis is the first free one.
        int64_t place =
            left ? 0 : typeOf(op.getLhs()).getRank() - contract.size();
        Value scale = ReshapeOp::create(
            rewriter, loc, repeated.getX(),
            ArrayRef<int64_t>{ShapedType::getNumElements(*shape)});
        scale =
            BroadcastOp::create(rewriter, loc, scale, typeOf(dot).getShape(),
                                ArrayRef<int64_t>{place});
        rewriter.replaceOpWithNewOp<MultiplyOp>(op, dot, scale);
        return success();
      }
    }
    return rewriter.notifyMatchFailure(op, "no operand is a scaled basis");
  }
};

/// reduce_sum(basis) => ones, over all dimensions of the vectors.
struct SumOfBasis : OpRewritePattern<ReduceSumOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceSumOp op,
                                PatternRewriter &rewriter) const override {
    std::optional<Dimensions> shape = basisShape(op.getX());
    if (!shape ||
        op.getDimensions() != ArrayRef<int64_t>(range(1, shape->size() + 1)))
      return rewriter.notifyMatchFailure(op,
                                         "no sum of the vectors of a basis");
    rewriter.replaceOp(
        op, createSplat(rewriter, op.getLoc(), typeOf(op.getResult()), 1));
    return success();
  }
};

} // namespace

void IdentityOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                             MLIRContext *context) {
  patterns.add<DotOfBasis, DotOfScaledBasis, SumOfBasis>(context);
}
