//===- ControlFlowToBlocks.h - Loops and branches => blocks -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_CONTROLFLOWTOBLOCKS_H
#define GRADOPT_PASSES_CONTROLFLOWTOBLOCKS_H

#include "mlir/IR/Operation.h"

namespace mlir::grad {

/// What LLVM's loop optimizations are told of a loop: an attribute that its
/// branch back to the begin keeps.
inline constexpr llvm::StringLiteral kLoopAnnotation = "llvm.loop_annotation";

/// Loops and branches of affine and scf in `root` => of cf.
LogicalResult controlFlowToBlocks(Operation *root);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_CONTROLFLOWTOBLOCKS_H
