//===- ControlFlowToBlocks.cpp - Loops and branches => blocks -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/ControlFlowToBlocks.h"

#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Iterators.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace mlir::grad;

static GreedyRewriteConfig withoutSimplification() {
  GreedyRewriteConfig config;
  config.enableFolding(false)
      .enableConstantCSE(false)
      .setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
  return config;
}

/// Loops and branches of affine => of scf.
static LogicalResult lowerAffineControlFlow(Operation *root) {
  bool isNeeded = root->walk([](Operation *op) {
                        return isa<affine::AffineForOp, affine::AffineIfOp,
                                   affine::AffineParallelOp>(op)
                                   ? WalkResult::interrupt()
                                   : WalkResult::advance();
                      })
                      .wasInterrupted();
  if (!isNeeded)
    return success();
  RewritePatternSet patterns(root->getContext());
  populateAffineToStdConversionPatterns(patterns);
  return applyPatternsGreedily(root, std::move(patterns),
                               withoutSimplification());
}

/// Knows which ops are gone.
struct ErasedOps : RewriterBase::Listener {
  void notifyOperationErased(Operation *op) override { ops.insert(op); }
  llvm::DenseSet<Operation *> ops;
};

/// Applies `patterns` to the ops in `root` that `isWanted` accepts, and to none
/// that they make. Outer ones come before those in them, because the pattern of
/// a loop or branch may expect regions of one block; last ones come first,
/// because splitting a block takes time in proportion to what follows.
static LogicalResult
applyOutsideIn(Operation *root, const FrozenRewritePatternSet &patterns,
               llvm::function_ref<bool(Operation *)> isWanted) {
  SmallVector<Operation *> ops;
  root->walk<WalkOrder::PreOrder, ReverseIterator>([&](Operation *op) {
    if (isWanted(op))
      ops.push_back(op);
  });
  ErasedOps erased;
  GreedyRewriteConfig config = withoutSimplification();
  config.setStrictness(GreedyRewriteStrictness::ExistingOps)
      .setListener(&erased);
  for (Operation *op : ops)
    if (!erased.ops.contains(op) &&
        failed(applyOpPatternsGreedily(op, patterns, config)))
      return failure();
  return success();
}

namespace {

/// scf.index_switch => cf.switch of 64 bits. The upstream pattern, which this
/// one comes before, takes the low 32 bits of the index and of each case.
struct LowerIndexSwitch : OpRewritePattern<scf::IndexSwitchOp> {
  explicit LowerIndexSwitch(MLIRContext *context)
      : OpRewritePattern(context, /*benefit=*/2) {}

  LogicalResult matchAndRewrite(scf::IndexSwitchOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Block *before = op->getBlock();
    Block *after = rewriter.splitBlock(before, std::next(op->getIterator()));
    SmallVector<Location> locations(op.getNumResults(), loc);
    after->addArguments(op.getResultTypes(), locations);
    auto inlineRegion = [&](Region &region) {
      Block *body = &region.front();
      Operation *yield = body->getTerminator();
      rewriter.setInsertionPoint(yield);
      rewriter.replaceOpWithNewOp<cf::BranchOp>(yield, after,
                                                yield->getOperands());
      rewriter.inlineRegionBefore(region, after);
      return body;
    };
    SmallVector<APInt> values = llvm::map_to_vector(
        op.getCases(), [](int64_t value) { return APInt(64, value, true); });
    SmallVector<Block *> cases;
    for (Region &region : op.getCaseRegions())
      cases.push_back(inlineRegion(region));
    Block *otherwise = inlineRegion(op.getDefaultRegion());
    rewriter.setInsertionPoint(op);
    Value flag = arith::IndexCastOp::create(rewriter, loc,
                                            rewriter.getI64Type(), op.getArg());
    cf::SwitchOp::create(rewriter, loc, flag, otherwise, ValueRange(), values,
                         cases, SmallVector<ValueRange>(cases.size()));
    rewriter.replaceOp(op, after->getArguments());
    return success();
  }
};

} // namespace

/// Loops and branches => blocks.
static LogicalResult lowerControlFlow(Operation *root) {
  RewritePatternSet set(root->getContext());
  populateSCFToControlFlowConversionPatterns(set);
  set.add<LowerIndexSwitch>(root->getContext());
  FrozenRewritePatternSet patterns(std::move(set));
  auto lower = [&](llvm::function_ref<bool(Operation *)> isWanted) {
    return applyOutsideIn(root, patterns, isWanted);
  };
  // These become parallel loops, these become sequential ones.
  if (failed(lower([](Operation *op) { return isa<scf::ForallOp>(op); })) ||
      failed(lower([](Operation *op) { return isa<scf::ParallelOp>(op); })))
    return failure();
  return lower([](Operation *op) {
    return isa_and_nonnull<scf::SCFDialect>(op->getDialect()) &&
           !op->hasTrait<OpTrait::IsTerminator>();
  });
}

LogicalResult mlir::grad::controlFlowToBlocks(Operation *root) {
  return success(succeeded(lowerAffineControlFlow(root)) &&
                 succeeded(lowerControlFlow(root)));
}
