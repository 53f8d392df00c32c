//===- EraseAttributes.cpp - Erase attributes of this dialect -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Passes.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADERASEATTRIBUTES
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

namespace {

struct GradEraseAttributes
    : grad::impl::GradEraseAttributesBase<GradEraseAttributes> {
  void runOnOperation() override {
    getOperation().walk([](Operation *op) {
      for (NamedAttribute attribute :
           llvm::to_vector(op->getDiscardableAttrs()))
        if (isa_and_nonnull<GradDialect>(attribute.getNameDialect()))
          op->removeDiscardableAttr(attribute.getName());
    });
  }
};

} // namespace
