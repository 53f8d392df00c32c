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
// Values that are computed twice are one node. Where the cut takes too long,
// the sources are stored or the sinks.
//
//===----------------------------------------------------------------------===//

#include "dialect/Residuals.h"

#include "dialect/GradDialect.h"
#include "dialect/MinimumCut.h"
#include "dialect/Stacks.h"
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

/// Whether the op takes no more time for an element than to load it.
static bool isArithmetic(Operation *op) {
  return isa<AddOp, SubtractOp, MultiplyOp, NegativeOp, AbsoluteOp, SignOp,
             SquareOp, MaximumOp, MinimumOp, EqualOp, NotEqualOp, LessOp,
             LessEqualOp, GreaterOp, GreaterEqualOp, LogicalAndOp, LogicalOrOp,
             LogicalXorOp, LogicalNotOp, SelectOp, ConvertOp>(op) ||
         isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::NegFOp,
             arith::SelectOp, arith::CmpFOp>(op);
}

static bool isRecomputable(Operation *op) {
  return (isMovement(op) || isArithmetic(op)) &&
         llvm::all_of(op->getOperandTypes(), isStorable);
}

bool Residuals::isInside(Value value) const {
  return value.getParentBlock() == &primal && !given.known.contains(value);
}

/// The values of the primal block that have to be there for the op, each once.
SmallVector<Value> Residuals::inputsOf(Operation *op) const {
  llvm::SmallSetVector<Value, 4> inputs;
  for (Value operand : op->getOperands())
    if (isInside(operand))
      inputs.insert(leaderOf(operand));
  return inputs.takeVector();
}

Residuals::Residuals(Block &primal, Block &linear, Given given)
    : primal(primal), linear(linear), given(std::move(given)) {
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
  collect();
  choose();
  hoist();
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
        [&](Value value) {
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
        [&](Value a, Value b) {
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

void Residuals::collect() {
  SmallVector<Value> pending;
  auto add = [&](Value value) {
    if (relevant.insert(value).second)
      pending.push_back(value);
  };
  for (Value value : demanded)
    if (isInside(value)) {
      sinks.insert(leaderOf(value));
      add(leaderOf(value));
    }
  while (!pending.empty()) {
    Operation *op = pending.pop_back_val().getDefiningOp();
    if (op && isRecomputable(op))
      llvm::for_each(inputsOf(op), add);
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
    if (!isRecomputable(op)) {
      if (invariant.contains(op)) {
        hoisted.push_back(op);
        free.insert(value);
      }
    } else if (llvm::all_of(inputsOf(op), [&](Value input) {
                 return free.contains(input);
               })) {
      free.insert(value);
    }
  }
  llvm::erase_if(ordered, [&](Value value) { return free.contains(value); });
}

SmallVector<Value> Residuals::cut(const DenseSet<Value> &forced,
                                  const DenseSet<Value> &kept) const {
  // What is stored anyway is not quite for nothing: it has to be loaded.
  auto costOf = [&](Value value) -> int64_t {
    if (kept.contains(value))
      return 1;
    // What cannot be stored is reported if it has to be.
    return isStorable(value.getType()) ? getBytes(value.getType())
                                       : int64_t(1) << 50;
  };
  MinimumCut graph;
  DenseMap<Value, unsigned> nodes;
  for (Value value : ordered)
    nodes[value] = graph.addNode(costOf(value));
  SmallVector<Value> first, last;
  for (auto [node, value] : llvm::enumerate(ordered)) {
    Operation *op = value.getDefiningOp();
    if (!op || !isRecomputable(op)) {
      graph.addSource(node);
      first.push_back(value);
    } else {
      for (Value input : inputsOf(op))
        if (!free.contains(input))
          graph.addEdge(nodes.lookup(input), node);
    }
    if (sinks.contains(value) || forced.contains(value)) {
      graph.addSink(node);
      last.push_back(value);
    }
  }
  if (std::optional<SmallVector<unsigned>> found = graph.solve())
    return llvm::map_to_vector(*found,
                               [&](unsigned node) { return ordered[node]; });
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

void Residuals::supply(OpBuilder &builder) {
  DenseSet<Operation *> needed;
  SmallVector<Value> pending(sinks.begin(), sinks.end());
  while (!pending.empty()) {
    Value value = pending.pop_back_val();
    if (isInside(value) && needed.insert(value.getDefiningOp()).second)
      llvm::append_range(pending, inputsOf(value.getDefiningOp()));
  }
  auto there = [&](Value value) {
    return given.known.lookupOrDefault(leaderOf(value));
  };
  for (Operation *op : inOrder(needed)) {
    for (Value operand : op->getOperands())
      given.known.map(operand, there(operand));
    builder.clone(*op, given.known);
  }
  for (Value value : demanded)
    value.replaceUsesWithIf(there(value), [&](OpOperand &use) {
      return linear.findAncestorOpInBlock(*use.getOwner());
    });
}
