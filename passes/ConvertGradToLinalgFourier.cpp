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

#include "passes/ConvertGradToLinalg.h"
#include "runtime/Fourier.h"

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

void mlir::grad::populateFourierToLinalg(RewritePatternSet &patterns) {
  patterns.add<LowerTransform<FftOp>, LowerTransform<RfftOp>,
               LowerTransform<IrfftOp>>(patterns.getContext());
}
