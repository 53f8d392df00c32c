//===- CarriedNeeds.cpp - What loops carry for others ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/CarriedNeeds.h"

#include "dialect/GradDialect.h"
#include "dialect/Stacks.h"
#include "dialect/Uses.h"

#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

namespace {

/// The values in the body of a loop that some of what it carries follows from.
/// Of loops and branches in it, other results are not looked at.
class Needs {
public:
  explicit Needs(Block &root)
      : root(root), needed(root.getTerminator()->getNumOperands()) {}

  /// Adds what is carried is computed from, in all iterations.
  void addResult(unsigned i) {
    if (needed.test(i))
      return;
    needed.set(i);
    add(root.getTerminator()->getOperand(i));
    while (!pending.empty())
      visit(pending.pop_back_val());
  }

  const llvm::BitVector &getNeeded() const { return needed; }
  bool isNeeded(Value value) const { return visited.contains(value); }

private:
  bool isInside(Value value) {
    Block *block = value.getParentBlock();
    while (block && block != &root) {
      Operation *parent = block->getParentOp();
      block = parent ? parent->getBlock() : nullptr;
    }
    return block;
  }

  void add(Value value) {
    if (isInside(value) && visited.insert(value).second)
      pending.push_back(value);
  }

  void visit(Value value) {
    if (auto argument = dyn_cast<BlockArgument>(value))
      return visitArgument(argument);
    auto result = cast<OpResult>(value);
    Operation *op = result.getOwner();
    unsigned i = result.getResultNumber();
    if (auto loop = dyn_cast<scf::ForOp>(op)) {
      llvm::for_each(loop->getOperands().take_front(3),
                     [&](Value bound) { add(bound); });
      add(loop.getInitArgs()[i]);
      add(loop.getYieldedValues()[i]);
    } else if (auto loop = dyn_cast<scf::WhileOp>(op)) {
      add(loop.getConditionOp().getCondition());
      add(loop.getConditionOp().getArgs()[i]);
    } else if (isa<scf::IfOp, scf::IndexSwitchOp, scf::ExecuteRegionOp>(op) &&
               llvm::all_of(op->getRegions(), [](Region &region) {
                 return region.hasOneBlock();
               })) {
      for (Value operand : op->getOperands())
        add(operand);
      for (Region &region : op->getRegions())
        add(region.front().getTerminator()->getOperand(i));
    } else {
      forEachUsed(op, [&](Value used) { add(used); });
    }
  }

  void visitArgument(BlockArgument argument) {
    if (argument.getOwner() == &root) {
      if (unsigned i = argument.getArgNumber()) {
        needed.set(i - 1);
        add(root.getTerminator()->getOperand(i - 1));
      }
      return;
    }
    Operation *op = argument.getOwner()->getParentOp();
    if (auto loop = dyn_cast<scf::ForOp>(op)) {
      if (argument == loop.getInductionVar())
        return;
      unsigned i = argument.getArgNumber() - 1;
      add(loop.getInitArgs()[i]);
      add(loop.getYieldedValues()[i]);
      return;
    }
    auto loop = cast<scf::WhileOp>(op);
    unsigned i = argument.getArgNumber();
    if (argument.getOwner() == loop.getAfterBody()) {
      add(loop.getConditionOp().getArgs()[i]);
      return;
    }
    add(loop.getInits()[i]);
    add(loop.getYieldOp().getResults()[i]);
  }

  Block &root;
  llvm::BitVector needed;
  llvm::DenseSet<Value> visited;
  SmallVector<Value> pending;
};

} // namespace

SmallVector<unsigned> grad::findNeeded(scf::ForOp loop) {
  Needs needs(*loop.getBody());
  // An undefined integer may be one that is divided by.
  for (auto [i, result] : llvm::enumerate(loop.getResults()))
    if (!result.use_empty() ||
        !isa<FloatType>(getElementTypeOrSelf(result.getType())))
      needs.addResult(i);
  return llvm::to_vector(needs.getNeeded().set_bits());
}

scf::ForOp grad::carryOnly(scf::ForOp op, ArrayRef<unsigned> needed) {
  OpBuilder builder(op);
  auto pick = [&](ValueRange values) {
    return llvm::map_to_vector(needed, [&](unsigned i) { return values[i]; });
  };
  Operation *yield = op.getBody()->getTerminator();
  auto loop = scf::ForOp::create(
      builder, op.getLoc(), op.getLowerBound(), op.getUpperBound(),
      op.getStep(), pick(op.getInitArgs()), nullptr, op.getUnsignedCmp());
  loop->setDiscardableAttrs(op->getDiscardableAttrDictionary());
  for (auto [i, result] : llvm::zip_equal(needed, loop.getResults()))
    op.getResult(i).replaceAllUsesWith(result);
  yield->setOperands(pick(yield->getOperands()));
  loop.getRegion().takeBody(op.getRegion());
  builder.setInsertionPointToStart(loop.getBody());
  for (unsigned i = op.getNumResults(); i-- > 0;) {
    BlockArgument argument = loop.getBody()->getArgument(i + 1);
    if (llvm::is_contained(needed, i))
      continue;
    if (!argument.use_empty())
      argument.replaceAllUsesWith(
          createUndefined(builder, op.getLoc(), argument.getType()));
    loop.getBody()->eraseArgument(i + 1);
  }
  op.erase();
  return loop;
}

void grad::eraseUnneededCalls(Block &body) {
  Needs needs(body);
  for (unsigned i = 0, e = body.getTerminator()->getNumOperands(); i < e; ++i)
    needs.addResult(i);
  body.walk([&](CustomCallOp call) {
    // An undefined integer may be one that is divided by.
    for (Value result : call.getResults())
      if (needs.isNeeded(result) ||
          !isa<FloatType>(getElementTypeOrSelf(result.getType())))
        return;
    OpBuilder builder(call);
    for (Value result : call.getResults())
      result.replaceAllUsesWith(
          createUndefined(builder, call.getLoc(), result.getType()));
    call.erase();
  });
}
