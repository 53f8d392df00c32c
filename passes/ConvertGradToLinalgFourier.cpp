//===- ConvertGradToLinalgFourier.cpp - Fourier transforms ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Each transform becomes a call of the runtime, on new tensors. What it needs
/// to work in is known here and a tensor, too: it lies in the arena in the end.
///
//===----------------------------------------------------------------------===//

#include "dialect/MatrixAlgebra.h"
#include "passes/ConvertGradToLinalg.h"
#include "runtime/Fourier.h"

#include <cmath>

using namespace mlir;
using namespace mlir::grad;
namespace fourier = gradopt::runtime::fourier;

namespace {

fourier::Transform getTransform(FftOp) { return fourier::C2c; }
fourier::Transform getTransform(RfftOp) { return fourier::R2c; }
fourier::Transform getTransform(IrfftOp) { return fourier::C2r; }

/// A Fourier transform => grad.fourier_into.
template <typename Op> struct LowerTransform : OpRewritePattern<Op> {
  using OpRewritePattern<Op>::OpRewritePattern;

  LogicalResult matchAndRewrite(Op op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    fourier::Transform transform = getTransform(op);
    RankedTensorType from = typeOf(op.getX()), to = typeOf(op.getResult());
    // What is transformed has its whole size on the side of real numbers.
    ArrayRef<int64_t> shape =
        (transform == fourier::R2c ? from : to).getShape();
    Type element = to.getElementType();
    if (auto complex = dyn_cast<ComplexType>(element))
      element = complex.getElementType();
    auto norm = fourier::Norm(llvm::find(fourier::kNorms, op.getNorm()) -
                              fourier::kNorms);
    int64_t numbers = gradopt_fourier_work(
        fourier::encode(transform, norm, op.getForward(), op.getDimensions()),
        shape.data(), from.getRank(), element.isF32());
    if (numbers < 0)
      return rewriter.notifyMatchFailure(op, "no memory for its tables");
    auto work = RankedTensorType::get({numbers}, element);
    auto call = FourierIntoOp::create(
        rewriter, loc, TypeRange{to, work}, fourier::kNames[transform],
        op.getDimensions(), op.getForward(), op.getNorm(), op.getX(),
        ValueRange{emptyLike(rewriter, loc, to),
                   emptyLike(rewriter, loc, work)});
    rewriter.replaceOp(op, call.getResult(0));
    return success();
  }
};

} // namespace

/// The factor of a transform by its name.
static double getFactor(StringRef norm, double count) {
  if (norm == fourier::kNorms[fourier::Size])
    return 1 / count;
  return norm == fourier::kNorms[fourier::Root] ? 1 / std::sqrt(count) : 1;
}

/// Each part of `x` times a factor.
static Value scaleParts(const Algebra &algebra, Value x, double factor) {
  auto scale = [&](Value part) {
    return algebra.scale(
        part, createSplat(algebra.builder, algebra.loc, typeOf(part), factor));
  };
  if (!Algebra::isComplex(x))
    return scale(x);
  Value im = ImagOp::create(algebra.builder, algebra.loc, x);
  return ComplexOp::create(algebra.builder, algebra.loc, scale(algebra.real(x)),
                           scale(im));
}

/// `whole` is the side of the transform that has all its numbers.
template <typename Op> static void separate(Op op, Value whole, bool isTurned) {
  if (op.getNorm() == fourier::kNorms[fourier::None] && !isTurned)
    return;
  OpBuilder builder(op);
  Algebra algebra{builder, op.getLoc()};
  double count = 1;
  for (int64_t d : op.getDimensions())
    count *= double(typeOf(whole).getDimSize(d));
  bool isInverse = isa<IrfftOp>(op);
  auto plain = cast<Op>(builder.clone(*op));
  plain.setNorm(fourier::kNorms[fourier::None]);
  if (isTurned) {
    plain.setForward(!op.getForward());
    // A spectrum in the other direction is the conjugate one.
    if (isInverse) {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPoint(plain);
      plain.getXMutable().assign(algebra.conjugate(plain.getX()));
    }
  }
  Value result = plain.getResult();
  if (isTurned && !isInverse)
    result = algebra.conjugate(result);
  if (double factor = getFactor(op.getNorm(), count); factor != 1)
    result = scaleParts(algebra, result, factor);
  op.replaceAllUsesWith(result);
  op.erase();
}

void mlir::grad::separateTransforms(Operation *root) {
  SmallVector<Operation *> transforms;
  root->walk([&](Operation *op) {
    if (isa<FftOp, RfftOp, IrfftOp>(op))
      transforms.push_back(op);
  });
  for (Operation *each : transforms) {
    if (auto op = dyn_cast<FftOp>(each))
      separate(op, op.getX(), /*isTurned=*/false);
    else if (auto op = dyn_cast<RfftOp>(each))
      separate(op, op.getX(), !op.getForward());
    else if (auto op = dyn_cast<IrfftOp>(each))
      separate(op, op.getResult(), op.getForward());
  }
}

void mlir::grad::populateFourierToLinalg(RewritePatternSet &patterns) {
  patterns.add<LowerTransform<FftOp>, LowerTransform<RfftOp>,
               LowerTransform<IrfftOp>>(patterns.getContext());
}
