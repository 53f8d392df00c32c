//===- BufferPlace.h - Which memory a buffer lies in ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Two values of memref type may show the same bytes: as views of one buffer,
/// as handles on one global, or because a loop or a branch chose among buffers.
/// Passes that compare buffers ask here, not for equality of values.
///
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_BUFFERPLACE_H
#define GRADOPT_PASSES_BUFFERPLACE_H

#include "mlir/IR/Value.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <optional>
#include <utility>

namespace mlir::grad {

/// Bytes from the first one to before the last one.
using ByteRange = std::pair<int64_t, int64_t>;

inline bool overlap(ByteRange a, ByteRange b) {
  return a.first < b.second && b.first < a.second;
}

/// An attribute of a `memref.view` whose shift is computed in the call: bytes
/// that have no byte in common with those of others, as far as buffers have
/// none.
inline constexpr llvm::StringLiteral kBytesAttr = "grad.bytes";

/// Where a buffer lies, as far as this is known. A view lies within what it is
/// a view of.
struct BufferPlace {
  /// An allocation, a global, or an argument of a public function, as an
  /// identity: no two of them share memory. Null if the buffer may lie
  /// anywhere.
  const void *object = nullptr;
  /// The bytes of the object that the buffer lies in; none if any.
  std::optional<ByteRange> bytes;
};

BufferPlace findPlace(Value buffer);

/// Whether a write to a buffer at `a` may change one at `b`.
bool mayShareBytes(const BufferPlace &a, const BufferPlace &b);

/// The bytes of `arena` that `buffer` lies in, if that is known.
std::optional<ByteRange> findSlot(Value buffer, Value arena);

/// The buffer with the pointer that `buffer` is accessed by, at an offset and
/// with strides: looks through all views but `memref.view`.
Value findPointer(Value buffer);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_BUFFERPLACE_H
