//===- Checkpoint.cpp - Regions that the reverse pass computes again ------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A checkpointed region is an `scf.execute_region` with the attribute
// `grad.checkpoint`. Its linear part contains all of it, but for what the
// attribute lets it keep:
//
//     %y = scf.execute_region {        %y = scf.execute_region { A(%x) }
//       A(%x)                   =>     linear code:
//     }                                %dy = scf.execute_region {
//                                        A(%x); the linear part of A on %dx
//                                      }
//
// The transpose begins with a barrier, so that `A` is not merged with what has
// been computed: it waits for the cotangents. The regions stay until the last
// derivative is made, so that each one computes again what the one before did.
//
//===----------------------------------------------------------------------===//

#include "dialect/ControlFlow.h"
#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "dialect/Uses.h"

#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SmallVectorExtras.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;
using namespace mlir::grad;

namespace {

/// Of which ops the results are kept.
enum class Policy { Nothing, Dots, DotsWithNoBatchDims };

} // namespace

/// None if that is the business of the compiler.
static std::optional<Policy> getPolicy(Operation *op) {
  auto policy = op->getAttrOfType<StringAttr>(kCheckpoint);
  if (!policy)
    return std::nullopt;
  return llvm::StringSwitch<std::optional<Policy>>(policy)
      .Case("nothing", Policy::Nothing)
      .Case("dots", Policy::Dots)
      .Case("dots_with_no_batch_dims", Policy::DotsWithNoBatchDims)
      .Default(std::nullopt);
}

static bool isKept(Operation *op, Policy policy) {
  if (!isMemoryEffectFree(op))
    return true;
  if (auto dot = dyn_cast<DotGeneralOp>(op))
    return policy == Policy::Dots ||
           (policy == Policy::DotsWithNoBatchDims && dot.getLhsBatch().empty());
  return policy != Policy::Nothing && isa<ConvolutionOp, CorrelateOp>(op);
}

/// An op of which results may be kept has the number of its copy, until that is
/// decided: rules may put other ops in its place.
static constexpr StringLiteral kCopy = "grad.copy";

/// Numbers the ops of `block` of which results may be kept. Returns their
/// copies.
static SmallVector<Operation *>
numberKept(Block &block, const IRMapping &copies, Policy policy) {
  SmallVector<Operation *> numbered;
  Builder builder(block.getParentOp()->getContext());
  for (Operation &op : block.without_terminator())
    if (isKept(&op, policy)) {
      op.setAttr(kCopy, builder.getIndexAttr(numbered.size()));
      numbered.push_back(copies.lookup(&op));
    }
  return numbered;
}

/// The same result of the copy; null if nothing is kept of the op.
static Value findCopy(Value value, ArrayRef<Operation *> copies) {
  auto result = cast<OpResult>(value);
  auto number = result.getOwner()->getAttrOfType<IntegerAttr>(kCopy);
  if (!number)
    return {};
  Operation *copy = copies[number.getInt()];
  return result.getResultNumber() < copy->getNumResults()
             ? copy->getResult(result.getResultNumber())
             : Value();
}

/// What is kept of `primal`, if `linear` uses it or what follows from it.
static SmallVector<Value> findKept(Block &primal, Block &linear,
                                   ArrayRef<Operation *> copies) {
  SmallVector<Value> pending;
  DenseSet<Value> visited;
  llvm::SetVector<Value> kept;
  auto add = [&](Value value) {
    if (value.getParentBlock() == &primal && visited.insert(value).second)
      pending.push_back(value);
  };
  for (Operation &op : linear)
    forEachUsed(&op, add);
  while (!pending.empty()) {
    Value value = pending.pop_back_val();
    if (findCopy(value, copies))
      kept.insert(value);
    else
      forEachUsed(value.getDefiningOp(), add);
  }
  return kept.takeVector();
}

LogicalResult grad::linearizeRegion(scf::ExecuteRegionOp op,
                                    LinearizeContext &context) {
  if (!op.getRegion().hasOneBlock())
    return op.emitOpError("expected a region of one block to differentiate, "
                          "but it has ")
           << llvm::range_size(op.getRegion());
  std::optional<Policy> policy = getPolicy(op);
  if (context.isForward() || !policy)
    return linearizeBranch(op, context);

  OpBuilder builder(op);
  IRMapping copies;
  Operation *kept = builder.clone(*op, copies);
  Block &primal = op.getRegion().front();
  SmallVector<Operation *> numbered = numberKept(primal, copies, *policy);
  SmallVector<OpResult> active = llvm::filter_to_vector(
      op.getResults(), [&](Value value) { return context.isActive(value); });
  Operation *linear = createBranchLike(
      context.linear, op, llvm::map_to_vector(active, [](OpResult result) {
        return result.getType();
      }));
  Block &block = linear->getRegion(0).front();
  Operation *yield = primal.getTerminator();
  {
    OpBuilder::InsertionGuard guard(context.linear);
    context.linear.setInsertionPointToEnd(&block);
    if (failed(context.linearizeBlock(primal)))
      return failure();
    SmallVector<Value> tangents;
    for (OpResult result : active) {
      Value value = yield->getOperand(result.getResultNumber());
      tangents.push_back(
          orZeros(context.getTangent(value), context.linear, value));
    }
    scf::YieldOp::create(context.linear, op.getLoc(), tangents);
  }

  // What is stored takes the place of the ops that compute it.
  SmallVector<Value> stored = findKept(primal, block, numbered);
  if (failed(context.noteStored(op, stored)))
    return failure();
  unsigned before = kept->getNumResults();
  SmallVector<Value> more = llvm::map_to_vector(
      stored, [&](Value value) { return findCopy(value, numbered); });
  for (Block *both : {&primal, &block})
    both->walk([](Operation *nested) { nested->removeAttr(kCopy); });
  kept = yieldMore(kept, more);
  for (auto [i, result] :
       llvm::enumerate(kept->getResults().drop_front(before)))
    stored[i].replaceAllUsesWith(result);
  yield->erase();
  for (Operation &nested : llvm::make_early_inc_range(llvm::reverse(primal))) {
    if (isMemoryEffectFree(&nested))
      continue;
    if (!nested.use_empty())
      return nested.emitOpError("has an effect, and cannot be computed again "
                                "for a derivative in reverse mode");
    nested.erase();
  }
  block.getOperations().splice(block.begin(), primal.getOperations());

  for (auto [result, tangent] : llvm::zip_equal(active, linear->getResults()))
    context.setTangent(kept->getResult(result.getResultNumber()), tangent);
  op->replaceAllUsesWith(kept->getResults().take_front(before));
  op->erase();
  return success();
}

void grad::delayCoefficients(Operation *op, Block &block,
                             TransposeContext &context) {
  if (!getPolicy(op))
    return;
  SmallVector<Value> cotangents;
  for (Value result : op->getResults())
    if (Value cotangent = context.getCotangent(result))
      cotangents.push_back(cotangent);
  llvm::SetVector<Value> values;
  block.walk([&](Operation *nested) {
    for (Value operand : nested->getOperands()) {
      // Numbers are not worth it.
      auto type = dyn_cast<RankedTensorType>(operand.getType());
      if (type && type.getRank() > 0 &&
          !block.getParent()->isAncestor(operand.getParentRegion()) &&
          !matchPattern(operand, m_Constant()))
        values.insert(operand);
    }
  });
  if (values.empty())
    return;
  auto builder = OpBuilder::atBlockBegin(&block);
  auto barrier =
      BarrierOp::create(builder, op->getLoc(), TypeRange(values.getArrayRef()),
                        values.getArrayRef(), cotangents);
  for (auto [i, result] : llvm::enumerate(barrier.getOutputs()))
    Value(values[i]).replaceUsesWithIf(result, [&](OpOperand &use) {
      return use.getOwner() != barrier &&
             block.findAncestorOpInBlock(*use.getOwner());
    });
}

void grad::inlineCheckpoints(Operation *root) {
  root->walk([](scf::ExecuteRegionOp op) {
    if (!op->hasAttr(kCheckpoint) || !op.getRegion().hasOneBlock())
      return;
    Block &block = op.getRegion().front();
    Operation *yield = block.getTerminator();
    op->replaceAllUsesWith(yield->getOperands());
    yield->erase();
    op->getBlock()->getOperations().splice(op->getIterator(),
                                           block.getOperations());
    op->erase();
  });
}

LogicalResult BarrierOp::verify() {
  if (TypeRange(getValues()) != TypeRange(getOutputs()))
    return emitOpError("expected results of the types of the values, but got ")
           << getOutputs().getTypes();
  return success();
}

LogicalResult BarrierOp::linearize(LinearizeContext &context) {
  for (auto [value, output] : llvm::zip_equal(getValues(), getOutputs()))
    context.setTangent(output, context.getTangent(value));
  return success();
}

LogicalResult BarrierOp::batch(BatchContext &context) {
  auto get = [&](ValueRange values) {
    return llvm::map_to_vector(values,
                               [&](Value value) { return context.get(value); });
  };
  SmallVector<Value> values = get(getValues());
  auto barrier =
      BarrierOp::create(context.builder, getLoc(),
                        ValueRange(values).getTypes(), values, get(getAfter()));
  for (auto [value, output, result] :
       llvm::zip_equal(getValues(), getOutputs(), barrier.getOutputs()))
    if (context.isBatched(value))
      context.setBatched(output, result);
    else
      context.setUnbatched(output, result);
  return success();
}
