//===- Compiler.cpp - The compiler as Python functions --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// MLIR objects arrive as objects of the upstream bindings, from which their
// capsule is taken. The GIL is released while the compiler works.
//
//===----------------------------------------------------------------------===//

#include "Compiler.h"
#include "Diagnostics.h"

#include "dialect/GradDialect.h"
#include "passes/Passes.h"
#include "passes/Pipelines.h"
#include "runtime/Codegen.h"

#include "mlir-c/Bindings/Python/Interop.h"
#include "mlir/CAPI/IR.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace nb = nanobind;

namespace gradopt::native {

static nb::object getCapsule(nb::handle object) {
  return object.attr(MLIR_PYTHON_CAPI_PTR_ATTR);
}

static mlir::ModuleOp unwrapModule(nb::handle object) {
  MlirModule module = mlirPythonCapsuleToModule(getCapsule(object).ptr());
  if (mlirModuleIsNull(module))
    throw nb::python_error();
  return unwrap(module);
}

static mlir::MLIRContext *unwrapContext(nb::handle object) {
  MlirContext context = mlirPythonCapsuleToContext(getCapsule(object).ptr());
  if (mlirContextIsNull(context))
    throw nb::python_error();
  return unwrap(context);
}

static void registerDialects(nb::handle object) {
  mlir::MLIRContext *context = unwrapContext(object);
  mlir::DialectRegistry registry;
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  mlir::grad::registerCodegenTranslations(registry);
  registry.insert<mlir::grad::GradDialect>();
  context->disableMultithreading();
  context->appendDialectRegistry(registry);
  context->loadDialect<mlir::grad::GradDialect, mlir::func::FuncDialect>();
}

/// Makes passes known by name, once and only where text names them.
static void registerPassesOnce() {
  [[maybe_unused]] static const bool registered = [] {
    mlir::registerAllPasses();
    mlir::grad::registerGradPasses();
    mlir::grad::registerGradPipelines();
    return true;
  }();
}

/// Runs the passes that `build` puts into a pass manager.
template <typename Build>
static std::vector<Diagnostic>
runPasses(nb::handle object, const std::string &name, const Build &build) {
  mlir::ModuleOp module = unwrapModule(object);
  DiagnosticCollector collector(module.getContext());
  bool failed;
  {
    nb::gil_scoped_release release;
    mlir::PassManager passes(module.getContext());
    build(passes);
    failed = mlir::failed(passes.run(module));
  }
  if (failed)
    collector.raise("the passes of " + name + " failed");
  return collector.take();
}

static std::vector<Diagnostic> runStage(nb::handle module,
                                        const std::string &stage, bool fastMath,
                                        const std::string &optionText) {
  if (!llvm::is_contained(mlir::grad::getStageNames(), stage))
    throw nb::value_error(("no such stage: " + stage).c_str());
  mlir::grad::CpuOptions options;
  options.fastMath = fastMath;
  std::string message;
  llvm::raw_string_ostream stream(message);
  if (mlir::failed(options.parseFromString(optionText, stream)))
    throw nb::value_error(message.c_str());
  return runPasses(module, "stage " + stage, [&](mlir::OpPassManager &passes) {
    mlir::grad::buildStagePipeline(passes, stage, options);
  });
}

static std::vector<Diagnostic> runPipeline(nb::handle module,
                                           const std::string &pipeline) {
  registerPassesOnce();
  std::string message;
  llvm::raw_string_ostream stream(message);
  auto parsed = mlir::parsePassPipeline(pipeline, stream);
  if (mlir::failed(parsed))
    throw nb::value_error(message.c_str());
  if (parsed->getOpAnchorName() != mlir::OpPassManager::getAnyOpAnchorName() &&
      parsed->getOpAnchorName() != mlir::ModuleOp::getOperationName())
    throw nb::value_error("the pipeline must be anchored on builtin.module");
  return runPasses(module, pipeline, [&](mlir::OpPassManager &passes) {
    passes = std::move(*parsed);
  });
}

/// Runs one of the functions of Codegen.h.
template <typename Emit>
static auto generate(nb::handle object, const Emit &emit) {
  using Result = std::remove_reference_t<decltype(*emit(
      std::declval<mlir::Operation *>()))>;
  mlir::ModuleOp module = unwrapModule(object);
  DiagnosticCollector collector(module.getContext());
  std::optional<Result> result;
  std::string message;
  {
    nb::gil_scoped_release release;
    auto emitted = emit(module);
    if (emitted)
      result = std::move(*emitted);
    else
      message = llvm::toString(emitted.takeError());
  }
  if (!result)
    collector.raise(message);
  collector.warn();
  return std::move(*result);
}

static nb::bytes compileModule(nb::handle module,
                               const std::optional<nb::dict> &seconds) {
  mlir::grad::CodegenTimes times;
  auto object = generate(module, [&](mlir::Operation *source) {
    return mlir::grad::emitObject(source, &times);
  });
  if (seconds)
    for (auto [step, duration] : times)
      (*seconds)[step] = duration;
  return nb::bytes(object.data(), object.size());
}

static std::string llvmIR(nb::handle module) {
  return generate(module, mlir::grad::emitLLVMIR);
}

static std::string assembly(nb::handle module) {
  return generate(module, mlir::grad::emitAssembly);
}

static std::string hostTarget() {
  const mlir::grad::HostTarget &host = mlir::grad::HostTarget::get();
  return host.triple + " " + host.cpu + " " + std::to_string(host.vectorWidth) +
         "-bit";
}

static nb::list stageNames() {
  nb::list names;
  for (llvm::StringRef name : mlir::grad::getStageNames())
    names.append(nb::str(name.data(), name.size()));
  return names;
}

void bindCompiler(nb::module_ &module) {
  using nb::arg;
  module.def("register_dialects", &registerDialects, arg("context"),
             "Registers the grad dialect and all its pipelines need.");
  module.def("stage_names", &stageNames,
             "Names of the stages in pipeline order.");
  module.def("run_stage", &runStage, arg("module"), arg("stage"), nb::kw_only(),
             arg("fast_math") = false, arg("options") = "",
             "Runs the passes that lead to a stage, in place.");
  module.def("run_pipeline", &runPipeline, arg("module"), arg("pipeline"),
             "Runs a textual pass pipeline, in place.");
  module.def("compile_module", &compileModule, arg("module"),
             arg("times") = nb::none(),
             "Host object code of a module of stage \"llvm\".");
  module.def("llvm_ir", &llvmIR, arg("module"),
             "Optimised LLVM IR of a module of stage \"llvm\".");
  module.def("assembly", &assembly, arg("module"),
             "Host assembly of a module of stage \"llvm\".");
  module.def("host_target", &hostTarget,
             "Triple, CPU and vector width code is generated for.");
}

} // namespace gradopt::native
