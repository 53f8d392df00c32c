//===- ControlFlowLinearize.cpp - Tangent rules of loops and branches -----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/ControlFlow.h"
#include "dialect/GradDialect.h"
#include "dialect/Residuals.h"
#include "dialect/Restore.h"
#include "dialect/Rules.h"
#include "dialect/Stacks.h"
#include "dialect/Uses.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

using Positions = SmallVector<unsigned>;

Value grad::orZeros(Value tangent, OpBuilder &builder, Value primal) {
  return tangent ? tangent : createZeroTangent(builder, primal);
}

/// Which of `values` have tangents.
static Positions findActive(LinearizeContext &context, ValueRange values) {
  Positions positions;
  for (auto [i, value] : llvm::enumerate(values))
    if (context.isActive(value))
      positions.push_back(i);
  return positions;
}

/// Which of the values that a loop carries have tangents, in the body or
/// behind.
static Positions findActive(LinearizeContext &context, ValueRange arguments,
                            ValueRange results) {
  Positions positions;
  for (auto [i, argument, result] : llvm::enumerate(arguments, results))
    if (context.isActive(argument) || context.isActive(result))
      positions.push_back(i);
  return positions;
}

/// The tangents of the values at `positions`, made where `builder` stands.
static SmallVector<Value> tangentsAt(LinearizeContext &context,
                                     OpBuilder &builder, ValueRange values,
                                     ArrayRef<unsigned> positions) {
  return llvm::map_to_vector(positions, [&](unsigned i) {
    return orZeros(context.getTangent(values[i]), builder, values[i]);
  });
}

/// Appends operands to the terminator of a block.
static void appendOperands(Operation *terminator, ValueRange values) {
  terminator->insertOperands(terminator->getNumOperands(), values);
}

/// Replaces `op` by one with more results at the end.
static void replaceByPrefix(Operation *op, ValueRange results) {
  op->replaceAllUsesWith(results.take_front(op->getNumResults()));
  op->erase();
}

DenseSet<Value> grad::findTangentsUsed(Operation *op,
                                       const LinearizeContext &context) {
  DenseSet<Value> tangents;
  forEachUsed(op, [&](Value value) {
    if (Value tangent = context.getTangent(value))
      tangents.insert(tangent);
  });
  return tangents;
}

//===----------------------------------------------------------------------===//
// Loops with a counter
//===----------------------------------------------------------------------===//

static constexpr StringLiteral kMaxTripCount = "grad.max_trip_count";

std::optional<int64_t> grad::getMaxTripCount(scf::ForOp op) {
  if (std::optional<APInt> count = op.getStaticTripCount())
    return count->getSExtValue();
  if (auto count = op->getAttrOfType<IntegerAttr>(kMaxTripCount))
    return count.getInt();
  return std::nullopt;
}

void grad::setMaxTripCount(scf::ForOp op, int64_t count) {
  op->setAttr(kMaxTripCount, Builder(op).getI64IntegerAttr(count));
}

scf::ForOp grad::carryMore(scf::ForOp op, ValueRange inits) {
  OpBuilder builder(op);
  SmallVector<Value> all(op.getInitArgs());
  llvm::append_range(all, inits);
  auto loop = scf::ForOp::create(builder, op.getLoc(), op.getLowerBound(),
                                 op.getUpperBound(), op.getStep(), all, nullptr,
                                 op.getUnsignedCmp());
  loop->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  loop.getRegion().takeBody(op.getRegion());
  for (Value init : inits)
    loop.getBody()->addArgument(init.getType(), init.getLoc());
  replaceByPrefix(op, loop.getResults());
  return loop;
}

Value grad::createNumber(OpBuilder &builder, scf::ForOp loop, Value number) {
  Location loc = loop.getLoc();
  number =
      builder.createOrFold<arith::SubIOp>(loc, number, loop.getLowerBound());
  number = builder.createOrFold<arith::DivUIOp>(loc, number, loop.getStep());
  if (!number.getType().isIndex())
    number = arith::IndexCastUIOp::create(builder, loc, builder.getIndexType(),
                                          number);
  return number;
}

/// Whether `value` is the number of the iteration, in a tensor.
static bool isNumber(Value value, scf::ForOp loop) {
  auto tensor = value.getDefiningOp<tensor::FromElementsOp>();
  if (!tensor || !matchPattern(loop.getLowerBound(), m_Zero()) ||
      !matchPattern(loop.getStep(), m_One()))
    return false;
  Value word = tensor.getElements().front();
  if (auto cast = word.getDefiningOp<arith::IndexCastOp>())
    word = cast.getIn();
  return word == loop.getInductionVar();
}

Value grad::findPushed(scf::ForOp loop, BlockArgument argument) {
  Value next = loop.getTiedLoopYieldedValue(argument)->get();
  auto push = next.getDefiningOp<DynamicUpdateSliceOp>();
  if (!push || push.getX() != argument || !argument.hasOneUse() ||
      !isNumber(push.getIndices().front(), loop))
    return nullptr;
  auto reshape = push.getUpdate().getDefiningOp<ReshapeOp>();
  auto stack = cast<RankedTensorType>(argument.getType());
  SmallVector<int64_t> shape(stack.getShape());
  if (!isTape(stack) &&
      getMaxTripCount(loop).value_or(shape.front() + 1) > shape.front())
    return nullptr;
  shape.front() = 1;
  if (!reshape || push.getUpdate().getType().getShape() != ArrayRef(shape) ||
      reshape.getX().getType().getShape() != ArrayRef(shape).drop_front())
    return nullptr;
  return reshape.getX();
}

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
                                           LinearizeContext &context) {
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
  if (failed(context.noteStored(primal, stored)) ||
      failed(context.noteStored(primal, first)))
    return failure();

  Location loc = primal.getLoc();
  OpBuilder builder(primal);
  unsigned before = primal.getNumResults();
  // A pair has one place more.
  auto create = [&](ValueRange values, int64_t more) {
    if (length > 0)
      return createStacks(builder, loc, values, length + more);
    return llvm::map_to_vector(values, [&](Value value) {
      return createTape(builder, loc, value.getType());
    });
  };
  SmallVector<Value> stacks = create(stored, 0);
  if (!first.empty()) {
    SmallVector<Value> inits = llvm::map_to_vector(first, [&](Value value) {
      return primal.getTiedLoopInit(cast<BlockArgument>(value))->get();
    });
    Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
    llvm::append_range(stacks,
                       pushAll(builder, loc, create(first, 1), inits, zero));
  }
  if (!stacks.empty()) {
    auto tangents = context.takeTangents(primal.getResults());
    primal = carryMore(primal, stacks);
    context.setTangents(primal.getResults(), tangents);
  }
  // The stacks of single values and of pairs, inside of the loop or behind it.
  auto split = [&](ValueRange values) {
    values = values.drop_front(before);
    return std::pair(values.take_front(stored.size()),
                     values.drop_front(stored.size()));
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
  auto [single, paired] = split(primal.getRegionIterArgs());
  appendOperands(yield, pushAll(builder, loc, single, stored, number));
  appendOperands(yield, pushAll(builder, loc, paired, second, nextOf(number)));

  builder.setInsertionPointAfterValue(inductionVar);
  number = createNumber(builder, primal, inductionVar);
  auto provide = [&](ValueRange values, ValueRange from, Value place) {
    residuals.provide(values,
                      peekAll(builder, loc, from, values.getTypes(), place));
  };
  std::tie(single, paired) = split(primal.getResults());
  provide(stored, single, number);
  provide(first, paired, number);
  provide(second, paired, nextOf(number));
  for (unsigned i : residuals.getShared())
    provide(given.stored[i], primal.getResult(stackOf[i]), number);
  residuals.supply(builder);
  return primal;
}

static bool keepsAll(Operation *loop) {
  auto policy = loop->getAttrOfType<StringAttr>(kCheckpoint);
  return policy && policy.getValue() == "all";
}

// In another loop, tapes would be values of each iteration of that.
bool grad::keepsTapes(Operation *loop) {
  Operation *around = loop->getParentOp();
  while (isa<scf::ExecuteRegionOp>(around))
    around = around->getParentOp();
  return keepsAll(loop) && isa<FunctionOpInterface>(around);
}

LogicalResult grad::linearizeFor(scf::ForOp op, LinearizeContext &context) {
  Positions active =
      findActive(context, op.getRegionIterArgs(), op.getResults());

  if (context.isForward()) {
    OpBuilder before(op);
    unsigned count = op.getNumResults();
    op = carryMore(op, tangentsAt(context, before, op.getInitArgs(), active));
    auto arguments = op.getRegionIterArgs();
    for (auto [i, tangent] :
         llvm::zip_equal(active, arguments.drop_front(count)))
      context.setTangent(arguments[i], tangent);
    if (failed(context.linearizeBlock(*op.getBody())))
      return failure();
    Operation *yield = op.getBody()->getTerminator();
    OpBuilder atEnd(yield);
    appendOperands(yield,
                   tangentsAt(context, atEnd, yield->getOperands(), active));
    for (auto [i, tangent] :
         llvm::zip_equal(active, op.getResults().drop_front(count)))
      context.setTangent(op.getResult(i), tangent);
    return success();
  }

  std::optional<int64_t> trips = getMaxTripCount(op);
  if (trips ? op->hasAttr(kCheckpoint) && !keepsAll(op) : !keepsTapes(op))
    return replayFor(op, active, context);
  int64_t length = trips ? std::max<int64_t>(*trips, 1) : 0;
  return success(succeeded(linearizeKept(op, active, length, context)));
}

FailureOr<scf::ForOp> grad::linearizeKept(scf::ForOp op,
                                          ArrayRef<unsigned> active,
                                          int64_t length,
                                          LinearizeContext &context) {
  Location loc = op.getLoc();
  DenseSet<Value> tangents = findTangentsUsed(op, context);
  auto linear = scf::ForOp::create(
      context.linear, loc, op.getLowerBound(), op.getUpperBound(), op.getStep(),
      tangentsAt(context, context.primal, op.getInitArgs(), active), nullptr,
      op.getUnsignedCmp());
  linear->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  for (auto [i, tangent] : llvm::zip_equal(active, linear.getRegionIterArgs()))
    context.setTangent(op.getRegionIterArg(i), tangent);
  Operation *yield = op.getBody()->getTerminator();
  {
    OpBuilder::InsertionGuard guard(context.linear);
    context.linear.setInsertionPointToEnd(linear.getBody());
    if (failed(context.linearizeBlock(*op.getBody())))
      return failure();
    scf::YieldOp::create(
        context.linear, loc,
        tangentsAt(context, context.linear, yield->getOperands(), active));
  }
  if (!usesAny(linear, [&](Value v) { return tangents.contains(v); })) {
    linear.erase();
    return op;
  }
  SmallVector<unsigned> stackOf;
  Restorer restorer(context);
  FailureOr<scf::ForOp> restoring = restoreArrays(
      op, linear, describe(op, linear.getInductionVar(), stackOf), restorer,
      /*isReplay=*/false);
  if (failed(restoring))
    return failure();
  linear = *restoring;
  FailureOr<scf::ForOp> storing =
      stackResiduals(op, *linear.getBody(), linear.getInductionVar(), length,
                     restorer, context);
  if (failed(storing))
    return failure();
  for (auto [i, tangent] :
       llvm::zip_equal(active, linear.getResults().take_front(active.size())))
    context.setTangent(storing->getResult(i), tangent);
  return storing;
}

//===----------------------------------------------------------------------===//
// Loops with a condition
//===----------------------------------------------------------------------===//

LogicalResult grad::linearizeWhile(scf::WhileOp op, LinearizeContext &context) {
  Location loc = op.getLoc();
  Positions carried = findActive(context, op.getBeforeArguments());
  Positions passed =
      findActive(context, op.getAfterArguments(), op.getResults());

  if (!context.isForward())
    return keepsTapes(op) ? linearizeOnTapes(op, passed, context)
                          : replayWhile(op, passed, context);

  OpBuilder builder(op);
  SmallVector<Value> inits(op.getInits());
  llvm::append_range(inits,
                     tangentsAt(context, builder, op.getInits(), carried));
  SmallVector<Type> types(op.getResultTypes());
  for (unsigned i : passed)
    types.push_back(op.getResult(i).getType());
  auto loop = scf::WhileOp::create(builder, loc, types, inits);
  loop->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  unsigned count = op.getNumResults();

  // Both regions in the order in which they run.
  auto linearize = [&](Region &from, Region &to, ArrayRef<unsigned> in,
                       ArrayRef<unsigned> out, unsigned skipped) {
    to.takeBody(from);
    Block &block = to.front();
    for (unsigned i : in) {
      Value argument = block.getArgument(i);
      context.setTangent(argument, block.addArgument(argument.getType(), loc));
    }
    if (failed(context.linearizeBlock(block)))
      return failure();
    Operation *terminator = block.getTerminator();
    OpBuilder atEnd(terminator);
    appendOperands(terminator,
                   tangentsAt(context, atEnd,
                              terminator->getOperands().drop_front(skipped),
                              out));
    return success();
  };
  if (failed(linearize(op.getBefore(), loop.getBefore(), carried, passed,
                       /*skipped=*/1)) ||
      failed(linearize(op.getAfter(), loop.getAfter(), passed, carried,
                       /*skipped=*/0)))
    return failure();
  for (auto [i, tangent] :
       llvm::zip_equal(passed, loop.getResults().drop_front(count)))
    context.setTangent(loop.getResult(i), tangent);
  replaceByPrefix(op, loop.getResults());
  return success();
}

//===----------------------------------------------------------------------===//
// Branches
//===----------------------------------------------------------------------===//

Operation *grad::createBranchLike(OpBuilder &builder, Operation *op,
                                  TypeRange results) {
  OperationState state(op->getLoc(), op->getName());
  state.addOperands(op->getOperands());
  state.addTypes(results);
  state.propertiesAttr = op->getPropertiesAsAttribute();
  state.addAttributes(llvm::to_vector(op->getDiscardableAttrs()));
  for (unsigned i = 0; i < op->getNumRegions(); ++i)
    state.addRegion()->emplaceBlock();
  return builder.create(state);
}

Operation *grad::yieldMore(Operation *op, ArrayRef<SmallVector<Value>> yields) {
  SmallVector<Type> types(op->getResultTypes());
  llvm::append_range(types, ValueRange(yields.front()).getTypes());
  OpBuilder builder(op);
  Operation *branch = createBranchLike(builder, op, types);
  for (auto [from, to, more] :
       llvm::zip_equal(op->getRegions(), branch->getRegions(), yields)) {
    to.takeBody(from);
    appendOperands(to.front().getTerminator(), more);
  }
  replaceByPrefix(op, branch->getResults());
  return branch;
}

// Each residual is a result: one that the branch has anyway, or else one that
// residuals of other blocks share if they have its type, and which is undefined
// where a block has none for it.
FailureOr<Operation *> grad::yieldResiduals(Operation *primal,
                                            Operation *linear,
                                            ArrayRef<Restorer> restorers,
                                            LinearizeContext &context) {
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
    if (failed(context.noteStored(primal, some.getStored())))
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
  auto tangents = context.takeTangents(primal->getResults());
  primal = yieldMore(primal, yields);
  context.setTangents(primal->getResults(), tangents);
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

Operation *grad::takeBranch(Operation *op, TypeRange types) {
  OpBuilder builder(op);
  Operation *branch = createBranchLike(builder, op, types);
  for (auto [from, to] :
       llvm::zip_equal(op->getRegions(), branch->getRegions()))
    to.takeBody(from);
  op->erase();
  return branch;
}

LogicalResult grad::linearizeBranch(Operation *op, LinearizeContext &context) {
  Operation *linear =
      context.isForward() ? nullptr : createBranchLike(context.linear, op, {});
  for (auto [i, region] : llvm::enumerate(op->getRegions())) {
    OpBuilder::InsertionGuard guard(context.linear);
    if (linear)
      context.linear.setInsertionPointToEnd(&linear->getRegion(i).front());
    if (failed(context.linearizeBlock(region.front())))
      return failure();
  }
  // What has no tangent in any block has none behind them.
  Positions active;
  for (unsigned i : findActive(context, op->getResults()))
    if (llvm::any_of(op->getRegions(), [&](Region &region) {
          return context.getTangent(
              region.front().getTerminator()->getOperand(i));
        }))
      active.push_back(i);
  if (active.empty()) {
    if (linear)
      linear->erase();
    return success();
  }

  SmallVector<SmallVector<Value>> tangents;
  for (auto [i, region] : llvm::enumerate(op->getRegions())) {
    Operation *yield = region.front().getTerminator();
    auto atEnd = linear ? OpBuilder::atBlockEnd(&linear->getRegion(i).front())
                        : OpBuilder(yield);
    tangents.push_back(
        tangentsAt(context, atEnd, yield->getOperands(), active));
    if (linear)
      scf::YieldOp::create(atEnd, op->getLoc(), tangents.back());
  }
  if (!linear) {
    unsigned count = op->getNumResults();
    op = yieldMore(op, tangents);
    for (auto [i, tangent] :
         llvm::zip_equal(active, op->getResults().drop_front(count)))
      context.setTangent(op->getResult(i), tangent);
    return success();
  }
  linear = takeBranch(linear, ValueRange(tangents.front()).getTypes());
  FailureOr<Operation *> yielding = yieldResiduals(op, linear, {}, context);
  if (failed(yielding))
    return failure();
  for (auto [i, tangent] : llvm::zip_equal(active, linear->getResults()))
    context.setTangent((*yielding)->getResult(i), tangent);
  return success();
}

LogicalResult grad::linearizeSelect(arith::SelectOp op,
                                    LinearizeContext &context) {
  auto tangentOf = [&](Value value) {
    return orZeros(context.getTangent(value), context.primal, value);
  };
  context.setTangent(op, arith::SelectOp::create(
                             context.linear, op.getLoc(), op.getCondition(),
                             tangentOf(op.getTrueValue()),
                             tangentOf(op.getFalseValue())));
  return success();
}
