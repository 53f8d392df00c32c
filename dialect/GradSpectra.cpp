//===- GradSpectra.cpp - Rules of general square matrices -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Factorisations of general square matrices, by their eigenvalues, and the
// equations with triangular matrices that their derivatives and functions of
// matrices come down to.
//
//===----------------------------------------------------------------------===//

#include "dialect/GradSpectra.h"
#include "dialect/MatrixAlgebra.h"

using namespace mlir;
using namespace mlir::grad;

template <typename... Ops> static void insertAll(Dialect &dialect) {
  (RegisteredOperationName::insert<Ops>(dialect), ...);
}

void grad::addSpectra(Dialect &dialect) {
  insertAll<
#define GET_OP_LIST
#include "dialect/GradSpectra.cpp.inc"
      >(dialect);
}

// A batch is more matrices.
LogicalResult EigOp::batch(BatchContext &context) {
  return batchByItself(*this, context);
}
LogicalResult SchurOp::batch(BatchContext &context) {
  return batchByItself(*this, context);
}
LogicalResult TriangularSylvesterOp::batch(BatchContext &context) {
  return batchByItself(*this, context);
}
LogicalResult TriangularSqrtOp::batch(BatchContext &context) {
  return batchByItself(*this, context);
}

/// A one in each column of complex `v` where its largest component is, else a
/// zero.
static Value largestOf(const Algebra &primal, Value v) {
  OpBuilder &b = primal.builder;
  Value re = primal.real(v), im = ImagOp::create(b, primal.loc, v);
  Value size = primal.add(primal.scale(re, re), primal.scale(im, im));
  int64_t rows = Algebra::rank(v) - 2;
  Value largest = ArgmaxOp::create(b, primal.loc, size, rows);
  Value row =
      IotaOp::create(b, primal.loc, rows, typeOf(v).getShape(), b.getI64Type());
  Value isLargest =
      EqualOp::create(b, primal.loc, row, primal.rows(largest, row.getType()));
  return ConvertOp::create(b, primal.loc, isLargest, Algebra::partOf(v));
}

/// From a v = v w, with s = inverse(v) da v: dw is the diagonal of s, and
/// inverse(v) dv has s[i, j] / (w[j] - w[i]) beside its diagonal. On the
/// diagonal is what leaves the columns as long as they are, and their largest
/// components real.
LogicalResult EigOp::linearize(LinearizeContext &context) {
  Rule rule(context, getLoc());
  const Algebra &primal = rule.primal, &linear = rule.linear;
  Value v = getVectors();
  Value da = linear.convert(context.getTangent(getA()), v);
  auto lu = LuOp::create(context.primal, getLoc(), v);
  Value s = LuSolveOp::create(context.linear, getLoc(), v, lu.getFactors(),
                              lu.getPivots(), linear.multiply(da, v),
                              /*transposed=*/false);
  context.setTangent(getValues(), rule.diagonal(s));

  Value distance = primal.subtract(primal.rows(getValues(), v.getType()),
                                   primal.columns(getValues(), v.getType()));
  Value dv = linear.multiply(v, linear.scale(s, rule.inverse(distance)));
  auto sumOfColumns = [&](Value x) -> Value {
    return ReduceSumOp::create(linear.builder, getLoc(), x,
                               SmallVector<int64_t>{Algebra::rank(x) - 2});
  };
  Value along =
      linear.real(sumOfColumns(linear.scale(primal.conjugate(v), dv)));
  Value largest = largestOf(primal, v);
  Value components = primal.scale(largest, primal.real(v));
  // One element of each column is not zero.
  Value across = ImagOp::create(linear.builder, getLoc(), dv);
  across = sumOfColumns(linear.scale(across, rule.inverse(components)));
  Value diagonal = ComplexOp::create(
      linear.builder, getLoc(), linear.negate(along), linear.negate(across));
  context.setTangent(
      v, linear.add(dv, linear.scale(linear.rows(diagonal, v.getType()), v)));
  return success();
}

/// Where a matrix that is triangular but for blocks of two rows on the diagonal
/// has an element of such a block below the diagonal.
static Value isInBlock(const Algebra &primal, Value matrix) {
  OpBuilder &b = primal.builder;
  int64_t last = Algebra::rank(matrix) - 1;
  ArrayRef<int64_t> shape = typeOf(matrix).getShape();
  Value row = IotaOp::create(b, primal.loc, last - 1, shape, b.getI64Type());
  Value column = IotaOp::create(b, primal.loc, last, shape, b.getI64Type());
  Value next =
      primal.add(column, createSplat(b, primal.loc, typeOf(column), 1));
  return LogicalAndOp::create(
      b, primal.loc, EqualOp::create(b, primal.loc, row, next),
      NotEqualOp::create(b, primal.loc, matrix,
                         primal.zeros(matrix.getType())));
}

/// From a = z t adjoint(z), with s = adjoint(z) da z and w = adjoint(z) dz,
/// which is anti-Hermitian: dt = s - w t + t w. Below the diagonal, dt is zero,
/// which is an equation for that part of w. Within a block of a real form, w
/// keeps the elements on the diagonal equal.
LogicalResult SchurOp::linearize(LinearizeContext &context) {
  Rule rule(context, getLoc());
  const Algebra &primal = rule.primal, &linear = rule.linear;
  Value z = getVectors(), t = getForm();
  Value s = linear.multiply(
      linear.multiply(primal.conjugate(z), context.getTangent(getA()), Left),
      z);
  auto commute = [&](Value w) {
    return linear.subtract(linear.multiply(t, w), linear.multiply(w, t));
  };
  Value below = TriangularSylvesterOp::create(
      context.linear, getLoc(), t, primal.negate(t), linear.negate(s),
      /*transposed=*/false, /*below=*/true);
  Value w = linear.subtract(below, linear.adjoint(below));
  Value dt = linear.add(s, commute(w));
  Value isKept = primal.where<LessEqualOp>(t);
  if (!Algebra::isComplex(t)) {
    Value isBlock = isInBlock(primal, t);
    Value d = rule.diagonal(dt);
    Value distance = linear.subtract(linear.columns(d, t.getType()),
                                     linear.rows(d, t.getType()));
    Value sides = primal.add(t, primal.transpose(t));
    Value inside = linear.select(
        isBlock,
        linear.scale(distance, rule.inverse(primal.add(sides, sides))));
    Value turn = linear.subtract(inside, linear.transpose(inside));
    w = linear.add(w, turn);
    dt = linear.add(dt, commute(turn));
    isKept = LogicalOrOp::create(context.primal, getLoc(), isKept, isBlock);
  }
  context.setTangent(z, linear.multiply(z, w));
  context.setTangent(t, linear.select(isKept, dt));
  return success();
}

/// `tangent`, where an upper triangular matrix, with blocks on the diagonal if
/// it is real, is read; else zero.
static Value keepRead(const Rule &rule, Value matrix, Value tangent) {
  Value isRead = rule.primal.where<LessEqualOp>(matrix);
  if (!Algebra::isComplex(matrix))
    isRead = LogicalOrOp::create(rule.primal.builder, rule.primal.loc, isRead,
                                 isInBlock(rule.primal, matrix));
  return rule.linear.select(isRead, tangent);
}

/// From op(a) x + x op(b) = c: op(a) dx + dx op(b) = dc - op(da) x - x op(db);
/// of da and db counts what is read of a and b.
LogicalResult TriangularSylvesterOp::linearize(LinearizeContext &context) {
  Rule rule(context, getLoc());
  const Algebra &linear = rule.linear;
  Value rhs = context.getTangent(getRhs());
  auto subtract = [&](Value product) {
    rhs = rhs ? linear.subtract(rhs, product) : linear.negate(product);
  };
  if (Value a = context.getTangent(getA()))
    subtract(linear.multiply(keepRead(rule, getA(), a), getX(),
                             getTransposed() ? Left : Neither));
  if (Value b = context.getTangent(getB()))
    subtract(linear.multiply(getX(), keepRead(rule, getB(), b),
                             getTransposed() ? Right : Neither));
  context.setTangent(getX(), TriangularSylvesterOp::create(
                                 context.linear, getLoc(), getA(), getB(), rhs,
                                 getTransposed(), getBelow()));
  return success();
}

LogicalResult TriangularSylvesterOp::transpose(TransposeContext &context) {
  if (context.isLinear(getA()) || context.isLinear(getB()))
    return failure();
  context.addCotangent(getRhs(), TriangularSylvesterOp::create(
                                     context.builder, getLoc(), getA(), getB(),
                                     context.getCotangent(getX()),
                                     !getTransposed(), getBelow()));
  return success();
}

/// From r r = a: r dr + dr r = da.
LogicalResult TriangularSqrtOp::linearize(LinearizeContext &context) {
  Rule rule(context, getLoc());
  Value r = getRoot();
  context.setTangent(r, TriangularSylvesterOp::create(
                            context.linear, getLoc(), r, r,
                            keepRead(rule, getA(), context.getTangent(getA())),
                            /*transposed=*/false, /*below=*/false));
  return success();
}

#define GET_OP_CLASSES
#include "dialect/GradSpectra.cpp.inc"
