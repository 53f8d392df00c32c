//===- Blas.cpp - Matrix products of compiled code ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// gradopt_gemm_* picks for each product: nothing to do, a loop (tiny products,
// no library, sizes beyond 32 bits), gemv (one row or column) or gemm.
//
//===----------------------------------------------------------------------===//

#include "runtime/BusySection.h"
#include "runtime/Lapack.h"
#include "runtime/Lock.h"
#include "runtime/OldLibrary.h"
#include "runtime/RuntimeError.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <limits>
#include <new>
#include <type_traits>

using gradopt::runtime::BusySection;
using gradopt::runtime::fail;
using gradopt::runtime::Lock;

namespace {

// The enumerations of the CBLAS interface.
enum Order : int { RowMajor = 101 };
enum Transpose : int { NoTrans = 111, Trans = 112 };

/// Complex numbers as the interface has them: `alpha` and `beta` by address.
template <typename T> struct Complex {
  T re, im;

  Complex() = default;
  Complex(T re, T im = 0) : re(re), im(im) {}
  Complex operator+(Complex z) const { return {re + z.re, im + z.im}; }
  Complex operator*(Complex z) const {
    return {re * z.re - im * z.im, re * z.im + im * z.re};
  }
  Complex &operator+=(Complex z) { return *this = *this + z; }
  Complex &operator*=(Complex z) { return *this = *this * z; }
  bool operator==(Complex z) const { return re == z.re && im == z.im; }
  bool operator!=(Complex z) const { return !(*this == z); }
};

template <typename T> struct Passed {
  using Scalar = T;
  static T pass(const T &number) { return number; }
};
template <typename T> struct Passed<Complex<T>> {
  using Scalar = const Complex<T> *;
  static Scalar pass(const Complex<T> &number) { return &number; }
};
template <typename T> using Scalar = typename Passed<T>::Scalar;

template <typename T>
using Gemm = void (*)(Order, Transpose, Transpose, int m, int n, int k,
                      Scalar<T> alpha, const T *a, int lda, const T *b, int ldb,
                      Scalar<T> beta, T *c, int ldc);
template <typename T>
using Gemv = void (*)(Order, Transpose, int rows, int columns, Scalar<T> alpha,
                      const T *a, int lda, const T *x, int incx, Scalar<T> beta,
                      T *y, int incy);
template <typename T> struct Functions {
  Gemm<T> gemm = nullptr;
  Gemv<T> gemv = nullptr;
};

/// A loaded library. Libraries are never closed: calls may be running.
struct Library {
  char *path = nullptr;
  Functions<double> d;
  Functions<float> s;
  Functions<Complex<double>> z;
  Functions<Complex<float>> c;
  void (*setThreads)(int) = nullptr;

  template <typename T> const Functions<T> &of() const {
    if constexpr (std::is_same_v<T, double>)
      return d;
    else if constexpr (std::is_same_v<T, float>)
      return s;
    else if constexpr (std::is_same_v<T, Complex<double>>)
      return z;
    else
      return c;
  }
};

std::atomic<const Library *> library = nullptr;

/// Below this many multiplications a library call costs more than a loop.
constexpr int64_t kTinyProduct = 512;

/// A matrix as the loops see it: `data[i * row + j * column]`.
template <typename T> struct View {
  const T *data;
  int64_t row, column;

  View(const T *data, int64_t leading, bool transposed)
      : data(data), row(transposed ? 1 : leading),
        column(transposed ? leading : 1) {}
};

template <typename T> void scale(T *c, int64_t n, T beta) {
  if (beta == T(0))
    for (int64_t j = 0; j < n; ++j)
      c[j] = T(0);
  else if (beta != T(1))
    for (int64_t j = 0; j < n; ++j)
      c[j] *= beta;
}

/// One row of C at a time. Rows of op(B) that are contiguous are added up, so
/// that the inner loop vectorises; else it is a dot product.
template <typename T>
void loopGemm(int64_t m, int64_t n, int64_t k, View<T> a, View<T> b,
              T *__restrict c, int64_t ldc, T beta) {
  for (int64_t i = 0; i < m; ++i, c += ldc) {
    const T *arow = a.data + i * a.row;
    if (b.column == 1) {
      scale(c, n, beta);
      for (int64_t l = 0; l < k; ++l) {
        T factor = arow[l * a.column];
        const T *brow = b.data + l * b.row;
        for (int64_t j = 0; j < n; ++j)
          c[j] += factor * brow[j];
      }
      continue;
    }
    for (int64_t j = 0; j < n; ++j) {
      const T *bcolumn = b.data + j * b.column;
      T sum(0);
      for (int64_t l = 0; l < k; ++l)
        sum += arow[l * a.column] * bcolumn[l * b.row];
      c[j] = beta == T(0) ? sum : sum + beta * c[j];
    }
  }
}

/// Whether all extents can be handed to a library with 32-bit integers.
template <typename... Extents> bool fitsInt(Extents... extents) {
  return ((extents <= std::numeric_limits<int>::max()) && ...);
}

template <typename T>
void multiply(bool transa, bool transb, int64_t m, int64_t n, int64_t k,
              const T *a, int64_t lda, const T *b, int64_t ldb, T *c,
              int64_t ldc, T beta) {
  if (m <= 0 || n <= 0)
    return;
  if (k <= 0) {
    for (int64_t i = 0; i < m; ++i)
      scale(c + i * ldc, n, beta);
    return;
  }
  const Library *blas = library.load(std::memory_order_acquire);
  // Each factor is at most 2^31 where the product is formed.
  bool fits = fitsInt(m, n, k, lda, ldb, ldc);
  bool tiny = fits && m * n <= kTinyProduct && m * n * k <= kTinyProduct;
  bool isThere = blas && blas->of<T>().gemm && blas->of<T>().gemv;
  if (!isThere || !fits || tiny) {
    loopGemm(m, n, k, View<T>(a, lda, transa), View<T>(b, ldb, transb), c, ldc,
             beta);
    return;
  }
  // OpenBLAS takes a lock for each product.
  BusySection section;
  const Functions<T> &functions = blas->of<T>();
  T one(1);
  Scalar<T> passedOne = Passed<T>::pass(one),
            passedBeta = Passed<T>::pass(beta);
  if (n == 1) {
    // c = op(A) b: the column of op(B) has stride ldb unless it is transposed.
    functions.gemv(RowMajor, transa ? Trans : NoTrans, transa ? k : m,
                   transa ? m : k, passedOne, a, lda, b, transb ? 1 : ldb,
                   passedBeta, c, ldc);
    return;
  }
  if (m == 1) {
    // c^T = op(B)^T a^T.
    functions.gemv(RowMajor, transb ? NoTrans : Trans, transb ? n : k,
                   transb ? k : n, passedOne, b, ldb, a, transa ? lda : 1,
                   passedBeta, c, 1);
    return;
  }
  functions.gemm(RowMajor, transa ? Trans : NoTrans, transb ? Trans : NoTrans,
                 m, n, k, passedOne, a, lda, b, ldb, passedBeta, c, ldc);
}

/// Looks up a symbol under its name, or the one it has in SciPy's wheels.
template <typename Function>
bool find(void *handle, const char *name, const char *scipyName,
          Function &function) {
  void *symbol = dlsym(handle, name);
  if (!symbol)
    symbol = dlsym(handle, scipyName);
  function = reinterpret_cast<Function>(symbol);
  return symbol;
}

pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

} // namespace

gradopt_status gradopt_set_blas(const char *path) {
  if (!path)
    return fail(GRADOPT_INVALID_ARGUMENT, "gradopt_set_blas: null path");
  BusySection section;
  Lock lock(loading);
  const Library *current = library.load(std::memory_order_relaxed);
  if (current && std::strcmp(current->path, path) == 0)
    return GRADOPT_OK;

  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    return fail(GRADOPT_LIBRARY_ERROR, "cannot load the BLAS library: %s",
                dlerror());
  Library found;
  if (!find(handle, "cblas_dgemm", "scipy_cblas_dgemm", found.d.gemm) ||
      !find(handle, "cblas_sgemm", "scipy_cblas_sgemm", found.s.gemm) ||
      !find(handle, "cblas_dgemv", "scipy_cblas_dgemv", found.d.gemv) ||
      !find(handle, "cblas_sgemv", "scipy_cblas_sgemv", found.s.gemv)) {
    dlclose(handle);
    return fail(GRADOPT_LIBRARY_ERROR,
                "%s has no CBLAS interface (cblas_dgemm, cblas_sgemm, "
                "cblas_dgemv, cblas_sgemv)",
                path);
  }
  // Without these, products of complex matrices are loops.
  find(handle, "cblas_zgemm", "scipy_cblas_zgemm", found.z.gemm);
  find(handle, "cblas_cgemm", "scipy_cblas_cgemm", found.c.gemm);
  find(handle, "cblas_zgemv", "scipy_cblas_zgemv", found.z.gemv);
  find(handle, "cblas_cgemv", "scipy_cblas_cgemv", found.c.gemv);
  gradopt::runtime::lapack::find(handle);
  find(handle, "openblas_set_num_threads", "scipy_openblas_set_num_threads",
       found.setThreads);
  found.path = strdup(path);
  void *memory = std::malloc(sizeof(Library));
  if (!found.path || !memory) {
    std::free(found.path);
    std::free(memory);
    dlclose(handle);
    return fail(GRADOPT_OUT_OF_MEMORY, "out of memory");
  }
  library.store(new (memory) Library(found), std::memory_order_release);
  return GRADOPT_OK;
}

const char *gradopt_blas_path(void) {
  const Library *current = library.load(std::memory_order_acquire);
  return current ? current->path : nullptr;
}

gradopt_status gradopt_set_blas_threads(int count) {
  const Library *current = library.load(std::memory_order_acquire);
  if (count < 1)
    return fail(GRADOPT_INVALID_ARGUMENT, "the number of threads must be >= 1");
  if (current && current->setThreads)
    current->setThreads(count);
  return GRADOPT_OK;
}

void gradopt_gemm_f64(int64_t transa, int64_t transb, int64_t m, int64_t n,
                      int64_t k, const double *a, int64_t lda, const double *b,
                      int64_t ldb, double *c, int64_t ldc, double beta) {
  multiply<double>(transa != 0, transb != 0, m, n, k, a, lda, b, ldb, c, ldc,
                   beta);
}

void gradopt_gemm_f32(int64_t transa, int64_t transb, int64_t m, int64_t n,
                      int64_t k, const float *a, int64_t lda, const float *b,
                      int64_t ldb, float *c, int64_t ldc, float beta) {
  multiply<float>(transa != 0, transb != 0, m, n, k, a, lda, b, ldb, c, ldc,
                  beta);
}

void gradopt_gemm_c128(int64_t transa, int64_t transb, int64_t m, int64_t n,
                       int64_t k, const double *a, int64_t lda, const double *b,
                       int64_t ldb, double *c, int64_t ldc, double beta) {
  using T = Complex<double>;
  multiply<T>(transa != 0, transb != 0, m, n, k, reinterpret_cast<const T *>(a),
              lda, reinterpret_cast<const T *>(b), ldb,
              reinterpret_cast<T *>(c), ldc, T(beta));
}

void gradopt_gemm_c64(int64_t transa, int64_t transb, int64_t m, int64_t n,
                      int64_t k, const float *a, int64_t lda, const float *b,
                      int64_t ldb, float *c, int64_t ldc, float beta) {
  using T = Complex<float>;
  multiply<T>(transa != 0, transb != 0, m, n, k, reinterpret_cast<const T *>(a),
              lda, reinterpret_cast<const T *>(b), ldb,
              reinterpret_cast<T *>(c), ldc, T(beta));
}
