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
#include "passes/DeviceKernels.h"
#include "passes/ForeignCallsToLLVM.h"
#include "passes/Passes.h"

#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/FuncToLLVM/ConvertFuncToLLVM.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Iterators.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

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

static GreedyRewriteConfig withoutSimplification() {
  GreedyRewriteConfig config;
  config.enableFolding(false)
      .enableConstantCSE(false)
      .setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled);
  return config;
}

/// Loops and branches of affine => of scf.
static LogicalResult lowerAffineControlFlow(ModuleOp module) {
  bool isNeeded = module
                      .walk([](Operation *op) {
                        return isa<affine::AffineForOp, affine::AffineIfOp,
                                   affine::AffineParallelOp>(op)
                                   ? WalkResult::interrupt()
                                   : WalkResult::advance();
                      })
                      .wasInterrupted();
  if (!isNeeded)
    return success();
  RewritePatternSet patterns(module.getContext());
  populateAffineToStdConversionPatterns(patterns);
  return applyPatternsGreedily(module, std::move(patterns),
                               withoutSimplification());
}

/// Knows which ops are gone.
struct ErasedOps : RewriterBase::Listener {
  void notifyOperationErased(Operation *op) override { ops.insert(op); }
  llvm::DenseSet<Operation *> ops;
};

/// Applies `patterns` to the ops in `root` that `isWanted` accepts, and to none
/// that they make. Outer ones come before those in them, because the pattern of
/// a loop or branch may expect regions of one block; last ones come first,
/// because splitting a block takes time in proportion to what follows.
static LogicalResult
applyOutsideIn(Operation *root, const FrozenRewritePatternSet &patterns,
               llvm::function_ref<bool(Operation *)> isWanted) {
  SmallVector<Operation *> ops;
  root->walk<WalkOrder::PreOrder, ReverseIterator>([&](Operation *op) {
    if (isWanted(op))
      ops.push_back(op);
  });
  ErasedOps erased;
  GreedyRewriteConfig config = withoutSimplification();
  config.setStrictness(GreedyRewriteStrictness::ExistingOps)
      .setListener(&erased);
  for (Operation *op : ops)
    if (!erased.ops.contains(op) &&
        failed(applyOpPatternsGreedily(op, patterns, config)))
      return failure();
  return success();
}

namespace {

/// scf.index_switch => cf.switch of 64 bits. The upstream pattern, which this
/// one comes before, takes the low 32 bits of the index and of each case.
struct LowerIndexSwitch : OpRewritePattern<scf::IndexSwitchOp> {
  explicit LowerIndexSwitch(MLIRContext *context)
      : OpRewritePattern(context, /*benefit=*/2) {}

  LogicalResult matchAndRewrite(scf::IndexSwitchOp op,
                                PatternRewriter &rewriter) const override {
    Location loc = op.getLoc();
    Block *before = op->getBlock();
    Block *after = rewriter.splitBlock(before, std::next(op->getIterator()));
    SmallVector<Location> locations(op.getNumResults(), loc);
    after->addArguments(op.getResultTypes(), locations);
    auto inlineRegion = [&](Region &region) {
      Block *body = &region.front();
      Operation *yield = body->getTerminator();
      rewriter.setInsertionPoint(yield);
      rewriter.replaceOpWithNewOp<cf::BranchOp>(yield, after,
                                                yield->getOperands());
      rewriter.inlineRegionBefore(region, after);
      return body;
    };
    SmallVector<APInt> values = llvm::map_to_vector(
        op.getCases(), [](int64_t value) { return APInt(64, value, true); });
    SmallVector<Block *> cases;
    for (Region &region : op.getCaseRegions())
      cases.push_back(inlineRegion(region));
    Block *otherwise = inlineRegion(op.getDefaultRegion());
    rewriter.setInsertionPoint(op);
    Value flag = arith::IndexCastOp::create(rewriter, loc,
                                            rewriter.getI64Type(), op.getArg());
    cf::SwitchOp::create(rewriter, loc, flag, otherwise, ValueRange(), values,
                         cases, SmallVector<ValueRange>(cases.size()));
    rewriter.replaceOp(op, after->getArguments());
    return success();
  }
};

} // namespace

/// Loops and branches => blocks.
static LogicalResult lowerControlFlow(ModuleOp module) {
  RewritePatternSet set(module.getContext());
  populateSCFToControlFlowConversionPatterns(set);
  set.add<LowerIndexSwitch>(module.getContext());
  FrozenRewritePatternSet patterns(std::move(set));
  auto lower = [&](llvm::function_ref<bool(Operation *)> isWanted) {
    return applyOutsideIn(module, patterns, isWanted);
  };
  // These become parallel loops, these become sequential ones.
  if (failed(lower([](Operation *op) { return isa<scf::ForallOp>(op); })) ||
      failed(lower([](Operation *op) { return isa<scf::ParallelOp>(op); })))
    return failure();
  return lower([](Operation *op) {
    return isa_and_nonnull<scf::SCFDialect>(op->getDialect()) &&
           !op->hasTrait<OpTrait::IsTerminator>();
  });
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

    AliasScopes scopes = computeAliasScopes(module);
    if (failed(lowerAffineControlFlow(module)) ||
        failed(lowerControlFlow(module)))
      return signalPassFailure();

    LowerToLLVMOptions options(&getContext());
    options.useBarePtrCallConv = true;
    LLVMTypeConverter converter(&getContext(), options);
    RewritePatternSet patterns(&getContext());
    SymbolTableCollection symbols;
    populateAffineToStdConversionPatterns(patterns);
    cf::populateControlFlowToLLVMConversionPatterns(converter, patterns);
    arith::populateArithToLLVMConversionPatterns(converter, patterns);
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
    for (auto func : module.getOps<LLVM::LLVMFuncOp>())
      dropForeignAttributes(func);
  }
};

} // namespace
