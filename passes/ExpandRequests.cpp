//===- ExpandRequests.cpp - Expand all requests, innermost first ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Functions are visited callees first, so that the callee of a request is
// plain code when the request is expanded: whatever derivatives it asked for
// have become ops that have derivatives, and batched forms, themselves. Such a
// function is simplified before it is differentiated once more: what an adjoint
// computes twice would be differentiated twice, at each order. Requests that
// are made several times are expanded once, in a function of their own. What is
// left of functions with derivatives of their own becomes calls in the end, and
// checkpointed regions become ordinary code.
//
//===----------------------------------------------------------------------===//

#include "dialect/ControlFlow.h"
#include "dialect/DeadOps.h"
#include "dialect/StoreResiduals.h"
#include "passes/Differentiation.h"
#include "passes/Passes.h"
#include "passes/Pipelines.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADEXPANDREQUESTS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

namespace {

/// What is asked for: the kind of request, and its attributes, which name the
/// function and what matters of it.
using Question = std::pair<StringRef, Attribute>;

struct GradExpandRequests
    : grad::impl::GradExpandRequestsBase<GradExpandRequests> {
  void runOnOperation() override {
    timesAsked.clear();
    answers.clear();
    getOperation().walk([&](Operation *op) {
      if (isRequest(op))
        ++timesAsked[questionOf(op)];
    });
    auto differentiate = [&](func::FuncOp function) -> LogicalResult {
      SmallVector<Operation *> requests = requestsIn(function);
      for (Operation *&request : requests)
        if (timesAsked.lookup(questionOf(request)) > 1) {
          if (failed(replaceByCall(request)))
            return failure();
          request = nullptr;
        }
      llvm::erase(requests, nullptr);
      if (failed(inlineCalls(function)))
        return failure();
      return expand(function, requests);
    };
    if (failed(walkCalleesFirst(getOperation(), differentiate)) ||
        failed(callPrimals()))
      return signalPassFailure();
    eraseDeadFunctions(getOperation());
    inlineCheckpoints(getOperation());
  }

private:
  static Question questionOf(Operation *request) {
    return {request->getName().stripDialect(), request->getAttrDictionary()};
  }

  static SmallVector<Operation *> requestsIn(func::FuncOp function) {
    SmallVector<Operation *> requests;
    function.walk([&](Operation *op) {
      if (isRequest(op))
        requests.push_back(op);
    });
    return requests;
  }

  LogicalResult expand(func::FuncOp function, ArrayRef<Operation *> requests) {
    for (Operation *request : requests) {
      auto vmap = dyn_cast<VmapOp>(request);
      if (failed(vmap ? batchRequest(vmap) : linearizeRequest(request)))
        return failure();
    }
    if (failed(ResidualStore(/*remarks=*/false).run(function)) ||
        failed(transposeLinear(function)))
      return failure();
    // Transposes of what moves narrow floats add them up.
    widenFloats(function);
    eraseDeadOps(function);
    if (requests.empty() || !function.isPrivate())
      return success();
    OpPassManager simplify(func::FuncOp::getOperationName());
    buildSimplification(simplify);
    return runPipeline(simplify, function);
  }

  /// Nobody asks for the derivative of what is left of functions with rules.
  LogicalResult callPrimals() {
    SmallVector<CustomOp> left;
    getOperation().walk([&](CustomOp op) { left.push_back(op); });
    if (left.empty())
      return success();
    for (CustomOp op : left) {
      OpBuilder builder(op);
      auto call = CallOp::create(builder, op.getLoc(), op.getResultTypes(),
                                 op.getCalleeAttr(), op.getOperands());
      op->replaceAllUsesWith(call);
      op->erase();
    }
    eraseDeadFunctions(getOperation());
    return walkCalleesFirst(getOperation(), inlineCalls);
  }

  /// Replaces the request by a call of the function that answers it.
  LogicalResult replaceByCall(Operation *request) {
    func::FuncOp &answer = answers[questionOf(request)];
    if (!answer) {
      answer = createAnswer(request);
      if (failed(expand(answer, requestsIn(answer))))
        return failure();
    }
    OpBuilder builder(request);
    auto call =
        CallOp::create(builder, request->getLoc(), request->getResultTypes(),
                       FlatSymbolRefAttr::get(answer.getSymNameAttr()),
                       request->getOperands());
    request->replaceAllUsesWith(call);
    request->erase();
    return success();
  }

  /// A function that makes the request, of its arguments.
  func::FuncOp createAnswer(Operation *request) {
    OpBuilder builder(&getContext());
    auto callee = cast<FlatSymbolRefAttr>(request->getAttr("callee"));
    auto function = func::FuncOp::create(
        builder, request->getLoc(),
        (callee.getValue() + "_" + request->getName().stripDialect()).str(),
        builder.getFunctionType(request->getOperandTypes(),
                                request->getResultTypes()));
    function.setPrivate();
    SymbolTable(getOperation()).insert(function);
    builder.setInsertionPointToStart(function.addEntryBlock());
    Operation *copy = builder.clone(*request);
    copy->setOperands(function.getArguments());
    func::ReturnOp::create(builder, request->getLoc(), copy->getResults());
    return function;
  }

  llvm::DenseMap<Question, unsigned> timesAsked;
  llvm::DenseMap<Question, func::FuncOp> answers;
};

} // namespace
