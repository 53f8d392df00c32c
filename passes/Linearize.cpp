//===- Linearize.cpp - Expand requests into primal and linear code --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Forward-mode differentiation of one function body. The body is cloned in
// place of the request; each active op is asked for its tangent rule. A value
// without an entry in the tangent map has a symbolic zero for a tangent.
//
// An op is active if it depends on an input in `wrt` and a result in `of`
// depends on it, or might through memory. What is not active is never
// linearized.
//
//===----------------------------------------------------------------------===//

#include "dialect/Rules.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/TypeUtilities.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
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

} // namespace

static Request describe(Operation *op) {
  if (auto vjp = dyn_cast<VjpOp>(op))
    return {vjp.getInputs(), vjp.getWrt(), vjp.getOf()};
  auto jvp = cast<JvpOp>(op);
  return {jvp.getInputs(), jvp.getWrt(), jvp.getOf()};
}

/// Whether a derivative may flow through values of `type`. Scalars, vectors,
/// buffers and whatever else is not known to hold integers may carry one that
/// only an op without a tangent rule can take up.
static bool mayCarryTangent(Type type) {
  return !getElementTypeOrSelf(type).isIntOrIndex();
}

/// The values that `op` uses, in its regions too.
static SetVector<Value> usedValues(Operation &op) {
  SetVector<Value> values;
  op.walk([&](Operation *nested) {
    values.insert(nested->operand_begin(), nested->operand_end());
  });
  return values;
}

/// The ops of `body` between the inputs in `wrt` and the results in `of`.
static DenseSet<Operation *> findActive(Block &body, const Request &request) {
  DenseSet<Value> varied, useful;
  DenseSet<Operation *> active;
  for (int64_t i : request.wrt)
    varied.insert(body.getArgument(i));
  for (Operation &op : body.without_terminator()) {
    if (llvm::none_of(usedValues(op),
                      [&](Value v) { return varied.contains(v); }))
      continue;
    for (Value result : op.getResults())
      if (mayCarryTangent(result.getType()))
        varied.insert(result);
    // Nobody follows a derivative through memory.
    if (!isMemoryEffectFree(&op))
      active.insert(&op);
  }

  Operation *terminator = body.getTerminator();
  for (int64_t i : request.of)
    useful.insert(terminator->getOperand(i));
  for (Operation &op : llvm::reverse(body.without_terminator())) {
    bool isActive = llvm::any_of(op.getResults(), [&](Value v) {
      return varied.contains(v) && useful.contains(v);
    });
    if (!isActive && !active.contains(&op))
      continue;
    active.insert(&op);
    useful.insert_range(usedValues(op));
  }
  return active;
}

LogicalResult grad::linearizeRequest(Operation *op) {
  FailureOr<func::FuncOp> callee = getCallee(op);
  if (failed(callee))
    return failure();
  Request request = describe(op);
  Block &body = callee->front();
  DenseSet<Operation *> active = findActive(body, request);

  OpBuilder builder(op);
  IRMapping primals;
  primals.map(body.getArguments(), request.inputs);

  // Tangents stand beside the primal code in a jvp, in a region in a vjp.
  DenseMap<Value, Value> tangents;
  auto vjp = dyn_cast<VjpOp>(op);
  TransposedOp transposed;
  if (vjp) {
    SmallVector<Type> types;
    for (int64_t i : request.wrt)
      types.push_back(body.getArgument(i).getType());
    transposed =
        TransposedOp::create(builder, op->getLoc(), types, vjp.getCotangents());
    Block &region = transposed.getBody().emplaceBlock();
    for (auto [i, type] : llvm::zip_equal(request.wrt, types))
      tangents[body.getArgument(i)] = region.addArgument(type, op->getLoc());
    builder.setInsertionPoint(transposed);
  } else {
    for (auto [i, tangent] :
         llvm::zip_equal(request.wrt, cast<JvpOp>(op).getTangents()))
      tangents[body.getArgument(i)] = tangent;
  }

  for (Operation &original : body.without_terminator()) {
    Operation *clone = builder.clone(original, primals);
    if (!active.contains(&original))
      continue;
    auto rule = dyn_cast<LinearizeOpInterface>(clone);
    if (!rule) {
      (clone->emitOpError("has no derivative rule")).attachNote(op->getLoc())
          << "differentiated from here";
      return failure();
    }
    auto operandTangents = llvm::map_to_vector(
        original.getOperands(), [&](Value v) { return tangents.lookup(v); });
    if (llvm::none_of(operandTangents, [](Value v) { return bool(v); }))
      continue;
    OpBuilder inRegion =
        transposed ? OpBuilder::atBlockEnd(&transposed.getBody().front())
                   : builder;
    SmallVector<Value> resultTangents;
    if (failed(rule.linearize(inRegion, operandTangents, resultTangents)))
      return clone->emitOpError("could not be linearized");
    for (auto [result, tangent] :
         llvm::zip_equal(original.getResults(), resultTangents))
      if (tangent)
        tangents[result] = tangent;
  }

  Operation *terminator = body.getTerminator();
  SmallVector<Value> results = llvm::map_to_vector(
      terminator->getOperands(), [&](Value v) { return primals.lookup(v); });
  OpBuilder atEnd = transposed
                        ? OpBuilder::atBlockEnd(&transposed.getBody().front())
                        : builder;
  SmallVector<Value> outputs;
  for (int64_t i : request.of) {
    Value output = terminator->getOperand(i);
    Value tangent = tangents.lookup(output);
    outputs.push_back(
        tangent ? tangent : createZeros(atEnd, op->getLoc(), output.getType()));
  }
  if (transposed) {
    YieldOp::create(atEnd, op->getLoc(), outputs);
    hoistCoefficients(transposed);
    llvm::append_range(results, transposed.getResults());
  } else {
    llvm::append_range(results, outputs);
  }
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
        bool waits = callee
                         ->walk([](Operation *op) {
                           return isa<TransposedOp, VjpOp, JvpOp>(op)
                                      ? WalkResult::interrupt()
                                      : WalkResult::advance();
                         })
                         .wasInterrupted();
        if (!waits && failed(linearizeRequest(request)))
          return failure();
      }
      return success();
    };
    if (failed(walkCalleesFirst(getOperation(), expand)))
      signalPassFailure();
  }
};

} // namespace
