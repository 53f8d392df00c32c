//===- InlineCalls.cpp - Replace calls by the bodies of their callees -----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Functions are visited callees first, so that what is inlined is free of calls
// itself. The walk, and what erases functions in the end, serve all passes of
// differentiation.
//
//===----------------------------------------------------------------------===//

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Iterators.h"
#include "passes/Differentiation.h"
#include "passes/Passes.h"
#include "passes/SymbolUses.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADINLINECALLS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

FailureOr<func::FuncOp> grad::getCallee(Operation *op) {
  return getCallee(op, op->getAttrOfType<FlatSymbolRefAttr>("callee"));
}

SmallVector<FlatSymbolRefAttr> grad::getCallees(Operation *op) {
  if (auto custom = dyn_cast<CustomOp>(op)) {
    SmallVector<FlatSymbolRefAttr> callees = {
        custom.getCalleeAttr(), custom.getFwdAttr(), custom.getBwdAttr(),
        custom.getJvpAttr()};
    llvm::erase(callees, FlatSymbolRefAttr());
    return callees;
  }
  if (isa<CallOp, func::CallOp>(op) || isRequest(op))
    return {op->getAttrOfType<FlatSymbolRefAttr>("callee")};
  return {};
}

static bool isInlinable(func::FuncOp function) {
  return function && !function.isExternal() &&
         function.getBody().hasOneBlock() &&
         isa<func::ReturnOp>(function.front().getTerminator());
}

FailureOr<func::FuncOp> grad::getCallee(Operation *op,
                                        FlatSymbolRefAttr symbol) {
  auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(op, symbol);
  if (!isInlinable(callee)) {
    InFlightDiagnostic error =
        op->emitOpError("expected a func.func with a body of one block that "
                        "returns, but got ")
        << symbol;
    if (callee)
      error.attachNote(callee.getLoc()) << "callee is here";
    return failure();
  }
  return callee;
}

bool grad::isExpanded(func::FuncOp function) {
  auto visit = [](Operation *op) {
    return isRequest(op) || isa<TransposedOp>(op) ? WalkResult::interrupt()
                                                  : WalkResult::advance();
  };
  return !function.walk(visit).wasInterrupted();
}

namespace {

/// A function that is visited when its callees have been.
struct Pending {
  func::FuncOp function;
  /// Those not looked at yet, last one first.
  SmallVector<std::pair<Operation *, FlatSymbolRefAttr>> calls;
};

} // namespace

LogicalResult
grad::walkCalleesFirst(ModuleOp module,
                       llvm::function_ref<LogicalResult(func::FuncOp)> visit) {
  DenseMap<Operation *, bool> isDone;
  SmallVector<Pending> stack;
  auto enter = [&](func::FuncOp function) {
    isDone[function] = false;
    Pending &pending = stack.emplace_back();
    pending.function = function;
    function.walk<WalkOrder::PostOrder, ReverseIterator>([&](Operation *op) {
      for (FlatSymbolRefAttr callee : llvm::reverse(getCallees(op)))
        pending.calls.push_back({op, callee});
    });
  };
  for (auto function : module.getOps<func::FuncOp>()) {
    if (function.isExternal() || isDone.contains(function))
      continue;
    enter(function);
    while (!stack.empty()) {
      Pending &top = stack.back();
      if (top.calls.empty()) {
        if (failed(visit(top.function)))
          return failure();
        isDone[top.function] = true;
        stack.pop_back();
        continue;
      }
      auto [call, symbol] = top.calls.pop_back_val();
      // Only what is differentiated is inlined of other front ends' calls.
      if (isa<func::CallOp>(call)) {
        auto callee =
            SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(call, symbol);
        if (isInlinable(callee) && !isDone.contains(callee))
          enter(callee);
        continue;
      }
      FailureOr<func::FuncOp> callee = getCallee(call, symbol);
      if (failed(callee))
        return failure();
      auto known = isDone.find(*callee);
      if (known == isDone.end())
        enter(*callee);
      else if (!known->second)
        return call->emitOpError("expected no recursion, but @")
               << callee->getSymName() << " calls itself";
    }
  }
  return success();
}

/// Replaces `call` by the body of `callee`. Returns the ops that stand there.
static SmallVector<Operation *> replaceByBody(Operation *call,
                                              func::FuncOp callee) {
  OpBuilder builder(call);
  IRMapping values;
  Block &body = callee.front();
  values.map(body.getArguments(), call->getOperands());
  SmallVector<Operation *> copies;
  for (Operation &op : body.without_terminator())
    copies.push_back(builder.clone(op, values));
  call->replaceAllUsesWith(
      llvm::map_to_vector(body.getTerminator()->getOperands(),
                          [&](Value v) { return values.lookup(v); }));
  call->erase();
  return copies;
}

static LogicalResult inlineCall(CallOp call) {
  FailureOr<func::FuncOp> callee = getCallee(call);
  if (succeeded(callee))
    replaceByBody(call, *callee);
  return callee;
}

/// The same in the ops `roots`, which came from the functions `callers`.
static LogicalResult inlineForeignCalls(ArrayRef<Operation *> roots,
                                        SmallVectorImpl<StringRef> &callers,
                                        Operation *request) {
  SmallVector<func::CallOp> calls;
  for (Operation *root : roots)
    root->walk([&](func::CallOp call) { calls.push_back(call); });
  for (func::CallOp call : calls) {
    auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(
        request, call.getCalleeAttr());
    if (!isInlinable(callee))
      continue;
    if (llvm::is_contained(callers, callee.getSymName())) {
      (call.emitOpError("expected no recursion, but @")
       << callee.getSymName() << " calls itself")
              .attachNote(request->getLoc())
          << (isa<VmapOp>(request) ? "mapped" : "differentiated")
          << " from here";
      return failure();
    }
    callers.push_back(callee.getSymName());
    if (failed(
            inlineForeignCalls(replaceByBody(call, callee), callers, request)))
      return failure();
    callers.pop_back();
  }
  return success();
}

LogicalResult grad::inlineForeignCalls(func::FuncOp function,
                                       Operation *request) {
  SmallVector<StringRef> callers = {function.getSymName()};
  return ::inlineForeignCalls(function.getOperation(), callers, request);
}

LogicalResult grad::inlineCalls(func::FuncOp function) {
  SmallVector<CallOp> calls;
  function.walk([&](CallOp call) { calls.push_back(call); });
  for (CallOp call : calls)
    if (failed(inlineCall(call)))
      return failure();
  return success();
}

void grad::eraseDeadFunctions(ModuleOp module) {
  SymbolTable symbols(module);
  llvm::DenseMap<StringAttr, unsigned> uses = countSymbolUses(module);
  SmallVector<func::FuncOp> dead;
  auto addIfDead = [&](func::FuncOp function) {
    if (function.isPrivate() && uses.lookup(function.getSymNameAttr()) == 0)
      dead.push_back(function);
  };
  llvm::for_each(module.getOps<func::FuncOp>(), addIfDead);
  // Erasing a caller may free its callees.
  while (!dead.empty()) {
    func::FuncOp function = dead.pop_back_val();
    llvm::DenseMap<StringAttr, unsigned> freed = countSymbolUses(function);
    symbols.erase(function);
    for (auto [name, count] : freed) {
      uses[name] -= count;
      if (auto callee = symbols.lookup<func::FuncOp>(name))
        addIfDead(callee);
    }
  }
}

namespace {

struct GradInlineCalls : grad::impl::GradInlineCallsBase<GradInlineCalls> {
  void runOnOperation() override {
    if (failed(walkCalleesFirst(getOperation(), inlineCalls)))
      return signalPassFailure();
    eraseDeadFunctions(getOperation());
  }
};

} // namespace
