//===- Residuals.h - What linear code needs of primal code ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_RESIDUALS_H
#define GRADOPT_DIALECT_RESIDUALS_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::grad {

/// The values of `primal`, a block of a loop or branch, that `linear`, the
/// block of its linear part, and the ops in it use. They are stored, or
/// computed once more in the linear block where that takes no more than moving
/// data.
class Residuals {
public:
  /// `known` maps values of the primal block to their like in the linear one.
  Residuals(Block &primal, Block &linear, IRMapping known);

  /// What has to be stored, in the order in which it was found.
  ArrayRef<Value> getStored() const { return stored.getArrayRef(); }

  /// Lets the linear block use `values` for what is stored. The rest is
  /// computed where `builder` stands, in the linear block and before its first
  /// use.
  void supply(OpBuilder &builder, ValueRange values);

private:
  bool isOutside(Value value) const;
  /// The bytes to store for the value to be there in the linear block.
  int64_t getCost(Value value);
  void demand(Value value);
  Value fetch(OpBuilder &builder, Value value);

  Block &primal, &linear;
  IRMapping known;
  DenseMap<Value, int64_t> costs;
  DenseSet<Value> recomputed, visited;
  llvm::SetVector<Value> stored, demanded;
};

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_RESIDUALS_H
