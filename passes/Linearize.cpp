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
#include "dialect/Rules.h"
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
  Linearizer(OpBuilder &primal, OpBuilder &linear, const Activity &activity,
             Operation *request, bool remarks)
      : LinearizeContext(primal, linear), activity(activity), request(request),
        remarks(remarks) {}

  LogicalResult linearizeBlock(Block &block) override {
    for (Operation &op : llvm::make_early_inc_range(block.without_terminator()))
      if (activity.isActive(&op) && failed(linearizeOp(op)))
        return failure();
    return success();
  }

  bool isActive(Value value) const override { return activity.isActive(value); }

  void noteStored(Operation *op, ValueRange values) const override {
    if (remarks)
      for (Value value : values)
        emitRemark(value.getLoc()) << "stored for the derivative of "
                                   << op->getName() << ": " << value.getType();
  }

  FailureOr<Block *> getBody(FlatSymbolRefAttr function) override {
    FailureOr<func::FuncOp> found = getCallee(request, function);
    if (failed(found))
      return failure();
    return &found->front();
  }

private:
  LogicalResult linearizeOp(Operation &op) {
    auto rule = dyn_cast<LinearizeOpInterface>(op);
    if (!rule) {
      (op.emitOpError("has no derivative rule")).attachNote(request->getLoc())
          << "differentiated from here";
      return failure();
    }
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

  const Activity &activity;
  Operation *request;
  bool remarks;
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

LogicalResult grad::linearizeRequest(Operation *op, bool remarks) {
  FailureOr<func::FuncOp> callee = getCallee(op);
  if (failed(callee))
    return failure();
  Location loc = op->getLoc();
  Request request = describe(op);
  OwningOpRef<func::FuncOp> copy = callee->clone();
  if (isa<VjpOp>(op))
    rotateWhileLoops(*copy);
  Block &body = copy->front();
  Operation *terminator = body.getTerminator();
  SmallVector<Value> outputs = pick(terminator->getOperands(), request.of);
  Activity activity(body, pick(body.getArguments(), request.wrt), outputs);

  // Tangents stand beside the primal code in a jvp, in a region in a vjp.
  OpBuilder primal(terminator);
  auto region = std::make_unique<Block>();
  OpBuilder inRegion(op->getContext());
  inRegion.setInsertionPointToEnd(region.get());
  auto jvp = dyn_cast<JvpOp>(op);
  Linearizer linearizer(primal, jvp ? primal : inRegion, activity, op, remarks);
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
  using GradLinearizeBase::GradLinearizeBase;

  void runOnOperation() override {
    auto expand = [this](func::FuncOp function) -> LogicalResult {
      SmallVector<Operation *> requests;
      function.walk([&](Operation *op) {
        if (isa<VjpOp, JvpOp>(op))
          requests.push_back(op);
      });
      for (Operation *request : requests) {
        FailureOr<func::FuncOp> callee = getCallee(request);
        if (failed(callee))
          return failure();
        if (isExpanded(*callee) && failed(linearizeRequest(request, remarks)))
          return failure();
      }
      return success();
    };
    if (failed(walkCalleesFirst(getOperation(), expand)))
      signalPassFailure();
  }
};

} // namespace
