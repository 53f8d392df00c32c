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

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/ConvertGradToLinalg.h"
#include "passes/DropSigns.h"
#include "runtime/Sorting.h"
#include "llvm/Support/MathExtras.h"

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

/// Code of a network for rows of elements of one type.
struct Network {
  Network(SortOp op, PatternRewriter &rewriter)
      : builder(rewriter), loc(op.getLoc()), type(typeOf(op.getX())),
        element(type.getElementType()), isUnsigned(hadUnsignedOperands(op)) {}

  Value number(Type type, int64_t value) const {
    return arith::ConstantOp::create(builder, loc, type,
                                     builder.getIntegerAttr(type, value));
  }
  Value index(int64_t value) const {
    return arith::ConstantIndexOp::create(builder, loc, value);
  }
  Value andOf(Value a, Value b) const {
    return arith::AndIOp::create(builder, loc, a, b);
  }
  Value orOf(Value a, Value b) const {
    return arith::OrIOp::create(builder, loc, a, b);
  }
  Value notOf(Value a) const {
    return arith::XOrIOp::create(builder, loc, a,
                                 number(builder.getI1Type(), 1));
  }
  Value select(Value condition, Value a, Value b) const {
    return arith::SelectOp::create(builder, loc, condition, a, b);
  }
  Value compare(arith::CmpFPredicate predicate, Value a, Value b) const {
    return arith::CmpFOp::create(builder, loc, predicate, a, b);
  }

  /// What is behind all elements, or like the last ones.
  Value last() const {
    if (auto complex = dyn_cast<ComplexType>(element)) {
      auto part = cast<FloatType>(complex.getElementType());
      Attribute nan =
          builder.getFloatAttr(part, APFloat::getNaN(part.getFloatSemantics()));
      return complex::ConstantOp::create(builder, loc, element,
                                         builder.getArrayAttr({nan, nan}));
    }
    if (auto floatType = dyn_cast<FloatType>(element))
      return arith::ConstantOp::create(
          builder, loc,
          builder.getFloatAttr(floatType,
                               APFloat::getNaN(floatType.getFloatSemantics())));
    unsigned bits = element.getIntOrFloatBitWidth();
    APInt largest = isUnsigned || bits == 1 ? APInt::getMaxValue(bits)
                                            : APInt::getSignedMaxValue(bits);
    return arith::ConstantOp::create(builder, loc,
                                     IntegerAttr::get(element, largest));
  }

  /// Whether element `a` comes before element `b` wherever they are: NaN is
  /// behind all else.
  Value isLess(Value a, Value b) const {
    using arith::CmpFPredicate, arith::CmpIPredicate;
    if (isa<ComplexType>(element))
      return isComplexLess(a, b);
    if (!isa<FloatType>(element))
      return arith::CmpIOp::create(builder, loc,
                                   isUnsigned || element.isInteger(1)
                                       ? CmpIPredicate::ult
                                       : CmpIPredicate::slt,
                                   a, b);
    return orOf(compare(CmpFPredicate::OLT, a, b),
                andOf(compare(CmpFPredicate::UNO, b, b),
                      compare(CmpFPredicate::ORD, a, a)));
  }

  /// The same for complex numbers: those without a NaN come first, then those
  /// with one in the imaginary part, in the real part, and in both.
  Value isComplexLess(Value a, Value b) const {
    using arith::CmpFPredicate;
    Value aRe = complex::ReOp::create(builder, loc, a),
          aIm = complex::ImOp::create(builder, loc, a),
          bRe = complex::ReOp::create(builder, loc, b),
          bIm = complex::ImOp::create(builder, loc, b);
    auto isNaN = [&](Value x) { return compare(CmpFPredicate::UNO, x, x); };
    auto isEqual = [&](Value x, Value y) -> Value {
      return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, x,
                                   y);
    };
    Value aReNaN = isNaN(aRe), aImNaN = isNaN(aIm), bReNaN = isNaN(bRe),
          bImNaN = isNaN(bIm);
    Value sameRe = isEqual(aReNaN, bReNaN), sameIm = isEqual(aImNaN, bImNaN);
    Value isKindLess = orOf(andOf(notOf(aReNaN), bReNaN),
                            andOf(sameRe, andOf(notOf(aImNaN), bImNaN)));
    Value arePartsLess =
        orOf(compare(CmpFPredicate::OLT, aRe, bRe),
             andOf(notOf(compare(CmpFPredicate::OLT, bRe, aRe)),
                   compare(CmpFPredicate::OLT, aIm, bIm)));
    return orOf(isKindLess, andOf(andOf(sameRe, sameIm), arePartsLess));
  }

  /// The elements and their indices, with as many behind them as it takes.
  SmallVector<Value> createRows(Value x, RankedTensorType wide) const {
    auto indices = wide.clone(builder.getI64Type());
    auto generic = linalg::GenericOp::create(
        builder, loc, TypeRange{wide, indices}, ValueRange(),
        ValueRange{emptyLike(builder, loc, wide),
                   emptyLike(builder, loc, indices)},
        {identity(), identity()}, iterators(type.getRank()),
        [&](OpBuilder &body, Location, ValueRange) {
          Network inner = in(body);
          SmallVector<Value> place = inner.position();
          Value along = place.back(), end = inner.index(type.getShape().back());
          Value isElement = arith::CmpIOp::create(
              body, loc, arith::CmpIPredicate::slt, along, end);
          place.back() = inner.select(isElement, along, inner.index(0));
          Value found = tensor::ExtractOp::create(body, loc, x, place);
          found = inner.select(isElement, found, inner.last());
          Value number =
              arith::IndexCastOp::create(body, loc, body.getI64Type(), along);
          linalg::YieldOp::create(body, loc, ValueRange{found, number});
        });
    return generic.getResults();
  }

  /// One step: partners are `distance` apart, and rows of `span` increase and
  /// decrease in turns.
  SmallVector<Value> createStep(ValueRange rows, Value distance,
                                Value span) const {
    auto values = typeOf(rows[0]), indices = typeOf(rows[1]);
    auto generic = linalg::GenericOp::create(
        builder, loc, TypeRange{values, indices}, rows,
        ValueRange{emptyLike(builder, loc, values),
                   emptyLike(builder, loc, indices)},
        SmallVector<AffineMap>(4, identity()), iterators(type.getRank()),
        [&](OpBuilder &body, Location, ValueRange elements) {
          Network inner = in(body);
          Value mine = elements[0], myIndex = elements[1];
          SmallVector<Value> place = inner.position();
          Value along = arith::IndexCastOp::create(body, loc, body.getI64Type(),
                                                   place.back());
          Value partner = arith::XOrIOp::create(body, loc, along, distance);
          place.back() = arith::IndexCastOp::create(
              body, loc, body.getIndexType(), partner);
          Value other = tensor::ExtractOp::create(body, loc, rows[0], place);
          Value otherIndex =
              tensor::ExtractOp::create(body, loc, rows[1], place);
          Value isBefore = arith::CmpIOp::create(
              body, loc, arith::CmpIPredicate::slt, otherIndex, myIndex);
          Value otherFirst = inner.orOf(
              inner.isLess(other, mine),
              inner.andOf(inner.notOf(inner.isLess(mine, other)), isBefore));
          auto isEven = [&](Value size) -> Value {
            return arith::CmpIOp::create(body, loc, arith::CmpIPredicate::eq,
                                         inner.andOf(along, size),
                                         inner.number(body.getI64Type(), 0));
          };
          // The first of two partners takes the smaller element, in a row that
          // increases.
          Value takesSmaller =
              arith::CmpIOp::create(body, loc, arith::CmpIPredicate::eq,
                                    isEven(distance), isEven(span));
          Value takesOther = arith::CmpIOp::create(
              body, loc, arith::CmpIPredicate::eq, otherFirst, takesSmaller);
          linalg::YieldOp::create(
              body, loc,
              ValueRange{inner.select(takesOther, other, mine),
                         inner.select(takesOther, otherIndex, myIndex)});
        });
    return generic.getResults();
  }

  AffineMap identity() const {
    return builder.getMultiDimIdentityMap(type.getRank());
  }
  SmallVector<Value> position() const {
    SmallVector<Value> place;
    for (int64_t d = 0; d < type.getRank(); ++d)
      place.push_back(linalg::IndexOp::create(builder, loc, d));
    return place;
  }
  Network in(OpBuilder &body) const {
    return Network(body, loc, type, element, isUnsigned);
  }

  OpBuilder &builder;
  Location loc;
  RankedTensorType type;
  Type element;
  bool isUnsigned;

private:
  Network(OpBuilder &builder, Location loc, RankedTensorType type, Type element,
          bool isUnsigned)
      : builder(builder), loc(loc), type(type), element(element),
        isUnsigned(isUnsigned) {}
};

/// grad.sort => loops over the steps of a bitonic network
struct SortByNetwork : OpRewritePattern<SortOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(SortOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    RankedTensorType type = typeOf(op.getX());
    int64_t size = type.getShape().back();
    if (type.getNumElements() == 0) {
      rewriter.replaceOp(
          op, {op.getX(), emptyLike(rewriter, loc, typeOf(op.getIndices()))});
      return success();
    }
    Network network(op, rewriter);
    SmallVector<int64_t> shape(type.getShape());
    unsigned levels = llvm::Log2_64_Ceil(size);
    shape.back() = INT64_C(1) << levels;
    SmallVector<Value> rows = network.createRows(op.getX(), type.clone(shape));
    Type word = rewriter.getI64Type();
    Value zero = network.index(0), one = network.index(1);
    auto outer = scf::ForOp::create(
        rewriter, loc, zero, network.index(levels), one, rows,
        [&](OpBuilder &body, Location, Value level, ValueRange state) {
          Network inLoop = network.in(body);
          Value count = arith::AddIOp::create(body, loc, level, one);
          Value bit = arith::IndexCastOp::create(body, loc, word, count);
          Value span =
              arith::ShLIOp::create(body, loc, inLoop.number(word, 1), bit);
          auto inner = scf::ForOp::create(
              body, loc, zero, count, one, state,
              [&](OpBuilder &body, Location, Value step, ValueRange state) {
                Network inLoop = network.in(body);
                Value halvings = arith::AddIOp::create(
                    body, loc,
                    arith::IndexCastOp::create(body, loc, word, step),
                    inLoop.number(word, 1));
                Value distance =
                    arith::ShRUIOp::create(body, loc, span, halvings);
                scf::YieldOp::create(body, loc,
                                     inLoop.createStep(state, distance, span));
              });
          scf::YieldOp::create(body, loc, inner.getResults());
        });
    SmallVector<Value> results(outer.getResults());
    if (shape.back() != size) {
      auto attribute = [&](int64_t value) {
        return OpFoldResult(rewriter.getIndexAttr(value));
      };
      SmallVector<OpFoldResult> offsets(shape.size(), attribute(0)),
          strides(shape.size(), attribute(1)),
          sizes = llvm::map_to_vector(type.getShape(), attribute);
      for (Value &result : results)
        result = tensor::ExtractSliceOp::create(rewriter, loc, result, offsets,
                                                sizes, strides);
    }
    rewriter.replaceOp(op, results);
    return success();
  }
};

} // namespace

void mlir::grad::populateSortingToLinalg(RewritePatternSet &patterns,
                                         bool forDevice) {
  if (forDevice)
    patterns.add<SortByNetwork>(patterns.getContext());
  else
    patterns.add<LowerSort>(patterns.getContext());
}
