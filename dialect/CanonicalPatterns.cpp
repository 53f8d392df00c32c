//===- CanonicalPatterns.cpp - Canonicalization of all dialects -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/CanonicalPatterns.h"
#include "dialect/GradDialect.h"

using namespace mlir;
using namespace mlir::grad;

FrozenRewritePatternSet CanonicalPatterns::get(MLIRContext *context) {
  auto *dialect = context->getLoadedDialect<GradDialect>();
  assert(dialect && "expected a pass that depends on the grad dialect");
  auto *shared = dialect->getRegisteredInterface<CanonicalPatterns>();
  ArrayRef<RegisteredOperationName> operations =
      context->getRegisteredOperations();
  std::lock_guard lock(shared->mutex);
  // A dialect that was loaded since has brought operations.
  if (shared->numOperations != operations.size()) {
    RewritePatternSet found(context);
    for (Dialect *loaded : context->getLoadedDialects())
      loaded->getCanonicalizationPatterns(found);
    for (RegisteredOperationName operation : operations)
      operation.getCanonicalizationPatterns(found, context);
    shared->patterns = std::move(found);
    shared->numOperations = operations.size();
  }
  return shared->patterns;
}
