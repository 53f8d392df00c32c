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
#include "dialect/GradDialect.h"
#include "dialect/Residuals.h"
#include "dialect/Restore.h"
#include "dialect/Stacks.h"
#include "dialect/Uses.h"

#include "llvm/ADT/SmallVectorExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::grad;

namespace {

/// Arithmetic on index values.
class IndexMath {
public:
  IndexMath(OpBuilder &builder, Location loc) : builder(builder), loc(loc) {}

  Value constant(int64_t number) {
    return arith::ConstantIndexOp::create(builder, loc, number);
  }
  template <typename Op> Value apply(Value a, Value b) {
    return Op::create(builder, loc, a, b);
  }
  Value add(Value a, Value b) { return apply<arith::AddIOp>(a, b); }
  Value sub(Value a, Value b) { return apply<arith::SubIOp>(a, b); }
  Value mul(Value a, Value b) { return apply<arith::MulIOp>(a, b); }
  Value div(Value a, Value b) { return apply<arith::DivUIOp>(a, b); }
  Value rem(Value a, Value b) { return apply<arith::RemUIOp>(a, b); }
  Value min(Value a, Value b) { return apply<arith::MinUIOp>(a, b); }
  Value max(Value a, Value b) { return apply<arith::MaxUIOp>(a, b); }
  Value ceilDiv(Value a, Value b) {
    return div(add(a, sub(b, constant(1))), b);
  }
  Value less(Value a, Value b) {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b);
  }

private:
  OpBuilder &builder;
  Location loc;
};

/// The body of a loop: a block of its own, whose arguments are the number of
/// the iteration, an index, and what the loop carries.
using Body = std::unique_ptr<Block>;

/// A primal loop that keeps some of its states.
struct Recording {
  SmallVector<Value> results; ///< Those of the loop whose place it takes.
  Value trips;                ///< How many iterations it had, an index.
  /// How many iterations there are from a state to the next; null if only the
  /// initial state is kept.
  Value segment;
  SmallVector<Value> states; ///< A stack for each value of a state.
};

/// How the memory of a loop is bounded.
struct Plan {
  int64_t states = 0; ///< How many are kept, by each level; 0 as below.
  int64_t levels = 0; ///< Of parts of a segment.
  int64_t length = 0; ///< Iterations in a block; 0 until that is chosen.
  Value block;        ///< The constant that holds the length.
  Attribute policy;   ///< The policy of long loops in a segment, if any.

  /// How many iterations a segment has at most, of so many in all.
  std::optional<int64_t> boundSegment(std::optional<int64_t> trips) const {
    if (!trips || !length || states == 1)
      return trips;
    return llvm::divideCeil(llvm::divideCeil(*trips, length), states) * length;
  }
};

} // namespace

/// Copies the ops of the body; returns what it yields.
static SmallVector<Value> cloneBody(Block &body, OpBuilder &builder,
                                    Value number, ValueRange carried) {
  IRMapping mapping;
  if (number)
    mapping.map(body.getArgument(0), number);
  mapping.map(body.getArguments().drop_front(), carried);
  for (Operation &op : body.without_terminator())
    builder.clone(op, mapping);
  return llvm::map_to_vector(
      body.getTerminator()->getOperands(),
      [&](Value value) { return mapping.lookupOrDefault(value); });
}

static SmallVector<Value> pick(ValueRange values, ArrayRef<unsigned> which) {
  return llvm::map_to_vector(which, [&](unsigned i) { return values[i]; });
}

/// A copy of the body.
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
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(*copy)))
    if (isOpTriviallyDead(&op))
      op.erase();
  return copy;
}

/// A loop from `begin` to `end` in steps of one, whose block is empty.
static scf::ForOp createLoop(OpBuilder &builder, Location loc, Value begin,
                             Value end, ValueRange inits) {
  Value one = arith::ConstantIndexOp::create(builder, loc, 1);
  auto loop = scf::ForOp::create(builder, loc, begin, end, one, inits);
  if (inits.empty())
    loop.getBody()->getTerminator()->erase();
  return loop;
}

/// Notes what is known of a loop in a segment.
static void describeInner(scf::ForOp loop, std::optional<int64_t> trips,
                          const Plan &plan) {
  if (trips)
    setMaxTripCount(loop, *trips);
  if (plan.policy && (!trips || *trips > plan.length))
    loop->setAttr(kCheckpoint, plan.policy);
}

/// The same of a loop over segments.
static void describeOuter(scf::ForOp loop, const Plan &plan) {
  setMaxTripCount(loop, plan.states);
  loop->setAttr(kCheckpoint, Builder(loop).getStringAttr(kEach));
}

//===----------------------------------------------------------------------===//
// Loops with a counter
//===----------------------------------------------------------------------===//

static Body takeBody(scf::ForOp op) {
  auto body = std::make_unique<Block>();
  body->addArgument(IndexType::get(op.getContext()), op.getLoc());
  SmallVector<Value> arguments = {body->getArgument(0)};
  for (Value argument : op.getRegionIterArgs())
    arguments.push_back(
        body->addArgument(argument.getType(), argument.getLoc()));
  body->getOperations().splice(body->end(), op.getBody()->getOperations());
  // The induction variable from the number.
  if (!matchPattern(op.getLowerBound(), m_Zero()) ||
      !matchPattern(op.getStep(), m_One()) ||
      !op.getInductionVar().getType().isIndex()) {
    OpBuilder builder(op.getContext());
    builder.setInsertionPointToStart(body.get());
    Location loc = op.getLoc();
    Type type = op.getInductionVar().getType();
    if (!type.isIndex())
      arguments[0] =
          arith::IndexCastOp::create(builder, loc, type, arguments[0]);
    IndexMath math(builder, loc);
    arguments[0] =
        math.add(op.getLowerBound(), math.mul(arguments[0], op.getStep()));
  }
  for (auto [from, to] :
       llvm::zip_equal(op.getBody()->getArguments(), arguments))
    from.replaceAllUsesWith(to);
  return body;
}

static Value countTrips(OpBuilder &builder, scf::ForOp op) {
  Location loc = op.getLoc();
  IndexMath math(builder, loc);
  Value range = math.sub(op.getUpperBound(), op.getLowerBound());
  Value none = arith::ConstantOp::create(builder, loc,
                                         builder.getZeroAttr(range.getType()));
  Value some =
      arith::CmpIOp::create(builder, loc,
                            op.getUnsignedCmp() ? arith::CmpIPredicate::ult
                                                : arith::CmpIPredicate::slt,
                            op.getLowerBound(), op.getUpperBound());
  range = arith::SelectOp::create(builder, loc, some, range, none);
  Value step = op.getStep();
  if (!range.getType().isIndex()) {
    range = arith::IndexCastUIOp::create(builder, loc, builder.getIndexType(),
                                         range);
    step = arith::IndexCastUIOp::create(builder, loc, builder.getIndexType(),
                                        step);
  }
  return math.ceilDiv(range, step);
}

/// Runs the iterations from `begin` to `end`.
static scf::ForOp run(OpBuilder &builder, Location loc, Block &body,
                      Value begin, Value end, ValueRange state) {
  scf::ForOp loop = createLoop(builder, loc, begin, end, state);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(loop.getBody());
  SmallVector<Value> next = cloneBody(body, builder, loop.getInductionVar(),
                                      loop.getRegionIterArgs());
  next.resize(state.size());
  scf::YieldOp::create(builder, loc, next);
  return loop;
}

/// The same, and keeps the state at the start of each segment: of what is
/// carried, the values at `kept`.
static Recording record(OpBuilder &builder, Location loc, Block &body,
                        const Plan &plan, Value begin, Value end,
                        ValueRange inits, ArrayRef<unsigned> kept,
                        std::optional<int64_t> trips) {
  IndexMath math(builder, loc);
  Recording recording;
  recording.trips = math.sub(end, begin);
  auto runSegment = [&](Value from, Value to, ValueRange state) {
    scf::ForOp loop = run(builder, loc, body, from, to, state);
    describeInner(loop, plan.boundSegment(trips), plan);
    return loop.getResults();
  };
  if (plan.states == 1) {
    recording.results = runSegment(begin, end, inits);
    return recording;
  }
  Value blocks = math.ceilDiv(recording.trips, plan.block);
  blocks = math.ceilDiv(blocks, math.constant(plan.states));
  recording.segment = math.mul(math.max(blocks, math.constant(1)), plan.block);
  SmallVector<Value> carried(inits);
  llvm::append_range(
      carried, createStacks(builder, loc, pick(inits, kept), plan.states));
  scf::ForOp loop =
      createLoop(builder, loc, math.constant(0),
                 math.ceilDiv(recording.trips, recording.segment), carried);
  describeOuter(loop, plan);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(loop.getBody());
  ValueRange arguments = loop.getRegionIterArgs();
  ValueRange state = arguments.take_front(inits.size());
  Value number = loop.getInductionVar();
  SmallVector<Value> stacks =
      pushAll(builder, loc, arguments.drop_front(inits.size()),
              pick(state, kept), number);
  Value from = math.add(begin, math.mul(number, recording.segment));
  Value to = math.min(math.add(from, recording.segment), end);
  SmallVector<Value> yielded(runSegment(from, to, state));
  llvm::append_range(yielded, stacks);
  scf::YieldOp::create(builder, loc, yielded);
  recording.results = loop.getResults().take_front(inits.size());
  recording.states = loop.getResults().drop_front(inits.size());
  return recording;
}

static Recording record(scf::ForOp op, Block &body, ArrayRef<unsigned> kept,
                        const Plan &plan, std::optional<int64_t> trips) {
  OpBuilder builder(op);
  Value end = countTrips(builder, op);
  Value zero = arith::ConstantIndexOp::create(builder, op.getLoc(), 0);
  return record(builder, op.getLoc(), body, plan, zero, end, op.getInitArgs(),
                kept, trips);
}

//===----------------------------------------------------------------------===//
// Loops with a condition
//===----------------------------------------------------------------------===//

void grad::rotateWhileLoops(Operation *root) {
  SmallVector<scf::WhileOp> loops;
  root->walk([&](scf::WhileOp op) { loops.push_back(op); });
  for (scf::WhileOp op : loops) {
    OpBuilder builder(op);
    Location loc = op.getLoc();
    // What the condition passes on, and whether to go on.
    auto evaluate = [&](ValueRange arguments) {
      IRMapping mapping;
      mapping.map(op.getBeforeArguments(), arguments);
      for (Operation &nested : op.getBeforeBody()->without_terminator())
        builder.clone(nested, mapping);
      scf::ConditionOp condition = op.getConditionOp();
      SmallVector<Value> values =
          llvm::map_to_vector(condition.getArgs(), [&](Value value) {
            return mapping.lookupOrDefault(value);
          });
      values.push_back(mapping.lookupOrDefault(condition.getCondition()));
      return values;
    };
    SmallVector<Value> inits = evaluate(op.getInits());
    auto rotated = scf::WhileOp::create(
        builder, loc, op.getResultTypes(), inits,
        [](OpBuilder &builder, Location loc, ValueRange arguments) {
          scf::ConditionOp::create(builder, loc, arguments.back(),
                                   arguments.drop_back());
        },
        nullptr);
    rotated->setDiscardableAttrs(op->getDiscardableAttrDictionary());
    rotated.getAfter().takeBody(op.getAfter());
    scf::YieldOp yield = rotated.getYieldOp();
    builder.setInsertionPoint(yield);
    scf::YieldOp::create(builder, loc, evaluate(yield.getResults()));
    yield.erase();
    op.replaceAllUsesWith(rotated.getResults());
    op.erase();
  }
}

static Body takeBody(scf::WhileOp op) {
  auto body = std::make_unique<Block>();
  body->addArgument(IndexType::get(op.getContext()), op.getLoc());
  for (Value argument : op.getAfterArguments())
    argument.replaceAllUsesWith(
        body->addArgument(argument.getType(), argument.getLoc()));
  body->getOperations().splice(body->end(), op.getAfterBody()->getOperations());
  return body;
}

/// A loop that carries (state..., whether to go on, more...), and passes on all
/// but the second. It goes on while `limit` allows it, too, if that is given.
static scf::WhileOp createWhile(
    OpBuilder &builder, Location loc, unsigned states, ValueRange inits,
    function_ref<Value(ValueRange more)> limit,
    function_ref<SmallVector<Value>(ValueRange state, ValueRange more)> step) {
  SmallVector<Type> types(inits.getTypes());
  if (!limit)
    types.erase(types.begin() + states);
  return scf::WhileOp::create(
      builder, loc, types, inits,
      [&](OpBuilder &, Location, ValueRange arguments) {
        Value go = arguments[states];
        SmallVector<Value> passed(arguments);
        if (limit)
          go = arith::AndIOp::create(builder, loc, go,
                                     limit(arguments.drop_front(states + 1)));
        else
          passed.erase(passed.begin() + states);
        scf::ConditionOp::create(builder, loc, go, passed);
      },
      [&](OpBuilder &, Location, ValueRange arguments) {
        scf::YieldOp::create(
            builder, loc,
            step(arguments.take_front(states),
                 arguments.drop_front(limit ? states + 1 : states)));
      });
}

/// Drops every second one of the states where all places are taken. Returns the
/// number of the next place, the length of a segment, and the stacks.
static SmallVector<Value> thinOut(OpBuilder &builder, Location loc,
                                  const Plan &plan, Value next, Value segment,
                                  ValueRange stacks, TypeRange types) {
  IndexMath math(builder, loc);
  Value full = math.constant(plan.states);
  Value room = math.less(next, full);
  SmallVector<Value> kept = {next, segment};
  llvm::append_range(kept, stacks);
  auto branch =
      scf::IfOp::create(builder, loc, ValueRange(kept).getTypes(), room,
                        /*addThenBlock=*/true, /*addElseBlock=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(branch.thenBlock());
  scf::YieldOp::create(builder, loc, kept);
  builder.setInsertionPointToEnd(branch.elseBlock());
  Value half = math.constant(plan.states / 2), two = math.constant(2);
  scf::ForOp loop = createLoop(builder, loc, math.constant(1), half, stacks);
  SmallVector<Value> yielded = {half, math.mul(segment, two)};
  llvm::append_range(yielded, loop.getResults());
  scf::YieldOp::create(builder, loc, yielded);
  builder.setInsertionPointToEnd(loop.getBody());
  ValueRange inside = loop.getRegionIterArgs();
  Value number = loop.getInductionVar();
  SmallVector<Value> values =
      peekAll(builder, loc, inside, types, math.mul(number, two));
  scf::YieldOp::create(builder, loc,
                       pushAll(builder, loc, inside, values, number));
  return branch.getResults();
}

static Recording record(scf::WhileOp op, Block &body, ArrayRef<unsigned> kept,
                        const Plan &plan, std::optional<int64_t>) {
  Location loc = op.getLoc();
  OpBuilder builder(op);
  IndexMath math(builder, loc);
  unsigned states = op.getNumResults();
  SmallVector<Value> inits = pick(op.getInits(), kept);
  Value zero = math.constant(0), one = math.constant(1);
  Recording recording;
  SmallVector<Value> carried(op.getInits());
  carried.push_back(zero);
  if (plan.states == 1) {
    auto loop = createWhile(builder, loc, states, carried, nullptr,
                            [&](ValueRange state, ValueRange more) {
                              SmallVector<Value> next =
                                  cloneBody(body, builder, nullptr, state);
                              next.push_back(math.add(more[0], one));
                              return next;
                            });
    recording.results = loop.getResults().take_front(states);
    recording.trips = loop.getResults().back();
    return recording;
  }

  // More: iterations so far, places taken, length of a segment, stacks.
  llvm::append_range(carried, ValueRange{zero, plan.block});
  llvm::append_range(carried, createStacks(builder, loc, inits, plan.states));
  auto loop = createWhile(
      builder, loc, states, carried, nullptr,
      [&](ValueRange state, ValueRange more) {
        SmallVector<Value> thinned =
            thinOut(builder, loc, plan, more[1], more[2], more.drop_front(3),
                    ValueRange(inits).getTypes());
        Value place = thinned[0], segment = thinned[1];
        SmallVector<Value> stacks =
            pushAll(builder, loc, ValueRange(thinned).drop_front(2),
                    pick(state, kept), place);
        SmallVector<Value> start(state);
        start.push_back(
            arith::ConstantIntOp::create(builder, loc, /*value=*/1, 1));
        start.push_back(zero);
        auto run = createWhile(
            builder, loc, states, start,
            [&](ValueRange inside) { return math.less(inside[0], segment); },
            [&](ValueRange state, ValueRange inside) {
              SmallVector<Value> next =
                  cloneBody(body, builder, nullptr, state);
              next.push_back(math.add(inside[0], one));
              return next;
            });
        SmallVector<Value> next(run.getResults().drop_back());
        next.push_back(math.add(more[0], run.getResults().back()));
        next.push_back(math.add(place, one));
        next.push_back(segment);
        llvm::append_range(next, stacks);
        return next;
      });
  ValueRange results = loop.getResults();
  recording.results = results.take_front(states);
  recording.trips = results[states];
  recording.segment = results[states + 2];
  recording.states = results.drop_front(states + 3);
  return recording;
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
  Replay(LinearizeContext &context, Location loc, Kernel &kernel, Block &body,
         const Plan &plan)
      : linear(context.linear), loc(loc), kernel(kernel), body(body),
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
/// another one. What is carried at `active` has tangents.
static FailureOr<Kernel> linearizeBody(Block &body, TypeRange carried,
                                       ArrayRef<unsigned> active, Plan &plan,
                                       scf::ForOp place,
                                       LinearizeContext &context) {
  OpBuilder &linear = context.linear;
  OpBuilder::InsertionGuard guard(linear);
  linear.setInsertionPoint(place.getBody()->getTerminator());
  Location loc = place.getLoc();
  IndexMath math(linear, loc);
  Kernel kernel;
  SmallVector<Type> types(3, linear.getIndexType());
  llvm::append_range(types, carried);
  for (unsigned i : active)
    types.push_back(carried[i]);
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
  for (auto [i, tangent] : llvm::zip_equal(active, steps.getRegionIterArgs()))
    context.setTangent(again.getRegionIterArg(i), tangent);
  if (failed(context.linearizeBlock(primal)))
    return failure();
  SmallVector<Value> yielded = llvm::map_to_vector(active, [&](unsigned i) {
    Value value = yield->getOperand(i);
    return orZeros(context.getTangent(value), linear, value);
  });
  scf::YieldOp::create(linear, loc, yielded);

  Residuals::Given given;
  given.known.map(again.getInductionVar(), number);
  Restorer restorer(context);
  FailureOr<scf::ForOp> restoring =
      restoreArrays(again, steps, given, restorer, /*isReplay=*/true);
  if (failed(restoring))
    return failure();
  steps = *restoring;
  restorer.describe(given);
  Residuals residuals(primal, *steps.getBody(), std::move(given));
  SmallVector<Value> stored(residuals.getStored());
  if (failed(context.noteStored(again, stored)))
    return failure();
  TypeRange storedTypes = ValueRange(stored).getTypes();
  if (plan.length == 0)
    plan.length = chooseLength(storedTypes);
  plan.block.getDefiningOp<arith::ConstantIndexOp>().setValueAttr(
      linear.getIndexAttr(plan.length));
  setMaxTripCount(steps, plan.length);
  linear.setInsertionPoint(again);
  again = carryMore(again, createStacks(linear, loc, stored, plan.length));
  linear.setInsertionPoint(yield);
  Value slot =
      math.rem(math.sub(again.getInductionVar(), kernel.begin), plan.block);
  yield->insertOperands(
      yield->getNumOperands(),
      pushAll(linear, loc, again.getRegionIterArgs().take_back(stored.size()),
              stored, slot));
  linear.setInsertionPointAfterValue(number);
  residuals.provide(stored, peekAll(linear, loc,
                                    again.getResults().take_back(stored.size()),
                                    storedTypes, steps.getInductionVar()));
  residuals.supply(linear);

  SmallVector<unsigned> needed = findNeeded(again);
  kernel.again = carryOnly(again, needed);
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

/// The rule of either kind of loop. `Op` is a loop that carries `inits`; those
/// at `active` have tangents.
template <typename Op>
static LogicalResult replay(Op op, ValueRange inits, ArrayRef<unsigned> active,
                            std::optional<int64_t> trips,
                            LinearizeContext &context) {
  Location loc = op.getLoc();
  DenseSet<Value> used = findTangentsUsed(op, context);
  Plan plan = choosePlan(op, trips);
  if (plan.length == 0)
    trips = std::nullopt;
  SmallVector<Value> tangents = llvm::map_to_vector(active, [&](unsigned i) {
    return orZeros(context.getTangent(inits[i]), context.primal, inits[i]);
  });
  Body body = takeBody(op), primal = copyBody(*body);
  Value zero = arith::ConstantIndexOp::create(context.linear, loc, 0);
  auto place = scf::ForOp::create(context.linear, loc, zero, zero, zero);
  FailureOr<Kernel> kernel =
      linearizeBody(*body, inits.getTypes(), active, plan, place, context);
  if (failed(kernel))
    return failure();
  SmallVector<Value> state = pick(inits, kernel->needed);
  plan.states = chooseStates(plan, op, ValueRange(state).getTypes());
  Recording recording = record(op, *primal, kernel->needed, plan, trips);
  Body restricted = restrictBody(*primal, kernel->needed);
  ValueRange results = Replay(context, loc, *kernel, *restricted, plan)
                           .segments(recording, zero, recording.trips, state,
                                     tangents, plan.levels, trips);
  place.erase();
  auto isUsed = [&](Value value) { return used.contains(value); };
  if (!results.empty() && usesAny(results.front().getDefiningOp(), isUsed))
    for (auto [i, tangent] : llvm::zip_equal(active, results))
      context.setTangent(recording.results[i], tangent);
  op.replaceAllUsesWith(recording.results);
  op.erase();
  return success();
}

LogicalResult grad::replayFor(scf::ForOp op, ArrayRef<unsigned> active,
                              LinearizeContext &context) {
  return replay(op, op.getInitArgs(), active, getMaxTripCount(op), context);
}

LogicalResult grad::replayWhile(scf::WhileOp op, ArrayRef<unsigned> active,
                                LinearizeContext &context) {
  return replay(op, op.getInits().drop_back(), active, std::nullopt, context);
}
