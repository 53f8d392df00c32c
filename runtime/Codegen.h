//===- Codegen.h - From the LLVM dialect to machine code --------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The last step of the compiler: a module in the LLVM dialect becomes LLVM IR,
// is linked with the scalar math functions it calls, optimised for a CPU at
// full vector width or for a GPU, and emitted. All functions are thread-safe
// and report failures as llvm::Error; translation problems and warnings are
// diagnosed through the module's MLIR context.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_CODEGEN_H
#define GRADOPT_RUNTIME_CODEGEN_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"
#include <optional>
#include <string>

namespace mlir {
class DialectRegistry;
class Operation;
} // namespace mlir

namespace mlir::grad {

/// A machine that code is generated for.
struct CodeTarget {
  std::string triple;
  std::string cpu;
  /// Subtarget features in LLVM's form: "+avx2,-sse4a,...".
  std::string features;
  /// Width in bits of the widest vector register of the CPU.
  unsigned vectorWidth;
  /// Whether programs find the special functions in libGradOptSpecial.
  bool hasSpecialFunctions = false;
  /// Whether code is for checks, in which it is compiled longer than it runs.
  bool isForChecks = false;

  /// This machine; determined once for the process.
  static const CodeTarget &host();

  /// Any machine of a level of the x86-64 psABI: "x86-64-v2", "x86-64-v3" or
  /// "x86-64-v4"; null for other names.
  static const CodeTarget *level(llvm::StringRef name);

  /// A GPU of NVIDIA: "sm_80" and the like; none for other names.
  static std::optional<CodeTarget> gpu(llvm::StringRef chip);

  bool isGpu() const;
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

/// Emits a position-independent relocatable object file. Its entry is
/// `gradopt_main`, or all functions that `entries` names.
llvm::Expected<llvm::SmallVector<char, 0>>
emitObject(mlir::Operation *module, const CodeTarget &target,
           const CodegenObserver &observer,
           llvm::ArrayRef<llvm::StringRef> entries = {});

/// Emits the kernels of a `gpu.module` in the LLVM dialect as PTX.
llvm::Expected<std::string> emitPtx(mlir::Operation *module,
                                    const CodeTarget &target,
                                    const CodegenObserver &observer,
                                    llvm::ArrayRef<llvm::StringRef> entries);

/// The optimised LLVM IR, as text.
llvm::Expected<std::string> emitLLVMIR(mlir::Operation *module,
                                       const CodeTarget &target,
                                       const CodegenObserver &observer);

/// The optimised code in assembly language.
llvm::Expected<std::string> emitAssembly(mlir::Operation *module,
                                         const CodeTarget &target,
                                         const CodegenObserver &observer);

} // namespace mlir::grad

#endif // GRADOPT_RUNTIME_CODEGEN_H
