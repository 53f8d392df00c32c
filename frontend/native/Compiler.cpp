//===- Compiler.cpp - The Python module gradopt._compiler -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Programs are traced with the upstream bindings, in a context of theirs, and
// handed to the compiler as bytecode.
//
//===----------------------------------------------------------------------===//

#include "BundleFiles.h"
#include "CodeCache.h"
#include "Compilation.h"
#include "Diagnostics.h"
#include "Gil.h"

#include "dialect/GradDialect.h"
#include "passes/Pipelines.h"
#include "runtime/Codegen.h"

#include "mlir-c/Bindings/Python/Interop.h"
#include "mlir/CAPI/IR.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;

namespace gradopt::native {

static nb::object getCapsule(nb::handle object) {
  return object.attr(MLIR_PYTHON_CAPI_PTR_ATTR);
}

static mlir::MLIRContext *unwrapContext(nb::handle object) {
  MlirContext context = mlirPythonCapsuleToContext(getCapsule(object).ptr());
  if (mlirContextIsNull(context))
    throw nb::python_error();
  return unwrap(context);
}

static void loadDialects(nb::handle object) {
  mlir::MLIRContext *context = unwrapContext(object);
  context->disableMultithreading();
  context->loadDialect<mlir::grad::GradDialect, mlir::func::FuncDialect,
                       mlir::scf::SCFDialect, mlir::tensor::TensorDialect>();
}

/// The Python class `Compilation`.
static Compilation *start(nb::object program, const std::string &target,
                          const std::string &source, bool fastMath,
                          const std::string &options, bool locations,
                          const std::string &store, const std::string &cpu,
                          const std::string &chip) {
  CompilationRequest request;
  if (nb::isinstance<nb::bytes>(program)) {
    auto bytes = nb::borrow<nb::bytes>(program);
    request.program.assign(bytes.c_str(), bytes.size());
  } else if (!nb::try_cast(program, request.program)) {
    throw nb::type_error("a program is bytes or a string");
  }
  request.source = source;
  request.target = target;
  request.fastMath = fastMath;
  request.options = options;
  request.locations = locations;
  request.store = store;
  request.cpu = cpu;
  request.chip = chip;
  std::string message;
  std::unique_ptr<Compilation> made =
      Compilation::start(std::move(request), message);
  if (!made)
    throw nb::value_error(message.c_str());
  return made.release();
}

static bool wait(Compilation &self, double seconds) {
  GilRelease release;
  return self.wait(seconds);
}

static const CompilationResult &getResult(Compilation &self) {
  if (!self.wait(0))
    throw nb::value_error("the compilation is not done");
  const CompilationResult &result = self.result();
  if (!result.error.empty())
    raiseCompilationError(result.diagnostics, result.error);
  return result;
}

static nb::bytes objectCode(Compilation &self) {
  const std::string &bytes = getResult(self).output;
  return nb::bytes(bytes.data(), bytes.size());
}

static nb::dict seconds(Compilation &self) {
  nb::dict steps;
  for (auto [name, seconds] : getResult(self).seconds)
    steps[name] = seconds;
  return steps;
}

/// The cache that the other extension has made.
static void shareCodeCache() {
  CodeCache::shared =
      static_cast<CodeCache *>(PyCapsule_Import(kCodeCacheCapsule, 0));
  if (!CodeCache::shared)
    throw nb::python_error();
}

static std::string hostTarget() {
  const mlir::grad::CodeTarget &host = mlir::grad::CodeTarget::host();
  return host.triple + " " + host.cpu + " " + std::to_string(host.vectorWidth) +
         "-bit";
}

static nb::list stageNames(bool forDevice) {
  nb::list names;
  for (llvm::StringRef name : mlir::grad::getStageNames(forDevice))
    names.append(nb::str(name.data(), name.size()));
  return names;
}

} // namespace gradopt::native

NB_MODULE(_compiler, module) {
  using namespace gradopt::native;
  using nb::arg;
  module.doc() = "The compiler, which is imported where there is no code yet.";
  // Threads that run until the process ends keep what they use.
  nb::set_leak_warnings(false);
  shareCodeCache();
  bindDiagnostics(module);
  bindBundleFiles(module);
  module.def("load_dialects", &loadDialects, arg("context"),
             "Loads the dialects that traced programs are made of.");
  module.def("stage_names", &stageNames, arg("for_device") = false,
             "Names of the stages to the CPU, or to a device, in order.");
  nb::class_<Compilation>(module, "Compilation",
                          "A program that is compiled in the background.")
      .def(nb::new_(&start), arg("program"), arg("target"), nb::kw_only(),
           arg("source") = "grad", arg("fast_math") = false,
           arg("options") = "", arg("locations") = false, arg("store") = "",
           arg("cpu") = "", arg("chip") = "")
      .def("wait", &wait, arg("seconds"),
           "Waits for at most so long; whether it is done.")
      .def_prop_ro("stage", &Compilation::stage)
      .def_prop_ro("text",
                   [](Compilation &self) { return getResult(self).output; })
      .def_prop_ro("object_code", &objectCode)
      .def_prop_ro("arena_bytes",
                   [](Compilation &self) { return getResult(self).arenaBytes; })
      .def_prop_ro(
          "diagnostics",
          [](Compilation &self) { return getResult(self).diagnostics; })
      .def_prop_ro(
          "store_message",
          [](Compilation &self) { return getResult(self).storeMessage; })
      .def_prop_ro("seconds", &seconds);
  module.def("programs_compiled", &programsCompiled,
             "Programs that object code was generated for.");
  module.def("host_target", &hostTarget,
             "Triple, CPU and vector width code is generated for.");
}
