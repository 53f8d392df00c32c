//===- BuffersToLoops.cpp - linalg on buffers to loops --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-buffers-to-loops`: what is left of linalg on buffers, and copies that
/// are no block of memory, become loops of loads and stores in the order of the
/// iterators. Views become arithmetic on strides. No op uses a buffer without
/// elements any more.
///
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Linalg/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Iterators.h"
#include "mlir/Transforms/WalkPatternRewriteDriver.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADBUFFERSTOLOOPS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

/// Whether the elements of `buffer` fill one block of memory.
static bool isContiguous(Value buffer) {
  auto type = dyn_cast<MemRefType>(buffer.getType());
  return type && type.areTrailingDimsContiguous(type.getRank());
}

static bool hasNoElements(Value buffer) {
  auto type = dyn_cast<MemRefType>(buffer.getType());
  return type && type.hasStaticShape() && type.getNumElements() == 0;
}

namespace {

struct GradBuffersToLoops
    : grad::impl::GradBuffersToLoopsBase<GradBuffersToLoops> {
  LogicalResult initialize(MLIRContext *context) override {
    RewritePatternSet set(context);
    memref::populateExpandStridedMetadataPatterns(set);
    views = std::move(set);
    return success();
  }

  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<memref::CopyOp> copies;
    getOperation().walk([&](memref::CopyOp op) { copies.push_back(op); });
    for (memref::CopyOp op : copies) {
      if (hasNoElements(op.getSource())) {
        rewriter.eraseOp(op);
        continue;
      }
      if (isContiguous(op.getSource()) && isContiguous(op.getTarget()))
        continue;
      rewriter.setInsertionPoint(op);
      linalg::makeMemRefCopyOp(rewriter, op.getLoc(), op.getSource(),
                               op.getTarget());
      rewriter.eraseOp(op);
    }

    SmallVector<linalg::LinalgOp> ops;
    getOperation().walk([&](linalg::LinalgOp op) { ops.push_back(op); });
    for (linalg::LinalgOp op : ops) {
      if (llvm::is_contained(op.getStaticLoopRanges(), 0)) {
        rewriter.eraseOp(op);
        continue;
      }
      rewriter.setInsertionPoint(op);
      if (!op.hasPureBufferSemantics() ||
          failed(linalg::linalgOpToLoops(rewriter, op))) {
        op.emitOpError("expected buffers of linalg ops, which loops can access");
        return signalPassFailure();
      }
      rewriter.eraseOp(op);
    }
    walkAndApplyPatterns(getOperation(), views);
    getOperation().walk<WalkOrder::PostOrder, ReverseIterator>(
        [](Operation *op) {
          if (isOpTriviallyDead(op))
            op->erase();
        });
  }

private:
  FrozenRewritePatternSet views;
};

} // namespace
