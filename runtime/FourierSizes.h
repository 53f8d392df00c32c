//===- FourierSizes.h - How Fourier transforms are divided ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// By its size n, a transform is one of three things:
//
// * Direct: passes of small radices over memory in cache (Stockham, after
//   Cochran et al., What is the fast Fourier transform?, 1967).
// * Large: n = rows * columns, first along the columns, then along the rows, so
//   that data which no cache holds goes through it twice (Bailey, FFTs in
//   external or hierarchical memory, 1990).
// * Chirp: of a size with a large prime factor, by a convolution of a size that
//   has none (Bluestein, A linear filtering approach to the computation of
//   discrete Fourier transform, 1970).
//
// Compiler and runtime agree here on that, and on the memory that it needs.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_FOURIERSIZES_H
#define GRADOPT_RUNTIME_FOURIERSIZES_H

#include "runtime/Fourier.h"

namespace gradopt::runtime::fourier {

/// The largest prime factor that has a pass of its own.
constexpr int64_t kLargestRadix = 61;
/// More points than these are divided.
constexpr int64_t kMaxDirect = 8192;
/// With more points than these, one transform after the other is calculated.
constexpr int64_t kMaxTogether = 8192;
/// With at least so many points side by side, rows are calculated one by one.
constexpr int64_t kMinRow = 128;
/// Fewer points than these are not worth a division.
constexpr int64_t kMinDivided = 64;

/// How many transforms are calculated together: numbers of one place lie side
/// by side, as many as fill the widest vectors.
constexpr int64_t getLanes(bool isF32) { return isF32 ? 16 : 8; }

enum class Kind { Direct, Large, Chirp };

inline bool hasSmallFactors(int64_t n) {
  for (int64_t factor = 2; factor <= kLargestRadix; ++factor)
    while (n % factor == 0)
      n /= factor;
  return n == 1;
}

/// Whether the first passes of a single transform fill vectors; else it is
/// divided, since its columns do.
constexpr bool fillsVectors(int64_t n, bool isF32) {
  return n % getLanes(isF32) == 0;
}

inline Kind kindOf(int64_t n, int64_t lanes, bool isF32) {
  if (!hasSmallFactors(n))
    return Kind::Chirp;
  bool isLarge = n > kMaxDirect || !fillsVectors(n, isF32);
  return lanes == 1 && n >= kMinDivided && isLarge ? Kind::Large : Kind::Direct;
}

/// The size of the convolution of a chirp of n points: at least 2 n - 1, with
/// factors that make fast passes.
inline int64_t getChirpSize(int64_t n) {
  int64_t best = 16;
  while (best < 2 * n - 1)
    best *= 2;
  constexpr int64_t kOdd[] = {3, 5, 9, 15, 25, 27, 45, 75};
  for (int64_t odd : kOdd)
    for (int64_t size = 16 * odd; size < best; size *= 2)
      if (size >= 2 * n - 1)
        best = size;
  return best;
}

/// The factor of n that is next to its root, and not above it.
inline int64_t getColumnSize(int64_t n) {
  int64_t best = 1;
  for (int64_t factor = 2; factor <= n / factor; ++factor)
    if (n % factor == 0)
      best = factor;
  return best;
}

/// Between the real and the imaginary parts of numbers, so that both of one
/// number do not compete for one place in the cache.
constexpr int64_t kGap = 32;

/// The parts of `points` numbers of each of `lanes` transforms.
constexpr int64_t getSpan(int64_t points, int64_t lanes) {
  return 2 * (points * lanes + kGap);
}

/// The memory, in parts of numbers, that `lanes` transforms of n points need
/// beside their data.
inline int64_t getScratch(int64_t n, int64_t lanes, bool isF32) {
  switch (kindOf(n, lanes, isF32)) {
  case Kind::Direct:
    return getSpan(n + 1, lanes);
  case Kind::Large: {
    int64_t rows = getColumnSize(n), columns = n / rows;
    return getSpan(n, 1) + getSpan(columns, getLanes(isF32)) +
           getScratch(columns, getLanes(isF32), isF32);
  }
  case Kind::Chirp: {
    int64_t size = getChirpSize(n);
    return getSpan(size + 1, lanes) + getScratch(size, lanes, isF32);
  }
  }
  return 0;
}

/// What is known of n points.
struct Points {
  Points() = default;
  explicit Points(int64_t n)
      : n(n), isChirp(!hasSmallFactors(n)),
        longest(isChirp ? getChirpSize(n) : n) {}

  int64_t n = 1;
  bool isChirp = false;
  /// The size of what is transformed in passes.
  int64_t longest = 1;
};

/// Transforms along one dimension of an array: `outer` times `inner` of them,
/// the numbers of each `inner` apart.
struct Axis {
  int64_t outer, n, inner;

  int64_t count() const { return outer * inner; }

  /// How many are calculated together.
  int64_t lanes(const Points &points, bool isF32) const {
    bool areRows = inner == 1 && points.n >= kMinRow &&
                   (points.isChirp || fillsVectors(points.n, isF32));
    return points.longest > kMaxTogether || areRows || count() < 2
               ? 1
               : getLanes(isF32);
  }
};

/// The points of the complex transform that is behind one of n points: an even
/// number of real numbers is half as many complex ones.
inline int64_t getPoints(Transform transform, int64_t n) {
  return transform != C2c && n % 2 == 0 ? n / 2 : n;
}

inline int64_t getAxisWork(Transform transform, const Axis &axis, bool isF32) {
  int64_t points = getPoints(transform, axis.n),
          lanes = axis.lanes(Points(points), isF32);
  // Half a spectrum has one number more.
  return getSpan(points + 1, lanes) + getScratch(points, lanes, isF32);
}

inline Axis getAxis(const int64_t *shape, int32_t rank, int32_t dimension) {
  Axis axis{1, shape[dimension], 1};
  for (int32_t d = 0; d < rank; ++d)
    (d < dimension ? axis.outer : axis.inner) *= d == dimension ? 1 : shape[d];
  return axis;
}

/// The numbers of `work` for a transform between arrays that have `shape` on
/// the side of the real numbers.
template <typename Dimensions>
int64_t getWork(Transform transform, const int64_t *shape, int32_t rank,
                const Dimensions &dimensions, bool isF32) {
  int64_t half[kMaxRank] = {}, numbers = 2, work = 0, last = -1;
  if (rank > kMaxRank)
    return 0;
  for (int64_t d : dimensions)
    last = d;
  for (int32_t d = 0; d < rank; ++d) {
    half[d] = transform != C2c && d == last ? shape[d] / 2 + 1 : shape[d];
    numbers *= half[d];
  }
  int64_t count = 0;
  for (int64_t d : dimensions) {
    bool isHalf = transform != C2c && d == last;
    Axis axis = getAxis(isHalf ? shape : half, rank, int32_t(d));
    int64_t size = getAxisWork(isHalf ? transform : C2c, axis, isF32);
    work = work < size ? size : work;
    ++count;
  }
  // What is transformed before the numbers are real.
  return work + (transform == C2r && count > 1 ? numbers : 0);
}

} // namespace gradopt::runtime::fourier

#endif // GRADOPT_RUNTIME_FOURIERSIZES_H
