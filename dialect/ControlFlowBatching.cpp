//===- ControlFlowBatching.cpp - Batching rules of loops and branches -----===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What decides on the way through a loop or branch is either the same for the
// whole batch, then the op stays what it is, on batches; or it differs. Then a
// branch becomes all its blocks and a choice between their results, and a loop
// goes on until the last element is done, and leaves those alone that are.
// Where that is impossible, or the choices would cost more than the rest, one
// element comes after the other.
//
// A scalar that differs between the elements becomes a tensor of one dimension,
// an index one of i64.
//
//===----------------------------------------------------------------------===//

#include "dialect/ControlFlow.h"
#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "dialect/Stacks.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

using Flags = SmallVector<bool>;

/// `value` as it is in the loop or branch: batched or not.
static Value as(BatchContext &context, Value value, bool isBatched) {
  return isBatched ? context.getBatched(value) : context.get(value);
}

static SmallVector<Value> as(BatchContext &context, ValueRange values,
                             ArrayRef<bool> isBatched) {
  SmallVector<Value> all;
  for (auto [value, batched] : llvm::zip_equal(values, isBatched))
    all.push_back(as(context, value, batched));
  return all;
}

static Flags findBatched(BatchContext &context, ValueRange values) {
  return llvm::map_to_vector(values,
                             [&](Value v) { return context.isBatched(v); });
}

/// Adds to `flags` what is batched of `values`; whether that is more.
static bool addBatched(BatchContext &context, ValueRange values, Flags &flags) {
  bool isMore = false;
  for (auto [value, flag] : llvm::zip_equal(values, flags)) {
    isMore |= !flag && context.isBatched(value);
    flag |= context.isBatched(value);
  }
  return isMore;
}

static void setResults(BatchContext &context, ValueRange results,
                       ValueRange values, ArrayRef<bool> isBatched) {
  for (auto [result, value, batched] :
       llvm::zip_equal(results, values, isBatched)) {
    if (batched)
      context.setBatched(result, value);
    else
      context.setUnbatched(result, value);
  }
}

/// What `block` becomes, without a terminator and not in a region yet, given
/// which of its arguments are batched; null after a failure.
static std::unique_ptr<Block> batchDetached(BatchContext &context, Block &block,
                                            ArrayRef<bool> isBatched) {
  auto result = std::make_unique<Block>();
  for (auto [argument, batched] :
       llvm::zip_equal(block.getArguments(), isBatched)) {
    Type type = batched ? context.getBatchedType(argument) : argument.getType();
    Value now = result->addArgument(type, argument.getLoc());
    if (batched)
      context.setBatched(argument, now);
    else
      context.setUnbatched(argument, now);
  }
  OpBuilder::InsertionGuard guard(context.builder);
  context.builder.setInsertionPointToEnd(result.get());
  if (failed(context.batchBlock(block)))
    return nullptr;
  return result;
}

/// A 0-d tensor of i64 from an index.
static Value toTensor(OpBuilder &builder, Location loc, Value index) {
  Type number = builder.getI64Type();
  Value word = arith::IndexCastOp::create(builder, loc, number, index);
  return tensor::FromElementsOp::create(
      builder, loc, RankedTensorType::get({}, number), word);
}

/// The element of a 0-d tensor.
static Value toScalar(OpBuilder &builder, Location loc, Value tensor) {
  return tensor::ExtractOp::create(builder, loc, tensor, ValueRange());
}

/// One number, repeated for the batch.
static Value repeat(BatchContext &context, Location loc, Value tensor) {
  return BroadcastOp::create(context.builder, loc, tensor,
                             ArrayRef<int64_t>{context.size},
                             ArrayRef<int64_t>{});
}

/// For each element of the batch, one of two values.
static Value choose(BatchContext &context, Location loc, Value condition,
                    Value onTrue, Value onFalse) {
  ArrayRef<int64_t> shape = typeOf(onTrue).getShape();
  if (shape != typeOf(condition).getShape())
    condition = BroadcastOp::create(context.builder, loc, condition, shape,
                                    ArrayRef<int64_t>{0});
  return SelectOp::create(context.builder, loc, condition, onTrue, onFalse);
}

//===----------------------------------------------------------------------===//
// One element after the other
//===----------------------------------------------------------------------===//

bool grad::hasBatches(Type type) {
  auto isElement = [](Type type) {
    if (auto complex = dyn_cast<ComplexType>(type))
      type = complex.getElementType();
    return isNarrowFloat(type) || type.isF32() || type.isF64() ||
           (type.isSignlessInteger(1) ||
            (isa<IntegerType>(type) && !type.isSignedInteger() &&
             llvm::is_contained({8, 16, 32, 64},
                                type.getIntOrFloatBitWidth())));
  };
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    return tensor.hasStaticShape() && isElement(tensor.getElementType());
  return type.isIndex() || isElement(type);
}

LogicalResult grad::batchOneByOne(Operation *op, BatchContext &context,
                                  function_ref<void(Operation *copy)> adjust) {
  if (!isMemoryEffectFree(op) ||
      !llvm::all_of(op->getResultTypes(), hasBatches))
    return failure();
  OpBuilder &builder = context.builder;
  Location loc = op->getLoc();
  SetVector<Value> used(op->operand_begin(), op->operand_end());
  getUsedValuesDefinedAbove(op->getRegions(), used);
  auto index = [&](int64_t number) -> Value {
    return arith::ConstantIndexOp::create(builder, loc, number);
  };
  SmallVector<Value> stacks =
      llvm::map_to_vector(op->getResultTypes(), [&](Type type) {
        return createStack(builder, loc, type, context.size);
      });
  Flags all(op->getNumResults(), true);
  if (context.size == 0) {
    setResults(context, op->getResults(), stacks, all);
    return success();
  }
  auto loop = scf::ForOp::create(
      builder, loc, index(0), index(context.size), index(1), stacks,
      [&](OpBuilder &inside, Location loc, Value number, ValueRange carried) {
        IRMapping mapping;
        for (Value value : used) {
          Value now = context.get(value);
          mapping.map(
              value, context.isBatched(value)
                         ? createPeek(inside, loc, now, value.getType(), number)
                         : now);
        }
        Operation *copy = inside.clone(*op, mapping);
        adjust(copy);
        SmallVector<Value> pushed;
        for (auto [stack, value] : llvm::zip_equal(carried, copy->getResults()))
          pushed.push_back(createPush(inside, loc, stack, value, number));
        scf::YieldOp::create(inside, loc, pushed);
      });
  setResults(context, op->getResults(), loop.getResults(), all);
  return success();
}

/// Whether a loop that carries this should not choose in each iteration what to
/// keep: it is so much, or there is nothing to choose by.
static bool carriesMuch(ValueRange inits) {
  constexpr int64_t kMostBytes = 1 << 14;
  int64_t bytes = 0;
  for (Type type : inits.getTypes()) {
    if (!hasBatches(type))
      return true;
    bytes += getBytes(type);
  }
  return bytes > kMostBytes;
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

LogicalResult grad::batchFor(scf::ForOp op, BatchContext &context) {
  bool isMasked = context.isBatched(op.getUpperBound());
  if (context.isBatched(op.getLowerBound()) ||
      context.isBatched(op.getStep()) ||
      (isMasked &&
       (op.getUnsignedCmp() || !op.getInductionVar().getType().isIndex() ||
        carriesMuch(op.getInitArgs()))))
    return batchOneByOne(op, context);
  OpBuilder &builder = context.builder;
  Location loc = op.getLoc();
  Flags carried = findBatched(context, op.getInitArgs());
  if (isMasked)
    llvm::fill(carried, true);
  Operation *terminator = op.getBody()->getTerminator();
  std::unique_ptr<Block> body;
  do {
    Flags arguments{false};
    llvm::append_range(arguments, carried);
    body = batchDetached(context, *op.getBody(), arguments);
    if (!body)
      return failure();
  } while (addBatched(context, terminator->getOperands(), carried));

  Value end = context.get(op.getUpperBound());
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(body.get());
    SmallVector<Value> next = as(context, terminator->getOperands(), carried);
    if (isMasked) {
      Value number = toTensor(builder, loc, body->getArgument(0));
      Value goesOn =
          LessOp::create(builder, loc, repeat(context, loc, number), end);
      for (auto [value, before] :
           llvm::zip_equal(next, body->getArguments().drop_front()))
        value = choose(context, loc, goesOn, value, before);
    }
    scf::YieldOp::create(builder, loc, next);
  }
  Value start = context.get(op.getLowerBound());
  if (isMasked && context.size == 0) {
    end = start;
  } else if (isMasked) {
    end = ReduceMaxOp::create(builder, loc, end, ArrayRef<int64_t>{0});
    end = arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                     toScalar(builder, loc, end));
  }
  auto loop =
      scf::ForOp::create(builder, loc, start, end, context.get(op.getStep()),
                         as(context, op.getInitArgs(), carried));
  loop->setAttrs(op->getAttrs());
  loop.getBody()->erase();
  loop.getRegion().push_back(body.release());
  setResults(context, op.getResults(), loop.getResults(), carried);
  return success();
}

LogicalResult grad::batchWhile(scf::WhileOp op, BatchContext &context) {
  OpBuilder &builder = context.builder;
  Location loc = op.getLoc();
  scf::ConditionOp condition = op.getConditionOp();
  Operation *yield = op.getAfterBody()->getTerminator();
  Flags carried = findBatched(context, op.getInits());
  Flags passed(op.getNumResults(), false);
  std::unique_ptr<Block> before, after;
  bool isMasked = false, again = true;
  while (again) {
    before = batchDetached(context, *op.getBeforeBody(), carried);
    if (!before)
      return failure();
    // Elements that are done keep what they have.
    isMasked = context.isBatched(condition.getCondition());
    if (isMasked && carriesMuch(op.getInits()))
      return batchOneByOne(op, context);
    if (isMasked && llvm::is_contained(carried, false)) {
      llvm::fill(carried, true);
      continue;
    }
    addBatched(context, condition.getArgs(), passed);
    if (isMasked)
      llvm::fill(passed, true);
    after = batchDetached(context, *op.getAfterBody(), passed);
    if (!after)
      return failure();
    again = addBatched(context, yield->getOperands(), carried);
  }

  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(before.get());
    SmallVector<Value> handed = as(context, condition.getArgs(), passed);
    Value goesOn = context.get(condition.getCondition());
    SmallVector<Value> old;
    Value mask;
    if (isMasked) {
      // The region behind gets what it needs to keep, too.
      for (Value argument : before->getArguments()) {
        auto *place = llvm::find(handed, argument);
        if (place == handed.end()) {
          place = handed.insert(handed.end(), argument);
          after->addArgument(argument.getType(), loc);
        }
        old.push_back(after->getArgument(place - handed.begin()));
      }
      handed.push_back(goesOn);
      mask = after->addArgument(goesOn.getType(), loc);
      goesOn = toScalar(
          builder, loc,
          ReduceAnyOp::create(builder, loc, goesOn, ArrayRef<int64_t>{0}));
    }
    scf::ConditionOp::create(builder, loc, goesOn, handed);

    builder.setInsertionPointToEnd(after.get());
    SmallVector<Value> next = as(context, yield->getOperands(), carried);
    if (isMasked)
      for (auto [value, kept] : llvm::zip_equal(next, old))
        value = choose(context, loc, mask, value, kept);
    scf::YieldOp::create(builder, loc, next);
  }
  auto loop =
      scf::WhileOp::create(builder, loc, TypeRange(after->getArgumentTypes()),
                           as(context, op.getInits(), carried));
  loop->setAttrs(op->getAttrs());
  loop.getBefore().push_back(before.release());
  loop.getAfter().push_back(after.release());
  setResults(context, op.getResults(),
             loop.getResults().take_front(op.getNumResults()), passed);
  return success();
}

//===----------------------------------------------------------------------===//
// Branches
//===----------------------------------------------------------------------===//

/// Whether each element of the batch takes region `i` of a branch whose way
/// differs between them. Not asked for the last region.
static Value takesRegion(BatchContext &context, Operation *op, unsigned i) {
  Value selector = context.get(op->getOperand(0));
  auto branch = dyn_cast<scf::IndexSwitchOp>(op);
  if (!branch)
    return selector;
  auto type = RankedTensorType::get({}, context.builder.getI64Type());
  // The default is the first region.
  Value number =
      ConstantOp::create(context.builder, op->getLoc(),
                         DenseElementsAttr::get(type, branch.getCases()[i]));
  return EqualOp::create(context.builder, op->getLoc(), selector,
                         repeat(context, op->getLoc(), number));
}

/// All blocks, one behind the other, and a choice between their results.
static LogicalResult batchAllBlocks(Operation *op, ArrayRef<Region *> regions,
                                    BatchContext &context) {
  SmallVector<SmallVector<Value>> results;
  for (Region *region : regions) {
    if (region->empty())
      continue;
    if (failed(context.batchBlock(region->front())))
      return failure();
    Operation *terminator = region->front().getTerminator();
    results.push_back(as(context, terminator->getOperands(),
                         Flags(terminator->getNumOperands(), true)));
  }
  SmallVector<Value> chosen = results.back();
  for (unsigned i = results.size() - 1; i-- > 0;) {
    if (chosen.empty())
      break;
    Value takes = takesRegion(context, op, i);
    for (auto [value, here] : llvm::zip_equal(chosen, results[i]))
      value = choose(context, op->getLoc(), takes, here, value);
  }
  setResults(context, op->getResults(), chosen, Flags(chosen.size(), true));
  return success();
}

/// Whether `op` divides by a number that may be zero or accesses a place that
/// may be none, if it runs where it should not.
static bool mayBeWrong(Operation *op) {
  if (isa<tensor::ExtractOp>(op))
    return op->getNumOperands() > 1;
  if (isa<tensor::InsertOp>(op))
    return op->getNumOperands() > 2;
  if (auto slice = dyn_cast<OffsetSizeAndStrideOpInterface>(op))
    return !slice.getOffsets().empty() || !slice.getSizes().empty() ||
           !slice.getStrides().empty();
  return op->getNumRegions() == 0 && !isSpeculatable(op);
}

LogicalResult grad::batchBranch(Operation *op, BatchContext &context) {
  // The default of a switch is its first region: put last, what is left.
  SmallVector<Region *> regions;
  for (Region &region : op->getRegions())
    regions.push_back(&region);
  if (isa<scf::IndexSwitchOp>(op))
    std::rotate(regions.begin(), regions.begin() + 1, regions.end());
  if (op->getNumOperands() && context.isBatched(op->getOperand(0))) {
    // A loop that is not meant to run need not end, a call may fail, and so may
    // what makes sense for some numbers only; that on batches makes sense.
    auto mayNotRun = [&](Operation *nested) {
      bool mayFail = isa<LoopLikeOpInterface, CustomCallOp>(nested) ||
                     (!context.usesBatched(nested) && mayBeWrong(nested));
      return mayFail ? WalkResult::interrupt() : WalkResult::advance();
    };
    return op->walk(mayNotRun).wasInterrupted() || !isMemoryEffectFree(op)
               ? batchOneByOne(op, context)
               : batchAllBlocks(op, regions, context);
  }

  OpBuilder &builder = context.builder;
  Flags isBatched(op->getNumResults(), false);
  SmallVector<std::unique_ptr<Block>> blocks;
  for (Region &region : op->getRegions()) {
    auto &block = blocks.emplace_back();
    if (region.empty())
      continue;
    block = batchDetached(context, region.front(), {});
    if (!block)
      return failure();
    addBatched(context, region.front().getTerminator()->getOperands(),
               isBatched);
  }
  for (auto [region, block] : llvm::zip_equal(op->getRegions(), blocks)) {
    if (!block)
      continue;
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(block.get());
    Operation *terminator = region.front().getTerminator();
    scf::YieldOp::create(builder, op->getLoc(),
                         as(context, terminator->getOperands(), isBatched));
  }
  SmallVector<Type> types;
  for (auto [result, batched] : llvm::zip_equal(op->getResults(), isBatched))
    types.push_back(batched ? context.getBatchedType(result)
                            : result.getType());
  OperationState state(
      op->getLoc(), op->getName(),
      llvm::map_to_vector(op->getOperands(),
                          [&](Value value) { return context.get(value); }),
      types, op->getAttrs());
  for (std::unique_ptr<Block> &block : blocks) {
    Region *region = state.addRegion();
    if (block)
      region->push_back(block.release());
  }
  Operation *branch = builder.create(state);
  setResults(context, op->getResults(), branch->getResults(), isBatched);
  return success();
}

LogicalResult grad::batchSelect(arith::SelectOp op, BatchContext &context) {
  Location loc = op.getLoc();
  Value onTrue = context.getBatched(op.getTrueValue());
  Value onFalse = context.getBatched(op.getFalseValue());
  Value condition = context.get(op.getCondition());
  Value result;
  if (context.isBatched(op.getCondition()))
    result = choose(context, loc, condition, onTrue, onFalse);
  else if (condition.getType().isInteger(1))
    result = arith::SelectOp::create(context.builder, loc, condition, onTrue,
                                     onFalse);
  else
    result = SelectOp::create(context.builder, loc,
                              context.getBatched(op.getCondition()), onTrue,
                              onFalse);
  context.setBatched(op.getResult(), result);
  return success();
}
