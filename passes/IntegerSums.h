//===- IntegerSums.h - Integers as sums of others ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sums that are compared often, of values of which nothing is known. Where that
// is not enough, dialect/Positions.h decides by inequalities.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_INTEGERSUMS_H
#define GRADOPT_PASSES_INTEGERSUMS_H

#include "mlir/IR/Value.h"
#include "llvm/ADT/MapVector.h"

#include <optional>

namespace mlir::grad {

/// Sums are of integers of less, so that nothing overflows.
constexpr int64_t kLargestInteger = int64_t(1) << 31;

/// A constant and multiples of integers.
struct IntegerSum {
  int64_t constant = 0;
  llvm::SmallMapVector<Value, int64_t, 4> terms;

  void add(const IntegerSum &other, int64_t factor);
  /// Whether nothing overflows where the sum is computed.
  bool isSmall() const;
};

/// An index, an integer, or a tensor of one; none where it is of other types or
/// numbers are large.
std::optional<IntegerSum> findSum(Value value);

/// `a` - `b`, if that is a constant.
std::optional<int64_t> findDifference(Value a, Value b);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_INTEGERSUMS_H
