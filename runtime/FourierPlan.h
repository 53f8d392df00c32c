//===- FourierPlan.h - Tables of Fourier transforms -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a transform of n points needs to know is calculated once, kept as long
// as the process lives, and found without a lock.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_FOURIERPLAN_H
#define GRADOPT_RUNTIME_FOURIERPLAN_H

#include "runtime/FourierPasses.h"
#include "runtime/FourierRoots.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace gradopt::runtime::fourier {
namespace GRADOPT_FOURIER_TARGET {

//===----------------------------------------------------------------------===//
// Plans
//===----------------------------------------------------------------------===//

/// Gives out memory for tables. At first without any, to count it.
template <typename T> struct Tables {
  char *memory = nullptr;
  int64_t bytes = 0;

  /// Numbers that `write` fills; null as long as they are counted.
  template <typename Write> const T *take(int64_t count, Write write) {
    T *table = memory ? reinterpret_cast<T *>(memory + bytes) : nullptr;
    bytes += (count * int64_t(sizeof(T)) + 63) / 64 * 64;
    if (table)
      write(table);
    return table;
  }
};

/// For transforms of n points, `lanes` of them side by side; or, with one of
/// these numbers instead, something else that is known of n.
constexpr int64_t kNoLanes = 0, kHalfLanes = -1;
template <typename T> struct Plan {
  int64_t n, lanes;
  Kind kind;

  // Of kNoLanes.
  Points points;

  // Of kHalfLanes, between n real numbers, n even, and n / 2 complex ones:
  /// exp(-2 pi i k / n) for 0 <= k <= n / 4, real parts, then imaginary ones.
  const T *halfRoots;

  // Direct.
  static constexpr int kMaxPasses = 16;
  int numPasses;
  Pass<T> passes[kMaxPasses];

  // Large: of columns of `rows` numbers each, and of rows of `columns`.
  int64_t rows, columns;
  const Plan *ofColumns, *ofRows;
  /// w^(k b) for 0 <= k < rows and 0 <= b < the lanes of a block: real parts
  /// for all b, imaginary ones, for one k after the other.
  const T *near;
  /// w^a for a < kFar, then w^(kFar a), in pairs.
  const T *low, *high;
  static constexpr int64_t kFar = 1024;

  // Chirp: by a convolution of `size` points.
  int64_t size;
  const Plan *ofChirp;
  /// exp(-pi i j^2 / n), and the transform of the conjugates over `size`: real
  /// parts, then imaginary ones.
  const T *chirp, *spectrum;

  /// The next one in a table of plans.
  Plan *next;
};

template <typename T> const Plan<T> *getPlan(int64_t n, int64_t lanes);
template <typename T>
Split<T> transform(const Plan<T> &plan, Split<T> x, T *scratch);

/// The radices of n, small ones first, so that numbers soon fill vectors. Few
/// passes are better than many: eights, and fours for what is left.
inline int getRadices(int64_t n, int64_t *radices) {
  int count = 0, twos = 0;
  int64_t odd = n;
  for (; odd % 2 == 0; odd /= 2)
    ++twos;
  auto add = [&](int64_t radix) { radices[count++] = radix; };
  if (twos == 1) {
    add(2);
    twos = 0;
  }
  for (; twos % 3 != 0; twos -= 2)
    add(4);
  for (; twos > 0; twos -= 3)
    add(8);
  for (int64_t radix = 3; radix <= kLargestRadix; radix += 2)
    for (; odd % radix == 0; odd /= radix)
      add(radix);
  return count;
}

template <typename T> void makeDirect(Plan<T> &plan, Tables<T> &tables) {
  int64_t radices[64], m = plan.n, s = plan.lanes;
  plan.numPasses = getRadices(plan.n, radices);
  for (int i = 0; i < plan.numPasses; ++i) {
    int64_t n = m, radix = radices[i];
    m /= radix;
    Pass<T> &pass = plan.passes[i];
    pass = {radix, m, s, nullptr, nullptr};
    if (radix % 2 == 1)
      pass.circle = tables.take(2 * radix, [&](T *table) {
        for (int64_t j = 0; j < radix; ++j) {
          LongNumber root = getRoot(j, radix);
          table[j] = T(root.re);
          table[radix + j] = T(-root.im);
        }
      });
    if (pass.isWide())
      pass.roots = tables.take(2 * m * (radix - 1), [&](T *table) {
        for (int64_t p = 0; p < m; ++p)
          for (int64_t k = 1; k < radix; ++k) {
            LongNumber root = getRoot(p * k, n);
            *table++ = T(root.re);
            *table++ = T(root.im);
          }
      });
    else
      pass.roots = tables.take(2 * pass.rowSize() * (radix - 1), [&](T *table) {
        int64_t row = pass.rowSize();
        for (int64_t k = 1; k < radix; ++k, table += 2 * row)
          for (int64_t f = 0; f < row; ++f) {
            int64_t p = f / s;
            LongNumber root = getRoot(p < m ? p * k : 0, n);
            table[f] = T(root.re);
            table[row + f] = T(root.im);
          }
      });
    s *= radix;
  }
}

template <typename T> bool makeLarge(Plan<T> &plan, Tables<T> &tables) {
  constexpr int64_t lanes = getLanes(sizeof(T) == 4);
  int64_t n = plan.n;
  plan.rows = getColumnSize(n);
  plan.columns = n / plan.rows;
  plan.ofColumns = getPlan<T>(plan.rows, lanes);
  plan.ofRows = getPlan<T>(plan.columns, lanes);
  plan.near = tables.take(2 * plan.rows * lanes, [&](T *table) {
    for (int64_t k = 0; k < plan.rows; ++k, table += 2 * lanes)
      for (int64_t b = 0; b < lanes; ++b) {
        LongNumber root = getRoot(k * b % n, n);
        table[b] = T(root.re);
        table[lanes + b] = T(root.im);
      }
  });
  auto writeRoots = [&](int64_t count, int64_t step) {
    return [=](T *table) {
      for (int64_t a = 0; a < count; ++a) {
        LongNumber root = getRoot(a * step % n, n);
        table[2 * a] = T(root.re);
        table[2 * a + 1] = T(root.im);
      }
    };
  };
  int64_t numHigh = n / plan.kFar + 1;
  plan.low = tables.take(2 * plan.kFar, writeRoots(plan.kFar, 1));
  plan.high = tables.take(2 * numHigh, writeRoots(numHigh, plan.kFar));
  return plan.ofColumns && plan.ofRows;
}

template <typename T> bool makeChirp(Plan<T> &plan, Tables<T> &tables) {
  int64_t n = plan.n, size = getChirpSize(n);
  plan.size = size;
  plan.ofChirp = getPlan<T>(size, plan.lanes);
  const Plan<T> *alone = getPlan<T>(size, 1);
  if (!plan.ofChirp || !alone)
    return false;
  plan.chirp = tables.take(2 * n, [&](T *table) {
    // j^2 modulo 2 n, from one j to the next.
    for (int64_t j = 0, square = 0; j < n;
         square = (square + 2 * j + 1) % (2 * n), ++j) {
      LongNumber root = getRoot(square, 2 * n);
      table[j] = T(root.re);
      table[n + j] = T(root.im);
    }
  });
  int64_t bytes = (getSpan(size + 1, 1) + getScratch(size, 1, sizeof(T) == 4)) *
                  int64_t(sizeof(T));
  T *work =
      tables.memory ? static_cast<T *>(std::malloc(size_t(bytes))) : nullptr;
  bool isMade = work || !tables.memory;
  plan.spectrum = tables.take(2 * size, [&](T *table) {
    if (!work)
      return;
    Split<T> x{work, work + size + kGap};
    for (int64_t j = 0; j < size; ++j)
      x.re[j] = x.im[j] = 0;
    for (int64_t j = 0; j < n; ++j) {
      int64_t other = j == 0 ? 0 : size - j;
      x.re[j] = x.re[other] = plan.chirp[j];
      x.im[j] = x.im[other] = -plan.chirp[n + j];
    }
    x = transform(*alone, x, work + getSpan(size + 1, 1));
    T factor = T(1) / T(size);
    for (int64_t j = 0; j < size; ++j) {
      table[j] = x.re[j] * factor;
      table[size + j] = x.im[j] * factor;
    }
  });
  std::free(work);
  return isMade;
}

template <typename T> void makeHalf(Plan<T> &plan, Tables<T> &tables) {
  int64_t count = plan.n / 4 + 1;
  plan.halfRoots = tables.take(2 * count, [&](T *table) {
    for (int64_t k = 0; k < count; ++k) {
      LongNumber root = getRoot(k, plan.n);
      table[k] = T(root.re);
      table[count + k] = T(root.im);
    }
  });
}

template <typename T> bool make(Plan<T> &plan, Tables<T> &tables) {
  if (plan.lanes <= 0) {
    if (plan.lanes == kHalfLanes)
      makeHalf(plan, tables);
    else
      plan.points = Points(plan.n);
    return true;
  }
  switch (plan.kind) {
  case Kind::Direct:
    makeDirect(plan, tables);
    return true;
  case Kind::Large:
    return makeLarge(plan, tables);
  case Kind::Chirp:
    return makeChirp(plan, tables);
  }
  return false;
}

template <typename T> Plan<T> *makePlan(int64_t n, int64_t lanes) {
  Plan<T> draft{};
  draft.n = n;
  draft.lanes = lanes;
  draft.kind = kindOf(n, lanes, sizeof(T) == 4);
  Tables<T> tables;
  if (!make(draft, tables))
    return nullptr;
  size_t head = (sizeof(Plan<T>) + 63) / 64 * 64;
  void *memory = std::aligned_alloc(64, head + size_t(tables.bytes));
  if (!memory)
    return nullptr;
  auto *plan = new (memory) Plan<T>(draft);
  tables = {static_cast<char *>(memory) + head};
  if (make(*plan, tables))
    return plan;
  std::free(memory);
  return nullptr;
}

/// Null where there is no memory for it.
template <typename T> const Plan<T> *getPlan(int64_t n, int64_t lanes) {
  constexpr int64_t count = 256;
  static std::atomic<Plan<T> *> plans[count];
  std::atomic<Plan<T> *> &head = plans[(n * 5 + lanes + 1) % count];
  auto find = [&](Plan<T> *plan) {
    while (plan && (plan->n != n || plan->lanes != lanes))
      plan = plan->next;
    return plan;
  };
  Plan<T> *first = head.load(std::memory_order_acquire);
  if (const Plan<T> *plan = find(first))
    return plan;
  Plan<T> *made = makePlan<T>(n, lanes);
  if (!made)
    return nullptr;
  do {
    // Another thread may have been faster.
    if (const Plan<T> *plan = find(first)) {
      std::free(made);
      return plan;
    }
    made->next = first;
  } while (!head.compare_exchange_weak(first, made, std::memory_order_acq_rel,
                                       std::memory_order_acquire));
  return made;
}

} // namespace GRADOPT_FOURIER_TARGET
} // namespace gradopt::runtime::fourier

#endif // GRADOPT_RUNTIME_FOURIERPLAN_H
