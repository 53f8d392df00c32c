//===- CarryInPlace.cpp - Loops on tensors that update buffers ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-carry-in-place`, on linalg on tensors, before bufferization, which
/// accepts a loop only if each carried tensor is computed in the buffer that it
/// came in. Outer loops and branches first:
///
///  1. A while loop hands its tensors from the condition to the body in the
///     places in which they are carried. A loop that fills what is inserted
///     behind it fills it there.
///  2. At the end of an iteration, each next tensor is written to the carried
///     one, unless it is an update of that in place; insertions wait for all
///     reads of what they overwrite, or these read copies of parts. What may be
///     another carried tensor is copied first.
///  3. The branches of an op write a result to one tensor: to the one that is
///     overwritten with it later, or that a branch updates.
///  4. What is computed to be written to a tensor is computed in it, unless
///     something reads the tensor until then, other than the same elements in
///     the same operation: this gets memory of its own and is copied.
///
/// Without step 4, bufferization would copy all that is read.
///
//===----------------------------------------------------------------------===//

#include "dialect/Rules.h"
#include "passes/Passes.h"
#include "passes/TensorUpdates.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADCARRYINPLACE
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

static Value createEmpty(OpBuilder &builder, Location loc, Type type) {
  auto tensorType = cast<RankedTensorType>(type);
  return tensor::EmptyOp::create(builder, loc, tensorType.getShape(),
                                 tensorType.getElementType());
}

/// The op that writes `result` to all of a tensor and is its only user.
static tensor::InsertSliceOp getWrite(OpResult result) {
  if (!result.hasOneUse())
    return {};
  auto write = dyn_cast<tensor::InsertSliceOp>(*result.user_begin());
  bool isWhole = write && write.getSource() == result &&
                 write.getSourceType() == write.getDestType();
  return isWhole ? write : nullptr;
}

/// Moves the insertions that make `value` from `first`, and that serve nothing
/// else, before `yield`: what they overwrite may be read until then.
static void insertLast(Value value, Value first, Operation *yield) {
  SmallVector<Operation *> insertions;
  while (value != first) {
    auto insertion = value.getDefiningOp<DestinationStyleOpInterface>();
    if (!isa_and_nonnull<tensor::InsertOp, tensor::InsertSliceOp>(
            insertion.getOperation()) ||
        !value.hasOneUse() || insertion->getBlock() != yield->getBlock())
      return;
    insertions.push_back(insertion);
    value = insertion.getDpsInits().front();
  }
  for (Operation *insertion : llvm::reverse(insertions))
    insertion->moveBefore(yield);
}

using Parts = llvm::SetVector<tensor::ExtractSliceOp>;

/// Adds the parts of a tensor that are read on its way from `first` to `next`;
/// fails if it is not one tensor.
static LogicalResult addPartsRead(Value next, Value first, Parts &parts) {
  for (Value version = next; version; version = getPrevious(version)) {
    for (Operation *user : version.getUsers())
      if (auto part = dyn_cast<tensor::ExtractSliceOp>(user);
          part && part.getType().hasStaticShape())
        parts.insert(part);
    if (version == first)
      return success();
    Value previous = getPrevious(version);
    if (previous && isBranch(version.getDefiningOp()))
      for (Value yielded : getYielded(cast<OpResult>(version)))
        if (failed(addPartsRead(yielded, previous, parts)))
          return failure();
  }
  return failure();
}

// Of more of them, none is looked at.
static constexpr size_t kMostParts = 64;

/// The same; none if there are too many.
static Parts findPartsRead(Value next, Value first) {
  Parts parts;
  if (failed(addPartsRead(next, first, parts)) || parts.size() > kMostParts)
    return {};
  return parts;
}

/// Moves `op` in its block to where all its operands are there.
static void moveUp(Operation *op) {
  Operation *last = nullptr;
  for (Value operand : op->getOperands())
    if (Operation *def = operand.getDefiningOp();
        def && def->getBlock() == op->getBlock() &&
        (!last || last->isBeforeInBlock(def)))
      last = def;
  if (last)
    op->moveAfter(last);
  else
    op->moveBefore(&op->getBlock()->front());
}

/// Whether the user only reads the tensor, or is a branch that passes it on.
static bool onlyReads(OpOperand &use) {
  Operation *user = use.getOwner();
  if (auto op = dyn_cast<DestinationStyleOpInterface>(user))
    return op.isDpsInput(&use);
  return isa<scf::YieldOp>(user) && isBranch(user->getParentOp());
}

/// Lets copies of parts of `first` be used instead of the parts, where
/// `canUseCopy`, as few as make `next` an update of it in place; none if there
/// are none, or if they have as many elements as the tensor.
static void useCopies(Value next, Value first,
                      function_ref<bool(OpOperand &)> canUseCopy) {
  auto type = cast<RankedTensorType>(first.getType());
  SmallVector<std::pair<Value, Value>> copies;
  auto replace = [&](Value from, Value to) {
    from.replaceUsesWithIf(to, [&](OpOperand &use) {
      return use.getOwner() != to.getDefiningOp() && canUseCopy(use);
    });
  };
  for (tensor::ExtractSliceOp part : findPartsRead(next, first)) {
    moveUp(part);
    OpBuilder builder(part.getContext());
    builder.setInsertionPointAfter(part);
    copies.push_back({part, createCopy(builder, part.getLoc(), part)});
    replace(part, copies.back().second);
  }
  bool isEnough = isUpdateInPlace(next, first);
  int64_t elements = 0;
  for (auto [part, copy] : copies) {
    replace(copy, part);
    if (isEnough && !isUpdateInPlace(next, first)) {
      replace(part, copy);
      elements += cast<RankedTensorType>(copy.getType()).getNumElements();
    }
  }
  for (auto [part, copy] : copies) {
    if (elements >= type.getNumElements())
      replace(copy, part);
    if (copy.use_empty())
      copy.getDefiningOp()->erase();
  }
}

/// The same: copies of parts are read, or, if that is not enough, are what a
/// loop begins with or whatever else is done with a part.
static void readCopies(Value next, Value first) {
  if (!cast<RankedTensorType>(first.getType()).hasStaticShape())
    return;
  useCopies(next, first, onlyReads);
  if (!isUpdateInPlace(next, first))
    useCopies(next, first, [](OpOperand &) { return true; });
}

/// Writes what `yield` passes on to the next iteration to the tensors that the
/// iteration began with, where it is not computed in place.
static void writeNext(Operation *yield, ValueRange carried) {
  SmallVector<OpOperand *> writes;
  llvm::SmallPtrSet<Value, 4> written;
  for (OpOperand &next : yield->getOpOperands()) {
    if (!isTensor(next.get()))
      continue;
    Value own = carried[next.getOperandNumber()];
    if (!isUpdateInPlace(next.get(), own))
      insertLast(next.get(), own, yield);
    if (!isUpdateInPlace(next.get(), own))
      readCopies(next.get(), own);
    if (isUpdateInPlace(next.get(), own))
      continue;
    writes.push_back(&next);
    written.insert(own);
  }
  // What may lie in what is written is copied first.
  OpBuilder builder(yield);
  for (OpOperand *next : writes)
    if (mayLieIn(next->get(), written, carried[next->getOperandNumber()]))
      next->set(createCopy(builder, yield->getLoc(), next->get()));
  for (OpOperand *next : writes)
    next->set(createWrite(builder, yield->getLoc(), next->get(),
                          carried[next->getOperandNumber()]));
}

/// Whether the condition of `loop` passes the tensors that the loop carries,
/// and no others, to the body in the same places.
static bool passesOnTensors(scf::WhileOp loop) {
  ValueRange before = loop.getBeforeArguments();
  ValueRange passed = loop.getConditionOp().getArgs();
  for (size_t i = 0, e = std::max(before.size(), passed.size()); i < e; ++i) {
    bool isCarried = i < before.size() && isTensor(before[i]);
    bool isPassed = i < passed.size() && isTensor(passed[i]);
    if ((isCarried || isPassed) &&
        (!isCarried || !isPassed || before[i] != passed[i]))
      return false;
  }
  return true;
}

/// Rewrites `loop` so that its condition passes on all carried tensors in their
/// places. Other tensors that it passes on become carried ones.
static void passOnTensors(scf::WhileOp loop) {
  OpBuilder builder(loop);
  Location loc = loop.getLoc();
  Block *before = loop.getBeforeBody(), *after = loop.getAfterBody();
  scf::ConditionOp condition = loop.getConditionOp();
  scf::YieldOp yield = loop.getYieldOp();

  // What the new loop carries, and what the old one means by it.
  SmallVector<Value> inits, passed;
  SmallVector<Value> oldArguments; ///< Of the condition; null for new ones.
  for (bool tensors : {true, false}) {
    for (BlockArgument argument : before->getArguments())
      if (isTensor(argument) == tensors) {
        inits.push_back(loop.getInits()[argument.getArgNumber()]);
        oldArguments.push_back(argument);
        if (tensors)
          passed.push_back(argument);
      }
    if (!tensors)
      break;
    for (Value value : condition.getArgs())
      if (isTensor(value) && !llvm::is_contained(passed, value)) {
        inits.push_back(createEmpty(builder, loc, value.getType()));
        oldArguments.push_back(nullptr);
        passed.push_back(value);
      }
  }
  size_t numTensors = passed.size();
  for (Value value : condition.getArgs())
    if (!isTensor(value))
      passed.push_back(value);

  auto created =
      scf::WhileOp::create(builder, loc, ValueRange(passed).getTypes(), inits);
  auto addBlock = [&](Region &region, TypeRange types) {
    return builder.createBlock(&region, {}, types,
                               SmallVector<Location>(types.size(), loc));
  };
  Block *newBefore =
      addBlock(created.getBefore(), ValueRange(inits).getTypes());
  Block *newAfter = addBlock(created.getAfter(), ValueRange(passed).getTypes());
  newBefore->getOperations().splice(newBefore->end(), before->getOperations());
  newAfter->getOperations().splice(newAfter->end(), after->getOperations());

  // The body and the users of the loop get what the condition passed.
  size_t nextScalar = numTensors;
  for (auto [number, value] : llvm::enumerate(condition.getArgs())) {
    size_t place = isTensor(value) ? llvm::find(passed, value) - passed.begin()
                                   : nextScalar++;
    after->getArgument(number).replaceAllUsesWith(newAfter->getArgument(place));
    loop.getResult(number).replaceAllUsesWith(created.getResult(place));
  }
  SmallVector<Value> next;
  for (auto [place, argument] : llvm::enumerate(oldArguments))
    next.push_back(argument ? yield.getOperand(
                                  cast<BlockArgument>(argument).getArgNumber())
                            : Value(newAfter->getArgument(place)));
  yield->setOperands(next);

  builder.setInsertionPoint(condition);
  for (auto [place, argument] : llvm::enumerate(oldArguments))
    if (argument)
      argument.replaceAllUsesWith(newBefore->getArgument(place));
  for (size_t place = 0; place < numTensors; ++place)
    passed[place] = oldArguments[place]
                        ? Value(newBefore->getArgument(place))
                        : createWrite(builder, loc, passed[place],
                                      newBefore->getArgument(place));
  for (size_t place = numTensors; place < passed.size(); ++place)
    if (auto argument = dyn_cast<BlockArgument>(passed[place]);
        argument && argument.getOwner() == before)
      passed[place] = newBefore->getArgument(
          llvm::find(oldArguments, argument) - oldArguments.begin());
  condition.getArgsMutable().assign(passed);
  loop.erase();
}

//===----------------------------------------------------------------------===//
// Branches
//===----------------------------------------------------------------------===//

/// Whether the branches of `op` may write their result `number` to `value`: a
/// loop carries it or it was made from nothing, and nobody but `write` accesses
/// it behind `op` or gets it as another result.
static bool canOverwrite(Value value, Operation *op, unsigned number,
                         Operation *write) {
  if (isRepeatedSince(value, op))
    return false;
  Value origin = value;
  Operation *update = nullptr;
  for (Value version = value; version; version = getPrevious(version)) {
    bool isRead = !allUses(version, [&](OpOperand &use) {
      Operation *user = use.getOwner();
      return user == write || user == update || op->isAncestor(user) ||
             isDoneBefore(use, op);
    });
    if (isRead)
      return false;
    origin = version;
    update = version.getDefiningOp();
  }
  auto argument = dyn_cast<BlockArgument>(origin);
  Operation *maker =
      argument ? argument.getOwner()->getParentOp() : origin.getDefiningOp();
  // The condition of a while loop passes on what it got.
  auto loop = dyn_cast<scf::WhileOp>(maker);
  bool isOwn = argument
                   ? isa<LoopLikeOpInterface>(maker) &&
                         !(loop && argument.getOwner() == loop.getBeforeBody())
                   : isa<tensor::EmptyOp>(maker);
  return isOwn && llvm::none_of(op->getRegions(), [&](Region &region) {
           return llvm::any_of(
               region.front().getTerminator()->getOpOperands(),
               [&](OpOperand &yielded) {
                 return yielded.getOperandNumber() != number &&
                        isTensor(yielded.get()) &&
                        collectOrigins(yielded.get()).contains(origin);
               });
         });
}

/// Lets all branches of `op` write each result to the same tensor: to the one
/// that it is written to behind `op`, or that a branch updates, if possible.
static void joinBranches(Operation *op) {
  OpBuilder builder(op);
  for (OpResult result : op->getResults()) {
    auto type = dyn_cast<RankedTensorType>(result.getType());
    if (!type || !type.hasStaticShape() || getPrevious(result))
      continue;
    tensor::InsertSliceOp write = getWrite(result);
    if (write && (write->getBlock() != op->getBlock() ||
                  !isAvailable(write.getDest(), op)))
      write = nullptr;
    SmallVector<Value> yielded = getYielded(result);
    SmallVector<Value> candidates;
    if (write)
      candidates.push_back(write.getDest());
    for (Value value : yielded)
      candidates.push_back(updatedFromOutside(value, op));
    auto found = llvm::find_if(candidates, [&](Value candidate) {
      return candidate && candidate.getType() == type &&
             canOverwrite(candidate, op, result.getResultNumber(), write);
    });
    builder.setInsertionPoint(op);
    Value destination = found != candidates.end()
                            ? *found
                            : createEmpty(builder, op->getLoc(), type);
    for (auto [region, value] : llvm::zip_equal(op->getRegions(), yielded)) {
      if (isUpdateInPlace(value, destination))
        continue;
      Operation *yield = region.front().getTerminator();
      builder.setInsertionPoint(yield);
      if (collectOrigins(value).contains(destination))
        value = createCopy(builder, yield->getLoc(), value);
      yield->setOperand(
          result.getResultNumber(),
          createWrite(builder, yield->getLoc(), value, destination));
    }
    if (write && destination == write.getDest()) {
      write.getResult().replaceAllUsesWith(result);
      write.erase();
    }
  }
}

//===----------------------------------------------------------------------===//
// Parts that loops write
//===----------------------------------------------------------------------===//

/// The insertions by which an iteration makes `next` of `first`, of which
/// nobody reads anything; none if something else happens to it.
static SmallVector<Operation *> findInsertions(Value next, Value first) {
  SmallVector<Operation *> insertions;
  while (next != first) {
    auto op = next.getDefiningOp<DestinationStyleOpInterface>();
    if (!isa_and_nonnull<tensor::InsertOp, tensor::InsertSliceOp>(
            op.getOperation()) ||
        !next.hasOneUse())
      return {};
    insertions.push_back(op);
    next = op.getDpsInits().front();
  }
  return first.hasOneUse() ? insertions : SmallVector<Operation *>();
}

/// Whether `op` puts its source into a part without gaps.
static bool hasUnitStrides(tensor::InsertSliceOp op) {
  return llvm::all_of(op.getMixedStrides(), [](OpFoldResult stride) {
    return isConstantIntValue(stride, 1);
  });
}

/// A loop fills a tensor that begins with nothing, and which is inserted into
/// another one behind it => it carries the other one, and writes to the part.
/// What it does not fill is not copied then.
static void fillPart(tensor::InsertSliceOp insertion) {
  auto source = dyn_cast<OpResult>(insertion.getSource());
  auto loop = source ? dyn_cast<scf::ForOp>(source.getOwner()) : nullptr;
  Value whole = insertion.getDest();
  if (!loop || loop->getBlock() != insertion->getBlock() ||
      !source.hasOneUse() || !isAvailable(whole, loop) ||
      !hasUnitStrides(insertion) ||
      !loop.getTiedLoopInit(source)->get().getDefiningOp<tensor::EmptyOp>() ||
      !llvm::all_of(insertion->getOperands().drop_front(2),
                    [&](Value offset) { return isAvailable(offset, loop); }))
    return;
  for (Value version = whole; version; version = getPrevious(version))
    if (!version.hasOneUse())
      return;
  BlockArgument carried = loop.getTiedLoopRegionIterArg(source);
  SmallVector<Operation *> insertions = findInsertions(
      loop.getYieldedValues()[source.getResultNumber()], carried);
  auto isPart = [](Operation *op) {
    auto slice = dyn_cast<tensor::InsertSliceOp>(op);
    return !slice || hasUnitStrides(slice);
  };
  if (insertions.empty() || !llvm::all_of(insertions, isPart))
    return;

  llvm::SmallBitVector dropped = insertion.getDroppedDims();
  SmallVector<OpFoldResult> begins = insertion.getMixedOffsets();
  // Where the part is in the other tensor, given where it is in this one.
  auto place = [&](OpBuilder &builder, Location loc,
                   ArrayRef<OpFoldResult> inner) {
    SmallVector<OpFoldResult> places;
    const auto *next = inner.begin();
    for (auto [d, begin] : llvm::enumerate(begins)) {
      if (dropped.test(d)) {
        places.push_back(begin);
      } else if (OpFoldResult offset = *next++; isConstantIntValue(begin, 0)) {
        places.push_back(offset);
      } else {
        auto toValue = [&](OpFoldResult index) {
          return getValueOrCreateConstantIndexOp(builder, loc, index);
        };
        Value a = toValue(begin), b = toValue(offset);
        places.push_back(builder.createOrFold<arith::AddIOp>(loc, a, b));
      }
    }
    return places;
  };
  for (Operation *op : insertions) {
    OpBuilder builder(op);
    Location loc = op->getLoc();
    op->getResult(0).setType(whole.getType());
    if (auto element = dyn_cast<tensor::InsertOp>(op)) {
      SmallVector<OpFoldResult> inner(element.getIndices().begin(),
                                      element.getIndices().end());
      element.getIndicesMutable().assign(getValueOrCreateConstantIndexOp(
          builder, loc, place(builder, loc, inner)));
      continue;
    }
    auto slice = cast<tensor::InsertSliceOp>(op);
    SmallVector<OpFoldResult> sizes;
    SmallVector<OpFoldResult> innerSizes = slice.getMixedSizes();
    const auto *next = innerSizes.begin();
    for (size_t d = 0; d < begins.size(); ++d)
      sizes.push_back(dropped.test(d) ? builder.getIndexAttr(1) : *next++);
    SmallVector<OpFoldResult> strides(sizes.size(), builder.getIndexAttr(1));
    auto moved = tensor::InsertSliceOp::create(
        builder, loc, slice.getSource(), slice.getDest(),
        place(builder, loc, slice.getMixedOffsets()), sizes, strides);
    moved.getResult().setType(cast<RankedTensorType>(whole.getType()));
    slice.replaceAllUsesWith(moved.getResult());
    slice.erase();
  }
  carried.setType(whole.getType());
  loop.getTiedLoopInit(source)->set(whole);
  source.setType(whole.getType());
  insertion.replaceAllUsesWith(source);
  insertion.erase();
}

//===----------------------------------------------------------------------===//
// Computing in place
//===----------------------------------------------------------------------===//

namespace {

/// The operations that compute a tensor in a buffer of its own.
struct Computation {
  explicit Computation(Value result) {
    while (Value previous = getPrevious(result)) {
      first = result.getDefiningOp();
      result = previous;
    }
    if (first)
      empty = result.getDefiningOp<tensor::EmptyOp>();
  }

  /// Keeps the buffer apart from all others.
  void separate() {
    OpBuilder builder(empty);
    Value alloc = bufferization::AllocTensorOp::create(
        builder, empty.getLoc(), empty.getType(), empty.getDynamicSizes());
    empty.replaceAllUsesWith(alloc);
    empty.erase();
  }

  Operation *first = nullptr;
  tensor::EmptyOp empty; ///< Null if there is no such buffer.
};

} // namespace

/// Computes what `write` writes to a whole tensor there, if nobody reads what
/// is there meanwhile, else in memory of its own.
static void placeWritten(tensor::InsertSliceOp write) {
  Value source = write.getSource(), destination = write.getDest();
  tensor::EmptyOp empty = Computation(source).empty;
  if (!empty || empty == destination.getDefiningOp())
    return;
  // Not another value that a branch may have in the same buffer.
  auto makesSource = [&](Operation *user) {
    for (Value value = source; value.getDefiningOp() != empty;
         value = getPrevious(value))
      if (value.getDefiningOp()->isAncestor(user))
        return true;
    return false;
  };
  auto canTry = [&](Value place) {
    return place.getType() == empty.getType() &&
           llvm::all_of(empty->getUsers(), [&](Operation *user) {
             return isAvailable(place, user) && makesSource(user);
           });
  };
  // What is written may be computed from a later version of the tensor.
  llvm::SetVector<Value> places;
  places.insert(destination);
  for (OpOperand &init : empty->getUses())
    for (OpOperand &operand : init.getOwner()->getOpOperands())
      if (readsWrittenElements(operand, init))
        places.insert(operand.get());
  for (Value place : places) {
    if (!canTry(place))
      continue;
    auto pointers = [](Value value) {
      return llvm::map_to_vector(value.getUses(),
                                 [](OpOperand &use) { return &use; });
    };
    SmallVector<OpOperand *> begins = pointers(empty);
    SmallVector<OpOperand *> users = pointers(write.getResult());
    OpBuilder behind(write->getContext());
    behind.setInsertionPointAfter(write);
    Location loc = write.getLoc();
    empty.replaceAllUsesWith(place);
    write.replaceAllUsesWith(source);
    write.erase();
    if (!isUpdateInPlace(source, destination))
      readCopies(source, destination);
    if (isUpdateInPlace(source, destination)) {
      empty.erase();
      return;
    }
    for (OpOperand *use : begins)
      use->set(empty);
    write = createWrite(behind, loc, source, destination)
                .getDefiningOp<tensor::InsertSliceOp>();
    for (OpOperand *use : users)
      use->set(write);
  }
  Computation(source).separate();
}

/// Computes what `insertion` inserts in the slice that it is computed from, if
/// that is where it is inserted. Gives it memory of its own if somebody reads
/// the tensor meanwhile that it is inserted into.
static void placeInserted(tensor::InsertSliceOp insertion) {
  Computation computation(insertion.getSource());
  Block *block = insertion->getBlock();
  Operation *begin = computation.empty
                         ? block->findAncestorOpInBlock(*computation.first)
                         : nullptr;
  if (!begin)
    return;
  // Bufferization takes two equal slices for different ones.
  Value slice;
  auto isSlice = [&](OpOperand &use) {
    auto from = use.get().getDefiningOp<tensor::ExtractSliceOp>();
    if (!from || !computation.empty->hasOneUse() ||
        !readsWrittenElements(use, *computation.empty->use_begin()) ||
        !from.isSameAs(insertion, isEqualConstantIntOrValue) ||
        from.getType() != computation.empty.getType() ||
        (slice && slice != use.get()))
      return false;
    slice = use.get();
    return true;
  };
  for (Value version = insertion.getDest(); version;
       version = getPrevious(version)) {
    bool isFree = allUses(version, [&](OpOperand &use) {
      Operation *at = block->findAncestorOpInBlock(*use.getOwner());
      return !at || at == insertion || at->isBeforeInBlock(begin) ||
             insertion->isBeforeInBlock(at) || isSlice(use) ||
             readsOtherPart(use, insertion, *computation.empty->use_begin());
    });
    if (!isFree)
      return computation.separate();
  }
  if (slice)
    computation.empty.replaceAllUsesWith(slice);
}

/// Moves insertions behind the reads of what they overwrite, where these do not
/// need them: the transpose of an update first makes the new cotangent, and
/// then uses the part that it takes out of the old one.
static void insertAfterReads(Block &block) {
  DenseMap<Operation *, unsigned> positions;
  for (auto [i, op] : llvm::enumerate(block))
    positions[&op] = i;
  auto ancestor = [&](Operation *op) {
    return block.findAncestorOpInBlock(*op);
  };
  // What was moved has the position of the op that it stands before.
  auto isBefore = [&](Operation *a, Operation *b) {
    unsigned left = positions.at(a), right = positions.at(b);
    return left == right ? a->isBeforeInBlock(b) : left < right;
  };
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
    auto insertion = dyn_cast<tensor::InsertSliceOp>(op);
    if (!insertion || insertion->use_empty())
      continue;
    auto isReadLater = [&](Operation *user) {
      return user != insertion &&
             positions.at(ancestor(user)) > positions.at(&op);
    };
    bool isRead =
        llvm::any_of(insertion.getDest().getUsers(), [&](Operation *user) {
          if (!ancestor(user))
            return false;
          if (isa<tensor::ExtractSliceOp>(user))
            return llvm::any_of(user->getUsers(), isReadLater);
          return isReadLater(user);
        });
    if (!isRead)
      continue;
    Operation *first = nullptr;
    for (Operation *user : insertion->getUsers())
      if (!first || isBefore(ancestor(user), first))
        first = ancestor(user);
    insertion->moveBefore(first);
    positions[&op] = positions.at(first);
  }
}

/// A choice between tensors in a loop => a branch, which copies the chosen one.
/// Bufferization would take both for one buffer.
static void selectToBranch(arith::SelectOp op) {
  OpBuilder builder(op);
  auto yield = [](Value value) {
    return [value](OpBuilder &inside, Location loc) {
      scf::YieldOp::create(inside, loc, value);
    };
  };
  auto branch =
      scf::IfOp::create(builder, op.getLoc(), op.getCondition(),
                        yield(op.getTrueValue()), yield(op.getFalseValue()));
  op.replaceAllUsesWith(branch.getResult(0));
  op.erase();
}

namespace {

struct GradCarryInPlace : grad::impl::GradCarryInPlaceBase<GradCarryInPlace> {
  void runOnOperation() override {
    separateFills(getOperation());
    separateEmpties(getOperation());
    getOperation().walk([](Block *block) {
      Operation *parent = block->getParentOp();
      if (isa<LoopLikeOpInterface>(parent) ||
          parent->getParentOfType<LoopLikeOpInterface>())
        insertAfterReads(*block);
    });
    getOperation().walk([](arith::SelectOp op) {
      if (isTensor(op.getResult()) &&
          op.getCondition().getType().isInteger(1) &&
          op->getParentOfType<LoopLikeOpInterface>())
        selectToBranch(op);
    });
    getOperation().walk([](scf::WhileOp loop) {
      if (!passesOnTensors(loop))
        passOnTensors(loop);
    });
    // Those of outer loops first: what they carry is a part of others, too.
    getOperation().walk<WalkOrder::PreOrder>([](Block *block) {
      for (auto op :
           llvm::make_early_inc_range(block->getOps<tensor::InsertSliceOp>()))
        fillPart(op);
    });
    SmallVector<Operation *> ops;
    getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (isa<scf::ForOp, scf::WhileOp>(op) || isBranch(op))
        ops.push_back(op);
    });
    for (Operation *op : ops) {
      if (auto loop = dyn_cast<scf::ForOp>(op))
        writeNext(loop.getBody()->getTerminator(), loop.getRegionIterArgs());
      else if (auto loop = dyn_cast<scf::WhileOp>(op))
        writeNext(loop.getYieldOp(), loop.getAfterArguments());
      else
        joinBranches(op);
    }
    SmallVector<tensor::InsertSliceOp> insertions;
    getOperation().walk([&](tensor::InsertSliceOp op) {
      if (op.getSourceType() == op.getDestType() ||
          op->getParentOfType<LoopLikeOpInterface>())
        insertions.push_back(op);
    });
    for (tensor::InsertSliceOp op : insertions)
      if (op.getSourceType() == op.getDestType())
        placeWritten(op);
      else
        placeInserted(op);
  }
};

} // namespace
