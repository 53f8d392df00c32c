//===- Transpose.cpp - Expand grad.transposed -----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reverse-mode differentiation of linear code: a walk from the end of the
// region to its start that keeps the cotangent of each linear value. A value is
// linear if it depends on the region's arguments; all others are coefficients,
// wherever they are defined. Sums are built where a value is used more than
// once; a value without a cotangent has a symbolic zero and its op is skipped.
//
//===----------------------------------------------------------------------===//

#include "dialect/DeadOps.h"
#include "dialect/Restore.h"
#include "dialect/Rules.h"
#include "passes/Differentiation.h"
#include "passes/Passes.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADTRANSPOSE
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

namespace {

/// Transposes the region of a `grad.transposed`.
class Transposer : public TransposeContext {
public:
  Transposer(OpBuilder &builder, TransposedOp op)
      : TransposeContext(builder), region(op) {}

  void markLinear(Block &block) override {
    for (Operation &op : block.without_terminator())
      if (usesLinear(op))
        for (Value result : op.getResults())
          setLinear(result);
  }

  /// Moves the coefficients that are computed in the block in front of the op.
  void hoistCoefficients(Block &block) {
    for (Operation &op : llvm::make_early_inc_range(block.without_terminator()))
      if (!usesLinear(op))
        op.moveBefore(region);
  }

  LogicalResult transposeBlock(Block &block) override {
    for (Operation &op :
         llvm::make_early_inc_range(llvm::reverse(block.without_terminator())))
      if (failed(transposeOp(op)))
        return failure();
    return success();
  }

  /// Says where the transpose was asked for, and why.
  InFlightDiagnostic emitOpError(Operation *op) override {
    hasReported = true;
    InFlightDiagnostic error = op->emitOpError();
    Diagnostic &note = error.attachNote(region.getLoc())
                       << "transposed from here";
    if (std::optional<StringRef> reason = region.getReason())
      note << ": " << *reason;
    return error;
  }

private:
  LogicalResult transposeOp(Operation &op) {
    if (llvm::none_of(op.getResults(),
                      [&](Value v) { return bool(getCotangent(v)); }))
      return success();
    auto rule = dyn_cast<TransposeOpInterface>(op);
    if (rule && succeeded(rule.transpose(*this)))
      return success();
    if (!hasReported)
      emitOpError(&op) << "is not linear in its operands that depend on the "
                          "region's arguments";
    return failure();
  }

  TransposedOp region;
  bool hasReported = false;
};

} // namespace

static LogicalResult transposeRegion(TransposedOp op) {
  Block &body = op.getBody().front();
  WalkResult open = body.walk([](KeptOp kept) {
    kept.emitOpError("has to be stored before linear code is transposed: run "
                     "grad-store-residuals first");
    return WalkResult::interrupt();
  });
  if (open.wasInterrupted())
    return failure();
  OpBuilder builder(op);
  Transposer transposer(builder, op);
  for (Value argument : body.getArguments())
    transposer.setLinear(argument);
  transposer.markLinear(body);
  transposer.hoistCoefficients(body);

  auto yield = cast<YieldOp>(body.getTerminator());
  for (auto [i, value] : llvm::enumerate(yield.getTangents())) {
    if (!transposer.isLinear(value) && !isZero(value)) {
      transposer.emitOpError(yield)
          << "expected values that are linear in the region's arguments, but "
             "value #"
          << i << " does not depend on them";
      return failure();
    }
    transposer.addCotangent(value, op.getCotangents()[i]);
  }
  if (failed(transposer.transposeBlock(body)))
    return failure();

  SmallVector<Value> results;
  for (Value argument : body.getArguments()) {
    Value cotangent = transposer.getCotangent(argument);
    results.push_back(
        cotangent ? cotangent
                  : createZero(builder, op.getLoc(), argument.getType()));
  }
  op->replaceAllUsesWith(results);
  op->erase();
  return success();
}

LogicalResult grad::transposeLinear(Operation *root) {
  while (true) {
    SmallVector<TransposedOp> regions;
    root->walk<WalkOrder::PreOrder>([&](TransposedOp op) {
      regions.push_back(op);
      return WalkResult::skip();
    });
    if (regions.empty()) {
      forgetRestored(root);
      return success();
    }
    for (TransposedOp op : regions)
      if (failed(transposeRegion(op)))
        return failure();
  }
}

namespace {

struct GradTranspose : grad::impl::GradTransposeBase<GradTranspose> {
  void runOnOperation() override {
    if (failed(transposeLinear(getOperation())))
      return signalPassFailure();
    for (auto function : getOperation().getOps<func::FuncOp>())
      eraseDeadOps(function);
  }
};

} // namespace
