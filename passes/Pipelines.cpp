//===- Pipelines.cpp - From the grad dialect to the CPU, by stages --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The stages as lists of passes. No CSE between grad-fuse and bufferization:
/// it would merge initial values that grad-fuse keeps apart, and cost copies.
///
//===----------------------------------------------------------------------===//

#include "passes/Pipelines.h"
#include "passes/Passes.h"

#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace mlir::grad;

/// Folds and local patterns only: blocks are simple, no region needs work.
static std::unique_ptr<Pass> createCanonicalize() {
  GreedyRewriteConfig config;
  config.setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
  return createCanonicalizerPass(config);
}

void mlir::grad::buildSimplification(OpPassManager &manager) {
  manager.addPass(createCSEPass());
  manager.addPass(createCanonicalize());
}

static void buildAdjoint(OpPassManager &manager, const CpuOptions &) {
  // What is computed once has one cotangent.
  manager.addPass(createCSEPass());
  manager.addPass(createGradExpandRequests());
}

static void buildSimplified(OpPassManager &manager, const CpuOptions &) {
  buildSimplification(manager);
  manager.addNestedPass<func::FuncOp>(createGradPlaceSlices());
  manager.addNestedPass<func::FuncOp>(createGradSharePads());
  manager.addNestedPass<func::FuncOp>(createGradStackProducts());
  buildSimplification(manager);
}

void mlir::grad::buildDifferentiation(OpPassManager &manager,
                                      const DerivativeOptions &options) {
  // What is asked for without naming a function is an error of the request.
  if (options.function.empty() && options.wrt.empty() && options.of.empty() &&
      options.name.empty()) {
    manager.addPass(createGradExpandRequests());
    return;
  }
  GradRequestDerivativeOptions request;
  request.function = options.function;
  llvm::append_range(request.wrt, options.wrt);
  llvm::append_range(request.of, options.of);
  request.mode = options.mode;
  request.name = options.name;
  manager.addPass(createGradRequestDerivative(std::move(request)));
  buildAdjoint(manager, {});
  buildSimplified(manager, {});
  manager.addNestedPass<func::FuncOp>(createConvertGradToLinalg());
  buildSimplification(manager);
  manager.addNestedPass<func::FuncOp>(createGradDropBarriers());
  manager.addPass(createGradEraseAttributes());
}

static void buildLinalg(OpPassManager &manager, const CpuOptions &) {
  OpPassManager &functions = manager.nest<func::FuncOp>();
  functions.addPass(createConvertGradToLinalg());
  functions.addPass(createCSEPass());
  functions.addPass(createGradAccumulateProducts());
  functions.addPass(createGradScalarsToRegisters());
  functions.addPass(createGradFuse());
  functions.addPass(createGradDropBarriers());
  functions.addPass(createCanonicalize());
}

static void buildBufferized(OpPassManager &manager, const CpuOptions &options) {
  manager.addPass(createGradResultsToDestinations());
  manager.addNestedPass<func::FuncOp>(createGradCarryInPlace());
  manager.addPass(createGradBufferize());
  manager.addPass(createCanonicalize());
  manager.addPass(createCSEPass());
  manager.addPass(createCanonicalize());
  manager.addNestedPass<func::FuncOp>(createGradSwapBuffers());
  manager.addNestedPass<func::FuncOp>(createGradBlockLoops());
  GradPlanMemoryOptions plan;
  plan.remarks = options.planRemarks;
  manager.addPass(createGradPlanMemory(plan));
  GradContractionsToBlasOptions blas;
  blas.threshold = options.blasThreshold;
  manager.addPass(createGradContractionsToBlas(blas));
  manager.addPass(createCSEPass());
  GradOutlineKernelsOptions outline;
  outline.minCommands = options.commandThreshold;
  manager.addPass(createGradOutlineKernels(outline));
}

static void buildLLVM(OpPassManager &manager, const CpuOptions &options) {
  GradEmitCommandsOptions commands;
  commands.remarks = options.commandRemarks;
  manager.addPass(createGradEmitCommands(commands));
  manager.addNestedPass<func::FuncOp>(createGradBuffersToLoops());
  manager.addPass(createConvertMathToGradopt());
  ConvertBuffersToLLVMOptions convert;
  convert.fastMath = options.fastMath;
  manager.addPass(createConvertBuffersToLLVM(convert));
  manager.addPass(createCanonicalize());
  manager.addPass(createGradEmitEntry());
}

namespace {
struct Stage {
  StringRef name;
  StringRef flag;
  StringRef summary;
  void (*build)(OpPassManager &, const CpuOptions &);
};
} // namespace

static constexpr Stage stages[] = {
    {"adjoint", "grad-to-adjoint", "Stage 1: expand requests for derivatives",
     buildAdjoint},
    {"simplified", "grad-to-simplified",
     "Stage 2: algebra, common subexpressions, dead code", buildSimplified},
    {"linalg", "grad-to-linalg", "Stage 3: fused linalg on tensors",
     buildLinalg},
    {"bufferized", "grad-to-bufferized",
     "Stage 4: linalg and BLAS calls on planned memory", buildBufferized},
    {"llvm", "grad-to-llvm", "Stage 5: the LLVM dialect with a C entry point",
     buildLLVM},
};

ArrayRef<StringRef> mlir::grad::getStageNames() {
  static const SmallVector<StringRef> names = llvm::map_to_vector(
      stages, [](const Stage &stage) { return stage.name; });
  return names;
}

void mlir::grad::buildStagePipeline(OpPassManager &manager, StringRef stage,
                                    const CpuOptions &options) {
  const Stage *found = llvm::find_if(
      stages, [&](const Stage &candidate) { return candidate.name == stage; });
  assert(found != std::end(stages) && "expected a name from getStageNames()");
  found->build(manager, options);
}

void mlir::grad::registerGradPipelines() {
  PassPipelineRegistration<DerivativeOptions>(
      "grad-differentiate",
      "Expand all requests for derivatives; with a function, add its "
      "derivative, in upstream dialects",
      buildDifferentiation);
  PassPipelineRegistration<CpuOptions>(
      "grad-to-cpu", "All stages, from the grad dialect to the LLVM dialect",
      [](OpPassManager &manager, const CpuOptions &options) {
        for (const Stage &stage : stages)
          stage.build(manager, options);
      });
  for (const Stage &stage : stages)
    PassPipelineRegistration<CpuOptions>(
        stage.flag, stage.summary,
        [build = stage.build](OpPassManager &manager,
                              const CpuOptions &options) {
          build(manager, options);
        });
}
