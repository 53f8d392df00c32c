//===- Diagnostics.h - Messages of the compiler for Python ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_DIAGNOSTICS_H
#define GRADOPT_NATIVE_DIAGNOSTICS_H

#include <nanobind/nanobind.h>

#include "mlir/IR/Diagnostics.h"

#include <string>
#include <vector>

namespace gradopt::native {

/// The Python class `Diagnostic`.
struct Diagnostic {
  Diagnostic() = default;
  explicit Diagnostic(mlir::Diagnostic &diagnostic);

  mlir::DiagnosticSeverity severity = mlir::DiagnosticSeverity::Error;
  std::string message;
  /// Where the user wrote it; empty if the location has no file.
  std::string file;
  unsigned line = 0;
  unsigned column = 0;
  std::string location;
  std::vector<Diagnostic> notes;
};

/// Collects what a context diagnoses during a scope.
class DiagnosticCollector {
public:
  explicit DiagnosticCollector(mlir::MLIRContext *context);

  std::vector<Diagnostic> take() { return std::move(diagnostics); }

private:
  std::vector<Diagnostic> diagnostics;
  mlir::ScopedDiagnosticHandler handler;
};

/// Throws `CompilationError` with `diagnostics`, led by `summary` if there is
/// no error among them. Needs the GIL.
[[noreturn]] void raiseCompilationError(std::vector<Diagnostic> diagnostics,
                                        const std::string &summary);

/// Adds `Diagnostic`, `CompilationError` and `CompilationWarning`.
void bindDiagnostics(nanobind::module_ &module);

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_DIAGNOSTICS_H
