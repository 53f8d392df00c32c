//===- LoopAccesses.h - How loops go through arrays -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_LOOPACCESSES_H
#define GRADOPT_PASSES_LOOPACCESSES_H

#include "mlir/IR/Operation.h"

#include <optional>

namespace mlir::grad {

/// Whether the op takes a part out of an array, its first operand.
bool isSlice(Operation *op);

/// Whether the op puts a part into an array, its first operand, or adds it.
bool isPartUpdate(Operation *op);

/// The part.
Value getPart(Operation *op);

/// The indices of an access with such.
OperandRange getIndices(Operation *access);

/// The dimension along which a loop goes from one element to the next one, or
/// to the one before.
struct Direction {
  int64_t dimension;
  bool isForward;
};

/// Of an access to one element in an `scf.for` whose iterations access another
/// one each, in a row; none if it is something else, or if that is not known.
std::optional<Direction> findDirection(Operation *access);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_LOOPACCESSES_H
