//===- StoreResiduals.h - How linear parts get what they need ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The linear part of a loop or branch uses values of the primal one, which it
// cannot see. Linearization leaves that open: `grad.keep` and `grad.kept` are
// the two ends of each such use. Storing decides how the values get there.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_STORERESIDUALS_H
#define GRADOPT_DIALECT_STORERESIDUALS_H

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/DenseMap.h"

namespace mlir::grad {

class Restorer;

/// Says that `linear` is the linear part of `primal`, a loop, branch or region:
/// its blocks, or the body of it, belong together.
void setLinearPart(Operation *primal, Operation *linear);

/// Lets linear code in `block` use what it cannot see by way of `grad.keep` and
/// `grad.kept`.
void keepResiduals(Block &block);

/// Stores what linear parts use of loops and branches, from inside out, and
/// leaves no `grad.keep` and `grad.kept`.
class ResidualStore {
public:
  /// `remarks`: says what is stored.
  explicit ResidualStore(bool remarks) : remarks(remarks) {}

  LogicalResult run(Operation *root);

  /// Stores for the loops and branches of a block that have linear parts. They
  /// may be replaced, and the op around the block as well.
  LogicalResult storeBlock(Block &block);

  /// The same for a block that linear code runs again, each time with what it
  /// stores for itself.
  LogicalResult storeBlockApart(Block &block, bool bounded);

  /// Whether a loop without a known bound keeps residuals of all iterations.
  bool keepsTapes(Operation *loop) const;
  /// The blocks around which tapes are made, outer ones first.
  ArrayRef<Block *> getBlocksAround() const { return around; }

  /// Called with what a loop, branch or region stores for its linear part.
  /// Fails for values that cannot be stored.
  LogicalResult noteStored(Operation *op, ValueRange values) const;

private:
  LogicalResult joinEnds(Operation *root);
  LogicalResult storeOps(Block &block);
  LogicalResult store(Operation *op);

  bool remarks;
  SmallVector<Block *> around;
  /// Whether the memory for what is stored is to have a bound.
  bool isBounded = false;
  DenseMap<Operation *, Operation *> linearOf;
};

// What is stored for an op and its linear part, which are both replaced.
LogicalResult storeFor(scf::ForOp op, scf::ForOp linear, ResidualStore &store);
LogicalResult storeWhile(scf::WhileOp op, scf::WhileOp linear,
                         ResidualStore &store);
LogicalResult storeBranch(Operation *op, Operation *linear,
                          ResidualStore &store);
/// Of a region without a policy, what is stored of a branch.
LogicalResult storeRegion(scf::ExecuteRegionOp op, Operation *linear,
                          ResidualStore &store);

/// Where residuals are not kept (Replay.cpp). The loop with a condition is
/// rotated.
LogicalResult replayFor(scf::ForOp op, scf::ForOp linear, ResidualStore &store);
LogicalResult replayWhile(scf::WhileOp op, scf::WhileOp linear,
                          ResidualStore &store);

/// Where residuals of all iterations are kept: of at most `length`, or if that
/// is 0, of as many as there turn out to be, on tapes (Stacks.h). Returns the
/// primal loop.
FailureOr<scf::ForOp> storeAll(scf::ForOp op, scf::ForOp linear, int64_t length,
                               ResidualStore &store);
/// The same of a loop with a condition, which is rotated (Tapes.cpp).
LogicalResult storeOnTapes(scf::WhileOp op, scf::WhileOp linear,
                           ResidualStore &store);
/// Tapes for a loop in others: they are made in front of the outermost one, and
/// carried by all, with the next free place.
class NestedTapes {
public:
  NestedTapes(ArrayRef<Block *> around, scf::ForOp loop, TypeRange types);

  /// The tapes, where the loop is.
  ArrayRef<Value> getTapes() const { return tapes; }
  /// The place of what is the `number`th in a run of the loop.
  Value placeOf(OpBuilder &builder, Value number) const;

  /// Takes the tapes as the loop leaves them, with as many places more than it
  /// has iterations as `more` says. Returns the tapes behind all loops.
  SmallVector<Value> leave(scf::ForOp loop, ValueRange left, int64_t more = 0);

private:
  ArrayRef<Block *> around;
  SmallVector<Value> tapes;
  /// The first free place; null if that is the first of all.
  Value place;
  /// What reaches each block: tapes and place.
  SmallVector<SmallVector<Value>> reaching;
};

/// Stores what linear code needs of the body of a loop: one stack of `length`
/// places for each value, or a tape if that is 0. `linear` is the block for the
/// iteration in which the induction variable is `number`, and `restorer` has
/// written code to it. Returns the primal loop that does so.
FailureOr<scf::ForOp> stackResiduals(scf::ForOp primal, Block &linear,
                                     Value number, int64_t length,
                                     const Restorer &restorer,
                                     const ResidualStore &store);

/// Lets the linear branch use what the primal one computes; `restorers` have
/// written code to its blocks. Returns the primal branch that yields it.
FailureOr<Operation *> yieldResiduals(Operation *primal, Operation *linear,
                                      ArrayRef<Restorer> restorers,
                                      const ResidualStore &store);

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_STORERESIDUALS_H
