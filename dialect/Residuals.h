//===- Residuals.h - What linear code needs of primal code ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_RESIDUALS_H
#define GRADOPT_DIALECT_RESIDUALS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::grad {

/// Whether the op takes no more time for an element than to load it.
bool isArithmetic(Operation *op);

/// The values of `primal`, a block of a loop or branch, that `linear`, the
/// block of its linear part, and the ops in it use. Those of least bytes are
/// stored from which the others follow by cheap ops: these are computed once
/// more in the linear block.
class Residuals {
public:
  /// A value that a loop carries, in the body, and what the body makes of it.
  using Carried = std::pair<Value, Value>;

  /// What is there without being stored.
  struct Given {
    /// Values of the primal block, and their like in the linear one.
    IRMapping known;
    /// Values that are stored for other purposes.
    SmallVector<Value> stored;
    /// If the first of a pair is stored, of all iterations, so is the second:
    /// it is the first of the next iteration.
    SmallVector<Carried> carried;
    /// Values that are stored, if anything needs them: they are not computed
    /// from others.
    DenseSet<Value> pinned;
    /// Values that `restoring`, ops of the linear block, find once more.
    SmallVector<std::pair<Value, Value>> restored;
    SmallVector<Operation *> restoring;
  };

  /// An array that the block updates (Updates.h). All of its versions follow
  /// from the last one and what the updates overwrite, so many bytes.
  struct Updated {
    SmallVector<Value> versions;
    int64_t bytes;
  };

  /// Which of the arrays are restored in the linear block, if that can be, as
  /// it takes fewer bytes to store what is overwritten.
  static SmallVector<unsigned> chooseRestored(Block &primal, Block &linear,
                                              Given given,
                                              ArrayRef<Updated> arrays);

  /// Whether linear code needs nothing that has to be stored.
  static bool needNothing(Block &primal, Block &linear, Given given);

  /// What is computed in all iterations alike is moved out of the loop.
  Residuals(Block &primal, Block &linear, Given given);

  /// What is needed of what is stored for other purposes, by position.
  ArrayRef<unsigned> getShared() const { return shared; }
  /// The pairs of which both are needed, and stored as one.
  ArrayRef<Carried> getCarried() const { return carried; }
  /// What else has to be stored.
  ArrayRef<Value> getStored() const { return stored; }

  /// Says what a value is in the linear block: each one that is stored, in
  /// whatever way.
  void provide(Value value, Value there) {
    given.known.map(leaderOf(value), there);
  }
  void provide(ValueRange values, ValueRange there) {
    for (auto [value, like] : llvm::zip_equal(values, there))
      provide(value, like);
  }
  /// Lets the linear block use what is provided. The rest is computed where
  /// `builder` stands, in the linear block and before its first use.
  void supply(OpBuilder &builder);

private:
  Residuals(Block &primal, Block &linear, Given given,
            ArrayRef<Updated> arrays);

  bool isInside(Value value) const;
  bool isComputed(Value value) const;
  Value leaderOf(Value value) const { return leaders.lookup_or(value, value); }
  SmallVector<Value> inputsOf(Value value) const;
  /// The ops that compute the value once more: its own, or others that read it
  /// from an array which is there.
  SmallVector<Operation *> opsOf(Value value) const;

  void findEqual();
  void findInvariant();
  /// Takes what is restored as known, and pins what restoring needs of that.
  void knowRestored();
  /// Looks for an array from which the value can be read (Rereads.h).
  void addReread(Value value);
  /// Finds what is needed, or can be of use for it.
  void collect();
  void choose();
  /// The cheapest values to store, given that those of `forced` are among them,
  /// and that those of `kept` are stored for other reasons.
  /// `restored` gets the positions of the arrays that are to be restored.
  SmallVector<Value> cut(const DenseSet<Value> &forced,
                         const DenseSet<Value> &kept,
                         SmallVector<unsigned> *restored = nullptr) const;
  void hoist();

  Block &primal, &linear;
  Given given;
  ArrayRef<Updated> arrays;
  /// The array of which a value is a version, by position.
  DenseMap<Value, unsigned> arrayOf;
  /// The version that holds a value, as the last update put it there.
  DenseMap<Value, Value> holderOf;
  /// Updates of the block, by the values that they write.
  DenseMap<Value, Operation *> updateOf;
  /// Ops in no block that read a value from an array.
  DenseMap<Value, SmallVector<OwningOpRef<Operation *>, 2>> rereads;
  /// Of equal values the first one.
  DenseMap<Value, Value> leaders;
  /// Computed in all iterations alike, and those among them that are moved.
  DenseSet<Operation *> invariant;
  SmallVector<Operation *> hoisted;
  /// What linear code uses; the leaders of that.
  llvm::SetVector<Value> demanded;
  DenseSet<Value> sinks;
  /// What the sinks may be computed from; what of it needs nothing stored; the
  /// rest, in the order of the block.
  DenseSet<Value> relevant, free;
  SmallVector<Value> ordered;
  SmallVector<unsigned> shared;
  SmallVector<Value> stored;
  SmallVector<Carried> carried;
};

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_RESIDUALS_H
