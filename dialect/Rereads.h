//===- Rereads.h - What arrays hold before and behind loops -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An iteration of a loop reads a part of an array that the loop updates. If no
// iteration before has written to that part, it is as it was before the loop;
// if none writes to it from then on, it stays as it is until behind the loop.
// Then nothing has to be stored for linear code that needs it.
//
//     %y = scf.for %i ... iter_args(%x = %zeros) {
//       %a = grad.dynamic_slice %x[%i - 1]          is a slice of %y, too
//       %b = grad.dynamic_update_slice %x, ...[%i]  overwrites a part of %zeros
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_REREADS_H
#define GRADOPT_DIALECT_REREADS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/OwningOpRef.h"

namespace mlir::grad {

/// An array from outside of loops that holds what the op reads, which updates
/// may have made of another array; null if none is found, or if that array
/// takes far more bytes than what is read in all iterations.
Value findReread(Operation *read);

/// The same of what the update overwrites, and of what it writes.
Value findOverwritten(Operation *update);
Value findWritten(Operation *update);

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_REREADS_H
