//===- Stacks.cpp - Arrays of what loops leave behind ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Stacks.h"

#include "dialect/CarriedNeeds.h"
#include "dialect/ControlFlow.h"
#include "dialect/DeadOps.h"
#include "dialect/GradDialect.h"
#include "dialect/Restore.h"
#include "dialect/Rules.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "runtime/OpenSizes.h"
#include "runtime/Tapes.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

/// The attribute of a loop that writes zeros to a tape, and does nothing else.
static constexpr StringLiteral kZeros = "grad.zeros";
/// The same of a loop or branch in which others do that.
static constexpr StringLiteral kNestedZeros = "grad.nested_zeros";

bool grad::isStorable(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return type.isIntOrIndexOrFloat();
  Type element = tensor.getElementType();
  return tensor.hasStaticShape() && !tensor.getEncoding() &&
         (element.isIntOrIndexOrFloat() || isa<ComplexType>(element));
}

int64_t grad::getBytes(Type type) {
  auto bytesOf = [](Type element) -> int64_t {
    if (auto complex = dyn_cast<ComplexType>(element))
      return 2 * (complex.getElementType().getIntOrFloatBitWidth() / 8);
    return element.isIndex() ? 8 : (element.getIntOrFloatBitWidth() + 7) / 8;
  };
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    return tensor.getNumElements() * bytesOf(tensor.getElementType());
  return bytesOf(type);
}

Value grad::createUndefined(OpBuilder &builder, Location loc, Type type) {
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    return tensor::EmptyOp::create(builder, loc, tensor.getShape(),
                                   tensor.getElementType());
  return arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
}

/// What scalars of a type are in memory.
static Type storedAs(Type type) {
  return type.isIndex() ? IntegerType::get(type.getContext(), 64) : type;
}

Value grad::createStack(OpBuilder &builder, Location loc, Type type,
                        int64_t length) {
  SmallVector<int64_t> shape = {length};
  Type element = type;
  if (auto tensor = dyn_cast<RankedTensorType>(type)) {
    llvm::append_range(shape, tensor.getShape());
    element = tensor.getElementType();
  }
  return tensor::EmptyOp::create(builder, loc, shape, storedAs(element));
}

/// The indices of the slice that holds the value in place `index`, in a stack
/// whose places are dimension `places`.
static SmallVector<Value> indicesOf(OpBuilder &builder, Location loc,
                                    Value stack, Value index,
                                    int64_t places = 0) {
  auto position = RankedTensorType::get({}, builder.getI64Type());
  index = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), index);
  index = tensor::FromElementsOp::create(builder, loc, position, index);
  int64_t rank = cast<RankedTensorType>(stack.getType()).getRank();
  Value zero = rank > 1 ? createZero(builder, loc, position) : nullptr;
  SmallVector<Value> indices(rank, zero);
  indices[places] = index;
  return indices;
}

bool grad::isTape(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && isStorable(type) && tensor.getRank() > 0 &&
         llvm::none_of(tensor.getShape(), gradopt::findOpenSize) &&
         getBytes(type) > gradopt::kTapeBytes / 2;
}

Value grad::createTape(OpBuilder &builder, Location loc, Type type) {
  return createStack(builder, loc, type,
                     gradopt::countTapePlaces(getBytes(type)));
}

/// A tape of zeros, in as many places as a loop like `like` uses: the loops
/// that use a tape have the same number of iterations, and there may be one
/// value more.
static Value createZeroTape(OpBuilder &builder, scf::ForOp like, Type tape) {
  Location loc = like.getLoc();
  auto type = cast<RankedTensorType>(tape);
  SmallVector<int64_t> shape(type.getShape());
  size_t places = gradopt::findTapePlaces(shape.data(), shape.size(),
                                          getBytes(type.getElementType()));
  shape[places] = 1;
  Value zeros = createZero(builder, loc, type.clone(shape));
  Value empty = createUndefined(builder, loc, tape);
  Value begin = arith::ConstantIndexOp::create(builder, loc, 0);
  Value one = arith::ConstantIndexOp::create(builder, loc, 1);
  Value count = createNumber(builder, like, like.getUpperBound());
  count = arith::AddIOp::create(builder, loc, count, one);
  auto loop = scf::ForOp::create(
      builder, loc, begin, count, one, empty,
      [&](OpBuilder &nested, Location loc, Value number, ValueRange carried) {
        Value next = DynamicUpdateSliceOp::create(
            nested, loc, carried[0], zeros,
            indicesOf(nested, loc, carried[0], number, places));
        scf::YieldOp::create(nested, loc, next);
      });
  // Each tape is written to: to take two for one would mean to copy it.
  loop->setAttr(kZeros, DistinctAttr::create(builder.getUnitAttr()));
  return loop.getResult(0);
}

/// Whether the body of the loop itself puts values on the tape that is result
/// `i`: one in each iteration, or a row of them, one by one.
static bool pushesItself(scf::ForOp loop, unsigned i) {
  Value tape = loop.getYieldedValues()[i];
  while (auto push = tape.getDefiningOp<DynamicUpdateSliceOp>()) {
    if (push->getBlock() != loop.getBody())
      return false;
    tape = push.getX();
  }
  return tape == loop.getRegionIterArg(i) && tape != loop.getYieldedValues()[i];
}

static OpResult leaveZeros(Operation *op, unsigned i, Block *around);

/// Puts zeros where values are put on a tape, of which `tape` is the last
/// version in a block of a copy, which stands in `around`. What comes from
/// outside of the copy is the program's, and stays as it is.
static void pushZeros(OpOperand &tape, Block *around) {
  Block *block = tape.get().getParentBlock();
  Operation *copy = around->findAncestorOpInBlock(*tape.getOwner());
  if (!copy->isAncestor(block->getParentOp())) {
    OpBuilder before(copy);
    tape.set(createZeroTangent(before, tape.get()));
    return;
  }
  Operation *op = tape.get().getDefiningOp();
  if (auto push = dyn_cast_or_null<DynamicUpdateSliceOp>(op)) {
    OpBuilder builder(push);
    push.getUpdateMutable().assign(
        createZero(builder, push.getLoc(), push.getUpdate().getType()));
    pushZeros(push.getXMutable(), around);
  } else if (isa_and_nonnull<scf::ForOp, scf::IfOp, scf::IndexSwitchOp>(op)) {
    OpResult zeros =
        leaveZeros(op, cast<OpResult>(tape.get()).getResultNumber(), around);
    if (auto loop = dyn_cast<scf::ForOp>(zeros.getOwner()))
      pushZeros(loop.getInitArgsMutable()[0], around);
  }
}

/// Leaves of a loop or branch nothing but result `i`, a tape, and that with
/// zeros on it. It is a copy that stands in `around`, or lies in that.
static OpResult leaveZeros(Operation *op, unsigned i, Block *around) {
  OpBuilder builder(op);
  for (OpResult result : op->getResults())
    if (result.getResultNumber() != i && !result.use_empty())
      result.replaceAllUsesWith(
          createUndefined(builder, op->getLoc(), result.getType()));
  if (auto loop = dyn_cast<scf::ForOp>(op)) {
    loop = carryOnly(loop, {i});
    pushZeros(loop.getBody()->getTerminator()->getOpOperand(0), around);
    return cast<OpResult>(loop.getResult(0));
  }
  Operation *branch = createBranchLike(builder, op, op->getResult(i).getType());
  op->getResult(i).replaceAllUsesWith(branch->getResult(0));
  for (auto [from, to] :
       llvm::zip_equal(op->getRegions(), branch->getRegions())) {
    to.takeBody(from);
    Operation *yield = to.front().getTerminator();
    yield->setOperands(yield->getOperand(i));
    pushZeros(yield->getOpOperand(0), around);
  }
  op->erase();
  return branch->getResult(0);
}

/// Whether some loop carries arrays backwards: places may follow from these,
/// which a copy that runs forwards does not have.
static bool hasBackward(Operation *op) {
  return op
      ->walk([](scf::ForOp loop) {
        return countBackward(loop) ? WalkResult::interrupt()
                                   : WalkResult::advance();
      })
      .wasInterrupted();
}

/// A tape of zeros in the places where loops in a loop or branch have put
/// values: which these are takes a copy of it to know.
static Value createNestedZeros(OpBuilder &builder, OpResult tape) {
  Operation *copy = builder.clone(*tape.getOwner());
  OpResult zeros = leaveZeros(copy, tape.getResultNumber(), copy->getBlock());
  Operation *op = zeros.getOwner();
  eraseDeadOps(op);
  if (auto loop = dyn_cast<scf::ForOp>(op)) {
    OpBuilder before(op);
    loop.getInitArgsMutable()[0].assign(
        createZeroTangent(before, loop.getInitArgs()[0]));
  }
  op->setAttr(kNestedZeros, DistinctAttr::create(builder.getUnitAttr()));
  return zeros;
}

/// Changes the type of a tape in the loop or branch that writes zeros to it.
static void replaceTapeType(Operation *op, Type from, RankedTensorType to) {
  auto replace = [&](auto values) {
    for (Value value : values)
      if (value.getType() == from)
        value.setType(to);
  };
  op->walk([&](Operation *nested) {
    replace(nested->getResults());
    for (Region &region : nested->getRegions())
      replace(region.getArguments());
    auto push = dyn_cast<DynamicUpdateSliceOp>(nested);
    if (!push || push.getType() != to)
      return;
    OpBuilder builder(push);
    SmallVector<int64_t> shape(push.getUpdate().getType().getShape());
    shape.insert(shape.begin(), to.getShape().front());
    push.getUpdateMutable().assign(createZero(
        builder, push.getLoc(), push.getUpdate().getType().clone(shape)));
    Value first =
        createZero(builder, push.getLoc(), push.getIndices().front().getType());
    push.getIndicesMutable().assign([&] {
      SmallVector<Value> indices(push.getIndices());
      indices.insert(indices.begin(), first);
      return indices;
    }());
  });
}

Value grad::createBatchOfZeros(OpBuilder &builder, Value tape, Type type) {
  auto batch = cast<RankedTensorType>(type);
  if (tape.getDefiningOp<tensor::EmptyOp>())
    return createUndefined(builder, tape.getLoc(), type);
  auto result = dyn_cast<OpResult>(tape);
  if (!result || !isTape(tape.getType()))
    return nullptr;
  Operation *op = result.getOwner();
  if (op->hasAttr(kZeros))
    return createZeroTape(builder, cast<scf::ForOp>(op), type);
  if (!op->hasAttr(kNestedZeros))
    return nullptr;
  Operation *copy = builder.clone(*op);
  replaceTapeType(copy, tape.getType(), batch);
  OpBuilder before(copy);
  WalkResult found = copy->walk([&](Operation *nested) {
    for (OpOperand &operand : nested->getOpOperands()) {
      if (operand.get().getType() != tape.getType())
        continue;
      Value init = createBatchOfZeros(before, operand.get(), type);
      if (!init)
        return WalkResult::interrupt();
      operand.set(init);
    }
    return WalkResult::advance();
  });
  if (found.wasInterrupted()) {
    copy->erase();
    return nullptr;
  }
  copy->setAttr(kNestedZeros, DistinctAttr::create(builder.getUnitAttr()));
  return copy->getResult(0);
}

Value grad::createZeroTangent(OpBuilder &builder, Value primal) {
  Location loc = primal.getLoc();
  if (isTape(primal.getType())) {
    if (primal.getDefiningOp<tensor::EmptyOp>())
      return createUndefined(builder, loc, primal.getType());
    if (auto push = primal.getDefiningOp<DynamicUpdateSliceOp>())
      return DynamicUpdateSliceOp::create(
          builder, push.getLoc(), createZeroTangent(builder, push.getX()),
          createZero(builder, push.getLoc(), push.getUpdate().getType()),
          push.getIndices());
    auto result = dyn_cast<OpResult>(primal);
    auto loop = primal.getDefiningOp<scf::ForOp>();
    if (loop && pushesItself(loop, result.getResultNumber()))
      return createZeroTape(builder, loop, primal.getType());
    if (result &&
        isa<scf::ForOp, scf::IfOp, scf::IndexSwitchOp>(result.getOwner()) &&
        !hasBackward(result.getOwner()))
      return createNestedZeros(builder, result);
  }
  return createZero(builder, loc, primal.getType());
}

/// The index of a value in the rows of a stack.
static Value createColumn(OpBuilder &builder, Location loc, int64_t column) {
  auto type = RankedTensorType::get({}, builder.getI64Type());
  return ConstantOp::create(builder, loc, DenseElementsAttr::get(type, column));
}

Value grad::createPush(OpBuilder &builder, Location loc, Value stack,
                       Value value, Value index, int64_t column) {
  if (value.getType().isIndex())
    value =
        arith::IndexCastOp::create(builder, loc, builder.getI64Type(), value);
  if (!isa<RankedTensorType>(value.getType()))
    value = tensor::FromElementsOp::create(
        builder, loc, RankedTensorType::get({}, value.getType()), value);
  SmallVector<int64_t> shape(
      cast<RankedTensorType>(stack.getType()).getShape());
  shape.front() = 1;
  SmallVector<Value> indices = indicesOf(builder, loc, stack, index);
  if (column >= 0) {
    shape[1] = 1;
    indices[1] = createColumn(builder, loc, column);
  }
  value = ReshapeOp::create(builder, loc, value, shape);
  return DynamicUpdateSliceOp::create(builder, loc, stack, value, indices);
}

Value grad::createPeek(OpBuilder &builder, Location loc, Value stack, Type type,
                       Value index, int64_t column) {
  SmallVector<int64_t> shape(
      cast<RankedTensorType>(stack.getType()).getShape());
  shape.front() = 1;
  SmallVector<Value> indices = indicesOf(builder, loc, stack, index);
  if (column >= 0) {
    shape[1] = 1;
    indices[1] = createColumn(builder, loc, column);
  }
  Value value = DynamicSliceOp::create(builder, loc, stack, indices, shape);
  value = ReshapeOp::create(
      builder, loc, value,
      ArrayRef<int64_t>(shape).drop_front(column < 0 ? 1 : 2));
  if (isa<RankedTensorType>(type))
    return value;
  value = tensor::ExtractOp::create(builder, loc, value, ValueRange());
  if (type.isIndex())
    value = arith::IndexCastOp::create(builder, loc, type, value);
  return value;
}

/// So many scalars of a type are in rows of one stack: what passes do for a
/// loop takes more than linear time in the number of values that it carries.
/// Fewer have stacks of their own, which loops that become vectors fill and
/// read without gaps.
static constexpr int64_t kManyScalars = 128;

/// So many values of a type, arrays, too, are in rows of one tape: there are
/// addresses for about a hundred tapes.
static constexpr int64_t kManyOnTapes = 12;

/// Where one of several values is: the number of its stack, and its place in
/// the rows of that, or -1 if it is all of what that holds.
using StackPlace = std::pair<unsigned, int64_t>;

/// Places for values of these types, and the types that the stacks hold.
static SmallVector<StackPlace> placesOf(TypeRange types, bool onTapes,
                                        SmallVectorImpl<Type> &held) {
  auto placedAs = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor ? tensor : RankedTensorType::get({}, storedAs(type));
  };
  DenseMap<Type, int64_t> counts;
  for (Type type : types)
    ++counts[placedAs(type)];
  DenseMap<Type, StackPlace> next;
  return llvm::map_to_vector(types, [&](Type type) -> StackPlace {
    RankedTensorType placed = placedAs(type);
    int64_t count = counts[placed];
    bool share = onTapes ? count >= kManyOnTapes
                         : count >= kManyScalars && placed.getRank() == 0;
    if (!share) {
      held.push_back(type);
      return {held.size() - 1, -1};
    }
    auto [it, isFirst] = next.try_emplace(placed, held.size(), 0);
    if (isFirst) {
      SmallVector<int64_t> shape(placed.getShape());
      shape.insert(shape.begin(), count);
      held.push_back(placed.clone(shape));
    }
    return {it->second.first, it->second.second++};
  });
}

SmallVector<Type> grad::typesOnTapes(TypeRange types) {
  SmallVector<Type> held;
  placesOf(types, /*onTapes=*/true, held);
  return held;
}

SmallVector<Value> grad::createStacks(OpBuilder &builder, Location loc,
                                      TypeRange types, int64_t length) {
  SmallVector<Type> held;
  placesOf(types, /*onTapes=*/false, held);
  return llvm::map_to_vector(
      held, [&](Type type) { return createStack(builder, loc, type, length); });
}

/// Places for values of these types in stacks that were created for them.
static SmallVector<StackPlace> placesIn(ValueRange stacks, TypeRange types) {
  SmallVector<Type> held;
  return placesOf(types, !stacks.empty() && isTape(stacks.front().getType()),
                  held);
}

SmallVector<Value> grad::pushAll(OpBuilder &builder, Location loc,
                                 ValueRange stacks, ValueRange values,
                                 Value index) {
  SmallVector<Value> pushed(stacks);
  for (auto [value, place] :
       llvm::zip_equal(values, placesIn(stacks, values.getTypes())))
    pushed[place.first] = createPush(builder, loc, pushed[place.first], value,
                                     index, place.second);
  return pushed;
}

SmallVector<Value> grad::peekAll(OpBuilder &builder, Location loc,
                                 ValueRange stacks, TypeRange types,
                                 Value index) {
  SmallVector<Value> values;
  for (auto [type, place] : llvm::zip_equal(types, placesIn(stacks, types)))
    values.push_back(createPeek(builder, loc, stacks[place.first], type, index,
                                place.second));
  return values;
}

/// Whether an operation computes a scalar, or puts one on a stack.
static bool isOfScalars(Operation *op) {
  if (auto push = dyn_cast<DynamicUpdateSliceOp>(op))
    return push.getUpdate().getType().getNumElements() == 1;
  return op->getNumRegions() == 0 && isMemoryEffectFree(op) &&
         llvm::all_of(op->getResultTypes(), [](Type type) {
           auto tensor = dyn_cast<RankedTensorType>(type);
           return !tensor ||
                  (tensor.hasStaticShape() && tensor.getNumElements() == 1);
         });
}

void grad::pushEarly(Block &block, ValueRange pushed) {
  if (block.getOperations().size() < kLongBlock)
    return;
  llvm::SmallPtrSet<Operation *, 32> moved;
  auto isOnlyForStacks = [&](Operation &op) {
    return isOfScalars(&op) &&
           llvm::all_of(op.getUsers(), [&](Operation *user) {
             return moved.contains(user) ||
                    (user == block.getTerminator() &&
                     llvm::is_contained(pushed, op.getResult(0)));
           });
  };
  for (Operation &op : llvm::reverse(block.without_terminator()))
    if (isOnlyForStacks(op))
      moved.insert(&op);

  // Each moved one gets the place of the last of its operands.
  DenseMap<Operation *, unsigned> places;
  SmallVector<std::pair<unsigned, Operation *>> order;
  for (auto [i, op] : llvm::enumerate(block.without_terminator())) {
    unsigned place = moved.contains(&op) ? 0 : i;
    if (moved.contains(&op))
      for (Value operand : op.getOperands())
        if (Operation *def = operand.getDefiningOp();
            def && def->getBlock() == &block)
          place = std::max(place, places[def]);
    places[&op] = place;
    order.emplace_back(place, &op);
  }
  llvm::stable_sort(order, llvm::less_first());
  for (auto [place, op] : order)
    op->moveBefore(block.getTerminator());
}
