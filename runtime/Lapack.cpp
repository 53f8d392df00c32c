//===- Lapack.cpp - Factorisations of matrices ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Matrices are row-major here and column-major in LAPACK, which sees their
// transposes. Where that does not matter, nothing is moved: the lower triangle
// of a symmetric matrix is an upper one, and the QR factorisation is an LQ one.
// Else they are transposed on the way, so that signs and orders are NumPy's.
//
// Small matrices, and all where there is no library, are factored by loops; for
// eigenvalues of general matrices there is the library only. Spectra of small
// real matrices are found for several of them at once.
//
//===----------------------------------------------------------------------===//

#include "runtime/Lapack.h"
#include "runtime/BusySection.h"
#include "runtime/FactorLoops.h"
#include "runtime/LaneStacks.h"
#include "runtime/OldLibrary.h"
#include "runtime/SylvesterLoops.h"

#include <atomic>
#include <cstring>
#include <dlfcn.h>
#include <limits>
#include <type_traits>

using namespace gradopt::runtime;
using namespace gradopt::runtime::lapack;

namespace {

//===----------------------------------------------------------------------===//
// The library
//===----------------------------------------------------------------------===//

// The enumerations of the CBLAS interface.
enum Order : int { RowMajor = 101 };
enum Transpose : int { NoTrans = 111, Trans = 112 };
enum Triangle : int { Upper = 121, Lower = 122 };
enum Diagonal : int { NonUnit = 131, Unit = 132 };
enum Side : int { LeftSide = 141, RightSide = 142 };

/// How functions take the factor of a product.
template <typename T> struct Passed {
  using Type = T;
  static T pass(const T &x) { return x; }
};
template <typename R> struct Passed<Complex<R>> {
  using Type = const void *;
  static Type pass(const Complex<R> &x) { return &x; }
};

// Fortran's functions take the lengths of strings behind all else.
template <typename T> struct Functions {
  void (*trsm)(Order, Side, Triangle, Transpose, Diagonal, int m, int n,
               typename Passed<T>::Type alpha, const T *a, int lda, T *b,
               int ldb);
  void (*potrf)(const char *triangle, const int *n, T *a, const int *lda,
                int *info, size_t);
  void (*getrf)(const int *m, const int *n, T *a, const int *lda, int *pivots,
                int *info);
  void (*gelqf)(const int *m, const int *n, T *a, const int *lda, T *tau,
                T *work, const int *lwork, int *info);
  void (*orglq)(const int *m, const int *n, const int *k, T *a, const int *lda,
                const T *tau, T *work, const int *lwork, int *info);
};

/// `Functions`, and those that take other arguments for complex matrices.
template <typename T> struct AllFunctions : Functions<T> {
  void (*syevd)(const char *job, const char *triangle, const int *n, T *a,
                const int *lda, T *values, T *work, const int *lwork,
                int *integers, const int *numIntegers, int *info, size_t,
                size_t);
  void (*gesdd)(const char *job, const int *m, const int *n, T *a,
                const int *lda, T *s, T *u, const int *ldu, T *vh,
                const int *ldvh, T *work, const int *lwork, int *integers,
                int *info, size_t);
  void (*geev)(const char *left, const char *right, const int *n, T *a,
               const int *lda, T *re, T *im, T *vl, const int *ldvl, T *vr,
               const int *ldvr, T *work, const int *lwork, int *info, size_t,
               size_t);
  void (*gees)(const char *job, const char *sort, const void *select,
               const int *n, T *a, const int *lda, int *numSelected, T *re,
               T *im, T *vectors, const int *ldv, T *work, const int *lwork,
               int *selected, int *info, size_t, size_t);
};
template <typename R> struct AllFunctions<Complex<R>> : Functions<Complex<R>> {
  using T = Complex<R>;

  void (*syevd)(const char *job, const char *triangle, const int *n, T *a,
                const int *lda, R *values, T *work, const int *lwork, R *parts,
                const int *numParts, int *integers, const int *numIntegers,
                int *info, size_t, size_t);
  void (*gesdd)(const char *job, const int *m, const int *n, T *a,
                const int *lda, R *s, T *u, const int *ldu, T *vh,
                const int *ldvh, T *work, const int *lwork, R *parts,
                int *integers, int *info, size_t);
  void (*geev)(const char *left, const char *right, const int *n, T *a,
               const int *lda, T *values, T *vl, const int *ldvl, T *vr,
               const int *ldvr, T *work, const int *lwork, R *parts, int *info,
               size_t, size_t);
  void (*gees)(const char *job, const char *sort, const void *select,
               const int *n, T *a, const int *lda, int *numSelected, T *values,
               T *vectors, const int *ldv, T *work, const int *lwork, R *parts,
               int *selected, int *info, size_t, size_t);
};

struct Library {
  AllFunctions<double> d;
  AllFunctions<float> s;
  AllFunctions<Complex<double>> z;
  AllFunctions<Complex<float>> c;

  const AllFunctions<double> &of(double) const { return d; }
  const AllFunctions<float> &of(float) const { return s; }
  const AllFunctions<Complex<double>> &of(Complex<double>) const { return z; }
  const AllFunctions<Complex<float>> &of(Complex<float>) const { return c; }
};

Library library;
std::atomic<bool> isThere = false;

template <typename T> const AllFunctions<T> *functions() {
  return isThere.load(std::memory_order_acquire) ? &library.of(T()) : nullptr;
}

/// A function under its name, or the one it has in SciPy's wheels.
void *findFunction(void *handle, const char *prefix, char type,
                   const char *name, const char *suffix) {
  char text[64] = "scipy_";
  size_t length = std::strlen(text);
  for (const char *part = prefix; *part; ++part)
    text[length++] = *part;
  text[length++] = type;
  for (const char *part = name; *part; ++part)
    text[length++] = *part;
  std::strcpy(text + length, suffix);
  void *found = dlsym(handle, text);
  return found ? found : dlsym(handle, text + std::strlen("scipy_"));
}

template <typename T>
bool findAll(void *handle, char type, AllFunctions<T> &found) {
  auto get = [&](auto &function, const char *name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(
        findFunction(handle, "", type, name, "_"));
    return function != nullptr;
  };
  found.trsm = reinterpret_cast<decltype(found.trsm)>(
      findFunction(handle, "cblas_", type, "trsm", ""));
  return found.trsm && get(found.potrf, "potrf") && get(found.getrf, "getrf") &&
         get(found.gelqf, "gelqf") &&
         get(found.orglq, kIsComplex<T> ? "unglq" : "orglq") &&
         get(found.syevd, kIsComplex<T> ? "heevd" : "syevd") &&
         get(found.gesdd, "gesdd") && get(found.geev, "geev") &&
         get(found.gees, "gees");
}

/// Matrices with fewer rows take longer in a library than in a loop.
constexpr int64_t kSmall = 24;

/// The functions to use for matrices of this size, or null.
template <typename T> const AllFunctions<T> *functionsFor(int64_t size) {
  return size < kSmall || size > std::numeric_limits<int>::max() / 4
             ? nullptr
             : functions<T>();
}

//===----------------------------------------------------------------------===//
// Routines, for one matrix
//===----------------------------------------------------------------------===//

template <typename T>
void solveTriangular(const T *a, int64_t n, T *x, int64_t rows, int64_t columns,
                     int64_t flags) {
  bool left = flags & IsLeft;
  const AllFunctions<T> *found = functionsFor<T>(n);
  if (!found || larger(rows, columns) > std::numeric_limits<int>::max()) {
    TriangularView<T> view(a, n, flags);
    return left ? loopSolveLeft(view, x, columns)
                : loopSolveRight(view, x, rows);
  }
  if (rows == 0 || columns == 0)
    return;
  T one(1);
  found->trsm(RowMajor, left ? LeftSide : RightSide,
              flags & IsLower ? Lower : Upper,
              flags & IsTransposed ? Trans : NoTrans,
              flags & IsUnit ? Unit : NonUnit, int(rows), int(columns),
              Passed<T>::pass(one), a, int(n), x, int(columns));
}

template <typename T> int factorCholesky(const T *a, int64_t n, T *l) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < n; ++j)
      l[i * n + j] = j <= i ? a[i * n + j] : T(0);
  int status = 0;
  if (const AllFunctions<T> *found = functionsFor<T>(n)) {
    int size = int(n);
    found->potrf("U", &size, l, &size, &status, 1);
  } else {
    status = loopCholesky(l, n);
  }
  if (status != 0)
    fillNan(l, n * n);
  return status;
}

template <typename T>
int factorLu(const T *a, int64_t m, int64_t n, T *lu, int32_t *pivots,
             int64_t *permutation, T *work, bool isColumnMajor) {
  int status = 0;
  const AllFunctions<T> *found = functionsFor<T>(smaller(m, n));
  if (found && larger(m, n) <= std::numeric_limits<int>::max()) {
    T *columnMajor = isColumnMajor ? lu : work;
    transposeInto(a, m, n, columnMajor);
    int rows = int(m), columns = int(n);
    found->getrf(&rows, &columns, columnMajor, &rows, pivots, &status);
    if (!isColumnMajor)
      transposeInto(work, n, m, lu);
    for (int64_t i = 0; i < smaller(m, n); ++i)
      --pivots[i];
  } else {
    std::memcpy(lu, a, size_t(m * n) * sizeof(T));
    status = loopLu(lu, m, n, pivots);
    if (isColumnMajor)
      transposeSquare(lu, n);
  }
  for (int64_t i = 0; i < m; ++i)
    permutation[i] = i;
  for (int64_t i = 0; i < smaller(m, n); ++i) {
    int64_t other = permutation[pivots[i]];
    permutation[pivots[i]] = permutation[i];
    permutation[i] = other;
  }
  return status;
}

template <typename T> void swapRows(T *x, int64_t r, int64_t i, int64_t j) {
  if (i == j)
    return;
  for (int64_t k = 0; k < r; ++k) {
    T other = x[i * r + k];
    x[i * r + k] = x[j * r + k];
    x[j * r + k] = other;
  }
}

template <typename T>
void solveLu(const T *lu, int64_t n, const int32_t *pivots, T *x, int64_t r,
             bool transposed, bool isColumnMajor) {
  // Of another's numbers, none leads out of x.
  auto pivot = [&](int64_t i) { return smaller(larger(pivots[i], 0), n - 1); };
  // By rows, column-major factors are transposes: L is an upper triangle.
  int64_t lower = IsLeft | IsUnit | (isColumnMajor ? 0 : IsLower),
          upper = IsLeft | (isColumnMajor ? IsLower : 0),
          turn = transposed == isColumnMajor ? 0 : IsTransposed;
  if (!transposed) {
    for (int64_t i = 0; i < n; ++i)
      swapRows(x, r, i, pivot(i));
    solveTriangular(lu, n, x, n, r, lower | turn);
    solveTriangular(lu, n, x, n, r, upper | turn);
    return;
  }
  solveTriangular(lu, n, x, n, r, upper | turn);
  solveTriangular(lu, n, x, n, r, lower | turn);
  for (int64_t i = n - 1; i >= 0; --i)
    swapRows(x, r, i, pivot(i));
}

/// In `q` where it has the shape of `a`, else in `r`, which then has it.
template <typename T>
void factorQr(const T *a, int64_t m, int64_t n, T *q, int64_t c, T *r,
              T *work) {
  int64_t k = smaller(m, n), lwork = kBlock * larger(larger(m, n), 1);
  T *tau = work + lwork;
  T *reflections = c == n ? q : r;
  std::memcpy(reflections, a, size_t(m * n) * sizeof(T));
  const AllFunctions<T> *found = functionsFor<T>(k);
  int rows = int(m), columns = int(n), count = int(k), size = int(lwork),
      status = 0;
  if (found)
    found->gelqf(&columns, &rows, reflections, &columns, tau, work, &size,
                 &status);
  else
    loopQr(reflections, m, n, tau, work);
  // What is above the diagonal of q is made anew.
  if (reflections == q)
    for (int64_t i = 0; i < c; ++i)
      for (int64_t j = 0; j < n; ++j)
        r[i * n + j] = j < i ? T(0) : q[i * n + j];
  else
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < smaller(k, i + 1); ++j)
        q[i * c + j] = r[i * n + j];
  if (found) {
    int width = int(c);
    found->orglq(&width, &rows, &count, q, &width, tau, work, &size, &status);
  } else {
    loopQrVectors(q, m, c, k, tau, work);
  }
  if (reflections == r)
    for (int64_t i = 0; i < c; ++i)
      for (int64_t j = 0; j < smaller(i, n); ++j)
        r[i * n + j] = 0;
}

template <typename T>
int factorEigh(const T *a, int64_t n, Part<T> *values, T *vectors, T *work,
               int32_t *integers, bool hasVectors) {
  const AllFunctions<T> *found = functions<T>();
  int size = int(n), numWork = int(getEighRoutineWork(n, kIsComplex<T>)),
      numIntegers = int(getEighIntegers(n)), status = 0;
  const char *job = hasVectors ? "V" : "N";
  if (n == 0)
    return 0;
  if (found) {
    transposeInto(a, n, n, vectors);
    if constexpr (kIsComplex<T>) {
      auto *parts = reinterpret_cast<Part<T> *>(work + numWork);
      int numParts = int(getEighParts(n));
      found->syevd(job, "L", &size, vectors, &size, values, work, &numWork,
                   parts, &numParts, integers, &numIntegers, &status, 1, 1);
    } else {
      found->syevd(job, "L", &size, vectors, &size, values, work, &numWork,
                   integers, &numIntegers, &status, 1, 1);
    }
    transposeSquare(vectors, n);
  } else {
    status = loopEigh(a, n, values, vectors, work, integers);
  }
  if (status != 0) {
    fillNan(values, n);
    fillNan(vectors, n * n);
  }
  return status;
}

/// The matrices of LAPACK lie in `work`, first a, then u and vh.
template <typename T>
int factorSvd(const T *a, int64_t m, int64_t n, T *u, int64_t c, Part<T> *s,
              T *vh, int64_t d, T *work, int32_t *integers, bool hasVectors) {
  int64_t k = smaller(m, n);
  T *copy = work, *otherU = copy + m * n, *otherVh = otherU + m * c,
    *rest = otherVh + d * n;
  int status = 0;
  if (k == 0) {
    fillIdentity(u, c);
    fillIdentity(vh, d);
  } else if (const AllFunctions<T> *found = functions<T>()) {
    int rows = int(m), columns = int(n), heightOfVh = int(d),
        numWork = int(getSvdRoutineWork(m, n));
    transposeInto(a, m, n, copy);
    const char *job = !hasVectors ? "N" : c > k || d > k ? "A" : "S";
    if constexpr (kIsComplex<T>) {
      auto *parts = reinterpret_cast<Part<T> *>(rest + numWork);
      found->gesdd(job, &rows, &columns, copy, &rows, s, otherU, &rows, otherVh,
                   &heightOfVh, rest, &numWork, parts, integers, &status, 1);
    } else {
      found->gesdd(job, &rows, &columns, copy, &rows, s, otherU, &rows, otherVh,
                   &heightOfVh, rest, &numWork, integers, &status, 1);
    }
    if (hasVectors) {
      transposeInto(otherU, c, m, u);
      transposeInto(otherVh, n, d, vh);
    }
  } else if (m >= n) {
    transposeInto(a, m, n, copy);
    T *turns = rest, *vectors = rest + 2 * k * k;
    status = loopSvd(copy, k, m, s, otherU, c, turns, vectors, integers);
    transposeInto(otherU, c, m, u);
    for (int64_t i = 0; i < k * k; ++i)
      vh[i] = conjugate(turns[i]);
  } else {
    std::memcpy(copy, a, size_t(m * n) * sizeof(T));
    T *turns = rest, *vectors = rest + 2 * k * k;
    status = loopSvd(copy, k, n, s, vh, d, turns, vectors, integers);
    transposeInto(turns, k, k, u);
    for (int64_t i = 0; i < k * k; ++i)
      u[i] = conjugate(u[i]);
  }
  if (status != 0) {
    fillNan(s, k);
    fillNan(u, m * c);
    fillNan(vh, d * n);
  }
  return status;
}

/// Why there is no spectrum of a matrix: not all of it is finite, or there is
/// no library.
template <typename T> int checkSpectrum(const T *a, int64_t n) {
  for (int64_t i = 0; i < n * n; ++i)
    if (!isFinite(a[i]))
      return 1;
  return n > 0 && !functions<T>() ? kNoLibrary : 0;
}

/// In `work`: the transpose of a, the vectors, and the parts of the values.
template <typename T>
int factorEig(const T *a, int64_t n, Complex<Part<T>> *values,
              Complex<Part<T>> *vectors, T *work, bool hasVectors) {
  int status = checkSpectrum(a, n);
  if (status == 0 && n > 0) {
    const AllFunctions<T> *found = functions<T>();
    T *copy = work, *columns = copy + n * n, *re = columns + n * n,
      *im = re + n, *rest = im + n;
    int size = int(n), numWork = int(getSpectrumRoutineWork(n));
    const char *job = hasVectors ? "V" : "N";
    transposeInto(a, n, n, copy);
    if constexpr (kIsComplex<T>) {
      found->geev("N", job, &size, copy, &size, values, nullptr, &size, columns,
                  &size, rest, &numWork, reinterpret_cast<Part<T> *>(re),
                  &status, 1, 1);
      transposeInto(columns, n, n, vectors);
    } else {
      found->geev("N", job, &size, copy, &size, re, im, nullptr, &size, columns,
                  &size, rest, &numWork, &status, 1, 1);
      for (int64_t j = 0; j < n; ++j)
        values[j] = {re[j], im[j]};
      // Of a pair, the columns are the parts of one vector.
      for (int64_t j = 0; j < n; ++j)
        for (int64_t i = 0; i < n; ++i) {
          T one = columns[j * n + i];
          vectors[i * n + j] = im[j] == 0 ? Complex<T>(one)
                               : im[j] > 0
                                   ? Complex<T>(one, columns[(j + 1) * n + i])
                                   : Complex<T>(columns[(j - 1) * n + i], -one);
        }
    }
  }
  if (status != 0) {
    fillNan(values, n);
    fillNan(vectors, n * n);
  }
  return status;
}

template <typename T>
int factorSchur(const T *a, int64_t n, T *form, T *vectors, T *work) {
  int status = checkSpectrum(a, n);
  if (status == 0 && n > 0) {
    const AllFunctions<T> *found = functions<T>();
    T *re = work, *im = re + n, *rest = im + n;
    int size = int(n), numWork = int(getSpectrumRoutineWork(n)),
        numSelected = 0;
    transposeInto(a, n, n, form);
    if constexpr (kIsComplex<T>)
      found->gees("V", "N", nullptr, &size, form, &size, &numSelected, re,
                  vectors, &size, rest, &numWork,
                  reinterpret_cast<Part<T> *>(im), nullptr, &status, 1, 1);
    else
      found->gees("V", "N", nullptr, &size, form, &size, &numSelected, re, im,
                  vectors, &size, rest, &numWork, nullptr, &status, 1, 1);
    transposeSquare(form, n);
    transposeSquare(vectors, n);
  }
  if (status != 0) {
    fillNan(form, n * n);
    fillNan(vectors, n * n);
  }
  return status;
}

//===----------------------------------------------------------------------===//
// Stacks of matrices
//===----------------------------------------------------------------------===//

/// A stack of things of some dimensions each.
struct Stack {
  Stack(const gradopt_buffer &buffer, int32_t rank)
      : buffer(buffer), sizes(buffer.shape + buffer.rank - rank), elements(1) {
    for (int32_t d = 0; d < rank; ++d)
      elements *= sizes[d];
  }
  template <typename T> T *at(int64_t i) const {
    return static_cast<T *>(buffer.data) + i * elements;
  }

  const gradopt_buffer &buffer;
  const int64_t *sizes;
  int64_t elements;
};

/// How many things of `rank` dimensions there are.
int64_t countOf(const gradopt_buffer &buffer, int32_t rank) {
  int64_t count = 1;
  for (int32_t d = 0; d < buffer.rank - rank; ++d)
    count *= buffer.shape[d];
  return count;
}

template <typename T>
void copyInto(const gradopt_buffer &from, const gradopt_buffer &to) {
  std::memcpy(to.data, from.data, size_t(countOf(to, 0)) * sizeof(T));
}

/// Whether matrices are factored in lanes. A bundle may be older than the
/// library, and have less memory for that than they need.
template <typename T>
bool areInLanes(int64_t m, int64_t n, int64_t most, const gradopt_buffer &work,
                int64_t bytes) {
  return smaller(m, n) > 0 && larger(m, n) <= most &&
         work.shape[0] * int64_t(sizeof(T)) >= bytes;
}

template <typename T>
void run(Routine routine, int64_t flags, const gradopt_buffer *inputs,
         const gradopt_buffer *outs) {
  // OpenBLAS takes a lock for each call.
  BusySection section;
  int64_t count = countOf(inputs[0], 2);
  Stack a(inputs[0], 2);
  int64_t m = a.sizes[0], n = a.sizes[1];
  switch (routine) {
  case Cholesky: {
    Stack factor(outs[0], 2), status(outs[1], 0);
    for (int64_t i = 0; i < count; ++i)
      *status.at<int32_t>(i) =
          factorCholesky(a.at<const T>(i), n, factor.at<T>(i));
    return;
  }
  case Lu: {
    Stack factors(outs[0], 2), pivots(outs[1], 1), permutation(outs[2], 1),
        status(outs[3], 0);
    for (int64_t i = 0; i < count; ++i)
      *status.at<int32_t>(i) =
          factorLu(a.at<const T>(i), m, n, factors.at<T>(i),
                   pivots.at<int32_t>(i), permutation.at<int64_t>(i),
                   static_cast<T *>(outs[4].data), flags & IsColumnMajor);
    return;
  }
  case LuSolve: {
    Stack pivots(inputs[1], 1), x(outs[0], 2);
    copyInto<T>(inputs[2], outs[0]);
    for (int64_t i = 0; i < count; ++i)
      solveLu(a.at<const T>(i), n, pivots.at<const int32_t>(i), x.at<T>(i),
              x.sizes[1], flags & IsTransposed, flags & IsColumnMajor);
    return;
  }
  case TriangularSolve: {
    Stack x(outs[0], 2);
    copyInto<T>(inputs[1], outs[0]);
    for (int64_t i = 0; i < count; ++i)
      solveTriangular(a.at<const T>(i), n, x.at<T>(i), x.sizes[0], x.sizes[1],
                      flags);
    return;
  }
  case Qr: {
    Stack q(outs[0], 2), r(outs[1], 2);
    for (int64_t i = 0; i < count; ++i)
      factorQr(a.at<const T>(i), m, n, q.at<T>(i), q.sizes[1], r.at<T>(i),
               static_cast<T *>(outs[2].data));
    return;
  }
  case Eigh: {
    Stack values(outs[0], 1), vectors(outs[1], 2), status(outs[2], 0);
    if constexpr (!kIsComplex<T>)
      if (areInLanes<T>(n, n, kMostInEighLanes, outs[3], getLaneEighBytes(n)))
        return laneEigh(count, a.at<const T>(0), n, values.at<T>(0),
                        flags & HasVectors ? vectors.at<T>(0) : nullptr,
                        status.at<int32_t>(0), outs[3].data);
    for (int64_t i = 0; i < count; ++i)
      *status.at<int32_t>(i) =
          factorEigh(a.at<const T>(i), n, values.at<Part<T>>(i),
                     vectors.at<T>(i), static_cast<T *>(outs[3].data),
                     static_cast<int32_t *>(outs[4].data), flags & HasVectors);
    return;
  }
  case Svd: {
    Stack u(outs[0], 2), s(outs[1], 1), vh(outs[2], 2), status(outs[3], 0);
    if constexpr (!kIsComplex<T>) {
      int64_t c = u.sizes[1], d = vh.sizes[0];
      bool hasVectors = flags & HasVectors;
      if (areInLanes<T>(m, n, kMostInSvdLanes, outs[4],
                        getLaneSvdBytes(m, n, c, d)))
        return laneSvd(count, a.at<const T>(0), m, n,
                       hasVectors ? u.at<T>(0) : nullptr, c, s.at<T>(0),
                       hasVectors ? vh.at<T>(0) : nullptr, d,
                       status.at<int32_t>(0), outs[4].data);
    }
    for (int64_t i = 0; i < count; ++i)
      *status.at<int32_t>(i) = factorSvd(
          a.at<const T>(i), m, n, u.at<T>(i), u.sizes[1], s.at<Part<T>>(i),
          vh.at<T>(i), vh.sizes[0], static_cast<T *>(outs[4].data),
          static_cast<int32_t *>(outs[5].data), flags & HasVectors);
    return;
  }
  case Eig: {
    using C = Complex<Part<T>>;
    Stack values(outs[0], 1), vectors(outs[1], 2), status(outs[2], 0);
    for (int64_t i = 0; i < count; ++i)
      *status.at<int32_t>(i) =
          factorEig(a.at<const T>(i), n, values.at<C>(i), vectors.at<C>(i),
                    static_cast<T *>(outs[3].data), flags & HasVectors);
    return;
  }
  case Schur: {
    Stack form(outs[0], 2), vectors(outs[1], 2), status(outs[2], 0);
    for (int64_t i = 0; i < count; ++i)
      *status.at<int32_t>(i) =
          factorSchur(a.at<const T>(i), n, form.at<T>(i), vectors.at<T>(i),
                      static_cast<T *>(outs[3].data));
    return;
  }
  case TriangularSylvester: {
    Stack b(inputs[1], 2), x(outs[0], 2);
    copyInto<T>(inputs[2], outs[0]);
    for (int64_t i = 0; i < count; ++i)
      loopSylvester(a.at<const T>(i), m, b.at<const T>(i), b.sizes[0],
                    x.at<T>(i), flags & IsTransposed, flags & IsBelow);
    return;
  }
  case TriangularSqrt: {
    Stack root(outs[0], 2);
    copyInto<T>(inputs[0], outs[0]);
    for (int64_t i = 0; i < count; ++i)
      loopRoot(root.at<T>(i), n);
    return;
  }
  }
}

} // namespace

void gradopt::runtime::lapack::find(void *handle) {
  Library found;
  // All or none: no program gets a part of them.
  if (!findAll(handle, 'd', found.d) || !findAll(handle, 's', found.s) ||
      !findAll(handle, 'z', found.z) || !findAll(handle, 'c', found.c))
    return;
  library = found;
  isThere.store(true, std::memory_order_release);
}

void gradopt_lapack(int64_t routine, const gradopt_buffer *inputs, int64_t,
                    const gradopt_buffer *outs, int64_t) {
  auto which = static_cast<Routine>(routine & 255);
  int64_t flags = routine >> 8;
  switch (inputs[0].dtype) {
  case GRADOPT_F32:
    return run<float>(which, flags, inputs, outs);
  case GRADOPT_F64:
    return run<double>(which, flags, inputs, outs);
  case GRADOPT_C64:
    return run<Complex<float>>(which, flags, inputs, outs);
  case GRADOPT_C128:
    return run<Complex<double>>(which, flags, inputs, outs);
  default:
    return;
  }
}
