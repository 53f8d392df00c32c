//===- Tapes.h - Room for what loops without a bound keep ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_TAPES_H
#define GRADOPT_RUNTIME_TAPES_H

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace gradopt {

/// The bytes of addresses that an arena has for each tape (dialect/Stacks.h),
/// before all else. A program with tapes runs on no machine with as much
/// memory.
inline constexpr int64_t kTapeBytes = int64_t(1) << 40;

/// The places of a tape for values of so many bytes.
inline int64_t countTapePlaces(int64_t bytes) {
  return kTapeBytes / std::max<int64_t>(bytes, 1);
}

/// The dimension that counts the places of a tape, or of a batch of tapes,
/// whose elements have `bytes` bytes: behind it are the dimensions of a value,
/// before it those of the batch. A value may be longer than there are places.
inline size_t findTapePlaces(const int64_t *shape, size_t rank, int64_t bytes) {
  for (size_t d = rank; d-- > 0 && bytes <= kTapeBytes; bytes *= shape[d])
    if (shape[d] == countTapePlaces(bytes))
      return d;
  return 0;
}

} // namespace gradopt

#endif // GRADOPT_RUNTIME_TAPES_H
