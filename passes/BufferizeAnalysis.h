//===- BufferizeAnalysis.h - Which updates are in place ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_BUFFERIZEANALYSIS_H
#define GRADOPT_PASSES_BUFFERIZEANALYSIS_H

#include "passes/InPlaceState.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::grad {

/// Decides for each tensor operand in `func`, which has one block, whether it
/// is bufferized in place, and records that in `state`. Fails with a diagnostic
/// where an operand has to be in place and cannot.
LogicalResult analyzeInPlace(func::FuncOp func, InPlaceState &state);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_BUFFERIZEANALYSIS_H
