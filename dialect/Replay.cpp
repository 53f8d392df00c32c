//===- Replay.cpp - Loops that are run again for their residuals ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The residuals of a loop whose number of iterations is not known before it
// runs, or for which that is asked, are not kept. The primal loop keeps a few
// of its states instead, and the linear part runs the primal loop once more,
// block by block of iterations, and keeps what it needs of one block.
//
//     primal:  for each segment of iterations: keep the state; run the segment
//     linear:  for each segment:
//                for each block of iterations in it:
//                  run from the start of the segment to the end of the block,
//                    keeping residuals of one block
//                  for each iteration of the block: the linear part
//
// A segment consists of one block or, in long loops, of several, so that a
// fixed number of states is enough. Between segments and blocks there may be
// levels that keep states of parts of a segment: that is slower, and takes
// memory for the logarithm of the number of iterations.
//
// Of a state those values are kept, and computed once more, from which the
// residuals follow: not the states that a loop which came of another one keeps
// itself, to which the derivative is linear.
//
// The second loop nest is turned round by the transpose as any other: in it,
// all coefficients follow from the counters.
//
// For higher orders the loops have bounds, as far as these are known, and
// policies: each segment is computed again as a whole, and loops in it that may
// be long have the policy of the loop.
//
//===----------------------------------------------------------------------===//

#include "dialect/CarriedNeeds.h"
#include "dialect/ControlFlow.h"
#include "dialect/DeadOps.h"
#include "dialect/Recording.h"
#include "dialect/Residuals.h"
#include "dialect/Restore.h"
#include "dialect/Stacks.h"
#include "dialect/StoreResiduals.h"

#include "llvm/ADT/SmallVectorExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::grad;

/// A copy of the body, without what it computes for its linear part alone.
static Body copyBody(Block &body) {
  auto copy = std::make_unique<Block>();
  for (BlockArgument argument : body.getArguments())
    copy->addArgument(argument.getType(), argument.getLoc());
  OpBuilder builder(body.getArgument(0).getContext());
  builder.setInsertionPointToEnd(copy.get());
  Location loc = body.getTerminator()->getLoc();
  scf::YieldOp::create(builder, loc,
                       cloneBody(body, builder, copy->getArgument(0),
                                 copy->getArguments().drop_front()));
  eraseDeadOps(*copy);
  return copy;
}

/// A copy of the body of a loop that carries only some of the values.
static Body restrictBody(Block &body, ArrayRef<unsigned> carried) {
  auto copy = std::make_unique<Block>();
  Location loc = body.getTerminator()->getLoc();
  Value number = copy->addArgument(body.getArgument(0).getType(), loc);
  OpBuilder builder(body.getArgument(0).getContext());
  builder.setInsertionPointToEnd(copy.get());
  SmallVector<Value> all(body.getNumArguments() - 1);
  for (unsigned i : carried)
    all[i] = copy->addArgument(body.getArgument(i + 1).getType(), loc);
  for (auto [value, argument] :
       llvm::zip_equal(all, body.getArguments().drop_front()))
    if (!value)
      value = createUndefined(builder, loc, argument.getType());
  scf::YieldOp::create(builder, loc,
                       pick(cloneBody(body, builder, number, all), carried));
  eraseUnneededCalls(*copy);
  eraseDeadOps(*copy);
  return copy;
}

//===----------------------------------------------------------------------===//
// The linear part
//===----------------------------------------------------------------------===//

// How much memory a loop takes for states and for the residuals of a block.
static constexpr int64_t kBytes = int64_t(1) << 20;
static constexpr int64_t kFewest = 64, kMost = 4096;
// States of each level where memory is to grow with a logarithm. Each level is
// a loop around the next one, and takes part in the derivatives of all others:
// so levels first have more states, and only then are there more than a few. A
// loop whose number of iterations is not known has the most of both.
static constexpr int64_t kFew = 4, kMany = 16, kFewLevels = 3;

static int64_t chooseLength(TypeRange types) {
  int64_t bytes = 1;
  for (Type type : types)
    bytes += getBytes(type);
  return int64_t(1) << llvm::Log2_64(
             std::clamp(kBytes / bytes, kFewest, kMost));
}

namespace {

/// What computes the tangents of one block of iterations: `again` runs them and
/// those before, and keeps residuals of the block, then come `steps`. Both use
/// values of `unknown`.
struct Kernel {
  UnrealizedConversionCastOp unknown;
  Value begin, first, last;     ///< Iterations, as below.
  SmallVector<Value> state;     ///< At `begin`: what has to be known of it.
  SmallVector<unsigned> needed; ///< The numbers of these values.
  ValueRange tangents;          ///< At `first`.
  scf::ForOp again, steps;
};

/// Builds the linear part of a loop that is run again.
class Replay {
public:
  Replay(OpBuilder &linear, Location loc, Kernel &kernel, Block &body,
         const Plan &plan)
      : linear(linear), loc(loc), kernel(kernel), body(body),
        types(ValueRange(kernel.state).getTypes()), plan(plan),
        math(linear, loc) {}

  /// The tangents after the iterations from `begin` to `end`, at most `trips`,
  /// segment by segment.
  ValueRange segments(const Recording &recording, Value begin, Value end,
                      ValueRange state, ValueRange tangents, int64_t levels,
                      std::optional<int64_t> trips) {
    trips = plan.boundSegment(trips);
    if (!recording.segment)
      return inner(begin, end, state, tangents, levels, trips);
    scf::ForOp loop =
        createLoop(linear, loc, math.constant(0),
                   math.ceilDiv(recording.trips, recording.segment), tangents);
    describeOuter(loop, plan);
    OpBuilder::InsertionGuard guard(linear);
    linear.setInsertionPointToEnd(loop.getBody());
    Value number = loop.getInductionVar();
    Value from = math.add(begin, math.mul(number, recording.segment));
    Value to = math.min(math.add(from, recording.segment), end);
    ValueRange results =
        inner(from, to, peekAll(linear, loc, recording.states, types, number),
              loop.getRegionIterArgs(), levels, trips);
    scf::YieldOp::create(linear, loc, results);
    return loop.getResults();
  }

private:
  ValueRange inner(Value begin, Value end, ValueRange state,
                   ValueRange tangents, int64_t levels,
                   std::optional<int64_t> trips) {
    if (levels == 0)
      return blocks(begin, end, state, tangents, trips);
    auto all = llvm::to_vector(llvm::seq<unsigned>(0, types.size()));
    Recording parts =
        record(linear, loc, body, plan, begin, end, state, all, trips);
    return segments(parts, begin, end, state, tangents, levels - 1, trips);
  }

  ValueRange blocks(Value begin, Value end, ValueRange state,
                    ValueRange tangents, std::optional<int64_t> trips) {
    if (trips && *trips <= plan.length)
      return block(begin, begin, end, state, tangents, trips);
    scf::ForOp loop =
        createLoop(linear, loc, math.constant(0),
                   math.ceilDiv(math.sub(end, begin), plan.block), tangents);
    if (trips)
      trips = llvm::divideCeil(*trips, plan.length);
    describeInner(loop, trips, plan);
    if (!plan.policy)
      loop->setAttr(kCheckpoint, Builder(loop).getStringAttr(kEach));
    OpBuilder::InsertionGuard guard(linear);
    linear.setInsertionPointToEnd(loop.getBody());
    Value first = math.add(begin, math.mul(loop.getInductionVar(), plan.block));
    Value last = math.min(math.add(first, plan.block), end);
    if (trips)
      trips = *trips * plan.length;
    ValueRange results =
        block(begin, first, last, state, loop.getRegionIterArgs(), trips);
    scf::YieldOp::create(linear, loc, results);
    return loop.getResults();
  }

  /// The tangents after the iterations from `first` to `last`. What these need
  /// is found by running all from `begin` on.
  ValueRange block(Value begin, Value first, Value last, ValueRange state,
                   ValueRange tangents, std::optional<int64_t> trips) {
    auto know = [](ValueRange unknown, ValueRange known) {
      for (auto [from, to] : llvm::zip_equal(unknown, known))
        from.replaceAllUsesWith(to);
    };
    know({kernel.begin, kernel.first, kernel.last}, {begin, first, last});
    know(kernel.state, state);
    know(kernel.tangents, tangents);
    Block *from = kernel.unknown->getBlock();
    kernel.unknown.erase();
    linear.getInsertionBlock()->getOperations().splice(
        linear.getInsertionPoint(), from->getOperations(), from->begin(),
        from->getTerminator()->getIterator());
    describeInner(kernel.again, trips, plan);
    return kernel.steps.getResults().take_front(tangents.size());
  }

  OpBuilder &linear;
  Location loc;
  Kernel &kernel;
  Block &body; ///< Of a loop that carries what is needed.
  SmallVector<Type> types;
  Plan plan;
  IndexMath math;
};

} // namespace

/// Moves the body into a loop `again`, in `place`, and its linear part into
/// another one, with `tangents` for arguments.
static FailureOr<Kernel> moveBodies(Block &body, TypeRange carried,
                                    Block &linearBody, ValueRange tangents,
                                    Plan &plan, scf::ForOp place,
                                    ResidualStore &store) {
  OpBuilder linear(place.getBody()->getTerminator());
  Location loc = place.getLoc();
  IndexMath math(linear, loc);
  Kernel kernel;
  SmallVector<Type> types(3, linear.getIndexType());
  llvm::append_range(types, carried);
  llvm::append_range(types, tangents.getTypes());
  kernel.unknown =
      UnrealizedConversionCastOp::create(linear, loc, types, ValueRange());
  ValueRange unknown = kernel.unknown.getResults();
  kernel.begin = unknown[0];
  kernel.first = unknown[1];
  kernel.last = unknown[2];
  ValueRange state = unknown.slice(3, carried.size());
  kernel.tangents = unknown.drop_front(3 + carried.size());
  scf::ForOp again = createLoop(linear, loc, kernel.begin, kernel.last, state);
  scf::ForOp steps =
      createLoop(linear, loc, math.constant(0),
                 math.sub(kernel.last, kernel.first), kernel.tangents);

  Block &primal = *again.getBody();
  primal.getOperations().splice(primal.end(), body.getOperations());
  for (auto [from, to] :
       llvm::zip_equal(body.getArguments(), primal.getArguments()))
    from.replaceAllUsesWith(to);
  Operation *yield = primal.getTerminator();
  yield->setOperands(yield->getOperands().take_front(carried.size()));
  linear.setInsertionPointToEnd(steps.getBody());
  Value number = math.add(kernel.first, steps.getInductionVar());
  moveBody(linearBody, tangents, steps);
  if (failed(store.storeBlockApart(primal, /*bounded=*/true)))
    return failure();

  Residuals::Given given;
  given.known.map(again.getInductionVar(), number);
  Restorer restorer(store);
  FailureOr<scf::ForOp> restoring =
      restoreArrays(again, steps, given, restorer, /*isReplay=*/true);
  if (failed(restoring))
    return failure();
  steps = *restoring;
  restorer.describe(given);
  Residuals residuals(primal, *steps.getBody(), std::move(given));
  SmallVector<Value> stored(residuals.getStored());
  if (failed(store.noteStored(again, stored)))
    return failure();
  TypeRange storedTypes = ValueRange(stored).getTypes();
  if (plan.length == 0)
    plan.length = chooseLength(storedTypes);
  plan.block.getDefiningOp<arith::ConstantIndexOp>().setValueAttr(
      linear.getIndexAttr(plan.length));
  setMaxTripCount(steps, plan.length);
  linear.setInsertionPoint(again);
  SmallVector<Value> stacks =
      createStacks(linear, loc, storedTypes, plan.length);
  again = carryMore(again, stacks);
  linear.setInsertionPoint(yield);
  Value slot =
      math.rem(math.sub(again.getInductionVar(), kernel.begin), plan.block);
  yield->insertOperands(
      yield->getNumOperands(),
      pushAll(linear, loc, again.getRegionIterArgs().take_back(stacks.size()),
              stored, slot));
  linear.setInsertionPointAfterValue(number);
  residuals.provide(stored, peekAll(linear, loc,
                                    again.getResults().take_back(stacks.size()),
                                    storedTypes, steps.getInductionVar()));
  residuals.supply(linear);
  pushEarly(*again.getBody(), yield->getOperands().take_back(stacks.size()));

  SmallVector<unsigned> needed = findNeeded(again);
  kernel.again = carryOnly(again, needed);
  eraseUnneededCalls(*kernel.again.getBody());
  kernel.steps = steps;
  for (unsigned i : needed)
    if (i < carried.size()) {
      kernel.needed.push_back(i);
      kernel.state.push_back(state[i]);
    }
  return kernel;
}

/// The most iterations for which the states of all levels and blocks as long
/// are enough.
static uint64_t countReached(const Plan &plan) {
  uint64_t count = 1;
  for (int64_t level = 0; level < plan.levels + 2; ++level)
    count = llvm::SaturatingMultiply<uint64_t>(count, plan.states);
  return count;
}

/// What to keep of a loop: as its attribute says. Without one, the numbers are
/// chosen when it is known how much there is to keep.
static Plan choosePlan(Operation *op, std::optional<int64_t> trips) {
  Plan plan;
  auto kind = op->getAttrOfType<StringAttr>(kCheckpoint);
  if (auto states = op->getAttrOfType<IntegerAttr>(kCheckpoint)) {
    plan.states = std::max<int64_t>(states.getInt(), 1);
    plan.length =
        trips ? std::max<int64_t>(llvm::divideCeil(*trips, plan.states), 1)
              : plan.states;
    plan.policy = states;
  } else if (kind && kind.getValue() == "none") {
    plan.states = plan.length = 1;
    plan.policy = kind;
  } else if (kind && kind.getValue() == "sqrt" && trips) {
    plan.states = plan.length =
        std::max<int64_t>(std::ceil(std::sqrt(static_cast<double>(*trips))), 1);
    plan.policy = kind;
  } else if (kind && kind.getValue() == "binomial") {
    plan.states = trips ? kFew : kMany;
    plan.levels = trips ? 0 : kFewLevels;
    while (trips && countReached(plan) < static_cast<uint64_t>(*trips)) {
      bool isDeep = plan.levels == kFewLevels && plan.states < kMany;
      ++(isDeep ? plan.states : plan.levels);
    }
    plan.length = plan.states;
    plan.policy = kind;
  }
  OpBuilder builder(op);
  plan.block = arith::ConstantIndexOp::create(builder, op->getLoc(), 1);
  return plan;
}

/// The number of states, given their types.
static int64_t chooseStates(const Plan &plan, Operation *op, TypeRange types) {
  int64_t states = plan.states;
  // A loop in a loop would keep states for each iteration of that.
  if (states == 0)
    states =
        op->getParentOfType<LoopLikeOpInterface>() ? 1 : chooseLength(types);
  // Every second state is dropped in a loop with a condition.
  if (isa<scf::WhileOp>(op) && states > 1)
    states += states % 2;
  return states;
}

/// Either kind of loop: `op` carries `inits`, and `linear` has the body
/// `linearBody` with `arguments` for the tangents.
template <typename Op>
static LogicalResult replay(Op op, ValueRange inits, Op linear,
                            Block &linearBody, ValueRange arguments,
                            std::optional<int64_t> trips,
                            ResidualStore &store) {
  Location loc = op.getLoc();
  Plan plan = choosePlan(op, trips);
  if (plan.length == 0)
    trips = std::nullopt;
  SmallVector<Value> tangents(linear.getInits());
  Body body = takeBody(op), primal = copyBody(*body);
  OpBuilder builder(linear);
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  auto place = scf::ForOp::create(builder, loc, zero, zero, zero);
  FailureOr<Kernel> kernel = moveBodies(*body, inits.getTypes(), linearBody,
                                        arguments, plan, place, store);
  if (failed(kernel))
    return failure();
  SmallVector<Value> state = pick(inits, kernel->needed);
  plan.states = chooseStates(plan, op, ValueRange(state).getTypes());
  Recording recording = record(op, *primal, kernel->needed, plan, trips);
  Body restricted = restrictBody(*primal, kernel->needed);
  ValueRange results = Replay(builder, loc, *kernel, *restricted, plan)
                           .segments(recording, zero, recording.trips, state,
                                     tangents, plan.levels, trips);
  place.erase();
  linear.replaceAllUsesWith(results);
  linear.erase();
  op.replaceAllUsesWith(recording.results);
  op.erase();
  return success();
}

LogicalResult grad::replayFor(scf::ForOp op, scf::ForOp linear,
                              ResidualStore &store) {
  return replay(op, op.getInitArgs(), linear, *linear.getBody(),
                linear.getRegionIterArgs(), getMaxTripCount(op), store);
}

LogicalResult grad::replayWhile(scf::WhileOp op, scf::WhileOp linear,
                                ResidualStore &store) {
  return replay(op, op.getInits().drop_back(), linear, *linear.getAfterBody(),
                linear.getAfterArguments(), std::nullopt, store);
}
