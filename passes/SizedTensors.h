//===- SizedTensors.h - Dimensions of unknown size --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_SIZEDTENSORS_H
#define GRADOPT_PASSES_SIZEDTENSORS_H

#include "dialect/GradDialect.h"

namespace mlir::grad {

/// Whether it is a tensor with dimensions of unknown size.
bool isSized(Value value);

/// Numbers of the dimensions of unknown size, or of the others.
SmallVector<int64_t> dimensionsOf(Value value, bool isUnknown);

/// The place of each of `dimensions` among `all`.
SmallVector<int64_t> placesOf(ArrayRef<int64_t> dimensions,
                              ArrayRef<int64_t> all);

/// The one of the dimensions of unknown size that `dimension` is.
unsigned numberAmongUnknown(Value value, int64_t dimension);

/// The dimensions of the operand that the result of a reduction has.
SmallVector<int64_t> keptDimensions(Value x, ArrayRef<int64_t> reduced);

/// The dimensions that a reduction sums up, or combines otherwise.
std::optional<ArrayRef<int64_t>> findReduced(Operation *op);

/// What is computed element by element.
bool isPointwise(Operation *op);

/// How many dimensions there are rows of indices along.
int64_t countRowDimensions(GatherOp op);

/// The operand, and its dimension, that a dimension of a result is that of.
struct Origin {
  Value operand;
  int64_t dimension;
};

/// Where each dimension of the result of a product comes from; those of `lhs`
/// alone for its batch dimensions.
SmallVector<Origin> findOrigins(DotGeneralOp op);

/// Of an op that states no sizes, but for a slice.
Origin findOrigin(Operation *op, int64_t dimension);

/// What two of what a reduction gives are reduced to.
Value combine(OpBuilder &builder, Location loc, Operation *reduction, Value x,
              Value y);

/// What nothing is reduced to: a tensor of `type`.
Value neutralOf(OpBuilder &builder, Location loc, Operation *reduction,
                RankedTensorType type);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_SIZEDTENSORS_H
