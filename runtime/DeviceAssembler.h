//===- DeviceAssembler.h - Machine code of GPUs -----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_DEVICEASSEMBLER_H
#define GRADOPT_RUNTIME_DEVICEASSEMBLER_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <string>

namespace mlir::grad {

/// A program for GPUs (DeviceProgram.h) that has, beside each PTX of its
/// kernels, machine code for exactly this chip: a GPU's driver need not compile
/// it then. `assembler` is CUDA's ptxas, a path or a name to be found on the
/// PATH.
llvm::Expected<std::string> assembleDeviceProgram(llvm::StringRef program,
                                                  llvm::StringRef assembler);

} // namespace mlir::grad

#endif // GRADOPT_RUNTIME_DEVICEASSEMBLER_H
