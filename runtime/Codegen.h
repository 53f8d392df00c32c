//===- Codegen.h - From the LLVM dialect to host object code ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The last step of the compiler: a module in the LLVM dialect becomes LLVM IR,
// is linked with the scalar math functions it calls, optimised for the host at
// full vector width and emitted. All functions are thread-safe and report
// failures as llvm::Error; translation problems and warnings are diagnosed
// through the module's MLIR context.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_CODEGEN_H
#define GRADOPT_RUNTIME_CODEGEN_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"
#include <string>

namespace mlir {
class DialectRegistry;
class Operation;
} // namespace mlir

namespace mlir::grad {

/// The machine that code is generated for: this one.
struct HostTarget {
  std::string triple;
  std::string cpu;
  /// Subtarget features in LLVM's form: "+avx2,-sse4a,...".
  std::string features;
  /// Width in bits of the widest vector register of the CPU.
  unsigned vectorWidth;

  /// Determined once for the process.
  static const HostTarget &get();
};

/// Registers what translation to LLVM IR needs with `registry`.
void registerCodegenTranslations(mlir::DialectRegistry &registry);

/// What is told to whoever waits for the code.
struct CodegenObserver {
  /// Called often: whether to go on. If not, what is left is done as fast as
  /// possible, and is worth nothing.
  llvm::function_ref<bool()> checkpoint;
  /// Called when a step begins: "translate", "optimize" or "emit".
  llvm::function_ref<void(const char *)> beginStep;
};

/// Emits a position-independent relocatable object file for the host.
llvm::Expected<llvm::SmallVector<char, 0>>
emitObject(mlir::Operation *module, const CodegenObserver &observer);

/// The optimised LLVM IR, as text.
llvm::Expected<std::string> emitLLVMIR(mlir::Operation *module,
                                       const CodegenObserver &observer);

/// The optimised code in the host's assembly language.
llvm::Expected<std::string> emitAssembly(mlir::Operation *module,
                                         const CodegenObserver &observer);

} // namespace mlir::grad

#endif // GRADOPT_RUNTIME_CODEGEN_H
