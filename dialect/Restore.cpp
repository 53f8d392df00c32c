//===- Restore.cpp - Arrays that loops update, backwards ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What undoes an update is ordinary code of the linear block, from the last
// update to the first. An update of a slice is undone by one; a branch by a
// branch on the same condition; a loop by a loop that begins with the last
// iteration. They use values of the primal block as linear code does, and get
// them in the same way: what is overwritten is stored, what it takes to find
// the place is stored or computed once more.
//
// The linear part of an inner loop may restore the same array on its way. It
// does that when it is transposed, and then takes the place of the loop that
// undoes the inner one alone, if its result is not needed before.
//
//===----------------------------------------------------------------------===//

#include "dialect/Restore.h"

#include "dialect/GradDialect.h"
#include "dialect/Stacks.h"
#include "dialect/Updates.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

static constexpr StringLiteral kBackward = "grad.backward";
/// How many of the last values that a loop carries are arrays that it restores,
/// while that is of interest.
static constexpr StringLiteral kRestored = "grad.restored";
/// What is taken for the number of iterations where that is not known.
static constexpr int64_t kManyTrips = 64;

unsigned grad::countBackward(scf::ForOp loop) {
  auto count = loop->getAttrOfType<IntegerAttr>(kBackward);
  return count ? count.getInt() : 0;
}

//===----------------------------------------------------------------------===//
// Undoing updates
//===----------------------------------------------------------------------===//

FailureOr<Value> Restorer::restore(OpBuilder &builder, Value before,
                                   Operation *terminator, unsigned i,
                                   Value now) {
  Array array = {before, terminator, i, {now}};
  for (Value version = terminator->getOperand(i); version != before;) {
    // Its op may be replaced.
    Value previous = findPrevious(version);
    FailureOr<Value> restored = undo(builder, cast<OpResult>(version), now);
    if (failed(restored))
      return failure();
    version = previous;
    now = *restored;
    array.restored.push_back(now);
  }
  arrays.push_back(array);
  return now;
}

FailureOr<Value> Restorer::undo(OpBuilder &builder, OpResult version,
                                Value now) {
  Operation *op = version.getOwner();
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return undoLoop(builder, loop, version.getResultNumber(), now);
  if (op->getNumRegions())
    return undoBranch(builder, op, version.getResultNumber(), now);
  OpBuilder before(op);
  overwritten.push_back(readOverwritten(before, op));
  Value value = findHeld(op);
  if (value && value.getParentBlock() == op->getBlock() &&
      !matchPattern(value, m_Constant()) &&
      !isa_and_nonnull<LoopLikeOpInterface>(value.getDefiningOp()))
    held.push_back({value, readHeld(builder, op, now)});
  return putBack(builder, op, now, overwritten.back());
}

FailureOr<Value> Restorer::undoLoop(OpBuilder &builder, scf::ForOp loop,
                                    unsigned i, Value now) {
  Location loc = loop.getLoc();
  int64_t trips = std::max<int64_t>(*getMaxTripCount(loop), 1);
  Value mirror = createMirror(builder, loop);
  auto backwards = scf::ForOp::create(builder, loc, loop.getLowerBound(),
                                      loop.getUpperBound(), loop.getStep(), now,
                                      nullptr, loop.getUnsignedCmp());
  setMaxTripCount(backwards, trips);
  backwards->setAttr(kRestored, builder.getI64IntegerAttr(1));
  auto inside = OpBuilder::atBlockEnd(backwards.getBody());
  Value number =
      arith::SubIOp::create(inside, loc, mirror, backwards.getInductionVar());
  Restorer inner(store);
  FailureOr<Value> restored = inner.restore(inside, loop.getRegionIterArg(i),
                                            loop.getBody()->getTerminator(), i,
                                            backwards.getRegionIterArg(0));
  if (failed(restored))
    return failure();
  scf::YieldOp::create(inside, loc, *restored);
  if (failed(stackResiduals(loop, *backwards.getBody(), number, trips, inner,
                            store)))
    return failure();
  return backwards.getResult(0);
}

FailureOr<Value> Restorer::undoBranch(OpBuilder &builder, Operation *op,
                                      unsigned i, Value now) {
  Operation *backwards = createBranchLike(builder, op, now.getType());
  Value before = findPrevious(op->getResult(i));
  SmallVector<Restorer, 2> inner;
  for (auto [from, to] :
       llvm::zip_equal(op->getRegions(), backwards->getRegions())) {
    auto inside = OpBuilder::atBlockEnd(&to.front());
    FailureOr<Value> restored = inner.emplace_back(store).restore(
        inside, before, from.front().getTerminator(), i, now);
    if (failed(restored))
      return failure();
    scf::YieldOp::create(inside, op->getLoc(), *restored);
  }
  if (failed(yieldResiduals(op, backwards, inner, store)))
    return failure();
  return backwards->getResult(0);
}

void Restorer::describe(Residuals::Given &given) const {
  given.pinned.insert_range(overwritten);
  given.restored = held;
  for (const Array &array : arrays) {
    SmallVector<Value> versions =
        findVersions(array.before, array.terminator->getOperand(array.operand));
    for (auto [version, there] :
         llvm::zip_equal(llvm::reverse(versions), array.restored))
      given.restored.push_back({version, there});
    for (Value there : ArrayRef(array.restored).drop_front())
      given.restoring.push_back(there.getDefiningOp());
  }
}

/// Whether the updates of an array take fewer bytes than the array.
static bool isWorthIt(Value before, Value after) {
  return countOverwritten(before, after) < getBytes(before.getType());
}

/// Whether linear code beside the op of `version` can have that, and nothing
/// has to store all of it: loops around it can restore it.
static bool isRestorable(OpResult version) {
  Operation *parent = version.getOwner()->getParentOp();
  if (isa<scf::IfOp, scf::IndexSwitchOp>(parent)) {
    Operation *yield = version.getOwner()->getBlock()->getTerminator();
    return llvm::any_of(parent->getResults(), [&](OpResult result) {
      Value before = findPrevious(result);
      return before &&
             llvm::is_contained(
                 findVersions(before,
                              yield->getOperand(result.getResultNumber())),
                 version) &&
             isRestorable(result);
    });
  }
  auto loop = dyn_cast<scf::ForOp>(parent);
  if (!loop)
    return !isa<LoopLikeOpInterface>(parent);
  return llvm::any_of(loop.getResults(), [&](OpResult result) {
    Value before = loop.getTiedLoopRegionIterArg(result);
    Value after = loop.getYieldedValues()[result.getResultNumber()];
    return llvm::is_contained(findVersions(before, after), version) &&
           isWorthIt(before, after) && isRestorable(result);
  });
}

/// Whether a loop of the linear block restores what the array was before the
/// loop of `version`.
static bool isRestoredOnTheWay(Value version, Block &linear) {
  return llvm::any_of(linear.getOps<scf::ForOp>(), [&](scf::ForOp loop) {
    return llvm::is_contained(loop.getInitArgs().take_back(countBackward(loop)),
                              version);
  });
}

/// The bytes that have to be stored to restore an array, besides those that
/// inner loops have stored for it.
static int64_t countMissing(ArrayRef<Value> versions, Block &linear) {
  int64_t bytes = 0;
  for (auto [version, previous] :
       llvm::zip_first(versions.drop_front(), versions))
    if (!isRestoredOnTheWay(version, linear))
      bytes += countOverwritten(previous, version);
  return bytes;
}

FailureOr<scf::ForOp> grad::restoreArrays(scf::ForOp primal, scf::ForOp linear,
                                          const Residuals::Given &given,
                                          Restorer &restorer, bool isReplay) {
  SmallVector<unsigned> positions;
  SmallVector<Residuals::Updated> arrays;
  for (auto [i, before, after] :
       llvm::enumerate(primal.getRegionIterArgs(), primal.getYieldedValues())) {
    SmallVector<Value> versions = findVersions(before, after);
    if (versions.size() < 2)
      continue;
    int64_t bytes = countMissing(versions, *linear.getBody());
    if (bytes >= getBytes(before.getType()))
      continue;
    // What the array is in the end may have to be stored.
    if (!isReplay && !isRestorable(primal.getResults()[i])) {
      int64_t trips = getMaxTripCount(primal).value_or(kManyTrips);
      bytes += llvm::divideCeil(getBytes(before.getType()),
                                std::max<int64_t>(trips, 1));
    }
    positions.push_back(i);
    arrays.push_back({std::move(versions), bytes});
  }
  if (arrays.empty())
    return linear;
  SmallVector<unsigned> chosen;
  for (unsigned i : Residuals::chooseRestored(*primal.getBody(),
                                              *linear.getBody(), given, arrays))
    chosen.push_back(positions[i]);
  if (chosen.empty())
    return linear;
  unsigned before = linear.getNumResults();
  SmallVector<Value> finals = llvm::map_to_vector(
      chosen, [&](unsigned i) -> Value { return primal.getResult(i); });
  linear = carryMore(linear, finals);
  OpBuilder builder(linear);
  linear->setAttr(kBackward, builder.getI64IntegerAttr(chosen.size()));
  builder.setInsertionPointToStart(linear.getBody());
  SmallVector<Value> restored;
  for (auto [i, now] :
       llvm::zip_equal(chosen, linear.getRegionIterArgs().drop_front(before))) {
    FailureOr<Value> value =
        restorer.restore(builder, primal.getRegionIterArg(i),
                         primal.getBody()->getTerminator(), i, now);
    if (failed(value))
      return failure();
    restored.push_back(*value);
  }
  Operation *yield = linear.getBody()->getTerminator();
  yield->insertOperands(yield->getNumOperands(), restored);
  return linear;
}

//===----------------------------------------------------------------------===//
// In the transpose
//===----------------------------------------------------------------------===//

/// What the loop restores on its way: the last values that it carries.
static unsigned countRestored(Operation *op) {
  auto count = op->getAttrOfType<IntegerAttr>(kRestored);
  return isa<scf::ForOp>(op) && count ? count.getInt() : 0;
}

void grad::markRestored(scf::ForOp loop, unsigned count) {
  loop->removeAttr(kBackward);
  if (count)
    loop->setAttr(kRestored, Builder(loop).getI64IntegerAttr(count));
}

/// Moves `op` behind `place` with all that depends on it; false if `place`
/// does.
static bool moveBehind(Operation *op, Operation *place) {
  llvm::SetVector<Operation *> moved;
  moved.insert(op);
  for (unsigned i = 0; i < moved.size(); ++i)
    for (Operation *user : moved[i]->getUsers()) {
      user = place->getBlock()->findAncestorOpInBlock(*user);
      if (user == place)
        return false;
      // What has been transposed stands elsewhere.
      if (!user || !user->isBeforeInBlock(place))
        continue;
      if (!isMemoryEffectFree(user))
        return false;
      moved.insert(user);
    }
  SmallVector<Operation *> ordered = moved.takeVector();
  llvm::sort(ordered,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  for (Operation *one : llvm::reverse(ordered))
    one->moveAfter(place);
  return true;
}

void grad::mergeRestored(Block &block) {
  SmallVector<scf::ForOp> loops;
  for (auto loop : block.getOps<scf::ForOp>())
    if (countRestored(loop))
      loops.push_back(loop);
  /// The result in the place of which a loop restores `array`.
  auto find = [&](Value array, scf::ForOp other) -> Value {
    for (scf::ForOp loop : loops)
      if (loop && loop != other)
        for (OpResult result : loop.getResults().take_back(countRestored(loop)))
          if (loop.getTiedLoopInit(result)->get() == array)
            return result;
    return nullptr;
  };
  for (scf::ForOp &loop : loops) {
    if (loop.getNumResults() > 1)
      continue;
    Value result = find(loop.getInitArgs().front(), loop);
    if (!result || !moveBehind(loop, result.getDefiningOp()))
      continue;
    loop.getResult(0).replaceAllUsesWith(result);
    loop.erase();
    loop = nullptr;
  }
  for (scf::ForOp loop : loops) {
    if (!loop)
      continue;
    loop->removeAttr(kRestored);
    // What reads the array as it was before comes first: it can be in place.
    Operation *first = nullptr;
    for (Operation *user : loop->getUsers()) {
      user = block.findAncestorOpInBlock(*user);
      if (user && (!first || user->isBeforeInBlock(first)))
        first = user;
    }
    if (first && loop.getNumResults() == 1)
      loop->moveBefore(first);
  }
}

void grad::forgetRestored(Operation *root) {
  root->walk([](scf::ForOp loop) { loop->removeAttr(kRestored); });
}
