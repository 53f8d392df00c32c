//===- Canonicalize.cpp - Folds and local patterns ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/CanonicalPatterns.h"
#include "passes/Passes.h"

#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADCANONICALIZE
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;

namespace {
class GradCanonicalize final
    : public grad::impl::GradCanonicalizeBase<GradCanonicalize> {
  using GradCanonicalizeBase::GradCanonicalizeBase;

  LogicalResult initialize(MLIRContext *context) override {
    patterns = grad::CanonicalPatterns::get(context);
    return success();
  }

  void runOnOperation() override {
    // Blocks are simple, no region needs work.
    GreedyRewriteConfig config;
    config.setUseTopDownTraversal(topDown);
    config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
    // Where it has not converged, what there is is right.
    (void)applyPatternsGreedily(getOperation(), patterns, config);
  }

  FrozenRewritePatternSet patterns;
};
} // namespace
