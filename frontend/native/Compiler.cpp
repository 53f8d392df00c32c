//===- Compiler.cpp - The Python module gradopt._compiler -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Programs come as text, since they are recorded without MLIR. What is asked
// while they are recorded are the types of results.
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
#include "mlir/AsmParser/AsmParser.h"
#include "mlir/CAPI/IR.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "llvm/ADT/ScopeExit.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstring>

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

/// The context that types are inferred in. It is used with the GIL held and is
/// single-threaded, so that a fork finds no locks in it. It only grows, and is
/// made anew from time to time.
static mlir::MLIRContext &inferenceContext() {
  static std::unique_ptr<mlir::MLIRContext> &context =
      *new std::unique_ptr<mlir::MLIRContext>;
  static unsigned uses = 0;
  if (!context || ++uses % 10'000 == 0) {
    context = std::make_unique<mlir::MLIRContext>(
        mlir::MLIRContext::Threading::DISABLED);
    context->loadDialect<mlir::grad::GradDialect>();
  }
  return *context;
}

/// The types of the results of an op, by its own rule.
static std::vector<std::string>
inferTypes(const std::string &op, const std::vector<std::string> &operands,
           const std::string &attributes) {
  mlir::MLIRContext *context = &inferenceContext();
  DiagnosticCollector collector(context);
  auto fail = [&](const char *what) {
    raiseCompilationError(collector.take(), what);
  };
  mlir::OperationName name(op, context);
  auto *rule = name.getInterface<mlir::InferTypeOpInterface>();
  if (!rule)
    fail("the op has no rule for the types of its results");
  mlir::Location location = mlir::UnknownLoc::get(context);
  mlir::Block block;
  for (const std::string &text : operands) {
    mlir::Type type = mlir::parseType(text, context);
    if (!type)
      fail("the type of an operand cannot be read");
    block.addArgument(type, location);
  }
  auto dictionary = llvm::dyn_cast_if_present<mlir::DictionaryAttr>(
      mlir::parseAttribute(attributes, context));
  if (!dictionary)
    fail("the attributes cannot be read");
  mlir::OperationState state(location, name, block.getArguments(),
                             mlir::TypeRange(), dictionary.getValue());
  auto info = name.getRegisteredInfo();
  size_t size = info->getOpPropertyByteSize();
  // Aligned for any properties.
  llvm::SmallVector<std::max_align_t, 8> storage(
      size / sizeof(std::max_align_t) + 1);
  mlir::OpaqueProperties properties(storage.data());
  info->initOpProperties(properties, mlir::OpaqueProperties(nullptr));
  llvm::scope_exit destroy([&] { info->destroyOpProperties(properties); });
  auto emitError = [&] { return mlir::emitError(location); };
  mlir::SmallVector<mlir::Type> types;
  if ((size && mlir::failed(info->setOpPropertiesFromAttribute(
                   name, properties, dictionary, emitError))) ||
      mlir::failed(rule->inferReturnTypes(context, location, state.operands,
                                          dictionary, properties, {}, types)))
    fail("the types of the results cannot be inferred");
  std::vector<std::string> texts;
  for (mlir::Type type : types)
    llvm::raw_string_ostream(texts.emplace_back()) << type;
  return texts;
}

/// The Python class `Compilation`.
static Compilation *start(nb::object program, const std::string &target,
                          const std::string &source, bool fastMath,
                          const std::string &options, bool locations,
                          const std::string &store, const std::string &cpu,
                          const std::string &chip, const nb::bytes &key,
                          std::vector<int64_t> wrt, std::vector<int64_t> of,
                          bool isSymmetric, const nb::dict &known) {
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
  request.key.assign(key.c_str(), key.size());
  request.wrt = std::move(wrt);
  request.of = std::move(of);
  request.isSymmetric = isSymmetric;
  for (auto [number, bytes] : known) {
    auto data = nb::cast<nb::bytes>(bytes);
    std::vector<int64_t> &integers = request.known[nb::cast<int64_t>(number)];
    integers.resize(data.size() / sizeof(int64_t));
    std::memcpy(integers.data(), data.c_str(),
                integers.size() * sizeof(int64_t));
  }
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
  module.def("infer_types", &inferTypes, arg("name"), arg("operands"),
             arg("attributes"),
             "The types of the results of an op, by its own rule.");
  module.def("stage_names", &stageNames, arg("for_device") = false,
             "Names of the stages to the CPU, or to a device, in order.");
  nb::class_<Compilation>(module, "Compilation",
                          "A program that is compiled in the background.")
      .def(nb::new_(&start), arg("program"), arg("target"), nb::kw_only(),
           arg("source") = "grad", arg("fast_math") = false,
           arg("options") = "", arg("locations") = false, arg("store") = "",
           arg("cpu") = "", arg("chip") = "", arg("key") = nb::bytes(""),
           arg("wrt") = nb::list(), arg("of") = nb::list(),
           arg("symmetric") = false, arg("known") = nb::dict())
      .def("wait", &wait, arg("seconds"),
           "Waits for at most so long; whether it is done.")
      .def_prop_ro("stage", &Compilation::stage)
      .def_prop_ro("text",
                   [](Compilation &self) { return getResult(self).output; })
      .def_prop_ro("object_code", &objectCode)
      .def_prop_ro("sparsity", &objectCode)
      .def_prop_ro("arena_bytes",
                   [](Compilation &self) { return getResult(self).arenaBytes; })
      .def_prop_ro("tape_bytes",
                   [](Compilation &self) { return getResult(self).tapeBytes; })
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
