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
  if (isa<CallOp>(op) || isRequest(op))
    return {op->getAttrOfType<FlatSymbolRefAttr>("callee")};
  return {};
}

FailureOr<func::FuncOp> grad::getCallee(Operation *op,
                                        FlatSymbolRefAttr symbol) {
  auto callee = SymbolTable::lookupNearestSymbolFrom<func::FuncOp>(op, symbol);
  if (!callee || callee.isExternal() || !callee.getBody().hasOneBlock() ||
      !isa<func::ReturnOp>(callee.front().getTerminator())) {
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

/// Replaces `call` by the body of its callee.
static LogicalResult inlineCall(CallOp call) {
  FailureOr<func::FuncOp> callee = getCallee(call);
  if (failed(callee))
    return failure();
  OpBuilder builder(call);
  IRMapping values;
  Block &body = callee->front();
  values.map(body.getArguments(), call.getInputs());
  for (Operation &op : body.without_terminator())
    builder.clone(op, values);
  call->replaceAllUsesWith(
      llvm::map_to_vector(body.getTerminator()->getOperands(),
                          [&](Value v) { return values.lookup(v); }));
  call->erase();
  return success();
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
