//===- FactorLoops.h - Factorisations by loops ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For small matrices, and where there is no LAPACK. Matrices are row-major, and
// inner loops go along rows.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_FACTORLOOPS_H
#define GRADOPT_RUNTIME_FACTORLOOPS_H

#include "runtime/Lapack.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace gradopt::runtime::lapack {

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

template <typename R> struct Complex {
  R re, im;

  Complex() = default;
  Complex(R re, R im = 0) : re(re), im(im) {}
  Complex operator*(Complex z) const {
    return {re * z.re - im * z.im, re * z.im + im * z.re};
  }
  /// By Smith's method: no square of a part overflows.
  Complex operator/(Complex z) const {
    if (std::fabs(z.re) >= std::fabs(z.im)) {
      R ratio = z.im / z.re, length = z.re + z.im * ratio;
      return {(re + im * ratio) / length, (im - re * ratio) / length};
    }
    R ratio = z.re / z.im, length = z.re * ratio + z.im;
    return {(re * ratio + im) / length, (im * ratio - re) / length};
  }
  Complex operator+(Complex z) const { return {re + z.re, im + z.im}; }
  Complex operator-(Complex z) const { return {re - z.re, im - z.im}; }
  Complex operator-() const { return {-re, -im}; }
  Complex &operator+=(Complex z) { return *this = *this + z; }
  Complex &operator-=(Complex z) { return *this = *this - z; }
  Complex &operator*=(Complex z) { return *this = *this * z; }
  bool operator==(Complex z) const { return re == z.re && im == z.im; }
};

template <typename T> struct PartOf {
  using Type = T;
};
template <typename R> struct PartOf<Complex<R>> {
  using Type = R;
};
template <typename T> using Part = typename PartOf<T>::Type;
template <typename T> constexpr bool kIsComplex = sizeof(T) != sizeof(Part<T>);

template <typename R> R conjugate(R x) { return x; }
template <typename R> Complex<R> conjugate(Complex<R> x) {
  return {x.re, -x.im};
}
template <typename R> R realOf(R x) { return x; }
template <typename R> R realOf(Complex<R> x) { return x.re; }
template <typename R> R lengthOf(R x) { return std::fabs(x); }
/// Not by std::hypot, which old C libraries have under another version.
template <typename R> R lengthOf(Complex<R> x) {
  R a = std::fabs(x.re), b = std::fabs(x.im), large = std::fmax(a, b);
  if (std::isinf(large))
    return large;
  if (std::isnan(a + b) || large == 0)
    return a + b;
  R ratio = std::fmin(a, b) / large;
  return large * std::sqrt(1 + ratio * ratio);
}
template <typename R> bool isFinite(R x) { return std::isfinite(x); }
template <typename R> bool isFinite(Complex<R> x) {
  return std::isfinite(x.re) && std::isfinite(x.im);
}

/// What pivots are chosen by, as LAPACK does.
template <typename R> R sizeOf(R x) { return std::fabs(x); }
template <typename R> R sizeOf(Complex<R> x) {
  return std::fabs(x.re) + std::fabs(x.im);
}

template <typename T> void fillNan(T *x, int64_t count) {
  auto *parts = reinterpret_cast<Part<T> *>(x);
  int64_t numParts = count * int64_t(sizeof(T) / sizeof(Part<T>));
  for (int64_t i = 0; i < numParts; ++i)
    parts[i] = std::numeric_limits<Part<T>>::quiet_NaN();
}

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

/// Row i of l is finished from the rows above it. Returns the order of the
/// first leading minor that is not positive, or 0.
template <typename T> int loopCholesky(T *l, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    T *row = l + i * n;
    for (int64_t j = 0; j <= i; ++j) {
      const T *other = l + j * n;
      T sum = row[j];
      for (int64_t k = 0; k < j; ++k)
        sum -= row[k] * conjugate(other[k]);
      if (j < i) {
        row[j] = sum / other[j];
        continue;
      }
      if (!(realOf(sum) > 0))
        return static_cast<int>(i + 1);
      row[i] = std::sqrt(realOf(sum));
    }
  }
  return 0;
}

/// Gaussian elimination, with the largest element of a column as its pivot.
template <typename T> int loopLu(T *a, int64_t m, int64_t n, int32_t *pivots) {
  int status = 0;
  for (int64_t k = 0; k < smaller(m, n); ++k) {
    int64_t pivot = k;
    auto largest = sizeOf(a[k * n + k]);
    for (int64_t i = k + 1; i < m; ++i)
      if (auto size = sizeOf(a[i * n + k]); size > largest) {
        largest = size;
        pivot = i;
      }
    pivots[k] = static_cast<int32_t>(pivot);
    T *__restrict top = a + k * n;
    if (pivot != k)
      for (int64_t j = 0; j < n; ++j) {
        T other = a[pivot * n + j];
        a[pivot * n + j] = top[j];
        top[j] = other;
      }
    if (largest == 0) {
      if (status == 0)
        status = static_cast<int>(k + 1);
      continue;
    }
    for (int64_t i = k + 1; i < m; ++i) {
      T *__restrict row = a + i * n;
      T factor = row[k] = row[k] / top[k];
      for (int64_t j = k + 1; j < n; ++j)
        row[j] -= factor * top[j];
    }
  }
  return status;
}

/// The length of x[0], x[stride], ..., without overflow.
template <typename T>
Part<T> lengthOf(const T *x, int64_t count, int64_t stride) {
  using R = Part<T>;
  R largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    R size = lengthOf(x[i * stride]);
    largest = size > largest || size != size ? size : largest;
  }
  if (!(largest > 0) || std::isinf(largest))
    return largest;
  R sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    R part = lengthOf(x[i * stride]) / largest;
    sum += part * part;
  }
  return largest * std::sqrt(sum);
}

/// x -= tau v (v^H x) for the columns of x from `begin` on, where v is column k
/// of `a` from row k on, with a one in front. `sums` has room for a row.
template <typename T>
void reflect(const T *a, int64_t n, int64_t k, int64_t m, T tau, T *x,
             int64_t columns, int64_t begin, T *__restrict sums) {
  if (tau == T(0))
    return;
  const T *first = x + k * columns;
  for (int64_t j = begin; j < columns; ++j)
    sums[j] = first[j];
  for (int64_t i = k + 1; i < m; ++i) {
    const T *__restrict row = x + i * columns;
    T factor = conjugate(a[i * n + k]);
    for (int64_t j = begin; j < columns; ++j)
      sums[j] += factor * row[j];
  }
  for (int64_t i = k; i < m; ++i) {
    T *__restrict row = x + i * columns;
    T factor = i == k ? tau : tau * a[i * n + k];
    for (int64_t j = begin; j < columns; ++j)
      row[j] -= factor * sums[j];
  }
}

/// Householder's reflections, as LAPACK's: r on and above the diagonal, and
/// vectors below.
template <typename T> void loopQr(T *a, int64_t m, int64_t n, T *tau, T *sums) {
  for (int64_t k = 0; k < smaller(m, n); ++k) {
    T *below = a + (k + 1) * n + k;
    T rest = lengthOf(below, m - k - 1, n), &head = a[k * n + k];
    tau[k] = 0;
    // The diagonal becomes real.
    if (rest == T(0) && conjugate(head) == head)
      continue;
    T legs[] = {head, rest};
    T length = std::copysign(lengthOf(legs, 2, 1), -realOf(head));
    T scale = T(1) / (head - length);
    tau[k] = (length - head) / length;
    for (int64_t i = 0; i < m - k - 1; ++i)
      below[i * n] *= scale;
    head = length;
    reflect(a, n, k, m, conjugate(tau[k]), a, n, k + 1, sums);
  }
}

/// The first `c` columns of the product of k reflections, whose vectors are in
/// `q` before.
template <typename T>
void loopQrVectors(T *q, int64_t m, int64_t c, int64_t k, const T *tau,
                   T *sums) {
  for (int64_t j = k; j < c; ++j)
    for (int64_t i = 0; i < m; ++i)
      q[i * c + j] = Part<T>(i == j);
  for (int64_t j = k - 1; j >= 0; --j) {
    reflect(q, c, j, m, tau[j], q, c, j + 1, sums);
    for (int64_t i = 0; i < m; ++i)
      q[i * c + j] = i < j    ? T(0)
                     : i == j ? T(1) - tau[j]
                              : -tau[j] * q[i * c + j];
  }
}

/// The plane rotation that makes a symmetric matrix with elements a, b, c in
/// these two rows and columns diagonal (Rutishauser).
template <typename T> struct Rotation {
  T cosine, sine;

  Rotation(T a, T b, T c) {
    T ratio = (c - a) / (2 * b);
    T legs[] = {1, ratio};
    T tangent =
        std::copysign(T(1), ratio) / (std::fabs(ratio) + lengthOf(legs, 2, 1));
    cosine = 1 / std::sqrt(1 + tangent * tangent);
    sine = tangent * cosine;
  }
  template <typename Number>
  void apply(Number *x, Number *y, int64_t count, int64_t stride = 1) const {
    Number c(cosine), s(sine);
    for (int64_t i = 0; i < count * stride; i += stride) {
      Number other = x[i];
      x[i] = c * other - s * y[i];
      y[i] = s * other + c * y[i];
    }
  }
};

/// Multiplies by the phase that makes `between`, of a Hermitian matrix or of
/// products of rows, real: the row, or column, that is the second one of it.
template <typename T>
void turnPhase(T between, T *row, int64_t count, int64_t stride = 1) {
  if constexpr (kIsComplex<T>) {
    T phase = between / T(lengthOf(between));
    for (int64_t i = 0; i < count * stride; i += stride)
      row[i] *= phase;
  }
}
/// What is left of `between` then.
template <typename T> Part<T> withoutPhase(T between) {
  if constexpr (kIsComplex<T>)
    return lengthOf(between);
  else
    return between;
}

/// So many times all pairs are looked at; about seven are enough.
constexpr int kSweeps = 60;

template <typename T> void fillIdentity(T *x, int64_t n) {
  for (int64_t i = 0; i < n * n; ++i)
    x[i] = Part<T>(i % (n + 1) == 0);
}

/// The order in which `numbers` increase, or decrease.
template <typename T>
void sortIndices(const T *numbers, int64_t n, bool decreasing, int32_t *order) {
  for (int64_t i = 0; i < n; ++i) {
    int64_t j = i;
    auto isBefore = [&](int32_t other) {
      return decreasing ? numbers[i] > numbers[other]
                        : numbers[i] < numbers[other];
    };
    for (; j > 0 && isBefore(order[j - 1]); --j)
      order[j] = order[j - 1];
    order[j] = static_cast<int32_t>(i);
  }
}

/// Jacobi's method. `work` has room for two matrices, `order` for n numbers.
template <typename T>
int loopEigh(const T *a, int64_t n, Part<T> *values, T *vectors, T *work,
             int32_t *order) {
  using R = Part<T>;
  T *rest = work, *rows = work + n * n;
  R largest = 0;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j <= i; ++j) {
      T element = j < i ? a[i * n + j] : T(realOf(a[i * n + j]));
      rest[i * n + j] = element;
      rest[j * n + i] = conjugate(element);
      R size = lengthOf(element);
      if (!std::isfinite(size))
        return 1;
      largest = size > largest ? size : largest;
    }
  fillIdentity(rows, n);
  R negligible = largest * std::numeric_limits<R>::epsilon() / 16;
  bool isDone = false;
  for (int sweep = 0; sweep < kSweeps && !isDone; ++sweep) {
    isDone = true;
    for (int64_t i = 1; i < n; ++i)
      for (int64_t j = 0; j < i; ++j) {
        T between = rest[j * n + i];
        if (lengthOf(between) <= negligible)
          continue;
        isDone = false;
        turnPhase(between, rest + i * n, n);
        turnPhase(conjugate(between), rest + i, n, n);
        turnPhase(between, rows + i * n, n);
        Rotation<R> turn(realOf(rest[j * n + j]), withoutPhase(between),
                         realOf(rest[i * n + i]));
        turn.apply(rest + j * n, rest + i * n, n);
        turn.apply(rest + j, rest + i, n, n);
        turn.apply(rows + j * n, rows + i * n, n);
        rest[j * n + i] = rest[i * n + j] = 0;
      }
  }
  if (!isDone)
    return 1;
  // `values` in their places as they are found, then sorted.
  R *found = reinterpret_cast<R *>(rest);
  for (int64_t i = 0; i < n; ++i)
    found[i] = realOf(rest[i * n + i]);
  sortIndices(found, n, /*decreasing=*/false, order);
  for (int64_t j = 0; j < n; ++j) {
    values[j] = found[order[j]];
    for (int64_t i = 0; i < n; ++i)
      vectors[i * n + j] = conjugate(rows[order[j] * n + i]);
  }
  return 0;
}

/// Adds rows to the first `have`, which are orthonormal, up to `count` of them.
template <typename T>
void completeRows(T *rows, int64_t have, int64_t count, int64_t length,
                  T *trial) {
  for (; have < count; ++have) {
    T *row = rows + have * length;
    Part<T> best = 0;
    // Of the unit vectors, one is at least as far from the rows as the mean.
    for (int64_t unit = 0; unit < length && !(best * best * length >= 0.5);
         ++unit) {
      for (int64_t i = 0; i < length; ++i)
        trial[i] = Part<T>(i == unit);
      for (int64_t k = 0; k < 2 * have; ++k) {
        const T *known = rows + k % have * length;
        T along = 0;
        for (int64_t i = 0; i < length; ++i)
          along += conjugate(known[i]) * trial[i];
        for (int64_t i = 0; i < length; ++i)
          trial[i] -= along * known[i];
      }
      Part<T> size = lengthOf(trial, length, 1);
      if (size <= best)
        continue;
      best = size;
      for (int64_t i = 0; i < length; ++i)
        row[i] = trial[i] / T(size);
    }
  }
}

/// Jacobi's method on one side (Hestenes): the k rows of `x`, which are at
/// least as long as there are many, are turned until they are orthogonal.
/// Singular vectors of the long side, `numLong` of them, become the rows of
/// `longRows`, those of the other side the rows of `turns`.
template <typename T>
int loopSvd(T *x, int64_t k, int64_t length, Part<T> *s, T *longRows,
            int64_t numLong, T *turns, T *work, int32_t *order) {
  using R = Part<T>;
  R largest = 0;
  for (int64_t i = 0; i < k * length; ++i) {
    R size = lengthOf(x[i]);
    if (!std::isfinite(size))
      return 1;
    largest = size > largest ? size : largest;
  }
  for (int64_t i = 0; largest > 0 && i < k * length; ++i)
    x[i] = x[i] / T(largest);
  T *rows = turns + k * k;
  fillIdentity(rows, k);
  bool isDone = false;
  for (int sweep = 0; sweep < kSweeps && !isDone; ++sweep) {
    isDone = true;
    for (int64_t i = 1; i < k; ++i)
      for (int64_t j = 0; j < i; ++j) {
        T *one = x + j * length, *two = x + i * length, b = 0;
        R a = 0, c = 0;
        for (int64_t l = 0; l < length; ++l) {
          a += realOf(one[l] * conjugate(one[l]));
          b += one[l] * conjugate(two[l]);
          c += realOf(two[l] * conjugate(two[l]));
        }
        R limit =
            std::numeric_limits<R>::epsilon() * std::sqrt(a) * std::sqrt(c);
        if (!(lengthOf(b) > limit))
          continue;
        isDone = false;
        turnPhase(b, two, length);
        turnPhase(b, rows + i * k, k);
        Rotation<R> turn(a, withoutPhase(b), c);
        turn.apply(one, two, length);
        turn.apply(rows + j * k, rows + i * k, k);
      }
  }
  if (!isDone)
    return 1;
  R *sizes = reinterpret_cast<R *>(work);
  for (int64_t i = 0; i < k; ++i)
    sizes[i] = lengthOf(x + i * length, length, 1);
  sortIndices(sizes, k, /*decreasing=*/true, order);
  int64_t have = 0;
  for (int64_t i = 0; i < k; ++i) {
    const T *from = x + order[i] * length;
    R size = sizes[order[i]];
    // What is left of rows that depend on others has no direction.
    bool isNothing = size <= std::numeric_limits<R>::min();
    s[i] = size * largest;
    for (int64_t l = 0; !isNothing && l < length; ++l)
      longRows[i * length + l] = from[l] / T(size);
    have += !isNothing;
    std::memcpy(turns + i * k, rows + order[i] * k, size_t(k) * sizeof(T));
  }
  completeRows(longRows, have, numLong, length, work);
  return 0;
}

/// A triangular matrix as it is in a system: element (i, j) is `a[i * row + j *
/// column]`, and `isLower` is so after a transposition.
template <typename T> struct TriangularView {
  const T *a;
  int64_t n, row, column;
  bool isLower, isUnit;

  TriangularView(const T *a, int64_t n, int64_t flags)
      : a(a), n(n), row(flags & IsTransposed ? 1 : n),
        column(flags & IsTransposed ? n : 1),
        isLower(bool(flags & IsLower) != bool(flags & IsTransposed)),
        isUnit(flags & IsUnit) {}
  T at(int64_t i, int64_t j) const { return a[i * row + j * column]; }
};

/// Rows of x are subtracted from the rows that come after them.
template <typename T> void loopSolveLeft(TriangularView<T> a, T *x, int64_t r) {
  for (int64_t step = 0; step < a.n; ++step) {
    int64_t i = a.isLower ? step : a.n - 1 - step;
    T *__restrict row = x + i * r;
    for (int64_t before = 0; before < step; ++before) {
      int64_t k = a.isLower ? before : a.n - 1 - before;
      T factor = a.at(i, k);
      const T *__restrict other = x + k * r;
      for (int64_t j = 0; j < r; ++j)
        row[j] -= factor * other[j];
    }
    if (a.isUnit)
      continue;
    T pivot = a.at(i, i);
    for (int64_t j = 0; j < r; ++j)
      row[j] = row[j] / pivot;
  }
}

/// Each row of x by itself.
template <typename T>
void loopSolveRight(TriangularView<T> a, T *x, int64_t rows) {
  for (int64_t i = 0; i < rows; ++i) {
    T *__restrict row = x + i * a.n;
    for (int64_t step = 0; step < a.n; ++step) {
      int64_t k = a.isLower ? a.n - 1 - step : step;
      if (!a.isUnit)
        row[k] = row[k] / a.at(k, k);
      T factor = row[k];
      int64_t begin = a.isLower ? 0 : k + 1, end = a.isLower ? k : a.n;
      for (int64_t j = begin; j < end; ++j)
        row[j] -= factor * a.at(k, j);
    }
  }
}

/// Square by square, so that rows and columns stay in the cache.
template <typename T>
void transposeInto(const T *x, int64_t rows, int64_t columns, T *y) {
  for (int64_t i = 0; i < rows; i += kBlock)
    for (int64_t j = 0; j < columns; j += kBlock)
      for (int64_t k = i; k < smaller(i + kBlock, rows); ++k)
        for (int64_t l = j; l < smaller(j + kBlock, columns); ++l)
          y[l * rows + k] = x[k * columns + l];
}

template <typename T> void transposeSquare(T *x, int64_t n) {
  for (int64_t i = 0; i < n; i += kBlock)
    for (int64_t j = 0; j <= i; j += kBlock)
      for (int64_t k = i; k < smaller(i + kBlock, n); ++k)
        for (int64_t l = j; l < smaller(j + kBlock, k); ++l) {
          T other = x[k * n + l];
          x[k * n + l] = x[l * n + k];
          x[l * n + k] = other;
        }
}

} // namespace gradopt::runtime::lapack

#endif // GRADOPT_RUNTIME_FACTORLOOPS_H
