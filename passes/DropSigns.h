//===- DropSigns.h - Integers lose their sign -------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_DROPSIGNS_H
#define GRADOPT_PASSES_DROPSIGNS_H

#include "mlir/Interfaces/FunctionInterfaces.h"

namespace mlir::grad {

/// Gives all values of a function the integer types without sign that `arith`
/// knows (ui8 => i8), and marks the ops of the dialect whose operands were
/// unsigned. What was marked must be lowered before anyone else looks. A
/// function without such ops stays as it is.
void dropSigns(FunctionOpInterface function);

/// Whether operands of an op were unsigned before `dropSigns`.
bool hadUnsignedOperands(Operation *op);

/// Which operands and results of a call of foreign code were unsigned; null if
/// none was.
DenseBoolArrayAttr getUnsignedArrays(Operation *call);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_DROPSIGNS_H
