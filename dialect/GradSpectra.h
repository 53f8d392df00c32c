//===- GradSpectra.h - General square matrices ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The ops of GradSpectra.td, which few files need by name.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_GRADSPECTRA_H
#define GRADOPT_DIALECT_GRADSPECTRA_H

#include "dialect/GradDialect.h"

namespace mlir::grad {

/// Adds the ops of GradSpectra.td to the dialect.
void addSpectra(Dialect &dialect);

} // namespace mlir::grad

#define GET_OP_CLASSES
#include "dialect/GradSpectra.h.inc"

#endif // GRADOPT_DIALECT_GRADSPECTRA_H
