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

#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/Error.h"
#include <string>
#include <utility>

namespace mlir {
class DialectRegistry;
class Operation;
} // namespace mlir

namespace mlir::grad {

/// The name of the function that stays visible in the object code.
inline constexpr const char *kEntryName = "gradopt_main";

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

/// The seconds that each step of code generation took.
using CodegenTimes = llvm::SmallVector<std::pair<const char *, double>, 4>;

/// Emits a position-independent relocatable object file for the host. Adds to
/// `times` if it is given.
llvm::Expected<llvm::SmallVector<char, 0>>
emitObject(mlir::Operation *module, CodegenTimes *times = nullptr);

/// The optimised LLVM IR, as text.
llvm::Expected<std::string> emitLLVMIR(mlir::Operation *module);

/// The optimised code in the host's assembly language.
llvm::Expected<std::string> emitAssembly(mlir::Operation *module);

} // namespace mlir::grad

#endif // GRADOPT_RUNTIME_CODEGEN_H
