//===- ControlFlowTranspose.cpp - Transposes of loops and branches --------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/AnyOrder.h"
#include "dialect/BlockOrder.h"
#include "dialect/ControlFlow.h"
#include "dialect/GradDialect.h"
#include "dialect/Restore.h"
#include "dialect/Rules.h"
#include "dialect/Stacks.h"
#include "dialect/Updates.h"

#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

/// The linear values from outside of `op` that its regions use.
static SmallVector<Value> findLinearUses(Operation *op,
                                         TransposeContext &context) {
  llvm::SetVector<Value> found;
  op->walk([&](Operation *nested) {
    if (nested == op)
      return;
    for (Value value : nested->getOperands())
      if (context.isLinear(value) &&
          !op->isAncestor(value.getParentBlock()->getParentOp()))
        found.insert(value);
  });
  return found.takeVector();
}

/// Moves the coefficients among the ops of `block` to where `builder` stands.
static void moveCoefficients(Block &block, OpBuilder &builder,
                             TransposeContext &context) {
  for (Operation &op : llvm::make_early_inc_range(block.without_terminator()))
    if (!context.usesLinear(op))
      op.moveBefore(builder.getInsertionBlock(), builder.getInsertionPoint());
}

static SmallVector<Value> cotangentsOf(ValueRange values,
                                       TransposeContext &context) {
  return llvm::map_to_vector(values, [&](Value value) {
    return orZeros(context.getCotangent(value), context.builder, value);
  });
}

/// Moves what uses parts of an array in front of an update of that, as far as
/// it can be there, so that the update can be in place.
static void useBefore(Operation *update, BlockOrder &order,
                      RewriterBase &rewriter) {
  Block *block = update->getBlock();
  auto isThere = [&](Value value) {
    Operation *op = value.getDefiningOp();
    return !op || op->getBlock() != block || order.isBefore(op, update);
  };
  // An update is not to overtake what reads its own array.
  auto isFree = [&](Operation *op) {
    return !isUpdate(op) ||
           llvm::all_of(
               findPrevious(op->getResult(0)).getUsers(), [&](Operation *user) {
                 user = block->findAncestorOpInBlock(*user);
                 return !user || user == op || order.isBefore(user, update);
               });
  };
  SmallVector<Operation *> pending;
  for (Operation *read : findPrevious(update->getResult(0)).getUsers())
    if (read->getBlock() == block && getPartRead(read) &&
        order.isBefore(read, update))
      llvm::append_range(pending, read->getUsers());
  while (!pending.empty()) {
    Operation *op = pending.pop_back_val();
    if (op == update || op->getBlock() != block ||
        !order.isBefore(update, op) || op->getNumRegions() || !isPure(op) ||
        !llvm::all_of(op->getOperands(), isThere) || !isFree(op))
      continue;
    rewriter.moveOpBefore(op, update);
    llvm::append_range(pending, op->getUsers());
  }
}

static void useBeforeUpdates(Block &block) {
  SmallVector<Operation *> updates;
  for (Operation &op : block)
    if (isUpdate(&op))
      updates.push_back(&op);
  BlockOrder order;
  IRRewriter rewriter(block.getParentOp()->getContext(), &order);
  for (Operation *update : updates)
    useBefore(update, order, rewriter);
}

/// Lets a number that is `first` with something added in each iteration be
/// added up in any order, as the order of the linear loop means nothing.
static void addInAnyOrder(Value next, Value first) {
  auto type = dyn_cast<RankedTensorType>(first.getType());
  if (!type || type.getRank() != 0 || !isa<FloatType>(type.getElementType()))
    return;
  SmallVector<Operation *> sums;
  while (next != first) {
    auto sum = next.getDefiningOp<AddOp>();
    if (!sum || !next.hasOneUse())
      return;
    sums.push_back(sum);
    next = sum.getLhs();
  }
  if (!first.hasOneUse())
    return;
  for (Operation *sum : sums)
    sum->setAttr(kAnyOrder, UnitAttr::get(sum->getContext()));
}

Value grad::createMirror(OpBuilder &builder, scf::ForOp op) {
  Location loc = op.getLoc();
  Value begin = op.getLowerBound(), step = op.getStep();
  // begin + last, where last = begin + (end - 1 - begin) / step * step.
  Value one = arith::ConstantOp::create(
      builder, loc, builder.getIntegerAttr(begin.getType(), 1));
  Value last = op.getUpperBound();
  last = builder.createOrFold<arith::SubIOp>(loc, last, begin);
  last = builder.createOrFold<arith::SubIOp>(loc, last, one);
  last = builder.createOrFold<arith::DivUIOp>(loc, last, step);
  last = builder.createOrFold<arith::MulIOp>(loc, last, step);
  last = builder.createOrFold<arith::AddIOp>(loc, last, begin);
  return builder.createOrFold<arith::AddIOp>(loc, last, begin);
}

LogicalResult grad::transposeFor(scf::ForOp op, TransposeContext &context) {
  Location loc = op.getLoc();
  OpBuilder &builder = context.builder;
  Block &body = *op.getBody();
  unsigned backward = countBackward(op);
  unsigned count = op.getNumResults() - backward;
  for (Value argument : op.getRegionIterArgs().take_front(count)) {
    if (!isDifferentiable(argument.getType()))
      return context.emitOpError(op)
             << "expected a linear loop to carry floats, but it carries "
             << argument.getType();
    context.setLinear(argument);
  }
  context.markLinear(body);
  SmallVector<Value> outside = findLinearUses(op, context);

  // Cotangents of what the loop carries, and of values from outside so far; and
  // what is restored.
  SmallVector<Value> inits =
      cotangentsOf(op.getResults().take_front(count), context);
  llvm::append_range(inits, cotangentsOf(outside, context));
  llvm::append_range(inits, op.getInitArgs().take_back(backward));
  Value mirror = createMirror(builder, op);
  auto reversed =
      scf::ForOp::create(builder, loc, op.getLowerBound(), op.getUpperBound(),
                         op.getStep(), inits, nullptr, op.getUnsignedCmp());
  reversed->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  markRestored(reversed, backward);
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(reversed.getBody());
    auto carried = reversed.getRegionIterArgs();
    for (auto [from, to] :
         llvm::zip_equal(op.getRegionIterArgs().take_back(backward),
                         carried.take_back(backward)))
      from.replaceAllUsesWith(to);
    Value iv =
        arith::SubIOp::create(builder, loc, mirror, reversed.getInductionVar());
    op.getInductionVar().replaceAllUsesWith(iv);
    moveCoefficients(body, builder, context);
    for (auto [value, sum] :
         llvm::zip_equal(outside, carried.slice(count, outside.size())))
      context.setCotangent(value, sum);
    ValueRange next = op.getYieldedValues();
    for (auto [value, cotangent] :
         llvm::zip_equal(next.take_front(count), carried.take_front(count)))
      context.addCotangent(value, cotangent);
    if (failed(context.transposeBlock(body)))
      return failure();
    SmallVector<Value> yielded =
        cotangentsOf(op.getRegionIterArgs().take_front(count), context);
    llvm::append_range(yielded, cotangentsOf(outside, context));
    llvm::append_range(yielded, next.take_back(backward));
    scf::YieldOp::create(builder, loc, yielded);
    for (auto [sum, first] :
         llvm::zip_equal(ArrayRef(yielded).slice(count, outside.size()),
                         carried.slice(count, outside.size())))
      addInAnyOrder(sum, first);
    mergeRestored(*reversed.getBody());
    useBeforeUpdates(*reversed.getBody());
  }
  ValueRange results = reversed.getResults();
  for (auto [value, sum] :
       llvm::zip_equal(outside, results.slice(count, outside.size())))
    context.setCotangent(value, sum);
  for (auto [init, cotangent] : llvm::zip_equal(
           op.getInitArgs().take_front(count), results.take_front(count)))
    context.addCotangent(init, cotangent);
  return success();
}

LogicalResult grad::transposeBranch(Operation *op, TransposeContext &context) {
  OpBuilder &builder = context.builder;
  for (Region &region : op->getRegions())
    context.markLinear(region.front());
  SmallVector<Value> outside = findLinearUses(op, context);
  SmallVector<Value> before = llvm::map_to_vector(outside, [&](Value value) {
    Value cotangent = context.getCotangent(value);
    // A tape that only some of the blocks read: there are no zeros for it in
    // the others. One that they fill is what they yield.
    bool isRead = llvm::any_of(value.getUsers(), [&](Operation *user) {
      return isa<DynamicSliceOp>(user) && op->isAncestor(user);
    });
    return !cotangent && isRead && isTape(value.getType())
               ? createZeroTangent(builder, value)
               : cotangent;
  });
  Operation *branch =
      createBranchLike(builder, op, ValueRange(outside).getTypes());
  for (auto [from, to] :
       llvm::zip_equal(op->getRegions(), branch->getRegions())) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(&to.front());
    moveCoefficients(from.front(), builder, context);
    delayCoefficients(op, to.front(), context);
    for (auto [value, sum] : llvm::zip_equal(outside, before))
      context.setCotangent(value, sum);
    Operation *yield = from.front().getTerminator();
    for (auto [value, result] :
         llvm::zip_equal(yield->getOperands(), op->getResults()))
      context.addCotangent(value, context.getCotangent(result));
    if (failed(context.transposeBlock(from.front())))
      return failure();
    scf::YieldOp::create(builder, op->getLoc(), cotangentsOf(outside, context));
    mergeRestored(to.front());
  }
  for (auto [value, sum] : llvm::zip_equal(outside, branch->getResults()))
    context.setCotangent(value, sum);
  return success();
}

LogicalResult grad::transposeSelect(arith::SelectOp op,
                                    TransposeContext &context) {
  Location loc = op.getLoc();
  Value cotangent = context.getCotangent(op);
  Value zeros = createZero(context.builder, loc, op.getType());
  auto select = [&](Value onTrue, Value onFalse) -> Value {
    return arith::SelectOp::create(context.builder, loc, op.getCondition(),
                                   onTrue, onFalse);
  };
  if (context.isLinear(op.getTrueValue()))
    context.addCotangent(op.getTrueValue(), select(cotangent, zeros));
  if (context.isLinear(op.getFalseValue()))
    context.addCotangent(op.getFalseValue(), select(zeros, cotangent));
  return success();
}
