//===- Transpose.cpp - Expand grad.transposed -----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reverse-mode differentiation of linear code: a walk from the end of the
// region to its start that keeps the cotangent of each linear value. Sums are
// built where a value is used more than once; a value without a cotangent has
// a symbolic zero and its op is skipped.
//
//===----------------------------------------------------------------------===//

#include "dialect/Rules.h"
#include "passes/DeadOps.h"
#include "passes/Differentiation.h"
#include "passes/Passes.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADTRANSPOSE
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

/// Whether `op`, or an op in its regions, uses a value of `body`.
static bool usesValueOf(Operation &op, Block &body) {
  return op
      .walk([&](Operation *nested) {
        return llvm::any_of(
                   nested->getOperands(),
                   [&](Value v) { return v.getParentBlock() == &body; })
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      })
      .wasInterrupted();
}

void grad::hoistCoefficients(TransposedOp op) {
  Block &body = op.getBody().front();
  for (Operation &inner : llvm::make_early_inc_range(body.without_terminator()))
    if (!usesValueOf(inner, body))
      inner.moveBefore(op);
}

LogicalResult grad::transposeLinear(TransposedOp op) {
  hoistCoefficients(op);
  Block &body = op.getBody().front();
  OpBuilder builder(op);

  DenseMap<Value, Value> cotangents;
  auto accumulate = [&](Value value, Value cotangent) {
    // Coefficients have no cotangent.
    if (!cotangent || value.getParentBlock() != &body)
      return;
    Value &sum = cotangents[value];
    sum = sum ? AddOp::create(builder, cotangent.getLoc(), sum, cotangent)
                    .getResult()
              : cotangent;
  };
  auto yield = cast<YieldOp>(body.getTerminator());
  for (auto [value, cotangent] :
       llvm::zip_equal(yield.getTangents(), op.getCotangents()))
    accumulate(value, cotangent);

  for (Operation &inner : llvm::reverse(body.without_terminator())) {
    auto resultCotangents = llvm::map_to_vector(
        inner.getResults(), [&](Value v) { return cotangents.lookup(v); });
    if (llvm::none_of(resultCotangents, [](Value v) { return bool(v); }))
      continue;
    // After hoisting, what the region defines depends on its arguments.
    auto linear = llvm::map_to_vector(inner.getOperands(), [&](Value v) {
      return v.getParentBlock() == &body;
    });
    auto rule = dyn_cast<TransposeOpInterface>(inner);
    SmallVector<Value> operandCotangents(inner.getNumOperands());
    if (!rule || failed(rule.transpose(builder, linear, resultCotangents,
                                       operandCotangents))) {
      (inner.emitOpError(
           "is not linear in its operands that depend on the region's "
           "arguments"))
              .attachNote(op.getLoc())
          << "transposed from here";
      return failure();
    }
    for (auto [operand, cotangent] :
         llvm::zip_equal(inner.getOperands(), operandCotangents))
      accumulate(operand, cotangent);
  }

  SmallVector<Value> results;
  for (Value argument : body.getArguments()) {
    Value cotangent = cotangents.lookup(argument);
    results.push_back(
        cotangent ? cotangent
                  : createZeros(builder, op.getLoc(), argument.getType()));
  }
  op->replaceAllUsesWith(results);
  op->erase();
  return success();
}

namespace {

struct GradTranspose : grad::impl::GradTransposeBase<GradTranspose> {
  void runOnOperation() override {
    SmallVector<TransposedOp> regions;
    getOperation().walk([&](TransposedOp op) { regions.push_back(op); });
    for (TransposedOp op : regions)
      if (failed(transposeLinear(op)))
        return signalPassFailure();
    for (auto function : getOperation().getOps<func::FuncOp>())
      eraseDeadOps(function);
  }
};

} // namespace
