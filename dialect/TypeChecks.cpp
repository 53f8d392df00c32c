//===- TypeChecks.cpp - Checks that result types share --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/TypeChecks.h"
#include "dialect/Rules.h"
#include "llvm/ADT/SmallBitVector.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::grad;

LogicalResult grad::checkDimensions(std::optional<Location> loc, StringRef op,
                                    StringRef name,
                                    ArrayRef<int64_t> dimensions, int64_t rank,
                                    bool increasing) {
  llvm::SmallBitVector seen(rank);
  int64_t previous = -1;
  for (int64_t d : dimensions) {
    if (d < 0 || d >= rank)
      return emitOptionalError(loc, "'grad.", op, "' op expected ", name,
                               " in [0, ", rank, "), but got ", d);
    if (seen.test(d) || (increasing && d <= previous))
      return emitOptionalError(loc, "'grad.", op, "' op expected ",
                               increasing ? "strictly increasing "
                                          : "distinct ",
                               name, ", but got [", dimensions, "]");
    seen.set(d);
    previous = d;
  }
  return success();
}

LogicalResult grad::checkLength(std::optional<Location> loc, StringRef op,
                                StringRef name, size_t actual,
                                size_t expected) {
  if (actual == expected)
    return success();
  return emitOptionalError(loc, "'grad.", op, "' op expected ", expected, " ",
                           name, ", one for each dimension, but got ", actual);
}

LogicalResult grad::checkSizes(std::optional<Location> loc, StringRef op,
                               ArrayRef<int64_t> shape) {
  for (int64_t size : shape)
    if (size < 0)
      return emitOptionalError(loc, "'grad.", op,
                               "' op expected sizes of at least 0, but got ",
                               size);
  return success();
}

LogicalResult grad::checkElementType(std::optional<Location> loc, StringRef op,
                                     Value x, StringRef name, Value other) {
  Type expected = typeOf(x).getElementType(),
       actual = typeOf(other).getElementType();
  if (expected == actual)
    return success();
  return emitOptionalError(loc, "'grad.", op, "' op expected ", name,
                           " to have element type ", expected, ", but got ",
                           actual);
}

int64_t grad::saturatingAdd(int64_t a, int64_t b, int64_t c) {
  bool overflows;
  uint64_t sum = llvm::SaturatingMultiplyAdd<uint64_t>(b, c, a, &overflows);
  return std::min<uint64_t>(sum, std::numeric_limits<int64_t>::max());
}
