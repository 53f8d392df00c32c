//===- BufferizeAnalysis.cpp - Which updates are in place -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// One pass over a block of tensor operations in program order. Values that
/// share a buffer form a class. An operation that updates a value in place puts
/// its result into the class; it may do so if all reads of values that are in
/// the class by then lie before it. Later members of the class read what was
/// written, so nothing has to be looked at twice: a class keeps those members
/// alone that are still to be read.
///
/// An operation with regions counts as one access, at its place in the block,
/// to all that it reads inside. Its blocks get a pass each. A branch may write
/// what comes from outside of it if nobody reads that afterwards; anything else
/// may not, as it may run again and would read what it wrote. What a loop
/// yields has to be in the buffer that the iteration began with: whatever else
/// would be in this buffer when it is written for that gets another one.
///
//===----------------------------------------------------------------------===//

#include "passes/BufferizeAnalysis.h"
#include "passes/TensorUpdates.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SubsetOpInterface.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::grad;
using namespace mlir::bufferization;

/// What comes out of a branch if `use` yields it.
static Value getResultOf(OpOperand &use) {
  Operation *parent = use.getOwner()->getParentOp();
  return isBranch(parent) && use.getOwner()->hasTrait<OpTrait::IsTerminator>()
             ? parent->getResult(use.getOperandNumber())
             : Value();
}

/// How far chains of insertions and views are followed.
static constexpr unsigned kMaxInsertions = 64;

namespace {

/// Values that share a buffer.
struct BufferClass {
  /// Members that operations further down may read, and others.
  SmallVector<Value, 2> members;
  /// One that must not be written; none if all may be.
  Value readOnly;
  /// What the last operation that wrote the buffer in place wrote it by.
  SmallVector<OpOperand *, 1> writes;
  /// Of each class around the block that is a part of this one, a member.
  SmallVector<Value, 1> outside;
  /// What loops around begin their iterations with.
  SmallVector<Value, 1> carried;
};

class BlockAnalysis {
public:
  /// `outer` is that of the block which the operation around `block` is in.
  BlockAnalysis(Block &block, InPlaceState &state,
                BlockAnalysis *outer = nullptr);

  LogicalResult run();

private:
  LogicalResult decide(Operation *op);
  LogicalResult decideInside(Operation *op);
  void collectCarriedWrites();
  void passResults();
  void noteEquivalences(Operation *op);

  bool canWrite(OpOperand &operand);
  void forEachReader(Value value, function_ref<void(OpOperand &)> visit,
                     Operation *writer = nullptr);
  bool outlasts(Value value, OpOperand &write);
  bool outlastsCarried(Value value, OpOperand &operand, Value carried);
  bool isOverwritten(OpOperand &operand);
  OpOperand *findWrite(Value value);
  bool isOverwrittenSlice(tensor::ExtractSliceOp op);
  bool isSafe(Value member, OpOperand &write);
  bool isSafe(OpOperand &read, OpOperand &write);
  bool isPart(OpOperand &operand, SubsetInsertionOpInterface insertion,
              ArrayRef<Value> versions = {});
  bool isReplaced(OpOperand &write, OpOperand &read);
  SubsetOpInterface findSlice(Value value);
  bool areElsewhere(OpOperand &read, OpOperand &write);
  bool areInLine(Value a, Value b);

  /// Where in the block `op` stands, or what it is nested in, from 1 on.
  unsigned position(Operation *op) const {
    return positions.at(block.findAncestorOpInBlock(*op));
  }
  bool isOutside(Value value) const {
    return !block.getParent()->isAncestor(value.getParentRegion());
  }
  bool isRead(OpOperand &use) const;
  unsigned lastRead(Value value);

  unsigned addClass(BufferClass added);
  void addValue(Value value);
  void unite(Value a, Value b);
  unsigned findClass(Value value);

  Block &block;
  InPlaceState &state;
  BlockAnalysis *outer;
  llvm::DenseMap<Operation *, unsigned> positions;
  /// The uses in a branch of what comes from outside of it.
  llvm::DenseMap<Value, SmallVector<OpOperand *, 2>> captured;
  /// Of each class around a branch that it uses, the first value that it met.
  llvm::DenseMap<unsigned, Value> imported;
  llvm::DenseMap<Value, unsigned> lastReads;
  llvm::DenseMap<Value, OpOperand *> firstWrites;
  /// By which operands that which an iteration begins with becomes what it
  /// yields, in order.
  llvm::DenseMap<Value, SmallVector<OpOperand *>> carriedWrites;
  /// Classes, and the forest that says which one stands for which.
  llvm::DenseMap<Value, unsigned> classIds;
  std::vector<unsigned> parents;
  std::vector<BufferClass> classes;
};

} // namespace

BlockAnalysis::BlockAnalysis(Block &block, InPlaceState &state,
                             BlockAnalysis *outer)
    : block(block), state(state), outer(outer) {
  for (auto [i, op] : llvm::enumerate(block))
    positions[&op] = i + 1;
  if (outer && isBranch(block.getParentOp()))
    block.walk([&](Operation *op) {
      for (OpOperand &operand : op->getOpOperands())
        if (isTensor(operand.get()) && isOutside(operand.get()))
          captured[operand.get()].push_back(&operand);
    });
}

//===----------------------------------------------------------------------===//
// Classes
//===----------------------------------------------------------------------===//

unsigned BlockAnalysis::addClass(BufferClass added) {
  unsigned id = classes.size();
  for (Value member : added.members)
    classIds[member] = id;
  parents.push_back(id);
  classes.push_back(std::move(added));
  return id;
}

void BlockAnalysis::addValue(Value value) {
  BufferClass added;
  added.members = {value};
  if (!state.isWritable(value))
    added.readOnly = value;
  addClass(std::move(added));
}

/// What comes from outside is added when it is first met: to a branch with all
/// that shares its buffer and is still to be read.
unsigned BlockAnalysis::findClass(Value value) {
  auto it = classIds.find(value);
  if (it != classIds.end()) {
    unsigned id = it->second;
    while (parents[id] != id)
      id = parents[id] = parents[parents[id]];
    return id;
  }
  if (!isBranch(block.getParentOp())) {
    BufferClass added;
    added.members = {value};
    added.readOnly = value;
    return addClass(std::move(added));
  }
  unsigned outerId = outer->findClass(value);
  auto [known, isNew] = imported.try_emplace(outerId, value);
  if (!isNew) {
    unsigned id = findClass(known->second);
    classIds[value] = id;
    classes[id].members.push_back(value);
    return id;
  }
  BufferClass &shared = outer->classes[outerId];
  unsigned here = outer->position(block.getParentOp());
  llvm::erase_if(shared.members,
                 [&](Value member) { return outer->lastRead(member) < here; });
  BufferClass added;
  added.members = shared.members;
  if (!llvm::is_contained(added.members, value))
    added.members.push_back(value);
  added.readOnly = shared.readOnly;
  added.outside = {value};
  added.carried = shared.carried;
  return addClass(std::move(added));
}

void BlockAnalysis::unite(Value a, Value b) {
  unsigned to = findClass(a), from = findClass(b);
  if (to == from)
    return;
  if (classes[to].members.size() < classes[from].members.size())
    std::swap(to, from);
  parents[from] = to;
  llvm::append_range(classes[to].members, classes[from].members);
  classes[from].members.clear();
  if (!classes[to].readOnly)
    classes[to].readOnly = classes[from].readOnly;
  llvm::append_range(classes[to].writes, classes[from].writes);
  classes[from].writes.clear();
  llvm::append_range(classes[to].outside, classes[from].outside);
  classes[from].outside.clear();
  llvm::append_range(classes[to].carried, classes[from].carried);
  classes[from].carried.clear();
}

//===----------------------------------------------------------------------===//
// Reads
//===----------------------------------------------------------------------===//

/// Whether `use` reads the value, or makes a view that others may read.
bool BlockAnalysis::isRead(OpOperand &use) const {
  return (state.bufferizesToMemoryRead(use) &&
          !isUndefined(use.get(), state)) ||
         (!state.bufferizesToMemoryWrite(use) &&
          state.getAliasingValues(use).getNumAliases() != 0);
}

/// The last position at which `value` is read; 0 if it is not, the greatest
/// number if it is read behind the block.
unsigned BlockAnalysis::lastRead(Value value) {
  if (auto it = lastReads.find(value); it != lastReads.end())
    return it->second;
  unsigned last = 0;
  auto look = [&](OpOperand &use) {
    if (isRead(use))
      last = std::max(last, position(use.getOwner()));
  };
  if (!isOutside(value))
    llvm::for_each(value.getUses(), look);
  else if (outer->lastRead(value) > outer->position(block.getParentOp()))
    last = std::numeric_limits<unsigned>::max();
  else if (auto it = captured.find(value); it != captured.end())
    llvm::for_each(llvm::make_pointee_range(it->second), look);
  return lastReads[value] = last;
}

/// Whether `operand` is, or is computed in, the part of the destination of
/// `insertion` that the latter writes. All `versions` are one buffer, if they
/// are any.
bool BlockAnalysis::isPart(OpOperand &operand,
                           SubsetInsertionOpInterface insertion,
                           ArrayRef<Value> versions) {
  llvm::SmallDenseSet<Value, 8> seen;
  SmallVector<Value> worklist{operand.get()};
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    if (!seen.insert(value).second)
      continue;
    Operation *def = value.getDefiningOp();
    if (!def)
      return false;
    if (isReplacedPart(value, insertion, [&](Value a, Value b) {
          return state.areEquivalentBufferizedValues(a, b) ||
                 (llvm::is_contained(versions, a) &&
                  llvm::is_contained(versions, b));
        }))
      continue;
    AliasingOpOperandList aliases = getAliasingOperands(value, state);
    if (aliases.getNumAliases() == 0 || seen.size() == kMaxInsertions)
      return false;
    for (const AliasingOpOperand &alias : aliases)
      worklist.push_back(alias.opOperand->get());
  }
  return true;
}

/// Whether `read` is the destination of an insertion which, or a later one of
/// the chain that it begins, replaces the part that `write` writes.
bool BlockAnalysis::isReplaced(OpOperand &write, OpOperand &read) {
  OpOperand *destination = &read;
  SmallVector<Value, 4> versions;
  for (unsigned i = 0; i < kMaxInsertions; ++i) {
    auto insertion =
        dyn_cast<SubsetInsertionOpInterface>(destination->getOwner());
    if (!insertion || destination != &insertion.getDestinationOperand())
      return false;
    versions.push_back(destination->get());
    if (isPart(write, insertion, versions))
      return true;
    if (insertion->getNumResults() != 1 || !insertion->hasOneUse())
      return false;
    destination = &*insertion->getUses().begin();
  }
  return false;
}

/// The slice of another value that `value` is, or is computed in.
SubsetOpInterface BlockAnalysis::findSlice(Value value) {
  for (unsigned i = 0; i < kMaxInsertions; ++i) {
    Operation *def = value.getDefiningOp();
    if (!def)
      return {};
    if (auto slice = dyn_cast<tensor::ExtractSliceOp>(def))
      return cast<SubsetOpInterface>(*slice);
    AliasingOpOperandList aliases = getAliasingOperands(value, state);
    if (aliases.getNumAliases() != 1 ||
        !state.isInPlace(*aliases.begin()->opOperand))
      return {};
    value = aliases.begin()->opOperand->get();
  }
  return {};
}

/// Whether the two access parts of one value that have nothing in common.
bool BlockAnalysis::areElsewhere(OpOperand &read, OpOperand &write) {
  SubsetOpInterface from, to;
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(read.getOwner()))
    from = cast<SubsetOpInterface>(*slice);
  else
    from = findSlice(read.get());
  if (auto insertion = dyn_cast<SubsetInsertionOpInterface>(write.getOwner());
      insertion && &write == &insertion.getDestinationOperand())
    to = dyn_cast<SubsetOpInterface>(write.getOwner());
  else
    to = findSlice(write.get());
  return from && to && areDisjoint(from, to, [&](Value a, Value b) {
           return state.areEquivalentBufferizedValues(a, b);
         });
}

/// Whether an element of one is that of the other in the same place, or none of
/// the other's.
bool BlockAnalysis::areInLine(Value a, Value b) {
  SubsetOpInterface slice = findSlice(a), other = findSlice(b);
  return slice && other && areAligned(slice, other, [&](Value a, Value b) {
           return state.areEquivalentBufferizedValues(a, b);
         });
}

//===----------------------------------------------------------------------===//
// Conflicts
//===----------------------------------------------------------------------===//

/// Whether `op` reads each element just where it writes it. Of structured
/// operations upstream asks for parallel loops, too, which a loss and the step
/// that lowers it do not have when one loop computes both.
static bool accessesElementwise(Operation *op, OpOperand &read,
                                OpOperand &write, const AnalysisState &state) {
  if (auto structured = dyn_cast<linalg::LinalgOp>(op)) {
    AffineMap map = structured.getMatchingIndexingMap(&write);
    return map.isPermutation() &&
           structured.getMatchingIndexingMap(&read) == map;
  }
  auto bufferizable = state.getOptions().dynCastBufferizableOp(op);
  return bufferizable &&
         bufferizable.bufferizesToElementwiseAccess(state, {&read, &write});
}

/// Whether `read`, in the operation of `write` or later, reads what it should
/// if the latter, of the same buffer, is in place.
bool BlockAnalysis::isSafe(OpOperand &read, OpOperand &write) {
  Operation *reader = read.getOwner(), *writer = write.getOwner();
  const BufferizationOptions &options = state.getOptions();
  // What an insertion takes from its own destination is there already.
  if (auto insertion = dyn_cast<SubsetInsertionOpInterface>(writer))
    if (&write == &insertion.getDestinationOperand() &&
        (&read == &insertion.getSourceOperand() ||
         state.areEquivalentBufferizedValues(
             read.get(), insertion.getSourceOperand().get())) &&
        isPart(insertion.getSourceOperand(), insertion))
      return true;
  // Of its destination, an insertion reads what it does not replace; what the
  // next one replaces, nobody reads.
  if (reader != writer && isReplaced(write, read))
    return true;
  if (areElsewhere(read, write))
    return true;
  if (reader == writer && accessesElementwise(reader, read, write, state) &&
      read.get().getType() == write.get().getType() &&
      (state.areEquivalentBufferizedValues(read.get(), write.get()) ||
       areInLine(read.get(), write.get())))
    return true;
  // Upstream's rules for insertions are the ones above, but take offsets in a
  // reshaped buffer for the same elements.
  auto isNotConflicting = [&](Operation *op) {
    auto bufferizable = options.dynCastBufferizableOp(op);
    return bufferizable && !isa<SubsetInsertionOpInterface>(op) &&
           bufferizable.isNotConflicting(&read, &write, state);
  };
  return isNotConflicting(reader) ||
         (reader != writer && isNotConflicting(writer));
}

/// Whether all reads of `member` from `write` on read what they should if the
/// latter, of the same buffer, is in place. Of the blocks of a branch that it
/// is in, no other one runs.
bool BlockAnalysis::isSafe(Value member, OpOperand &write) {
  Operation *inside = block.findAncestorOpInBlock(*write.getOwner());
  unsigned here = positions.at(inside);
  auto isSafeUse = [&](OpOperand &use) {
    unsigned there = position(use.getOwner());
    bool isBefore = inside == write.getOwner() ? there < here : there <= here;
    return &use == &write || isBefore || !isRead(use) || isSafe(use, write);
  };
  if (!isOutside(member))
    return llvm::all_of(member.getUses(), isSafeUse);
  auto it = captured.find(member);
  return (it == captured.end() ||
          llvm::all_of(llvm::make_pointee_range(it->second), isSafeUse)) &&
         outer->isSafe(member, write);
}

/// Whether `operand`, which is written, can be written in place.
bool BlockAnalysis::canWrite(OpOperand &operand) {
  Operation *op = operand.getOwner();
  BufferClass &shared = classes[findClass(operand.get())];
  llvm::erase_if(shared.writes,
                 [&](OpOperand *write) { return write->getOwner() != op; });
  if (shared.readOnly || llvm::any_of(shared.writes, [&](OpOperand *write) {
        return !areElsewhere(*write, operand);
      }))
    return false;
  unsigned here = position(op);
  for (size_t i = shared.members.size(); i-- > 0;) {
    Value member = shared.members[i];
    if (lastRead(member) < here) {
      std::swap(shared.members[i], shared.members.back());
      shared.members.pop_back();
    } else if (!isSafe(member, operand)) {
      return false;
    }
  }
  return true;
}

/// Calls `visit` with whoever reads `value`, which an operation in the block
/// makes, or what a branch in it that yields `value` results in. What does not
/// run if `writer` does is left out.
void BlockAnalysis::forEachReader(Value value,
                                  function_ref<void(OpOperand &)> visit,
                                  Operation *writer) {
  llvm::SmallSetVector<Value, 4> values;
  values.insert(value);
  for (unsigned i = 0; i < values.size(); ++i)
    for (OpOperand &use : values[i].getUses()) {
      Value result = getResultOf(use);
      if (!isRead(use) ||
          (writer && insideMutuallyExclusiveRegions(use.getOwner(), writer)))
        continue;
      if (result && use.getOwner() != block.getTerminator())
        values.insert(result);
      else
        visit(use);
    }
}

/// Whether something reads `value`, which an operation in the block makes,
/// after `write` overwrote it, were they one buffer.
bool BlockAnalysis::outlasts(Value value, OpOperand &write) {
  Operation *place = block.findAncestorOpInBlock(*write.getOwner());
  llvm::SmallSetVector<Value, 4> outerValues;
  bool isReadLater = false;
  auto visit = [&](OpOperand &use) {
    Operation *user = use.getOwner();
    Value result = getResultOf(use);
    if (place && &use != &write)
      isReadLater |=
          position(user) >= positions.at(place) && !isSafe(use, write);
    else if (!place && result &&
             !user->getParentOp()->isAncestor(write.getOwner()))
      outerValues.insert(result);
  };
  forEachReader(value, visit, write.getOwner());
  return isReadLater || llvm::any_of(outerValues, [&](Value result) {
           return outer->outlasts(result, write);
         });
}

/// Whether something reads `value`, which `operand` gets the buffer of
/// `carried`, after what is to be yielded was written there.
bool BlockAnalysis::outlastsCarried(Value value, OpOperand &operand,
                                    Value carried) {
  BlockAnalysis *loop = this;
  while (&loop->block != carried.getParentBlock())
    loop = loop->outer;
  ArrayRef<OpOperand *> writes = loop->carriedWrites[carried];
  Operation *op = operand.getOwner();
  unsigned here = loop->position(op);
  auto isBefore = [&](OpOperand *write, unsigned place) {
    return loop->position(write->getOwner()) < place;
  };
  unsigned last = 0;
  bool staysInside = true;
  forEachReader(value, [&](OpOperand &use) {
    last = std::max(last, position(use.getOwner()));
    staysInside &= use.getOwner() != block.getTerminator();
  });
  for (const auto *it = llvm::lower_bound(writes, here, isBefore);
       it != writes.end(); ++it) {
    OpOperand &write = **it;
    if (&write == &operand)
      return false;
    Operation *place = block.findAncestorOpInBlock(*write.getOwner());
    if (place ? positions.at(place) > last : staysInside)
      return false;
    bool isLater = place ? position(op) < positions.at(place)
                         : here < loop->position(write.getOwner());
    if (isLater && outlasts(value, write))
      return true;
  }
  return false;
}

/// The first operand in the block, if there is one, by which `value` is
/// written.
OpOperand *BlockAnalysis::findWrite(Value value) {
  auto [it, isNew] = firstWrites.try_emplace(value, nullptr);
  if (isNew)
    for (OpOperand &use : value.getUses())
      if (use.getOwner()->getBlock() == &block &&
          (!it->second ||
           position(use.getOwner()) < position(it->second->getOwner())) &&
          state.bufferizesToMemoryWrite(use))
        it->second = &use;
  return it->second;
}

/// Whether the slice is still read when an update of what it is taken from
/// overwrites it, which could be in place otherwise: a copy of the slice is
/// less than one of the whole.
bool BlockAnalysis::isOverwrittenSlice(tensor::ExtractSliceOp op) {
  RankedTensorType type = op.getType(), wholeType = op.getSourceType();
  if (type.hasStaticShape() && wholeType.hasStaticShape() &&
      type.getNumElements() == wholeType.getNumElements())
    return false;
  unsigned last = lastRead(op.getResult());
  Value version = op.getSource();
  for (unsigned i = 0; i < kMaxInsertions; ++i) {
    OpOperand *write = findWrite(version);
    if (!write || position(write->getOwner()) <= position(op) ||
        position(write->getOwner()) >= last)
      return false;
    if (!areElsewhere(op.getSourceMutable(), *write)) {
      const BufferClass &shared = classes[findClass(op.getSource())];
      return !shared.readOnly && outlasts(op.getResult(), *write) &&
             llvm::all_of(shared.members,
                          [&](Value member) { return isSafe(member, *write); });
    }
    AliasingValueList updated = state.getAliasingValues(*write);
    if (updated.getNumAliases() != 1)
      return false;
    version = updated.begin()->value;
  }
  return false;
}

/// Whether what `operand` shares its buffer with is read after a write that is
/// worth more than to leave `operand` in place.
bool BlockAnalysis::isOverwritten(OpOperand &operand) {
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(operand.getOwner());
      slice && isOverwrittenSlice(slice))
    return true;
  AliasingValueList values = state.getAliasingValues(operand);
  return llvm::any_of(values, [&](const AliasingValue &alias) {
    return alias.value.getDefiningOp() == operand.getOwner() &&
           llvm::any_of(classes[findClass(operand.get())].carried,
                        [&](Value carried) {
                          return outlastsCarried(alias.value, operand, carried);
                        });
  });
}

//===----------------------------------------------------------------------===//
// Decisions
//===----------------------------------------------------------------------===//

/// Records which results of `op` are the same buffers as operands.
void BlockAnalysis::noteEquivalences(Operation *op) {
  for (OpResult result : op->getOpResults()) {
    if (!isTensor(result))
      continue;
    AliasingOpOperandList aliases = getAliasingOperands(result, state);
    auto isSame = [&](const AliasingOpOperand &alias) {
      return alias.relation == BufferRelation::Equivalent &&
             state.isInPlace(*alias.opOperand);
    };
    if (aliases.getNumAliases() == 0)
      continue;
    Value first = aliases.begin()->opOperand->get();
    auto definite = llvm::find_if(aliases, [&](const AliasingOpOperand &alias) {
      return alias.isDefinite && isSame(alias);
    });
    bool areAllSame =
        llvm::all_of(aliases, [&](const AliasingOpOperand &alias) {
          return isSame(alias) && state.areEquivalentBufferizedValues(
                                      alias.opOperand->get(), first);
        });
    if (definite != aliases.end())
      state.unionEquivalenceClasses(result, definite->opOperand->get());
    else if (auto bufferizable = state.getOptions().dynCastBufferizableOp(op);
             areAllSame && bufferizable &&
             !bufferizable.bufferizesToAllocation(result))
      state.unionEquivalenceClasses(result, first);
  }
}

/// Decides what is in place in the regions of `op`.
LogicalResult BlockAnalysis::decideInside(Operation *op) {
  SmallVector<OpOperand *> operands;
  bool onlyReads = true;
  for (Region &region : op->getRegions())
    region.walk([&](Operation *nested) {
      for (OpOperand &operand : nested->getOpOperands()) {
        if (!isTensor(operand.get()))
          continue;
        operands.push_back(&operand);
        onlyReads &= !nested->hasTrait<OpTrait::IsTerminator>() &&
                     !state.bufferizesToMemoryWrite(operand) &&
                     state.getAliasingValues(operand).getNumAliases() == 0;
      }
      onlyReads &= llvm::none_of(nested->getResults(), isTensor);
    });
  if (onlyReads) {
    for (OpOperand *operand : operands)
      state.bufferizeInPlace(*operand);
    return success();
  }
  SmallVector<std::unique_ptr<BlockAnalysis>> blocks;
  for (Region &region : op->getRegions())
    for (Block &inner : region) {
      blocks.push_back(std::make_unique<BlockAnalysis>(inner, state, this));
      if (failed(blocks.back()->run()))
        return failure();
    }
  if (isBranch(op))
    for (const std::unique_ptr<BlockAnalysis> &inner : blocks)
      inner->passResults();
  return success();
}

/// Adds to `writes`, last ones first, how `from` becomes `value`.
static void collectWrites(Value value, Value from,
                          SmallVectorImpl<OpOperand *> &writes) {
  while (value && value != from) {
    auto result = dyn_cast<OpResult>(value);
    if (!result)
      return;
    Value previous = getPrevious(value);
    if (OpOperand *tied = getTied(result))
      writes.push_back(tied);
    else if (isBranch(result.getOwner()) && previous)
      for (Value yielded : getYielded(result))
        collectWrites(yielded, previous, writes);
    value = previous;
  }
}

void BlockAnalysis::collectCarriedWrites() {
  OperandRange yielded = block.getTerminator()->getOperands();
  if (isa<scf::ConditionOp>(block.getTerminator()))
    yielded = yielded.drop_front();
  auto arguments = block.getArguments().drop_front(
      isa<scf::ForOp>(block.getParentOp()) ? 1 : 0);
  for (auto [argument, value] : llvm::zip(arguments, yielded)) {
    if (!isTensor(argument))
      continue;
    SmallVector<OpOperand *> &writes = carriedWrites[argument];
    collectWrites(value, argument, writes);
    llvm::erase_if(writes, [&](OpOperand *write) {
      return !state.bufferizesToMemoryWrite(*write);
    });
    std::reverse(writes.begin(), writes.end());
    classes[findClass(argument)].carried = {argument};
  }
}

/// What a branch yields comes out of it.
void BlockAnalysis::passResults() {
  Operation *op = block.getParentOp();
  llvm::SmallDenseMap<unsigned, Value> first;
  for (auto [result, yielded] : llvm::zip_equal(
           op->getResults(), block.getTerminator()->getOperands())) {
    if (!isTensor(result))
      continue;
    unsigned id = findClass(yielded);
    for (Value value : classes[id].outside)
      outer->unite(result, value);
    outer->unite(result, first.try_emplace(id, result).first->second);
    BufferClass &shared = outer->classes[outer->findClass(result)];
    if (!shared.readOnly)
      shared.readOnly = classes[id].readOnly;
  }
}

LogicalResult BlockAnalysis::decide(Operation *op) {
  if (auto toTensor = dyn_cast<ToTensorOp>(op);
      toTensor && !toTensor.getRestrict() && !toTensor->use_empty())
    return op->emitOpError("expected 'restrict', without which any other "
                           "tensor may share the buffer");
  for (Value result : op->getResults())
    if (isTensor(result))
      addValue(result);
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isTensor(operand.get()))
      continue;
    bool isWritten = state.bufferizesToMemoryWrite(operand);
    if (isWritten && !canWrite(operand)) {
      if (state.isInPlace(operand))
        return op->emitOpError("expected operand #")
               << operand.getOperandNumber()
               << " to be writable in place, but its buffer is read-only or "
                  "read later";
      state.bufferizeOutOfPlace(operand);
      continue;
    }
    if (!state.isInPlace(operand) && isOverwritten(operand)) {
      state.bufferizeOutOfPlace(operand);
      continue;
    }
    state.bufferizeInPlace(operand);
    for (const AliasingValue &alias : state.getAliasingValues(operand))
      if (alias.value.getDefiningOp() == op)
        unite(operand.get(), alias.value);
    if (isWritten)
      classes[findClass(operand.get())].writes.push_back(&operand);
  }
  if (failed(decideInside(op)))
    return failure();
  noteEquivalences(op);
  return success();
}

LogicalResult BlockAnalysis::run() {
  for (BlockArgument argument : block.getArguments())
    if (isTensor(argument))
      addValue(argument);
  if (outer && isa<scf::ForOp, scf::WhileOp>(block.getParentOp()))
    collectCarriedWrites();
  for (Operation &op : block)
    if (failed(decide(&op)))
      return failure();
  return success();
}

LogicalResult mlir::grad::analyzeInPlace(func::FuncOp func,
                                         InPlaceState &state) {
  if (failed(BlockAnalysis(func.getBody().front(), state).run()))
    return failure();
  bool isValid = true;
  func.walk([&](Operation *op) {
    if (auto bufferizable = state.getOptions().dynCastBufferizableOp(op))
      isValid &= succeeded(bufferizable.verifyAnalysis(state));
  });
  return success(isValid);
}
