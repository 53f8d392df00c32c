//===- Blas.cpp - The matrix products of an emulated cuBLAS ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/BlasApi.h"
#include "test/emulator/Driver.h"
#include "test/emulator/NarrowFloats.h"

using namespace gradopt::emulator;

struct cublasContext {
  CUcontext context = nullptr;
  CUstream stream = nullptr;
  const void *workspace = nullptr;
};

#define BLAS extern "C" __attribute__((visibility("default"))) cublasStatus_t

static cublasStatus_t statusOf(CUresult error) {
  return error == CUDA_SUCCESS ? CUBLAS_STATUS_SUCCESS
                               : CUBLAS_STATUS_EXECUTION_FAILED;
}

BLAS cublasCreate_v2(cublasHandle_t *handle) {
  Call call("cublasCreate_v2");
  // Who lets it fail chooses the status.
  if (call.error != CUDA_SUCCESS)
    return static_cast<cublasStatus_t>(call.error);
  if (call.needContext() != CUDA_SUCCESS)
    return CUBLAS_STATUS_NOT_INITIALIZED;
  // It allocates memory.
  if (isCallForbidden())
    return CUBLAS_STATUS_INTERNAL_ERROR;
  *handle = new cublasContext{currentContext(), nullptr, nullptr};
  return CUBLAS_STATUS_SUCCESS;
}

BLAS cublasDestroy_v2(cublasHandle_t handle) {
  Call call("cublasDestroy_v2");
  delete handle;
  return statusOf(call.error);
}

BLAS cublasSetStream_v2(cublasHandle_t handle, CUstream stream) {
  Call call("cublasSetStream_v2");
  handle->stream = stream;
  handle->workspace = nullptr;
  return statusOf(call.error);
}

BLAS cublasSetWorkspace_v2(cublasHandle_t handle, void *workspace, size_t) {
  Call call("cublasSetWorkspace_v2");
  handle->workspace = workspace;
  return statusOf(call.error);
}

namespace {

/// A matrix whose columns are `leading` apart, or, if it is transposed, rows.
struct View {
  uint64_t data;
  int64_t leading;
  bool isTransposed;

  size_t at(int64_t i, int64_t j) const {
    return size_t(isTransposed ? j + i * leading : i + j * leading);
  }
};

/// From each product of a batch to the next one, in elements.
struct Batch {
  long long stridea = 0, strideb = 0, stridec = 0;
  int64_t count = 1;
};

template <typename T, typename From>
cublasStatus_t multiply(const char *name, cublasHandle_t handle, bool transa,
                        bool transb, int64_t m, int64_t n, int64_t k,
                        const T *alpha, const From *a, int64_t lda,
                        const From *b, int64_t ldb, const T *beta, T *c,
                        int64_t ldc, Batch batch = {}) {
  Call call(name, std::to_string(m) + " " + std::to_string(n) + " " +
                      std::to_string(k) + " " + std::to_string(batch.count));
  CUstream stream;
  if (CUresult error = call.needStream(handle->stream, stream);
      error != CUDA_SUCCESS)
    return statusOf(error);
  if (m < 0 || n < 0 || k < 0 || lda < (transa ? k : m) || lda < 1 ||
      ldb < (transb ? n : k) || ldb < 1 || ldc < m || ldc < 1 ||
      batch.count < 0)
    return CUBLAS_STATUS_INVALID_VALUE;
  // The library would take a workspace of its own, which streams share.
  if (!handle->workspace)
    return CUBLAS_STATUS_EXECUTION_FAILED;
  auto run = [=, alpha = *alpha, beta = *beta]() -> Error {
    Memory &memory = Memory::get();
    int device = stream->context->device;
    auto check = [&](const View &view, int64_t rows, int64_t columns,
                     size_t bytes) {
      if (rows == 0 || columns == 0)
        return std::string();
      return memory.checkRange(
          view.data, (view.at(rows - 1, columns - 1) + 1) * bytes, device);
    };
    for (int64_t number = 0; number < batch.count; ++number) {
      const From *fromA = a + number * batch.stridea;
      const From *fromB = b + number * batch.strideb;
      T *to = c + number * batch.stridec;
      View va{uint64_t(fromA), lda, transa}, vb{uint64_t(fromB), ldb, transb},
          vc{uint64_t(to), ldc, false};
      std::string problem = check(va, m, k, sizeof(From));
      if (problem.empty())
        problem = check(vb, k, n, sizeof(From));
      if (problem.empty())
        problem = check(vc, m, n, sizeof(T));
      if (!problem.empty())
        return {CUDA_ERROR_ILLEGAL_ADDRESS,
                "a matrix of a product, " + problem};
      for (int64_t j = 0; j < n; ++j)
        for (int64_t i = 0; i < m; ++i) {
          T sum = 0;
          for (int64_t l = 0; l < k; ++l)
            sum += T(fromA[va.at(i, l)]) * T(fromB[vb.at(l, j)]);
          T &element = to[vc.at(i, j)];
          element = beta == T(0) ? alpha * sum : alpha * sum + beta * element;
        }
    }
    return {};
  };
  enqueue(stream, Action{"kernel", std::string("run ") + name, std::move(run)});
  return CUBLAS_STATUS_SUCCESS;
}

/// Of narrow floats, to f32: the only form of these that is in use.
cublasStatus_t multiplyNarrow(const char *name, cublasHandle_t handle,
                              bool transa, bool transb, int64_t m, int64_t n,
                              int64_t k, const void *alpha, const void *a,
                              cudaDataType_t typea, int64_t lda, const void *b,
                              cudaDataType_t typeb, int64_t ldb,
                              const void *beta, void *c, cudaDataType_t typec,
                              int64_t ldc, cublasComputeType_t compute,
                              Batch batch = {}) {
  if (typea != typeb || typec != CUDA_R_32F || compute != CUBLAS_COMPUTE_32F)
    return CUBLAS_STATUS_INVALID_VALUE;
  auto run = [&](auto *from) {
    using From = std::remove_pointer_t<decltype(from)>;
    return multiply(
        name, handle, transa, transb, m, n, k,
        static_cast<const float *>(alpha), static_cast<const From *>(a), lda,
        static_cast<const From *>(b), ldb, static_cast<const float *>(beta),
        static_cast<float *>(c), ldc, batch);
  };
  if (typea == CUDA_R_16F)
    return run(static_cast<Half *>(nullptr));
  if (typea == CUDA_R_16BF)
    return run(static_cast<Brain *>(nullptr));
  return CUBLAS_STATUS_INVALID_VALUE;
}

/// x op(a), or op(a) x, is what lies in b.
template <typename T>
cublasStatus_t solve(const char *name, cublasHandle_t handle,
                     cublasSideMode_t side, cublasFillMode_t uplo,
                     cublasOperation_t trans, cublasDiagType_t diag, int64_t m,
                     int64_t n, const T *alpha, const T *a, int64_t lda, T *b,
                     int64_t ldb) {
  Call call(name, std::to_string(m) + " " + std::to_string(n));
  CUstream stream;
  if (CUresult error = call.needStream(handle->stream, stream);
      error != CUDA_SUCCESS)
    return statusOf(error);
  int64_t size = side == CUBLAS_SIDE_LEFT ? m : n;
  if (m < 0 || n < 0 || lda < size || lda < 1 || ldb < m || ldb < 1)
    return CUBLAS_STATUS_INVALID_VALUE;
  if (!handle->workspace)
    return CUBLAS_STATUS_EXECUTION_FAILED;
  auto run = [=, alpha = *alpha]() -> Error {
    Memory &memory = Memory::get();
    int device = stream->context->device;
    std::string problem =
        memory.checkRange(uint64_t(a), size_t(size * lda) * sizeof(T), device);
    if (problem.empty())
      problem =
          memory.checkRange(uint64_t(b), size_t(n * ldb) * sizeof(T), device);
    if (!problem.empty())
      return {CUDA_ERROR_ILLEGAL_ADDRESS, "a triangular system, " + problem};
    bool transposed = (trans == CUBLAS_OP_T) != (side == CUBLAS_SIDE_RIGHT);
    View op{0, lda, transposed};
    bool isLower = (uplo == CUBLAS_FILL_MODE_LOWER) != transposed;
    int64_t count = side == CUBLAS_SIDE_LEFT ? n : m;
    for (int64_t j = 0; j < count; ++j)
      for (int64_t step = 0; step < size; ++step) {
        auto at = [&](int64_t i) -> T & {
          return side == CUBLAS_SIDE_LEFT ? b[i + j * ldb] : b[j + i * ldb];
        };
        int64_t i = isLower ? step : size - 1 - step;
        T sum = alpha * at(i);
        for (int64_t before = 0; before < step; ++before) {
          int64_t k = isLower ? before : size - 1 - before;
          sum -= a[op.at(i, k)] * at(k);
        }
        at(i) = diag == CUBLAS_DIAG_UNIT ? sum : sum / a[op.at(i, i)];
      }
    return {};
  };
  enqueue(stream, Action{"kernel", std::string("run ") + name, std::move(run)});
  return CUBLAS_STATUS_SUCCESS;
}

} // namespace

BLAS cublasDtrsm_v2_64(cublasHandle_t handle, cublasSideMode_t side,
                       cublasFillMode_t uplo, cublasOperation_t trans,
                       cublasDiagType_t diag, int64_t m, int64_t n,
                       const double *alpha, const double *a, int64_t lda,
                       double *b, int64_t ldb) {
  return solve("cublasDtrsm_v2_64", handle, side, uplo, trans, diag, m, n,
               alpha, a, lda, b, ldb);
}

BLAS cublasStrsm_v2_64(cublasHandle_t handle, cublasSideMode_t side,
                       cublasFillMode_t uplo, cublasOperation_t trans,
                       cublasDiagType_t diag, int64_t m, int64_t n,
                       const float *alpha, const float *a, int64_t lda,
                       float *b, int64_t ldb) {
  return solve("cublasStrsm_v2_64", handle, side, uplo, trans, diag, m, n,
               alpha, a, lda, b, ldb);
}

BLAS cublasDgemm_v2_64(cublasHandle_t handle, cublasOperation_t transa,
                       cublasOperation_t transb, int64_t m, int64_t n,
                       int64_t k, const double *alpha, const double *a,
                       int64_t lda, const double *b, int64_t ldb,
                       const double *beta, double *c, int64_t ldc) {
  return multiply("cublasDgemm_v2_64", handle, transa == CUBLAS_OP_T,
                  transb == CUBLAS_OP_T, m, n, k, alpha, a, lda, b, ldb, beta,
                  c, ldc);
}

BLAS cublasSgemm_v2_64(cublasHandle_t handle, cublasOperation_t transa,
                       cublasOperation_t transb, int64_t m, int64_t n,
                       int64_t k, const float *alpha, const float *a,
                       int64_t lda, const float *b, int64_t ldb,
                       const float *beta, float *c, int64_t ldc) {
  return multiply("cublasSgemm_v2_64", handle, transa == CUBLAS_OP_T,
                  transb == CUBLAS_OP_T, m, n, k, alpha, a, lda, b, ldb, beta,
                  c, ldc);
}

BLAS cublasDgemmStridedBatched_64(
    cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,
    int64_t m, int64_t n, int64_t k, const double *alpha, const double *a,
    int64_t lda, long long stridea, const double *b, int64_t ldb,
    long long strideb, const double *beta, double *c, int64_t ldc,
    long long stridec, int64_t count) {
  return multiply("cublasDgemmStridedBatched_64", handle, transa == CUBLAS_OP_T,
                  transb == CUBLAS_OP_T, m, n, k, alpha, a, lda, b, ldb, beta,
                  c, ldc, Batch{stridea, strideb, stridec, count});
}

BLAS cublasSgemmStridedBatched_64(
    cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,
    int64_t m, int64_t n, int64_t k, const float *alpha, const float *a,
    int64_t lda, long long stridea, const float *b, int64_t ldb,
    long long strideb, const float *beta, float *c, int64_t ldc,
    long long stridec, int64_t count) {
  return multiply("cublasSgemmStridedBatched_64", handle, transa == CUBLAS_OP_T,
                  transb == CUBLAS_OP_T, m, n, k, alpha, a, lda, b, ldb, beta,
                  c, ldc, Batch{stridea, strideb, stridec, count});
}

BLAS cublasGemmEx_64(cublasHandle_t handle, cublasOperation_t transa,
                     cublasOperation_t transb, int64_t m, int64_t n, int64_t k,
                     const void *alpha, const void *a, cudaDataType_t typea,
                     int64_t lda, const void *b, cudaDataType_t typeb,
                     int64_t ldb, const void *beta, void *c,
                     cudaDataType_t typec, int64_t ldc,
                     cublasComputeType_t compute, cublasGemmAlgo_t) {
  return multiplyNarrow("cublasGemmEx_64", handle, transa == CUBLAS_OP_T,
                        transb == CUBLAS_OP_T, m, n, k, alpha, a, typea, lda, b,
                        typeb, ldb, beta, c, typec, ldc, compute);
}

BLAS cublasGemmStridedBatchedEx_64(
    cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,
    int64_t m, int64_t n, int64_t k, const void *alpha, const void *a,
    cudaDataType_t typea, int64_t lda, long long stridea, const void *b,
    cudaDataType_t typeb, int64_t ldb, long long strideb, const void *beta,
    void *c, cudaDataType_t typec, int64_t ldc, long long stridec,
    int64_t count, cublasComputeType_t compute, cublasGemmAlgo_t) {
  return multiplyNarrow("cublasGemmStridedBatchedEx_64", handle,
                        transa == CUBLAS_OP_T, transb == CUBLAS_OP_T, m, n, k,
                        alpha, a, typea, lda, b, typeb, ldb, beta, c, typec,
                        ldc, compute, Batch{stridea, strideb, stridec, count});
}
