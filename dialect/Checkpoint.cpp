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
// What is kept may stand in loops and branches of the region. The original has
// stacks then, of the results of all iterations, and the copy of the loop reads
// from them.
//
//===----------------------------------------------------------------------===//

#include "dialect/ControlFlow.h"
#include "dialect/DeadOps.h"
#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "dialect/Stacks.h"
#include "dialect/StoreResiduals.h"
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

/// Whether what ops in the regions of `op` compute can be kept, too: if it is
/// known how much that is, or the loop keeps other values on tapes, and the op
/// is not itself replaced by others.
static bool mayHoldKept(Operation *op, const ResidualStore &store) {
  if (!isMemoryEffectFree(op))
    return false;
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return getMaxTripCount(loop) ? !op->hasAttr(kCheckpoint)
                                 : store.keepsTapes(op);
  return isa<scf::IfOp, scf::IndexSwitchOp>(op);
}

/// Ops that are kept, and loops and branches around them, have the number of
/// their copies until that is decided: rules may put other ops in their place.
static constexpr StringLiteral kCopy = "grad.copy";

namespace {

/// The copies of ops of a region of which results may be kept.
class Copies {
public:
  /// Of ops that are missing among `live`, nothing is kept.
  Copies(Block &primal, const IRMapping &copies, Block &live, Policy policy,
         const ResidualStore &store)
      : primal(primal), store(store) {
    DenseSet<Operation *> alive;
    live.walk([&](Operation *op) { alive.insert(op); });
    number(primal, kOutside, copies, alive, policy);
  }

  /// The same result of the copy; null if nothing is kept of the op.
  Value find(Value value) const {
    auto result = dyn_cast<OpResult>(value);
    std::optional<int64_t> place =
        result ? getNumber(result.getOwner()) : std::nullopt;
    Operation *copy = place ? numbered[*place].op : nullptr;
    if (!copy || result.getResultNumber() >= copy->getNumResults() ||
        !isInPlace(result.getOwner()))
      return nullptr;
    return copy->getResult(result.getResultNumber());
  }

private:
  static constexpr int64_t kOutside = -1;

  static std::optional<int64_t> getNumber(Operation *op) {
    auto attribute = op->getAttrOfType<IntegerAttr>(kCopy);
    return attribute ? std::optional(attribute.getInt()) : std::nullopt;
  }

  void number(Block &block, int64_t parent, const IRMapping &copies,
              const DenseSet<Operation *> &alive, Policy policy) {
    Builder builder(block.getParentOp()->getContext());
    for (Operation &op : block.without_terminator()) {
      bool isAround = policy != Policy::Nothing && mayHoldKept(&op, store);
      if ((!isAround && !isKept(&op, policy)) ||
          !alive.contains(copies.lookup(&op)))
        continue;
      int64_t place = numbered.size();
      op.setAttr(kCopy, builder.getIndexAttr(place));
      numbered.push_back({isAround ? nullptr : copies.lookup(&op), parent});
      if (isAround)
        for (Region &region : op.getRegions())
          if (!region.empty())
            number(region.front(), place, copies, alive, policy);
    }
  }

  /// Whether the op is still in the same loops and branches.
  bool isInPlace(Operation *op) const {
    for (; op->getBlock() != &primal; op = op->getParentOp()) {
      Operation *parent = op->getParentOp();
      if (!parent || getNumber(parent) != numbered[*getNumber(op)].parent)
        return false;
    }
    return numbered[*getNumber(op)].parent == kOutside;
  }

  struct Numbered {
    Operation *op; ///< Null for what is around others.
    int64_t parent;
  };
  Block &primal;
  const ResidualStore &store;
  SmallVector<Numbered> numbered;
};

} // namespace

/// What is kept of `primal`, if `linear` uses it or what follows from it.
static SmallVector<Value> findKept(Block &primal, Block &linear,
                                   const Copies &copies) {
  SmallVector<Value> pending;
  DenseSet<Value> visited;
  llvm::SetVector<Value> kept;
  auto add = [&](Value value) {
    Region *region = value.getParentRegion();
    if (region && primal.getParent()->isAncestor(region) &&
        visited.insert(value).second)
      pending.push_back(value);
  };
  auto addCarried = [&](scf::ForOp loop, unsigned i) {
    add(loop.getInitArgs()[i]);
    add(loop.getYieldedValues()[i]);
    llvm::for_each(loop->getOperands().take_front(3), add);
  };
  for (Operation &op : linear)
    forEachUsed(&op, add);
  while (!pending.empty()) {
    Value value = pending.pop_back_val();
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      auto loop = dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp());
      if (loop && argument != loop.getInductionVar())
        addCarried(loop, argument.getArgNumber() - 1);
      continue;
    }
    auto result = cast<OpResult>(value);
    Operation *op = result.getOwner();
    unsigned i = result.getResultNumber();
    if (copies.find(value)) {
      kept.insert(value);
    } else if (auto loop = dyn_cast<scf::ForOp>(op)) {
      addCarried(loop, i);
    } else if (isa<scf::IfOp, scf::IndexSwitchOp>(op)) {
      llvm::for_each(op->getOperands(), add);
      for (Region &region : op->getRegions())
        add(region.front().getTerminator()->getOperand(i));
    } else {
      forEachUsed(op, add);
    }
  }
  return kept.takeVector();
}

/// The blocks of loops and branches around `loop`, outer ones first, up to the
/// region of `root`.
static SmallVector<Block *> findBlocksAround(Operation *root, Operation *loop) {
  SmallVector<Block *> around;
  for (Block *block = loop->getBlock(); block->getParentOp() != root;
       block = block->getParentOp()->getBlock())
    around.insert(around.begin(), block);
  return around;
}

/// Lets the loops and branches around `value`, in the region of `root`, yield
/// it: loops a stack of the values of all iterations, or one tape for all runs.
static Value yieldFrom(Operation *root, Value value) {
  Location loc = value.getLoc();
  for (Operation *parent;
       (parent = value.getParentBlock()->getParentOp()) != root;) {
    OpBuilder builder(parent);
    if (auto loop = dyn_cast<scf::ForOp>(parent)) {
      std::optional<int64_t> trips = getMaxTripCount(loop);
      std::optional<NestedTapes> tapes;
      SmallVector<Block *> around;
      if (!trips) {
        around = findBlocksAround(root, loop);
        tapes.emplace(around, loop, value.getType());
      }
      loop = carryMore(loop, tapes ? tapes->getTapes().front()
                                   : createStack(builder, loc, value.getType(),
                                                 std::max<int64_t>(*trips, 1)));
      Operation *yield = loop.getBody()->getTerminator();
      builder.setInsertionPoint(yield);
      Value number = createNumber(builder, loop, loop.getInductionVar());
      if (tapes)
        number = tapes->placeOf(builder, number);
      yield->insertOperands(yield->getNumOperands(),
                            createPush(builder, loc,
                                       loop.getRegionIterArgs().back(), value,
                                       number));
      value = loop.getResults().back();
      if (tapes)
        return tapes->leave(loop, value).front();
      continue;
    }
    SmallVector<SmallVector<Value>> yields;
    for (Region &region : parent->getRegions()) {
      auto atEnd = OpBuilder(region.front().getTerminator());
      yields.push_back({value.getParentRegion() == &region
                            ? value
                            : createUndefined(atEnd, loc, value.getType())});
    }
    value = yieldMore(parent, yields)->getResults().back();
  }
  return value;
}

/// The value which `kept`, made by `yieldFrom`, has for the current iteration
/// of the loops around `op`.
static Value readKept(Value kept, Operation *op, Type type, Block &primal) {
  SmallVector<scf::ForOp> loops;
  for (Operation *inner = op; inner->getBlock() != &primal;) {
    inner = inner->getParentOp();
    if (auto loop = dyn_cast<scf::ForOp>(inner))
      loops.push_back(loop);
  }
  OpBuilder builder(op);
  auto peek = [&](Value place, bool isLast) {
    auto stack = cast<RankedTensorType>(kept.getType());
    Type inside = RankedTensorType::get(stack.getShape().drop_front(),
                                        stack.getElementType());
    kept =
        createPeek(builder, op->getLoc(), kept, isLast ? type : inside, place);
  };
  // One tape is for all runs of its loop.
  auto onTape = llvm::find_if(
      loops, [](scf::ForOp loop) { return !getMaxTripCount(loop); });
  if (onTape != loops.end()) {
    Operation *root = primal.getParentOp();
    SmallVector<Block *> around = findBlocksAround(root, *onTape);
    NestedTapes places(around, *onTape, {});
    Value number = createNumber(builder, *onTape, onTape->getInductionVar());
    peek(places.placeOf(builder, number), onTape == loops.begin());
    places.leave(*onTape, {});
    loops.erase(onTape, loops.end());
  }
  for (auto [i, loop] : llvm::enumerate(llvm::reverse(loops)))
    peek(createNumber(builder, loop, loop.getInductionVar()),
         i + 1 == loops.size());
  return kept;
}

LogicalResult grad::linearizeRegion(scf::ExecuteRegionOp op,
                                    LinearizeContext &context) {
  if (!op.getRegion().hasOneBlock())
    return op.emitOpError("expected a region of one block to differentiate, "
                          "but it has ")
           << llvm::range_size(op.getRegion());
  return linearizeBranch(op, context);
}

LogicalResult grad::storeRegion(scf::ExecuteRegionOp op, Operation *linear,
                                ResidualStore &store) {
  std::optional<Policy> policy = getPolicy(op);
  if (!policy)
    return storeBranch(op, linear, store);
  // What a region in a loop keeps on tapes would be kept for each iteration.
  bool isOutermost = store.getBlocksAround().empty();

  OpBuilder builder(op);
  IRMapping mapping;
  Operation *kept = builder.clone(*op, mapping);
  // What is computed for the linear part alone.
  eraseDeadOps(kept->getRegion(0).front());
  Block &primal = op.getRegion().front(), &block = linear->getRegion(0).front();
  Copies copies(primal, mapping, kept->getRegion(0).front(), *policy, store);
  if (failed(store.storeBlockApart(primal, /*bounded=*/!isOutermost)))
    return failure();
  Operation *yield = primal.getTerminator();

  // What is stored takes the place of the ops that compute it.
  SmallVector<Value> stored = findKept(primal, block, copies);
  if (failed(store.noteStored(op, stored)))
    return failure();
  unsigned before = kept->getNumResults();
  SmallVector<Value> more = llvm::map_to_vector(
      stored, [&](Value value) { return yieldFrom(kept, copies.find(value)); });
  for (Block *both : {&primal, &block})
    both->walk([](Operation *nested) { nested->removeAttr(kCopy); });
  kept = yieldMore(kept, more);
  for (auto [value, result] :
       llvm::zip_equal(stored, kept->getResults().drop_front(before)))
    value.replaceAllUsesWith(
        readKept(result, value.getDefiningOp(), value.getType(), primal));
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
  for (Operation &nested : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isOpTriviallyDead(&nested))
      nested.erase();
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

/// Makes the stacks of the loop at the end of its body. Returns the first op
/// that does so, or the terminator.
static Operation *pushAtEnd(scf::ForOp loop) {
  Block &body = *loop.getBody();
  Operation *yield = body.getTerminator(), *last = yield->getPrevNode();
  OpBuilder builder(yield);
  SmallVector<Operation *> dead;
  for (BlockArgument argument : loop.getRegionIterArgs()) {
    OpOperand &next = *loop.getTiedLoopYieldedValue(argument);
    Value pushed =
        next.get().hasOneUse() ? findPushed(loop, argument) : nullptr;
    if (!pushed)
      continue;
    dead.push_back(next.get().getDefiningOp());
    next.set(createPush(builder, next.get().getLoc(), argument, pushed,
                        createNumber(builder, loop, loop.getInductionVar())));
  }
  Operation *first = last ? last->getNextNode() : &body.front();
  llvm::for_each(dead, [](Operation *op) { op->erase(); });
  return first;
}

/// Makes a checkpointed region of the body. The stacks are made behind it:
/// later orders find in them what they need of the states.
static void checkpointBody(scf::ForOp loop) {
  Block &body = *loop.getBody();
  Operation *behind = pushAtEnd(loop);
  llvm::SetVector<Value> results;
  for (Operation &op : llvm::make_range(behind->getIterator(), body.end()))
    for (Value operand : op.getOperands()) {
      Operation *inside = operand.getDefiningOp();
      if (inside && inside->getBlock() == &body &&
          inside->isBeforeInBlock(behind))
        results.insert(operand);
    }
  OpBuilder builder(behind);
  auto region = scf::ExecuteRegionOp::create(
      builder, loop.getLoc(), ValueRange(results.getArrayRef()).getTypes(),
      /*no_inline=*/true);
  region->setAttr(kCheckpoint, builder.getStringAttr("nothing"));
  Block &block = region.getRegion().emplaceBlock();
  block.getOperations().splice(block.end(), body.getOperations(), body.begin(),
                               region->getIterator());
  auto atEnd = OpBuilder::atBlockEnd(&block);
  scf::YieldOp::create(atEnd, loop.getLoc(), results.getArrayRef());
  for (auto [value, result] : llvm::zip_equal(results, region.getResults()))
    Value(value).replaceUsesWithIf(result, [&](OpOperand &use) {
      return use.getOwner()->getBlock() == &body;
    });
}

void grad::checkpointIterations(Operation *root) {
  root->walk([](scf::ForOp loop) {
    auto policy = loop->getAttrOfType<StringAttr>(kCheckpoint);
    if (!policy || policy.getValue() != kEach)
      return;
    loop->removeAttr(kCheckpoint);
    checkpointBody(loop);
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
