//===- ConvertBuffersToLLVM.cpp - Loops on buffers to the LLVM dialect ----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `convert-buffers-to-llvm`: one dialect conversion for scf, cf, affine,
/// arith, math, memref and func, with buffers passed as bare pointers. Before
/// it, the pointers of public functions get what is known about them (distinct
/// memory, size, alignment); after it, bools are made to be bytes in memory,
/// which is what NumPy has and what LLVM can vectorize.
///
//===----------------------------------------------------------------------===//

#include "passes/AliasScopes.h"
#include "passes/ArgumentAttrs.h"
#include "passes/BufferSize.h"
#include "passes/ControlFlowToBlocks.h"
#include "passes/DeviceKernels.h"
#include "passes/ForeignCallsToLLVM.h"
#include "passes/NarrowFloats.h"
#include "passes/Passes.h"

#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ComplexToLLVM/ComplexToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace mlir::grad {
#define GEN_PASS_DEF_CONVERTBUFFERSTOLLVM
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

/// States what the caller of a public function guarantees for its buffers.
static void annotateArguments(func::FuncOp func) {
  Builder builder(func.getContext());
  bool hasArena = func->hasAttr("grad.arena_bytes");
  updateArgumentAttrs(func, [&](unsigned i, NamedAttrList &attrs) {
    auto type = dyn_cast<MemRefType>(func.getArgument(i).getType());
    if (!type || !type.hasStaticShape())
      return;
    attrs.set(LLVM::LLVMDialect::getNoAliasAttrName(), builder.getUnitAttr());
    std::optional<int64_t> bytes = getByteSize(type);
    if (!bytes)
      return;
    if (*bytes == 0) {
      // Strides of such types are not always well defined.
      if (func.getArgument(i).use_empty())
        func.getArgument(i).setType(MemRefType::get(0, type.getElementType()));
      return;
    }
    bool isArena = hasArena && i + 1 == func.getNumArguments();
    // NumPy aligns numbers, but not pairs of them.
    std::optional<int64_t> alignment =
        isArena ? gradopt::kArenaAlignment
                : getElementBytes(type.getElementType());
    if (isArena || type.getElementType().isIntOrIndexOrFloat())
      attrs.set(LLVM::LLVMDialect::getAlignAttrName(),
                builder.getI64IntegerAttr(*alignment));
    attrs.set(LLVM::LLVMDialect::getDereferenceableAttrName(),
              builder.getI64IntegerAttr(*bytes));
  });
  func.setType(builder.getFunctionType(func.getBody().getArgumentTypes(),
                                       func.getResultTypes()));
}

/// Without the flags that would make tests for NaN and infinities wrong.
static void relaxArithmetic(ModuleOp module) {
  auto relaxed = arith::FastMathFlags::reassoc |
                 arith::FastMathFlags::contract | arith::FastMathFlags::nsz |
                 arith::FastMathFlags::arcp | arith::FastMathFlags::afn;
  module.walk([&](arith::ArithFastMathInterface op) {
    op->setAttr(op.getFastMathAttrName(),
                arith::FastMathFlagsAttr::get(module.getContext(), relaxed));
  });
}

static void copyAliasInfo(LLVM::AliasAnalysisOpInterface from,
                          LLVM::AliasAnalysisOpInterface to) {
  to.setAliasScopes(from.getAliasScopesOrNull());
  to.setNoAliasScopes(from.getNoAliasScopesOrNull());
}

void mlir::grad::storeBoolsAsBytes(Operation *root) {
  OpBuilder builder(root->getContext());
  Type byte = builder.getI8Type();
  root->walk([&](Operation *op) {
    builder.setInsertionPoint(op);
    Location loc = op->getLoc();
    if (auto load = dyn_cast<LLVM::LoadOp>(op);
        load && load.getType().isInteger(1)) {
      auto wide = LLVM::LoadOp::create(builder, loc, byte, load.getAddr());
      copyAliasInfo(load, wide);
      Value zero = LLVM::ConstantOp::create(builder, loc, byte, 0);
      load.replaceAllUsesWith(LLVM::ICmpOp::create(builder, loc,
                                                   LLVM::ICmpPredicate::ne,
                                                   wide, zero)
                                  .getResult());
      load.erase();
    } else if (auto store = dyn_cast<LLVM::StoreOp>(op);
               store && store.getValue().getType().isInteger(1)) {
      Value wide = LLVM::ZExtOp::create(builder, loc, byte, store.getValue());
      auto wideStore =
          LLVM::StoreOp::create(builder, loc, wide, store.getAddr());
      copyAliasInfo(store, wideStore);
      store.erase();
    } else if (auto element = dyn_cast<LLVM::GEPOp>(op);
               element && element.getElemType().isInteger(1)) {
      element.setElemType(byte);
    }
  });
}

/// What is said of a loop becomes what the branch back to its begin says.
static void annotateLoops(ModuleOp module) {
  module.walk([](LLVM::BrOp op) {
    if (Attribute annotation = op->removeDiscardableAttr(kLoopAnnotation))
      op.setLoopAnnotationAttr(cast<LLVM::LoopAnnotationAttr>(annotation));
  });
}

/// Erases what other dialects say of parameters. Translation to LLVM IR would
/// warn of each such attribute.
static void dropForeignAttributes(LLVM::LLVMFuncOp func) {
  if (!func.getArgAttrsAttr())
    return;
  updateArgumentAttrs(func, [](unsigned, NamedAttrList &attrs) {
    attrs = llvm::filter_to_vector(attrs, [](NamedAttribute attr) {
      return isa_and_nonnull<LLVM::LLVMDialect>(attr.getNameDialect());
    });
  });
}

namespace {

struct ConvertBuffersToLLVM
    : grad::impl::ConvertBuffersToLLVMBase<ConvertBuffersToLLVM> {
  using ConvertBuffersToLLVMBase::ConvertBuffersToLLVMBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    for (auto func : module.getOps<func::FuncOp>())
      if (!func.isPrivate() && !func.isExternal())
        annotateArguments(func);
    if (fastMath)
      relaxArithmetic(module);
    expandNarrowConversions(module);

    AliasScopes scopes = computeAliasScopes(module);
    if (failed(controlFlowToBlocks(module)))
      return signalPassFailure();

    LowerToLLVMOptions options(&getContext());
    options.useBarePtrCallConv = true;
    LLVMTypeConverter converter(&getContext(), options);
    RewritePatternSet patterns(&getContext());
    SymbolTableCollection symbols;
    populateAffineToStdConversionPatterns(patterns);
    cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
    arith::populateArithToLLVMConversionPatterns(converter, patterns);
    populateComplexToLLVMConversionPatterns(converter, patterns);
    populateMathToLLVMConversionPatterns(converter, patterns);
    index::populateIndexToLLVMConversionPatterns(converter, patterns);
    ub::populateUBToLLVMConversionPatterns(converter, patterns);
    populateFinalizeMemRefToLLVMConversionPatterns(converter, patterns,
                                                   &symbols);
    populateFuncToLLVMConversionPatterns(converter, patterns, &symbols);
    populateAliasScopePatterns(converter, scopes, patterns);
    populateForeignCallsToLLVM(converter, patterns);

    LLVMConversionTarget target(getContext());
    target.addLegalOp<ModuleOp>();
    // Without records of each move, loops of long programs split blocks fast.
    ConversionConfig config;
    config.allowPatternRollback = false;
    if (failed(
            applyFullConversion(module, target, std::move(patterns), config)))
      return signalPassFailure();
    storeBoolsAsBytes(module);
    annotateLoops(module);
    for (auto func : module.getOps<LLVM::LLVMFuncOp>())
      dropForeignAttributes(func);
  }
};

} // namespace
