//===- CarriedNeeds.h - What loops carry for others -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_CARRIEDNEEDS_H
#define GRADOPT_DIALECT_CARRIEDNEEDS_H

#include "mlir/Dialect/SCF/IR/SCF.h"

namespace mlir::grad {

/// The numbers of the values that the loop carries from which those of its
/// results follow that are used, or no floats.
SmallVector<unsigned> findNeeded(scf::ForOp loop);

/// Replaces the loop by one that carries only these. What else its body
/// computes is undefined.
scf::ForOp carryOnly(scf::ForOp loop, ArrayRef<unsigned> needed);

/// Erases the calls that nothing that the body of a loop yields follows from,
/// also in loops in it that carry what they return: they were made when the
/// loop ran for the first time, and are not to be made again. The first
/// argument of the block is the number of the iteration.
void eraseUnneededCalls(Block &body);

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_CARRIEDNEEDS_H
