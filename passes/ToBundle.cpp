//===- ToBundle.cpp - Write compiled functions to a file ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-to-bundle`: each function becomes the `main` of a copy of the module,
/// which the stages of `--grad-to-cpu`, or of `--grad-to-cuda`, then compile.
///
//===----------------------------------------------------------------------===//

#include "passes/ElementTypes.h"
#include "passes/Passes.h"
#include "passes/Pipelines.h"
#include "runtime/BundleFormat.h"
#include "runtime/BundleWriter.h"
#include "runtime/Codegen.h"
#include "runtime/DeviceAssembler.h"
#include "runtime/DeviceCodegen.h"
#include "runtime/OpenSizes.h"
#include "runtime/gradopt_runtime.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Transforms/Passes.h"
#include "llvm/Support/Path.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADTOBUNDLE
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;
using gradopt::bundle::CompiledProgram;
using gradopt::bundle::NamedArray;

static constexpr StringLiteral kMain = "main";

//===----------------------------------------------------------------------===//
// Descriptions
//===----------------------------------------------------------------------===//

static FailureOr<NamedArray> describe(func::FuncOp func, StringRef kind,
                                      unsigned number, Type type,
                                      std::string name) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  std::optional<gradopt_dtype> dtype = findDtype(getElementTypeOrSelf(type));
  if (!dtype || (tensor ? !tensor.hasStaticShape() : isa<ShapedType>(type)))
    return func.emitOpError("expected ")
           << kind << " #" << number
           << " to be a number, or a tensor of static shape, of type i1, i8, "
              "i16, i32, i64, ui8, ui16, ui32, ui64, f16, bf16, f32, f64 "
              "or complex numbers of the last two, but got "
           << type;
  NamedArray array = {std::move(name), uint32_t(*dtype), {}};
  if (tensor)
    array.shape = tensor.getShape().vec();
  return array;
}

/// Reads which sizes are others in each call, from an attribute of the
/// function.
static LogicalResult describeSizes(func::FuncOp func, StringRef name,
                                   std::vector<NamedArray> &arrays) {
  auto stated = func->getAttrOfType<DenseI64ArrayAttr>(name);
  if (!stated)
    return success();
  ArrayRef<int64_t> numbers = stated;
  auto isNumber = [&](int64_t i) {
    return i >= 0 && i < int64_t(arrays.size()) && arrays[i].shape.empty() &&
           arrays[i].dtype == GRADOPT_I64;
  };
  bool isRight = numbers.size() % 3 == 0;
  for (; isRight && !numbers.empty(); numbers = numbers.drop_front(3)) {
    int64_t array = numbers[0], dim = numbers[1], size = numbers[2];
    isRight = array >= 0 && array < int64_t(arrays.size()) && dim >= 0 &&
              dim < int64_t(arrays[array].shape.size()) && isNumber(size);
    if (!isRight)
      break;
    if (int64_t other = arrays[array].sizeAlong(dim); other >= 0)
      return func.emitOpError("expected ")
             << name << " to state one size along dimension " << dim << " of #"
             << array << ", but got #" << other << " and #" << size;
    arrays[array].sizes.emplace_back(uint32_t(dim), size);
  }
  if (!isRight)
    return func.emitOpError("expected ")
           << name
           << " to be triples of the number of an array, a dimension, and the "
              "number of an i64 that is its size, but got "
           << stated;
  return success();
}

/// Reads which sizes have no largest value, and so need room in each call.
static LogicalResult describeRoom(func::FuncOp func, CompiledProgram &program) {
  auto stated = func->getAttrOfType<DenseI64ArrayAttr>(gradopt::kOpenSizesAttr);
  auto least = func->getAttrOfType<IntegerAttr>(gradopt::kLeastRoomAttr);
  if (!stated) {
    if (least)
      return func.emitOpError("expected ")
             << gradopt::kOpenSizesAttr << " beside "
             << gradopt::kLeastRoomAttr;
    return success();
  }
  for (int64_t number : ArrayRef<int64_t>(stated)) {
    auto isRowsOf = [&](const NamedArray &array) {
      return array.sizeAlong(0) == number &&
             array.shape[0] == gradopt::kOpenSize;
    };
    if (!llvm::any_of(program.arguments, isRowsOf))
      return func.emitOpError("expected ")
             << gradopt::kOpenSizesAttr << " to name sizes that "
             << gradopt::kArgumentSizesAttr
             << " states along dimension 0 of an argument with room for "
                "any number of rows, but got "
             << number;
  }
  program.isOpen = !stated.empty();
  program.leastRoom = least ? least.getInt() : 0;
  if (program.leastRoom < 0 ||
      program.leastRoom > gradopt::bundle::kMostElements)
    return func.emitOpError("expected ")
           << gradopt::kLeastRoomAttr << " to be at least 0 and at most "
           << gradopt::bundle::kMostElements << ", but got "
           << program.leastRoom;
  return success();
}

static LogicalResult describeArrays(func::FuncOp func,
                                    CompiledProgram &program) {
  for (BlockArgument argument : func.getArguments()) {
    unsigned number = argument.getArgNumber();
    auto name = dyn_cast<NameLoc>(argument.getLoc());
    auto array =
        describe(func, "argument", number, argument.getType(),
                 name ? name.getName().str() : "arg" + std::to_string(number));
    if (failed(array))
      return failure();
    program.arguments.push_back(std::move(*array));
  }
  for (auto [number, type] : llvm::enumerate(func.getResultTypes())) {
    std::string name = "result";
    if (func.getNumResults() > 1)
      name += std::to_string(number);
    auto array = describe(func, "result", number, type, std::move(name));
    if (failed(array))
      return failure();
    program.results.push_back(std::move(*array));
  }
  if (failed(describeSizes(func, gradopt::kArgumentSizesAttr,
                           program.arguments)) ||
      failed(describeSizes(func, gradopt::kResultSizesAttr, program.results)) ||
      failed(describeRoom(func, program)))
    return failure();
  // `grad-results-to-destinations` verifies them.
  for (unsigned i = 0; i < func.getNumArguments(); ++i)
    if (auto result = func.getArgAttrOfType<IntegerAttr>(i, "grad.reused_for"))
      if (result.getValue().ult(program.results.size()))
        program.results[result.getInt()].reused = i;
  return success();
}

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

/// Numbers that a function takes and returns become tensors without dimensions.
static void convertNumbersToTensors(func::FuncOp func) {
  Block &body = func.getBody().front();
  OpBuilder builder = OpBuilder::atBlockBegin(&body);
  auto tensorOf = [](Type type) -> Type {
    return isa<RankedTensorType>(type) ? type : RankedTensorType::get({}, type);
  };
  for (BlockArgument argument : body.getArguments()) {
    Type type = argument.getType();
    if (tensorOf(type) == type)
      continue;
    argument.setType(tensorOf(type));
    auto number = tensor::ExtractOp::create(builder, argument.getLoc(),
                                            argument, ValueRange());
    argument.replaceAllUsesExcept(number, number);
  }
  func.walk([&](func::ReturnOp op) {
    builder.setInsertionPoint(op);
    for (OpOperand &operand : op->getOpOperands())
      if (Type type = operand.get().getType(); tensorOf(type) != type)
        operand.set(tensor::FromElementsOp::create(
            builder, op.getLoc(), cast<RankedTensorType>(tensorOf(type)),
            operand.get()));
  });
  func.setType(builder.getFunctionType(
      body.getArgumentTypes(),
      llvm::map_to_vector(func.getResultTypes(), tensorOf)));
}

/// A copy of the module in which `name` is the only public function, and called
/// main.
static OwningOpRef<ModuleOp> extractProgram(ModuleOp module, StringRef name) {
  OwningOpRef<ModuleOp> copy = module.clone();
  SymbolTable symbols(*copy);
  auto func = symbols.lookup<func::FuncOp>(name);
  if (Operation *other = symbols.lookup(kMain); other && other != func)
    if (failed(symbols.renameToUnique(other, {})))
      return nullptr;
  if (name != kMain && failed(symbols.rename(func, kMain)))
    return nullptr;
  for (auto symbol : copy->getOps<SymbolOpInterface>())
    if (symbol != func)
      symbol.setPrivate();
  func.setPublic();
  return copy;
}

namespace {

struct GradToBundle : grad::impl::GradToBundleBase<GradToBundle> {
  using GradToBundleBase::GradToBundleBase;

  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<tensor::TensorDialect>();
    registerCodegenTranslations(registry);
    OpPassManager stages(ModuleOp::getOperationName());
    for (bool forDevice : {false, true}) {
      LoweringOptions options;
      options.chip = forDevice ? "sm_80" : "";
      for (StringRef stage : getStageNames(forDevice))
        buildStagePipeline(stages, stage, options);
    }
    stages.getDependentDialects(registry);
  }

  void runOnOperation() override {
    ModuleOp module = getOperation();
    LoweringOptions forCpu, forDevice;
    std::string problem;
    llvm::raw_string_ostream stream(problem);
    if (failed(forCpu.parseFromString(stageOptions, stream)) ||
        failed(forDevice.parseFromString(stageOptions, stream))) {
      emitError(module.getLoc(), problem);
      return signalPassFailure();
    }
    if (forCpu.isForDevice()) {
      emitError(module.getLoc(),
                "expected the chip as the option chips of the bundle");
      return signalPassFailure();
    }
    if (output.empty()) {
      emitError(module.getLoc(), "expected the option output, a file");
      return signalPassFailure();
    }
    forDevice.chip = llvm::join(chips, ",");
    if (failed(findLevels(module)) || failed(checkChips(module, forDevice)))
      return signalPassFailure();
    FailureOr<SmallVector<func::FuncOp>> found = findFunctions(module);
    if (failed(found))
      return signalPassFailure();
    std::vector<CompiledProgram> programs(found->size());
    for (auto [func, program] : llvm::zip_equal(*found, programs))
      if (failed(compile(module, func, forCpu, forDevice, program)))
        return signalPassFailure();
    auto bundle = gradopt::bundle::makeBundle(programs, /*structure=*/"");
    if (!bundle) {
      emitError(module.getLoc(), llvm::toString(bundle.takeError()));
      return signalPassFailure();
    }
    StringRef name = llvm::sys::path::filename(output);
    if (failed(write(module, output, *bundle)) ||
        (!header.empty() &&
         failed(write(module, header,
                      gradopt::bundle::makeHeader(name, programs)))))
      return signalPassFailure();
    markAllAnalysesPreserved();
  }

private:
  LogicalResult findLevels(ModuleOp module);
  FailureOr<SmallVector<func::FuncOp>> findFunctions(ModuleOp module);
  LogicalResult checkChips(ModuleOp module, const LoweringOptions &forDevice);
  LogicalResult compile(ModuleOp module, func::FuncOp func,
                        const LoweringOptions &forCpu,
                        const LoweringOptions &forDevice,
                        CompiledProgram &program);
  LogicalResult lower(ModuleOp main, func::FuncOp func,
                      const LoweringOptions &options, CompiledProgram &program);
  LogicalResult addCode(ModuleOp main, func::FuncOp func,
                        CompiledProgram &program);
  LogicalResult addDeviceCode(ModuleOp main, func::FuncOp func,
                              const LoweringOptions &options,
                              CompiledProgram &program);
  LogicalResult write(ModuleOp module, const std::string &path,
                      StringRef contents) {
    if (std::error_code error = gradopt::bundle::replaceFile(path, contents))
      return emitError(module.getLoc(), "cannot write ")
             << path << ": " << error.message();
    return success();
  }

  SmallVector<const CodeTarget *> targets;
};

} // namespace

LogicalResult GradToBundle::findLevels(ModuleOp module) {
  static const std::string all[] = {"x86-64-v2", "x86-64-v3", "x86-64-v4"};
  targets.clear();
  for (const std::string &level : levels.empty() && chips.empty()
                                      ? ArrayRef(all)
                                      : ArrayRef<std::string>(*levels)) {
    targets.push_back(CodeTarget::level(level));
    if (!targets.back())
      return emitError(module.getLoc(), "expected a level of x86-64 CPUs, ")
             << llvm::join(ArrayRef(all), ", ") << ", but got " << level;
  }
  return success();
}

FailureOr<SmallVector<func::FuncOp>>
GradToBundle::findFunctions(ModuleOp module) {
  SmallVector<func::FuncOp> found;
  if (functions.empty()) {
    for (auto func : module.getOps<func::FuncOp>())
      if (func.isPublic() && !func.isExternal())
        found.push_back(func);
    if (found.empty())
      return emitError(module.getLoc(),
                       "expected a public function with a body");
    return found;
  }
  for (const std::string &name : functions) {
    auto func = module.lookupSymbol<func::FuncOp>(name);
    if (!func || func.isExternal())
      return emitError(module.getLoc(),
                       "expected a function with a body called ")
             << name;
    found.push_back(func);
  }
  return found;
}

LogicalResult GradToBundle::checkChips(ModuleOp module,
                                       const LoweringOptions &forDevice) {
  if (forDevice.isForDevice() && !areDeviceChips(forDevice.chip))
    return emitError(module.getLoc(), "expected GPUs, as in sm_80,sm_90, but "
                                      "got ")
           << forDevice.chip;
  return success();
}

LogicalResult GradToBundle::compile(ModuleOp module, func::FuncOp func,
                                    const LoweringOptions &forCpu,
                                    const LoweringOptions &forDevice,
                                    CompiledProgram &program) {
  program.name = func.getName().str();
  if (failed(describeArrays(func, program)))
    return failure();
  OwningOpRef<ModuleOp> main = extractProgram(module, func.getName());
  if (!main)
    return func.emitOpError("cannot be the main function of a program");
  convertNumbersToTensors(main->lookupSymbol<func::FuncOp>(kMain));
  PassManager simplify(&getContext());
  simplify.addPass(createInlinerPass());
  simplify.addPass(createSymbolDCEPass());
  if (failed(simplify.run(*main)))
    return failure();
  if (forDevice.isForDevice()) {
    OwningOpRef<ModuleOp> copy = main->clone();
    if (failed(lower(*copy, func, forDevice, program)) ||
        failed(addDeviceCode(*copy, func, forDevice, program)))
      return failure();
  }
  if (targets.empty())
    return success();
  return success(succeeded(lower(*main, func, forCpu, program)) &&
                 succeeded(addCode(*main, func, program)));
}

/// Takes a program through all stages.
LogicalResult GradToBundle::lower(ModuleOp main, func::FuncOp func,
                                  const LoweringOptions &options,
                                  CompiledProgram &program) {
  for (StringRef stage : getStageNames(options.isForDevice())) {
    PassManager passes(&getContext());
    buildStagePipeline(passes, stage, options);
    if (failed(passes.run(main)))
      return failure();
    if (stage == "bufferized")
      program.arenaBytes = getArenaBytes(main);
  }
  if (main.lookupSymbol("gradopt_call_target"))
    return func.emitOpError("expected a function that calls nothing outside of "
                            "the module by grad.custom_call");
  return success();
}

LogicalResult GradToBundle::addCode(ModuleOp main, func::FuncOp func,
                                    CompiledProgram &program) {
  auto goOn = [] { return true; };
  auto ignore = [](const char *) {};
  for (const CodeTarget *target : targets) {
    auto object = emitObject(main, *target, {goOn, ignore});
    if (!object)
      return func.emitOpError("has no code for ")
             << target->cpu << ": " << llvm::toString(object.takeError());
    program.code.push_back({uint32_t(target->cpu.back() - '0'),
                            std::string(object->begin(), object->end())});
  }
  return success();
}

LogicalResult GradToBundle::addDeviceCode(ModuleOp main, func::FuncOp func,
                                          const LoweringOptions &options,
                                          CompiledProgram &program) {
  auto goOn = [] { return true; };
  auto ignore = [](const char *) {};
  auto code = emitDeviceProgram(main, options.chip, {goOn, ignore});
  if (!code)
    return func.emitOpError("has no code for ")
           << options.chip << ": " << llvm::toString(code.takeError());
  program.deviceCode.assign(code->begin(), code->end());
  if (assembler.empty())
    return success();
  auto assembled = assembleDeviceProgram(program.deviceCode, assembler);
  if (!assembled)
    return func.emitOpError("has no machine code: ")
           << llvm::toString(assembled.takeError());
  program.deviceCode = std::move(*assembled);
  return success();
}
