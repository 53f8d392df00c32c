//===- FuseMerge.cpp - One loop nest with several results -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Merging of two `linalg.generic`s that iterate over the same space, up to a
/// permutation of the loops: either the later one reads an element that the
/// earlier one writes in the same iteration, or both read the same element of
/// some large tensor. Nothing is computed twice. Two operations are not merged
/// when a third one has to run between them.
///
//===----------------------------------------------------------------------===//

#include "passes/Fuse.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/RegionUtils.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallBitVector.h"

using namespace mlir;
using namespace mlir::grad;
using linalg::GenericOp;

/// Loops with more operands than this run out of registers and of hardware
/// prefetch streams.
static constexpr unsigned kMaxOperands = 32;

/// How many earlier readers of the same tensor are considered.
static constexpr unsigned kMaxSiblings = 16;

/// How far two operations may lie apart. Bounds the time that long programs
/// take, and how long results wait for their readers.
static constexpr unsigned kMaxDistance = 512;

/// The permutation that takes the loops of one operation, which accesses a
/// tensor by `from`, to the loops of another one, which accesses it by `to`:
/// loop i of the former is loop result[i] of the latter.
static std::optional<SmallVector<unsigned>> matchLoops(AffineMap from,
                                                       AffineMap to) {
  if (!from.isPermutation() || !to.isPermutation() ||
      from.getNumDims() != to.getNumDims())
    return std::nullopt;
  SmallVector<unsigned> loops(from.getNumDims());
  for (unsigned i = 0, e = from.getNumResults(); i < e; ++i)
    loops[from.getDimPosition(i)] = to.getDimPosition(i);
  return loops;
}

static bool isMergeable(Operation *op) {
  auto generic = dyn_cast_or_null<GenericOp>(op);
  return generic && generic.hasPureTensorSemantics() && !isProduct(generic);
}

/// Whether both ops reduce, `first` not along the loops of `second` that it
/// would have as `loops`.
static bool reduceDifferently(GenericOp first, GenericOp second,
                              ArrayRef<unsigned> loops) {
  auto kinds = second.getIteratorTypesArray();
  auto firstKinds = first.getIteratorTypesArray();
  if (!llvm::is_contained(kinds, utils::IteratorType::reduction) ||
      !llvm::is_contained(firstKinds, utils::IteratorType::reduction))
    return false;
  for (auto [loop, kind] : llvm::zip_equal(loops, firstKinds))
    if (kinds[loop] != kind)
      return true;
  return false;
}

/// How the loops of `first` map to the loops of the later `second` if the two
/// can run as one nest: every value that `second` reads of `first` has to be
/// ready in the same iteration.
static std::optional<SmallVector<unsigned>> matchOperations(GenericOp first,
                                                            GenericOp second) {
  if (first.getNumLoops() != second.getNumLoops() ||
      first->getNumOperands() + second->getNumOperands() > kMaxOperands)
    return std::nullopt;
  std::optional<SmallVector<unsigned>> loops;
  for (OpOperand &operand : second->getOpOperands()) {
    if (operand.get().getDefiningOp() != first)
      continue;
    if (!second.isDpsInput(&operand))
      return std::nullopt;
    auto match = matchLoops(
        first.getIndexingMapMatchingResult(cast<OpResult>(operand.get())),
        second.getMatchingIndexingMap(&operand));
    if (!match || (loops && *loops != *match))
      return std::nullopt;
    loops = match;
  }
  if (loops)
    return loops;
  for (OpOperand *a : first.getDpsInputOperands())
    for (OpOperand *b : second.getDpsInputOperands())
      if (a->get() == b->get())
        if (auto match = matchLoops(first.getMatchingIndexingMap(a),
                                    second.getMatchingIndexingMap(b)))
          return match;
  return std::nullopt;
}

/// Builds the merged operation before `place`. It reads nothing twice in the
/// same order, and computes no result that only `second` needed. Others are
/// replaced by its results, of which `replaced` is told.
static GenericOp mergeBodies(RewriterBase &rewriter, GenericOp first,
                             GenericOp second, ArrayRef<unsigned> loops,
                             Operation *place,
                             function_ref<void(Value, Value)> replaced) {
  MLIRContext *context = rewriter.getContext();
  SmallVector<AffineExpr> dims;
  for (unsigned loop : loops)
    dims.push_back(getAffineDimExpr(loop, context));
  auto toSecond = AffineMap::get(loops.size(), 0, dims, context);
  auto mapOf = [&](GenericOp op, OpOperand &operand) {
    AffineMap map = op.getMatchingIndexingMap(&operand);
    return op == first ? map.compose(toSecond) : map;
  };
  auto isResultOfFirst = [&](Value value) {
    return value.getDefiningOp() == first;
  };

  llvm::MapVector<std::pair<Value, AffineMap>, unsigned> inputs;
  for (GenericOp op : {first, second})
    for (OpOperand *operand : op.getDpsInputOperands())
      if (!isResultOfFirst(operand->get()))
        inputs.insert({{operand->get(), mapOf(op, *operand)},
                       static_cast<unsigned>(inputs.size())});
  SmallVector<OpOperand *> inits, needless;
  for (OpOperand &init : first.getDpsInitsMutable()) {
    bool isNeedless =
        !first.payloadUsesValueFromOperand(&init) &&
        llvm::all_of(first.getTiedOpResult(&init).getUsers(),
                     [&](Operation *user) { return user == second; });
    (isNeedless ? needless : inits).push_back(&init);
  }
  for (OpOperand &init : second.getDpsInitsMutable())
    inits.push_back(&init);
  // Some operand has to tell how often each loop runs.
  llvm::SmallBitVector counted(loops.size());
  auto count = [&](AffineMap map) {
    for (AffineExpr expr : map.getResults())
      if (auto dim = dyn_cast<AffineDimExpr>(expr))
        counted.set(dim.getPosition());
  };
  for (auto &[input, position] : inputs)
    count(input.second);
  for (OpOperand *init : inits)
    count(mapOf(cast<GenericOp>(init->getOwner()), *init));
  if (!counted.all())
    inits.append(needless);
  SmallVector<Value> inputValues, initValues;
  SmallVector<AffineMap> maps;
  for (auto &[input, position] : inputs) {
    inputValues.push_back(input.first);
    maps.push_back(input.second);
  }
  for (OpOperand *init : inits) {
    initValues.push_back(init->get());
    maps.push_back(mapOf(cast<GenericOp>(init->getOwner()), *init));
  }
  SmallVector<utils::IteratorType> iterators = second.getIteratorTypesArray();
  for (auto [loop, type] : llvm::zip(loops, first.getIteratorTypesArray()))
    if (type == utils::IteratorType::reduction)
      iterators[loop] = type;

  auto buildBody = [&](OpBuilder &builder, Location, ValueRange arguments) {
    IRMapping mapping;
    for (auto [init, argument] :
         llvm::zip_equal(inits, arguments.drop_front(inputs.size())))
      mapping.map(
          cast<GenericOp>(init->getOwner()).getMatchingBlockArgument(init),
          argument);
    auto yielded = [&](GenericOp op, OpResult result) {
      Operation *yield = op.getBody()->getTerminator();
      return mapping.lookupOrDefault(
          yield->getOperand(result.getResultNumber()));
    };
    for (GenericOp op : {first, second}) {
      for (OpOperand *operand : op.getDpsInputOperands()) {
        Value element = isResultOfFirst(operand->get())
                            ? yielded(first, cast<OpResult>(operand->get()))
                            : arguments[inputs.lookup(
                                  {operand->get(), mapOf(op, *operand)})];
        mapping.map(op.getMatchingBlockArgument(operand), element);
      }
      for (Operation &nested : op.getBody()->without_terminator()) {
        Operation *copy = builder.clone(nested, mapping);
        if (auto index = dyn_cast<linalg::IndexOp>(copy); index && op == first)
          index.setDim(loops[index.getDim()]);
      }
    }
    SmallVector<Value> yields;
    for (OpOperand *init : inits) {
      auto op = cast<GenericOp>(init->getOwner());
      yields.push_back(yielded(op, op.getTiedOpResult(init)));
    }
    linalg::YieldOp::create(builder, second.getLoc(), yields);
  };

  rewriter.setInsertionPoint(place);
  auto merged = GenericOp::create(
      rewriter, rewriter.getFusedLoc({first.getLoc(), second.getLoc()}),
      TypeRange(ValueRange(initValues)), inputValues, initValues, maps,
      iterators, buildBody);
  for (auto [init, result] : llvm::zip_equal(inits, merged.getResults())) {
    Value old = cast<GenericOp>(init->getOwner()).getTiedOpResult(init);
    rewriter.replaceAllUsesWith(old, result);
    replaced(old, result);
  }
  rewriter.eraseOp(second);
  rewriter.eraseOp(first);
  return merged;
}

namespace {

/// Goes through a block once, and merges each operation with earlier ones. What
/// was passed has a number, in program order, so that nothing has to ask MLIR
/// for the order of operations, which it computes anew after each move.
class NestMerger {
public:
  NestMerger(RewriterBase &rewriter, Block &block, bool separateReductions)
      : rewriter(rewriter), block(block),
        separateReductions(separateReductions) {}

  /// Returns the number of merges.
  unsigned run();

private:
  struct Passed {
    unsigned number;
    bool isMergeable;
  };
  using Reader = std::pair<Operation *, unsigned>;

  /// The operation to be merged with earlier ones.
  struct Current {
    GenericOp op;
    unsigned number;
    /// The operations that it needs values of, and those of them whose values
    /// its body may read at any element.
    SmallVector<Operation *> sources;
    llvm::SmallPtrSet<Operation *, 4> innerSources;
    /// What it needs directly or indirectly, as far as merging may reach.
    std::optional<llvm::SmallPtrSet<Operation *, 16>> ancestors;
  };

  unsigned numberOf(Operation *op) const {
    auto it = passed.find(op);
    return it == passed.end() ? nextNumber : it->second.number;
  }
  void pass(Operation *op, unsigned number, bool isMergeable);
  void forget(Operation *op);
  SmallVector<Operation *> collectReaders(Value value, unsigned before);
  SetVector<Operation *> collectCandidates(const Current &current);
  void collectAncestors(Current &current);

  bool collectSourcesToMove(const Current &current, GenericOp first,
                            SetVector<Operation *> &moved);
  GenericOp mergeUp(Current &current, GenericOp first);
  std::optional<SmallVector<Operation *>> collectUsersBetween(Current &current,
                                                              Operation *first);
  GenericOp mergeDown(Current &current, GenericOp first);
  Current start(GenericOp op);
  GenericOp mergeOne(GenericOp op);

  std::optional<SmallVector<unsigned>> match(GenericOp first,
                                             GenericOp second) const {
    auto loops = matchOperations(first, second);
    if (loops && separateReductions && reduceDifferently(first, second, *loops))
      return std::nullopt;
    return loops;
  }

  RewriterBase &rewriter;
  Block &block;
  bool separateReductions;
  unsigned nextNumber = 1;
  unsigned numMerged = 0;
  llvm::DenseMap<Operation *, Passed> passed;
  /// Readers of a value as they were passed; void if the number is another one.
  llvm::DenseMap<Value, SmallVector<Reader>> readers;
};

} // namespace

//===----------------------------------------------------------------------===//
// What was passed
//===----------------------------------------------------------------------===//

void NestMerger::pass(Operation *op, unsigned number, bool isMergeable) {
  passed[op] = {number, isMergeable};
  for (Value operand : op->getOperands()) {
    SmallVector<Reader> &all = readers[operand];
    auto place = all.end();
    while (place != all.begin() && std::prev(place)->second > number)
      --place;
    all.insert(place, {op, number});
  }
}

/// To be called before `op` is moved together with all that reads its results,
/// or erased.
void NestMerger::forget(Operation *op) {
  passed.erase(op);
  for (Value result : op->getResults())
    readers.erase(result);
}

/// The last operations before the one of this number that read `value`, last
/// one first.
SmallVector<Operation *> NestMerger::collectReaders(Value value,
                                                    unsigned before) {
  SmallVector<Operation *> found;
  SmallVector<Reader> &all = readers[value];
  for (size_t i = all.size(); i-- > 0 && found.size() < kMaxSiblings;) {
    auto [op, number] = all[i];
    if (number + kMaxDistance < before)
      break;
    auto it = passed.find(op);
    if (it == passed.end() || it->second.number != number)
      all.erase(all.begin() + i);
    else if (number < before)
      found.push_back(op);
  }
  return found;
}

/// Producers, and other readers of the same tensors, that may be merged.
SetVector<Operation *> NestMerger::collectCandidates(const Current &current) {
  GenericOp op = current.op;
  SetVector<Operation *> candidates;
  for (Value operand : op->getOperands())
    if (Operation *producer = operand.getDefiningOp())
      candidates.insert(producer);
  for (OpOperand *operand : op.getDpsInputOperands())
    if (op.getMatchingIndexingMap(operand).isPermutation())
      candidates.insert_range(collectReaders(operand->get(), current.number));
  candidates.remove_if([&](Operation *candidate) {
    auto it = passed.find(candidate);
    return it == passed.end() || !it->second.isMergeable ||
           it->second.number + kMaxDistance < current.number ||
           current.innerSources.contains(candidate);
  });
  return candidates;
}

void NestMerger::collectAncestors(Current &current) {
  current.ancestors.emplace();
  SmallVector<Operation *> worklist(current.sources);
  while (!worklist.empty()) {
    Operation *op = worklist.pop_back_val();
    auto it = passed.find(op);
    if (it == passed.end() ||
        it->second.number + kMaxDistance < current.number ||
        !current.ancestors->insert(op).second)
      continue;
    for (Value operand : op->getOperands())
      if (Operation *def = operand.getDefiningOp())
        worklist.push_back(def);
  }
}

//===----------------------------------------------------------------------===//
// Merging
//===----------------------------------------------------------------------===//

/// Whether all that `current` needs can be had where `first` stands. Initial
/// values are to be moved there, in this order.
bool NestMerger::collectSourcesToMove(const Current &current, GenericOp first,
                                      SetVector<Operation *> &moved) {
  unsigned here = numberOf(first);
  // What was moved to `first` before has its number.
  auto isThere = [&](Operation *source) {
    return source->getBlock() != &block || numberOf(source) <= here;
  };
  auto move = [&](Operation *source) {
    bool isConstant = source->hasTrait<OpTrait::ConstantLike>() ||
                      isa<tensor::EmptyOp>(source);
    if (isThere(source))
      return true;
    if (!isConstant || source->getNumOperands() != 0)
      return false;
    moved.insert(source);
    return true;
  };
  for (Operation *source : current.sources) {
    if (isThere(source) || !isa<linalg::FillOp>(source)) {
      if (!move(source))
        return false;
      continue;
    }
    for (Value operand : source->getOperands())
      if (Operation *def = operand.getDefiningOp(); def && !move(def))
        return false;
    moved.insert(source);
  }
  return true;
}

/// Merges `current` into `first`, at the place of the latter, if nothing that
/// it needs comes later.
GenericOp NestMerger::mergeUp(Current &current, GenericOp first) {
  SetVector<Operation *> moved;
  if (!collectSourcesToMove(current, first, moved))
    return nullptr;
  auto loops = match(first, current.op);
  if (!loops || !isSmallTogether(first, current.op))
    return nullptr;
  unsigned number = numberOf(first);
  passed.erase(first);
  passed.erase(current.op);
  for (Operation *source : moved) {
    passed.erase(source);
    rewriter.moveOpBefore(source, first);
    pass(source, number, /*isMergeable=*/false);
  }
  SmallVector<Value> old(first->getResults());
  llvm::append_range(old, current.op->getResults());
  GenericOp merged =
      mergeBodies(rewriter, first, current.op, *loops, /*place=*/first,
                  [&](Value value, Value result) {
                    SmallVector<Reader> all = std::move(readers[value]);
                    readers[result] = std::move(all);
                  });
  for (Value value : old)
    readers.erase(value);
  pass(merged, number, /*isMergeable=*/true);
  return merged;
}

/// Operations between `first` and `current`, in program order, that need a
/// result of `first`, or none if `current` needs a result of one of them.
std::optional<SmallVector<Operation *>>
NestMerger::collectUsersBetween(Current &current, Operation *first) {
  if (!current.ancestors)
    collectAncestors(current);
  llvm::SmallPtrSet<Operation *, 16> seen;
  SmallVector<Operation *> worklist{first}, between;
  while (!worklist.empty()) {
    Operation *op = worklist.pop_back_val();
    for (Operation *user : op->getUsers()) {
      Operation *ancestor = block.findAncestorOpInBlock(*user);
      if (ancestor == current.op) {
        if (op != first)
          return std::nullopt;
        continue;
      }
      if (!ancestor || !passed.contains(ancestor) ||
          !seen.insert(ancestor).second)
        continue;
      if (current.ancestors->contains(ancestor) ||
          !isMemoryEffectFree(ancestor))
        return std::nullopt;
      between.push_back(ancestor);
      worklist.push_back(ancestor);
    }
  }
  llvm::sort(between, [&](Operation *a, Operation *b) {
    return numberOf(a) < numberOf(b);
  });
  return between;
}

/// Merges `first` into `current`, which is the next operation to be passed, at
/// the place of the latter, if it needs nothing that has to run between them.
/// What needs results of `first` moves behind it.
GenericOp NestMerger::mergeDown(Current &current, GenericOp first) {
  auto loops = match(first, current.op);
  if (!loops)
    return nullptr;
  auto between = collectUsersBetween(current, first);
  if (!between || !isSmallTogether(first, current.op))
    return nullptr;
  forget(first);
  for (Operation *op : *between)
    forget(op);
  GenericOp merged =
      mergeBodies(rewriter, first, current.op, *loops, /*place=*/current.op,
                  /*replaced=*/[](Value, Value) {});
  Operation *last = merged;
  for (Operation *op : *between) {
    rewriter.moveOpAfter(op, last);
    last = op;
  }
  return merged;
}

NestMerger::Current NestMerger::start(GenericOp op) {
  Current current{op, numberOf(op), {}, {}, std::nullopt};
  SetVector<Value> captured;
  getUsedValuesDefinedAbove(op->getRegions(), captured);
  for (Value value : captured)
    if (Operation *def = value.getDefiningOp())
      current.innerSources.insert(def);
  llvm::append_range(current.sources, current.innerSources);
  for (Value operand : op->getOperands())
    if (Operation *def = operand.getDefiningOp())
      current.sources.push_back(def);
  return current;
}

/// Merges `op`, which has just been merged, or is the next one to be passed,
/// with one earlier operation: a producer or else a reader of the same tensor.
GenericOp NestMerger::mergeOne(GenericOp op) {
  Current current = start(op);
  bool isNext = !passed.contains(op);
  for (Operation *candidate : collectCandidates(current)) {
    auto first = cast<GenericOp>(candidate);
    GenericOp merged = mergeUp(current, first);
    if (!merged && isNext)
      merged = mergeDown(current, first);
    if (merged) {
      ++numMerged;
      return merged;
    }
  }
  return nullptr;
}

unsigned NestMerger::run() {
  for (Operation *op = &block.front(); op;) {
    Operation *next = op->getNextNode();
    bool canMerge = isMergeable(op);
    while (canMerge) {
      GenericOp merged = mergeOne(cast<GenericOp>(op));
      if (!merged)
        break;
      op = merged;
      if (!passed.contains(op))
        next = op->getNextNode();
    }
    if (!passed.contains(op))
      pass(op, nextNumber++, canMerge);
    op = next;
  }
  return numMerged;
}

unsigned mlir::grad::mergeLoopNests(RewriterBase &rewriter, Block &block,
                                    bool separateReductions) {
  return NestMerger(rewriter, block, separateReductions).run();
}
