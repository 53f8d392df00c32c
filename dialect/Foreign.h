//===- Foreign.h - Calls of foreign code ------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_FOREIGN_H
#define GRADOPT_DIALECT_FOREIGN_H

#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/Operation.h"

namespace mlir::grad {

/// Whether `op` calls code of the host that writes its results into operands.
bool isHostCall(Operation *op);

/// Says how `grad.custom_call_into` goes from tensors to buffers.
void registerForeignCallBufferization(DialectRegistry &registry);

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_FOREIGN_H
