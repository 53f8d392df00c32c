//===- Restore.h - Arrays that loops update, backwards ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A loop that updates an array need not store it in each iteration. If it
// stores what it overwrites, its linear part can put that back: what the array
// was before an iteration follows from what it was after it. The linear part of
// a loop carries such an array *backwards*, as its transpose will: an iteration
// gets what the next one yields, the last one gets the init, and nobody uses
// the result.
//
//     %r:2 = scf.for %i ... iter_args(%dx = ..., %after = %final) {
//       %before = grad.dynamic_update_slice %after, %overwritten[%i]
//       ... the linear part of the iteration ...
//       scf.yield %dy, %before
//     } {grad.backward = 1 : i64}
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_RESTORE_H
#define GRADOPT_DIALECT_RESTORE_H

#include "dialect/ControlFlow.h"
#include "dialect/Residuals.h"
#include "dialect/StoreResiduals.h"

namespace mlir::grad {

/// How many of the values that a linear loop carries, the last ones, travel
/// backwards.
unsigned countBackward(scf::ForOp loop);

/// Writes code to the linear part of a loop or branch that restores arrays.
/// What that needs is stored by the primal one: loops and branches inside of it
/// are replaced by others with more results.
class Restorer {
public:
  explicit Restorer(const ResidualStore &store) : store(store) {}

  /// Restores, where `builder` stands, what an array was `before` the updates
  /// that lead to operand `i` of the primal block's terminator, given what it
  /// is `now`, after these.
  FailureOr<Value> restore(OpBuilder &builder, Value before,
                           Operation *terminator, unsigned i, Value now);

  /// Says what the linear block has by that.
  void describe(Residuals::Given &given) const;

private:
  /// Undoes the last update.
  FailureOr<Value> undo(OpBuilder &builder, OpResult version, Value now);
  FailureOr<Value> undoLoop(OpBuilder &builder, scf::ForOp loop, unsigned i,
                            Value now);
  FailureOr<Value> undoBranch(OpBuilder &builder, Operation *op, unsigned i,
                              Value now);

  struct Array {
    Value before;
    Operation *terminator;
    unsigned operand;
    SmallVector<Value> restored; ///< From the last version to the first.
  };

  const ResidualStore &store;
  SmallVector<Array> arrays;
  SmallVector<Value> overwritten;
  /// Values that were put into arrays, as read from these.
  SmallVector<std::pair<Value, Value>> held;
};

/// Lets the linear loop carry those arrays backwards that its body is to
/// restore. `given` is what it has otherwise. In a replay, the primal loop runs
/// right before the linear one.
FailureOr<scf::ForOp> restoreArrays(scf::ForOp primal, scf::ForOp linear,
                                    const Residuals::Given &given,
                                    Restorer &restorer, bool isReplay);

/// Notes of a loop of a transpose that its last `count` values are restored.
void markRestored(scf::ForOp loop, unsigned count);

/// Where a loop of a transpose restores an array on its way, as a loop that was
/// written for that alone does, lets later code use the former.
void mergeRestored(Block &block);

/// Erases all notes of that kind.
void forgetRestored(Operation *root);

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_RESTORE_H
