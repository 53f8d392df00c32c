//===- GradSparse.cpp - Products with sparse matrices ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Types, derivatives and batched forms of `grad.sparse_dot` and
// `grad.sampled_dot`. A batch of dense matrices with one sparse matrix is a
// matrix with more columns; what else is batched becomes the blocks on the
// diagonal of one larger matrix.
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "dialect/TypeChecks.h"

#include <limits>

using namespace mlir;
using namespace mlir::grad;

using Location_ = std::optional<Location>;
using Types = SmallVectorImpl<Type>;
using Shape = SmallVector<int64_t>;

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

/// Pointers are a vector of one more than there are rows.
static LogicalResult checkPointers(Location_ loc, StringRef op,
                                   Value pointers) {
  RankedTensorType type = typeOf(pointers);
  if (type.getRank() != 1 || type.getDimSize(0) == 0)
    return emitOptionalError(loc, "'grad.", op,
                             "' op expected pointers to be a vector of at "
                             "least one element, but got ",
                             type);
  return success();
}

static LogicalResult checkDense(Location_ loc, StringRef op, StringRef name,
                                Value x, int64_t rows) {
  RankedTensorType type = typeOf(x);
  if (type.getRank() < 1 || type.getRank() > 2 || type.getDimSize(0) != rows)
    return emitOptionalError(loc, "'grad.", op, "' op expected ", name,
                             " to be a vector or matrix of ", rows,
                             " rows, but got ", type);
  return success();
}

static int64_t countRows(Value pointers) {
  return typeOf(pointers).getDimSize(0) - 1;
}

LogicalResult SparseDotOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                            Adaptor adaptor, Types &types) {
  StringRef name = "sparse_dot";
  RankedTensorType data = typeOf(adaptor.getData()), x = typeOf(adaptor.getX());
  if (failed(checkElementType(loc, name, adaptor.getData(), "x",
                              adaptor.getX())) ||
      failed(checkPointers(loc, name, adaptor.getPointers())))
    return failure();
  if (data.getRank() != 1 ||
      data.getShape() != typeOf(adaptor.getIndices()).getShape())
    return emitOptionalError(loc,
                             "'grad.sparse_dot' op expected a vector of data "
                             "and as many indices, but got ",
                             data, " and ", adaptor.getIndices().getType());
  int64_t rows = countRows(adaptor.getPointers()),
          columns = adaptor.getColumns();
  if (columns < 0)
    return emitOptionalError(loc,
                             "'grad.sparse_dot' op expected columns to be at "
                             "least 0, but got ",
                             columns);
  if (adaptor.getTransposed())
    std::swap(rows, columns);
  if (failed(checkDense(loc, name, "x", adaptor.getX(), columns)))
    return failure();
  Shape shape(x.getShape());
  shape.front() = rows;
  types.push_back(x.clone(shape));
  return success();
}

LogicalResult SampledDotOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                             Adaptor adaptor, Types &types) {
  StringRef name = "sampled_dot";
  RankedTensorType lhs = typeOf(adaptor.getLhs()),
                   rhs = typeOf(adaptor.getRhs()),
                   indices = typeOf(adaptor.getIndices());
  if (failed(checkElementType(loc, name, adaptor.getLhs(), "rhs",
                              adaptor.getRhs())) ||
      failed(checkPointers(loc, name, adaptor.getPointers())) ||
      failed(checkDense(loc, name, "lhs", adaptor.getLhs(),
                        countRows(adaptor.getPointers()))))
    return failure();
  if (rhs.getRank() != lhs.getRank() ||
      rhs.getShape().drop_front() != lhs.getShape().drop_front())
    return emitOptionalError(loc,
                             "'grad.sampled_dot' op expected lhs and rhs to "
                             "differ in the number of rows alone, but got ",
                             lhs, " and ", rhs);
  if (indices.getRank() != 1)
    return emitOptionalError(loc,
                             "'grad.sampled_dot' op expected a vector of "
                             "indices, but got ",
                             indices);
  types.push_back(lhs.clone(indices.getShape()));
  return success();
}

//===----------------------------------------------------------------------===//
// Derivatives
//===----------------------------------------------------------------------===//

/// The tangent of a product: of either factor, with the other one.
static Value sumOfTangents(OpBuilder &builder, Location loc, Value left,
                           Value right) {
  if (!left || !right)
    return left ? left : right;
  return AddOp::create(builder, loc, left, right);
}

LogicalResult SparseDotOp::linearize(LinearizeContext &context) {
  auto product = [&](Value data, Value x) -> Value {
    return SparseDotOp::create(context.linear, getLoc(), data, getIndices(),
                               getPointers(), x, getColumns(), getTransposed());
  };
  Value data = context.getTangent(getData()), x = context.getTangent(getX());
  if (data)
    data = product(data, getX());
  if (x)
    x = product(getData(), x);
  context.setTangent(getResult(),
                     sumOfTangents(context.linear, getLoc(), data, x));
  return success();
}

LogicalResult SparseDotOp::transpose(TransposeContext &context) {
  OpBuilder &builder = context.builder;
  bool inData = context.isLinear(getData());
  if (inData == context.isLinear(getX()))
    return failure();
  Value ct = context.getCotangent(getResult());
  if (!inData) {
    context.addCotangent(getX(),
                         SparseDotOp::create(builder, getLoc(), getData(),
                                             getIndices(), getPointers(), ct,
                                             getColumns(), !getTransposed()));
    return success();
  }
  Value ofRows = ct, ofColumns = getX();
  if (getTransposed())
    std::swap(ofRows, ofColumns);
  context.addCotangent(
      getData(), SampledDotOp::create(builder, getLoc(), ofRows, ofColumns,
                                      getIndices(), getPointers()));
  return success();
}

LogicalResult SampledDotOp::linearize(LinearizeContext &context) {
  auto product = [&](Value lhs, Value rhs) -> Value {
    return SampledDotOp::create(context.linear, getLoc(), lhs, rhs,
                                getIndices(), getPointers());
  };
  Value lhs = context.getTangent(getLhs()), rhs = context.getTangent(getRhs());
  if (lhs)
    lhs = product(lhs, getRhs());
  if (rhs)
    rhs = product(getLhs(), rhs);
  context.setTangent(getResult(),
                     sumOfTangents(context.linear, getLoc(), lhs, rhs));
  return success();
}

LogicalResult SampledDotOp::transpose(TransposeContext &context) {
  bool inLhs = context.isLinear(getLhs());
  if (inLhs == context.isLinear(getRhs()))
    return failure();
  context.addCotangent(inLhs ? getLhs() : getRhs(),
                       SparseDotOp::create(context.builder, getLoc(),
                                           context.getCotangent(getResult()),
                                           getIndices(), getPointers(),
                                           inLhs ? getRhs() : getLhs(),
                                           typeOf(getRhs()).getDimSize(0),
                                           /*transposed=*/!inLhs));
  return success();
}

//===----------------------------------------------------------------------===//
// Batched forms
//===----------------------------------------------------------------------===//

namespace {

/// Sparse matrices of a batch, as blocks on the diagonal of one.
struct Blocks {
  /// Of matrices of `columns` columns that have their elements at these places.
  Blocks(BatchContext &context, Location loc, Value indices, Value pointers,
         int64_t columns)
      : builder(context.builder), loc(loc), batch(context.size) {
    int64_t count = typeOf(indices).getDimSize(0), rows = countRows(pointers);
    this->columns = batch * columns;
    this->indices = merged(shifted(context.getBatched(indices), columns));
    // A row begins where the one before it ends.
    Value begins = SliceOp::create(
        builder, loc, shifted(context.getBatched(pointers), count), Shape{0, 0},
        Shape{batch, rows}, Shape{1, 1});
    begins = merged(begins);
    Value end = createSplat(builder, loc, typeOf(begins).clone({1}),
                            static_cast<double>(batch * count));
    this->pointers =
        ConcatenateOp::create(builder, loc, ValueRange{begins, end}, 0);
  }

  /// A batch, as more of the first dimension.
  Value merged(Value x) {
    Shape shape(typeOf(x).getShape().drop_front());
    shape.front() *= batch;
    return ReshapeOp::create(builder, loc, x, shape);
  }

  /// The other way around, to what `one` is without a batch.
  Value split(Value x, Value one) {
    Shape shape(typeOf(one).getShape());
    shape.insert(shape.begin(), batch);
    return ReshapeOp::create(builder, loc, x, shape);
  }

  Value indices, pointers;
  int64_t columns;

private:
  /// Row `b` of a matrix of positions, and `b * step`.
  Value shifted(Value positions, int64_t step) {
    Type type = typeOf(positions).getElementType();
    if (batch * step > std::numeric_limits<int32_t>::max()) {
      type = builder.getI64Type();
      positions = ConvertOp::create(builder, loc, positions, type);
    }
    Value steps =
        IotaOp::create(builder, loc, 0, typeOf(positions).getShape(), type);
    Value factor =
        createSplat(builder, loc, typeOf(positions), static_cast<double>(step));
    return AddOp::create(builder, loc, positions,
                         MultiplyOp::create(builder, loc, steps, factor));
  }

  OpBuilder &builder;
  Location loc;
  int64_t batch;
};

} // namespace

LogicalResult SparseDotOp::batch(BatchContext &context) {
  OpBuilder &builder = context.builder;
  auto product = [&](Value data, Value indices, Value pointers, Value x,
                     int64_t columns) -> Value {
    return SparseDotOp::create(builder, getLoc(), data, indices, pointers, x,
                               columns, getTransposed());
  };
  if (context.isBatched(getData()) || context.isBatched(getIndices()) ||
      context.isBatched(getPointers())) {
    Blocks blocks(context, getLoc(), getIndices(), getPointers(), getColumns());
    Value result =
        product(blocks.merged(context.getBatched(getData())), blocks.indices,
                blocks.pointers, blocks.merged(context.getBatched(getX())),
                blocks.columns);
    context.setBatched(getResult(), blocks.split(result, getResult()));
    return success();
  }
  // The batch becomes the second dimension of x, in front of the columns.
  Value x = context.get(getX());
  Shape shape(typeOf(x).getShape());
  Shape order{1, 0};
  if (shape.size() == 3)
    order.push_back(2);
  int64_t width = ShapedType::getNumElements(ArrayRef(shape).drop_front(2));
  x = TransposeOp::create(builder, getLoc(), x, order);
  x = builder.createOrFold<ReshapeOp>(getLoc(), x,
                                      Shape{shape[1], shape[0] * width});
  Value result = product(context.get(getData()), context.get(getIndices()),
                         context.get(getPointers()), x, getColumns());
  shape[1] = typeOf(result).getDimSize(0);
  std::swap(shape[0], shape[1]);
  result = builder.createOrFold<ReshapeOp>(getLoc(), result, shape);
  context.setBatched(getResult(),
                     TransposeOp::create(builder, getLoc(), result, order));
  return success();
}

LogicalResult SampledDotOp::batch(BatchContext &context) {
  Blocks blocks(context, getLoc(), getIndices(), getPointers(),
                typeOf(getRhs()).getDimSize(0));
  Value result = SampledDotOp::create(
      context.builder, getLoc(), blocks.merged(context.getBatched(getLhs())),
      blocks.merged(context.getBatched(getRhs())), blocks.indices,
      blocks.pointers);
  context.setBatched(getResult(), blocks.split(result, getResult()));
  return success();
}
