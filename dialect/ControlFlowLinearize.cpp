//===- ControlFlowLinearize.cpp - Tangent rules of loops and branches -----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/ControlFlow.h"
#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "dialect/Stacks.h"
#include "dialect/StoreResiduals.h"
#include "dialect/Uses.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
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

/// The tangents of what the op uses: linear code that uses none of them
/// computes nothing but zeros.
static DenseSet<Value> findTangentsUsed(Operation *op,
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

/// Fills the body of `linear`, the linear part of the loop `op`: its arguments
/// are the tangents of those at `active`. If it uses none of the tangents that
/// are `used` outside, there is nothing to compute.
static LogicalResult linearizeApart(Operation *op, ValueRange arguments,
                                    Block &body, Operation *linear,
                                    ValueRange tangents, Block &linearBody,
                                    ArrayRef<unsigned> active,
                                    const DenseSet<Value> &used,
                                    LinearizeContext &context) {
  for (auto [i, tangent] : llvm::zip_equal(active, tangents))
    context.setTangent(arguments[i], tangent);
  {
    OpBuilder::InsertionGuard guard(context.linear);
    context.linear.setInsertionPointToEnd(&linearBody);
    if (failed(context.linearizeBlock(body)))
      return failure();
    scf::YieldOp::create(context.linear, op->getLoc(),
                         tangentsAt(context, context.linear,
                                    body.getTerminator()->getOperands(),
                                    active));
  }
  if (!usesAny(linear, [&](Value value) { return used.contains(value); })) {
    linear->erase();
    return success();
  }
  setLinearPart(op, linear);
  for (auto [i, tangent] : llvm::zip_equal(active, linear->getResults()))
    context.setTangent(op->getResult(i), tangent);
  return success();
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

  Location loc = op.getLoc();
  DenseSet<Value> used = findTangentsUsed(op, context);
  auto linear = scf::ForOp::create(
      context.linear, loc, op.getLowerBound(), op.getUpperBound(), op.getStep(),
      tangentsAt(context, context.primal, op.getInitArgs(), active), nullptr,
      op.getUnsignedCmp());
  linear->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  return linearizeApart(op, op.getRegionIterArgs(), *op.getBody(), linear,
                        linear.getRegionIterArgs(), *linear.getBody(), active,
                        used, context);
}

//===----------------------------------------------------------------------===//
// Loops with a condition
//===----------------------------------------------------------------------===//

/// In reverse mode: the linear part goes on as long as the loop does, which is
/// rotated. The carried values at `active` have tangents.
static LogicalResult linearizeRotated(scf::WhileOp op,
                                      ArrayRef<unsigned> active,
                                      LinearizeContext &context) {
  DenseSet<Value> used = findTangentsUsed(op, context);
  SmallVector<Value> inits =
      tangentsAt(context, context.primal, op.getInits(), active);
  auto linear = scf::WhileOp::create(
      context.linear, op.getLoc(), ValueRange(inits).getTypes(), inits,
      [&](OpBuilder &builder, Location loc, ValueRange tangents) {
        scf::ConditionOp::create(builder, loc,
                                 op.getConditionOp().getCondition(), tangents);
      },
      nullptr);
  return linearizeApart(op, op.getAfterArguments(), *op.getAfterBody(), linear,
                        linear.getAfterArguments(), *linear.getAfterBody(),
                        active, used, context);
}

LogicalResult grad::linearizeWhile(scf::WhileOp op, LinearizeContext &context) {
  Location loc = op.getLoc();
  Positions carried = findActive(context, op.getBeforeArguments());
  Positions passed =
      findActive(context, op.getAfterArguments(), op.getResults());

  if (!context.isForward())
    return linearizeRotated(op, passed, context);

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
  setLinearPart(op, linear);
  for (auto [i, tangent] : llvm::zip_equal(active, linear->getResults()))
    context.setTangent(op->getResult(i), tangent);
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
