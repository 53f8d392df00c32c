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
/// to all that it reads inside. What happens inside is upstream's to decide,
/// afterwards.
///
//===----------------------------------------------------------------------===//

#include "passes/BufferizeAnalysis.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Dominance.h"
#include "mlir/Interfaces/SubsetOpInterface.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace mlir::grad;
using namespace mlir::bufferization;

static bool isTensor(Value value) { return isa<TensorType>(value.getType()); }

/// Whether nobody wrote what `value` holds.
static bool isUndefined(Value value, const AnalysisState &state) {
  auto result = dyn_cast<OpResult>(value);
  if (!result || result.getOwner()->getNumRegions() != 0)
    return false;
  auto op = state.getOptions().dynCastBufferizableOp(result.getOwner());
  if (!op)
    return false;
  // The memory for a result of the function, before the function wrote it.
  if (auto toTensor = dyn_cast<ToTensorOp>(*op)) {
    auto argument = dyn_cast<BlockArgument>(toTensor.getBuffer());
    auto func = dyn_cast<func::FuncOp>(op->getParentOp());
    return argument && func && toTensor.getRestrict() &&
           func.getArgAttr(argument.getArgNumber(), "grad.result");
  }
  AliasingOpOperandList aliases = op.getAliasingOpOperands(value, state);
  if (aliases.getNumAliases() == 0)
    return !op.resultBufferizesToMemoryWrite(result, state);
  return llvm::all_of(aliases, [&](const AliasingOpOperand &alias) {
    return !op.bufferizesToMemoryWrite(*alias.opOperand, state) &&
           isUndefined(alias.opOperand->get(), state);
  });
}

bool InPlaceState::hasUndefinedContents(OpOperand *operand) const {
  return isUndefined(operand->get(), *this);
}

bool InPlaceState::isInPlace(OpOperand &operand) const {
  return OneShotAnalysisState::isInPlace(operand) ||
         (outer && outer->isInPlace(operand));
}

bool InPlaceState::areEquivalentBufferizedValues(Value a, Value b) const {
  return a.getType() == b.getType() &&
         (OneShotAnalysisState::areEquivalentBufferizedValues(a, b) ||
          (outer && outer->areEquivalentBufferizedValues(a, b)));
}

/// Where a slice begins and ends in each dimension, a whole stride behind its
/// last element, if that is known.
static std::optional<SmallVector<std::pair<int64_t, int64_t>>>
getStaticRanges(SubsetOpInterface op) {
  auto slice = dyn_cast<OffsetSizeAndStrideOpInterface>(op.getOperation());
  if (!slice || !slice.getOffsets().empty() || !slice.getSizes().empty() ||
      !slice.getStrides().empty())
    return std::nullopt;
  SmallVector<std::pair<int64_t, int64_t>> ranges;
  for (auto [offset, size, stride] :
       llvm::zip_equal(slice.getStaticOffsets(), slice.getStaticSizes(),
                       slice.getStaticStrides())) {
    if (size < 1 || stride < 1)
      return std::nullopt;
    ranges.emplace_back(offset, offset + size * stride);
  }
  return ranges;
}

/// The tensor that `op` reads or writes a part of.
static Value getWhole(SubsetOpInterface op) {
  if (auto insertion = dyn_cast<SubsetInsertionOpInterface>(*op))
    return insertion.getDestinationOperand().get();
  return cast<SubsetExtractionOpInterface>(*op).getSourceOperand().get();
}

bool mlir::grad::areDisjoint(SubsetOpInterface a, SubsetOpInterface b,
                             function_ref<bool(Value, Value)> isSame) {
  auto aRanges = getStaticRanges(a), bRanges = getStaticRanges(b);
  if (!aRanges || !bRanges)
    return a.operatesOnDisjointSubset(b, isSame);
  if (aRanges->size() != bRanges->size() || !isSame(getWhole(a), getWhole(b)))
    return false;
  return llvm::any_of(llvm::zip(*aRanges, *bRanges), [](auto pair) {
    auto [x, y] = pair;
    return x.second <= y.first || y.second <= x.first;
  });
}

/// Whether `value` is the part of a tensor that `insertion` replaces. As above,
/// for numbers.
static bool isReplacedPart(Value value, SubsetInsertionOpInterface insertion,
                           function_ref<bool(Value, Value)> isSame) {
  auto from = value.getDefiningOp<tensor::ExtractSliceOp>();
  auto to = dyn_cast<tensor::InsertSliceOp>(*insertion);
  if (!from || !to || from->getNumOperands() != 1 || to->getNumOperands() != 2)
    return insertion.isEquivalentSubset(value, isSame);
  return from.getStaticOffsets() == to.getStaticOffsets() &&
         from.getStaticSizes() == to.getStaticSizes() &&
         from.getStaticStrides() == to.getStaticStrides() &&
         isSame(from.getSource(), to.getDest());
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
};

class BlockAnalysis {
public:
  BlockAnalysis(Block &block, InPlaceState &state)
      : block(block), state(state) {
    for (auto [i, op] : llvm::enumerate(block))
      positions[&op] = i + 1;
  }

  LogicalResult run();

private:
  LogicalResult decide(Operation *op);
  LogicalResult decideInside(Operation *op);
  LogicalResult analyzeRegions(Operation *op, bool hasToBeInPlace);
  void readInPlace(Operation *op);
  void noteEquivalences(Operation *op);

  bool canWrite(OpOperand &operand);
  bool isSafe(Value member, OpOperand &write);
  bool isSafe(OpOperand &read, OpOperand &write);
  bool isPart(OpOperand &operand, SubsetInsertionOpInterface insertion,
              ArrayRef<Value> versions = {});
  bool isReplaced(OpOperand &write, OpOperand &read);
  SubsetOpInterface findSlice(Value value);
  bool areElsewhere(OpOperand &read, OpOperand &write);

  /// Where in the block `op` stands, or what it is nested in, from 1 on.
  unsigned position(Operation *op) const {
    return positions.at(block.findAncestorOpInBlock(*op));
  }
  bool isRead(OpOperand &use) const;
  unsigned lastRead(Value value);

  void addValue(Value value);
  void unite(Value a, Value b);
  unsigned findClass(Value value);

  Block &block;
  InPlaceState &state;
  llvm::DenseMap<Operation *, unsigned> positions;
  llvm::DenseMap<Value, unsigned> lastReads;
  /// Classes, and the forest that says which one stands for which.
  llvm::DenseMap<Value, unsigned> classIds;
  std::vector<unsigned> parents;
  std::vector<BufferClass> classes;
};

} // namespace

//===----------------------------------------------------------------------===//
// Classes
//===----------------------------------------------------------------------===//

void BlockAnalysis::addValue(Value value) {
  classIds[value] = classes.size();
  parents.push_back(classes.size());
  classes.push_back({{value}, state.isWritable(value) ? Value() : value, {}});
}

unsigned BlockAnalysis::findClass(Value value) {
  unsigned id = classIds.at(value);
  while (parents[id] != id)
    id = parents[id] = parents[parents[id]];
  return id;
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

/// The last position at which `value` is read; 0 if it is not.
unsigned BlockAnalysis::lastRead(Value value) {
  auto [it, isNew] = lastReads.try_emplace(value, 0);
  if (isNew)
    for (OpOperand &use : value.getUses())
      if (isRead(use))
        it->second = std::max(it->second, position(use.getOwner()));
  return it->second;
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
    AliasingOpOperandList aliases = state.getAliasingOpOperands(value);
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
    AliasingOpOperandList aliases = state.getAliasingOpOperands(value);
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
      state.areEquivalentBufferizedValues(read.get(), write.get()))
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

/// Whether all reads of `member` read what they should if `write`, of the same
/// buffer, is in place.
bool BlockAnalysis::isSafe(Value member, OpOperand &write) {
  unsigned here = position(write.getOwner());
  return llvm::all_of(member.getUses(), [&](OpOperand &use) {
    return &use == &write || position(use.getOwner()) < here || !isRead(use) ||
           isSafe(use, write);
  });
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

//===----------------------------------------------------------------------===//
// Decisions
//===----------------------------------------------------------------------===//

/// Records which results of `op` are the same buffers as operands.
void BlockAnalysis::noteEquivalences(Operation *op) {
  for (OpResult result : op->getOpResults()) {
    if (!isTensor(result))
      continue;
    AliasingOpOperandList aliases = state.getAliasingOpOperands(result);
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

/// Decides by upstream's rules what is in place in the regions of `op`. They
/// compare all accesses of a buffer with each other, also those that lie before
/// `op` and are done with: thus this is decided in a state of its own, where
/// what comes from outside shares its buffer with those values alone that are
/// still to be read.
LogicalResult BlockAnalysis::analyzeRegions(Operation *op,
                                            bool hasToBeInPlace) {
  InPlaceState inner(
      op, static_cast<const OneShotBufferizationOptions &>(state.getOptions()),
      &state);
  llvm::SetVector<Value> inside, outside;
  op->walk([&](Operation *nested) {
    inside.insert_range(
        llvm::make_filter_range(nested->getResults(), isTensor));
    for (Region &region : nested->getRegions())
      for (Block &each : region)
        inside.insert_range(
            llvm::make_filter_range(each.getArguments(), isTensor));
  });
  getUsedValuesDefinedAbove(op->getRegions(), outside);
  outside.insert_range(op->getOperands());
  outside.remove_if([](Value value) { return !isTensor(value); });
  unsigned here = position(op);
  for (Value value : llvm::to_vector(outside)) {
    BufferClass &shared = classes[findClass(value)];
    llvm::erase_if(shared.members,
                   [&](Value member) { return lastRead(member) < here; });
    outside.insert_range(shared.members);
    if (shared.readOnly)
      outside.insert(shared.readOnly);
  }
  // The first value from outside in each class stands for the others.
  llvm::SmallDenseMap<unsigned, Value> first;
  for (Value value : outside) {
    inner.createAliasInfoEntry(value);
    Value other = first.try_emplace(findClass(value), value).first->second;
    inner.unionAliasSets(value, other);
    if (state.areEquivalentBufferizedValues(value, other))
      inner.unionEquivalenceClasses(value, other);
  }
  for (Value value : inside)
    state.applyOnAliases(value, [&](Value other) {
      if (inside.contains(other))
        inner.unionAliasSets(value, other);
    });
  for (OpOperand &operand : op->getOpOperands())
    if (isTensor(operand.get()) && state.isInPlace(operand))
      inner.bufferizeInPlace(operand);

  // Upstream's check of what has to be in place compares, in vain, operands
  // that were decided to be copied.
  DominanceInfo dominance(op);
  if (failed(hasToBeInPlace ? bufferization::analyzeOp(op, inner)
                            : inner.analyzeOp(op, dominance)))
    return failure();

  op->walk([&](Operation *nested) {
    for (OpOperand &operand : nested->getOpOperands())
      if (isTensor(operand.get()) && inner.isInPlace(operand) &&
          !state.isInPlace(operand))
        state.bufferizeInPlace(operand);
  });
  llvm::DenseSet<Value> sameSeen, aliasesSeen;
  for (Value value : inside) {
    if (!sameSeen.contains(value))
      inner.applyOnEquivalenceClass(value, [&](Value other) {
        sameSeen.insert(other);
        state.unionEquivalenceClasses(value, other);
      });
    if (!aliasesSeen.contains(value))
      inner.applyOnAliases(value, [&](Value other) {
        aliasesSeen.insert(other);
        state.unionAliasSets(value, other);
      });
  }
  return success();
}

/// Decides what is in place in the regions of `op`.
LogicalResult BlockAnalysis::decideInside(Operation *op) {
  SmallVector<OpOperand *> operands;
  bool onlyReads = true, hasToBeInPlace = false;
  for (Region &region : op->getRegions())
    region.walk([&](Operation *nested) {
      for (OpOperand &operand : nested->getOpOperands()) {
        if (!isTensor(operand.get()))
          continue;
        operands.push_back(&operand);
        // What a switch yields comes out of it, though upstream does not know
        // where.
        onlyReads &= !nested->hasTrait<OpTrait::IsTerminator>() &&
                     !state.bufferizesToMemoryWrite(operand) &&
                     state.getAliasingValues(operand).getNumAliases() == 0;
        auto bufferizable = state.getOptions().dynCastBufferizableOp(nested);
        hasToBeInPlace |= bufferizable &&
                          !nested->hasTrait<OpTrait::IsTerminator>() &&
                          bufferizable.mustBufferizeInPlace(operand, state);
      }
      onlyReads &= llvm::none_of(nested->getResults(), isTensor);
    });
  if (onlyReads) {
    for (OpOperand *operand : operands)
      state.bufferizeInPlace(*operand);
    return success();
  }
  if (failed(analyzeRegions(op, hasToBeInPlace)))
    return failure();
  state.gatherUndefinedTensorUses(op);
  readInPlace(op);
  // What comes out may be what went in.
  llvm::SetVector<Value> sources;
  getUsedValuesDefinedAbove(op->getRegions(), sources);
  sources.insert_range(op->getOperands());
  for (Value result : op->getResults())
    for (Value source : sources)
      if (isTensor(result) && isTensor(source) &&
          state.areAliasingBufferizedValues(result, source))
        unite(result, source);
  return success();
}

/// Reads in the regions of `op` what comes from outside of it where it is, if
/// nothing writes it inside. Upstream makes a copy for each such read, in each
/// iteration, if it sees a conflict among the operations that lie before `op`,
/// which it has no part in, and which may be none by our rules.
void BlockAnalysis::readInPlace(Operation *op) {
  SmallVector<OpOperand *> copied;
  SmallVector<Value> written;
  for (Region &region : op->getRegions())
    region.walk([&](Operation *nested) {
      for (OpOperand &operand : nested->getOpOperands()) {
        if (!isTensor(operand.get()))
          continue;
        bool isWritten = state.bufferizesToMemoryWrite(operand);
        bool isFromOutside =
            !op->isAncestor(operand.get().getParentRegion()->getParentOp());
        if (isWritten && state.isInPlace(operand))
          written.push_back(operand.get());
        else if (!isWritten && !state.isInPlace(operand) && isFromOutside &&
                 state.getAliasingValues(operand).getNumAliases() == 0)
          copied.push_back(&operand);
      }
    });
  for (OpOperand *operand : copied)
    if (llvm::none_of(written, [&](Value value) {
          return state.areAliasingBufferizedValues(value, operand->get());
        }))
      state.bufferizeInPlace(*operand);
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
