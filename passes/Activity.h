//===- Activity.h - What a derivative has to follow -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A value is *varied* if it depends on an input that is differentiated with
// respect to, and *useful* if a result that is differentiated depends on it. An
// op is active if it has a result that is both, or if it touches memory and
// uses a varied value: nobody follows a derivative through memory.
//
// Regions are entered. Where an op says how control flows between its regions
// and to its results (RegionBranchOpInterface), values are followed along these
// edges, round loops until nothing changes; else the results and each region
// are taken to depend on all that the op uses.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_ACTIVITY_H
#define GRADOPT_PASSES_ACTIVITY_H

#include "mlir/IR/Operation.h"
#include "llvm/ADT/DenseSet.h"

namespace mlir::grad {

class Activity {
public:
  /// For a function body of one block, with respect to `inputs`, of `outputs`.
  Activity(Block &body, ValueRange inputs, ValueRange outputs);

  bool isActive(Operation *op) const { return active.contains(op); }
  bool isActive(Value value) const {
    return varied.contains(value) && useful.contains(value);
  }

  /// Whether a derivative may flow through values of `type`. Scalars, vectors,
  /// buffers and whatever else is not known to hold integers may carry one that
  /// only an op without a tangent rule can take up.
  static bool mayCarryTangent(Type type);
  /// The same for a value, which may hold the bits of floats.
  static bool mayCarryTangent(Value value);

private:
  /// Both return whether they found something new.
  bool spreadForward(Block &block);
  bool spreadForward(Operation &op);
  bool spreadBackward(Block &block);
  bool spreadBackward(Operation &op);
  void collectActive(Block &block);

  bool markVaried(Value value);
  bool markUseful(Value value);
  bool usesVaried(Operation &op) const;

  DenseSet<Value> varied, useful;
  DenseSet<Operation *> active;
};

} // namespace mlir::grad

#endif // GRADOPT_PASSES_ACTIVITY_H
