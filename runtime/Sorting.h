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

/// Indices of 32 bits share a word with as many bits of a key.
constexpr bool isShort(int64_t size) { return size <= INT64_C(1) << 32; }

/// The i64 to work in, for rows of so many elements whose parts have so many
/// bits: room for what is moved in place of an element. That is a key, whose
/// order as a number is that of the elements, and the index, if it is needed.
/// Words of no more than 64 bits are moved between it and an out.
constexpr int64_t getWork(int64_t size, int64_t bits, bool isComplex,
                          bool hasIndices) {
  if (isComplex)
    return (bits == 32 ? 2 * 2 : 2 * 3) * size;
  if (hasIndices)
    return isShort(size) ? size : 2 * 2 * size;
  return ((bits < 8 ? 1 : bits / 8) * size + 7) / 8;
}

} // namespace gradopt::runtime::sorting

/// Sorts each row. Called by compiled code.
extern "C" GRADOPT_EXPORT void
gradopt_sort(int64_t flags, const gradopt_buffer *inputs, int64_t num_inputs,
             const gradopt_buffer *outs, int64_t num_outs);

#endif // GRADOPT_RUNTIME_SORTING_H
