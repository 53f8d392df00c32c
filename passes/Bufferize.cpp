//===- Bufferize.cpp - Tensors become buffers, in place where they die ----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-bufferize` is upstream's one-shot bufferization with an analysis of
/// its own, which takes time in proportion to the length of a program; upstream
/// compares each write with all reads and writes of values that may share a
/// buffer with it. Three steps:
///
///  1. What is computed to be inserted elsewhere is computed there (upstream's
///     elimination of `tensor.empty`).
///  2. In program order, each write gets the buffer of the value that it
///     updates, if nothing reads this buffer later (BufferizeAnalysis.cpp).
///  3. Other writes get a copy, and tensors become buffers (upstream).
///
//===----------------------------------------------------------------------===//

#include "dialect/BlockOrder.h"
#include "dialect/DeadOps.h"
#include "passes/ArgumentAttrs.h"
#include "passes/BufferizeAnalysis.h"
#include "passes/Passes.h"
#include "passes/TensorUpdates.h"

#include "mlir/Dialect/Bufferization/Transforms/Bufferize.h"
#include "mlir/Dialect/Bufferization/Transforms/OneShotModuleBufferize.h"
#include "mlir/Dialect/Bufferization/Transforms/Transforms.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/SubsetOpInterface.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADBUFFERIZE
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;
namespace bufferization = mlir::bufferization;

/// Moves the definitions of `values` before `user`, if that is possible, which
/// lies in the same block or deeper. Upstream's function for this takes time in
/// proportion to the length of the block.
static bool moveDefinitions(RewriterBase &rewriter, BlockOrder &order,
                            ArrayRef<Value> values, Operation *user) {
  constexpr unsigned kMaxMoved = 128;
  SetVector<Operation *> moved;
  SmallVector<Value> worklist(values);
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    Operation *place = value.getParentBlock()->findAncestorOpInBlock(*user);
    Operation *def = value.getDefiningOp();
    if (!place)
      return false;
    if (!def || order.isBefore(def, place) || moved.contains(def))
      continue;
    if (def == place || place != user || !isMemoryEffectFree(def) ||
        moved.size() == kMaxMoved)
      return false;
    moved.insert(def);
    llvm::append_range(worklist, def->getOperands());
    SetVector<Value> captured;
    getUsedValuesDefinedAbove(def->getRegions(), captured);
    llvm::append_range(worklist, captured);
  }
  SmallVector<Operation *> ops = moved.takeVector();
  llvm::sort(ops,
             [&](Operation *a, Operation *b) { return order.isBefore(a, b); });
  rewriter.setInsertionPoint(user);
  // A move would make the order of all other operations unknown.
  for (Operation *op : ops)
    rewriter.replaceOp(op, rewriter.clone(*op));
  return true;
}

/// What the destination of `insertion` was before `user`, before others
/// inserted elsewhere; none if it is there already, or too far away.
static Value findDestinationBefore(BlockOrder &order,
                                   tensor::InsertSliceOp insertion,
                                   Operation *user) {
  constexpr unsigned kMaxInsertions = 64;
  auto isSame = [](Value, Value) {
    return true;
  }; // One is made from the other.
  auto isLate = [&](Value value) {
    Operation *place = value.getParentBlock()->findAncestorOpInBlock(*user);
    Operation *def = value.getDefiningOp();
    return !place || (def && !order.isBefore(def, place));
  };
  Value destination = insertion.getDest();
  if (!insertion.getOffsets().empty() || !insertion.getSizes().empty() ||
      !insertion.getStrides().empty())
    return {};
  for (unsigned i = 0; i < kMaxInsertions && isLate(destination); ++i) {
    auto other = destination.getDefiningOp<tensor::InsertSliceOp>();
    if (!other || !areDisjoint(cast<SubsetOpInterface>(*insertion),
                               cast<SubsetOpInterface>(*other), isSame))
      return {};
    destination = other.getDest();
  }
  return isLate(destination) ? Value() : destination;
}

/// The part of its destination that `insertion` replaces, before `user`.
static Value extractBefore(RewriterBase &rewriter, BlockOrder &order,
                           SubsetInsertionOpInterface insertion,
                           tensor::EmptyOp empty, Operation *user) {
  OpBuilder::InsertionGuard guard(rewriter);
  if (auto insertSlice =
          dyn_cast<tensor::InsertSliceOp>(insertion.getOperation()))
    if (Value destination = findDestinationBefore(order, insertSlice, user)) {
      rewriter.setInsertionPoint(user);
      return tensor::ExtractSliceOp::create(
          rewriter, empty.getLoc(), insertSlice.getSourceType(), destination,
          insertSlice.getMixedOffsets(), insertSlice.getMixedSizes(),
          insertSlice.getMixedStrides());
    }
  if (!moveDefinitions(rewriter, order,
                       insertion.getValuesNeededToBuildSubsetExtraction(),
                       user))
    return {};
  rewriter.setInsertionPoint(user);
  return insertion.buildSubsetExtraction(rewriter, empty.getLoc());
}

/// %y = op outs(empty), insert %y into %z => op outs(slice of %z), insert. What
/// is inserted need not be in place for that: where it cannot be, it gets a
/// buffer of its own again. First what becomes a result, whose buffer others
/// are parts of.
static LogicalResult computeInDestinations(ModuleOp module) {
  bufferization::OneShotBufferizationOptions options;
  options.bufferizeFunctionBoundaries = true;
  bufferization::OneShotAnalysisState state(module, options);
  module.walk([&](SubsetInsertionOpInterface op) {
    state.bufferizeInPlace(op.getSourceOperand());
  });
  BlockOrder order;
  IRRewriter rewriter(module.getContext(), &order);
  auto extractResult = [](RewriterBase &rewriter,
                          SubsetInsertionOpInterface insertion,
                          tensor::EmptyOp empty, Operation *) -> Value {
    auto write =
        dyn_cast<bufferization::MaterializeInDestinationOp>(*insertion);
    auto buffer =
        write ? dyn_cast<BlockArgument>(write.getDest()) : BlockArgument();
    if (!buffer || !isa<func::FuncOp>(buffer.getOwner()->getParentOp()))
      return {};
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPointToStart(buffer.getOwner());
    return insertion.buildSubsetExtraction(rewriter, empty.getLoc());
  };
  if (failed(bufferization::eliminateEmptyTensors(rewriter, module, state,
                                                  extractResult)))
    return failure();
  return bufferization::eliminateEmptyTensors(
      rewriter, module, state,
      [&](RewriterBase &rewriter, SubsetInsertionOpInterface insertion,
          tensor::EmptyOp empty, Operation *user) {
        return extractBefore(rewriter, order, insertion, empty, user);
      });
}

static bool takesOrReturnsTensors(func::CallOp call) {
  auto isTensor = [](Type type) { return isa<TensorType>(type); };
  return llvm::any_of(call->getOperandTypes(), isTensor) ||
         llvm::any_of(call->getResultTypes(), isTensor);
}

/// Decides which operands are updated in place.
static LogicalResult analyze(ModuleOp module, InPlaceState &state) {
  // Upstream knows what a switch yields, but not where it comes out.
  module.walk([&](scf::IndexSwitchOp op) {
    for (OpResult result : op->getResults())
      for (Value yielded : getYielded(result))
        if (isa<TensorType>(result.getType()))
          state.unionAliasSets(result, yielded);
  });
  bool hasCalls = module
                      .walk([](func::CallOp call) {
                        return takesOrReturnsTensors(call)
                                   ? WalkResult::interrupt()
                                   : WalkResult::advance();
                      })
                      .wasInterrupted();
  // What a caller may do depends on its callees.
  if (hasCalls)
    return bufferization::analyzeModuleOp(module, state);
  for (auto func : module.getOps<func::FuncOp>()) {
    if (func.isExternal())
      continue;
    LogicalResult result = func.getBody().hasOneBlock()
                               ? analyzeInPlace(func, state)
                               : bufferization::analyzeOp(func, state);
    if (failed(result))
      return failure();
  }
  return success();
}

/// Says in the IR what buffers loops and branches get and yield. Upstream finds
/// the type of each by following what is yielded, in all that is nested, and of
/// buffers that are not filled where it makes copies: in time that is
/// exponential in the depth. Everything has the identity layout. What is
/// decided of the values holds of the new ones.
static void fixTypes(ModuleOp module, InPlaceState &state) {
  auto fix = [&](OpOperand &use) {
    Value value = use.get();
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type)
      return;
    OpBuilder builder(use.getOwner());
    Location loc = use.getOwner()->getLoc();
    auto memref = MemRefType::get(type.getShape(), type.getElementType());
    auto buffer =
        bufferization::ToBufferOp::create(builder, loc, memref, value);
    Value tensor =
        bufferization::ToTensorOp::create(builder, loc, type, buffer,
                                          /*restrict=*/true, /*writable=*/true);
    state.bufferizeInPlace(buffer->getOpOperand(0));
    state.createAliasInfoEntry(tensor);
    state.unionAliasSets(value, tensor);
    state.unionEquivalenceClasses(value, tensor);
    use.set(tensor);
  };
  module.walk([&](Operation *op) {
    bool isLoop = isa<scf::ForOp, scf::WhileOp>(op);
    bool isEnd = isa<scf::YieldOp, scf::ConditionOp>(op) &&
                 (isa<scf::ForOp, scf::WhileOp>(op->getParentOp()) ||
                  isBranch(op->getParentOp()));
    if (isLoop || isEnd)
      for (OpOperand &use : op->getOpOperands())
        fix(use);
  });
}

/// Gives buffers of their own to operations whose destination, a slice, cannot
/// be written in place. Upstream does the same, but follows what the slice is
/// made from to the function's argument each time. Returns the slices.
static SetVector<Operation *> replaceDestinations(ModuleOp module,
                                                  InPlaceState &state) {
  SetVector<Operation *> replaced;
  module.walk([&](DestinationStyleOpInterface op) {
    OpBuilder builder(op);
    for (OpOperand &init : op.getDpsInitsMutable()) {
      auto slice = init.get().getDefiningOp<tensor::ExtractSliceOp>();
      if (!slice || !slice.getType().hasStaticShape() ||
          state.isInPlace(init) || !state.canOmitTensorCopy(init))
        continue;
      RankedTensorType type = slice.getType();
      Value empty = tensor::EmptyOp::create(
          builder, op.getLoc(), type.getShape(), type.getElementType());
      state.createAliasInfoEntry(empty);
      init.set(empty);
      state.bufferizeInPlace(init);
      replaced.insert(slice);
    }
  });
  return replaced;
}

namespace {

struct GradBufferize : grad::impl::GradBufferizeBase<GradBufferize> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    // Upstream takes a view that nobody uses for a read.
    eraseDeadOps(module);
    separateEmpties(module);
    bufferization::OneShotBufferizationOptions options;
    options.bufferizeFunctionBoundaries = true;
    options.setFunctionBoundaryTypeConversion(
        bufferization::LayoutMapOption::IdentityLayoutMap);
    options.bufferAlignment = 0; // That of the arena.
    bufferization::BufferizationState buffers;
    if (failed(computeInDestinations(module)))
      return signalPassFailure();
    SetVector<Operation *> replaced;
    {
      InPlaceState state(module, options);
      if (failed(analyze(module, state)))
        return signalPassFailure();
      fixTypes(module, state);
      replaced = replaceDestinations(module, state);
      if (failed(bufferization::insertTensorCopies(module, state, buffers)))
        return signalPassFailure();
    }
    // What is decided of operations is known by their addresses.
    for (Operation *slice : replaced)
      if (slice->use_empty())
        slice->erase();
    // Upstream would remove these one by one.
    for (auto func : module.getOps<func::FuncOp>())
      updateArgumentAttrs(func, [](unsigned, NamedAttrList &attrs) {
        attrs.erase(bufferization::BufferizationDialect::kWritableAttrName);
      });
    if (failed(bufferization::bufferizeModuleOp(module, options, buffers)))
      return signalPassFailure();
  }
};

} // namespace
