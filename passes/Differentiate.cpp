//===- Differentiate.cpp - Expand all requests, innermost first -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Functions are visited callees first, so that the callee of a request is
// plain code when the request is linearized: whatever derivatives it asked for
// have been expanded into ops that have derivatives themselves.
//
//===----------------------------------------------------------------------===//

#include "passes/DeadOps.h"
#include "passes/Differentiation.h"
#include "passes/Passes.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADDIFFERENTIATE
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

namespace {

struct GradDifferentiate
    : grad::impl::GradDifferentiateBase<GradDifferentiate> {
  void runOnOperation() override {
    auto differentiate = [](func::FuncOp function) -> LogicalResult {
      if (failed(inlineCalls(function)))
        return failure();
      SmallVector<Operation *> requests;
      function.walk([&](Operation *op) {
        if (isa<VjpOp, JvpOp>(op))
          requests.push_back(op);
      });
      for (Operation *request : requests)
        if (failed(linearizeRequest(request)))
          return failure();
      SmallVector<TransposedOp> regions;
      function.walk([&](TransposedOp op) { regions.push_back(op); });
      for (TransposedOp op : regions)
        if (failed(transposeLinear(op)))
          return failure();
      eraseDeadOps(function);
      return success();
    };
    if (failed(walkCalleesFirst(getOperation(), differentiate)))
      return signalPassFailure();
    eraseDeadFunctions(getOperation());
  }
};

} // namespace
