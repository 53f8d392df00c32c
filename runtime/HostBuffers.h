//===- HostBuffers.h - Buffers of calls of the host  ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_HOSTBUFFERS_H
#define GRADOPT_RUNTIME_HOSTBUFFERS_H

#include "runtime/Commands.h"

#include <cstddef>
#include <cstdint>

namespace gradopt::runtime {

/// Bytes of an element; 0 if there is no such type.
constexpr size_t itemSize(int64_t dtype) {
  switch (dtype) {
  case GRADOPT_BOOL:
  case GRADOPT_I8:
  case GRADOPT_U8:
    return 1;
  case GRADOPT_I16:
  case GRADOPT_U16:
  case GRADOPT_F16:
  case GRADOPT_BF16:
    return 2;
  case GRADOPT_I32:
  case GRADOPT_U32:
  case GRADOPT_F32:
    return 4;
  case GRADOPT_I64:
  case GRADOPT_U64:
  case GRADOPT_F64:
  case GRADOPT_C64:
    return 8;
  case GRADOPT_C128:
    return 16;
  default:
    return 0;
  }
}

/// What a GRADOPT_HOST_CALL says of a buffer beside its address.
struct HostBufferType {
  int32_t dtype = 0, rank = 0;
  bool isScratch = false;
  int64_t bytes = 0;

  /// Reads it from the numbers that `take` gives one after the other, as long
  /// as there are any. False if they are none of a buffer.
  template <typename Take> bool read(Take take) {
    constexpr int64_t kMostBytes = int64_t(1) << 46;
    int64_t kind = 0, dimensions = 0;
    if (!take(kind) || !take(dimensions) || kind < 0 || dimensions < 0 ||
        dimensions > GRADOPT_HOST_MAX_RANK)
      return false;
    isScratch = kind & GRADOPT_HOST_SCRATCH;
    kind &= ~int64_t(GRADOPT_HOST_SCRATCH);
    bytes = int64_t(itemSize(kind));
    if (bytes == 0)
      return false;
    dtype = int32_t(kind);
    rank = int32_t(dimensions);
    for (int32_t d = 0; d < rank; ++d) {
      int64_t extent = 0;
      if (!take(extent) || extent < 0 ||
          __builtin_mul_overflow(bytes, extent, &bytes) || bytes > kMostBytes)
        return false;
    }
    return true;
  }
};

} // namespace gradopt::runtime

#endif // GRADOPT_RUNTIME_HOSTBUFFERS_H
