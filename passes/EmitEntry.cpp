//===- EmitEntry.cpp - The C entry point of compiled code -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-emit-entry`: one function with one C signature for every program, so
/// that a caller needs no code generated for a signature.
///
//===----------------------------------------------------------------------===//

#include "passes/CommandList.h"
#include "passes/DeviceKernels.h"
#include "passes/Passes.h"
#include "runtime/Interface.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADEMITENTRY
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

/// The pointer at position `i` of the array `buffers`.
static Value loadBuffer(OpBuilder &builder, Location loc, Value buffers,
                        unsigned i) {
  Type pointer = buffers.getType();
  Value slot = LLVM::GEPOp::create(builder, loc, pointer, pointer, buffers,
                                   LLVM::GEPArg(static_cast<int32_t>(i)));
  return LLVM::LoadOp::create(builder, loc, pointer, slot);
}

/// Gives `body` an array of pointers in place of its parameters, which are
/// pointers, and loads each where it is used.
static void loadParametersAtUses(LLVM::LLVMFuncOp body) {
  auto pointer = LLVM::LLVMPointerType::get(body.getContext());
  Block &block = body.getBody().front();
  unsigned count = block.getNumArguments();
  Value buffers = block.addArgument(pointer, body.getLoc());
  OpBuilder builder(body.getContext());
  for (unsigned i = 0; i < count; ++i)
    for (OpOperand &use :
         llvm::make_early_inc_range(block.getArgument(i).getUses())) {
      builder.setInsertionPoint(use.getOwner());
      use.set(loadBuffer(builder, use.getOwner()->getLoc(), buffers, i));
    }
  block.eraseArguments(0, count);
  body.setFunctionType(LLVM::LLVMFunctionType::get(
      body.getFunctionType().getReturnType(), pointer));
  body.removeArgAttrsAttr();
}

namespace {

/// Writes a function that the interpreter calls (runtime/Commands.h): it calls
/// a kernel with the values that it gets, and of which it knows the types.
class KernelWrapper {
public:
  KernelWrapper(OpBuilder &module, LLVM::LLVMFuncOp kernel)
      : builder(module.getContext()), loc(kernel.getLoc()), kernel(kernel),
        pointer(LLVM::LLVMPointerType::get(module.getContext())),
        word(module.getI64Type()) {
    wrapper = LLVM::LLVMFuncOp::create(
        module, loc, (kernel.getName() + "_command").str(),
        LLVM::LLVMFunctionType::get(
            LLVM::LLVMVoidType::get(module.getContext()), pointer),
        LLVM::Linkage::Internal);
    builder.setInsertionPointToStart(wrapper.addEntryBlock(module));
  }

  LLVM::LLVMFuncOp write() {
    // It is called here alone, and inlined before anything else is done to it,
    // so that it is optimised once. What is known of its pointers becomes
    // metadata.
    kernel.removePassthroughAttr();
    kernel.setAlwaysInline(true);
    SmallVector<Value> arguments;
    for (Type type : kernel.getArgumentTypes())
      arguments.push_back(fromWord(builder, loc, loadNext(), type));
    auto call = LLVM::CallOp::create(builder, loc, kernel, arguments);
    SmallVector<Value> results(call.getResults());
    if (!results.empty())
      if (auto type = dyn_cast<LLVM::LLVMStructType>(results[0].getType())) {
        Value all = results.pop_back_val();
        for (int64_t i = 0, e = type.getBody().size(); i < e; ++i)
          results.push_back(LLVM::ExtractValueOp::create(builder, loc, all, i));
      }
    for (Value result : results) {
      Value place = fromWord(builder, loc, loadNext(), pointer);
      LLVM::StoreOp::create(builder, loc, toWord(result), place);
    }
    LLVM::ReturnOp::create(builder, loc, ValueRange());
    return wrapper;
  }

private:
  Value loadNext() {
    Value place =
        LLVM::GEPOp::create(builder, loc, pointer, word, wrapper.getArgument(0),
                            ArrayRef<LLVM::GEPArg>{numOperands++});
    return LLVM::LoadOp::create(builder, loc, word, place);
  }

  /// All bytes of a register.
  Value toWord(Value value) {
    Type type = value.getType();
    if (type == pointer)
      return LLVM::PtrToIntOp::create(builder, loc, word, value);
    auto bits = builder.getIntegerType(type.getIntOrFloatBitWidth());
    if (type != bits)
      value = LLVM::BitcastOp::create(builder, loc, bits, value);
    return bits == word
               ? value
               : LLVM::ZExtOp::create(builder, loc, word, value).getResult();
  }

  OpBuilder builder;
  Location loc;
  LLVM::LLVMFuncOp kernel, wrapper;
  Type pointer, word;
  int32_t numOperands = 0;
};

} // namespace

namespace {

struct GradEmitEntry : grad::impl::GradEmitEntryBase<GradEmitEntry> {
  using GradEmitEntryBase::GradEmitEntryBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (auto commands =
            module.lookupSymbol<LLVM::GlobalOp>(gradopt::kCommandsName))
      return emitCommandEntry(commands);
    auto body = module.lookupSymbol<LLVM::LLVMFuncOp>(function);
    if (!body || body.isExternal())
      return; // A library of functions, not a program.
    LLVM::LLVMFunctionType type = body.getFunctionType();
    auto pointer = LLVM::LLVMPointerType::get(&getContext());
    if (!isa<LLVM::LLVMVoidType>(type.getReturnType()) || type.isVarArg() ||
        !llvm::all_of(type.getParams(), [&](Type t) { return t == pointer; })) {
      body.emitOpError("expected buffers only, arguments and results, but got ")
          << type;
      return signalPassFailure();
    }
    if (module.lookupSymbol(entry)) {
      body.emitOpError("has an entry point already: ") << entry;
      return signalPassFailure();
    }
    body.setLinkage(LLVM::Linkage::Internal);
    // Inlining would turn what is known about the pointers into metadata.
    body.setNoInline(true);
    // Code generation would take more than linear time to keep track of many.
    bool takesArray = type.getNumParams() > maxParameters;
    if (takesArray)
      loadParametersAtUses(body);

    Location loc = body.getLoc();
    OpBuilder builder(&getContext());
    builder.setInsertionPointToEnd(module.getBody());
    Type status = builder.getI32Type();
    auto wrapper = LLVM::LLVMFuncOp::create(
        builder, loc, entry, LLVM::LLVMFunctionType::get(status, pointer));
    builder.setInsertionPointToStart(wrapper.addEntryBlock(builder));
    SmallVector<Value> arguments;
    if (takesArray)
      arguments.push_back(wrapper.getArgument(0));
    else
      for (unsigned i = 0; i < type.getNumParams(); ++i)
        arguments.push_back(
            loadBuffer(builder, loc, wrapper.getArgument(0), i));
    LLVM::CallOp::create(builder, loc, body, arguments);
    Value success = LLVM::ConstantOp::create(builder, loc, status, 0);
    LLVM::ReturnOp::create(builder, loc, success);
  }

private:
  /// The entry of a program that is a list of commands hands it to the runtime.
  void emitCommandEntry(LLVM::GlobalOp commands) {
    ModuleOp module = getOperation();
    Location loc = commands.getLoc();
    OpBuilder builder(&getContext());
    builder.setInsertionPointToEnd(module.getBody());
    SymbolTable symbols(module);
    auto pointer = LLVM::LLVMPointerType::get(&getContext());
    auto names = commands->getAttrOfType<ArrayAttr>(kKernelsAttr);
    if (!names) {
      commands.emitOpError("expected attribute ") << kKernelsAttr;
      return signalPassFailure();
    }
    if (symbols.lookup(entry)) {
      commands.emitOpError("has an entry point already: ") << entry;
      return signalPassFailure();
    }
    SmallVector<Attribute> wrappers;
    for (Attribute name : names) {
      auto symbol = dyn_cast<FlatSymbolRefAttr>(name);
      auto kernel =
          symbol ? symbols.lookup<LLVM::LLVMFuncOp>(symbol.getAttr()) : nullptr;
      if (!kernel) {
        commands.emitOpError("expected kernels to be functions, but got ")
            << name;
        return signalPassFailure();
      }
      wrappers.push_back(
          FlatSymbolRefAttr::get(KernelWrapper(builder, kernel).write()));
    }
    auto kernels = LLVM::GlobalOp::create(
        builder, loc, LLVM::LLVMArrayType::get(pointer, wrappers.size()),
        /*isConstant=*/true, LLVM::Linkage::External, gradopt::kKernelsName,
        builder.getArrayAttr(wrappers), /*alignment=*/0, /*addrSpace=*/0,
        /*dsoLocal=*/true);
    kernels.setVisibility_(LLVM::Visibility::Hidden);
    commands->removeAttr(kKernelsAttr);

    Type status = builder.getI32Type();
    auto run = LLVM::LLVMFuncOp::create(
        builder, loc, "gradopt_run_commands",
        LLVM::LLVMFunctionType::get(status,
                                    {pointer, pointer, pointer, pointer}));
    auto wrapper = LLVM::LLVMFuncOp::create(
        builder, loc, entry, LLVM::LLVMFunctionType::get(status, pointer));
    builder.setInsertionPointToStart(wrapper.addEntryBlock(builder));
    auto constants = symbols.lookup<LLVM::GlobalOp>(gradopt::kConstantsName);
    SmallVector<Value> arguments = {
        LLVM::AddressOfOp::create(builder, loc, commands),
        LLVM::AddressOfOp::create(builder, loc, kernels)};
    if (constants)
      arguments.push_back(LLVM::AddressOfOp::create(builder, loc, constants));
    else
      arguments.push_back(LLVM::ZeroOp::create(builder, loc, pointer));
    arguments.push_back(wrapper.getArgument(0));
    auto call = LLVM::CallOp::create(builder, loc, run, arguments);
    call.setTailCallKind(LLVM::TailCallKind::Tail);
    LLVM::ReturnOp::create(builder, loc, call.getResults());
  }
};

} // namespace
