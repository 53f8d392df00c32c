//===- Batch.cpp - Expand grad.vmap ---------------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One walk over the body of the callee that writes it anew at the place of the
// request. A value is batched if it depends on a mapped input; then its first
// dimension is the batch. Ops that use no batched value are copied as they are.
// At the borders, axes are moved to the front and back to where they belong.
//
//===----------------------------------------------------------------------===//

#include "dialect/DeadOps.h"
#include "dialect/Rules.h"
#include "passes/Differentiation.h"
#include "passes/Passes.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADBATCH
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

namespace {

class Batcher : public BatchContext {
public:
  Batcher(OpBuilder &builder, VmapOp request)
      : BatchContext(builder, request.getSize()), request(request) {}

  LogicalResult batchBlock(Block &block) override {
    for (Operation &op : block.without_terminator()) {
      if (usesBatched(&op)) {
        if (failed(batchOp(op)))
          return failure();
        continue;
      }
      Operation *copy = clone(op);
      for (auto [result, now] :
           llvm::zip_equal(op.getResults(), copy->getResults()))
        setUnbatched(result, now);
    }
    return success();
  }

  FailureOr<BatchedFunction> batchFunction(FlatSymbolRefAttr symbol,
                                           ArrayRef<bool> isBatched,
                                           ArrayRef<Form> forms) override;

private:
  static bool isElementwise(Operation &op) {
    return isa<ElementwiseOpInterface>(op) ||
           OpTrait::hasElementwiseMappableTraits(&op);
  }

  /// A copy of an op that uses nothing batched. That of an argument of a block
  /// which is mapped already would be left out.
  Operation *clone(Operation &op) {
    op.walk([&](Block *block) {
      for (Value argument : block->getArguments())
        values.erase(argument);
    });
    return builder.clone(op, values);
  }

  LogicalResult batchOp(Operation &op) {
    auto rule = dyn_cast<BatchOpInterface>(op);
    LogicalResult done = rule                ? rule.batch(*this)
                         : isElementwise(op) ? batchByItself(&op, *this)
                                             : batchOneByOne(&op, *this);
    if (succeeded(done))
      return success();
    InFlightDiagnostic error = op.emitOpError();
    SmallVector<Type> types(op.getResultTypes());
    auto *unusual = llvm::find_if_not(types, hasBatches);
    if (unusual != types.end())
      error << "expected results that are numbers or tensors of static shape, "
               "where they differ between the elements of a batch, but got "
            << *unusual;
    else
      error << (rule ? "could not be batched" : "has no batching rule");
    error.attachNote(request.getLoc()) << "mapped from here";
    return failure();
  }

  VmapOp request;
};

} // namespace

/// `value` with dimension `from` put at place `to`.
static Value moveDimension(OpBuilder &builder, Location loc, Value value,
                           int64_t from, int64_t to) {
  if (from == to)
    return value;
  int64_t rank = cast<RankedTensorType>(value.getType()).getRank();
  auto permutation = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  permutation.erase(permutation.begin() + from);
  permutation.insert(permutation.begin() + to, from);
  return TransposeOp::create(builder, loc, value, permutation);
}

/// `value` repeated along a new dimension `axis`.
static Value repeat(OpBuilder &builder, Location loc, Value value, int64_t axis,
                    int64_t size) {
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<int64_t> shape(type.getShape()), dimensions;
  shape.insert(shape.begin() + axis, size);
  for (int64_t d = 0; d <= type.getRank(); ++d)
    if (d != axis)
      dimensions.push_back(d);
  return BroadcastOp::create(builder, loc, value, shape, dimensions);
}

FailureOr<BatchContext::BatchedFunction>
Batcher::batchFunction(FlatSymbolRefAttr symbol, ArrayRef<bool> isBatched,
                       ArrayRef<Form> forms) {
  FailureOr<func::FuncOp> from = getCallee(request, symbol);
  if (failed(from))
    return failure();
  Block &body = from->front();
  SmallVector<Type> types;
  for (auto [argument, flag] : llvm::zip_equal(body.getArguments(), isBatched))
    types.push_back(flag ? getBatchedType(argument) : argument.getType());
  OpBuilder inside(request.getContext());
  auto function = func::FuncOp::create(inside, from->getLoc(),
                                       from->getName().str() + "_vmap",
                                       inside.getFunctionType(types, {}));
  function.setPrivate();
  SymbolTable(request->getParentOfType<ModuleOp>()).insert(function);
  inside.setInsertionPointToStart(function.addEntryBlock());
  Batcher batcher(inside, request);
  for (auto [argument, batched, flag] :
       llvm::zip_equal(body.getArguments(), function.getArguments(), isBatched))
    flag ? batcher.setBatched(argument, batched)
         : batcher.setUnbatched(argument, batched);
  if (failed(batcher.batchBlock(body)))
    return failure();

  BatchedFunction made{FlatSymbolRefAttr::get(function.getSymNameAttr()), {}};
  SmallVector<Value> results;
  for (auto [i, output] :
       llvm::enumerate(body.getTerminator()->getOperands())) {
    Form form = i < forms.size() ? forms[i] : Form::Any;
    bool flag = batcher.isBatched(output);
    Value result = batcher.get(output);
    // The sum of zeros is zero.
    if (!flag &&
        (form == Form::Batched || (form == Form::Sum && !isZero(result)))) {
      result = batcher.getBatched(output);
      flag = true;
    }
    if (flag && form == Form::Sum) {
      result = ReduceSumOp::create(inside, output.getLoc(), result,
                                   ArrayRef<int64_t>{0});
      flag = false;
    }
    results.push_back(result);
    made.isBatched.push_back(flag);
  }
  func::ReturnOp::create(inside, from->getLoc(), results);
  function.setFunctionType(
      inside.getFunctionType(types, TypeRange(ValueRange(results))));
  return made;
}

static bool makesForeignCalls(func::FuncOp function) {
  return function.walk([](func::CallOp) { return WalkResult::interrupt(); })
      .wasInterrupted();
}

LogicalResult grad::batchRequest(VmapOp op) {
  FailureOr<func::FuncOp> callee = getCallee(op);
  if (failed(callee))
    return failure();
  OwningOpRef<func::FuncOp> copy;
  if (makesForeignCalls(*callee)) {
    copy = callee->clone();
    callee = *copy;
    if (failed(inlineForeignCalls(*callee, op)))
      return failure();
  }
  Location loc = op.getLoc();
  OpBuilder builder(op);
  Batcher batcher(builder, op);
  Block &body = callee->front();
  for (auto [argument, input, axis] :
       llvm::zip_equal(body.getArguments(), op.getInputs(), op.getInAxes())) {
    if (axis == VmapOp::kNone)
      batcher.setUnbatched(argument, input);
    else
      batcher.setBatched(argument, moveDimension(builder, loc, input, axis, 0));
  }
  if (failed(batcher.batchBlock(body)))
    return failure();

  SmallVector<Value> results;
  for (auto [i, output, axis] :
       llvm::enumerate(body.getTerminator()->getOperands(), op.getOutAxes())) {
    bool isBatched = batcher.isBatched(output);
    Value result = batcher.get(output);
    if (axis == VmapOp::kNone && isBatched)
      return op.emitOpError("expected result ")
             << i << ", whose axis is `none`, to be the same for the whole "
             << "batch, but it depends on a mapped input";
    if (axis != VmapOp::kNone && batcher.size == 0)
      result = createSplat(builder, loc, typeOf(op.getResult(i)), 0);
    else if (isBatched)
      result = moveDimension(builder, loc, result, 0, axis);
    else if (axis != VmapOp::kNone)
      result = isa<RankedTensorType>(result.getType())
                   ? repeat(builder, loc, result, axis, batcher.size)
                   : batcher.getBatched(output);
    results.push_back(result);
  }
  op->replaceAllUsesWith(results);
  op->erase();
  return success();
}

namespace {

struct GradBatch : grad::impl::GradBatchBase<GradBatch> {
  void runOnOperation() override {
    auto expand = [](func::FuncOp function) -> LogicalResult {
      SmallVector<VmapOp> requests;
      function.walk([&](VmapOp op) { requests.push_back(op); });
      for (VmapOp request : requests) {
        FailureOr<func::FuncOp> callee = getCallee(request);
        if (failed(callee))
          return failure();
        if (isExpanded(*callee) && failed(batchRequest(request)))
          return failure();
      }
      if (!requests.empty())
        eraseDeadOps(function);
      return success();
    };
    if (failed(walkCalleesFirst(getOperation(), expand)))
      signalPassFailure();
  }
};

} // namespace
