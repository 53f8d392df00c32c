//===- GradOpsFactorizations.cpp - Types of factorisations ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/GradSpectra.h"
#include "dialect/Rules.h"
#include "dialect/TypeChecks.h"

using namespace mlir;
using namespace mlir::grad;

using Location_ = std::optional<Location>;
using Types = SmallVectorImpl<Type>;
using Shape = SmallVector<int64_t>;

/// A stack of matrices: the dimensions before the last two, and these.
namespace {
struct Stack {
  explicit Stack(Value x)
      : type(typeOf(x)), batch(type.getShape().drop_back(2)),
        rows(type.getShape().end()[-2]), columns(type.getShape().back()) {}

  /// One tensor of `sizes` for each matrix.
  RankedTensorType with(ArrayRef<int64_t> sizes, Type element) const {
    Shape shape(batch);
    llvm::append_range(shape, sizes);
    return RankedTensorType::get(shape, element);
  }
  RankedTensorType with(ArrayRef<int64_t> sizes) const {
    return with(sizes, type.getElementType());
  }
  /// The element type, or that of its parts.
  Type part() const {
    Type element = type.getElementType();
    auto complex = dyn_cast<ComplexType>(element);
    return complex ? complex.getElementType() : element;
  }
  RankedTensorType status() const {
    return with({}, IntegerType::get(type.getContext(), 32));
  }
  int64_t smaller() const { return std::min(rows, columns); }

  RankedTensorType type;
  ArrayRef<int64_t> batch;
  int64_t rows, columns;
};
} // namespace

static LogicalResult checkMatrices(Location_ loc, StringRef op, StringRef name,
                                   Value x) {
  if (typeOf(x).getRank() >= 2)
    return success();
  return emitOptionalError(loc, "'grad.", op, "' op expected ", name,
                           " to be matrices, but got ", x.getType());
}

static LogicalResult checkSquare(Location_ loc, StringRef op, Value x) {
  if (failed(checkMatrices(loc, op, "a", x)))
    return failure();
  if (Stack matrices(x); matrices.rows == matrices.columns)
    return success();
  return emitOptionalError(loc, "'grad.", op,
                           "' op expected square matrices, but got ",
                           x.getType());
}

/// The sides of systems of equations, with one matrix of each for one of the
/// other; the matrix of the system has as many rows as `rhs` has in `dim`.
static LogicalResult checkSystem(Location_ loc, StringRef op, Value a,
                                 Value rhs, int64_t dim) {
  if (failed(checkSquare(loc, op, a)) ||
      failed(checkMatrices(loc, op, "rhs", rhs)) ||
      failed(checkElementType(loc, op, a, "rhs", rhs)))
    return failure();
  Stack matrices(a), sides(rhs);
  if (matrices.batch != sides.batch)
    return emitOptionalError(loc, "'grad.", op,
                             "' op expected a right-hand side for each matrix, "
                             "but got ",
                             a.getType(), " and ", rhs.getType());
  int64_t size = sides.type.getShape().end()[dim];
  if (size == matrices.rows)
    return success();
  return emitOptionalError(loc, "'grad.", op,
                           "' op expected right-hand sides of size ",
                           matrices.rows, ", but got ", size);
}

LogicalResult CholeskyOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                           Adaptor adaptor, Types &types) {
  if (failed(checkSquare(loc, "cholesky", adaptor.getA())))
    return failure();
  Stack matrices(adaptor.getA());
  types.append({matrices.type, matrices.status()});
  return success();
}

LogicalResult LuOp::inferReturnTypes(MLIRContext *context, Location_ loc,
                                     Adaptor adaptor, Types &types) {
  if (failed(checkMatrices(loc, "lu", "a", adaptor.getA())))
    return failure();
  Stack matrices(adaptor.getA());
  types.append(
      {matrices.type,
       matrices.with({matrices.smaller()}, IntegerType::get(context, 32)),
       matrices.with({matrices.rows}, IntegerType::get(context, 64)),
       matrices.status()});
  return success();
}

LogicalResult LuSolveOp::inferReturnTypes(MLIRContext *context, Location_ loc,
                                          Adaptor adaptor, Types &types) {
  if (failed(
          checkSystem(loc, "lu_solve", adaptor.getA(), adaptor.getRhs(), -2)))
    return failure();
  Stack matrices(adaptor.getA());
  if (adaptor.getFactors().getType() != matrices.type)
    return emitOptionalError(
        loc, "'grad.lu_solve' op expected factors of type ", matrices.type,
        ", but got ", adaptor.getFactors().getType());
  Type pivots = matrices.with({matrices.rows}, IntegerType::get(context, 32));
  if (adaptor.getPivots().getType() != pivots)
    return emitOptionalError(loc, "'grad.lu_solve' op expected pivots of type ",
                             pivots, ", but got ",
                             adaptor.getPivots().getType());
  types.push_back(adaptor.getRhs().getType());
  return success();
}

LogicalResult TriangularSolveOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                                  Adaptor adaptor,
                                                  Types &types) {
  if (failed(checkSystem(loc, "triangular_solve", adaptor.getA(),
                         adaptor.getRhs(), adaptor.getLeft() ? -2 : -1)))
    return failure();
  types.push_back(adaptor.getRhs().getType());
  return success();
}

LogicalResult QrOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                     Adaptor adaptor, Types &types) {
  if (failed(checkMatrices(loc, "qr", "a", adaptor.getA())))
    return failure();
  Stack a(adaptor.getA());
  int64_t columns = adaptor.getFull() ? a.rows : a.smaller();
  types.append({a.with({a.rows, columns}), a.with({columns, a.columns})});
  return success();
}

LogicalResult EighOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                       Adaptor adaptor, Types &types) {
  if (failed(checkSquare(loc, "eigh", adaptor.getA())))
    return failure();
  Stack a(adaptor.getA());
  types.append({a.with({a.rows}, a.part()), a.type, a.status()});
  return success();
}

LogicalResult SvdOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                      Adaptor adaptor, Types &types) {
  if (failed(checkMatrices(loc, "svd", "a", adaptor.getA())))
    return failure();
  Stack a(adaptor.getA());
  bool full = adaptor.getFull();
  types.append({a.with({a.rows, full ? a.rows : a.smaller()}),
                a.with({a.smaller()}, a.part()),
                a.with({full ? a.columns : a.smaller(), a.columns}),
                a.status()});
  return success();
}

LogicalResult EigOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                      Adaptor adaptor, Types &types) {
  if (failed(checkSquare(loc, "eig", adaptor.getA())))
    return failure();
  Stack a(adaptor.getA());
  Type element = ComplexType::get(a.part());
  types.append({a.with({a.rows}, element), a.with({a.rows, a.columns}, element),
                a.status()});
  return success();
}

LogicalResult SchurOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                        Adaptor adaptor, Types &types) {
  if (failed(checkSquare(loc, "schur", adaptor.getA())))
    return failure();
  Stack a(adaptor.getA());
  types.append({a.type, a.type, a.status()});
  return success();
}

LogicalResult TriangularSylvesterOp::inferReturnTypes(MLIRContext *,
                                                      Location_ loc,
                                                      Adaptor adaptor,
                                                      Types &types) {
  StringRef name = "triangular_sylvester";
  if (failed(checkSystem(loc, name, adaptor.getA(), adaptor.getRhs(), -2)) ||
      failed(checkSystem(loc, name, adaptor.getB(), adaptor.getRhs(), -1)))
    return failure();
  if (adaptor.getBelow() &&
      adaptor.getA().getType() != adaptor.getB().getType())
    return emitOptionalError(
        loc, "'grad.", name,
        "' op expected a and b of one type, as it is about what is below, but "
        "got ",
        adaptor.getA().getType(), " and ", adaptor.getB().getType());
  types.push_back(adaptor.getRhs().getType());
  return success();
}

LogicalResult TriangularSqrtOp::inferReturnTypes(MLIRContext *, Location_ loc,
                                                 Adaptor adaptor,
                                                 Types &types) {
  if (failed(checkSquare(loc, "triangular_sqrt", adaptor.getA())))
    return failure();
  types.push_back(adaptor.getA().getType());
  return success();
}
