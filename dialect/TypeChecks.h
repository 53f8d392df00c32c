//===- TypeChecks.h - Checks that result types share ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_TYPECHECKS_H
#define GRADOPT_DIALECT_TYPECHECKS_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"

namespace mlir::grad {

/// Each of `dimensions` must be in [0, rank) and stand there once.
LogicalResult checkDimensions(std::optional<Location> loc, StringRef op,
                              StringRef name, ArrayRef<int64_t> dimensions,
                              int64_t rank, bool increasing);

/// There must be `expected` of `name`, one for each dimension.
LogicalResult checkLength(std::optional<Location> loc, StringRef op,
                          StringRef name, size_t actual, size_t expected);

/// No size may be negative.
LogicalResult checkSizes(std::optional<Location> loc, StringRef op,
                         ArrayRef<int64_t> shape);

/// `other`, which is called `name`, must have the element type of `x`.
LogicalResult checkElementType(std::optional<Location> loc, StringRef op,
                               Value x, StringRef name, Value other);

/// a + b * c, none of which is negative, or the largest number if that is more.
int64_t saturatingAdd(int64_t a, int64_t b, int64_t c = 1);

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_TYPECHECKS_H
