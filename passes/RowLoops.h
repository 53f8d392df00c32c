//===- RowLoops.h - Loops over rows that run at once ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Where a number of rows is known in the call only, what is done with them is
/// a loop over one row after the other. Where each iteration writes rows of its
/// own, and reads no others of the same buffers, a device can do them at once.
/// Where they add to sums besides, it can do some of them at once, one after
/// the other, and then add up what these have found.
///
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_ROWLOOPS_H
#define GRADOPT_PASSES_ROWLOOPS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::grad {

/// Marks such loops in `function`, before memory is planned, by
/// `kParallelAttr` and `kMostIterationsAttr`, if they may be long. Those with
/// sums become a parallel loop over chunks of them, whose number is fixed, and
/// sums of what chunks found. What loops allocate becomes shared memory of a
/// block of threads.
void markRowLoops(func::FuncOp function);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_ROWLOOPS_H
