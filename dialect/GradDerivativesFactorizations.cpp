//===- GradDerivativesFactorizations.cpp - Rules of factorisations --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each rule solves the equations that a factorisation stands for, after these
// have been differentiated, for the tangents of the factors (Giles 2008, Murray
// 2016). What a factor must be, triangular or orthogonal, tells which part of a
// product is whose.
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

using Dimensions = SmallVector<int64_t>;

namespace {

/// Which of two matrices an operation transposes before.
enum Transposed { Neither, Left, Right };

/// Algebra of stacks of matrices, as code at one place.
struct Algebra {
  OpBuilder &builder;
  Location loc;

  Value add(Value x, Value y) const {
    return AddOp::create(builder, loc, x, y);
  }
  Value subtract(Value x, Value y) const {
    return SubtractOp::create(builder, loc, x, y);
  }
  Value negate(Value x) const { return NegativeOp::create(builder, loc, x); }
  Value scale(Value x, Value y) const {
    return MultiplyOp::create(builder, loc, x, y);
  }
  Value zeros(Type type) const { return createZero(builder, loc, type); }

  Value transpose(Value x) const {
    auto order = llvm::to_vector(llvm::seq<int64_t>(0, rank(x)));
    std::swap(order.end()[-1], order.end()[-2]);
    return TransposeOp::create(builder, loc, x, order);
  }

  Value multiply(Value x, Value y, Transposed which = Neither) const {
    int64_t last = rank(x) - 1;
    auto batch = llvm::to_vector(llvm::seq<int64_t>(0, last - 1));
    return DotGeneralOp::create(builder, loc, x, y, batch, batch,
                                Dimensions{which == Left ? last - 1 : last},
                                Dimensions{which == Right ? last : last - 1});
  }

  Value solve(Value a, Value rhs, bool left, bool lower,
              bool transposed = false, bool unit = false) const {
    return TriangularSolveOp::create(builder, loc, a, rhs, left, lower,
                                     transposed, unit);
  }

  /// Where, in matrices of the shape of `x`, the row is `Compare`d to the
  /// column.
  template <typename Compare> Value where(Value x) const {
    Type index = builder.getI64Type();
    ArrayRef<int64_t> shape = typeOf(x).getShape();
    int64_t last = rank(x) - 1;
    return Compare::create(builder, loc,
                           IotaOp::create(builder, loc, last - 1, shape, index),
                           IotaOp::create(builder, loc, last, shape, index));
  }
  Value select(Value mask, Value x) const {
    return SelectOp::create(builder, loc, mask, x, zeros(x.getType()));
  }

  /// The vectors along the last dimension as rows, or columns, of matrices with
  /// `type`.
  Value rows(Value vectors, Type type) const {
    return broadcast(vectors, type, rank(vectors));
  }
  Value columns(Value vectors, Type type) const {
    return broadcast(vectors, type, rank(vectors) - 1);
  }

  /// The first rows or columns, as many as `size`, or those behind them.
  Value part(Value x, int64_t dim, int64_t size, bool behind = false) const {
    Dimensions sizes(typeOf(x).getShape()), offsets(rank(x), 0),
        strides(rank(x), 1);
    dim += rank(x);
    offsets[dim] = behind ? size : 0;
    sizes[dim] = behind ? sizes[dim] - size : size;
    return SliceOp::create(builder, loc, x, offsets, sizes, strides);
  }
  Value join(Value x, Value y, int64_t dim) const {
    return ConcatenateOp::create(builder, loc, ValueRange{x, y}, rank(x) + dim);
  }
  /// With zeros behind, up to `size`.
  Value extend(Value x, int64_t dim, int64_t size) const {
    Dimensions shape(typeOf(x).getShape());
    int64_t &extent = shape[rank(x) + dim];
    if (extent == size)
      return x;
    extent = size - extent;
    return join(x, zeros(typeOf(x).clone(shape)), dim);
  }

  static int64_t rank(Value x) { return typeOf(x).getRank(); }

private:
  Value broadcast(Value vectors, Type type, int64_t place) const {
    auto dimensions = llvm::to_vector(llvm::seq<int64_t>(0, rank(vectors) - 1));
    dimensions.push_back(place);
    return BroadcastOp::create(builder, loc, vectors,
                               cast<RankedTensorType>(type).getShape(),
                               dimensions);
  }
};

/// What a rule works with: code of coefficients, and of tangents.
struct Rule {
  Rule(LinearizeContext &context, Location loc)
      : primal{context.primal, loc}, linear{context.linear, loc} {}

  /// `x`, a tangent, where the row is compared to the column; else zero.
  template <typename Compare> Value keep(Value x) const {
    return linear.select(primal.where<Compare>(x), x);
  }
  Value strictlyLower(Value x) const { return keep<GreaterOp>(x); }
  Value lower(Value x) const { return keep<GreaterEqualOp>(x); }
  Value upper(Value x) const { return keep<LessEqualOp>(x); }

  /// The symmetric matrices whose lower triangles are those of `x`.
  Value mirrored(Value x) const {
    return linear.add(lower(x), linear.transpose(strictlyLower(x)));
  }
  /// The diagonals.
  Value diagonal(Value x) const {
    return ReduceSumOp::create(linear.builder, linear.loc, keep<EqualOp>(x),
                               Dimensions{Algebra::rank(x) - 1});
  }
  /// 1 / x, and 0 where x is 0: what has no derivative counts for nothing.
  Value inverse(Value x) const {
    OpBuilder &b = primal.builder;
    Location loc = primal.loc;
    RankedTensorType type = typeOf(x);
    Value one = createSplat(b, loc, type, 1), zero = primal.zeros(type);
    Value isZero = EqualOp::create(b, loc, x, zero);
    Value divisor = SelectOp::create(b, loc, isZero, one, x);
    return SelectOp::create(b, loc, isZero, zero,
                            DivideOp::create(b, loc, one, divisor));
  }
  /// The columns of an orthogonal matrix beside its first ones, `known`, turn
  /// as little as they can.
  Value turned(Value known, Value tangent, Value others) const {
    return linear.negate(linear.multiply(
        known, linear.multiply(tangent, others, Left), Neither));
  }

  Algebra primal, linear;
};

} // namespace

/// From a = l transpose(l), with s = inverse(l) da inverse(transpose(l)):
/// inverse(l) dl + transpose(inverse(l) dl) = s, of which the first term is
/// lower triangular.
LogicalResult CholeskyOp::linearize(LinearizeContext &context) {
  Rule rule(context, getLoc());
  Value l = getFactor();
  Value s = rule.mirrored(context.getTangent(getA()));
  s = rule.linear.solve(l, s, /*left=*/true, /*lower=*/true);
  s = rule.linear.solve(l, s, /*left=*/false, /*lower=*/true,
                        /*transposed=*/true);
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
/// inverse(r), where transpose(q) dq is antisymmetric and dr inverse(r) upper
/// triangular. The columns of a wide matrix behind these have only r.
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
  Value inside = linear.multiply(q, s, Left);
  Value below = rule.strictlyLower(inside);
  Value turn = linear.subtract(below, linear.transpose(below));
  Value rest = linear.subtract(inside, turn);
  Value dq = linear.subtract(s, linear.multiply(q, rest));
  Value dr = linear.multiply(rest, r);
  if (isWide) {
    Value y = primal.part(a, -1, k, /*behind=*/true),
          dy = linear.part(da, -1, k, /*behind=*/true);
    dr = linear.join(
        dr,
        linear.add(linear.multiply(dq, y, Left), linear.multiply(q, dy, Left)),
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

/// From a v = v w, with s = transpose(v) da v: dw is the diagonal of s, and
/// transpose(v) dv, which is antisymmetric, s[i, j] / (w[j] - w[i]).
LogicalResult EighOp::linearize(LinearizeContext &context) {
  Rule rule(context, getLoc());
  const Algebra &primal = rule.primal, &linear = rule.linear;
  Value v = getVectors();
  Value s = linear.multiply(
      linear.multiply(v, rule.mirrored(context.getTangent(getA())), Left), v);
  context.setTangent(getValues(), rule.diagonal(s));
  Type type = v.getType();
  Value distance = primal.subtract(primal.rows(getValues(), type),
                                   primal.columns(getValues(), type));
  context.setTangent(
      v, linear.multiply(v, linear.scale(s, rule.inverse(distance))));
  return success();
}

/// From a = u s transpose(v), with p = transpose(u) da v: ds is the diagonal of
/// p. Of transpose(u) du and transpose(v) dv, which are antisymmetric, the
/// elements (i, j) are p[i, j] s[j] + p[j, i] s[i] and p[i, j] s[i] + p[j, i]
/// s[j], both divided by s[j]^2 - s[i]^2. What a tall a moves out of the span
/// of u is divided by s; so is what a wide one moves out of that of v.
LogicalResult SvdOp::linearize(LinearizeContext &context) {
  Rule rule(context, getLoc());
  const Algebra &primal = rule.primal, &linear = rule.linear;
  Value da = context.getTangent(getA()), s = getS();
  int64_t m = typeOf(da).getShape().end()[-2], n = typeOf(da).getShape().back(),
          k = std::min(m, n);
  bool isTall = m > n, isWide = m < n;
  Value u = getFull() && isTall ? primal.part(getU(), -1, k) : getU();
  Value vh = getFull() && isWide ? primal.part(getVh(), -2, k) : getVh();

  Value dav = linear.multiply(da, vh, Right),
        uda = linear.multiply(u, da, Left);
  Value p =
      isTall ? linear.multiply(u, dav, Left) : linear.multiply(uda, vh, Right);
  context.setTangent(s, rule.diagonal(p));

  Value inRows = primal.rows(s, p.getType()),
        inColumns = primal.columns(s, p.getType());
  Value factor = rule.inverse(primal.scale(primal.add(inRows, inColumns),
                                           primal.subtract(inRows, inColumns)));
  auto turn = [&](Value scaled) {
    return linear.scale(linear.add(scaled, linear.transpose(scaled)), factor);
  };
  Value du = linear.multiply(u, turn(linear.scale(p, inRows)));
  // The turn of v is antisymmetric: that of vh has the other sign.
  Value dvh =
      linear.negate(linear.multiply(turn(linear.scale(p, inColumns)), vh));
  Value inverse = rule.inverse(s);
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
    // The same of rows: others transpose(dvh) is transposed.
    Value turned =
        linear.negate(linear.multiply(linear.multiply(others, dvh, Right), vh));
    dvh = linear.join(dvh, turned, -2);
  }
  context.setTangent(getU(), du);
  context.setTangent(getVh(), dvh);
  return success();
}
