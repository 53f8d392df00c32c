//===- Lapack.h - Factorisations of matrices --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What compiled code asks of `gradopt_lapack`. The inputs and outs of a routine
// are stacks of matrices, vectors or numbers: the dimensions in front number
// them. T is the type of the elements, R that of their parts, C the complex
// one.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_LAPACK_H
#define GRADOPT_RUNTIME_LAPACK_H

#include "runtime/gradopt_runtime.h"

#include <cstdint>

namespace gradopt::runtime::lapack {

enum Routine : int64_t {
  Cholesky,        ///< T a[n, n] -> T factor[n, n], i32 status
  Lu,              ///< T a[m, n] -> T factors[m, n], i32 pivots[k],
                   ///< i64 permutation[m], i32 status, T work[m, n], of which
                   ///< nothing is needed if factors are column-major
  LuSolve,         ///< T factors[n, n], i32 pivots[n], T b[n, r] -> T x[n, r]
  TriangularSolve, ///< T a[n, n], T b[m, r] -> T x[m, r]
  Qr,              ///< T a[m, n] -> T q[m, c], T r[c, n], T work[...]
  Eigh,            ///< T a[n, n] -> R values[n], T vectors[n, n], i32 status,
                   ///< T work[...], i32 integers[...]
  Svd,             ///< T a[m, n] -> T u[m, c], R s[k], T vh[d, n], i32 status,
                   ///< T work[...], i32 integers[...]
  Eig,   ///< T a[n, n] -> C values[n], C vectors[n, n], i32 status, T work[...]
  Schur, ///< T a[n, n] -> T form[n, n], T vectors[n, n], i32 status,
         ///< T work[...]
  TriangularSylvester, ///< T a[m, m], T b[n, n], T c[m, n] -> T x[m, n]
  TriangularSqrt,      ///< T a[n, n] -> T root[n, n]
};
constexpr int64_t kNumRoutines = TriangularSqrt + 1;

constexpr const char *kNames[kNumRoutines] = {"cholesky",
                                              "lu",
                                              "lu_solve",
                                              "triangular_solve",
                                              "qr",
                                              "eigh",
                                              "svd",
                                              "eig",
                                              "schur",
                                              "triangular_sylvester",
                                              "triangular_sqrt"};

/// How many inputs and outs a routine has.
struct Counts {
  int64_t inputs, outs;
};
constexpr Counts kCounts[kNumRoutines] = {{1, 2}, {1, 5}, {3, 1}, {2, 1},
                                          {1, 3}, {1, 5}, {1, 6}, {1, 4},
                                          {1, 4}, {3, 1}, {1, 1}};

/// Flags, each of the routines that it says.
enum Flag : int64_t {
  IsTransposed = 1,   ///< LuSolve, TriangularSolve, TriangularSylvester
  IsLeft = 2,         ///< TriangularSolve
  IsLower = 4,        ///< TriangularSolve
  IsUnit = 8,         ///< TriangularSolve
  HasVectors = 16,    ///< Eigh, Svd, Eig: the vectors are asked for
  IsBelow = 32,       ///< TriangularSylvester
  IsColumnMajor = 64, ///< Lu, LuSolve: the factors, which are square
};

/// The status of a routine that there are no loops for, without a library.
constexpr int32_t kNoLibrary = -1;

/// The number that compiled code hands over.
constexpr int64_t encode(Routine routine, int64_t flags) {
  return routine | flags << 8;
}

/// How many columns, or rows, are worked on together.
constexpr int64_t kBlock = 32;

constexpr int64_t larger(int64_t a, int64_t b) { return a < b ? b : a; }
constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/// Real matrices with at most so many rows and columns are factored several at
/// once, in the lanes of vectors. Larger ones take less time in a library, if
/// there is but one.
constexpr int64_t kMostInEighLanes = 32, kMostInSvdLanes = 16, kLanes = 8;

/// The bytes of memory that these need, wherever it begins.
constexpr int64_t getLaneBytes(int64_t inEachLane, int64_t inOne = 0) {
  return (inEachLane * kLanes + inOne) * int64_t(sizeof(double)) + 64;
}
constexpr int64_t getLaneEighBytes(int64_t n) {
  return getLaneBytes(2 * n * n + 5 * n);
}
constexpr int64_t getLaneSvdBytes(int64_t m, int64_t n, int64_t columnsOfU,
                                  int64_t rowsOfVh) {
  int64_t k = smaller(m, n), length = larger(m, n);
  return getLaneBytes(k * length + k + k * k,
                      (larger(columnsOfU, rowsOfVh) + 1) * length);
}

/// The elements of `work`, for one matrix of m x n after the other.
constexpr int64_t getQrWork(int64_t m, int64_t n) {
  return smaller(m, n) + kBlock * larger(larger(m, n), 1);
}
constexpr int64_t getEighRoutineWork(int64_t n, bool isComplex) {
  return isComplex ? 2 * n + n * n + kBlock * n
                   : larger(1 + 6 * n + 2 * n * n, 2 * n + kBlock * n);
}
/// The real numbers that routines for complex matrices need.
constexpr int64_t getEighParts(int64_t n) { return 1 + 5 * n + 2 * n * n; }
/// As many complex elements as that, and no loop needs more.
constexpr int64_t getEighWork(int64_t n, bool isComplex) {
  return getEighRoutineWork(n, isComplex) +
         (isComplex ? getEighParts(n) / 2 + 1 : 0);
}
constexpr int64_t getEighIntegers(int64_t n) { return 3 + 5 * n; }

/// What the routine itself needs, behind copies of the matrices.
constexpr int64_t getSvdRoutineWork(int64_t m, int64_t n) {
  int64_t k = smaller(m, n);
  return 4 * k * k + 7 * k + larger(m, n) + kBlock * (m + n) + 1;
}
constexpr int64_t getSvdParts(int64_t m, int64_t n) {
  int64_t k = smaller(m, n);
  return k * (5 * k + 7) + 2 * larger(m, n) * k + 2 * k * k + k + 1;
}
constexpr int64_t getSvdWork(int64_t m, int64_t n, int64_t columnsOfU,
                             int64_t rowsOfVh, bool isComplex) {
  return m * n + m * columnsOfU + rowsOfVh * n + getSvdRoutineWork(m, n) +
         (isComplex ? getSvdParts(m, n) / 2 + 1 : 0);
}
constexpr int64_t getSvdIntegers(int64_t m, int64_t n) {
  return larger(8 * smaller(m, n), 1);
}

/// What `geev` and `gees` need, behind copies of a and the vectors and the
/// eigenvalues, by parts.
constexpr int64_t getSpectrumRoutineWork(int64_t n) {
  return larger((4 + kBlock) * n, 1);
}
constexpr int64_t getSpectrumWork(int64_t n) {
  return 2 * n * n + 2 * n + getSpectrumRoutineWork(n);
}

/// Looks for the functions of LAPACK in a loaded library.
void find(void *handle);

} // namespace gradopt::runtime::lapack

/// Runs a routine on each matrix. Called by compiled code.
extern "C" GRADOPT_EXPORT void gradopt_lapack(int64_t routine,
                                              const gradopt_buffer *inputs,
                                              int64_t num_inputs,
                                              const gradopt_buffer *outs,
                                              int64_t num_outs);

#endif // GRADOPT_RUNTIME_LAPACK_H
