//===- SplitSums.h - Loops that add forwards and backwards ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_SPLITSUMS_H
#define GRADOPT_PASSES_SPLITSUMS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::grad {

/// Makes two loops of each innermost one that adds to an array in two places,
/// of which one moves forwards and the other one backwards.
void splitSums(func::FuncOp function);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_SPLITSUMS_H
