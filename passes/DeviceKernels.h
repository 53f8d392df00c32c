//===- DeviceKernels.h - Kernels in the LLVM dialect ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_DEVICEKERNELS_H
#define GRADOPT_PASSES_DEVICEKERNELS_H

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace mlir::grad {

/// Of a function that is an emulated kernel: the bytes that the threads of a
/// block share.
inline constexpr llvm::StringLiteral kSharedBytesAttr = "grad.shared_bytes";

/// Loads and stores of bools, which are i1, => of bytes, which are 0 or 1.
void storeBoolsAsBytes(Operation *root);

/// A value of `type`, as it lies in the first bytes of `word`, which is an i64.
Value fromWord(OpBuilder &builder, Location loc, Value word, Type type);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_DEVICEKERNELS_H
