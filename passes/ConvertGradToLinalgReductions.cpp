//===- ConvertGradToLinalgReductions.cpp - Reductions ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Reductions become linalg.generic over a neutral element, iterating in the
/// memory order of the operand. Sums and products of floats may be regrouped
/// (`fastmath<reassoc>`), else no reduction would vectorize. A cumulative sum
/// is a loop.
///
//===----------------------------------------------------------------------===//

#include "passes/ConvertGradToLinalg.h"
#include "passes/DropSigns.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::grad;

//===----------------------------------------------------------------------===//
// Neutral elements and combiners
//===----------------------------------------------------------------------===//

/// The least value of `type`, or the greatest.
static Value extreme(OpBuilder &builder, Location loc, Type type, bool least,
                     bool isUnsigned) {
  if (isa<FloatType>(type))
    return numberOf(builder, loc, type,
                    least ? -std::numeric_limits<double>::infinity()
                          : std::numeric_limits<double>::infinity());
  unsigned width = type.getIntOrFloatBitWidth();
  APInt value = isUnsigned ? (least ? APInt::getMinValue(width)
                                    : APInt::getMaxValue(width))
                           : (least ? APInt::getSignedMinValue(width)
                                    : APInt::getSignedMaxValue(width));
  return arith::ConstantOp::create(builder, loc, IntegerAttr::get(type, value));
}

static Value addInAnyOrder(OpBuilder &builder, Location loc, Value lhs,
                           Value rhs, bool) {
  return addNumbers(builder, loc, lhs, rhs, arith::FastMathFlags::reassoc);
}
static Value multiplyInAnyOrder(OpBuilder &builder, Location loc, Value lhs,
                                Value rhs, bool) {
  return multiplyNumbers(builder, loc, lhs, rhs, arith::FastMathFlags::reassoc);
}

template <typename FloatOp, typename SignedOp, typename UnsignedOp>
static Value either(OpBuilder &builder, Location loc, Value lhs, Value rhs,
                    bool isUnsigned) {
  if (isa<FloatType>(lhs.getType()))
    return FloatOp::create(builder, loc, lhs, rhs);
  if (isUnsigned)
    return UnsignedOp::create(builder, loc, lhs, rhs);
  return SignedOp::create(builder, loc, lhs, rhs);
}

namespace {

template <typename ReduceOp> struct Reduction;

template <> struct Reduction<ReduceSumOp> {
  static Value neutral(OpBuilder &builder, Location loc, Type type, bool) {
    return numberOf(builder, loc, type, 0);
  }
  static constexpr auto combine = addInAnyOrder;
};
template <> struct Reduction<ReduceProdOp> {
  static Value neutral(OpBuilder &builder, Location loc, Type type, bool) {
    return numberOf(builder, loc, type, 1);
  }
  static constexpr auto combine = multiplyInAnyOrder;
};
template <> struct Reduction<ReduceMaxOp> {
  static Value neutral(OpBuilder &builder, Location loc, Type type,
                       bool isUnsigned) {
    return extreme(builder, loc, type, /*least=*/true, isUnsigned);
  }
  static constexpr auto combine =
      either<arith::MaximumFOp, arith::MaxSIOp, arith::MaxUIOp>;
};
template <> struct Reduction<ReduceMinOp> {
  static Value neutral(OpBuilder &builder, Location loc, Type type,
                       bool isUnsigned) {
    return extreme(builder, loc, type, /*least=*/false, isUnsigned);
  }
  static constexpr auto combine =
      either<arith::MinimumFOp, arith::MinSIOp, arith::MinUIOp>;
};
template <> struct Reduction<ReduceAnyOp> {
  static Value neutral(OpBuilder &builder, Location loc, Type type, bool) {
    return numberOf(builder, loc, type, 0);
  }
  static Value combine(OpBuilder &builder, Location loc, Value lhs, Value rhs,
                       bool) {
    return arith::OrIOp::create(builder, loc, lhs, rhs);
  }
};
template <> struct Reduction<ReduceAllOp> {
  static Value neutral(OpBuilder &builder, Location loc, Type type, bool) {
    return numberOf(builder, loc, type, 1);
  }
  static Value combine(OpBuilder &builder, Location loc, Value lhs, Value rhs,
                       bool) {
    return arith::AndIOp::create(builder, loc, lhs, rhs);
  }
};

/// grad.reduce_* => linalg.generic over a fill.
template <typename ReduceOp> struct LowerReduce : OpRewritePattern<ReduceOp> {
  using OpRewritePattern<ReduceOp>::OpRewritePattern;

  LogicalResult matchAndRewrite(ReduceOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getDimensions().empty()) {
      rewriter.replaceOp(op, op.getX());
      return success();
    }
    auto type = cast<RankedTensorType>(op.getType());
    MemoryOrder x(rewriter, op.getX());
    SmallVector<int64_t> kept = x.of(complement(x.rank(), op.getDimensions()));
    bool isUnsigned = hadUnsignedOperands(op);
    Value init =
        filled(rewriter, op.getLoc(), type,
               Reduction<ReduceOp>::neutral(rewriter, op.getLoc(),
                                            type.getElementType(), isUnsigned));
    auto generic = linalg::GenericOp::create(
        rewriter, op.getLoc(), TypeRange(type), ValueRange(x.source),
        ValueRange(init),
        ArrayRef<AffineMap>{rewriter.getMultiDimIdentityMap(x.rank()),
                            projection(op.getContext(), x.rank(), kept)},
        iterators(x.rank(), x.of(op.getDimensions())),
        [&](OpBuilder &builder, Location loc, ValueRange elements) {
          linalg::YieldOp::create(
              builder, loc,
              Reduction<ReduceOp>::combine(builder, loc, elements[1],
                                           elements[0], isUnsigned));
        });
    rewriter.replaceOp(op, generic);
    return success();
  }
};

/// grad.reduce_sum of complex numbers => sums of their parts, which vectorize,
/// and numbers of them.
struct LowerComplexSum : OpRewritePattern<ReduceSumOp> {
  explicit LowerComplexSum(MLIRContext *context)
      : OpRewritePattern(context, /*benefit=*/2) {}

  LogicalResult matchAndRewrite(ReduceSumOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getType());
    auto complex = dyn_cast<ComplexType>(type.getElementType());
    if (!complex || op.getDimensions().empty())
      return rewriter.notifyMatchFailure(op, "not a sum of complex numbers");
    RankedTensorType part = type.clone(complex.getElementType());
    MemoryOrder x(rewriter, op.getX());
    SmallVector<int64_t> kept = x.of(complement(x.rank(), op.getDimensions()));
    AffineMap result = projection(op.getContext(), x.rank(), kept);
    Value zeros[] = {filled(rewriter, loc, part, 0),
                     filled(rewriter, loc, part, 0)};
    auto sums = linalg::GenericOp::create(
        rewriter, loc, TypeRange{part, part}, ValueRange(x.source),
        ValueRange(zeros),
        ArrayRef<AffineMap>{rewriter.getMultiDimIdentityMap(x.rank()), result,
                            result},
        iterators(x.rank(), x.of(op.getDimensions())),
        [](OpBuilder &builder, Location loc, ValueRange elements) {
          Value re = complex::ReOp::create(builder, loc, elements[0]);
          Value im = complex::ImOp::create(builder, loc, elements[0]);
          linalg::YieldOp::create(
              builder, loc,
              ValueRange{addInAnyOrder(builder, loc, elements[1], re, false),
                         addInAnyOrder(builder, loc, elements[2], im, false)});
        });
    AffineMap identity = rewriter.getMultiDimIdentityMap(type.getRank());
    auto numbers = linalg::GenericOp::create(
        rewriter, loc, TypeRange(type), sums.getResults(),
        ValueRange(emptyLike(rewriter, loc, type)),
        ArrayRef<AffineMap>{identity, identity, identity},
        iterators(type.getRank()),
        [&](OpBuilder &builder, Location loc, ValueRange elements) {
          Value number = complex::CreateOp::create(builder, loc, complex,
                                                   elements[0], elements[1]);
          linalg::YieldOp::create(builder, loc, number);
        });
    rewriter.replaceOp(op, numbers);
    return success();
  }
};

/// grad.argmax, grad.argmin => the extreme, then the least position that holds
/// it, or a NaN: two reductions that vectorize, where one that carries both
/// does not.
template <typename ArgOp, typename ExtremeOp>
struct LowerArgReduce : OpRewritePattern<ArgOp> {
  using OpRewritePattern<ArgOp>::OpRewritePattern;

  LogicalResult matchAndRewrite(ArgOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getType());
    MemoryOrder x(rewriter, op.getX());
    auto reduced = static_cast<int64_t>(op.getDimension());
    int64_t position = x.position[reduced];
    AffineMap all = rewriter.getMultiDimIdentityMap(x.rank());
    AffineMap keep = projection(op.getContext(), x.rank(),
                                x.of(complement(x.rank(), reduced)));

    Type element = cast<ShapedType>(op.getX().getType()).getElementType();
    Type bestType = RankedTensorType::get(type.getShape(), element);
    bool isUnsigned = hadUnsignedOperands(op);
    auto best = linalg::GenericOp::create(
        rewriter, loc, TypeRange(bestType), ValueRange(x.source),
        ValueRange(filled(
            rewriter, loc, bestType,
            Reduction<ExtremeOp>::neutral(rewriter, loc, element, isUnsigned))),
        ArrayRef<AffineMap>{all, keep}, iterators(x.rank(), position),
        [&](OpBuilder &builder, Location loc, ValueRange elements) {
          linalg::YieldOp::create(
              builder, loc,
              Reduction<ExtremeOp>::combine(builder, loc, elements[1],
                                            elements[0], isUnsigned));
        });
    Value none = arith::ConstantOp::create(
        rewriter, loc,
        rewriter.getI64IntegerAttr(std::numeric_limits<int64_t>::max()));
    auto where = linalg::GenericOp::create(
        rewriter, loc, TypeRange(type), ValueRange{x.source, best.getResult(0)},
        ValueRange(filled(rewriter, loc, type, none)),
        ArrayRef<AffineMap>{all, keep, keep}, iterators(x.rank(), position),
        [&](OpBuilder &builder, Location loc, ValueRange elements) {
          Value index = arith::IndexCastOp::create(
              builder, loc, builder.getI64Type(),
              linalg::IndexOp::create(builder, loc, position));
          Value holds = isExtreme(builder, loc, elements[0], elements[1]);
          Value candidate =
              arith::SelectOp::create(builder, loc, holds, index, none);
          linalg::YieldOp::create(
              builder, loc,
              arith::MinSIOp::create(builder, loc, elements[2], candidate)
                  .getResult());
        });
    rewriter.replaceOp(op, where);
    return success();
  }

private:
  /// The extreme is NaN if any element is.
  static Value isExtreme(OpBuilder &builder, Location loc, Value x,
                         Value best) {
    if (!isa<FloatType>(x.getType()))
      return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, x,
                                   best);
    Value isEqual =
        arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ, x, best);
    Value isNaN =
        arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::UNO, x, x);
    return arith::OrIOp::create(builder, loc, isEqual, isNaN);
  }
};

/// grad.cumsum => loops in which each element adds to its predecessor.
struct LowerCumsum : OpRewritePattern<CumsumOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(CumsumOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getType());
    auto dim = static_cast<int64_t>(op.getDimension());
    int64_t size = type.getDimSize(dim);
    bool reverse = op.getReverse();

    // The first position along `dim` is a copy; the loops do the others.
    SmallVector<OpFoldResult> offsets(type.getRank(), rewriter.getIndexAttr(0));
    SmallVector<OpFoldResult> strides(type.getRank(), rewriter.getIndexAttr(1));
    SmallVector<OpFoldResult> sizes =
        getAsIndexOpFoldResult(getContext(), type.getShape());
    offsets[dim] = rewriter.getIndexAttr(reverse ? size - 1 : 0);
    sizes[dim] = rewriter.getIndexAttr(1);
    Value first = tensor::ExtractSliceOp::create(rewriter, loc, op.getX(),
                                                 offsets, sizes, strides);
    Value sums = tensor::InsertSliceOp::create(rewriter, loc, first,
                                               emptyLike(rewriter, loc, type),
                                               offsets, sizes, strides);
    if (size > 1)
      sums = buildLoops(rewriter, loc, type, dim, reverse, op.getX(), sums);
    rewriter.replaceOp(op, sums);
    return success();
  }

private:
  static Value buildLoops(OpBuilder &builder, Location loc,
                          RankedTensorType type, int64_t dim, bool reverse,
                          Value x, Value sums) {
    auto index = [&](int64_t value) -> Value {
      return arith::ConstantIndexOp::create(builder, loc, value);
    };
    Value one = index(1);
    Value last = index(type.getDimSize(dim) - 1);
    SmallVector<Value> lower(type.getRank(), index(0)), upper,
        step(type.getRank(), one);
    for (int64_t size : type.getShape())
      upper.push_back(index(size));
    lower[dim] = one;
    scf::LoopNest nest = scf::buildLoopNest(
        builder, loc, lower, upper, step, sums,
        [&](OpBuilder &builder, Location loc, ValueRange position,
            ValueRange state) -> scf::ValueVector {
          SmallVector<Value> here(position), before(position);
          before[dim] = arith::SubIOp::create(builder, loc, here[dim], one);
          if (reverse) {
            here[dim] = arith::SubIOp::create(builder, loc, last, here[dim]);
            before[dim] =
                arith::SubIOp::create(builder, loc, last, before[dim]);
          }
          Value sum = addNumbers(
              builder, loc,
              tensor::ExtractOp::create(builder, loc, state[0], before),
              tensor::ExtractOp::create(builder, loc, x, here),
              arith::FastMathFlags::reassoc);
          return {tensor::InsertOp::create(builder, loc, sum, state[0], here)};
        });
    return nest.results[0];
  }
};

} // namespace

void mlir::grad::populateReductionsToLinalg(RewritePatternSet &patterns) {
  patterns.add<LowerComplexSum, LowerReduce<ReduceSumOp>,
               LowerReduce<ReduceProdOp>, LowerReduce<ReduceMaxOp>,
               LowerReduce<ReduceMinOp>, LowerReduce<ReduceAnyOp>,
               LowerReduce<ReduceAllOp>, LowerArgReduce<ArgmaxOp, ReduceMaxOp>,
               LowerArgReduce<ArgminOp, ReduceMinOp>, LowerCumsum>(
      patterns.getContext());
}
