//===- GradDerivatives.cpp - Tangent and transpose rules ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The rules of the ops that are not described by partial derivatives, in the
// order of the .td files. Null values are symbolic zeros.
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

using Tangents = ArrayRef<Value>;
using Results = SmallVectorImpl<Value>;
using Linear = ArrayRef<bool>;
using Cotangents = MutableArrayRef<Value>;
using Dimensions = SmallVector<int64_t>;

static RankedTensorType typeOf(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// The tangent of an op that is linear in all float operands: the op itself on
/// the tangents, with zeros for the symbolic ones.
static LogicalResult linearizeByItself(Operation *op, OpBuilder &builder,
                                       Tangents tangents, Results &results) {
  SmallVector<Value> operands;
  for (auto [operand, tangent] : llvm::zip_equal(op->getOperands(), tangents)) {
    if (tangent)
      operands.push_back(tangent);
    else if (isDifferentiable(operand.getType()))
      operands.push_back(createZeros(builder, op->getLoc(), operand.getType()));
    else
      operands.push_back(operand);
  }
  Operation *copy = builder.clone(*op);
  copy->setOperands(operands);
  llvm::append_range(results, copy->getResults());
  return success();
}

//===----------------------------------------------------------------------===//
// Elementwise
//===----------------------------------------------------------------------===//

LogicalResult AddOp::transpose(OpBuilder &, Linear linear, Tangents ct,
                               Cotangents cotangents) {
  for (unsigned i : {0, 1})
    if (linear[i])
      cotangents[i] = ct[0];
  // A constant term is no part of a linear function.
  return success(linear[0] && linear[1]);
}

LogicalResult SubtractOp::transpose(OpBuilder &builder, Linear linear,
                                    Tangents ct, Cotangents cotangents) {
  cotangents[0] = ct[0];
  cotangents[1] = NegativeOp::create(builder, getLoc(), ct[0]);
  return success(linear[0] && linear[1]);
}

LogicalResult MultiplyOp::transpose(OpBuilder &builder, Linear linear,
                                    Tangents ct, Cotangents cotangents) {
  if (linear[0] == linear[1])
    return failure();
  unsigned i = linear[0] ? 0 : 1;
  cotangents[i] =
      MultiplyOp::create(builder, getLoc(), ct[0], getOperand(1 - i));
  return success();
}

LogicalResult DivideOp::transpose(OpBuilder &builder, Linear linear,
                                  Tangents ct, Cotangents cotangents) {
  if (linear[1])
    return failure();
  cotangents[0] = DivideOp::create(builder, getLoc(), ct[0], getRhs());
  return success();
}

LogicalResult NegativeOp::transpose(OpBuilder &builder, Linear, Tangents ct,
                                    Cotangents cotangents) {
  cotangents[0] = NegativeOp::create(builder, getLoc(), ct[0]);
  return success();
}

LogicalResult SelectOp::linearize(OpBuilder &builder, Tangents tangents,
                                  Results &results) {
  auto orZeros = [&](Value tangent) {
    return tangent ? tangent : createZeros(builder, getLoc(), getType());
  };
  results.push_back(SelectOp::create(builder, getLoc(), getCondition(),
                                     orZeros(tangents[1]),
                                     orZeros(tangents[2])));
  return success();
}

LogicalResult SelectOp::transpose(OpBuilder &builder, Linear linear,
                                  Tangents ct, Cotangents cotangents) {
  if (linear[0])
    return failure();
  Value zeros = createZeros(builder, getLoc(), getType());
  if (linear[1])
    cotangents[1] =
        SelectOp::create(builder, getLoc(), getCondition(), ct[0], zeros);
  if (linear[2])
    cotangents[2] =
        SelectOp::create(builder, getLoc(), getCondition(), zeros, ct[0]);
  return success();
}

LogicalResult ConvertOp::linearize(OpBuilder &builder, Tangents tangents,
                                   Results &results) {
  results.push_back(
      isDifferentiable(getType())
          ? ConvertOp::create(builder, getLoc(), tangents[0], getDtype())
                .getResult()
          : Value());
  return success();
}

LogicalResult ConvertOp::transpose(OpBuilder &builder, Linear, Tangents ct,
                                   Cotangents cotangents) {
  // Rounding to integers is not linear.
  if (!isDifferentiable(getX().getType()) || !isDifferentiable(getType()))
    return failure();
  cotangents[0] = ConvertOp::create(builder, getLoc(), ct[0],
                                    typeOf(getX()).getElementType());
  return success();
}

//===----------------------------------------------------------------------===//
// Shape
//===----------------------------------------------------------------------===//

#define GRAD_LINEARIZE_BY_ITSELF(OP)                                           \
  LogicalResult OP::linearize(OpBuilder &builder, Tangents tangents,           \
                              Results &results) {                              \
    return linearizeByItself(*this, builder, tangents, results);               \
  }
GRAD_LINEARIZE_BY_ITSELF(BroadcastOp)
GRAD_LINEARIZE_BY_ITSELF(ReshapeOp)
GRAD_LINEARIZE_BY_ITSELF(TransposeOp)
GRAD_LINEARIZE_BY_ITSELF(SliceOp)
GRAD_LINEARIZE_BY_ITSELF(DynamicSliceOp)
GRAD_LINEARIZE_BY_ITSELF(UpdateSliceOp)
GRAD_LINEARIZE_BY_ITSELF(DynamicUpdateSliceOp)
GRAD_LINEARIZE_BY_ITSELF(PadOp)
GRAD_LINEARIZE_BY_ITSELF(ConcatenateOp)
GRAD_LINEARIZE_BY_ITSELF(ReverseOp)
GRAD_LINEARIZE_BY_ITSELF(ReduceSumOp)
GRAD_LINEARIZE_BY_ITSELF(CumsumOp)
GRAD_LINEARIZE_BY_ITSELF(GatherOp)
GRAD_LINEARIZE_BY_ITSELF(ScatterAddOp)
#undef GRAD_LINEARIZE_BY_ITSELF

LogicalResult BroadcastOp::transpose(OpBuilder &builder, Linear, Tangents ct,
                                     Cotangents cotangents) {
  Dimensions added;
  for (int64_t d = 0, rank = getShape().size(); d < rank; ++d)
    if (!llvm::is_contained(getDimensions(), d))
      added.push_back(d);
  cotangents[0] = ReduceSumOp::create(builder, getLoc(), ct[0], added);
  return success();
}

LogicalResult ReshapeOp::transpose(OpBuilder &builder, Linear, Tangents ct,
                                   Cotangents cotangents) {
  cotangents[0] =
      ReshapeOp::create(builder, getLoc(), ct[0], typeOf(getX()).getShape());
  return success();
}

static Dimensions invert(ArrayRef<int64_t> permutation) {
  Dimensions inverse(permutation.size());
  for (auto [i, d] : llvm::enumerate(permutation))
    inverse[d] = i;
  return inverse;
}

LogicalResult TransposeOp::transpose(OpBuilder &builder, Linear, Tangents ct,
                                     Cotangents cotangents) {
  cotangents[0] =
      TransposeOp::create(builder, getLoc(), ct[0], invert(getPermutation()));
  return success();
}

LogicalResult SliceOp::transpose(OpBuilder &builder, Linear, Tangents ct,
                                 Cotangents cotangents) {
  RankedTensorType type = typeOf(getX());
  if (typeOf(ct[0]).getNumElements() == 0) {
    cotangents[0] = createZeros(builder, getLoc(), type);
    return success();
  }
  Dimensions high, interior;
  for (int64_t d = 0; d < type.getRank(); ++d) {
    int64_t last = getOffsets()[d] + (getSizes()[d] - 1) * getStrides()[d];
    high.push_back(type.getDimSize(d) - last - 1);
    interior.push_back(getStrides()[d] - 1);
  }
  Value zero = createZeros(builder, getLoc(),
                           RankedTensorType::get({}, type.getElementType()));
  cotangents[0] = PadOp::create(builder, getLoc(), ct[0], zero, getOffsets(),
                                high, interior);
  return success();
}

LogicalResult DynamicSliceOp::transpose(OpBuilder &builder, Linear linear,
                                        Tangents ct, Cotangents cotangents) {
  if (llvm::is_contained(linear.drop_front(), true))
    return failure();
  Value zeros = createZeros(builder, getLoc(), getX().getType());
  cotangents[0] = DynamicUpdateSliceOp::create(builder, getLoc(), zeros, ct[0],
                                               getIndices());
  return success();
}

LogicalResult UpdateSliceOp::transpose(OpBuilder &builder, Linear linear,
                                       Tangents ct, Cotangents cotangents) {
  if (linear[0]) {
    Value zeros = createZeros(builder, getLoc(), getUpdate().getType());
    cotangents[0] = UpdateSliceOp::create(builder, getLoc(), ct[0], zeros,
                                          getOffsets(), getStrides());
  }
  if (linear[1])
    cotangents[1] =
        SliceOp::create(builder, getLoc(), ct[0], getOffsets(),
                        typeOf(getUpdate()).getShape(), getStrides());
  return success();
}

LogicalResult DynamicUpdateSliceOp::transpose(OpBuilder &builder, Linear linear,
                                              Tangents ct,
                                              Cotangents cotangents) {
  if (llvm::is_contained(linear.drop_front(2), true))
    return failure();
  if (linear[0]) {
    Value zeros = createZeros(builder, getLoc(), getUpdate().getType());
    cotangents[0] = DynamicUpdateSliceOp::create(builder, getLoc(), ct[0],
                                                 zeros, getIndices());
  }
  if (linear[1])
    cotangents[1] = DynamicSliceOp::create(
        builder, getLoc(), ct[0], getIndices(), typeOf(getUpdate()).getShape());
  return success();
}

static Value sumAll(OpBuilder &builder, Location loc, Value x) {
  auto dimensions = llvm::to_vector(llvm::seq<int64_t>(0, typeOf(x).getRank()));
  return ReduceSumOp::create(builder, loc, x, dimensions);
}

LogicalResult PadOp::transpose(OpBuilder &builder, Linear linear, Tangents ct,
                               Cotangents cotangents) {
  Dimensions strides =
      llvm::map_to_vector(getInterior(), [](int64_t gap) { return gap + 1; });
  if (linear[0])
    cotangents[0] = SliceOp::create(builder, getLoc(), ct[0], getLow(),
                                    typeOf(getX()).getShape(), strides);
  if (linear[1]) {
    Value border = UpdateSliceOp::create(
        builder, getLoc(), ct[0],
        createZeros(builder, getLoc(), getX().getType()), getLow(), strides);
    cotangents[1] = sumAll(builder, getLoc(), border);
  }
  return success();
}

LogicalResult ConcatenateOp::transpose(OpBuilder &builder, Linear linear,
                                       Tangents ct, Cotangents cotangents) {
  Dimensions offsets(typeOf(ct[0]).getRank(), 0), strides(offsets.size(), 1);
  for (auto [i, input] : llvm::enumerate(getInputs())) {
    ArrayRef<int64_t> shape = typeOf(input).getShape();
    if (linear[i])
      cotangents[i] =
          SliceOp::create(builder, getLoc(), ct[0], offsets, shape, strides);
    offsets[getDimension()] += shape[getDimension()];
  }
  return success();
}

LogicalResult ReverseOp::transpose(OpBuilder &builder, Linear, Tangents ct,
                                   Cotangents cotangents) {
  cotangents[0] = ReverseOp::create(builder, getLoc(), ct[0], getDimensions());
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

LogicalResult ReduceSumOp::transpose(OpBuilder &builder, Linear, Tangents ct,
                                     Cotangents cotangents) {
  cotangents[0] = expandReduced(builder, getLoc(), ct[0],
                                typeOf(getX()).getShape(), getDimensions());
  return success();
}

/// The product rule up a binary tree of products: at each level the first half
/// times the second half, with a factor left over appended. No division, so
/// that it holds where factors are zero, and to any order.
LogicalResult ReduceProdOp::linearize(OpBuilder &builder, Tangents tangents,
                                      Results &results) {
  Location loc = getLoc();
  Value x = getX(), t = tangents[0];
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
  if (size == 0) {
    results.push_back(Value());
    return success();
  }
  llvm::append_range(permutation, getDimensions());
  shape.push_back(size);
  for (Value *value : {&x, &t}) {
    *value = TransposeOp::create(builder, loc, *value, permutation);
    *value = ReshapeOp::create(builder, loc, *value, shape);
  }
  Dimensions strides(shape.size(), 1);
  auto slice = [&](Value value, int64_t begin, int64_t length) -> Value {
    Dimensions offsets(shape.size(), 0), sizes(shape);
    offsets.back() = begin;
    sizes.back() = length;
    return SliceOp::create(builder, loc, value, offsets, sizes, strides);
  };
  auto multiply = [&](Value a, Value c) -> Value {
    return MultiplyOp::create(builder, loc, a, c);
  };
  int64_t last = shape.size() - 1;
  while (size > 1) {
    int64_t half = size / 2;
    Value x1 = slice(x, 0, half), x2 = slice(x, half, half);
    Value t1 = slice(t, 0, half), t2 = slice(t, half, half);
    Value product = multiply(x1, x2);
    Value tangent =
        AddOp::create(builder, loc, multiply(t1, x2), multiply(t2, x1));
    if (size % 2) {
      product = ConcatenateOp::create(
          builder, loc, ValueRange{product, slice(x, size - 1, 1)}, last);
      tangent = ConcatenateOp::create(
          builder, loc, ValueRange{tangent, slice(t, size - 1, 1)}, last);
    }
    x = product;
    t = tangent;
    size = half + size % 2;
    shape.back() = size;
  }
  results.push_back(
      ReshapeOp::create(builder, loc, t, typeOf(getResult()).getShape()));
  return success();
}

/// The mean of the tangents at the elements equal to the extreme.
template <typename Op>
static LogicalResult linearizeExtreme(Op op, OpBuilder &builder,
                                      Tangents tangents, Results &results) {
  Location loc = op.getLoc();
  Value x = op.getX();
  RankedTensorType type = typeOf(x);
  Value extreme = expandReduced(builder, loc, op.getResult(), type.getShape(),
                                op.getDimensions());
  Value hit = EqualOp::create(builder, loc, x, extreme);
  Value weight = ConvertOp::create(builder, loc, hit, type.getElementType());
  Value count = ReduceSumOp::create(builder, loc, weight, op.getDimensions());
  // Not a product with `weight`: 0 times an infinity is NaN.
  Value zeros = createZeros(builder, loc, type);
  Value chosen = SelectOp::create(builder, loc, hit, tangents[0], zeros);
  Value sum = ReduceSumOp::create(builder, loc, chosen, op.getDimensions());
  results.push_back(DivideOp::create(builder, loc, sum, count));
  return success();
}

LogicalResult ReduceMaxOp::linearize(OpBuilder &builder, Tangents tangents,
                                     Results &results) {
  return linearizeExtreme(*this, builder, tangents, results);
}
LogicalResult ReduceMinOp::linearize(OpBuilder &builder, Tangents tangents,
                                     Results &results) {
  return linearizeExtreme(*this, builder, tangents, results);
}

LogicalResult CumsumOp::transpose(OpBuilder &builder, Linear, Tangents ct,
                                  Cotangents cotangents) {
  cotangents[0] =
      CumsumOp::create(builder, getLoc(), ct[0], getDimension(), !getReverse());
  return success();
}

//===----------------------------------------------------------------------===//
// Products and indexing
//===----------------------------------------------------------------------===//

LogicalResult DotGeneralOp::linearize(OpBuilder &builder, Tangents tangents,
                                      Results &results) {
  auto product = [&](Value lhs, Value rhs) -> Value {
    return DotGeneralOp::create(builder, getLoc(), lhs, rhs, getLhsBatch(),
                                getRhsBatch(), getLhsContract(),
                                getRhsContract());
  };
  Value left = tangents[0] ? product(tangents[0], getRhs()) : Value();
  Value right = tangents[1] ? product(getLhs(), tangents[1]) : Value();
  results.push_back(
      left && right ? AddOp::create(builder, getLoc(), left, right).getResult()
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

LogicalResult DotGeneralOp::transpose(OpBuilder &builder, Linear linear,
                                      Tangents ct, Cotangents cotangents) {
  if (linear[0] == linear[1])
    return failure();
  unsigned i = linear[0] ? 0 : 1;
  cotangents[i] = transposeFactor(*this, builder, ct[0], /*left=*/linear[0]);
  return success();
}

LogicalResult GatherOp::transpose(OpBuilder &builder, Linear linear,
                                  Tangents ct, Cotangents cotangents) {
  if (linear[1])
    return failure();
  Value zeros = createZeros(builder, getLoc(), getX().getType());
  cotangents[0] =
      ScatterAddOp::create(builder, getLoc(), zeros, getIndices(), ct[0]);
  return success();
}

LogicalResult ScatterAddOp::transpose(OpBuilder &builder, Linear linear,
                                      Tangents ct, Cotangents cotangents) {
  if (linear[1])
    return failure();
  if (linear[0])
    cotangents[0] = ct[0];
  if (linear[2])
    cotangents[2] = GatherOp::create(builder, getLoc(), ct[0], getIndices());
  return success();
}

//===----------------------------------------------------------------------===//
// Functions
//===----------------------------------------------------------------------===//

LogicalResult StopGradientOp::linearize(OpBuilder &, Tangents,
                                        Results &results) {
  results.push_back(Value());
  return success();
}
