//===- DeviceCodegen.h - Programs for a GPU ---------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_DEVICECODEGEN_H
#define GRADOPT_RUNTIME_DEVICECODEGEN_H

#include "runtime/Codegen.h"

namespace mlir::grad {

/// Writes a program as runtime/DeviceProgram.h has it: the commands of
/// `module`, which is of stage "nvvm", and its kernels for each of `chips`,
/// with commas between them. Newer chips run what is for older ones, too. What
/// is "emulated" is for an emulator.
llvm::Expected<llvm::SmallVector<char, 0>>
emitDeviceProgram(mlir::Operation *module, llvm::StringRef chips,
                  const CodegenObserver &observer);

/// The kernels of `module` for `chip`, as text.
llvm::Expected<std::string> emitDevicePtx(mlir::Operation *module,
                                          llvm::StringRef chip,
                                          const CodegenObserver &observer);

/// Whether `chips` are names that emitDeviceProgram() knows.
bool areDeviceChips(llvm::StringRef chips);

} // namespace mlir::grad

#endif // GRADOPT_RUNTIME_DEVICECODEGEN_H
