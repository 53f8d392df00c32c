//===- Recording.cpp - Loops that keep some of their states ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A loop with a counter keeps the states at the start of segments of equal
// length. One with a condition does not know how many there will be: where all
// places are taken, it drops every second state, and segments are twice as long
// from there on.
//
//===----------------------------------------------------------------------===//

#include "dialect/Recording.h"

#include "dialect/ControlFlow.h"
#include "dialect/Stacks.h"

#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

void grad::moveBody(Block &body, ValueRange arguments, scf::ForOp loop) {
  for (auto [from, to] : llvm::zip_equal(arguments, loop.getRegionIterArgs()))
    from.replaceAllUsesWith(to);
  Block &into = *loop.getBody();
  into.getOperations().splice(into.end(), body.getOperations());
}

SmallVector<Value> grad::cloneBody(Block &body, OpBuilder &builder,
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

SmallVector<Value> grad::pick(ValueRange values, ArrayRef<unsigned> which) {
  return llvm::map_to_vector(which, [&](unsigned i) { return values[i]; });
}

scf::ForOp grad::createLoop(OpBuilder &builder, Location loc, Value begin,
                            Value end, ValueRange inits) {
  Value one = arith::ConstantIndexOp::create(builder, loc, 1);
  auto loop = scf::ForOp::create(builder, loc, begin, end, one, inits);
  if (inits.empty())
    loop.getBody()->getTerminator()->erase();
  return loop;
}

void grad::describeInner(scf::ForOp loop, std::optional<int64_t> trips,
                         const Plan &plan) {
  if (trips)
    setMaxTripCount(loop, *trips);
  if (plan.policy && (!trips || *trips > plan.length))
    loop->setAttr(kCheckpoint, plan.policy);
}

void grad::describeOuter(scf::ForOp loop, const Plan &plan) {
  setMaxTripCount(loop, plan.states);
  loop->setAttr(kCheckpoint, Builder(loop).getStringAttr(kEach));
}

//===----------------------------------------------------------------------===//
// Loops with a counter
//===----------------------------------------------------------------------===//

Body grad::takeBody(scf::ForOp op) {
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

Value grad::countTrips(OpBuilder &builder, scf::ForOp op) {
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
Recording grad::record(OpBuilder &builder, Location loc, Block &body,
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
  SmallVector<Value> carried(inits), first = pick(inits, kept);
  llvm::append_range(
      carried,
      createStacks(builder, loc, ValueRange(first).getTypes(), plan.states));
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

Recording grad::record(scf::ForOp op, Block &body, ArrayRef<unsigned> kept,
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

Body grad::takeBody(scf::WhileOp op) {
  auto body = std::make_unique<Block>();
  body->addArgument(IndexType::get(op.getContext()), op.getLoc());
  for (Value argument : op.getAfterArguments())
    argument.replaceAllUsesWith(
        body->addArgument(argument.getType(), argument.getLoc()));
  body->getOperations().splice(body->end(), op.getAfterBody()->getOperations());
  return body;
}

scf::WhileOp grad::createWhile(
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

Recording grad::record(scf::WhileOp op, Block &body, ArrayRef<unsigned> kept,
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
  llvm::append_range(
      carried,
      createStacks(builder, loc, ValueRange(inits).getTypes(), plan.states));
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
