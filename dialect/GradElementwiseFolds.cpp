//===- GradElementwiseFolds.cpp - Folders of elementwise ops --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Identities that hold for every float, signed zeros, infinities and NaN
// included: x * 1, x - 0 and x + (-0) fold, x + 0 and x * 0 do not.
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
