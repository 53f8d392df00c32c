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

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::grad;
using linalg::GenericOp;

/// Loops with more operands than this run out of registers and of hardware
/// prefetch streams.
static constexpr unsigned kMaxOperands = 32;

/// How many earlier readers of the same tensor are considered.
static constexpr unsigned kMaxSiblings = 16;

/// How many operations are looked at in search of a dependence. Bounds the time
/// that long programs take.
static constexpr unsigned kMaxUsersBetween = 256;

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
  return generic && generic.hasPureTensorSemantics() && !isContraction(generic);
}

/// Operations between `first` and `last`, in program order, that need a result
/// of `first`, or none if `last` needs a result of one of them (or if there are
/// too many to tell).
static std::optional<SmallVector<Operation *>>
collectUsersBetween(Operation *first, Operation *last) {
  llvm::SmallPtrSet<Operation *, 16> seen;
  SmallVector<Operation *> worklist{first}, between;
  Block *block = first->getBlock();
  while (!worklist.empty()) {
    Operation *op = worklist.pop_back_val();
    for (Operation *user : op->getUsers()) {
      Operation *ancestor = block->findAncestorOpInBlock(*user);
      if (ancestor == last) {
        // Inside of the body of `last`, any element may be read.
        if (op != first || user != last)
          return std::nullopt;
        continue;
      }
      if (!ancestor || last->isBeforeInBlock(ancestor) ||
          !seen.insert(ancestor).second)
        continue;
      if (seen.size() > kMaxUsersBetween || !isMemoryEffectFree(ancestor))
        return std::nullopt;
      between.push_back(ancestor);
      worklist.push_back(ancestor);
    }
  }
  llvm::sort(between,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  return between;
}

/// How the loops of `first` map to the loops of the later `second` if the two
/// can run as one nest: every value that `second` reads of `first` has to be
/// ready in the same iteration.
static std::optional<SmallVector<unsigned>> matchOperations(GenericOp first,
                                                            GenericOp second) {
  if (first.getNumLoops() != second.getNumLoops() ||
      first->getNumOperands() + second->getNumOperands() > kMaxOperands ||
      !isSmallTogether(first, second))
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

/// Builds the merged operation at the place of `second`.
static GenericOp merge(RewriterBase &rewriter, GenericOp first,
                       GenericOp second, ArrayRef<unsigned> loops) {
  MLIRContext *context = rewriter.getContext();
  SmallVector<AffineExpr> dims;
  for (unsigned loop : loops)
    dims.push_back(getAffineDimExpr(loop, context));
  auto toSecond = AffineMap::get(loops.size(), 0, dims, context);

  SmallVector<Value> inputs, inits;
  SmallVector<AffineMap> inputMaps, initMaps;
  for (OpOperand *operand : first.getDpsInputOperands()) {
    inputs.push_back(operand->get());
    inputMaps.push_back(
        first.getMatchingIndexingMap(operand).compose(toSecond));
  }
  for (OpOperand &operand : first.getDpsInitsMutable()) {
    inits.push_back(operand.get());
    initMaps.push_back(
        first.getMatchingIndexingMap(&operand).compose(toSecond));
  }
  for (OpOperand *operand : second.getDpsInputOperands()) {
    if (operand->get().getDefiningOp() == first)
      continue;
    inputs.push_back(operand->get());
    inputMaps.push_back(second.getMatchingIndexingMap(operand));
  }
  for (OpOperand &operand : second.getDpsInitsMutable()) {
    inits.push_back(operand.get());
    initMaps.push_back(second.getMatchingIndexingMap(&operand));
  }
  SmallVector<utils::IteratorType> iterators = second.getIteratorTypesArray();
  for (auto [loop, type] : llvm::zip(loops, first.getIteratorTypesArray()))
    if (type == utils::IteratorType::reduction)
      iterators[loop] = type;

  auto buildBody = [&](OpBuilder &builder, Location, ValueRange arguments) {
    IRMapping mapping;
    auto nextInput = arguments.begin();
    auto nextInit = arguments.begin() + inputs.size();
    SmallVector<Value> yields;
    auto copyBody = [&](GenericOp op) {
      for (OpOperand *operand : op.getDpsInputOperands())
        if (op == first || operand->get().getDefiningOp() != first)
          mapping.map(op.getMatchingBlockArgument(operand), *nextInput++);
        else
          mapping.map(op.getMatchingBlockArgument(operand),
                      yields[cast<OpResult>(operand->get()).getResultNumber()]);
      for (OpOperand &operand : op.getDpsInitsMutable())
        mapping.map(op.getMatchingBlockArgument(&operand), *nextInit++);
      for (Operation &nested : op.getBody()->without_terminator()) {
        Operation *copy = builder.clone(nested, mapping);
        if (auto index = dyn_cast<linalg::IndexOp>(copy); index && op == first)
          index.setDim(loops[index.getDim()]);
      }
      for (Value value : op.getBody()->getTerminator()->getOperands())
        yields.push_back(mapping.lookupOrDefault(value));
    };
    copyBody(first);
    copyBody(second);
    linalg::YieldOp::create(builder, second.getLoc(), yields);
  };

  rewriter.setInsertionPoint(second);
  SmallVector<AffineMap> maps = llvm::to_vector(inputMaps);
  llvm::append_range(maps, initMaps);
  auto merged = GenericOp::create(
      rewriter, rewriter.getFusedLoc({first.getLoc(), second.getLoc()}),
      TypeRange(ValueRange(inits)), inputs, inits, maps, iterators, buildBody);
  ValueRange results = merged.getResults();
  rewriter.replaceOp(second, results.drop_front(first->getNumResults()));
  rewriter.replaceOp(first, results.take_front(first->getNumResults()));
  return merged;
}

/// Merges `first` into the later `second` if this is possible.
static GenericOp tryMerge(RewriterBase &rewriter, GenericOp first,
                          GenericOp second) {
  auto loops = matchOperations(first, second);
  if (!loops)
    return nullptr;
  auto between = collectUsersBetween(first, second);
  if (!between)
    return nullptr;
  GenericOp merged = merge(rewriter, first, second, *loops);
  Operation *last = merged;
  for (Operation *op : *between) {
    rewriter.moveOpAfter(op, last);
    last = op;
  }
  return merged;
}

/// Merges one earlier operation into `op`: a producer or else a reader of the
/// same tensor.
static GenericOp mergeInto(RewriterBase &rewriter, GenericOp op) {
  SetVector<Operation *> candidates;
  for (Value operand : op->getOperands())
    if (Operation *producer = operand.getDefiningOp())
      candidates.insert(producer);
  for (OpOperand *operand : op.getDpsInputOperands()) {
    if (!op.getMatchingIndexingMap(operand).isPermutation())
      continue;
    SmallVector<Operation *> siblings;
    for (Operation *user : operand->get().getUsers())
      if (user != op && user->getBlock() == op->getBlock() &&
          user->isBeforeInBlock(op))
        siblings.push_back(user);
    llvm::sort(siblings, [](Operation *a, Operation *b) {
      return b->isBeforeInBlock(a);
    });
    for (Operation *sibling : ArrayRef(siblings).take_front(kMaxSiblings))
      candidates.insert(sibling);
  }
  for (Operation *candidate : candidates)
    if (candidate->getBlock() == op->getBlock() && isMergeable(candidate))
      if (GenericOp merged = tryMerge(rewriter, cast<GenericOp>(candidate), op))
        return merged;
  return nullptr;
}

unsigned mlir::grad::mergeLoopNests(RewriterBase &rewriter, Block &block) {
  unsigned numMerged = 0;
  for (Operation *op = &block.front(); op; op = op->getNextNode()) {
    if (!isMergeable(op))
      continue;
    while (GenericOp merged = mergeInto(rewriter, cast<GenericOp>(op))) {
      op = merged;
      ++numMerged;
    }
  }
  return numMerged;
}
