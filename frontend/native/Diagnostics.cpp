//===- Diagnostics.cpp - Messages of the compiler for Python --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Diagnostics.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/raw_ostream.h"

namespace nb = nanobind;

namespace gradopt::native {

static PyObject *compilationError = nullptr;

/// The first position in a file that `location` mentions. In a call site, that
/// is where the callee is.
static mlir::FileLineColLoc findFile(mlir::Location location) {
  using Result = mlir::FileLineColLoc;
  return llvm::TypeSwitch<mlir::LocationAttr, Result>(location)
      .Case([](mlir::FileLineColLoc file) { return file; })
      .Case([](mlir::FileLineColRange range) {
        return mlir::FileLineColLoc::get(
            range.getFilename(), range.getStartLine(), range.getStartColumn());
      })
      .Case([](mlir::NameLoc name) { return findFile(name.getChildLoc()); })
      .Case([](mlir::OpaqueLoc opaque) {
        return findFile(opaque.getFallbackLocation());
      })
      .Case([](mlir::CallSiteLoc call) {
        Result callee = findFile(call.getCallee());
        return callee ? callee : findFile(call.getCaller());
      })
      .Case([](mlir::FusedLoc fused) {
        for (mlir::Location part : fused.getLocations())
          if (Result file = findFile(part))
            return file;
        return Result();
      })
      .Default([](mlir::LocationAttr) { return Result(); });
}

Diagnostic::Diagnostic(mlir::Diagnostic &diagnostic)
    : severity(diagnostic.getSeverity()), message(diagnostic.str()) {
  mlir::Location where = diagnostic.getLocation();
  if (mlir::FileLineColLoc position = findFile(where)) {
    file = position.getFilename().str();
    line = position.getLine();
    column = position.getColumn();
  }
  llvm::raw_string_ostream stream(location);
  where->print(stream);
  // loc(...) becomes `...`.
  llvm::StringRef text = location;
  if (text.consume_front("loc(") && text.consume_back(")"))
    location = text.str();
  for (mlir::Diagnostic &note : diagnostic.getNotes())
    notes.emplace_back(note);
}

DiagnosticCollector::DiagnosticCollector(mlir::MLIRContext *context)
    : handler(context, [this](mlir::Diagnostic &diagnostic) {
        diagnostics.emplace_back(diagnostic);
        return mlir::success();
      }) {}

void raiseCompilationError(std::vector<Diagnostic> diagnostics,
                           const std::string &summary) {
  auto error = llvm::find_if(diagnostics, [](const Diagnostic &diagnostic) {
    return diagnostic.severity == mlir::DiagnosticSeverity::Error;
  });
  bool found = error != diagnostics.end();
  nb::object exception = nb::handle(compilationError)(
      nb::str(found ? error->message.c_str() : summary.c_str()));
  exception.attr("diagnostics") = nb::cast(std::move(diagnostics));
  PyErr_SetObject(compilationError, exception.ptr());
  throw nb::python_error();
}

static const char *severityName(mlir::DiagnosticSeverity severity) {
  switch (severity) {
  case mlir::DiagnosticSeverity::Note:
    return "note";
  case mlir::DiagnosticSeverity::Warning:
    return "warning";
  case mlir::DiagnosticSeverity::Error:
    return "error";
  case mlir::DiagnosticSeverity::Remark:
    return "remark";
  }
  return "error";
}

void bindDiagnostics(nb::module_ &module) {
  nb::class_<Diagnostic>(module, "Diagnostic", "One message of the compiler.")
      .def_prop_ro(
          "severity",
          [](const Diagnostic &self) { return severityName(self.severity); })
      .def_ro("message", &Diagnostic::message)
      .def_prop_ro("file",
                   [](const Diagnostic &self) -> nb::object {
                     if (self.file.empty())
                       return nb::none();
                     return nb::str(self.file.c_str(), self.file.size());
                   })
      .def_ro("line", &Diagnostic::line)
      .def_ro("column", &Diagnostic::column)
      .def_ro("location", &Diagnostic::location)
      .def_ro("notes", &Diagnostic::notes)
      .def("__repr__", [](const Diagnostic &self) {
        return "<" + std::string(severityName(self.severity)) + " at " +
               self.location + ": " + self.message + ">";
      });
  compilationError = PyErr_NewExceptionWithDoc(
      "gradopt._compiler.CompilationError",
      "A pass, translation or code generation failed.", PyExc_RuntimeError,
      nullptr);
  if (!compilationError)
    throw nb::python_error();
  nb::handle type(compilationError);
  type.attr("diagnostics") = nb::make_tuple();
  module.attr("CompilationError") = type;
  PyObject *compilationWarning = PyErr_NewExceptionWithDoc(
      "gradopt._compiler.CompilationWarning",
      "Translation or code generation warned of something in a program.",
      PyExc_RuntimeWarning, nullptr);
  if (!compilationWarning)
    throw nb::python_error();
  module.attr("CompilationWarning") = nb::handle(compilationWarning);
}

} // namespace gradopt::native
