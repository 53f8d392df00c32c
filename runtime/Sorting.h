//===- Sorting.h - Order of elements ----------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What compiled code asks of `gradopt_sort`, which sorts rows: the last
// dimension of its input. The outs are the values, the indices (i64), as far as
// they are asked for, and memory to work in (i64), which all rows share.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_SORTING_H
#define GRADOPT_RUNTIME_SORTING_H

#include "runtime/gradopt_runtime.h"

#include <cstdint>

namespace gradopt::runtime::sorting {

enum Flag : int64_t {
  HasValues = 1,
  HasIndices = 2,
  IsUnsigned = 4, ///< the integers are
};

/// An index that takes 32 bits shares a word with a key of 32 bits.
constexpr bool isShort(int64_t size) { return size <= INT64_C(1) << 32; }

/// The bytes of what is moved in place of an element: a key whose order as a
/// number is that of the elements, and the index, if that is needed.
constexpr int64_t getWordBytes(int64_t size, int64_t bits, bool isComplex,
                               bool hasIndices) {
  if (isComplex)
    return bits == 32 ? 16 : 24;
  if (!hasIndices)
    return bits < 8 ? 1 : bits / 8;
  return bits < 64 && isShort(size) ? 8 : 16;
}

/// The i64 to work in, for rows of so many elements whose parts have so many
/// bits. Words of numbers alone have room in the values, too.
constexpr int64_t getWork(int64_t size, int64_t bits, bool isComplex,
                          bool hasIndices) {
  int64_t bytes = getWordBytes(size, bits, isComplex, hasIndices) * size;
  return ((isComplex || hasIndices ? 2 : 1) * bytes + 7) / 8;
}

} // namespace gradopt::runtime::sorting

/// Sorts each row. Called by compiled code.
extern "C" GRADOPT_EXPORT void
gradopt_sort(int64_t flags, const gradopt_buffer *inputs, int64_t num_inputs,
             const gradopt_buffer *outs, int64_t num_outs);

#endif // GRADOPT_RUNTIME_SORTING_H
