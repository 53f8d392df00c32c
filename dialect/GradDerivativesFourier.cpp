//===- GradDerivativesFourier.cpp - Rules of Fourier transforms -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A cotangent c and a tangent t meet in Re(c t), so nothing is conjugated: the
// matrix of a transform is symmetric, and its transpose is itself. An inner
// element of half a spectrum stands for two, of which a real number has twice
// the real part of one.
//
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"

using namespace mlir;
using namespace mlir::grad;

/// Half a spectrum of `size` elements along `dimension`, with the inner ones
/// times `factor`.
static Value scaleInner(OpBuilder &builder, Location loc, Value spectrum,
                        int64_t dimension, int64_t size, double factor) {
  RankedTensorType type = typeOf(spectrum);
  Type index = builder.getI64Type();
  Value place = IotaOp::create(builder, loc, dimension, type.getShape(), index);
  auto isAt = [&](int64_t where) -> Value {
    Value splat =
        createSplat(builder, loc, cast<RankedTensorType>(place.getType()),
                    static_cast<double>(where));
    return EqualOp::create(builder, loc, place, splat);
  };
  Value isOuter = isAt(0);
  if (size % 2 == 0)
    isOuter = LogicalOrOp::create(builder, loc, isOuter, isAt(size / 2));
  Value scaled = MultiplyOp::create(builder, loc, spectrum,
                                    createSplat(builder, loc, type, factor));
  return SelectOp::create(builder, loc, isOuter, spectrum, scaled);
}

LogicalResult FftOp::linearize(LinearizeContext &context) {
  return linearizeByItself(*this, context);
}
LogicalResult RfftOp::linearize(LinearizeContext &context) {
  return linearizeByItself(*this, context);
}
LogicalResult IrfftOp::linearize(LinearizeContext &context) {
  return linearizeByItself(*this, context);
}

LogicalResult FftOp::transpose(TransposeContext &context) {
  context.addCotangent(getX(),
                       FftOp::create(context.builder, getLoc(),
                                     context.getCotangent(getResult()),
                                     getDimensions(), getForward(), getNorm()));
  return success();
}

LogicalResult RfftOp::transpose(TransposeContext &context) {
  int64_t last = getDimensions().back();
  int64_t size = typeOf(getX()).getDimSize(last);
  Value ct = scaleInner(context.builder, getLoc(),
                        context.getCotangent(getResult()), last, size, 0.5);
  context.addCotangent(getX(), IrfftOp::create(context.builder, getLoc(), ct,
                                               getDimensions(), size,
                                               getForward(), getNorm()));
  return success();
}

LogicalResult IrfftOp::transpose(TransposeContext &context) {
  Value spectrum = RfftOp::create(context.builder, getLoc(),
                                  context.getCotangent(getResult()),
                                  getDimensions(), getForward(), getNorm());
  context.addCotangent(getX(),
                       scaleInner(context.builder, getLoc(), spectrum,
                                  getDimensions().back(), getSize(), 2));
  return success();
}
