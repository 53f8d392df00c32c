//===- GradFolds.cpp - Folders and canonicalization -----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Identities that hold for every float, signed zeros, infinities and NaN
// included: x * 1, x - 0 and x + (-0) fold, x + 0 and x * 0 do not. Only sums
// may round differently: equal terms become a product with their number, and a
// factor that all terms have is taken out.
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "mlir/Dialect/CommonFolders.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/TypeUtilities.h"

using namespace mlir;
using namespace mlir::grad;

/// Constants of more elements are left to run time unless they are splats.
static constexpr int64_t maxFoldedElements = 64;

static bool isFoldable(ArrayRef<Attribute> operands) {
  return llvm::all_of(operands, [](Attribute attribute) {
    auto dense = dyn_cast_or_null<DenseElementsAttr>(attribute);
    return dense &&
           (dense.isSplat() || dense.getNumElements() <= maxFoldedElements);
  });
}

static bool isFloat(Value value) {
  return isa<FloatType>(typeOf(value).getElementType());
}

/// Whether numbers of an integer type may be negative; bools are 0 and 1.
static bool isSigned(Type type) {
  return !type.isUnsignedInteger() && !type.isInteger(1);
}

static bool isComplex(Type type) {
  return isa<ComplexType>(getElementTypeOrSelf(type));
}

/// Whether every element of the constant is `number`, in sign too.
static bool isSplatOf(Value value, double number) {
  std::optional<double> splat = getSplat(value);
  return splat && *splat == number &&
         std::signbit(*splat) == std::signbit(number);
}

template <typename FloatFn, typename IntFn>
static Attribute foldBinary(ArrayRef<Attribute> operands, Type type,
                            FloatFn onFloat, IntFn onInt) {
  if (!isFoldable(operands) || isComplex(type))
    return nullptr;
  if (isDifferentiable(type))
    return constFoldBinaryOp<FloatAttr, FloatAttr::ValueType, void>(operands,
                                                                    onFloat);
  return constFoldBinaryOp<IntegerAttr, IntegerAttr::ValueType, void>(operands,
                                                                      onInt);
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

OpFoldResult AddOp::fold(FoldAdaptor adaptor) {
  // x + (-0.0) => x; integers: x + 0 => x
  if (isSplatOf(getRhs(), isFloat(getRhs()) ? -0.0 : 0.0))
    return getLhs();
  return foldBinary(
      adaptor.getOperands(), getType(),
      [](const APFloat &a, const APFloat &b) { return a + b; },
      [](const APInt &a, const APInt &b) { return a + b; });
}

OpFoldResult SubtractOp::fold(FoldAdaptor adaptor) {
  // x - 0 => x
  if (isSplatOf(getRhs(), 0.0))
    return getLhs();
  return foldBinary(
      adaptor.getOperands(), getType(),
      [](const APFloat &a, const APFloat &b) { return a - b; },
      [](const APInt &a, const APInt &b) { return a - b; });
}

OpFoldResult MultiplyOp::fold(FoldAdaptor adaptor) {
  // x * 1 => x
  if (isSplatOf(getRhs(), 1.0))
    return getLhs();
  return foldBinary(
      adaptor.getOperands(), getType(),
      [](const APFloat &a, const APFloat &b) { return a * b; },
      [](const APInt &a, const APInt &b) { return a * b; });
}

OpFoldResult DivideOp::fold(FoldAdaptor adaptor) {
  // x / 1 => x
  if (isSplatOf(getRhs(), 1.0))
    return getLhs();
  if (!isFoldable(adaptor.getOperands()) || isComplex(getType()))
    return nullptr;
  return constFoldBinaryOp<FloatAttr, FloatAttr::ValueType, void>(
      adaptor.getOperands(),
      [](const APFloat &a, const APFloat &b) { return a / b; });
}

OpFoldResult NegativeOp::fold(FoldAdaptor adaptor) {
  // -(-x) => x
  if (auto inner = getX().getDefiningOp<NegativeOp>())
    return inner.getX();
  if (!isFoldable(adaptor.getOperands()) || isComplex(getType()))
    return nullptr;
  if (isFloat(getX()))
    return constFoldUnaryOp<FloatAttr, FloatAttr::ValueType, void>(
        adaptor.getOperands(), [](const APFloat &a) { return -a; });
  return constFoldUnaryOp<IntegerAttr, IntegerAttr::ValueType, void>(
      adaptor.getOperands(), [](const APInt &a) { return -a; });
}

/// The comparison of two constants of one value each; `holds` tells its result
/// from their order.
static Attribute foldComparison(ArrayRef<Attribute> operands, Value result,
                                bool (*holds)(APFloat::cmpResult)) {
  auto lhs = dyn_cast_or_null<SplatElementsAttr>(operands[0]);
  auto rhs = dyn_cast_or_null<SplatElementsAttr>(operands[1]);
  if (!lhs || !rhs || isComplex(lhs.getType()))
    return nullptr;
  APFloat::cmpResult order;
  if (isa<FloatType>(lhs.getElementType())) {
    order = lhs.getSplatValue<APFloat>().compare(rhs.getSplatValue<APFloat>());
  } else {
    auto a = lhs.getSplatValue<APInt>(), b = rhs.getSplatValue<APInt>();
    bool isLess = isSigned(lhs.getElementType()) ? a.slt(b) : a.ult(b);
    order = a == b ? APFloat::cmpEqual
                   : (isLess ? APFloat::cmpLessThan : APFloat::cmpGreaterThan);
  }
  return DenseElementsAttr::get(typeOf(result), holds(order));
}

OpFoldResult EqualOp::fold(FoldAdaptor adaptor) {
  return foldComparison(adaptor.getOperands(), getResult(),
                        [](auto order) { return order == APFloat::cmpEqual; });
}
OpFoldResult NotEqualOp::fold(FoldAdaptor adaptor) {
  return foldComparison(adaptor.getOperands(), getResult(),
                        [](auto order) { return order != APFloat::cmpEqual; });
}
OpFoldResult LessOp::fold(FoldAdaptor adaptor) {
  return foldComparison(adaptor.getOperands(), getResult(), [](auto order) {
    return order == APFloat::cmpLessThan;
  });
}
OpFoldResult LessEqualOp::fold(FoldAdaptor adaptor) {
  return foldComparison(adaptor.getOperands(), getResult(), [](auto order) {
    return order == APFloat::cmpLessThan || order == APFloat::cmpEqual;
  });
}
OpFoldResult GreaterOp::fold(FoldAdaptor adaptor) {
  return foldComparison(adaptor.getOperands(), getResult(), [](auto order) {
    return order == APFloat::cmpGreaterThan;
  });
}
OpFoldResult GreaterEqualOp::fold(FoldAdaptor adaptor) {
  return foldComparison(adaptor.getOperands(), getResult(), [](auto order) {
    return order == APFloat::cmpGreaterThan || order == APFloat::cmpEqual;
  });
}

OpFoldResult SelectOp::fold(FoldAdaptor) {
  if (getOnTrue() == getOnFalse())
    return getOnTrue();
  if (std::optional<double> condition = getSplat(getCondition()))
    return *condition != 0 ? getOnTrue() : getOnFalse();
  return nullptr;
}

/// What Scalar::truncate computes.
static APInt truncate(const APFloat &number, unsigned width) {
  APSInt result(std::max(32u, width), /*isUnsigned=*/false);
  bool isExact;
  if (number.convertToInteger(result, APFloat::rmTowardZero, &isExact) ==
      APFloat::opInvalidOp)
    result = APSInt::getMinValue(result.getBitWidth(), /*Unsigned=*/false);
  return result.trunc(width);
}

/// What Scalar::truncateUnsigned computes.
static APInt truncateUnsigned(APFloat number, unsigned width) {
  if (width < 32)
    return truncate(number, width);
  APFloat half = scalbn(APFloat(1.0), width - 1, APFloat::rmNearestTiesToEven);
  bool lost;
  half.convert(number.getSemantics(), APFloat::rmNearestTiesToEven, &lost);
  APFloat::cmpResult order = number.compare(half);
  if (order != APFloat::cmpGreaterThan && order != APFloat::cmpEqual)
    return truncate(number, width);
  return truncate(number - half, width) ^ APInt::getSignedMinValue(width);
}

OpFoldResult ConvertOp::fold(FoldAdaptor adaptor) {
  if (getType() == getX().getType())
    return getX();
  auto elements = dyn_cast_or_null<DenseElementsAttr>(adaptor.getX());
  Type to = getDtype(), from = typeOf(getX()).getElementType();
  // The real part of complex(x, y) is x.
  if (auto made = getX().getDefiningOp<ComplexOp>())
    if (made.getRe().getType() == getType())
      return made.getRe();
  if (!elements || !elements.isSplat() || isComplex(from) || isComplex(to))
    return nullptr;
  auto type = typeOf(getResult());
  if (auto target = dyn_cast<FloatType>(to)) {
    APFloat number(0.0);
    if (isa<FloatType>(from)) {
      number = elements.getSplatValue<APFloat>();
    } else {
      number = APFloat(isNarrowFloat(to) ? APFloat::IEEEsingle()
                                         : target.getFloatSemantics());
      number.convertFromAPInt(elements.getSplatValue<APInt>(),
                              /*IsSigned=*/isSigned(from),
                              APFloat::rmNearestTiesToEven);
    }
    bool lost;
    number.convert(target.getFloatSemantics(), APFloat::rmNearestTiesToEven,
                   &lost);
    return DenseElementsAttr::get(type, number);
  }
  if (to.isInteger(1))
    return DenseElementsAttr::get(
        type, isa<FloatType>(from) ? !elements.getSplatValue<APFloat>().isZero()
                                   : !elements.getSplatValue<APInt>().isZero());
  unsigned width = to.getIntOrFloatBitWidth();
  if (isa<FloatType>(from)) {
    auto number = elements.getSplatValue<APFloat>();
    return DenseElementsAttr::get(type, to.isUnsignedInteger()
                                            ? truncateUnsigned(number, width)
                                            : truncate(number, width));
  }
  APInt number = elements.getSplatValue<APInt>();
  return DenseElementsAttr::get(type, isSigned(from)
                                          ? number.sextOrTrunc(width)
                                          : number.zextOrTrunc(width));
}

OpFoldResult ImagOp::fold(FoldAdaptor) {
  // The imaginary part of complex(x, y) is y.
  if (auto made = getX().getDefiningOp<ComplexOp>())
    return made.getIm();
  return nullptr;
}

namespace {

/// x + (-v) => x - v
struct AddNegative : OpRewritePattern<AddOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(AddOp op,
                                PatternRewriter &rewriter) const override {
    for (auto [x, other] : {std::pair(op.getLhs(), op.getRhs()),
                            std::pair(op.getRhs(), op.getLhs())})
      if (auto negative = other.getDefiningOp<NegativeOp>()) {
        rewriter.replaceOpWithNewOp<SubtractOp>(op, x, negative.getX());
        return success();
      }
    return rewriter.notifyMatchFailure(op, "no operand is a negative");
  }
};

/// x - (-v) => x + v
struct SubtractNegative : OpRewritePattern<SubtractOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(SubtractOp op,
                                PatternRewriter &rewriter) const override {
    auto negative = op.getRhs().getDefiningOp<NegativeOp>();
    if (!negative)
      return rewriter.notifyMatchFailure(op, "rhs is not a negative");
    rewriter.replaceOpWithNewOp<AddOp>(op, op.getLhs(), negative.getX());
    return success();
  }
};

/// x * -1 => -x
struct MultiplyMinusOne : OpRewritePattern<MultiplyOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(MultiplyOp op,
                                PatternRewriter &rewriter) const override {
    if (!isSplatOf(op.getRhs(), -1.0))
      return rewriter.notifyMatchFailure(op, "rhs is not -1");
    rewriter.replaceOpWithNewOp<NegativeOp>(op, op.getLhs());
    return success();
  }
};

/// power(x, 1) => x; power(x, 2) => square(x); power(x, -1) => reciprocal(x)
struct PowerOfConstant : OpRewritePattern<PowerOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(PowerOp op,
                                PatternRewriter &rewriter) const override {
    std::optional<double> exponent = getSplat(op.getRhs());
    if (exponent == 1.0)
      rewriter.replaceOp(op, op.getLhs());
    else if (exponent == 2.0)
      rewriter.replaceOpWithNewOp<SquareOp>(op, op.getLhs());
    else if (exponent == -1.0)
      rewriter.replaceOpWithNewOp<ReciprocalOp>(op, op.getLhs());
    else
      return rewriter.notifyMatchFailure(op,
                                         "no simpler form for the exponent");
    return success();
  }
};

} // namespace

void AddOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                        MLIRContext *context) {
  patterns.add<AddNegative>(context);
}
void SubtractOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                             MLIRContext *context) {
  patterns.add<SubtractNegative>(context);
}
void MultiplyOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                             MLIRContext *context) {
  patterns.add<MultiplyMinusOne>(context);
}
void PowerOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                          MLIRContext *context) {
  patterns.add<PowerOfConstant>(context);
}

//===----------------------------------------------------------------------===//
// Shape
//===----------------------------------------------------------------------===//

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValue(); }

static Attribute foldSplat(Attribute operand, Type type) {
  auto elements = dyn_cast_or_null<DenseElementsAttr>(operand);
  if (!elements || !elements.isSplat())
    return nullptr;
  return elements.resizeSplat(cast<ShapedType>(type));
}

static bool isIdentity(ArrayRef<int64_t> permutation) {
  for (auto [i, d] : llvm::enumerate(permutation))
    if (d != static_cast<int64_t>(i))
      return false;
  return true;
}

/// Entry `i` is the one of `outer` that entry `i` of `inner` names.
static SmallVector<int64_t> compose(ArrayRef<int64_t> outer,
                                    ArrayRef<int64_t> inner) {
  return llvm::map_to_vector(inner, [&](int64_t d) { return outer[d]; });
}

OpFoldResult BroadcastOp::fold(FoldAdaptor adaptor) {
  if (getType() == getX().getType())
    return getX();
  // broadcast(broadcast(x)) => broadcast(x)
  if (auto inner = getX().getDefiningOp<BroadcastOp>()) {
    setDimensions(compose(getDimensions(), inner.getDimensions()));
    getXMutable().assign(inner.getX());
    return getResult();
  }
  return foldSplat(adaptor.getX(), getType());
}

OpFoldResult ReshapeOp::fold(FoldAdaptor adaptor) {
  if (getType() == getX().getType())
    return getX();
  // reshape(reshape(x)) => reshape(x)
  if (auto inner = getX().getDefiningOp<ReshapeOp>()) {
    getXMutable().assign(inner.getX());
    return getResult();
  }
  return foldSplat(adaptor.getX(), getType());
}

OpFoldResult TransposeOp::fold(FoldAdaptor adaptor) {
  if (isIdentity(getPermutation()))
    return getX();
  // transpose(transpose(x)) => transpose(x)
  if (auto inner = getX().getDefiningOp<TransposeOp>()) {
    setPermutation(compose(inner.getPermutation(), getPermutation()));
    getXMutable().assign(inner.getX());
    return getResult();
  }
  return foldSplat(adaptor.getX(), getType());
}

OpFoldResult SliceOp::fold(FoldAdaptor adaptor) {
  if (getType() == getX().getType())
    return getX();
  // slice(slice(x)) => slice(x)
  if (auto inner = getX().getDefiningOp<SliceOp>()) {
    SmallVector<int64_t> offsets, strides;
    for (auto [offset, stride, innerOffset, innerStride] :
         llvm::zip_equal(getOffsets(), getStrides(), inner.getOffsets(),
                         inner.getStrides())) {
      offsets.push_back(innerOffset + offset * innerStride);
      strides.push_back(stride * innerStride);
    }
    setOffsets(offsets);
    setStrides(strides);
    getXMutable().assign(inner.getX());
    return getResult();
  }
  return foldSplat(adaptor.getX(), getType());
}

OpFoldResult AddSliceOp::fold(FoldAdaptor) {
  return hasNoElements(getUpdate()) ? getX() : Value();
}

OpFoldResult DynamicAddSliceOp::fold(FoldAdaptor) {
  return hasNoElements(getUpdate()) ? getX() : Value();
}

OpFoldResult ConcatenateOp::fold(FoldAdaptor) {
  return getInputs().size() == 1 ? getInputs().front() : Value();
}

OpFoldResult ReverseOp::fold(FoldAdaptor adaptor) {
  if (llvm::all_of(getDimensions(), [&](int64_t d) {
        return !typeOf(getX()).isDynamicDim(d) &&
               typeOf(getX()).getDimSize(d) <= 1;
      }))
    return getX();
  // reverse(reverse(x)) => x
  if (auto inner = getX().getDefiningOp<ReverseOp>())
    if (inner.getDimensions() == getDimensions())
      return inner.getX();
  return foldSplat(adaptor.getX(), getType());
}

OpFoldResult FftOp::fold(FoldAdaptor) {
  bool isIdentity = llvm::all_of(getDimensions(), [&](int64_t d) {
    return typeOf(getX()).getDimSize(d) == 1;
  });
  return isIdentity ? getX() : Value();
}

OpFoldResult ReduceSumOp::fold(FoldAdaptor) {
  return getDimensions().empty() ? getX() : Value();
}

namespace {

/// add_slice(x, u) of the whole of x => x + u
struct AddWhole : OpRewritePattern<AddSliceOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(AddSliceOp op,
                                PatternRewriter &rewriter) const override {
    if (op.getUpdate().getType() != op.getType())
      return rewriter.notifyMatchFailure(op, "adds to a part");
    rewriter.replaceOpWithNewOp<AddOp>(op, op.getX(), op.getUpdate());
    return success();
  }
};

/// reduce_sum(broadcast(x)) over new dimensions => x * their size
struct SumOfBroadcast : OpRewritePattern<ReduceSumOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceSumOp op,
                                PatternRewriter &rewriter) const override {
    auto broadcast = op.getX().getDefiningOp<BroadcastOp>();
    if (!broadcast || !isDifferentiable(op.getType()))
      return rewriter.notifyMatchFailure(
          op, "operand is not a broadcast of floats");
    SmallVector<int64_t> remaining;
    double count = 1;
    for (auto [d, size] : llvm::enumerate(broadcast.getShape())) {
      if (!llvm::is_contained(op.getDimensions(), static_cast<int64_t>(d)))
        remaining.push_back(d);
      else if (llvm::is_contained(broadcast.getDimensions(),
                                  static_cast<int64_t>(d)))
        return rewriter.notifyMatchFailure(
            op, "sums over a dimension of the operand");
      else
        count *= size;
    }
    if (count == 0)
      return rewriter.notifyMatchFailure(op, "sums over nothing");
    SmallVector<int64_t> dimensions;
    for (int64_t d : broadcast.getDimensions())
      dimensions.push_back(llvm::find(remaining, d) - remaining.begin());
    Value x =
        BroadcastOp::create(rewriter, op.getLoc(), broadcast.getX(),
                            typeOf(op.getResult()).getShape(), dimensions);
    Value factor = createSplat(rewriter, op.getLoc(), typeOf(x), count);
    rewriter.replaceOpWithNewOp<MultiplyOp>(op, x, factor);
    return success();
  }
};

/// reduce_sum(-x) => -reduce_sum(x)
struct SumOfNegative : OpRewritePattern<ReduceSumOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceSumOp op,
                                PatternRewriter &rewriter) const override {
    auto negative = op.getX().getDefiningOp<NegativeOp>();
    if (!negative || !isDifferentiable(op.getType()))
      return rewriter.notifyMatchFailure(op, "operand is not negated");
    Value sum = ReduceSumOp::create(rewriter, op.getLoc(), negative.getX(),
                                    op.getDimensions());
    rewriter.replaceOpWithNewOp<NegativeOp>(op, sum);
    return success();
  }
};

/// reduce_sum(broadcast(x) * y) over new dimensions => x * reduce_sum(y), if
/// this sum is there already: the one of derivatives of softmax and logsumexp.
/// As a sum of its own it could overflow where that of the products does not.
struct SumOfProduct : OpRewritePattern<ReduceSumOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(ReduceSumOp op,
                                PatternRewriter &rewriter) const override {
    auto product = op.getX().getDefiningOp<MultiplyOp>();
    if (!product || !isDifferentiable(op.getType()))
      return rewriter.notifyMatchFailure(op, "operand is not a product");
    for (unsigned i : {0, 1}) {
      auto broadcast = product->getOperand(i).getDefiningOp<BroadcastOp>();
      Value y = product->getOperand(1 - i);
      if (!broadcast || !hasSum(y, op) ||
          llvm::any_of(broadcast.getDimensions(), [&](int64_t d) {
            return llvm::is_contained(op.getDimensions(), d);
          }))
        continue;
      Value sum =
          ReduceSumOp::create(rewriter, op.getLoc(), y, op.getDimensions());
      SmallVector<int64_t> dimensions;
      for (int64_t d : broadcast.getDimensions())
        dimensions.push_back(
            d - llvm::count_if(op.getDimensions(),
                               [&](int64_t summed) { return summed < d; }));
      Value x = BroadcastOp::create(rewriter, op.getLoc(), broadcast.getX(),
                                    typeOf(sum).getShape(), dimensions);
      rewriter.replaceOpWithNewOp<MultiplyOp>(op, x, sum);
      return success();
    }
    return rewriter.notifyMatchFailure(op, "no factor of a known sum");
  }

  /// Whether the block has a sum like `op` of `y`, among its last users.
  static bool hasSum(Value y, ReduceSumOp op) {
    for (auto [i, user] : llvm::enumerate(y.getUsers())) {
      auto sum = dyn_cast<ReduceSumOp>(user);
      if (sum && sum->getBlock() == op->getBlock() &&
          sum.getDimensions() == op.getDimensions())
        return true;
      if (i == 16)
        break;
    }
    return false;
  }
};

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
void AddSliceOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                             MLIRContext *context) {
  patterns.add<AddWhole>(context);
}
void ReduceSumOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                              MLIRContext *context) {
  patterns.add<SumOfBroadcast, SumOfNegative, SumOfProduct>(context);
}
void DotGeneralOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                               MLIRContext *context) {
  patterns.add<DotOfTranspose, DotOfUniform, DotOfBroadcast>(context);
}
