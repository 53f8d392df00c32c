//===- StoreResiduals.cpp - Store what linear code needs ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The pass of dialect/StoreResiduals.h.
//
//===----------------------------------------------------------------------===//

#include "dialect/StoreResiduals.h"

#include "dialect/GradDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Passes.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADSTORERESIDUALS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

namespace {

struct GradStoreResiduals
    : grad::impl::GradStoreResidualsBase<GradStoreResiduals> {
  using GradStoreResidualsBase::GradStoreResidualsBase;

  void runOnOperation() override {
    if (failed(ResidualStore(remarks).run(getOperation())))
      signalPassFailure();
  }
};

} // namespace
