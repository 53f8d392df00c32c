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
  explicit Diagnostic(mlir::Diagnostic &diagnostic);

  mlir::DiagnosticSeverity severity;
  std::string message;
  /// Where the user wrote it; empty if the location has no file.
  std::string file;
  unsigned line = 0;
  unsigned column = 0;
  std::string location;
  std::vector<Diagnostic> notes;
};

/// Collects what a context diagnoses on this thread during a scope.
class DiagnosticCollector {
public:
  explicit DiagnosticCollector(mlir::MLIRContext *context);

  /// What was collected, to return to Python.
  std::vector<Diagnostic> take() { return std::move(diagnostics); }

  /// Throws `CompilationError` with what was collected, led by `summary` if
  /// there is no error among it. Needs the GIL.
  [[noreturn]] void raise(const std::string &summary);

  /// Makes a Python warning of each warning that was collected; throws if this
  /// raises an exception. Needs the GIL.
  void warn();

private:
  std::vector<Diagnostic> diagnostics;
  mlir::ScopedDiagnosticHandler handler;
};

/// Adds `Diagnostic`, `CompilationError` and `CompilationWarning`.
void bindDiagnostics(nanobind::module_ &module);

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_DIAGNOSTICS_H
