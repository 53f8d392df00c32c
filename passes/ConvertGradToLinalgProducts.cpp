//===- ConvertGradToLinalgProducts.cpp - Products of tensors --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Products of tensors become contractions in the operands' own layouts, with
/// the loops in an order that suits those that stay loops.
///
//===----------------------------------------------------------------------===//

#include "passes/ContractionLayout.h"
#include "passes/ConvertGradToLinalg.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace mlir::grad;

static Value summand(OpBuilder &builder, Location loc, ValueRange elements) {
  return multiplyNumbers(builder, loc, elements[0], elements[1],
                         arith::FastMathFlags::contract);
}

static Value addTo(OpBuilder &builder, Location loc, Value sum, Value product) {
  return addNumbers(builder, loc, sum, product,
                    arith::FastMathFlags::reassoc |
                        arith::FastMathFlags::contract);
}

void mlir::grad::multiplyAdd(OpBuilder &builder, Location loc,
                             ValueRange elements) {
  Value product = summand(builder, loc, elements);
  linalg::YieldOp::create(builder, loc,
                          addTo(builder, loc, elements[2], product));
}

/// An array of this shape with the elements of `source` that `map` tells.
static Value moved(OpBuilder &builder, Location loc, Value source,
                   AffineMap map, ArrayRef<int64_t> shape) {
  auto type = RankedTensorType::get(shape, getElementTypeOrSelf(source));
  return linalg::GenericOp::create(
             builder, loc, TypeRange(type), ValueRange(source),
             ValueRange(emptyLike(builder, loc, type)),
             ArrayRef<AffineMap>{
                 map, builder.getMultiDimIdentityMap(type.getRank())},
             iterators(type.getRank()),
             [](OpBuilder &builder, Location loc, ValueRange elements) {
               linalg::YieldOp::create(builder, loc, elements[0]);
             })
      .getResult(0);
}

namespace {

/// grad.dot_general => linalg.generic, a contraction in the layouts of the
/// operands, or elementwise if it contracts nothing; with transposed copies
/// where no BLAS call could read these. For a device, operands that are widened
/// are read as they are, and widened one by one: it multiplies such faster.
struct LowerDotGeneral : OpRewritePattern<DotGeneralOp> {
  LowerDotGeneral(MLIRContext *context, bool forDevice)
      : OpRewritePattern(context), forDevice(forDevice) {}

  LogicalResult matchAndRewrite(DotGeneralOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    auto type = cast<RankedTensorType>(op.getType());
    auto zeros = [&] { return filled(rewriter, loc, type, 0); };
    if (hasNoElements(op.getLhs())) {
      rewriter.replaceOp(op, zeros());
      return success();
    }

    Contraction form = contractionOf(op);
    bool isOuter = form.k.empty();
    auto [left, right] = operandsOf(rewriter, op);
    View lhs = viewOf(rewriter, left, op.getLhsBatch());
    View rhs = viewOf(rewriter, right, op.getRhsBatch());
    // A loop of the result is one of an operand.
    if (llvm::any_of(form.batch, [&](int64_t loop) {
          return !lhs.map.compose(form.lhs).isFunctionOfDim(loop) &&
                 !rhs.map.compose(form.rhs).isFunctionOfDim(loop);
        }))
      lhs = lookThrough(rewriter, left, /*permutationsOnly=*/true);
    chooseLayout(rewriter, form, lhs, left, form.lhs);
    chooseLayout(rewriter, form, rhs, right, form.rhs);
    SmallVector<int64_t> order = loopOrder(form, lhs, rhs);
    SmallVector<int64_t> positionOf(order.size());
    for (auto [position, loop] : llvm::enumerate(order))
      positionOf[loop] = position;
    AffineMap reorder = projection(op.getContext(), order.size(), positionOf);

    SmallVector<utils::IteratorType> kinds = iterators(order.size());
    for (int64_t loop : form.k)
      kinds[positionOf[loop]] = utils::IteratorType::reduction;
    auto widened = [&, left = left](OpBuilder &builder, Location loc,
                                    ValueRange elements) {
      SmallVector<Value> wide(elements);
      if (getElementTypeOrSelf(left) != type.getElementType())
        for (Value &element : MutableArrayRef(wide).take_front(2))
          element = arith::ExtFOp::create(builder, loc, type.getElementType(),
                                          element);
      multiplyAdd(builder, loc, wide);
    };
    auto generic = linalg::GenericOp::create(
        rewriter, loc, TypeRange(type), ValueRange{lhs.source, rhs.source},
        ValueRange(isOuter ? emptyLike(rewriter, loc, type) : zeros()),
        ArrayRef<AffineMap>{lhs.map.compose(form.lhs).compose(reorder),
                            rhs.map.compose(form.rhs).compose(reorder),
                            form.result.compose(reorder)},
        kinds, [&](OpBuilder &builder, Location loc, ValueRange elements) {
          isOuter ? multiply(builder, loc, elements)
                  : widened(builder, loc, elements);
        });
    rewriter.replaceOp(op, generic);
    return success();
  }

private:
  /// The op, lowered before, that widens the numbers of an array of narrow
  /// floats, each by itself, to make `operand`; null if there is none.
  static linalg::GenericOp findWidening(Value operand) {
    auto op = operand.getDefiningOp<linalg::GenericOp>();
    if (!op || op.getNumDpsInputs() != 1 || op.getNumDpsInits() != 1 ||
        op.getNumReductionLoops() != 0 ||
        !op.getMatchingIndexingMap(op.getDpsInitOperand(0)).isIdentity())
      return {};
    auto yield = cast<linalg::YieldOp>(op.getBody()->getTerminator());
    auto wide = yield.getOperand(0).getDefiningOp<arith::ExtFOp>();
    if (!wide || wide.getIn() != op.getBody()->getArgument(0) ||
        !isNarrowFloat(wide.getIn().getType()))
      return {};
    return op;
  }

  /// What `widening` makes, as it was before.
  static Value narrowed(OpBuilder &builder, linalg::GenericOp widening) {
    OpOperand *input = widening.getDpsInputOperand(0);
    AffineMap map = widening.getMatchingIndexingMap(input);
    if (map.isIdentity())
      return input->get();
    return moved(builder, widening.getLoc(), input->get(), map,
                 cast<RankedTensorType>(widening.getType(0)).getShape());
  }

  /// What is multiplied: narrow floats if both operands are such, widened.
  std::pair<Value, Value> operandsOf(OpBuilder &builder,
                                     DotGeneralOp op) const {
    if (forDevice && !op.getLhsContract().empty() &&
        op.getType().getElementType().isF32()) {
      linalg::GenericOp lhs = findWidening(op.getLhs()),
                        rhs = findWidening(op.getRhs());
      if (lhs && rhs &&
          getElementTypeOrSelf(lhs.getDpsInputs()[0]) ==
              getElementTypeOrSelf(rhs.getDpsInputs()[0]))
        return {narrowed(builder, lhs), narrowed(builder, rhs)};
    }
    return {op.getLhs(), op.getRhs()};
  }

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
    for (auto [l, r] : contractingInMemoryOrder(op))
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

  /// What `operand` is a transpose of, or a broadcast along the batch.
  static View viewOf(OpBuilder &builder, Value operand,
                     ArrayRef<int64_t> batch) {
    View view = lookThrough(builder, operand);
    if (view.scalar || !view.map.isProjectedPermutation() ||
        llvm::any_of(llvm::seq(view.map.getNumDims()), [&](int64_t dim) {
          return !view.map.isFunctionOfDim(dim) &&
                 !llvm::is_contained(batch, dim);
        }))
      return lookThrough(builder, operand, /*permutationsOnly=*/true);
    return view;
  }

  /// Reads `operand` itself, not what it is a transpose of, if a BLAS can read
  /// only the former; makes a copy in the order batch, rows, columns if it can
  /// read neither.
  static void chooseLayout(OpBuilder &builder, const Contraction &form,
                           View &view, Value operand, AffineMap map) {
    if (isMatrix(form, view, map))
      return;
    AffineMap identity = builder.getMultiDimIdentityMap(view.map.getNumDims());
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
    Value copy = moved(builder, operand.getLoc(), view.source,
                       view.map.compose(inversePermutation(permute)), shape);
    view = View{copy, permute, {}};
  }

  static SmallVector<int64_t> stridesOf(const Contraction &form,
                                        const View &view, AffineMap map) {
    auto type = cast<RankedTensorType>(view.source.getType());
    return loopStrides(view.map.compose(map), computeStrides(type.getShape()),
                       form.sizes.size());
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

  /// Nothing is summed: an elementwise op of two broadcasts.
  static void multiply(OpBuilder &builder, Location loc, ValueRange elements) {
    linalg::YieldOp::create(
        builder, loc, multiplyNumbers(builder, loc, elements[0], elements[1]));
  }

  bool forDevice;
};

/// grad.correlate => linalg.generic over results and elements of the kernel;
/// where the kernel hangs over, one that leaves products out.
struct LowerCorrelate : OpRewritePattern<CorrelateOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(CorrelateOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    int64_t size = sizeOf(op.getX()), kernel = sizeOf(op.getKernel());
    int64_t low = op.getLow(), high = op.getHigh(), whole = size - kernel + 1;
    Value inner = sums(rewriter, op, op.getX(), whole);
    if (low == 0 && high == 0) {
      rewriter.replaceOp(op, inner);
      return success();
    }
    Value result = emptyLike(rewriter, loc, op.getType());
    if (low > 0)
      result = insert(rewriter, loc,
                      sums(rewriter, op, padded(rewriter, op, 0, low, 0), low,
                           Range{arith::CmpIPredicate::sge, low}),
                      result, 0);
    result = insert(rewriter, loc, inner, result, low);
    if (high > 0)
      result = insert(rewriter, loc,
                      sums(rewriter, op, padded(rewriter, op, whole, 0, high),
                           high, Range{arith::CmpIPredicate::slt, kernel - 1}),
                      result, low + whole);
    rewriter.replaceOp(op, result);
    return success();
  }

private:
  /// Positions that compare like this with a bound.
  struct Range {
    arith::CmpIPredicate predicate;
    int64_t bound;
  };

  static ArrayRef<int64_t> shapeOf(Value vectors) {
    return cast<RankedTensorType>(vectors.getType()).getShape();
  }

  /// The size of the vectors.
  static int64_t sizeOf(Value vectors) { return shapeOf(vectors).back(); }

  /// The type of as many vectors of `size` elements.
  static RankedTensorType vectorsOf(CorrelateOp op, int64_t size) {
    SmallVector<int64_t> shape(shapeOf(op.getX()));
    shape.back() = size;
    return op.getType().clone(shape);
  }

  static Value insert(OpBuilder &builder, Location loc, Value part,
                      Value result, int64_t offset) {
    ArrayRef<int64_t> shape = shapeOf(part);
    SmallVector<OpFoldResult> offsets(shape.size(), builder.getIndexAttr(0)),
        ones(shape.size(), builder.getIndexAttr(1));
    offsets.back() = builder.getIndexAttr(offset);
    return tensor::InsertSliceOp::create(
        builder, loc, part, result, offsets,
        getAsIndexOpFoldResult(builder.getContext(), shape), ones);
  }

  /// The elements of x from `begin` on that sums with a part of the kernel
  /// read, among elements that are not used.
  static Value padded(OpBuilder &builder, CorrelateOp op, int64_t begin,
                      int64_t low, int64_t high) {
    Location loc = op.getLoc();
    int64_t count = sizeOf(op.getKernel()) - 1;
    RankedTensorType partType = vectorsOf(op, count);
    SmallVector<OpFoldResult> offsets(partType.getRank(),
                                      builder.getIndexAttr(0)),
        ones(partType.getRank(), builder.getIndexAttr(1));
    offsets.back() = builder.getIndexAttr(begin);
    Value part = tensor::ExtractSliceOp::create(
        builder, loc, partType, op.getX(), offsets,
        getAsIndexOpFoldResult(builder.getContext(), partType.getShape()),
        ones);
    return insert(builder, loc, part,
                  filled(builder, loc, vectorsOf(op, low + count + high), 0),
                  low);
  }

  /// Element k is the sum of x[k + j] kernel[j]; with `range` only of those for
  /// which k + j lies in it.
  static Value sums(OpBuilder &builder, CorrelateOp op, Value x, int64_t count,
                    std::optional<Range> range = {}) {
    // With many results side by side, those are the innermost loop.
    constexpr int64_t kManyResults = 32;
    Location loc = op.getLoc();
    Type element = op.getType().getElementType();
    RankedTensorType type = vectorsOf(op, count);
    int64_t rank = type.getRank(), pairs = rank - 1;
    int64_t k = count >= kManyResults ? rank : pairs;
    int64_t j = pairs + rank - k;
    AffineExpr result = builder.getAffineDimExpr(k),
               place = builder.getAffineDimExpr(j);
    auto map = [&](AffineExpr expr) {
      SmallVector<AffineExpr> exprs;
      for (int64_t d = 0; d < pairs; ++d)
        exprs.push_back(builder.getAffineDimExpr(d));
      exprs.push_back(expr);
      return AffineMap::get(rank + 1, 0, exprs, builder.getContext());
    };
    auto body = [&](OpBuilder &builder, Location loc, ValueRange elements) {
      if (!range)
        return multiplyAdd(builder, loc, elements);
      Value zero = numberOf(builder, loc, element, 0);
      Value position = arith::AddIOp::create(
          builder, loc, linalg::IndexOp::create(builder, loc, k),
          linalg::IndexOp::create(builder, loc, j));
      Value exists = arith::CmpIOp::create(
          builder, loc, range->predicate, position,
          arith::ConstantIndexOp::create(builder, loc, range->bound));
      Value product = arith::SelectOp::create(
          builder, loc, exists, summand(builder, loc, elements), zero);
      linalg::YieldOp::create(builder, loc,
                              addTo(builder, loc, elements[2], product));
    };
    View kernel = lookThrough(builder, op.getKernel());
    if (kernel.scalar)
      kernel = {op.getKernel(), builder.getMultiDimIdentityMap(rank), {}};
    return linalg::GenericOp::create(
               builder, loc, TypeRange(type), ValueRange{x, kernel.source},
               ValueRange(filled(builder, loc, type, 0)),
               ArrayRef<AffineMap>{map(result + place),
                                   kernel.map.compose(map(place)), map(result)},
               iterators(rank + 1, {j}), body)
        .getResult(0);
  }
};

} // namespace

void mlir::grad::populateProductsToLinalg(RewritePatternSet &patterns,
                                          bool forDevice) {
  patterns.add<LowerDotGeneral>(patterns.getContext(), forDevice);
  patterns.add<LowerCorrelate>(patterns.getContext());
}
