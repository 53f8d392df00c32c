//===- DropBarriers.cpp - Let values be what they are ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-drop-barriers`. When no pass is left that merges or moves what is
/// computed on tensors, the order of the ops is enough.
///
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "passes/Passes.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADDROPBARRIERS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

namespace {

struct GradDropBarriers : grad::impl::GradDropBarriersBase<GradDropBarriers> {
  void runOnOperation() override {
    getOperation().walk([](BarrierOp op) {
      op->replaceAllUsesWith(op.getValues());
      op->erase();
    });
  }
};

} // namespace
