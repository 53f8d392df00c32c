//===- Foreign.h - Calls of foreign code ------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_FOREIGN_H
#define GRADOPT_DIALECT_FOREIGN_H

#include "mlir/IR/DialectRegistry.h"

namespace mlir::grad {

/// Says how `grad.custom_call_into` goes from tensors to buffers.
void registerForeignCallBufferization(DialectRegistry &registry);

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_FOREIGN_H
