//===- Linearize.cpp - Expand requests into primal and linear code --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Forward-mode differentiation of one function body. The body takes the place
// of the request; each active op is asked for its tangent rule. A value
// without an entry in the tangent map has a symbolic zero for a tangent. What
// is not active is never linearized.
//
//===----------------------------------------------------------------------===//

#include "dialect/ControlFlow.h"
#include "dialect/Positions.h"
#include "dialect/Rules.h"
#include "dialect/StoreResiduals.h"
#include "dialect/Structured.h"
#include "dialect/Uses.h"
#include "passes/Activity.h"
#include "passes/Differentiation.h"
#include "passes/Passes.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADLINEARIZE
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

namespace {

/// What the two kinds of requests have in common.
struct Request {
  ValueRange inputs;
  ArrayRef<int64_t> wrt, of;
};

/// Linearizes the body of a function where it stands. Tangents stand beside
/// the primal code, or in a block of their own.
class Linearizer : public LinearizeContext {
public:
  /// Without `activity`, all values are active.
  Linearizer(OpBuilder &primal, OpBuilder &linear, const Activity *activity,
             Operation *request)
      : LinearizeContext(primal, linear), activity(activity), request(request) {
  }

  LogicalResult linearizeBlock(Block &block) override {
    // Not those that rules add: they may lie in memory where active ops were.
    SmallVector<Operation *> ops;
    for (Operation &op : block.without_terminator())
      ops.push_back(&op);
    for (Operation *op : ops)
      if (isActive(*op) && failed(linearizeOp(*op)))
        return failure();
    return success();
  }

  bool isActive(Value value) const override {
    return activity ? activity->isActive(value)
                    : Activity::mayCarryTangent(value);
  }

  std::unique_ptr<LinearizeContext> inForwardMode(OpBuilder &builder) override {
    return std::make_unique<Linearizer>(builder, builder, nullptr, request);
  }

  FailureOr<Block *> getBody(FlatSymbolRefAttr function) override {
    FailureOr<func::FuncOp> found = getCallee(request, function);
    if (failed(found))
      return failure();
    return &found->front();
  }

private:
  bool isActive(Operation &op) const {
    if (activity)
      return activity->isActive(&op);
    return llvm::any_of(op.getResults(),
                        [&](Value v) { return isActive(v); }) &&
           usesAny(&op, [&](Value v) { return bool(getTangent(v)); });
  }

  LogicalResult linearizeOp(Operation &op) {
    auto rule = dyn_cast<LinearizeOpInterface>(op);
    if (!rule) {
      (op.emitOpError("has no derivative rule")).attachNote(request->getLoc())
          << "differentiated from here";
      return failure();
    }
    if (failed(checkTypes(op)))
      return failure();
    if (op.getNumRegions() == 0 &&
        llvm::none_of(op.getOperands(),
                      [&](Value v) { return bool(getTangent(v)); }))
      return success();
    // Coefficients of linear code elsewhere are computed late, near to it.
    if (&primal == &linear)
      primal.setInsertionPointAfter(&op);
    else
      primal.setInsertionPoint(op.getBlock()->getTerminator());
    return rule.linearize(*this);
  }

  /// Whatever a derivative has to follow must have tangents.
  LogicalResult checkTypes(Operation &op) {
    auto check = [&](Value value) -> LogicalResult {
      if (!isActive(value) || isDifferentiable(value.getType()))
        return success();
      (op.emitOpError("expected floats of 32 or 64 bits, or tensors of these "
                      "of static shape, where it is differentiated, but got ")
       << value.getType())
              .attachNote(request->getLoc())
          << "differentiated from here";
      return failure();
    };
    for (Value result : op.getResults())
      if (failed(check(result)))
        return failure();
    for (Region &region : op.getRegions())
      for (Value argument : region.getArguments())
        if (failed(check(argument)))
          return failure();
    return success();
  }

  const Activity *activity;
  Operation *request;
};

} // namespace

static Request describe(Operation *op) {
  if (auto vjp = dyn_cast<VjpOp>(op))
    return {vjp.getInputs(), vjp.getWrt(), vjp.getOf()};
  auto jvp = cast<JvpOp>(op);
  return {jvp.getInputs(), jvp.getWrt(), jvp.getOf()};
}

static SmallVector<Value> pick(ValueRange values, ArrayRef<int64_t> which) {
  return llvm::map_to_vector(which, [&](int64_t i) { return values[i]; });
}

/// Puts active ops without rules in terms of others; whether there were some.
static bool decomposeActive(func::FuncOp function, const Activity &activity) {
  SmallVector<Operation *> active;
  function.walk([&](Operation *op) {
    if (activity.isActive(op))
      active.push_back(op);
  });
  bool changed = false;
  for (Operation *op : active)
    changed |= decompose(op, [&](Value v) { return activity.isActive(v); });
  return changed;
}

LogicalResult grad::linearizeRequest(Operation *op) {
  FailureOr<func::FuncOp> callee = getCallee(op);
  if (failed(callee))
    return failure();
  Location loc = op->getLoc();
  Request request = describe(op);
  OwningOpRef<func::FuncOp> copy = callee->clone();
  if (failed(inlineForeignCalls(*copy, op)))
    return failure();
  if (isa<VjpOp>(op)) {
    rotateWhileLoops(*copy);
    boundLoops(*copy);
    checkpointIterations(*copy);
  }
  Block &body = copy->front();
  Operation *terminator = body.getTerminator();
  auto analyze = [&] {
    return Activity(body, pick(body.getArguments(), request.wrt),
                    pick(terminator->getOperands(), request.of));
  };
  Activity activity = analyze();
  // What an op is decomposed into may have to be decomposed itself.
  while (decomposeActive(*copy, activity))
    activity = analyze();

  // Tangents stand beside the primal code in a jvp, in a region in a vjp.
  OpBuilder primal(terminator);
  auto region = std::make_unique<Block>();
  OpBuilder inRegion(op->getContext());
  inRegion.setInsertionPointToEnd(region.get());
  auto jvp = dyn_cast<JvpOp>(op);
  Linearizer linearizer(primal, jvp ? primal : inRegion, &activity, op);
  for (auto [position, i] : llvm::enumerate(request.wrt)) {
    Value input = body.getArgument(i);
    linearizer.setTangent(input,
                          jvp ? jvp.getTangents()[position]
                              : region->addArgument(input.getType(), loc));
  }
  if (failed(linearizer.linearizeBlock(body)))
    return failure();

  primal.setInsertionPoint(terminator);
  SmallVector<Value> results(terminator->getOperands());
  SmallVector<Value> tangents;
  for (int64_t i : request.of) {
    Value output = terminator->getOperand(i);
    Value tangent = linearizer.getTangent(output);
    tangents.push_back(tangent ? tangent
                               : createZero(primal, loc, output.getType()));
  }
  if (jvp) {
    llvm::append_range(results, tangents);
  } else {
    YieldOp::create(inRegion, loc, tangents);
    auto transposed =
        TransposedOp::create(primal, loc, region->getArgumentTypes(),
                             cast<VjpOp>(op).getCotangents());
    transposed.getBody().push_back(region.release());
    keepResiduals(transposed.getBody().front());
    llvm::append_range(results, transposed.getResults());
  }

  // The body moves to the place of the request.
  for (auto [argument, input] :
       llvm::zip_equal(body.getArguments(), request.inputs)) {
    argument.replaceAllUsesWith(input);
    llvm::replace(results, Value(argument), input);
  }
  terminator->erase();
  op->getBlock()->getOperations().splice(op->getIterator(),
                                         body.getOperations());
  op->replaceAllUsesWith(results);
  op->erase();
  return success();
}

namespace {

struct GradLinearize : grad::impl::GradLinearizeBase<GradLinearize> {
  void runOnOperation() override {
    auto expand = [](func::FuncOp function) -> LogicalResult {
      SmallVector<Operation *> requests;
      function.walk([&](Operation *op) {
        if (isa<VjpOp, JvpOp>(op))
          requests.push_back(op);
      });
      for (Operation *request : requests) {
        FailureOr<func::FuncOp> callee = getCallee(request);
        if (failed(callee))
          return failure();
        if (isExpanded(*callee) && failed(linearizeRequest(request)))
          return failure();
      }
      return success();
    };
    if (failed(walkCalleesFirst(getOperation(), expand)))
      signalPassFailure();
  }
};

} // namespace
