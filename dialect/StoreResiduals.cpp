//===- StoreResiduals.cpp - How linear parts get what they need -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// First the two ends of what is kept become one value, so that linear code uses
// values of primal blocks as if it stood there. Then each loop and branch gets
// what it takes for the same to hold in truth: residuals are results of it, and
// what follows from them is computed once more. Inner ones come first: what
// they store is what outer ones choose from.
//
//===----------------------------------------------------------------------===//

#include "dialect/StoreResiduals.h"

#include "dialect/ControlFlow.h"
#include "dialect/GradDialect.h"
#include "dialect/Residuals.h"
#include "dialect/Restore.h"
#include "dialect/Stacks.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/SmallVectorExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/SaveAndRestore.h"

using namespace mlir;
using namespace mlir::grad;

//===----------------------------------------------------------------------===//
// Between linearization and storing
//===----------------------------------------------------------------------===//

static constexpr StringLiteral kLinearPart = "grad.linear_part";
static constexpr StringLiteral kPartOf = "grad.part_of";

static Attribute createKey(MLIRContext *context) {
  return DistinctAttr::create(UnitAttr::get(context));
}

void grad::setLinearPart(Operation *primal, Operation *linear) {
  Attribute key = createKey(primal->getContext());
  primal->setAttr(kLinearPart, key);
  linear->setAttr(kPartOf, key);
}

void grad::keepResiduals(Block &block) {
  DenseMap<Value, Attribute> keys;
  DenseMap<std::pair<Block *, Value>, Value> kept;
  auto keep = [&](Value value) {
    auto [key, isNew] = keys.try_emplace(value);
    if (isNew) {
      key->second = createKey(value.getContext());
      OpBuilder builder(value.getParentBlock()->getTerminator());
      KeepOp::create(builder, value.getLoc(), value, key->second);
    }
    return key->second;
  };
  auto visit = [&](Operation *op) {
    for (OpOperand &operand : op->getOpOperands()) {
      Value value = operand.get();
      if (value.getParentRegion()->isAncestor(op->getParentRegion()))
        continue;
      Value &there = kept[{op->getBlock(), value}];
      if (!there) {
        auto builder = OpBuilder::atBlockBegin(op->getBlock());
        there = KeptOp::create(builder, value.getLoc(), value.getType(),
                               keep(value));
      }
      operand.set(there);
    }
  };
  for (Operation &op : block)
    if (op.getNumRegions())
      op.walk(visit);
}

LogicalResult ResidualStore::joinEnds(Operation *root) {
  DenseMap<Attribute, KeepOp> keeps;
  DenseMap<Attribute, Operation *> linear;
  SmallVector<KeptOp> uses;
  SmallVector<Operation *> primal;
  root->walk([&](Operation *op) {
    if (auto keep = dyn_cast<KeepOp>(op))
      keeps[keep.getKey()] = keep;
    else if (auto kept = dyn_cast<KeptOp>(op))
      uses.push_back(kept);
    else if (op->getNumRegions() == 0)
      return;
    else if (Attribute key = op->removeAttr(kPartOf))
      linear[key] = op;
    else if (op->hasAttr(kLinearPart))
      primal.push_back(op);
  });
  for (KeptOp use : uses) {
    KeepOp keep = keeps.lookup(use.getKey());
    if (!keep || keep.getValue().getType() != use.getType())
      return use.emitOpError("expected a grad.keep of the same key and type");
    use.replaceAllUsesWith(keep.getValue());
    use.erase();
  }
  for (auto [key, keep] : keeps)
    keep.erase();
  for (Operation *op : primal)
    if (Operation *part = linear.lookup(op->removeAttr(kLinearPart)))
      linearOf[op] = part;
  return success();
}

//===----------------------------------------------------------------------===//
// From inside out
//===----------------------------------------------------------------------===//

LogicalResult ResidualStore::run(Operation *root) {
  if (failed(joinEnds(root)))
    return failure();
  SmallVector<Operation *> outermost;
  root->walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (!linearOf.contains(op))
      return WalkResult::advance();
    outermost.push_back(op);
    return WalkResult::skip();
  });
  for (Operation *op : outermost)
    if (failed(store(op)))
      return failure();
  return success();
}

LogicalResult ResidualStore::storeBlock(Block &block) {
  around.push_back(&block);
  LogicalResult result = storeOps(block);
  around.pop_back();
  return result;
}

LogicalResult ResidualStore::storeBlockApart(Block &block, bool bounded) {
  llvm::SaveAndRestore blocks(around, {});
  llvm::SaveAndRestore bound(isBounded, isBounded || bounded);
  return storeOps(block);
}

LogicalResult ResidualStore::storeOps(Block &block) {
  SmallVector<Operation *> ops;
  for (Operation &op : block)
    if (linearOf.contains(&op))
      ops.push_back(&op);
  for (Operation *op : ops)
    if (failed(store(op)))
      return failure();
  return success();
}

/// Whether each iteration begins with the body (rotateWhileLoops).
static bool isRotated(scf::WhileOp op) {
  Block &before = *op.getBeforeBody();
  scf::ConditionOp condition = op.getConditionOp();
  return llvm::hasSingleElement(before) && before.getNumArguments() > 0 &&
         condition.getCondition() == before.getArguments().back() &&
         ValueRange(condition.getArgs()) ==
             ValueRange(before.getArguments().drop_back());
}

/// Other passes may have changed what linearization left, in ways that are not
/// undone here.
static LogicalResult checkParts(Operation *op, Operation *linear) {
  // What has no results needs no second block.
  for (Operation *part : {op, linear})
    if (auto branch = dyn_cast<scf::IfOp>(part))
      if (branch.getElseRegion().empty()) {
        OpBuilder builder(part->getContext());
        builder.createBlock(&branch.getElseRegion());
        scf::YieldOp::create(builder, part->getLoc());
      }
  auto hasOneBlock = [](Region &region) { return region.hasOneBlock(); };
  auto loop = dyn_cast<scf::WhileOp>(op);
  if (op->getName() == linear->getName() &&
      op->getNumRegions() == linear->getNumRegions() &&
      llvm::all_of(op->getRegions(), hasOneBlock) &&
      llvm::all_of(linear->getRegions(), hasOneBlock) &&
      (!loop || isRotated(loop)))
    return success();
  op->emitOpError("expected a linear part as grad-linearize leaves it")
          .attachNote(linear->getLoc())
      << "this is the linear part";
  return failure();
}

LogicalResult ResidualStore::store(Operation *op) {
  // Another op may come to lie where this one is.
  Operation *linear = linearOf.lookup(op);
  linearOf.erase(op);
  if (failed(checkParts(op, linear)))
    return failure();
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](scf::ForOp loop) {
        return storeFor(loop, cast<scf::ForOp>(linear), *this);
      })
      .Case([&](scf::WhileOp loop) {
        return storeWhile(loop, cast<scf::WhileOp>(linear), *this);
      })
      .Case([&](scf::ExecuteRegionOp region) {
        return storeRegion(region, linear, *this);
      })
      .Default([&](Operation *) { return storeBranch(op, linear, *this); });
}

LogicalResult ResidualStore::noteStored(Operation *op,
                                        ValueRange values) const {
  for (Value value : values)
    if (!isStorable(value.getType()))
      return op->emitOpError("expected numbers or tensors of static shape to "
                             "store for its derivative, but got ")
             << value.getType();
  if (remarks)
    for (Value value : values)
      emitRemark(value.getLoc()) << "stored for the derivative of "
                                 << op->getName() << ": " << value.getType();
  return success();
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

/// What the linear part of a loop has without that anything is stored for it.
/// `stackOf` gets the position of the stack in which the loop stores a value
/// for other purposes.
static Residuals::Given describe(scf::ForOp primal, Value number,
                                 SmallVector<unsigned> &stackOf) {
  Residuals::Given given;
  given.known.map(primal.getInductionVar(), number);
  for (auto [i, argument, init, next] :
       llvm::enumerate(primal.getRegionIterArgs(), primal.getInitArgs(),
                       primal.getYieldedValues())) {
    if (next == argument)
      given.known.map(argument, init);
    else
      given.carried.push_back({argument, next});
    if (Value pushed = findPushed(primal, argument)) {
      given.stored.push_back(pushed);
      stackOf.push_back(i);
    }
  }
  return given;
}

FailureOr<scf::ForOp> grad::stackResiduals(scf::ForOp primal, Block &linear,
                                           Value inductionVar, int64_t length,
                                           const Restorer &restorer,
                                           const ResidualStore &store) {
  SmallVector<unsigned> stackOf;
  Residuals::Given given = describe(primal, inductionVar, stackOf);
  restorer.describe(given);
  Residuals residuals(*primal.getBody(), linear, given);
  SmallVector<Value> stored(residuals.getStored());
  // A pair is one stack with one more place: the value, and from the second
  // place on the one that follows.
  SmallVector<Value> first, second;
  for (auto [value, next] : residuals.getCarried()) {
    first.push_back(value);
    second.push_back(next);
  }
  if (failed(store.noteStored(primal, stored)) ||
      failed(store.noteStored(primal, first)))
    return failure();

  Location loc = primal.getLoc();
  OpBuilder builder(primal);
  unsigned before = primal.getNumResults();
  SmallVector<Value> stacks;
  size_t singles = 0;
  std::optional<NestedTapes> tapes;
  if (length > 0) {
    stacks = createStacks(builder, loc, ValueRange(stored).getTypes(), length);
    singles = stacks.size();
    // A pair has one place more.
    llvm::append_range(
        stacks,
        createStacks(builder, loc, ValueRange(first).getTypes(), length + 1));
  } else if (!stored.empty() || !first.empty()) {
    SmallVector<Type> types = typesOnTapes(ValueRange(stored).getTypes());
    singles = types.size();
    llvm::append_range(types, typesOnTapes(ValueRange(first).getTypes()));
    tapes.emplace(store.getBlocksAround(), primal, types);
    llvm::append_range(stacks, tapes->getTapes());
  }
  auto placeOf = [&](Value number) {
    return tapes ? tapes->placeOf(builder, number) : number;
  };
  if (!first.empty()) {
    SmallVector<Value> inits = llvm::map_to_vector(first, [&](Value value) {
      return primal.getTiedLoopInit(cast<BlockArgument>(value))->get();
    });
    Value start = placeOf(arith::ConstantIndexOp::create(builder, loc, 0));
    auto begun = MutableArrayRef(stacks).drop_front(singles);
    llvm::copy(pushAll(builder, loc, begun, inits, start), begun.begin());
  }
  if (!stacks.empty())
    primal = carryMore(primal, stacks);
  // The stacks of single values and of pairs, inside of the loop or behind it.
  auto split = [&](ValueRange values) {
    return std::pair(values.take_front(singles), values.drop_front(singles));
  };
  auto nextOf = [&](Value number) -> Value {
    if (first.empty())
      return number;
    Value one = arith::ConstantIndexOp::create(builder, loc, 1);
    return arith::AddIOp::create(builder, loc, number, one);
  };

  Operation *yield = primal.getBody()->getTerminator();
  builder.setInsertionPoint(yield);
  Value number = createNumber(builder, primal, primal.getInductionVar());
  number = placeOf(number);
  auto [single, paired] = split(primal.getRegionIterArgs().drop_front(before));
  auto yieldToo = [&](ValueRange values) {
    yield->insertOperands(yield->getNumOperands(), values);
  };
  yieldToo(pushAll(builder, loc, single, stored, number));
  yieldToo(pushAll(builder, loc, paired, second, nextOf(number)));

  SmallVector<Value> filled(primal.getResults().drop_front(before));
  if (tapes)
    filled = tapes->leave(primal, filled, /*more=*/first.empty() ? 0 : 1);

  builder.setInsertionPointAfterValue(inductionVar);
  Value shared = createNumber(builder, primal, inductionVar);
  number = placeOf(shared);
  auto provide = [&](ValueRange values, ValueRange from, Value place) {
    residuals.provide(values,
                      peekAll(builder, loc, from, values.getTypes(), place));
  };
  std::tie(single, paired) = split(filled);
  provide(stored, single, number);
  provide(first, paired, number);
  provide(second, paired, nextOf(number));
  for (unsigned i : residuals.getShared())
    provide(given.stored[i], primal.getResult(stackOf[i]), shared);
  residuals.supply(builder);
  pushEarly(*primal.getBody(), yield->getOperands().take_back(stacks.size()));
  return primal;
}

static bool keepsAll(Operation *loop) {
  auto policy = loop->getAttrOfType<StringAttr>(kCheckpoint);
  return policy && policy.getValue() == "all";
}

// Where memory is to have a bound, other loops around it are run again for
// that.
bool ResidualStore::keepsTapes(Operation *loop) const {
  return keepsAll(loop) && !isBounded;
}

/// Whether the linear part of a loop follows from the counter and from values
/// outside.
static bool needsNothing(scf::ForOp op, scf::ForOp linear) {
  bool hasInner = op.getBody()
                      ->walk([](Operation *inner) {
                        return inner->getNumRegions() ? WalkResult::interrupt()
                                                      : WalkResult::advance();
                      })
                      .wasInterrupted();
  SmallVector<unsigned> stackOf;
  return !hasInner && Residuals::needNothing(
                          *op.getBody(), *linear.getBody(),
                          describe(op, linear.getInductionVar(), stackOf));
}

LogicalResult grad::storeFor(scf::ForOp op, scf::ForOp linear,
                             ResidualStore &store) {
  std::optional<int64_t> trips = getMaxTripCount(op);
  if (!trips && !op->hasAttr(kCheckpoint) && needsNothing(op, linear))
    return success(succeeded(storeAll(op, linear, /*length=*/0, store)));
  if (trips ? op->hasAttr(kCheckpoint) && !keepsAll(op) : !store.keepsTapes(op))
    return replayFor(op, linear, store);
  int64_t length = trips ? std::max<int64_t>(*trips, 1) : 0;
  return success(succeeded(storeAll(op, linear, length, store)));
}

LogicalResult grad::storeWhile(scf::WhileOp op, scf::WhileOp linear,
                               ResidualStore &store) {
  return store.keepsTapes(op) ? storeOnTapes(op, linear, store)
                              : replayWhile(op, linear, store);
}

FailureOr<scf::ForOp> grad::storeAll(scf::ForOp op, scf::ForOp linear,
                                     int64_t length, ResidualStore &store) {
  Block *body = op.getBody();
  if (failed(store.storeBlock(*body)))
    return failure();
  op = cast<scf::ForOp>(body->getParentOp());
  SmallVector<unsigned> stackOf;
  Restorer restorer(store);
  FailureOr<scf::ForOp> restoring = restoreArrays(
      op, linear, describe(op, linear.getInductionVar(), stackOf), restorer,
      /*isReplay=*/false);
  if (failed(restoring))
    return failure();
  return stackResiduals(op, *restoring->getBody(), restoring->getInductionVar(),
                        length, restorer, store);
}

//===----------------------------------------------------------------------===//
// Branches
//===----------------------------------------------------------------------===//

LogicalResult grad::storeBranch(Operation *op, Operation *linear,
                                ResidualStore &store) {
  auto blocks = llvm::map_to_vector(
      op->getRegions(), [](Region &region) { return &region.front(); });
  for (Block *block : blocks)
    if (failed(store.storeBlock(*block)))
      return failure();
  op = blocks.front()->getParentOp();
  return success(succeeded(yieldResiduals(op, linear, {}, store)));
}

// Each residual is a result: one that the branch has anyway, or else one that
// residuals of other blocks share if they have its type, and which is undefined
// where a block has none for it.
FailureOr<Operation *> grad::yieldResiduals(Operation *primal,
                                            Operation *linear,
                                            ArrayRef<Restorer> restorers,
                                            const ResidualStore &store) {
  SmallVector<Residuals, 2> residuals;
  SmallVector<Type> types;
  DenseMap<Type, SmallVector<unsigned>> placesOf;
  SmallVector<SmallVector<unsigned>> places;
  for (auto [i, from, to] :
       llvm::enumerate(primal->getRegions(), linear->getRegions())) {
    Residuals::Given given;
    llvm::append_range(given.stored,
                       from.front().getTerminator()->getOperands());
    if (!restorers.empty())
      restorers[i].describe(given);
    Residuals &some =
        residuals.emplace_back(from.front(), to.front(), std::move(given));
    if (failed(store.noteStored(primal, some.getStored())))
      return failure();
    DenseMap<Type, unsigned> taken;
    SmallVector<unsigned> &own = places.emplace_back();
    for (Value value : some.getStored()) {
      SmallVector<unsigned> &alike = placesOf[value.getType()];
      unsigned &next = taken[value.getType()];
      if (next == alike.size()) {
        alike.push_back(types.size());
        types.push_back(value.getType());
      }
      own.push_back(alike[next++]);
    }
  }
  SmallVector<SmallVector<Value>> yields;
  for (auto [some, own, region] :
       llvm::zip_equal(residuals, places, primal->getRegions())) {
    auto &yielded = yields.emplace_back(types.size());
    for (auto [value, place] : llvm::zip_equal(some.getStored(), own))
      yielded[place] = value;
    OpBuilder atEnd(region.front().getTerminator());
    for (auto [value, type] : llvm::zip_equal(yielded, types))
      if (!value)
        value = createUndefined(atEnd, primal->getLoc(), type);
  }
  unsigned before = primal->getNumResults();
  primal = yieldMore(primal, yields);
  for (auto [some, own, from, to] : llvm::zip_equal(
           residuals, places, primal->getRegions(), linear->getRegions())) {
    for (auto [value, place] : llvm::zip_equal(some.getStored(), own))
      some.provide(value, primal->getResult(before + place));
    for (unsigned i : some.getShared())
      some.provide(from.front().getTerminator()->getOperand(i),
                   primal->getResult(i));
    OpBuilder builder = OpBuilder::atBlockBegin(&to.front());
    some.supply(builder);
  }
  return primal;
}
