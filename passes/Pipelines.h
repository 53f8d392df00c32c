//===- Pipelines.h - From the grad dialect to the CPU, by stages *- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A module passes through named stages, each a form of IR to look at and a
// pipeline that makes it from the form before:
//
//   adjoint      no requests for derivatives, no calls
//   simplified   the same with algebra and common subexpressions done
//   linalg       linalg on tensors, fused
//   bufferized   linalg on memory: arguments, results, one arena; BLAS calls
//   llvm         the LLVM dialect with the C entry point `gradopt_main`
//
// On the way to a GPU, what comes after linalg is
//
//   bufferized   a list of commands: calls of kernels, linalg on memory
//   gpu          the kernels as functions of the gpu dialect
//   nvvm         the LLVM dialect with NVVM; or for an emulator on the CPU
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_PIPELINES_H
#define GRADOPT_PASSES_PIPELINES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"

namespace mlir::grad {

/// Reads names of GPUs, and refuses others.
struct ChipParser : llvm::cl::parser<std::string> {
  using llvm::cl::parser<std::string>::parser;
  bool parse(llvm::cl::Option &option, StringRef name, StringRef text,
             std::string &chip);
};

struct LoweringOptions : PassPipelineOptions<LoweringOptions> {
  Option<bool> fastMath{
      *this, "fast-math", llvm::cl::init(false),
      llvm::cl::desc("Calculate with floats as with real numbers")};
  Option<int64_t> blasThreshold{
      *this, "blas-threshold", llvm::cl::init(1024),
      llvm::cl::desc(
          "Fewest multiplications in a matrix product worth a call")};
  Option<bool> planRemarks{
      *this, "plan-remarks", llvm::cl::init(false),
      llvm::cl::desc("Print the plan of the arena as remarks")};
  Option<int64_t> commandThreshold{
      *this, "command-threshold", llvm::cl::init(32),
      llvm::cl::desc("Fewest loop nests and calls of a program or loop that "
                     "becomes a list of commands")};
  Option<bool> commandRemarks{*this, "command-remarks", llvm::cl::init(false),
                              llvm::cl::desc("Print commands as remarks")};
  Option<std::string, ChipParser> chip{
      *this, "chip", llvm::cl::init(""),
      llvm::cl::desc("The GPU: sm_90 and the like, or emulated; the CPU if "
                     "empty")};

  bool isForDevice() const { return !chip.empty(); }
  bool isEmulated() const { return chip == "emulated"; }
};

/// Those of `grad-request-derivative`.
struct DerivativeOptions : PassPipelineOptions<DerivativeOptions> {
  Option<std::string> function{
      *this, "function", llvm::cl::init(""),
      llvm::cl::desc("The function to add the derivative of")};
  ListOption<int64_t> wrt{
      *this, "wrt",
      llvm::cl::desc("Arguments to differentiate with respect to")};
  ListOption<int64_t> of{*this, "of",
                         llvm::cl::desc("Results to differentiate")};
  Option<std::string> mode{*this, "mode", llvm::cl::init("gradient"),
                           llvm::cl::desc("gradient, reverse or forward")};
  Option<std::string> name{*this, "name", llvm::cl::init(""),
                           llvm::cl::desc("The name of the new function")};
};

/// The names of the stages to the CPU or to a device, first to last.
ArrayRef<StringRef> getStageNames(bool forDevice = false);

/// The bytes that a call of a module of stage "bufferized" needs.
int64_t getArenaBytes(ModuleOp module);
/// The bytes that its loops write to tapes in an iteration.
int64_t getTapeBytes(ModuleOp module);

/// Adds the passes that lead from the stage before `stage` to `stage`, which is
/// one of getStageNames().
void buildStagePipeline(OpPassManager &manager, StringRef stage,
                        const LoweringOptions &options);

/// Adds the expansion of all requests. If the options name a function, its
/// derivative is requested before, and all ends up in upstream dialects.
void buildDifferentiation(OpPassManager &manager,
                          const DerivativeOptions &options);

/// Adds common subexpressions, folders and local patterns.
void buildSimplification(OpPassManager &manager);

/// Registers `grad-differentiate`, and `grad-to-cpu` and `grad-to-cuda`, all
/// stages in a row, and `grad-to-<name>` for each stage.
void registerGradPipelines();

} // namespace mlir::grad

#endif // GRADOPT_PASSES_PIPELINES_H
