//===- ConvertGradToLinalgReductions.cpp - Reductions and products --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Reductions become linalg.generic over a neutral element, iterating in the
/// memory order of the operand. Sums and products of floats may be regrouped
/// (`fastmath<reassoc>`), else no reduction would vectorize. Products of
/// tensors become contractions in the operands' own layouts.
///
//===----------------------------------------------------------------------===//

#include "passes/ContractionLayout.h"
#include "passes/ConvertGradToLinalg.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace mlir::grad;

//===----------------------------------------------------------------------===//
// Neutral elements and combiners
//===----------------------------------------------------------------------===//

static TypedAttr number(Type type, double value) {
  if (auto floatType = dyn_cast<FloatType>(type))
    return FloatAttr::get(floatType, value);
  return IntegerAttr::get(type, static_cast<int64_t>(value));
}

/// The least value of `type`, or the greatest.
static TypedAttr extreme(Type type, bool least) {
  if (auto floatType = dyn_cast<FloatType>(type))
    return FloatAttr::get(
        floatType,
        APFloat::getInf(floatType.getFloatSemantics(), /*Negative=*/least));
  unsigned width = type.getIntOrFloatBitWidth();
  return IntegerAttr::get(type, least ? APInt::getSignedMinValue(width)
                                      : APInt::getSignedMaxValue(width));
}

template <typename FloatOp, typename IntOp>
static Value reassociable(OpBuilder &builder, Location loc, Value lhs,
                          Value rhs) {
  if (isa<FloatType>(lhs.getType()))
    return FloatOp::create(builder, loc, lhs, rhs,
                           arith::FastMathFlags::reassoc);
  return IntOp::create(builder, loc, lhs, rhs);
}

template <typename FloatOp, typename IntOp>
static Value either(OpBuilder &builder, Location loc, Value lhs, Value rhs) {
  if (isa<FloatType>(lhs.getType()))
    return FloatOp::create(builder, loc, lhs, rhs);
  return IntOp::create(builder, loc, lhs, rhs);
}

namespace {

template <typename ReduceOp> struct Reduction;

template <> struct Reduction<ReduceSumOp> {
  static TypedAttr neutral(Type type) { return number(type, 0); }
  static constexpr auto combine = reassociable<arith::AddFOp, arith::AddIOp>;
};
template <> struct Reduction<ReduceProdOp> {
  static TypedAttr neutral(Type type) { return number(type, 1); }
  static constexpr auto combine = reassociable<arith::MulFOp, arith::MulIOp>;
};
template <> struct Reduction<ReduceMaxOp> {
  static TypedAttr neutral(Type type) { return extreme(type, true); }
  static constexpr auto combine = either<arith::MaximumFOp, arith::MaxSIOp>;
};
template <> struct Reduction<ReduceMinOp> {
  static TypedAttr neutral(Type type) { return extreme(type, false); }
  static constexpr auto combine = either<arith::MinimumFOp, arith::MinSIOp>;
};
template <> struct Reduction<ReduceAnyOp> {
  static TypedAttr neutral(Type type) { return IntegerAttr::get(type, 0); }
  static Value combine(OpBuilder &builder, Location loc, Value lhs, Value rhs) {
    return arith::OrIOp::create(builder, loc, lhs, rhs);
  }
};
template <> struct Reduction<ReduceAllOp> {
  static TypedAttr neutral(Type type) { return IntegerAttr::get(type, 1); }
  static Value combine(OpBuilder &builder, Location loc, Value lhs, Value rhs) {
    return arith::AndIOp::create(builder, loc, lhs, rhs);
  }
};

/// An operand of a reduction in its memory order: dimension `d` of the operand
/// is dimension `position[d]` of `source`.
struct MemoryOrder {
  MemoryOrder(OpBuilder &builder, Value x) {
    View view = lookThrough(builder, x, /*permutationsOnly=*/true);
    source = view.source;
    position.resize(view.map.getNumDims());
    for (unsigned i = 0, e = view.map.getNumResults(); i < e; ++i)
      position[view.map.getDimPosition(i)] = i;
  }
  SmallVector<int64_t> of(ArrayRef<int64_t> dims) const {
    return llvm::map_to_vector(dims, [&](int64_t d) { return position[d]; });
  }
  int64_t rank() const { return position.size(); }

  Value source;
  SmallVector<int64_t> position;
};

/// grad.reduce_* => linalg.generic over a fill.
template <typename ReduceOp>
struct LowerReduce : OpRewritePattern<ReduceOp> {
  using OpRewritePattern<ReduceOp>::OpRewritePattern;

  LogicalResult matchAndRewrite(ReduceOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getDimensions().empty()) {
      rewriter.replaceOp(op, op.getX());
      return success();
    }
    auto type = cast<RankedTensorType>(op.getType());
    MemoryOrder x(rewriter, op.getX());
    SmallVector<int64_t> kept =
        x.of(complement(x.rank(), op.getDimensions()));
    Value init =
        filled(rewriter, op.getLoc(), type,
               Reduction<ReduceOp>::neutral(type.getElementType()));
    auto generic = linalg::GenericOp::create(
        rewriter, op.getLoc(), TypeRange(type), ValueRange(x.source),
        ValueRange(init),
        ArrayRef<AffineMap>{rewriter.getMultiDimIdentityMap(x.rank()),
                            projection(op.getContext(), x.rank(), kept)},
        iterators(x.rank(), x.of(op.getDimensions())),
        [](OpBuilder &builder, Location loc, ValueRange elements) {
          linalg::YieldOp::create(builder, loc,
                                  Reduction<ReduceOp>::combine(
                                      builder, loc, elements[1], elements[0]));
        });
    rewriter.replaceOp(op, generic);
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
    auto best = linalg::GenericOp::create(
        rewriter, loc, TypeRange(bestType), ValueRange(x.source),
        ValueRange(filled(rewriter, loc, bestType,
                          Reduction<ExtremeOp>::neutral(element))),
        ArrayRef<AffineMap>{all, keep}, iterators(x.rank(), position),
        [](OpBuilder &builder, Location loc, ValueRange elements) {
          linalg::YieldOp::create(builder, loc,
                                  Reduction<ExtremeOp>::combine(
                                      builder, loc, elements[1], elements[0]));
        });
    Value none = filled(
        rewriter, loc, type,
        rewriter.getI64IntegerAttr(std::numeric_limits<int64_t>::max()));
    auto where = linalg::GenericOp::create(
        rewriter, loc, TypeRange(type),
        ValueRange{x.source, best.getResult(0)}, ValueRange(none),
        ArrayRef<AffineMap>{all, keep, keep}, iterators(x.rank(), position),
        [&](OpBuilder &builder, Location loc, ValueRange elements) {
          Value index = arith::IndexCastOp::create(
              builder, loc, builder.getI64Type(),
              linalg::IndexOp::create(builder, loc, position));
          Value holds = isExtreme(builder, loc, elements[0], elements[1]);
          Value candidate =
              arith::SelectOp::create(builder, loc, holds, index, elements[2]);
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
    Value isEqual = arith::CmpFOp::create(builder, loc,
                                          arith::CmpFPredicate::OEQ, x, best);
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
          Value sum = either<arith::AddFOp, arith::AddIOp>(
              builder, loc,
              tensor::ExtractOp::create(builder, loc, state[0], before),
              tensor::ExtractOp::create(builder, loc, x, here));
          return {tensor::InsertOp::create(builder, loc, sum, state[0], here)};
        });
    return nest.results[0];
  }
};

//===----------------------------------------------------------------------===//
// dot_general
//===----------------------------------------------------------------------===//

/// grad.dot_general => linalg.generic, a contraction in the layouts of the
/// operands; with transposed copies where no BLAS call could read these.
struct LowerDotGeneral : OpRewritePattern<DotGeneralOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(DotGeneralOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getType());
    Value init = filled(rewriter, loc, type, number(type.getElementType(), 0));
    if (hasNoElements(op.getLhs())) {
      rewriter.replaceOp(op, init);
      return success();
    }

    Contraction form = contractionOf(op);
    View lhs = lookThrough(rewriter, op.getLhs(), /*permutationsOnly=*/true);
    View rhs = lookThrough(rewriter, op.getRhs(), /*permutationsOnly=*/true);
    chooseLayout(rewriter, form, lhs, op.getLhs(), form.lhs);
    chooseLayout(rewriter, form, rhs, op.getRhs(), form.rhs);
    SmallVector<int64_t> order = loopOrder(form, lhs, rhs);
    SmallVector<int64_t> positionOf(order.size());
    for (auto [position, loop] : llvm::enumerate(order))
      positionOf[loop] = position;
    AffineMap reorder =
        projection(op.getContext(), order.size(), positionOf);

    SmallVector<utils::IteratorType> kinds = iterators(order.size());
    for (int64_t loop : form.k)
      kinds[positionOf[loop]] = utils::IteratorType::reduction;
    auto generic = linalg::GenericOp::create(
        rewriter, loc, TypeRange(type), ValueRange{lhs.source, rhs.source},
        ValueRange(init),
        ArrayRef<AffineMap>{lhs.map.compose(form.lhs).compose(reorder),
                            rhs.map.compose(form.rhs).compose(reorder),
                            form.result.compose(reorder)},
        kinds, multiplyAdd);
    rewriter.replaceOp(op, generic);
    return success();
  }

private:
  /// The loops of `op` in the order batch, m, n, k.
  static Contraction contractionOf(DotGeneralOp op) {
    auto lhs = cast<RankedTensorType>(op.getLhs().getType());
    auto rhs = cast<RankedTensorType>(op.getRhs().getType());
    SmallVector<int64_t> lhsLoops(lhs.getRank()), rhsLoops(rhs.getRank());
    Contraction form;
    auto loop = [&](SmallVectorImpl<int64_t> &group, int64_t size) {
      group.push_back(form.sizes.size());
      form.sizes.push_back(size);
      return group.back();
    };
    for (auto [l, r] : llvm::zip_equal(op.getLhsBatch(), op.getRhsBatch()))
      lhsLoops[l] = rhsLoops[r] = loop(form.batch, lhs.getDimSize(l));
    auto isUsed = [](ArrayRef<int64_t> batch, ArrayRef<int64_t> contract,
                     int64_t dim) {
      return llvm::is_contained(batch, dim) ||
             llvm::is_contained(contract, dim);
    };
    for (int64_t dim = 0; dim < lhs.getRank(); ++dim)
      if (!isUsed(op.getLhsBatch(), op.getLhsContract(), dim))
        lhsLoops[dim] = loop(form.m, lhs.getDimSize(dim));
    for (int64_t dim = 0; dim < rhs.getRank(); ++dim)
      if (!isUsed(op.getRhsBatch(), op.getRhsContract(), dim))
        rhsLoops[dim] = loop(form.n, rhs.getDimSize(dim));
    SmallVector<int64_t> resultLoops =
        llvm::to_vector(llvm::seq<int64_t>(0, form.sizes.size()));
    for (auto [l, r] :
         contractingInMemoryOrder(op))
      lhsLoops[l] = rhsLoops[r] = loop(form.k, lhs.getDimSize(l));
    int64_t loops = form.sizes.size();
    form.lhs = projection(op.getContext(), loops, lhsLoops);
    form.rhs = projection(op.getContext(), loops, rhsLoops);
    form.result = projection(op.getContext(), loops, resultLoops);
    return form;
  }

  /// Pairs of contracting dimensions, ordered as in the left operand.
  static SmallVector<std::pair<int64_t, int64_t>>
  contractingInMemoryOrder(DotGeneralOp op) {
    SmallVector<std::pair<int64_t, int64_t>> pairs;
    for (auto [l, r] :
         llvm::zip_equal(op.getLhsContract(), op.getRhsContract()))
      pairs.emplace_back(l, r);
    llvm::sort(pairs);
    return pairs;
  }

  /// Reads `operand` itself, not what it is a transpose of, if a BLAS can read
  /// only the former; makes a copy in the order batch, rows, columns if it can
  /// read neither.
  static void chooseLayout(OpBuilder &builder, const Contraction &form,
                           View &view, Value operand, AffineMap map) {
    if (isMatrix(form, view, map))
      return;
    AffineMap identity =
        builder.getMultiDimIdentityMap(view.map.getNumDims());
    View direct{operand, identity, {}};
    if (isMatrix(form, direct, map)) {
      view = direct;
      return;
    }
    if (extent(form.sizes, form.m) == 1 || extent(form.sizes, form.n) == 1)
      return;
    auto type = cast<RankedTensorType>(operand.getType());
    SmallVector<int64_t> dimOf(form.sizes.size()), permutation, shape;
    for (unsigned dim = 0, e = map.getNumResults(); dim < e; ++dim)
      dimOf[map.getDimPosition(dim)] = dim;
    for (ArrayRef<int64_t> group :
         {ArrayRef(form.batch), ArrayRef(map == form.lhs ? form.m : form.n),
          ArrayRef(form.k)})
      for (int64_t loop : group) {
        permutation.push_back(dimOf[loop]);
        shape.push_back(type.getDimSize(dimOf[loop]));
      }
    AffineMap permute =
        projection(builder.getContext(), type.getRank(), permutation);
    auto copyType = RankedTensorType::get(shape, type.getElementType());
    auto copy = linalg::GenericOp::create(
        builder, operand.getLoc(), TypeRange(copyType), ValueRange(view.source),
        ValueRange(emptyLike(builder, operand.getLoc(), copyType)),
        ArrayRef<AffineMap>{view.map.compose(inversePermutation(permute)),
                            identity},
        iterators(type.getRank()),
        [](OpBuilder &builder, Location loc, ValueRange elements) {
          linalg::YieldOp::create(builder, loc, elements[0]);
        });
    view = View{copy.getResult(0), permute, {}};
  }

  static SmallVector<int64_t> stridesOf(const Contraction &form,
                                        const View &view, AffineMap map) {
    auto type = cast<RankedTensorType>(view.source.getType());
    return loopStrides(view.map.compose(map),
                       computeStrides(type.getShape()), form.sizes.size());
  }

  static bool isMatrix(const Contraction &form, const View &view,
                       AffineMap map) {
    SmallVector<int64_t> strides = stridesOf(form, view, map);
    ArrayRef<int64_t> free = map == form.lhs ? form.m : form.n;
    return matrixLayout(form.sizes, strides, free, form.k).has_value();
  }

  /// The loop with the contiguous elements of the larger operand innermost.
  static SmallVector<int64_t> loopOrder(const Contraction &form,
                                        const View &lhs, const View &rhs) {
    SmallVector<int64_t> left = stridesOf(form, lhs, form.lhs);
    SmallVector<int64_t> right = stridesOf(form, rhs, form.rhs);
    auto isContiguous = [&](ArrayRef<int64_t> group,
                            ArrayRef<int64_t> strides) {
      return llvm::any_of(group, [&](int64_t loop) {
        return strides[loop] == 1 && form.sizes[loop] > 1;
      });
    };
    SmallVector<int64_t> order(form.batch);
    auto append = [&](ArrayRef<int64_t> first, ArrayRef<int64_t> second,
                      ArrayRef<int64_t> third) {
      for (ArrayRef<int64_t> group : {first, second, third})
        llvm::append_range(order, group);
    };
    if (isContiguous(form.n, right))
      append(form.m, form.k, form.n);
    else if (form.n.empty() && isContiguous(form.m, left))
      append(form.k, form.m, form.n);
    else
      append(form.m, form.n, form.k);
    return order;
  }

  static void multiplyAdd(OpBuilder &builder, Location loc,
                          ValueRange elements) {
    Value product, sum;
    if (isa<FloatType>(elements[0].getType())) {
      product = arith::MulFOp::create(builder, loc, elements[0], elements[1],
                                      arith::FastMathFlags::contract);
      sum = arith::AddFOp::create(builder, loc, elements[2], product,
                                  arith::FastMathFlags::reassoc |
                                      arith::FastMathFlags::contract);
    } else {
      product = arith::MulIOp::create(builder, loc, elements[0], elements[1]);
      sum = arith::AddIOp::create(builder, loc, elements[2], product);
    }
    linalg::YieldOp::create(builder, loc, sum);
  }
};

} // namespace

void mlir::grad::populateReductionsToLinalg(RewritePatternSet &patterns) {
  patterns
      .add<LowerReduce<ReduceSumOp>, LowerReduce<ReduceProdOp>,
           LowerReduce<ReduceMaxOp>, LowerReduce<ReduceMinOp>,
           LowerReduce<ReduceAnyOp>, LowerReduce<ReduceAllOp>,
           LowerArgReduce<ArgmaxOp, ReduceMaxOp>,
           LowerArgReduce<ArgminOp, ReduceMinOp>,
           LowerCumsum, LowerDotGeneral>(patterns.getContext());
}
