//===- CanonicalPatterns.h - Canonicalization of all dialects ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_CANONICALPATTERNS_H
#define GRADOPT_DIALECT_CANONICALPATTERNS_H

#include "mlir/IR/DialectInterface.h"
#include "mlir/Rewrite/FrozenRewritePatternSet.h"

#include <mutex>

namespace mlir::grad {

/// The canonicalization patterns of a context, which are many, and the same for
/// each pass that applies them. An interface of the grad dialect, because that
/// lives as long as they are valid.
class CanonicalPatterns : public DialectInterface::Base<CanonicalPatterns> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(CanonicalPatterns)

  explicit CanonicalPatterns(Dialect *dialect) : Base(dialect) {}

  /// Those of all dialects that are loaded, of which grad has to be one.
  static FrozenRewritePatternSet get(MLIRContext *context);

private:
  std::mutex mutex;
  FrozenRewritePatternSet patterns;
  /// For how many operations they were collected.
  size_t numOperations = 0;
};

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_CANONICALPATTERNS_H
