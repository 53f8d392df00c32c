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

#include "passes/Passes.h"

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

struct GradEmitEntry : grad::impl::GradEmitEntryBase<GradEmitEntry> {
  using GradEmitEntryBase::GradEmitEntryBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
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
};

} // namespace
