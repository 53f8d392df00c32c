//===- GradDerivatives.cpp - Tangent and transpose rules ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The rules of the ops that are not described by partial derivatives, in the
// order of the .td files. A cotangent is added to values that are coefficients,
// too: the context drops it. Where it takes ops to compute it, a rule asks.
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "dialect/Stacks.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

using Dimensions = SmallVector<int64_t>;

LogicalResult grad::linearizeByItself(Operation *op,
                                      LinearizeContext &context) {
  SmallVector<Value> operands;
  for (Value operand : op->getOperands()) {
    if (Value tangent = context.getTangent(operand))
      operands.push_back(tangent);
    else if (isDifferentiable(operand.getType()))
      operands.push_back(createZeroTangent(context.primal, operand));
    else
      operands.push_back(operand);
  }
  Operation *copy = context.linear.clone(*op);
  copy->setOperands(operands);
  for (auto [result, tangent] :
       llvm::zip_equal(op->getResults(), copy->getResults()))
    context.setTangent(result, tangent);
  return success();
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

LogicalResult AddOp::transpose(TransposeContext &context) {
  Value ct = context.getCotangent(getResult());
  context.addCotangent(getLhs(), ct);
  context.addCotangent(getRhs(), ct);
  return success(context.areTerms(getOperands()));
}

LogicalResult SubtractOp::transpose(TransposeContext &context) {
  Value ct = context.getCotangent(getResult());
  context.addCotangent(getLhs(), ct);
  context.addCotangent(getRhs(),
                       NegativeOp::create(context.builder, getLoc(), ct));
  return success(context.areTerms(getOperands()));
}

LogicalResult MultiplyOp::transpose(TransposeContext &context) {
  bool left = context.isLinear(getLhs());
  if (left == context.isLinear(getRhs()))
    return failure();
  Value factor = left ? getRhs() : getLhs();
  auto scale = [&](Value ct) -> Value {
    return MultiplyOp::create(context.builder, getLoc(), ct, factor);
  };
  context.addCotangent(left ? getLhs() : getRhs(),
                       scaleCotangent(context.builder, getLoc(),
                                      context.getCotangent(getResult()),
                                      scale));
  return success();
}

LogicalResult DivideOp::transpose(TransposeContext &context) {
  if (context.isLinear(getRhs()))
    return failure();
  auto scale = [&](Value ct) -> Value {
    return DivideOp::create(context.builder, getLoc(), ct, getRhs());
  };
  context.addCotangent(
      getLhs(), scaleCotangent(context.builder, getLoc(),
                               context.getCotangent(getResult()), scale));
  return success();
}

LogicalResult NegativeOp::transpose(TransposeContext &context) {
  context.addCotangent(getX(),
                       NegativeOp::create(context.builder, getLoc(),
                                          context.getCotangent(getResult())));
  return success();
}

LogicalResult SelectOp::linearize(LinearizeContext &context) {
  auto orZeros = [&](Value value) {
    Value tangent = context.getTangent(value);
    return tangent ? tangent : createZero(context.primal, getLoc(), getType());
  };
  context.setTangent(getResult(),
                     SelectOp::create(context.linear, getLoc(), getCondition(),
                                      orZeros(getOnTrue()),
                                      orZeros(getOnFalse())));
  return success();
}

LogicalResult SelectOp::transpose(TransposeContext &context) {
  if (context.isLinear(getCondition()) ||
      !context.areTerms({getOnTrue(), getOnFalse()}))
    return failure();
  Value ct = context.getCotangent(getResult());
  Value zeros = createZero(context.builder, getLoc(), getType());
  if (context.isLinear(getOnTrue()))
    context.addCotangent(
        getOnTrue(),
        SelectOp::create(context.builder, getLoc(), getCondition(), ct, zeros));
  if (context.isLinear(getOnFalse()))
    context.addCotangent(
        getOnFalse(),
        SelectOp::create(context.builder, getLoc(), getCondition(), zeros, ct));
  return success();
}

/// The tangent of a part, or zero.
static Value tangentOrZero(LinearizeContext &context, Value part) {
  Value tangent = context.getTangent(part);
  return tangent ? tangent
                 : createZero(context.primal, part.getLoc(), part.getType());
}

LogicalResult ComplexOp::linearize(LinearizeContext &context) {
  context.setTangent(getResult(),
                     ComplexOp::create(context.linear, getLoc(),
                                       tangentOrZero(context, getRe()),
                                       tangentOrZero(context, getIm())));
  return success();
}

/// Of Re(ct (dx + i dy)), the coefficients of dx and dy.
LogicalResult ComplexOp::transpose(TransposeContext &context) {
  OpBuilder &builder = context.builder;
  Value ct = context.getCotangent(getResult());
  if (context.isLinear(getRe()))
    context.addCotangent(getRe(),
                         ConvertOp::create(builder, getLoc(), ct,
                                           typeOf(getRe()).getElementType()));
  if (context.isLinear(getIm()))
    context.addCotangent(
        getIm(), NegativeOp::create(builder, getLoc(),
                                    ImagOp::create(builder, getLoc(), ct)));
  return success(context.areTerms(getOperands()));
}

LogicalResult ImagOp::linearize(LinearizeContext &context) {
  context.setTangent(getResult(), ImagOp::create(context.linear, getLoc(),
                                                 context.getTangent(getX())));
  return success();
}

/// ct dy is Re(-i ct (dx + i dy)).
LogicalResult ImagOp::transpose(TransposeContext &context) {
  OpBuilder &builder = context.builder;
  Value ct =
      NegativeOp::create(builder, getLoc(), context.getCotangent(getResult()));
  Value zero = createZero(builder, getLoc(), ct.getType());
  context.addCotangent(getX(), ComplexOp::create(builder, getLoc(), zero, ct));
  return success();
}

LogicalResult ConvertOp::linearize(LinearizeContext &context) {
  if (isDifferentiable(getType()))
    context.setTangent(getResult(), convertDirection(context.linear, getLoc(),
                                                     context.getTangent(getX()),
                                                     getDtype()));
  return success();
}

LogicalResult ConvertOp::transpose(TransposeContext &context) {
  // Rounding to integers is not linear.
  if (!isDifferentiable(getX().getType()) || !isDifferentiable(getType()))
    return failure();
  context.addCotangent(getX(),
                       convertDirection(context.builder, getLoc(),
                                        context.getCotangent(getResult()),
                                        typeOf(getX()).getElementType()));
  return success();
}

//===----------------------------------------------------------------------===//
// Shape
//===----------------------------------------------------------------------===//

#define GRAD_LINEARIZE_BY_ITSELF(OP)                                           \
  LogicalResult OP::linearize(LinearizeContext &context) {                     \
    return linearizeByItself(*this, context);                                  \
  }
GRAD_LINEARIZE_BY_ITSELF(BroadcastOp)
GRAD_LINEARIZE_BY_ITSELF(ReshapeOp)
GRAD_LINEARIZE_BY_ITSELF(TransposeOp)
GRAD_LINEARIZE_BY_ITSELF(SliceOp)
GRAD_LINEARIZE_BY_ITSELF(DynamicSliceOp)
GRAD_LINEARIZE_BY_ITSELF(UpdateSliceOp)
GRAD_LINEARIZE_BY_ITSELF(DynamicUpdateSliceOp)
GRAD_LINEARIZE_BY_ITSELF(AddSliceOp)
GRAD_LINEARIZE_BY_ITSELF(DynamicAddSliceOp)
GRAD_LINEARIZE_BY_ITSELF(PadOp)
GRAD_LINEARIZE_BY_ITSELF(ConcatenateOp)
GRAD_LINEARIZE_BY_ITSELF(ReverseOp)
GRAD_LINEARIZE_BY_ITSELF(ReduceSumOp)
GRAD_LINEARIZE_BY_ITSELF(CumsumOp)
GRAD_LINEARIZE_BY_ITSELF(GatherOp)
GRAD_LINEARIZE_BY_ITSELF(ScatterOp)
GRAD_LINEARIZE_BY_ITSELF(ScatterAddOp)
#undef GRAD_LINEARIZE_BY_ITSELF

LogicalResult BroadcastOp::transpose(TransposeContext &context) {
  Dimensions added;
  for (int64_t d = 0, rank = getShape().size(); d < rank; ++d)
    if (!llvm::is_contained(getDimensions(), d))
      added.push_back(d);
  context.addCotangent(
      getX(), ReduceSumOp::create(context.builder, getLoc(),
                                  context.getCotangent(getResult()), added));
  return success();
}

LogicalResult ReshapeOp::transpose(TransposeContext &context) {
  context.addCotangent(getX(),
                       ReshapeOp::create(context.builder, getLoc(),
                                         context.getCotangent(getResult()),
                                         typeOf(getX()).getShape()));
  return success();
}

LogicalResult TransposeOp::transpose(TransposeContext &context) {
  context.addCotangent(
      getX(), TransposeOp::create(context.builder, getLoc(),
                                  context.getCotangent(getResult()),
                                  invertPermutationVector(getPermutation())));
  return success();
}

static Value sumAll(OpBuilder &builder, Location loc, Value x) {
  auto dimensions = llvm::to_vector(llvm::seq<int64_t>(0, typeOf(x).getRank()));
  return ReduceSumOp::create(builder, loc, x, dimensions);
}

LogicalResult PadOp::transpose(TransposeContext &context) {
  if (!context.areTerms({getX(), getValue()}))
    return failure();
  OpBuilder &builder = context.builder;
  Value ct = context.getCotangent(getResult());
  Dimensions strides =
      llvm::map_to_vector(getInterior(), [](int64_t gap) { return gap + 1; });
  if (context.isLinear(getX()))
    context.addCotangent(getX(),
                         SliceOp::create(builder, getLoc(), ct, getLow(),
                                         typeOf(getX()).getShape(), strides));
  if (context.isLinear(getValue())) {
    Value border = UpdateSliceOp::create(
        builder, getLoc(), ct, createZero(builder, getLoc(), getX().getType()),
        getLow(), strides);
    context.addCotangent(getValue(), sumAll(builder, getLoc(), border));
  }
  return success();
}

LogicalResult ConcatenateOp::transpose(TransposeContext &context) {
  if (!context.areTerms(getInputs()))
    return failure();
  Value ct = context.getCotangent(getResult());
  Dimensions offsets(typeOf(ct).getRank(), 0), strides(offsets.size(), 1);
  for (Value input : getInputs()) {
    ArrayRef<int64_t> shape = typeOf(input).getShape();
    if (context.isLinear(input))
      context.addCotangent(input, SliceOp::create(context.builder, getLoc(), ct,
                                                  offsets, shape, strides));
    offsets[getDimension()] += shape[getDimension()];
  }
  return success();
}

LogicalResult ReverseOp::transpose(TransposeContext &context) {
  context.addCotangent(getX(),
                       ReverseOp::create(context.builder, getLoc(),
                                         context.getCotangent(getResult()),
                                         getDimensions()));
  return success();
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

/// `reduced` repeated along the dimensions that were reduced from `shape`.
static Value expandReduced(OpBuilder &builder, Location loc, Value reduced,
                           ArrayRef<int64_t> shape,
                           ArrayRef<int64_t> dimensions) {
  Dimensions kept;
  for (int64_t d = 0, rank = shape.size(); d < rank; ++d)
    if (!llvm::is_contained(dimensions, d))
      kept.push_back(d);
  return BroadcastOp::create(builder, loc, reduced, shape, kept);
}

LogicalResult ReduceSumOp::transpose(TransposeContext &context) {
  context.addCotangent(getX(), expandReduced(context.builder, getLoc(),
                                             context.getCotangent(getResult()),
                                             typeOf(getX()).getShape(),
                                             getDimensions()));
  return success();
}

/// The product rule up a binary tree of products: at each level the first half
/// times the second half, with a factor left over appended. No division, so
/// that it holds where factors are zero, and to any order.
LogicalResult ReduceProdOp::linearize(LinearizeContext &context) {
  Location loc = getLoc();
  OpBuilder &primal = context.primal, &linear = context.linear;
  Value x = getX(), t = context.getTangent(x);
  // One trailing dimension of all factors.
  RankedTensorType type = typeOf(x);
  Dimensions permutation, shape;
  int64_t size = 1;
  for (int64_t d = 0; d < type.getRank(); ++d)
    if (!llvm::is_contained(getDimensions(), d)) {
      permutation.push_back(d);
      shape.push_back(type.getDimSize(d));
    } else {
      size *= type.getDimSize(d);
    }
  if (size == 0)
    return success();
  llvm::append_range(permutation, getDimensions());
  shape.push_back(size);
  auto arrange = [&](OpBuilder &builder, Value value) -> Value {
    value = TransposeOp::create(builder, loc, value, permutation);
    return ReshapeOp::create(builder, loc, value, shape);
  };
  x = arrange(primal, x);
  t = arrange(linear, t);
  Dimensions strides(shape.size(), 1);
  auto slice = [&](OpBuilder &builder, Value value, int64_t begin,
                   int64_t length) -> Value {
    Dimensions offsets(shape.size(), 0), sizes(shape);
    offsets.back() = begin;
    sizes.back() = length;
    return SliceOp::create(builder, loc, value, offsets, sizes, strides);
  };
  auto multiply = [&](OpBuilder &builder, Value a, Value c) -> Value {
    return MultiplyOp::create(builder, loc, a, c);
  };
  auto append = [&](OpBuilder &builder, Value front, Value back) -> Value {
    return ConcatenateOp::create(builder, loc, ValueRange{front, back},
                                 shape.size() - 1);
  };
  while (size > 1) {
    int64_t half = size / 2;
    Value x1 = slice(primal, x, 0, half), x2 = slice(primal, x, half, half);
    Value t1 = slice(linear, t, 0, half), t2 = slice(linear, t, half, half);
    Value product = multiply(primal, x1, x2);
    Value tangent = AddOp::create(linear, loc, multiply(linear, t1, x2),
                                  multiply(linear, t2, x1));
    if (size % 2) {
      product = append(primal, product, slice(primal, x, size - 1, 1));
      tangent = append(linear, tangent, slice(linear, t, size - 1, 1));
    }
    x = product;
    t = tangent;
    size = half + size % 2;
    shape.back() = size;
  }
  context.setTangent(
      getResult(),
      ReshapeOp::create(linear, loc, t, typeOf(getResult()).getShape()));
  return success();
}

/// The mean of the tangents at the elements equal to the extreme, which are
/// those that nothing `Beyond` them excludes; NaN where the extreme is NaN.
template <typename Beyond, typename Op>
static LogicalResult linearizeExtreme(Op op, LinearizeContext &context) {
  Location loc = op.getLoc();
  OpBuilder &primal = context.primal, &linear = context.linear;
  Value x = op.getX();
  RankedTensorType type = typeOf(x), reduced = typeOf(op.getResult());
  Value extreme = expandReduced(primal, loc, op.getResult(), type.getShape(),
                                op.getDimensions());
  // Nothing is beyond NaN: then all elements take part.
  Value missed = Beyond::create(primal, loc, extreme, x);
  Value zeros = createZero(primal, loc, type);
  Value ones = createSplat(primal, loc, type, 1);
  Value weight = SelectOp::create(primal, loc, missed, zeros, ones);
  Value count = ReduceSumOp::create(primal, loc, weight, op.getDimensions());
  Value isNaN = IsnanOp::create(primal, loc, op.getResult());
  Value nans = createSplat(primal, loc, reduced,
                           std::numeric_limits<double>::quiet_NaN());
  count = SelectOp::create(primal, loc, isNaN, nans, count);
  // Not a product with `weight`: 0 times an infinity is NaN.
  Value chosen =
      SelectOp::create(linear, loc, missed, zeros, context.getTangent(x));
  Value sum = ReduceSumOp::create(linear, loc, chosen, op.getDimensions());
  context.setTangent(op.getResult(), DivideOp::create(linear, loc, sum, count));
  return success();
}

LogicalResult ReduceMaxOp::linearize(LinearizeContext &context) {
  return linearizeExtreme<GreaterOp>(*this, context);
}
LogicalResult ReduceMinOp::linearize(LinearizeContext &context) {
  return linearizeExtreme<LessOp>(*this, context);
}

LogicalResult CumsumOp::transpose(TransposeContext &context) {
  context.addCotangent(getX(),
                       CumsumOp::create(context.builder, getLoc(),
                                        context.getCotangent(getResult()),
                                        getDimension(), !getReverse()));
  return success();
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

LogicalResult StopGradientOp::linearize(LinearizeContext &) {
  return success();
}
