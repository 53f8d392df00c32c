//===- ForeignCallsToLLVM.h - Calls of foreign code -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_FOREIGNCALLSTOLLVM_H
#define GRADOPT_PASSES_FOREIGNCALLSTOLLVM_H

#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::grad {

/// `grad.custom_call_into` on buffers => a call of the runtime.
void populateForeignCallsToLLVM(const LLVMTypeConverter &converter,
                                RewritePatternSet &patterns);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_FOREIGNCALLSTOLLVM_H
