//===- SylvesterLoops.h - Equations with triangular matrices ----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Of upper triangular matrices; real ones may have blocks of two rows on the
// diagonal, for pairs of eigenvalues. Matrices are row-major, and inner loops
// go along rows. LAPACK's own (`trsyl`) is a loop, too, and knows no part
// below.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_SYLVESTERLOOPS_H
#define GRADOPT_RUNTIME_SYLVESTERLOOPS_H

#include "runtime/FactorLoops.h"

namespace gradopt::runtime::lapack {

/// Whether rows i and i + 1 are a block.
template <typename T> bool isPair(const T *a, int64_t n, int64_t i) {
  if constexpr (kIsComplex<T>)
    return false;
  else
    return i + 1 < n && a[(i + 1) * n + i] != 0;
}
/// The first row of the block that row i is in.
template <typename T> int64_t startOf(const T *a, int64_t n, int64_t i) {
  return i > 0 && isPair(a, n, i - 1) ? i - 1 : i;
}
/// How many rows the block has that starts at row i.
template <typename T> int64_t sizeOfBlock(const T *a, int64_t n, int64_t i) {
  return isPair(a, n, i) ? 2 : 1;
}

/// Infinite, by parts, where the divisor is zero.
template <typename R> R divided(R x, R y) { return x / y; }
template <typename R> Complex<R> divided(Complex<R> x, Complex<R> y) {
  return y == Complex<R>(0) ? Complex<R>(x.re / R(0), x.im / R(0)) : x / y;
}

/// Solves a x + x b = c for blocks of p and q rows; x is c before. Element (k,
/// l) of a is `a[k * aRow + l * aColumn]`, and so on: that of a transpose, if
/// need be.
template <typename T>
void solveBlocks(const T *a, int64_t aRow, int64_t aColumn, int64_t p,
                 const T *b, int64_t bRow, int64_t bColumn, int64_t q, T *x,
                 int64_t xRow) {
  if (p == 1 && q == 1) {
    x[0] = divided(x[0], a[0] + b[0]);
    return;
  }
  int64_t size = p * q;
  T system[16] = {}, sides[4];
  int32_t pivots[4];
  for (int64_t i = 0; i < p; ++i)
    for (int64_t j = 0; j < q; ++j) {
      T *row = system + (i * q + j) * size;
      for (int64_t k = 0; k < p; ++k)
        row[k * q + j] += a[i * aRow + k * aColumn];
      for (int64_t k = 0; k < q; ++k)
        row[i * q + k] += b[k * bRow + j * bColumn];
      sides[i * q + j] = x[i * xRow + j];
    }
  loopLu(system, size, size, pivots);
  for (int64_t i = 0; i < size; ++i) {
    T other = sides[pivots[i]];
    sides[pivots[i]] = sides[i];
    sides[i] = other;
  }
  loopSolveLeft(TriangularView<T>(system, size, IsLower | IsUnit), sides, 1);
  loopSolveLeft(TriangularView<T>(system, size, 0), sides, 1);
  for (int64_t i = 0; i < p; ++i)
    for (int64_t j = 0; j < q; ++j)
      x[i * xRow + j] = sides[i * q + j];
}

/// Solves op(a) x + x op(b) = c, a of m and b of n rows; x is c before. Rows of
/// x are subtracted from the rows that come after them, and columns in a row
/// from those after them. If `below`, x is zero from the block on the diagonal
/// on.
template <typename T>
void loopSylvester(const T *a, int64_t m, const T *b, int64_t n, T *x,
                   bool transposed, bool below) {
  for (int64_t i = 0; below && i < m; ++i)
    for (int64_t j = startOf(a, m, i); j < n; ++j)
      x[i * n + j] = 0;
  int64_t aRow = transposed ? 1 : m, aColumn = transposed ? m : 1,
          bRow = transposed ? 1 : n, bColumn = transposed ? n : 1;
  for (int64_t done = 0; done < m;) {
    int64_t first = transposed ? done : startOf(a, m, m - 1 - done),
            p = sizeOfBlock(a, m, first), end = below ? first : n;
    for (int64_t i = first; i < first + p; ++i) {
      T *__restrict row = x + i * n;
      for (int64_t k = transposed ? 0 : first + p; k < (transposed ? first : m);
           ++k) {
        T factor = a[i * aRow + k * aColumn];
        const T *__restrict other = x + k * n;
        for (int64_t j = 0; j < end; ++j)
          row[j] -= factor * other[j];
      }
    }
    for (int64_t solved = 0; solved < end;) {
      int64_t column = transposed ? startOf(b, n, end - 1 - solved) : solved,
              q = sizeOfBlock(b, n, column);
      T *block = x + first * n + column;
      solveBlocks(a + first * (m + 1), aRow, aColumn, p, b + column * (n + 1),
                  bRow, bColumn, q, block, n);
      int64_t begin = transposed ? 0 : column + q,
              stop = transposed ? column : end;
      for (int64_t i = 0; i < p; ++i)
        for (int64_t k = 0; k < q; ++k) {
          T factor = block[i * n + k];
          T *__restrict row = x + (first + i) * n;
          for (int64_t j = begin; j < stop; ++j)
            row[j] -= factor * b[(column + k) * bRow + j * bColumn];
        }
      solved += q;
    }
    done += p;
  }
}

/// The root with a real part that is not negative.
template <typename R> R rootOf(R x) { return std::sqrt(x); }
template <typename R> Complex<R> rootOf(Complex<R> z) {
  R size = lengthOf(z);
  if (size == 0)
    return {0, z.im};
  R large = std::sqrt(std::fabs(z.re) / 2 + size / 2);
  R small = std::fabs(z.im) / (2 * large);
  return z.re >= 0 ? Complex<R>(large, std::copysign(small, z.im))
                   : Complex<R>(small, std::copysign(large, z.im));
}

/// The root of a block: with its eigenvalues t +- i s, and r the real part of
/// their roots, r + (a - t) / (2 r).
template <typename T> void rootOfPair(T *a, int64_t n) {
  T p = a[0], q = a[1], r = a[n], s = a[n + 1];
  T middle = (p + s) / 2, half = (p - s) / 2;
  Complex<T> value(middle, std::sqrt(-(half * half + q * r)));
  T real = rootOf(value).re, scale = 1 / (2 * real);
  a[0] = real + half * scale;
  a[1] = q * scale;
  a[n] = r * scale;
  a[n + 1] = real - half * scale;
}

/// The square root of an upper triangular matrix, which `x` is before: from the
/// last row up, and in a row from its diagonal on.
template <typename T> void loopRoot(T *x, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < i; ++j)
      if (!isPair(x, n, j) || j < i - 1)
        x[i * n + j] = 0;
  for (int64_t done = 0; done < n;) {
    int64_t first = startOf(x, n, n - 1 - done), p = sizeOfBlock(x, n, first);
    T *corner = x + first * (n + 1);
    if constexpr (!kIsComplex<T>)
      if (p == 2)
        rootOfPair(corner, n);
    if (p == 1)
      corner[0] = rootOf(corner[0]);
    for (int64_t column = first + p; column < n;) {
      int64_t q = sizeOfBlock(x, n, column);
      T *block = x + first * n + column;
      bool isZero = true;
      for (int64_t i = 0; i < p; ++i)
        for (int64_t k = 0; k < q; ++k)
          isZero = isZero && block[i * n + k] == T(0);
      // Of zeros on the diagonal, too.
      if (!isZero)
        solveBlocks(corner, n, 1, p, x + column * (n + 1), n, 1, q, block, n);
      for (int64_t i = 0; i < p; ++i)
        for (int64_t k = 0; k < q; ++k) {
          T factor = block[i * n + k];
          T *__restrict row = x + (first + i) * n;
          const T *__restrict other = x + (column + k) * n;
          for (int64_t j = column + q; j < n; ++j)
            row[j] -= factor * other[j];
        }
      column += q;
    }
    done += p;
  }
}

} // namespace gradopt::runtime::lapack

#endif // GRADOPT_RUNTIME_SYLVESTERLOOPS_H
