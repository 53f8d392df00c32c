//===- OpenSizes.h - Sizes that are known in the call only ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_OPENSIZES_H
#define GRADOPT_RUNTIME_OPENSIZES_H

#include <cstdint>
#include <optional>

namespace gradopt {

/// The room for rows is a multiple of so many, of which a loop over tiles does
/// one after the other.
inline constexpr int64_t kRoomParts = 32;

/// A prime that no other number comes close to.
inline constexpr int64_t kOpenPart = 33182857;

/// In the IR of a program that is compiled once for all sizes, the number that
/// stands for how many rows there is *room* for in a call. What is computed of
/// it, a number of parts and some more, tells both.
inline constexpr int64_t kOpenSize = kRoomParts * kOpenPart;

/// The room of each call is a multiple of so many rows.
inline constexpr int64_t kRoomStep = 2 * kRoomParts;

/// Functions with such arrays have this attribute: the numbers of the
/// arguments, integers, that room is needed for.
inline constexpr char kOpenSizesAttr[] = "grad.open_sizes";
/// There is room for so many rows at least.
inline constexpr char kLeastRoomAttr[] = "grad.least_room";
/// Functions with arrays whose size along some dimension is another one in each
/// call have these: triples of the number of such an argument or result, the
/// dimension, and the number of the argument or result that is its size.
inline constexpr char kArgumentSizesAttr[] = "grad.argument_sizes";
inline constexpr char kResultSizesAttr[] = "grad.result_sizes";

/// A size in terms of the room: so many 32nds of it, and `more`.
struct OpenSize {
  int64_t parts, more;

  int64_t at(int64_t room) const { return parts * (room / kRoomParts) + more; }
};

/// What a number stands for; none if it is known, or stands for nothing.
inline std::optional<OpenSize> findOpenSize(int64_t number) {
  constexpr int64_t kMostParts = kRoomParts << 22, kMostMore = 1 << 16,
                    kMostBesideParts = 64;
  if (number < kOpenPart - kMostBesideParts || number / kOpenPart >= kMostParts)
    return std::nullopt;
  int64_t parts = (number + kOpenPart / 2) / kOpenPart;
  int64_t more = number - parts * kOpenPart;
  int64_t most = parts % kRoomParts == 0 ? kMostMore : kMostBesideParts;
  if (more < -most || more > most)
    return std::nullopt;
  return OpenSize{parts, more};
}

/// Whether `size` is no size that is known.
inline bool isOpen(int64_t size) {
  return size >= kOpenSize / 2 || findOpenSize(size);
}

/// The room of a call with `rows` rows, and for `least`.
inline int64_t findRoom(int64_t rows, int64_t least) {
  int64_t most = rows > least ? rows : least;
  int64_t steps = (most + kRoomStep - 1) / kRoomStep;
  return (steps > 0 ? steps : 1) * kRoomStep;
}

/// Temporaries of a call, in bytes: some, and some for each part of the room.
/// The size of an arena in the IR tells both, too.
struct OpenArena {
  static constexpr int64_t kUnit = int64_t(1) << 33;

  int64_t known, perPart;

  explicit OpenArena(int64_t bytes)
      : known(bytes % kUnit), perPart(bytes / kUnit) {}
  int64_t at(int64_t room) const {
    return known + perPart * (room / kRoomParts);
  }
};

} // namespace gradopt

#endif // GRADOPT_RUNTIME_OPENSIZES_H
