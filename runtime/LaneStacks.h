//===- LaneStacks.h - Stacks of small matrices, in lanes -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Takes matrices of a stack to the lanes of LaneFactors.h and back. All is
// calculated in float64. Each matrix is multiplied by a power of two, which
// rounds nothing: no square of its elements overflows, and those that are zero
// are of no account.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_LANESTACKS_H
#define GRADOPT_RUNTIME_LANESTACKS_H

#include "runtime/FactorLoops.h"
#include "runtime/LaneFactors.h"

namespace gradopt::runtime::lapack {

/// The code for the widest vectors that this CPU has.
inline const LaneCode &getLaneCode() {
#ifdef __x86_64__
  if (__builtin_cpu_supports("x86-64-v3"))
    return laneCodeForV3;
#endif
  return laneCodeForAll;
}

/// 2^exponent, which is a normal number.
inline double powerOfTwo(int64_t exponent) {
  int64_t bits = (exponent + 1023) << 52;
  double result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

/// What takes a number near `largest` next to 1. There may be no one factor, so
/// there are two.
struct Scale {
  double first = 1, second = 1;

  Scale() = default;
  explicit Scale(double largest) {
    if (largest == 0)
      return;
    int64_t bits, exponent = -1023;
    if (largest < 0x1p-1022) {
      largest *= 0x1p54;
      exponent -= 54;
    }
    std::memcpy(&bits, &largest, sizeof bits);
    exponent = -(exponent + (bits >> 52));
    first = powerOfTwo(exponent / 2);
    second = powerOfTwo(exponent - exponent / 2);
  }
  double apply(double x) const { return x * first * second; }
  double undo(double x) const { return x / first / second; }
};

/// Some matrices of a stack, one in each lane.
struct LaneGroup {
  LaneGroup(const LaneFunctions &functions, int64_t count, double *memory)
      : functions(functions), lanes(functions.lanes), count(count),
        memory(memory) {}

  /// Memory for `size` numbers in each lane.
  double *take(int64_t size) {
    double *taken = memory;
    memory += size * lanes;
    return taken;
  }

  /// Fills x[size] in one lane with `get(i)`, or with zeros if one of these is
  /// not finite, and says so. What `getSize` says of numbers that are not asked
  /// for is zero.
  template <typename Get>
  void fill(int64_t lane, double *x, int64_t size, Get get) {
    double largest = 0, sum = 0;
    for (int64_t i = 0; i < size; ++i) {
      double number = std::fabs(get(i));
      largest = number > largest ? number : largest;
      // Zero times what is not finite is none.
      sum += 0 * number;
    }
    bool isFinite = sum == 0;
    scales[lane] = Scale(isFinite ? largest : 0);
    if (!isFinite)
      failed |= uint64_t(1) << lane;
    for (int64_t i = 0; i < size; ++i)
      x[i * lanes + lane] = isFinite ? scales[lane].apply(get(i)) : 0;
  }
  /// Nothing, in the lanes that there is no matrix for.
  void fillRest(double *x, int64_t size) {
    for (int64_t lane = count; lane < lanes; ++lane)
      for (int64_t i = 0; i < size; ++i)
        x[i * lanes + lane] = 0;
  }
  bool hasFailed(int64_t lane) const { return failed >> lane & 1; }

  const LaneFunctions &functions;
  int64_t lanes, count;
  double *memory;
  Scale scales[kLanes];
  uint64_t failed = 0;
};

/// Calls `run` for groups of the `count` matrices, with the number of the
/// first.
template <typename Run> void forLaneGroups(int64_t count, void *work, Run run) {
  const LaneCode &code = getLaneCode();
  auto address = reinterpret_cast<uintptr_t>(work);
  auto *memory = reinterpret_cast<double *>((address + 63) / 64 * 64);
  for (int64_t i = 0; i < count;) {
    const LaneFunctions &functions = count - i > 2 ? code.many : code.one;
    LaneGroup group(functions, smaller(functions.lanes, count - i), memory);
    run(i, group);
    i += group.count;
  }
}

/// `vectors` may be null.
template <typename T>
void laneEigh(int64_t count, const T *a, int64_t n, T *values, T *vectors,
              int32_t *status, void *work) {
  forLaneGroups(count, work, [&](int64_t begin, LaneGroup &group) {
    int64_t lanes = group.lanes;
    double *x = group.take(n * n), *found = group.take(n),
           *rows = vectors ? group.take(n * n) : nullptr;
    for (int64_t lane = 0; lane < group.count; ++lane) {
      const T *matrix = a + (begin + lane) * n * n;
      group.fill(lane, x, n * n, [&](int64_t i) {
        return i % n <= i / n ? double(matrix[i]) : 0;
      });
    }
    group.fillRest(x, n * n);
    group.failed |= group.functions.eigh(n, x, found, rows, group.take(4 * n));
    for (int64_t lane = 0; lane < group.count; ++lane) {
      int64_t number = begin + lane;
      T *w = values + number * n, *v = vectors + number * n * n;
      status[number] = group.hasFailed(lane);
      if (group.hasFailed(lane)) {
        fillNan(w, n);
        if (vectors)
          fillNan(v, n * n);
        continue;
      }
      double sizes[kMostInEighLanes];
      int32_t order[kMostInEighLanes];
      for (int64_t i = 0; i < n; ++i)
        sizes[i] = found[i * lanes + lane];
      sortIndices(sizes, n, /*decreasing=*/false, order);
      for (int64_t j = 0; j < n; ++j) {
        w[j] = T(group.scales[lane].undo(sizes[order[j]]) + 0.0);
        const double *row = rows + order[j] * n * lanes + lane;
        for (int64_t i = 0; vectors && i < n; ++i)
          v[i * n + j] = T(row[i * lanes] + 0.0);
      }
    }
  });
}

/// `u` and `vh` may be null. `c` are the columns of u, `d` the rows of vh.
template <typename T>
void laneSvd(int64_t count, const T *a, int64_t m, int64_t n, T *u, int64_t c,
             T *s, T *vh, int64_t d, int32_t *status, void *work) {
  int64_t k = smaller(m, n), length = larger(m, n), numLong = larger(c, d);
  bool isTall = m >= n;
  double tolerance =
      double(std::numeric_limits<T>::epsilon()) / 2 * std::sqrt(double(length));
  forLaneGroups(count, work, [&](int64_t begin, LaneGroup &group) {
    int64_t lanes = group.lanes;
    double *x = group.take(k * length), *found = group.take(k),
           *turns = u ? group.take(k * k) : nullptr;
    // Behind all lanes.
    double *longRows = group.memory, *trial = longRows + numLong * length;
    for (int64_t lane = 0; lane < group.count; ++lane) {
      const T *matrix = a + (begin + lane) * m * n;
      group.fill(lane, x, m * n, [&](int64_t i) {
        return double(isTall ? matrix[i % m * n + i / m] : matrix[i]);
      });
    }
    group.fillRest(x, k * length);
    group.failed |= group.functions.svd(k, length, tolerance, x, found, turns);
    for (int64_t lane = 0; lane < group.count; ++lane) {
      int64_t number = begin + lane;
      T *left = u + number * m * c, *right = vh + number * d * n;
      status[number] = group.hasFailed(lane);
      if (group.hasFailed(lane)) {
        fillNan(s + number * k, k);
        if (u) {
          fillNan(left, m * c);
          fillNan(right, d * n);
        }
        continue;
      }
      double sizes[kMostInSvdLanes];
      int32_t order[kMostInSvdLanes];
      for (int64_t i = 0; i < k; ++i)
        sizes[i] = found[i * lanes + lane];
      sortIndices(sizes, k, /*decreasing=*/true, order);
      for (int64_t i = 0; i < k; ++i)
        s[number * k + i] = T(group.scales[lane].undo(sizes[order[i]]));
      if (!u)
        continue;
      int64_t have = 0;
      for (; have < k && sizes[order[have]] > 2 * kNothing; ++have)
        for (int64_t i = 0; i < length; ++i)
          longRows[have * length + i] =
              x[(order[have] * length + i) * lanes + lane] / sizes[order[have]];
      completeRows(longRows, have, numLong, length, trial);
      T *ofLong = isTall ? left : right, *ofTurns = isTall ? right : left;
      int64_t across = isTall ? c : 1, along = isTall ? 1 : n;
      for (int64_t i = 0; i < numLong; ++i)
        for (int64_t j = 0; j < length; ++j)
          ofLong[i * along + j * across] = T(longRows[i * length + j] + 0.0);
      across = isTall ? 1 : c;
      along = isTall ? n : 1;
      for (int64_t i = 0; i < k; ++i)
        for (int64_t j = 0; j < k; ++j)
          ofTurns[i * along + j * across] =
              T(turns[(order[i] * k + j) * lanes + lane] + 0.0);
    }
  });
}

} // namespace gradopt::runtime::lapack

#endif // GRADOPT_RUNTIME_LANESTACKS_H
