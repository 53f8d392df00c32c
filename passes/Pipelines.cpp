//===- Pipelines.cpp - From the grad dialect to machines, by stages ------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// The stages as lists of passes. No CSE between grad-fuse and bufferization:
/// it would merge initial values that grad-fuse keeps apart, and cost copies.
/// Values are merged by grad-cse, reads of memory behind it by upstream's cse.
///
//===----------------------------------------------------------------------===//

#include "passes/Pipelines.h"
#include "passes/Passes.h"
#include "runtime/DeviceCodegen.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace mlir::grad;

/// From the last op on, or from the first one.
static std::unique_ptr<Pass> createCanonicalize(bool topDown) {
  GradCanonicalizeOptions options;
  options.topDown = topDown;
  return createGradCanonicalize(options);
}

void mlir::grad::buildSimplification(OpPassManager &manager) {
  manager.addPass(createGradCse());
  manager.addPass(createGradCanonicalize());
}

bool ChipParser::parse(llvm::cl::Option &option, StringRef, StringRef text,
                       std::string &chip) {
  if (!text.empty() && !areDeviceChips(text))
    return option.error("expected a GPU, as sm_90, but got '" + text + "'");
  chip = text.str();
  return false;
}

static void buildAdjoint(OpPassManager &manager, const LoweringOptions &) {
  // What is computed once has one cotangent.
  manager.addPass(createGradCse());
  manager.addNestedPass<func::FuncOp>(createGradWidenFloats());
  manager.addNestedPass<func::FuncOp>(createGradExpandSizes());
  manager.addPass(createGradExpandRequests());
}

static void buildSimplified(OpPassManager &manager, const LoweringOptions &) {
  buildSimplification(manager);
  manager.addNestedPass<func::FuncOp>(createGradPlaceSlices());
  manager.addNestedPass<func::FuncOp>(createGradSharePads());
  manager.addNestedPass<func::FuncOp>(createGradStackProducts());
  buildSimplification(manager);
  manager.addNestedPass<func::FuncOp>(createGradSliceOperands());
  // Patterns have made sums of what was added to parts of arrays.
  manager.addNestedPass<func::FuncOp>(createGradWidenFloats());
  manager.addNestedPass<func::FuncOp>(createGradChooseLayouts());
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

static void buildLinalg(OpPassManager &manager,
                        const LoweringOptions &options) {
  OpPassManager &functions = manager.nest<func::FuncOp>();
  functions.addPass(createGradReadLastVersions());
  if (!options.isForDevice())
    functions.addPass(createGradFillAccessed());
  if (options.isForDevice())
    functions.addPass(createGradSplitComplexProducts());
  ConvertGradToLinalgOptions convert;
  convert.forDevice = options.isForDevice();
  functions.addPass(createConvertGradToLinalg(convert));
  functions.addPass(createGradCse());
  functions.addPass(createGradAccumulateProducts());
  GradScalarsToRegistersOptions scalars;
  scalars.forDevice = options.isForDevice();
  functions.addPass(createGradScalarsToRegisters(scalars));
  GradFuseOptions fuse;
  fuse.separateReductions = options.isForDevice();
  fuse.writeTransposed = options.isForDevice();
  functions.addPass(createGradFuse(fuse));
  functions.addPass(createGradDropBarriers());
  functions.addPass(createGradCanonicalize());
}

static void buildBufferized(OpPassManager &manager,
                            const LoweringOptions &options) {
  manager.addPass(createGradResultsToDestinations());
  manager.addNestedPass<func::FuncOp>(createGradCarryInPlace());
  manager.addPass(createGradBufferize());
  // Loops in a row pass a buffer on. From the last one on, what uses it would
  // go back to where it comes from step by step.
  manager.addPass(createCanonicalize(/*topDown=*/true));
  manager.addPass(createCSEPass());
  manager.addPass(createCanonicalize(/*topDown=*/true));
  manager.addNestedPass<func::FuncOp>(createGradSwapBuffers());
  GradBlockLoopsOptions block;
  block.forDevice = options.isForDevice();
  manager.addNestedPass<func::FuncOp>(createGradBlockLoops(block));
  GradPlanMemoryOptions plan;
  plan.remarks = options.planRemarks;
  manager.addPass(createGradPlanMemory(plan));
  GradResolveOpenSizesOptions open;
  open.forDevice = options.isForDevice();
  manager.addNestedPass<func::FuncOp>(createGradResolveOpenSizes(open));
  GradContractionsToBlasOptions blas;
  blas.threshold = options.blasThreshold;
  blas.forDevice = options.isForDevice();
  manager.addPass(createGradContractionsToBlas(blas));
  manager.addPass(createCSEPass());
  GradOutlineKernelsOptions outline;
  outline.minCommands = options.commandThreshold;
  outline.forDevice = options.isForDevice();
  manager.addPass(createGradOutlineKernels(outline));
  if (options.isForDevice())
    manager.addPass(createGradResultsToSlots());
}

static void emitCommands(OpPassManager &manager,
                         const LoweringOptions &options) {
  GradEmitCommandsOptions commands;
  commands.remarks = options.commandRemarks;
  manager.addPass(createGradEmitCommands(commands));
}

static void buildGpu(OpPassManager &manager, const LoweringOptions &) {
  manager.addPass(createGradKernelsToGpu());
  // What is left of lists is in the form that commands have.
  OpPassManager &kernels = manager.nest<gpu::GPUModuleOp>();
  kernels.addPass(createGradCanonicalize());
  kernels.addPass(createCSEPass());
}

static void buildEmulated(OpPassManager &manager,
                          const LoweringOptions &options) {
  manager.addPass(createGradEmulateKernels());
  manager.addPass(memref::createExpandStridedMetadataPass());
  manager.addPass(createConvertMathToGradopt());
  ConvertBuffersToLLVMOptions convert;
  convert.fastMath = options.fastMath;
  manager.addPass(createConvertBuffersToLLVM(convert));
  manager.addPass(createGradCanonicalize());
  manager.addPass(createGradFinishKernels());
}

static void buildNvvm(OpPassManager &manager, const LoweringOptions &options) {
  emitCommands(manager, options);
  if (options.isEmulated())
    return buildEmulated(manager, options);
  OpPassManager &kernels = manager.nest<gpu::GPUModuleOp>();
  kernels.addPass(memref::createExpandStridedMetadataPass());
  kernels.addPass(createConvertMathToGradopt());
  kernels.addPass(createConvertKernelsToNvvm());
  kernels.addPass(createGradFinishKernels());
  kernels.addPass(createGradCanonicalize());
  kernels.addPass(createCSEPass());
}

static void buildLLVM(OpPassManager &manager, const LoweringOptions &options) {
  emitCommands(manager, options);
  manager.addNestedPass<func::FuncOp>(createGradBuffersToLoops());
  manager.addPass(createConvertMathToGradopt());
  ConvertBuffersToLLVMOptions convert;
  convert.fastMath = options.fastMath;
  manager.addPass(createConvertBuffersToLLVM(convert));
  manager.addPass(createGradCanonicalize());
  manager.addPass(createGradEmitEntry());
}

namespace {
struct Stage {
  StringRef name;
  StringRef flag;
  StringRef summary;
  void (*build)(OpPassManager &, const LoweringOptions &);
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
    {"gpu", "grad-to-gpu", "Stage 5 for a GPU: kernels in the gpu dialect",
     buildGpu},
    {"nvvm", "grad-to-nvvm", "Stage 6 for a GPU: kernels in the LLVM dialect",
     buildNvvm},
};

/// Whether a stage is on the way to a device, or to the CPU.
static bool leadsTo(const Stage &stage, bool isDevice) {
  if (stage.build == buildLLVM)
    return !isDevice;
  return isDevice || (stage.build != buildGpu && stage.build != buildNvvm);
}

ArrayRef<StringRef> mlir::grad::getStageNames(bool forDevice) {
  auto collect = [](bool forDevice) {
    SmallVector<StringRef> names;
    for (const Stage &stage : stages)
      if (leadsTo(stage, forDevice))
        names.push_back(stage.name);
    return names;
  };
  static const SmallVector<StringRef> cpu = collect(false);
  static const SmallVector<StringRef> device = collect(true);
  return forDevice ? device : cpu;
}

/// What a pass has noted of the program; 0 if nothing.
static int64_t getNumber(ModuleOp module, StringRef name) {
  for (Operation &op : module.getOps())
    if (auto number = op.getAttrOfType<IntegerAttr>(name))
      return number.getInt();
  return 0;
}

int64_t mlir::grad::getArenaBytes(ModuleOp module) {
  return getNumber(module, "grad.arena_bytes");
}

int64_t mlir::grad::getTapeBytes(ModuleOp module) {
  return getNumber(module, "grad.tape_bytes");
}

void mlir::grad::buildStagePipeline(OpPassManager &manager, StringRef stage,
                                    const LoweringOptions &options) {
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
  PassPipelineRegistration<LoweringOptions>(
      "grad-to-cpu", "All stages, from the grad dialect to the LLVM dialect",
      [](OpPassManager &manager, const LoweringOptions &options) {
        for (const Stage &stage : stages)
          if (leadsTo(stage, /*isDevice=*/false))
            stage.build(manager, options);
      });
  PassPipelineRegistration<LoweringOptions>(
      "grad-to-cuda", "All stages, from the grad dialect to NVVM",
      [](OpPassManager &manager, const LoweringOptions &options) {
        LoweringOptions forDevice;
        forDevice.copyOptionValuesFrom(options);
        if (!forDevice.isForDevice())
          forDevice.chip = "sm_90";
        for (const Stage &stage : stages)
          if (leadsTo(stage, /*isDevice=*/true))
            stage.build(manager, forDevice);
      });
  for (const Stage &stage : stages)
    PassPipelineRegistration<LoweringOptions>(
        stage.flag, stage.summary,
        [build = stage.build](OpPassManager &manager,
                              const LoweringOptions &options) {
          build(manager, options);
        });
}
