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

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_CARRIEDNEEDS_H
