//===- FinishKernels.cpp - Kernels with parameters of 64 bits -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-finish-kernels`: commands pass numbers and addresses in words
/// (runtime/Commands.h), to a kernel of a GPU as its parameters, to an emulated
/// one as an array.
///
//===----------------------------------------------------------------------===//

#include "passes/DeviceKernels.h"
#include "passes/Passes.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADFINISHKERNELS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

Value mlir::grad::fromWord(OpBuilder &builder, Location loc, Value word,
                           Type type) {
  if (isa<LLVM::LLVMPointerType>(type))
    return LLVM::IntToPtrOp::create(builder, loc, type, word);
  auto bits = builder.getIntegerType(type.getIntOrFloatBitWidth());
  if (bits != word.getType())
    word = LLVM::TruncOp::create(builder, loc, bits, word);
  return type == bits
             ? word
             : LLVM::BitcastOp::create(builder, loc, type, word).getResult();
}

/// Makes words of the parameters of `kernel` that are numbers.
static void widenParameters(LLVM::LLVMFuncOp kernel) {
  Block &body = kernel.getBody().front();
  OpBuilder builder = OpBuilder::atBlockBegin(&body);
  Type word = builder.getI64Type();
  for (BlockArgument parameter : body.getArguments()) {
    Type type = parameter.getType();
    if (type == word || isa<LLVM::LLVMPointerType>(type))
      continue;
    parameter.setType(word);
    Value number = fromWord(builder, kernel.getLoc(), parameter, type);
    Operation *first = number.getDefiningOp();
    while (first->getOperand(0) != parameter)
      first = first->getOperand(0).getDefiningOp();
    parameter.replaceAllUsesExcept(number, first);
  }
  kernel.setFunctionType(
      LLVM::LLVMFunctionType::get(kernel.getFunctionType().getReturnType(),
                                  SmallVector<Type>(body.getArgumentTypes())));
}

namespace {

/// Gives emulated kernels what the emulator needs.
class Emulated {
public:
  explicit Emulated(ModuleOp module)
      : module(module),
        pointer(LLVM::LLVMPointerType::get(module.getContext())),
        word(IntegerType::get(module.getContext(), 64)) {}

  void finish(LLVM::LLVMFuncOp kernel) {
    reportAccesses(kernel);
    writeEntry(kernel);
  }

private:
  LLVM::LLVMFuncOp declare(StringRef name, Type result, ArrayRef<Type> types) {
    if (auto known = module.lookupSymbol<LLVM::LLVMFuncOp>(name))
      return known;
    OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
    return LLVM::LLVMFuncOp::create(builder, module.getLoc(), name,
                                    LLVM::LLVMFunctionType::get(result, types));
  }

  void reportAccesses(LLVM::LLVMFuncOp kernel) {
    DataLayout layout(module);
    auto nothing = LLVM::LLVMVoidType::get(module.getContext());
    SmallVector<Operation *> accesses;
    kernel.walk([&](Operation *op) {
      if (isa<LLVM::LoadOp, LLVM::StoreOp>(op))
        accesses.push_back(op);
    });
    for (Operation *op : accesses) {
      auto load = dyn_cast<LLVM::LoadOp>(op);
      auto store = dyn_cast<LLVM::StoreOp>(op);
      Value address = load ? load.getAddr() : store.getAddr();
      Type type = load ? load.getType() : store.getValue().getType();
      OpBuilder builder(op);
      Value bytes = LLVM::ConstantOp::create(
          builder, op->getLoc(), word,
          static_cast<int64_t>(layout.getTypeSize(type).getFixedValue()));
      auto report =
          declare(load ? "gradopt_emulated_load" : "gradopt_emulated_store",
                  nothing, {pointer, word});
      LLVM::CallOp::create(builder, op->getLoc(), report,
                           ValueRange{address, bytes});
    }
  }

  /// A function of the kernel's name that takes an array of words.
  void writeEntry(LLVM::LLVMFuncOp kernel) {
    Location loc = kernel.getLoc();
    std::string name = kernel.getName().str();
    kernel.setName((name + "_thread"));
    kernel.setLinkage(LLVM::Linkage::Internal);
    OpBuilder builder(kernel);
    auto entry = LLVM::LLVMFuncOp::create(
        builder, loc, name,
        LLVM::LLVMFunctionType::get(
            LLVM::LLVMVoidType::get(module.getContext()), pointer));
    int64_t sharedBytes =
        kernel->getAttrOfType<IntegerAttr>(kSharedBytesAttr).getInt();
    kernel->removeAttr(kSharedBytesAttr);
    builder.setInsertionPointToStart(entry.addEntryBlock(builder));
    SmallVector<Value> arguments;
    ArrayRef<Type> types = kernel.getFunctionType().getParams();
    for (auto [i, type] : llvm::enumerate(types.drop_back())) {
      Value place =
          LLVM::GEPOp::create(builder, loc, pointer, word, entry.getArgument(0),
                              ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(i)});
      Value number = LLVM::LoadOp::create(builder, loc, word, place);
      arguments.push_back(fromWord(builder, loc, number, type));
    }
    if (sharedBytes == 0) {
      arguments.push_back(LLVM::ZeroOp::create(builder, loc, pointer));
    } else {
      Value bytes = LLVM::ConstantOp::create(builder, loc, word, sharedBytes);
      auto share = declare("gradopt_emulated_shared", pointer, {word});
      arguments.push_back(
          LLVM::CallOp::create(builder, loc, share, bytes).getResult());
    }
    LLVM::CallOp::create(builder, loc, kernel, arguments);
    LLVM::ReturnOp::create(builder, loc, ValueRange());
  }

  ModuleOp module;
  Type pointer, word;
};

struct GradFinishKernels
    : grad::impl::GradFinishKernelsBase<GradFinishKernels> {
  void runOnOperation() override {
    if (auto kernels = dyn_cast<gpu::GPUModuleOp>(getOperation())) {
      storeBoolsAsBytes(kernels);
      for (auto kernel : kernels.getOps<LLVM::LLVMFuncOp>())
        if (kernel->hasAttr(NVVM::NVVMDialect::getKernelFuncAttrName()))
          widenParameters(kernel);
    } else if (auto module = dyn_cast<ModuleOp>(getOperation())) {
      Emulated emulated(module);
      for (auto kernel : llvm::to_vector(module.getOps<LLVM::LLVMFuncOp>()))
        if (kernel->hasAttr(kSharedBytesAttr))
          emulated.finish(kernel);
    }
  }
};

} // namespace
