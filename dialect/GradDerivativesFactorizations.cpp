//===- GradDerivativesFactorizations.cpp - Rules of factorisations --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each rule solves the equations that a factorisation stands for, after these
// have been differentiated, for the tangents of the factors (Giles 2008, Murray
// 2016). What a factor must be, triangular or orthogonal, tells which part of a
// product is whose. Of complex matrices, transposes are adjoints, antisymmetric
// ones anti-Hermitian, and the phases of vectors do not turn.
//
//===----------------------------------------------------------------------===//

#include "dialect/MatrixAlgebra.h"

using namespace mlir;
using namespace mlir::grad;

using Dimensions = SmallVector<int64_t>;

/// From a = l adjoint(l), with s = inverse(l) da inverse(adjoint(l)):
/// inverse(l) dl + adjoint(inverse(l) dl) = s, of which the first term is lower
/// triangular, with a real diagonal.
LogicalResult CholeskyOp::linearize(LinearizeContext &context) {
  Rule rule(context, getLoc());
  Value l = getFactor();
  Value s = rule.mirrored(context.getTangent(getA()));
  s = rule.linear.solve(l, s, /*left=*/true, /*lower=*/true);
  s = rule.linear.solve(rule.primal.conjugate(l), s, /*left=*/false,
                        /*lower=*/true, /*transposed=*/true);
  Value half = createSplat(context.primal, getLoc(), typeOf(s), 0.5);
  Value part = rule.linear.add(rule.strictlyLower(s),
                               rule.linear.scale(rule.keep<EqualOp>(s), half));
  context.setTangent(l, rule.linear.multiply(l, part));
  return success();
}

/// From p a = l u: inverse(l) p da inverse(u) = inverse(l) dl + du inverse(u),
/// of which the first term is strictly lower, the second upper triangular. A
/// matrix that is not square is one with unit vectors beside its factors.
LogicalResult LuOp::linearize(LinearizeContext &context) {
  Rule rule(context, getLoc());
  const Algebra &primal = rule.primal, &linear = rule.linear;
  Value lu = getFactors();
  int64_t m = typeOf(lu).getShape().end()[-2], n = typeOf(lu).getShape().back(),
          k = std::min(m, n);

  Dimensions shape(typeOf(getPermutation()).getShape());
  shape.push_back(1);
  Value order =
      ReshapeOp::create(context.primal, getLoc(), getPermutation(), shape);
  Value permuted =
      GatherOp::create(context.linear, getLoc(), context.getTangent(getA()),
                       order, /*batch=*/shape.size() - 2);

  Value lower = primal.extend(primal.part(lu, -1, k), -1, m);
  Value upper = primal.extend(primal.part(lu, -2, k), -2, n);
  // Ones on the diagonals.
  auto withOnes = [&](Value x, Value kept) -> Value {
    Value ones = createSplat(context.primal, getLoc(), typeOf(x), 1);
    Value others =
        SelectOp::create(context.primal, getLoc(), primal.where<EqualOp>(x),
                         ones, primal.zeros(x.getType()));
    return SelectOp::create(context.primal, getLoc(), kept, x, others);
  };
  Value l = withOnes(lower, primal.where<GreaterOp>(lower));
  Value u = primal.select(primal.where<LessEqualOp>(upper), upper);
  if (k < n) {
    Value column =
        IotaOp::create(context.primal, getLoc(), Algebra::rank(u) - 1,
                       typeOf(u).getShape(), context.primal.getI64Type());
    Value last = createSplat(context.primal, getLoc(), typeOf(column), k);
    Value isBefore = LessOp::create(context.primal, getLoc(), column, last);
    Value isAbove = primal.where<LessOp>(u);
    u = withOnes(
        u, LogicalOrOp::create(context.primal, getLoc(), isBefore, isAbove));
  }
  Value s = linear.solve(l, permuted, /*left=*/true, /*lower=*/true,
                         /*transposed=*/false, /*unit=*/true);
  s = linear.solve(u, s, /*left=*/false, /*lower=*/false);
  context.setTangent(lu, linear.add(linear.multiply(l, rule.strictlyLower(s)),
                                    linear.multiply(rule.upper(s), u)));
  return success();
}

/// From a x = b: a dx = db - da x.
LogicalResult LuSolveOp::linearize(LinearizeContext &context) {
  Rule rule(context, getLoc());
  Value rhs = context.getTangent(getRhs());
  if (Value a = context.getTangent(getA())) {
    Value product =
        rule.linear.multiply(a, getX(), getTransposed() ? Left : Neither);
    rhs =
        rhs ? rule.linear.subtract(rhs, product) : rule.linear.negate(product);
  }
  // None follows the factors.
  if (rhs)
    context.setTangent(getX(),
                       LuSolveOp::create(context.linear, getLoc(), getA(),
                                         getFactors(), getPivots(), rhs,
                                         getTransposed()));
  return success();
}

LogicalResult LuSolveOp::transpose(TransposeContext &context) {
  if (context.isLinear(getA()) || context.isLinear(getFactors()))
    return failure();
  context.addCotangent(getRhs(),
                       LuSolveOp::create(context.builder, getLoc(), getA(),
                                         getFactors(), getPivots(),
                                         context.getCotangent(getX()),
                                         !getTransposed()));
  return success();
}

/// From op(a) x = b: op(a) dx = db - op(da) x; of da counts what is read of a.
LogicalResult TriangularSolveOp::linearize(LinearizeContext &context) {
  Rule rule(context, getLoc());
  const Algebra &linear = rule.linear;
  Value rhs = context.getTangent(getRhs());
  if (Value a = context.getTangent(getA())) {
    if (getUnit())
      a = getLower() ? rule.strictlyLower(a) : rule.keep<LessOp>(a);
    else
      a = getLower() ? rule.lower(a) : rule.upper(a);
    Value product =
        getLeft()
            ? linear.multiply(a, getX(), getTransposed() ? Left : Neither)
            : linear.multiply(getX(), a, getTransposed() ? Right : Neither);
    rhs = rhs ? linear.subtract(rhs, product) : linear.negate(product);
  }
  context.setTangent(getX(), linear.solve(getA(), rhs, getLeft(), getLower(),
                                          getTransposed(), getUnit()));
  return success();
}

LogicalResult TriangularSolveOp::transpose(TransposeContext &context) {
  if (context.isLinear(getA()))
    return failure();
  context.addCotangent(getRhs(), TriangularSolveOp::create(
                                     context.builder, getLoc(), getA(),
                                     context.getCotangent(getX()), getLeft(),
                                     getLower(), !getTransposed(), getUnit()));
  return success();
}

/// From a = q r, for columns that are independent: da inverse(r) is dq + q dr
/// inverse(r), where adjoint(q) dq is anti-Hermitian and dr inverse(r) upper
/// triangular, with a real diagonal. The columns of a wide matrix behind these
/// have only r.
LogicalResult QrOp::linearize(LinearizeContext &context) {
  Rule rule(context, getLoc());
  const Algebra &primal = rule.primal, &linear = rule.linear;
  Value a = getA(), da = context.getTangent(a);
  int64_t m = typeOf(a).getShape().end()[-2], n = typeOf(a).getShape().back(),
          k = std::min(m, n);
  bool isWide = m < n, hasMore = getFull() && m > n;
  Value q = hasMore ? primal.part(getQ(), -1, k) : getQ();
  Value r = isWide    ? primal.part(getR(), -1, k)
            : hasMore ? primal.part(getR(), -2, k)
                      : getR();

  Value s = linear.solve(r, isWide ? linear.part(da, -1, k) : da,
                         /*left=*/false, /*lower=*/false);
  Value qc = primal.conjugate(q);
  Value inside = linear.multiply(qc, s, Left);
  Value rest = linear.subtract(inside, rule.turn(inside));
  Value dq = linear.subtract(s, linear.multiply(q, rest));
  Value dr = linear.multiply(rest, r);
  if (isWide) {
    Value y = primal.part(a, -1, k, /*behind=*/true),
          dy = linear.part(da, -1, k, /*behind=*/true);
    dr = linear.join(dr,
                     linear.add(linear.multiply(linear.conjugate(dq), y, Left),
                                linear.multiply(qc, dy, Left)),
                     -1);
  }
  if (hasMore) {
    Value others = primal.part(getQ(), -1, k, /*behind=*/true);
    dq = linear.join(dq, rule.turned(q, dq, others), -1);
    dr = linear.extend(dr, -2, m);
  }
  context.setTangent(getQ(), dq);
  context.setTangent(getR(), dr);
  return success();
}

/// From a v = v w, with s = adjoint(v) da v: dw is the diagonal of s, and
/// adjoint(v) dv, which is anti-Hermitian, s[i, j] / (w[j] - w[i]).
LogicalResult EighOp::linearize(LinearizeContext &context) {
  Rule rule(context, getLoc());
  const Algebra &primal = rule.primal, &linear = rule.linear;
  Value v = getVectors();
  Value s = linear.multiply(
      linear.multiply(primal.conjugate(v),
                      rule.mirrored(context.getTangent(getA())), Left),
      v);
  context.setTangent(getValues(), linear.real(rule.diagonal(s)));
  Value distance = primal.subtract(primal.rows(getValues(), v.getType()),
                                   primal.columns(getValues(), v.getType()));
  Value factor = primal.convert(rule.inverse(distance), v);
  context.setTangent(v, linear.multiply(v, linear.scale(s, factor)));
  return success();
}

/// From a = u s adjoint(v), with p = adjoint(u) da v: ds is the real part of
/// the diagonal of p. Of adjoint(u) du and adjoint(v) dv, which are
/// anti-Hermitian, the elements (i, j) are p[i, j] s[j] + conj(p[j, i]) s[i]
/// and p[i, j] s[i] + conj(p[j, i]) s[j], both divided by s[j]^2 - s[i]^2. What
/// turns the phases of a, i imag(p[i, i]) / s[i], turns those of v. What a tall
/// a moves out of the span of u is divided by s; so is what a wide one moves
/// out of that of v.
LogicalResult SvdOp::linearize(LinearizeContext &context) {
  Rule rule(context, getLoc());
  const Algebra &primal = rule.primal, &linear = rule.linear;
  Value da = context.getTangent(getA()), s = getS();
  int64_t m = typeOf(da).getShape().end()[-2], n = typeOf(da).getShape().back(),
          k = std::min(m, n);
  bool isTall = m > n, isWide = m < n;
  Value u = getFull() && isTall ? primal.part(getU(), -1, k) : getU();
  Value vh = getFull() && isWide ? primal.part(getVh(), -2, k) : getVh();
  Value uc = primal.conjugate(u), vhc = primal.conjugate(vh);

  Value dav = linear.multiply(da, vhc, Right),
        uda = linear.multiply(uc, da, Left);
  Value p = isTall ? linear.multiply(uc, dav, Left)
                   : linear.multiply(uda, vhc, Right);
  context.setTangent(s, linear.real(rule.diagonal(p)));

  Value inRows = primal.rows(s, p.getType()),
        inColumns = primal.columns(s, p.getType());
  Value factor = primal.convert(
      rule.inverse(primal.scale(primal.add(inRows, inColumns),
                                primal.subtract(inRows, inColumns))),
      p);
  Value inverse = primal.convert(rule.inverse(s), p);
  auto turn = [&](Value sizes) {
    Value scaled = linear.scale(p, primal.convert(sizes, p));
    return linear.scale(linear.add(scaled, linear.adjoint(scaled)), factor);
  };
  Value du = linear.multiply(u, turn(inRows));
  // The turn of v is anti-Hermitian: that of vh has the other sign.
  Value turnOfVh = linear.negate(turn(inColumns));
  if (Algebra::isComplex(p))
    turnOfVh = linear.add(
        turnOfVh, linear.scale(linear.imaginaryPart(rule.keep<EqualOp>(p)),
                               primal.rows(inverse, p.getType())));
  Value dvh = linear.multiply(turnOfVh, vh);
  if (isTall)
    du =
        linear.add(du, linear.scale(linear.subtract(dav, linear.multiply(u, p)),
                                    primal.rows(inverse, u.getType())));
  if (isWide)
    dvh = linear.add(dvh,
                     linear.scale(linear.subtract(uda, linear.multiply(p, vh)),
                                  primal.columns(inverse, vh.getType())));
  if (getFull() && isTall)
    du = linear.join(
        du, rule.turned(u, du, primal.part(getU(), -1, k, /*behind=*/true)),
        -1);
  if (getFull() && isWide) {
    Value others = primal.part(getVh(), -2, k, /*behind=*/true);
    // The same of rows: others adjoint(dvh) is its adjoint.
    Value along = linear.multiply(others, linear.conjugate(dvh), Right);
    dvh = linear.join(dvh, linear.negate(linear.multiply(along, vh)), -2);
  }
  context.setTangent(getU(), du);
  context.setTangent(getVh(), dvh);
  return success();
}
