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
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

using Dimensions = SmallVector<int64_t>;

/// The tangent of an op that is linear in all float operands: the op itself on
/// the tangents, with zeros for the symbolic ones.
static LogicalResult linearizeByItself(Operation *op,
                                       LinearizeContext &context) {
  SmallVector<Value> operands;
  for (Value operand : op->getOperands()) {
    if (Value tangent = context.getTangent(operand))
      operands.push_back(tangent);
    else if (isDifferentiable(operand.getType()))
      operands.push_back(
          createZero(context.primal, op->getLoc(), operand.getType()));
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

/// Whether all of `values` may be parts of a linear function: a constant part
/// other than zero may not.
static bool areTerms(const TransposeContext &context, ValueRange values) {
  return llvm::all_of(
      values, [&](Value v) { return context.isLinear(v) || isZero(v); });
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

LogicalResult AddOp::transpose(TransposeContext &context) {
  Value ct = context.getCotangent(getResult());
  context.addCotangent(getLhs(), ct);
  context.addCotangent(getRhs(), ct);
  return success(areTerms(context, getOperands()));
}

LogicalResult SubtractOp::transpose(TransposeContext &context) {
  Value ct = context.getCotangent(getResult());
  context.addCotangent(getLhs(), ct);
  context.addCotangent(getRhs(),
                       NegativeOp::create(context.builder, getLoc(), ct));
  return success(areTerms(context, getOperands()));
}

namespace {
/// A cotangent that is zero but where `condition` is as `holds` says.
struct Masked {
  Value value; ///< What it is there; null for the cotangent itself.
  Value condition;
  bool holds;
};
} // namespace

static std::optional<Masked> findMask(OpBuilder &builder, Value ct,
                                      unsigned depth);

/// Where a masked cotangent may differ from zero.
static Value findSupport(OpBuilder &builder, const Masked &mask,
                         unsigned depth) {
  Location loc = mask.condition.getLoc();
  Value holds = mask.condition;
  if (!mask.holds)
    holds = LogicalNotOp::create(builder, loc, holds);
  if (mask.value)
    if (std::optional<Masked> inner = findMask(builder, mask.value, depth))
      holds = LogicalAndOp::create(builder, loc, holds,
                                   findSupport(builder, *inner, depth));
  return holds;
}

/// Finds the choice between a cotangent and zeros that a `select` left behind,
/// through what was done to it since; looks at `depth` ops at most.
static std::optional<Masked> findMask(OpBuilder &builder, Value ct,
                                      unsigned depth) {
  Operation *op = ct.getDefiningOp();
  if (!op || depth == 0)
    return std::nullopt;
  --depth;
  Location loc = op->getLoc();
  if (auto select = dyn_cast<SelectOp>(op)) {
    bool holds = isZero(select.getOnFalse());
    if (holds == isZero(select.getOnTrue()))
      return std::nullopt;
    return Masked{holds ? select.getOnTrue() : select.getOnFalse(),
                  select.getCondition(), holds};
  }
  if (isa<AddOp>(op)) {
    std::optional<Masked> left = findMask(builder, op->getOperand(0), depth);
    std::optional<Masked> right =
        left ? findMask(builder, op->getOperand(1), depth) : std::nullopt;
    if (!right)
      return std::nullopt;
    Value either =
        LogicalOrOp::create(builder, loc, findSupport(builder, *left, depth),
                            findSupport(builder, *right, depth));
    return Masked{nullptr, either, true};
  }
  if (!isa<NegativeOp, ConvertOp, BroadcastOp, ReshapeOp, TransposeOp>(op))
    return std::nullopt;
  std::optional<Masked> mask = findMask(builder, op->getOperand(0), depth);
  if (!mask)
    return std::nullopt;
  // The same op on the value and, if it moves elements, on the condition.
  auto apply = [&](Value x) -> Value {
    if (auto broadcast = dyn_cast<BroadcastOp>(op))
      return BroadcastOp::create(builder, loc, x, broadcast.getShape(),
                                 broadcast.getDimensions());
    if (auto reshape = dyn_cast<ReshapeOp>(op))
      return ReshapeOp::create(builder, loc, x, reshape.getShape());
    if (auto transpose = dyn_cast<TransposeOp>(op))
      return TransposeOp::create(builder, loc, x, transpose.getPermutation());
    if (auto convert = dyn_cast<ConvertOp>(op))
      return ConvertOp::create(builder, loc, x, convert.getDtype());
    return NegativeOp::create(builder, loc, x);
  };
  if (mask->value)
    mask->value = apply(mask->value);
  if (!isa<NegativeOp, ConvertOp>(op))
    mask->condition = apply(mask->condition);
  return mask;
}

/// The cotangent times a coefficient, or divided by one, as `scale` says. Where
/// a choice made it zero it stays zero, whatever the coefficient is: the
/// derivative of `where(x > 0, log(x), 0)` at 0 is 0.
static Value scaleCotangent(OpBuilder &builder, Location loc, Value ct,
                            function_ref<Value(Value)> scale) {
  constexpr unsigned kDepth = 16;
  std::optional<Masked> mask = findMask(builder, ct, kDepth);
  if (!mask)
    return scale(ct);
  Value value = mask->value ? scaleCotangent(builder, loc, mask->value, scale)
                            : scale(ct);
  Value zeros = createZero(builder, loc, value.getType());
  return SelectOp::create(builder, loc, mask->condition,
                          mask->holds ? value : zeros,
                          mask->holds ? zeros : value);
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
      !areTerms(context, {getOnTrue(), getOnFalse()}))
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

LogicalResult ConvertOp::linearize(LinearizeContext &context) {
  if (isDifferentiable(getType()))
    context.setTangent(
        getResult(), ConvertOp::create(context.linear, getLoc(),
                                       context.getTangent(getX()), getDtype()));
  return success();
}

LogicalResult ConvertOp::transpose(TransposeContext &context) {
  // Rounding to integers is not linear.
  if (!isDifferentiable(getX().getType()) || !isDifferentiable(getType()))
    return failure();
  context.addCotangent(getX(),
                       ConvertOp::create(context.builder, getLoc(),
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

static Dimensions invert(ArrayRef<int64_t> permutation) {
  Dimensions inverse(permutation.size());
  for (auto [i, d] : llvm::enumerate(permutation))
    inverse[d] = i;
  return inverse;
}

LogicalResult TransposeOp::transpose(TransposeContext &context) {
  context.addCotangent(getX(),
                       TransposeOp::create(context.builder, getLoc(),
                                           context.getCotangent(getResult()),
                                           invert(getPermutation())));
  return success();
}

LogicalResult SliceOp::transpose(TransposeContext &context) {
  context.updateCotangent(getX(), [&](Value sum) {
    return AddSliceOp::create(context.builder, getLoc(), sum,
                              context.getCotangent(getResult()), getOffsets(),
                              getStrides());
  });
  return success();
}

/// Whether one of `indices` is linear, though no op is linear in positions.
static bool anyLinear(const TransposeContext &context, ValueRange indices) {
  return llvm::any_of(indices, [&](Value v) { return context.isLinear(v); });
}

LogicalResult DynamicSliceOp::transpose(TransposeContext &context) {
  if (anyLinear(context, getIndices()))
    return failure();
  context.updateCotangent(getX(), [&](Value sum) {
    return DynamicAddSliceOp::create(context.builder, getLoc(), sum,
                                     context.getCotangent(getResult()),
                                     getIndices());
  });
  return success();
}

/// Gives the update of `op` the slice of the cotangent where it was put.
template <typename Op>
static LogicalResult transposeUpdate(Op op, TransposeContext &context) {
  Value update = op.getUpdate();
  if (!areTerms(context, {op.getX(), update}))
    return failure();
  if (context.isLinear(update))
    context.addCotangent(
        update,
        SliceOp::create(context.builder, op.getLoc(),
                        context.getCotangent(op.getResult()), op.getOffsets(),
                        typeOf(update).getShape(), op.getStrides()));
  return success();
}

template <typename Op>
static LogicalResult transposeDynamicUpdate(Op op, TransposeContext &context) {
  Value update = op.getUpdate();
  if (anyLinear(context, op.getIndices()) ||
      !areTerms(context, {op.getX(), update}))
    return failure();
  if (context.isLinear(update))
    context.addCotangent(
        update,
        DynamicSliceOp::create(context.builder, op.getLoc(),
                               context.getCotangent(op.getResult()),
                               op.getIndices(), typeOf(update).getShape()));
  return success();
}

LogicalResult UpdateSliceOp::transpose(TransposeContext &context) {
  if (failed(transposeUpdate(*this, context)))
    return failure();
  if (context.isLinear(getX())) {
    Value zeros = createZero(context.builder, getLoc(), getUpdate().getType());
    context.addCotangent(
        getX(), UpdateSliceOp::create(context.builder, getLoc(),
                                      context.getCotangent(getResult()), zeros,
                                      getOffsets(), getStrides()));
  }
  return success();
}

LogicalResult DynamicUpdateSliceOp::transpose(TransposeContext &context) {
  if (failed(transposeDynamicUpdate(*this, context)))
    return failure();
  if (context.isLinear(getX())) {
    Value zeros = createZero(context.builder, getLoc(), getUpdate().getType());
    context.addCotangent(
        getX(), DynamicUpdateSliceOp::create(context.builder, getLoc(),
                                             context.getCotangent(getResult()),
                                             zeros, getIndices()));
  }
  return success();
}

LogicalResult AddSliceOp::transpose(TransposeContext &context) {
  if (failed(transposeUpdate(*this, context)))
    return failure();
  context.addCotangent(getX(), context.getCotangent(getResult()));
  return success();
}

LogicalResult DynamicAddSliceOp::transpose(TransposeContext &context) {
  if (failed(transposeDynamicUpdate(*this, context)))
    return failure();
  context.addCotangent(getX(), context.getCotangent(getResult()));
  return success();
}

static Value sumAll(OpBuilder &builder, Location loc, Value x) {
  auto dimensions = llvm::to_vector(llvm::seq<int64_t>(0, typeOf(x).getRank()));
  return ReduceSumOp::create(builder, loc, x, dimensions);
}

LogicalResult PadOp::transpose(TransposeContext &context) {
  if (!areTerms(context, {getX(), getValue()}))
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
  if (!areTerms(context, getInputs()))
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
// Products and indexing
//===----------------------------------------------------------------------===//

LogicalResult DotGeneralOp::linearize(LinearizeContext &context) {
  OpBuilder &linear = context.linear;
  auto product = [&](Value lhs, Value rhs) -> Value {
    return DotGeneralOp::create(linear, getLoc(), lhs, rhs, getLhsBatch(),
                                getRhsBatch(), getLhsContract(),
                                getRhsContract());
  };
  Value left = context.getTangent(getLhs());
  Value right = context.getTangent(getRhs());
  if (left)
    left = product(left, getRhs());
  if (right)
    right = product(getLhs(), right);
  context.setTangent(
      getResult(),
      left && right ? AddOp::create(linear, getLoc(), left, right).getResult()
                    : (left ? left : right));
  return success();
}

/// The cotangent of one factor of `op`: the product of the result's cotangent
/// and the other factor over the other's free dimensions, transposed into
/// place.
static Value transposeFactor(DotGeneralOp op, OpBuilder &builder, Value ct,
                             bool left) {
  ArrayRef<int64_t> batch = left ? op.getLhsBatch() : op.getRhsBatch(),
                    contract = left ? op.getLhsContract() : op.getRhsContract(),
                    otherBatch = left ? op.getRhsBatch() : op.getLhsBatch(),
                    otherContract =
                        left ? op.getRhsContract() : op.getLhsContract();
  Value factor = left ? op.getLhs() : op.getRhs();
  Value other = left ? op.getRhs() : op.getLhs();
  auto freeDimensions = [](Value value, ArrayRef<int64_t> batch,
                           ArrayRef<int64_t> contract) {
    Dimensions free;
    for (int64_t d = 0, rank = typeOf(value).getRank(); d < rank; ++d)
      if (!llvm::is_contained(batch, d) && !llvm::is_contained(contract, d))
        free.push_back(d);
    return free;
  };
  Dimensions free = freeDimensions(factor, batch, contract);
  Dimensions otherFree = freeDimensions(other, otherBatch, otherContract);
  // Dimensions of the result: batch, free of lhs, free of rhs.
  int64_t batches = batch.size();
  int64_t begin = left ? batches + free.size() : batches;
  auto ctBatch = llvm::to_vector(llvm::seq<int64_t>(0, batches));
  auto ctContract =
      llvm::to_vector(llvm::seq<int64_t>(begin, begin + otherFree.size()));
  // Dimensions of `product`: batch, free, contracting in the order of `other`.
  Value product = DotGeneralOp::create(builder, op.getLoc(), ct, other, ctBatch,
                                       otherBatch, ctContract, otherFree);
  Dimensions order(batch);
  llvm::append_range(order, free);
  Dimensions sorted =
      llvm::to_vector(llvm::seq<int64_t>(0, otherContract.size()));
  llvm::sort(sorted, [&](int64_t a, int64_t c) {
    return otherContract[a] < otherContract[c];
  });
  for (int64_t i : sorted)
    order.push_back(contract[i]);
  return TransposeOp::create(builder, op.getLoc(), product, invert(order));
}

LogicalResult DotGeneralOp::transpose(TransposeContext &context) {
  bool left = context.isLinear(getLhs());
  if (left == context.isLinear(getRhs()))
    return failure();
  context.addCotangent(left ? getLhs() : getRhs(),
                       transposeFactor(*this, context.builder,
                                       context.getCotangent(getResult()),
                                       left));
  return success();
}

LogicalResult CorrelateOp::linearize(LinearizeContext &context) {
  Value x = context.getTangent(getX());
  Value kernel = context.getTangent(getKernel());
  auto correlate = [&](Value x, Value kernel) -> Value {
    return CorrelateOp::create(context.linear, getLoc(), x, kernel, getLow(),
                               getHigh());
  };
  if (x)
    x = correlate(x, getKernel());
  if (kernel)
    kernel = correlate(getX(), kernel);
  context.setTangent(
      getResult(),
      x && kernel
          ? AddOp::create(context.linear, getLoc(), x, kernel).getResult()
          : (x ? x : kernel));
  return success();
}

/// The sums of x[k + j - low] kernel[j] for all k: the longer one of the two
/// vectors is that along which the other is shifted.
static Value createCorrelation(OpBuilder &builder, Location loc, Value x,
                               Value kernel, int64_t low, int64_t high) {
  int64_t longer = typeOf(x).getShape().back();
  int64_t size = typeOf(kernel).getShape().back();
  if (size <= longer)
    return CorrelateOp::create(builder, loc, x, kernel, low, high);
  int64_t results = longer - size + 1 + low + high;
  Value reversed = CorrelateOp::create(builder, loc, kernel, x,
                                       results - 1 - low, results - 1 - high);
  return ReverseOp::create(builder, loc, reversed,
                           Dimensions{typeOf(reversed).getRank() - 1});
}

LogicalResult CorrelateOp::transpose(TransposeContext &context) {
  OpBuilder &builder = context.builder;
  bool isX = context.isLinear(getX());
  if (isX == context.isLinear(getKernel()))
    return failure();
  Value ct = context.getCotangent(getResult());
  int64_t low = getLow(), high = getHigh();
  if (!isX) {
    context.addCotangent(getKernel(), createCorrelation(builder, getLoc(),
                                                        getX(), ct, low, high));
    return success();
  }
  // x[i] meets kernel[j] in result i - j + low.
  int64_t size = typeOf(getKernel()).getShape().back();
  Value kernel =
      ReverseOp::create(builder, getLoc(), getKernel(),
                        Dimensions{typeOf(getKernel()).getRank() - 1});
  context.addCotangent(getX(),
                       createCorrelation(builder, getLoc(), ct, kernel,
                                         size - 1 - low, size - 1 - high));
  return success();
}

LogicalResult ConvolutionOp::linearize(LinearizeContext &context) {
  OpBuilder &linear = context.linear;
  auto convolution = [&](Value x, Value kernel) -> Value {
    return ConvolutionOp::create(linear, getLoc(), x, kernel, getStrides(),
                                 getLow(), getHigh(), getXDilation(),
                                 getKernelDilation());
  };
  Value x = context.getTangent(getX());
  Value kernel = context.getTangent(getKernel());
  if (x)
    x = convolution(x, getKernel());
  if (kernel)
    kernel = convolution(getX(), kernel);
  context.setTangent(
      getResult(), x && kernel
                       ? AddOp::create(linear, getLoc(), x, kernel).getResult()
                       : (x ? x : kernel));
  return success();
}

/// `x` with two dimensions exchanged.
static Value exchange(OpBuilder &builder, Value x, int64_t a, int64_t b) {
  auto order = llvm::to_vector(llvm::seq<int64_t>(0, typeOf(x).getRank()));
  std::swap(order[a], order[b]);
  return TransposeOp::create(builder, x.getLoc(), x, order);
}

/// x[i] meets kernel[k] in result p where p * stride + k * kernel_dilation is
/// i * x_dilation + low. In the transposes, two of i, k and p change places.
LogicalResult ConvolutionOp::transpose(TransposeContext &context) {
  OpBuilder &builder = context.builder;
  Location loc = getLoc();
  bool isX = context.isLinear(getX());
  if (isX == context.isLinear(getKernel()))
    return failure();
  Value ct = context.getCotangent(getResult());
  Value wanted = isX ? getX() : getKernel();
  if (hasNoElements(getX()) || hasNoElements(getKernel()) ||
      hasNoElements(ct)) {
    context.addCotangent(wanted, createZero(builder, loc, wanted.getType()));
    return success();
  }
  ArrayRef<int64_t> strides = getStrides(), xDilation = getXDilation(),
                    kernelDilation = getKernelDilation();
  Dimensions spatial, low, high;
  for (auto [d, pad] : llvm::enumerate(getLow())) {
    int64_t dim = d + 3;
    int64_t input = (typeOf(getX()).getDimSize(dim) - 1) * xDilation[d],
            window =
                (typeOf(getKernel()).getDimSize(dim) - 1) * kernelDilation[d],
            output = (typeOf(ct).getDimSize(dim) - 1) * strides[d];
    spatial.push_back(dim);
    low.push_back(isX ? window - pad : pad);
    high.push_back(isX ? input - output + pad : window + output - input - pad);
  }
  if (isX) {
    Value kernel = exchange(builder, getKernel(), 1, 2);
    if (!spatial.empty())
      kernel = ReverseOp::create(builder, loc, kernel, spatial);
    context.addCotangent(
        getX(), ConvolutionOp::create(builder, loc, ct, kernel, xDilation, low,
                                      high, strides, kernelDilation));
    return success();
  }
  Value product =
      ConvolutionOp::create(builder, loc, exchange(builder, getX(), 1, 2),
                            exchange(builder, ct, 1, 2), kernelDilation, low,
                            high, xDilation, strides);
  context.addCotangent(getKernel(), exchange(builder, product, 1, 2));
  return success();
}

LogicalResult GatherOp::transpose(TransposeContext &context) {
  if (context.isLinear(getIndices()))
    return failure();
  context.updateCotangent(getX(), [&](Value sum) {
    return ScatterAddOp::create(context.builder, getLoc(), sum, getIndices(),
                                context.getCotangent(getResult()), getBatch());
  });
  return success();
}

/// Whether each row of the scatter's indices is the last one that points at its
/// position: writes the rows' numbers, and looks which are still there.
static Value lastWrites(ScatterOp op, OpBuilder &builder) {
  Location loc = op.getLoc();
  auto indices = typeOf(op.getIndices());
  ArrayRef<int64_t> rows = indices.getShape().drop_back();
  Type number = builder.getI64Type();
  Value numbers = IotaOp::create(builder, loc, /*dimension=*/0,
                                 ShapedType::getNumElements(rows), number);
  if (rows.size() != 1)
    numbers = ReshapeOp::create(builder, loc, numbers, rows);
  auto positions =
      RankedTensorType::get(op.getType().getShape().take_front(
                                op.getBatch() + indices.getShape().back()),
                            number);
  Value written = ScatterOp::create(
      builder, loc, createZero(builder, loc, positions), op.getIndices(),
      numbers, /*unique=*/false, op.getBatch());
  Value last =
      GatherOp::create(builder, loc, written, op.getIndices(), op.getBatch());
  return EqualOp::create(builder, loc, last, numbers);
}

LogicalResult ScatterOp::transpose(TransposeContext &context) {
  if (context.isLinear(getIndices()) ||
      !areTerms(context, {getX(), getUpdates()}))
    return failure();
  OpBuilder &builder = context.builder;
  Value ct = context.getCotangent(getResult());
  auto type = typeOf(getUpdates());
  if (context.isLinear(getUpdates())) {
    Value part =
        GatherOp::create(builder, getLoc(), ct, getIndices(), getBatch());
    if (!getUnique()) {
      Value last = lastWrites(*this, builder);
      int64_t rank = typeOf(last).getRank();
      if (rank != type.getRank())
        last =
            BroadcastOp::create(builder, getLoc(), last, type.getShape(),
                                llvm::to_vector(llvm::seq<int64_t>(0, rank)));
      part = SelectOp::create(builder, getLoc(), last, part,
                              createZero(builder, getLoc(), type));
    }
    context.addCotangent(getUpdates(), part);
  }
  if (context.isLinear(getX()))
    context.addCotangent(getX(),
                         ScatterOp::create(builder, getLoc(), ct, getIndices(),
                                           createZero(builder, getLoc(), type),
                                           getUnique(), getBatch()));
  return success();
}

LogicalResult ScatterAddOp::transpose(TransposeContext &context) {
  if (context.isLinear(getIndices()) ||
      !areTerms(context, {getX(), getUpdates()}))
    return failure();
  Value ct = context.getCotangent(getResult());
  if (context.isLinear(getUpdates()))
    context.addCotangent(getUpdates(),
                         GatherOp::create(context.builder, getLoc(), ct,
                                          getIndices(), getBatch()));
  context.addCotangent(getX(), ct);
  return success();
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

LogicalResult StopGradientOp::linearize(LinearizeContext &) {
  return success();
}
