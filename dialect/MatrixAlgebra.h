//===- MatrixAlgebra.h - Algebra of stacks of matrices ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the rules of factorisations are written with. An adjoint is a conjugate
// transpose: of real matrices, the transpose.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_MATRIXALGEBRA_H
#define GRADOPT_DIALECT_MATRIXALGEBRA_H

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "llvm/ADT/SmallVectorExtras.h"

namespace mlir::grad {

/// Which of two matrices an operation transposes before.
enum Transposed { Neither, Left, Right };

/// Algebra of stacks of matrices, as code at one place.
struct Algebra {
  using Dimensions = SmallVector<int64_t>;

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

  Value real(Value x) const {
    return isComplex(x) ? ConvertOp::create(builder, loc, x, partOf(x)) : x;
  }
  /// `x` in the element type of `like`, the same or that of complex numbers.
  Value convert(Value x, Value like) const {
    Type element = typeOf(like).getElementType();
    return typeOf(x).getElementType() == element
               ? x
               : ConvertOp::create(builder, loc, x, element);
  }
  Value conjugate(Value x) const {
    if (!isComplex(x))
      return x;
    Value im = negate(ImagOp::create(builder, loc, x));
    return ComplexOp::create(builder, loc, real(x), im);
  }
  Value adjoint(Value x) const { return conjugate(transpose(x)); }
  /// The real parts of complex numbers, as complex numbers, or i times the
  /// imaginary parts.
  Value realPart(Value x) const { return convert(real(x), x); }
  Value imaginaryPart(Value x) const {
    Value im = ImagOp::create(builder, loc, x);
    return ComplexOp::create(builder, loc, zeros(im.getType()), im);
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
  static bool isComplex(Value x) {
    return isa<ComplexType>(typeOf(x).getElementType());
  }
  static Type partOf(Value x) {
    return cast<ComplexType>(typeOf(x).getElementType()).getElementType();
  }

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

  /// The Hermitian matrices whose lower triangles are those of `x`.
  Value mirrored(Value x) const {
    if (!Algebra::isComplex(x))
      return linear.add(lower(x), linear.transpose(strictlyLower(x)));
    Value below = strictlyLower(x);
    return linear.add(linear.realPart(keep<EqualOp>(x)),
                      linear.add(below, linear.adjoint(below)));
  }
  /// The anti-Hermitian matrices with these strictly lower triangles and the
  /// imaginary parts of the diagonals of `x`.
  Value turn(Value x) const {
    Value below = strictlyLower(x);
    Value turn = linear.subtract(below, linear.adjoint(below));
    return Algebra::isComplex(x)
               ? linear.add(turn, linear.imaginaryPart(keep<EqualOp>(x)))
               : turn;
  }
  /// The diagonals.
  Value diagonal(Value x) const {
    return ReduceSumOp::create(linear.builder, linear.loc, keep<EqualOp>(x),
                               Algebra::Dimensions{Algebra::rank(x) - 1});
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
        known, linear.multiply(linear.conjugate(tangent), others, Left)));
  }

  Algebra primal, linear;
};

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_MATRIXALGEBRA_H
