//===- Tapes.cpp - Loops with a condition that keep all they need ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A loop with a condition whose residuals are kept, of each iteration, on tapes
// (Stacks.h). The rule is that of a loop with a counter, which stands in for
// it:
//
//     while (go) body    =>    for (i = 0; i < ?; ++i) { body; tapes[i] = ... }
//                        =>    while (go) { body; tapes[n] = ...; ++n }
//
// The linear part is a loop of n iterations, which is turned round by the
// transpose as any other.
//
// A loop in other loops and branches that keep all they need, too, goes on
// where the tapes end: these are carried by all loops, from one run of it to
// the next. Each run has one number more to be stored, its first place.
//
//===----------------------------------------------------------------------===//

#include "dialect/ControlFlow.h"
#include "dialect/Recording.h"
#include "dialect/Stacks.h"
#include "dialect/StoreResiduals.h"

#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

/// Replaces what counts the iterations, in a loop that came of this rule, by
/// the induction variable: what is stored at these places is a stack of the
/// loop.
static void findCounters(scf::ForOp loop) {
  for (auto [argument, init, next] :
       llvm::zip_equal(loop.getRegionIterArgs(), loop.getInitArgs(),
                       loop.getYieldedValues())) {
    auto add = next.getDefiningOp<arith::AddIOp>();
    if (add && argument.getType().isIndex() && matchPattern(init, m_Zero()) &&
        add.getLhs() == argument && matchPattern(add.getRhs(), m_One()))
      argument.replaceAllUsesWith(loop.getInductionVar());
  }
}

/// The loop with a counter that stands in for `op`. It carries the condition
/// behind the state.
static scf::ForOp createStandIn(scf::WhileOp op, Value trips) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  scf::ForOp loop = createLoop(builder, loc, zero, trips, op.getInits());
  loop->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  Body body = takeBody(op);
  for (auto [from, to] :
       llvm::zip_first(body->getArguments(), loop.getBody()->getArguments()))
    from.replaceAllUsesWith(to);
  loop.getBody()->getOperations().splice(loop.getBody()->end(),
                                         body->getOperations());
  findCounters(loop);
  return loop;
}

/// The loop with a condition that `loop` stands in for: it carries the number
/// of the iteration behind the condition, and passes on all but the latter.
static scf::WhileOp createLike(scf::ForOp loop, unsigned states,
                               Attribute policy) {
  OpBuilder builder(loop);
  Location loc = loop.getLoc();
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  SmallVector<Value> inits(loop.getInitArgs());
  inits.insert(inits.begin() + states + 1, zero);
  Block &body = *loop.getBody();
  auto created = createWhile(
      builder, loc, states, inits, /*limit=*/nullptr,
      [&](ValueRange state, ValueRange more) {
        // It is called where the loop goes on.
        Value go = arith::ConstantIntOp::create(builder, loc, /*value=*/1, 1);
        SmallVector<Value> known = {more.front()};
        llvm::append_range(known, state);
        known.push_back(go);
        llvm::append_range(known, more.drop_front());
        for (auto [from, to] : llvm::zip_equal(body.getArguments(), known))
          from.replaceAllUsesWith(to);
        Operation *yield = body.getTerminator();
        builder.getInsertionBlock()->getOperations().splice(
            builder.getInsertionPoint(), body.getOperations(), body.begin(),
            yield->getIterator());
        SmallVector<Value> next(yield->getOperands());
        Value one = arith::ConstantIndexOp::create(builder, loc, 1);
        next.insert(next.begin() + states + 1,
                    arith::AddIOp::create(builder, loc, more.front(), one));
        return next;
      });
  created->setAttr(kCheckpoint, policy);
  return created;
}

//===----------------------------------------------------------------------===//
// Loops in others
//===----------------------------------------------------------------------===//

NestedTapes::NestedTapes(ArrayRef<Block *> around, scf::ForOp loop,
                         TypeRange types)
    : around(around) {
  Location loc = loop.getLoc();
  OpBuilder builder(around.empty() ? loop : around.front()->getParentOp());
  for (Type type : types)
    tapes.push_back(createTape(builder, loc, type));
  if (around.empty())
    return;
  place = arith::ConstantIndexOp::create(builder, loc, 0);
  for (Block *block : around) {
    SmallVector<Value> &values = reaching.emplace_back(tapes);
    values.push_back(place);
    if (auto outer = dyn_cast<scf::ForOp>(block->getParentOp())) {
      outer = carryMore(outer, values);
      ValueRange inside =
          ValueRange(outer.getRegionIterArgs()).take_back(values.size());
      tapes = llvm::to_vector(inside.drop_back());
      place = inside.back();
    }
  }
}

Value NestedTapes::placeOf(OpBuilder &builder, Value number) const {
  if (!place)
    return number;
  return arith::AddIOp::create(builder, number.getLoc(), place, number);
}

SmallVector<Value> NestedTapes::leave(scf::ForOp loop, ValueRange left,
                                      int64_t more) {
  SmallVector<Value> values(left);
  if (around.empty())
    return values;
  OpBuilder builder(loop.getContext());
  builder.setInsertionPointAfter(loop);
  Value count = countTrips(builder, loop);
  if (more)
    count = arith::AddIOp::create(
        builder, loop.getLoc(), count,
        arith::ConstantIndexOp::create(builder, loop.getLoc(), more));
  values.push_back(placeOf(builder, count));
  for (auto [block, before] :
       llvm::reverse(llvm::zip_equal(around, reaching))) {
    Operation *op = block->getParentOp();
    if (isa<scf::ForOp>(op)) {
      Operation *yield = block->getTerminator();
      yield->insertOperands(yield->getNumOperands(), values);
    } else {
      SmallVector<SmallVector<Value>> yields;
      for (Region &region : op->getRegions())
        yields.push_back(&region.front() == block ? values : before);
      op = yieldMore(op, yields);
    }
    values =
        llvm::to_vector_of<Value>(op->getResults().take_back(values.size()));
  }
  values.pop_back();
  return values;
}

//===----------------------------------------------------------------------===//
// The rule
//===----------------------------------------------------------------------===//

LogicalResult grad::storeOnTapes(scf::WhileOp op, scf::WhileOp linear,
                                 ResidualStore &store) {
  OpBuilder builder(op), atLinear(linear);
  Location loc = op.getLoc();
  unsigned states = op.getNumResults();
  Attribute policy = op->getAttr(kCheckpoint);
  auto unknown = UnrealizedConversionCastOp::create(
      builder, loc, TypeRange(builder.getIndexType()), ValueRange());
  scf::ForOp standIn = createStandIn(op, unknown.getResult(0));
  scf::ForOp steps = createLoop(atLinear, loc, standIn.getLowerBound(),
                                standIn.getUpperBound(), linear.getInits());
  steps->setDiscardableAttrs(standIn->getDiscardableAttrDictionary());
  moveBody(*linear.getAfterBody(), linear.getAfterArguments(), steps);
  linear.replaceAllUsesWith(steps.getResults());
  linear.erase();
  FailureOr<scf::ForOp> stored = storeAll(standIn, steps, /*length=*/0, store);
  if (failed(stored))
    return failure();
  scf::WhileOp loop = createLike(*stored, states, policy);
  ValueRange results = loop.getResults();
  op.replaceAllUsesWith(results.take_front(states));
  stored->getResults().take_front(states).replaceAllUsesWith(
      results.take_front(states));
  stored->getResults()
      .drop_front(states + 1)
      .replaceAllUsesWith(results.drop_front(states + 1));
  unknown.getResult(0).replaceAllUsesWith(results[states]);
  stored->erase();
  unknown.erase();
  op.erase();
  return success();
}
