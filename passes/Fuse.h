//===- Fuse.h - Parts of grad-fuse ------------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_FUSE_H
#define GRADOPT_PASSES_FUSE_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::grad {

/// Whether `op` multiplies and accumulates along dimensions shared by two
/// operands of which at least one has a dimension of its own: the work of a
/// matrix product, matrix-vector product or outer product with a sum.
bool isContraction(linalg::LinalgOp op);

/// Whether `op` is a contraction, or like one but for the places that it reads,
/// as a convolution.
bool isProduct(linalg::LinalgOp op);

/// What it costs to compute the body of `op` once more per element.
enum class BodyCost {
  Free,     ///< moves data: broadcasts, transposes, constants, indices
  Cheap,    ///< a few additions, multiplications, comparisons, conversions
  Expensive ///< divisions, math functions, long bodies
};
BodyCost getBodyCost(linalg::GenericOp op);

/// Whether the bodies of `first` and `second` may become one: longer ones keep
/// no value in registers, and cost the back end more time than they save.
bool isSmallTogether(linalg::GenericOp first, linalg::GenericOp second);

/// Merges operations of `block` with the same iteration space into operations
/// with several results, wherever this saves a pass over memory. Reductions
/// along different loops stay apart where `separateReductions` asks for it.
/// Returns the number of merges.
unsigned mergeLoopNests(RewriterBase &rewriter, Block &block,
                        bool separateReductions);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_FUSE_H
