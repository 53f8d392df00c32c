//===- Residuals.cpp - What linear code needs of primal code --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A minimum cut. The nodes of a graph are values of the primal block, at the
// cost of their bytes, and its edges lead from the operands of cheap ops to
// their results. Sources are values that cannot be computed once more, such as
// what a loop carries and the results of expensive ops; sinks are the values
// that linear code uses. What a cut between them consists of is enough to
// compute the sinks, and no choice that is enough takes fewer bytes. Of equal
// ones, the one nearest to the sinks computes least. Left out of the graph is
// what follows from the induction variable, from values outside and from
// constants alone.
//
//     %a (carried) --- slice --- %b ---+
//                                      multiply --- %d --- linear code
//     %x (of exp) -----------------> %c                    stores %d, or %b, %x
//
// What is read from an array, or written to it, may be found in the array as it
// is before the loop or behind it (Rereads.h): that is no source then. Values
// that are computed twice are one node. Where the cut takes too long,
// the sources are stored or the sinks.
//
//===----------------------------------------------------------------------===//

#include "dialect/Residuals.h"

#include "dialect/GradDialect.h"
#include "dialect/MinimumCut.h"
#include "dialect/Rereads.h"
#include "dialect/Stacks.h"
#include "dialect/Updates.h"
#include "dialect/Uses.h"
#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

/// Whether the op moves data and calculates, if anything, with positions.
static bool isMovement(Operation *op) {
  if (matchPattern(op, m_Constant()))
    return true;
  if (isa<IotaOp, IdentityOp, BroadcastOp, ReshapeOp, TransposeOp, SliceOp,
          DynamicSliceOp, ReverseOp, GatherOp, StopGradientOp>(op))
    return true;
  if (isa<tensor::FromElementsOp, tensor::ExtractOp, arith::IndexCastOp>(op))
    return true;
  // On integers without dimensions.
  return op->getNumRegions() == 0 && isPure(op) &&
         llvm::all_of(op->getResultTypes(), [](Type type) {
           auto tensor = dyn_cast<RankedTensorType>(type);
           return tensor ? tensor.getRank() == 0 &&
                               tensor.getElementType().isInteger()
                         : type.isIntOrIndex();
         });
}

bool mlir::grad::isArithmetic(Operation *op) {
  return isa<AddOp, SubtractOp, MultiplyOp, NegativeOp, AbsoluteOp, SignOp,
             SquareOp, MaximumOp, MinimumOp, EqualOp, NotEqualOp, LessOp,
             LessEqualOp, GreaterOp, GreaterEqualOp, LogicalAndOp, LogicalOrOp,
             LogicalXorOp, LogicalNotOp, BitwiseAndOp, BitwiseOrOp,
             BitwiseXorOp, LeftShiftOp, RightShiftOp, InvertOp, SelectOp,
             ConvertOp>(op) ||
         isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::NegFOp,
             arith::SelectOp, arith::CmpFOp>(op);
}

static bool isRecomputable(Operation *op) {
  return (isMovement(op) || isArithmetic(op)) &&
         llvm::all_of(op->getOperandTypes(), isStorable);
}

bool Residuals::isInside(Value value) const {
  return value.getParentBlock() == &primal &&
         !given.known.contains(leaderOf(value));
}

/// Whether the value, which is inside, is computed once more if its op's
/// operands are there.
bool Residuals::isComputed(Value value) const {
  Operation *op = value.getDefiningOp();
  return rereads.contains(value) ||
         (op && isRecomputable(op) && !given.pinned.contains(value));
}

SmallVector<Operation *> Residuals::opsOf(Value value) const {
  auto found = rereads.find(value);
  if (found == rereads.end())
    return {value.getDefiningOp()};
  return llvm::map_to_vector(found->second,
                             [](auto &op) -> Operation * { return *op; });
}

/// The values of the primal block that have to be there for the value to be
/// computed, each once.
SmallVector<Value> Residuals::inputsOf(Value value) const {
  llvm::SmallSetVector<Value, 4> inputs;
  for (Operation *op : opsOf(value))
    for (Value operand : op->getOperands())
      // A leader may have been moved out of the block.
      if (Value leader = leaderOf(operand); isInside(leader))
        inputs.insert(leader);
  return inputs.takeVector();
}

Residuals::Residuals(Block &primal, Block &linear, Given given)
    : Residuals(primal, linear, std::move(given), {}) {
  if (demanded.empty())
    return;
  choose();
  hoist();
}

Residuals::Residuals(Block &primal, Block &linear, Given given,
                     ArrayRef<Updated> arrays)
    : primal(primal), linear(linear), given(std::move(given)), arrays(arrays) {
  linear.walk([&](Operation *op) {
    for (Value operand : op->getOperands())
      if (operand.getParentBlock() == &primal)
        demanded.insert(operand);
  });
  if (demanded.empty())
    return;
  findEqual();
  if (isa_and_nonnull<LoopLikeOpInterface>(primal.getParentOp()))
    findInvariant();
  knowRestored();
  for (Operation &op : primal)
    if (Value value = isUpdate(&op) ? findHeld(&op) : Value())
      if (isInside(value))
        updateOf[leaderOf(value)] = &op;
  for (auto [i, array] : llvm::enumerate(arrays))
    for (Value version : array.versions) {
      arrayOf[leaderOf(version)] = i;
      Operation *op = version.getDefiningOp();
      if (Value value = op && isUpdate(op) ? findHeld(op) : Value())
        holderOf[leaderOf(value)] = leaderOf(version);
    }
  collect();
}

SmallVector<unsigned> Residuals::chooseRestored(Block &primal, Block &linear,
                                                Given given,
                                                ArrayRef<Updated> arrays) {
  Residuals residuals(primal, linear, std::move(given), arrays);
  DenseSet<Value> there;
  for (Value value : residuals.given.stored)
    there.insert(residuals.leaderOf(value));
  SmallVector<unsigned> restored;
  residuals.cut({}, there, &restored);
  return restored;
}

bool Residuals::needNothing(Block &primal, Block &linear, Given given) {
  return Residuals(primal, linear, std::move(given), {}).cut({}, {}).empty();
}

namespace {

/// An op without regions, by what it computes of which leaders.
struct Computation {
  Operation *op;
  const DenseMap<Value, Value> *leaders;
};

} // namespace

template <> struct llvm::DenseMapInfo<Computation> {
  static Computation getEmptyKey() {
    return {DenseMapInfo<Operation *>::getEmptyKey(), nullptr};
  }
  static Computation getTombstoneKey() {
    return {DenseMapInfo<Operation *>::getTombstoneKey(), nullptr};
  }
  static unsigned getHashValue(Computation key) {
    return OperationEquivalence::computeHash(
        key.op,
        [&](mlir::Value value) {
          return hash_value(key.leaders->lookup_or(value, value));
        },
        OperationEquivalence::ignoreHashValue,
        OperationEquivalence::IgnoreLocations);
  }
  static bool isEqual(Computation lhs, Computation rhs) {
    if (lhs.op == rhs.op || !lhs.leaders || !rhs.leaders)
      return lhs.op == rhs.op;
    return OperationEquivalence::isEquivalentTo(
        lhs.op, rhs.op,
        [&](mlir::Value a, mlir::Value b) {
          return success(lhs.leaders->lookup_or(a, a) ==
                         rhs.leaders->lookup_or(b, b));
        },
        nullptr, OperationEquivalence::IgnoreLocations);
  }
};

void Residuals::findEqual() {
  DenseSet<Computation> seen;
  for (Operation &op : primal) {
    if (op.getNumRegions() || op.getNumResults() == 0 || !isPure(&op))
      continue;
    auto [found, isNew] = seen.insert({&op, &leaders});
    if (!isNew)
      for (auto [result, leader] :
           llvm::zip_equal(op.getResults(), found->op->getResults()))
        leaders[result] = leader;
  }
}

void Residuals::findInvariant() {
  for (Operation &op : primal)
    if (op.getNumRegions() == 0 && op.getNumResults() && isPure(&op) &&
        llvm::all_of(op.getOperands(), [&](Value operand) {
          return operand.getParentBlock() != &primal ||
                 invariant.contains(operand.getDefiningOp());
        }))
      invariant.insert(&op);
}

void Residuals::knowRestored() {
  DenseSet<Value> pinned;
  for (Value value : given.pinned)
    pinned.insert(leaderOf(value));
  DenseMap<Value, Value> restored;
  for (auto [value, there] : given.restored)
    restored[leaderOf(value)] = there;

  llvm::SetVector<Operation *> ops(given.restoring.begin(),
                                   given.restoring.end());
  llvm::SetVector<Value> used;
  for (unsigned i = 0; i < ops.size(); ++i)
    forEachUsed(ops[i], [&](Value value) {
      Operation *op = value.getDefiningOp();
      if (value.getParentBlock() == &primal)
        used.insert(leaderOf(value));
      else if (op && op->getBlock() == &linear)
        ops.insert(op);
    });
  for (Value value : used) {
    llvm::SetVector<Value> computed;
    computed.insert(value);
    for (unsigned i = 0; i < computed.size(); ++i) {
      if (restored.contains(computed[i])) {
        pinned.insert(value);
        restored.erase(value);
        break;
      }
      Operation *op = computed[i].getDefiningOp();
      if (!op || !isRecomputable(op) || pinned.contains(computed[i]))
        continue;
      computed.insert_range(inputsOf(computed[i]));
      // In a branch, the array is one of the block around it.
      forEachUsed(op, [&](Value operand) {
        if (restored.contains(leaderOf(operand)))
          computed.insert(leaderOf(operand));
      });
    }
  }
  given.pinned = std::move(pinned);
  for (auto [value, there] : restored)
    given.known.map(value, there);
}

void Residuals::addReread(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return;
  SmallVector<OwningOpRef<Operation *>, 2> ops;
  if (Value array = findReread(op)) {
    if (given.known.contains(leaderOf(op->getOperand(0))) &&
        !given.pinned.contains(value))
      return;
    ops.emplace_back(op->clone()).get()->setOperand(0, array);
  } else if (Operation *update = updateOf.lookup(value)) {
    if (Value array = findWritten(update)) {
      OpBuilder nowhere(update->getContext());
      Operation *last = readHeld(nowhere, update, array).getDefiningOp();
      if (auto reshape = dyn_cast<ReshapeOp>(last))
        ops.emplace_back(reshape.getX().getDefiningOp());
      ops.emplace_back(last);
    }
  }
  if (ops.empty())
    return;
  rereads.try_emplace(value, std::move(ops));
  // Where it is read from must not follow from the value itself.
  llvm::SetVector<Value> sources;
  sources.insert_range(inputsOf(value));
  for (unsigned i = 0; i < sources.size(); ++i)
    sources.insert_range(inputsOf(sources[i]));
  if (sources.contains(value))
    rereads.erase(value);
}

void Residuals::collect() {
  SmallVector<Value> pending;
  auto add = [&](Value value) {
    if (relevant.insert(value).second) {
      addReread(value);
      pending.push_back(value);
    }
  };
  for (Value value : demanded)
    if (isInside(value)) {
      sinks.insert(leaderOf(value));
      add(leaderOf(value));
    }
  while (!pending.empty()) {
    Value value = pending.pop_back_val();
    if (isComputed(value))
      llvm::for_each(inputsOf(value), add);
    else if (Value holder = holderOf.lookup(value))
      add(holder);
  }
  ordered.assign(relevant.begin(), relevant.end());
  llvm::sort(ordered, [](Value a, Value b) {
    auto first = dyn_cast<BlockArgument>(a),
         second = dyn_cast<BlockArgument>(b);
    if (first || second)
      return first && (!second || first.getArgNumber() < second.getArgNumber());
    auto one = cast<OpResult>(a), other = cast<OpResult>(b);
    return one.getOwner() == other.getOwner()
               ? one.getResultNumber() < other.getResultNumber()
               : one.getOwner()->isBeforeInBlock(other.getOwner());
  });
  for (Value value : ordered) {
    Operation *op = value.getDefiningOp();
    if (!op)
      continue;
    if (!isComputed(value)) {
      if (invariant.contains(op)) {
        hoisted.push_back(op);
        free.insert(value);
      }
    } else if (llvm::all_of(inputsOf(value), [&](Value input) {
                 return free.contains(input);
               })) {
      free.insert(value);
    }
  }
  llvm::erase_if(ordered, [&](Value value) { return free.contains(value); });
}

SmallVector<Value> Residuals::cut(const DenseSet<Value> &forced,
                                  const DenseSet<Value> &kept,
                                  SmallVector<unsigned> *restored) const {
  // What is stored anyway is not quite for nothing: it has to be loaded. An
  // array that is restored has to be loaded and written to.
  constexpr int64_t kLoad = 1, kRestore = 2;
  auto costOf = [&](Value value) -> int64_t {
    if (kept.contains(value))
      return kLoad;
    // What cannot be stored is reported if it has to be.
    return isStorable(value.getType()) ? getBytes(value.getType())
                                       : int64_t(1) << 50;
  };
  MinimumCut graph;
  DenseMap<Value, unsigned> nodes;
  for (Value value : ordered)
    nodes[value] = graph.addNode(costOf(value));
  // What the updates of an array overwrite.
  for (const Updated &array : arrays)
    graph.addSource(graph.addNode(array.bytes + kRestore));
  SmallVector<Value> first, last;
  for (auto [node, value] : llvm::enumerate(ordered)) {
    if (isComputed(value)) {
      for (Value input : inputsOf(value))
        if (!free.contains(input))
          graph.addEdge(nodes.lookup(input), node);
    } else if (auto array = arrayOf.find(value); array != arrayOf.end()) {
      graph.addEdge(ordered.size() + array->second, node);
    } else if (Value holder = holderOf.lookup(value)) {
      graph.addEdge(nodes.lookup(holder), node);
    } else {
      graph.addSource(node);
      first.push_back(value);
    }
    if (sinks.contains(value) || forced.contains(value)) {
      graph.addSink(node);
      last.push_back(value);
    }
  }
  if (std::optional<SmallVector<unsigned>> found = graph.solve()) {
    SmallVector<Value> values;
    for (unsigned node : *found)
      if (node < ordered.size())
        values.push_back(ordered[node]);
      else
        restored->push_back(node - ordered.size());
    return values;
  }
  auto sum = [&](ArrayRef<Value> values) {
    int64_t bytes = 0;
    for (Value value : values)
      bytes += costOf(value);
    return bytes;
  };
  return sum(first) < sum(last) ? first : last;
}

void Residuals::choose() {
  DenseSet<Value> there;
  for (Value &value : given.stored) {
    value = leaderOf(value);
    there.insert(value);
  }
  SmallVector<Value> chosen = cut({}, there);

  // Once more, given that the first of some pairs are stored in any case.
  DenseMap<Value, Value> previous;
  DenseSet<Value> isChosen(chosen.begin(), chosen.end()), forced;
  for (auto [value, next] : given.carried) {
    next = leaderOf(next);
    if (isChosen.contains(value) && !there.contains(value) &&
        !there.contains(next) && next.getDefiningOp() &&
        relevant.contains(next) && !free.contains(next) &&
        previous.try_emplace(next, value).second)
      forced.insert(value);
  }
  if (!forced.empty()) {
    DenseSet<Value> more = there;
    for (auto [next, value] : previous)
      more.insert(next);
    chosen = cut(forced, more);
  }
  DenseSet<Value> paired;
  for (Value value : chosen)
    if (Value first = previous.lookup(value)) {
      carried.push_back({first, value});
      paired.insert_range(ArrayRef{first, value});
    }
  DenseSet<Value> taken;
  for (Value value : chosen)
    if (there.contains(value))
      taken.insert(value);
    else if (!paired.contains(value))
      stored.push_back(value);
  for (auto [i, value] : llvm::enumerate(given.stored))
    if (taken.erase(value))
      shared.push_back(i);
}

/// The ops of a block in their order.
static SmallVector<Operation *> inOrder(const DenseSet<Operation *> &ops) {
  SmallVector<Operation *> sorted(ops.begin(), ops.end());
  llvm::sort(sorted,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  return sorted;
}

void Residuals::hoist() {
  DenseSet<Operation *> moved(hoisted.begin(), hoisted.end());
  while (!hoisted.empty())
    for (Value operand : hoisted.pop_back_val()->getOperands())
      if (operand.getParentBlock() == &primal &&
          moved.insert(operand.getDefiningOp()).second)
        hoisted.push_back(operand.getDefiningOp());
  for (Operation *op : inOrder(moved))
    op->moveBefore(primal.getParentOp());
}

/// Moves what reads a part of the array that `op` restores in front of that, so
/// that it can be restored in place.
static void readBefore(Operation *op) {
  auto isThere = [&](Value value) {
    Operation *def = value.getDefiningOp();
    return !def || def->getBlock() != op->getBlock() ||
           def->isBeforeInBlock(op);
  };
  for (Value array : op->getOperands())
    if (array.getType() == op->getResult(0).getType())
      for (Operation *user : llvm::make_early_inc_range(array.getUsers()))
        if (user->getBlock() == op->getBlock() && op->isBeforeInBlock(user) &&
            isMovement(user) && llvm::all_of(user->getOperands(), isThere))
          user->moveBefore(op);
}

void Residuals::supply(OpBuilder &builder) {
  llvm::SetVector<Value> needed;
  for (Value value : demanded)
    if (Value leader = leaderOf(value); isInside(leader))
      needed.insert(leader);
  for (unsigned i = 0; i < needed.size(); ++i)
    needed.insert_range(inputsOf(needed[i]));
  auto there = [&](Value value) {
    return given.known.lookupOrDefault(leaderOf(value));
  };
  // In the order of the block, but for what is read from arrays instead.
  SmallVector<Value> pending(needed.getArrayRef());
  llvm::sort(pending, [](Value a, Value b) {
    return b.getDefiningOp()->isBeforeInBlock(a.getDefiningOp());
  });
  while (!pending.empty()) {
    Value value = pending.back();
    if (!isInside(value)) {
      pending.pop_back();
      continue;
    }
    if (SmallVector<Value> inputs = inputsOf(value); !inputs.empty()) {
      llvm::append_range(pending, inputs);
      continue;
    }
    Operation *copy;
    for (Operation *op : opsOf(value)) {
      for (Value operand : op->getOperands())
        given.known.map(operand, there(operand));
      copy = builder.clone(*op, given.known);
    }
    if (rereads.contains(value))
      provide(value, copy->getResult(0));
  }
  for (Value value : demanded)
    value.replaceUsesWithIf(there(value), [&](OpOperand &use) {
      return linear.findAncestorOpInBlock(*use.getOwner());
    });
  // Between the ops that restore arrays stand those that use them.
  if (!given.restoring.empty())
    sortTopologically(&linear);
  for (Operation *op : given.restoring)
    readBefore(op);
}
