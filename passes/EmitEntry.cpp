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

    Location loc = body.getLoc();
    OpBuilder builder(&getContext());
    builder.setInsertionPointToEnd(module.getBody());
    Type status = builder.getI32Type();
    auto wrapper = LLVM::LLVMFuncOp::create(
        builder, loc, entry, LLVM::LLVMFunctionType::get(status, pointer));
    builder.setInsertionPointToStart(wrapper.addEntryBlock(builder));
    SmallVector<Value> buffers;
    for (auto [i, bufferType] : llvm::enumerate(type.getParams())) {
      Value slot = LLVM::GEPOp::create(builder, loc, pointer, pointer,
                                       wrapper.getArgument(0),
                                       LLVM::GEPArg(static_cast<int32_t>(i)));
      buffers.push_back(LLVM::LoadOp::create(builder, loc, bufferType, slot));
    }
    LLVM::CallOp::create(builder, loc, body, buffers);
    Value success = LLVM::ConstantOp::create(builder, loc, status, 0);
    LLVM::ReturnOp::create(builder, loc, success);
  }
};

} // namespace
