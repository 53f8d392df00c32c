//===- BlasApi.h - The part of cuBLAS in use --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// As DriverApi.h, for the API of cuBLAS 12, whose functions of 64-bit integers
// are new in it.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_CUDA_BLASAPI_H
#define GRADOPT_RUNTIME_CUDA_BLASAPI_H

#include "runtime/cuda/DriverApi.h"

extern "C" {

using cublasHandle_t = struct cublasContext *;

enum cublasStatus_t : int {
  CUBLAS_STATUS_SUCCESS = 0,
  CUBLAS_STATUS_NOT_INITIALIZED = 1,
  CUBLAS_STATUS_ALLOC_FAILED = 3,
  CUBLAS_STATUS_INVALID_VALUE = 7,
  CUBLAS_STATUS_ARCH_MISMATCH = 8,
  CUBLAS_STATUS_EXECUTION_FAILED = 13,
  CUBLAS_STATUS_INTERNAL_ERROR = 14,
  CUBLAS_STATUS_NOT_SUPPORTED = 15
};

enum cublasOperation_t : int { CUBLAS_OP_N = 0, CUBLAS_OP_T = 1 };

enum cublasSideMode_t : int { CUBLAS_SIDE_LEFT = 0, CUBLAS_SIDE_RIGHT = 1 };

enum cublasFillMode_t : int {
  CUBLAS_FILL_MODE_LOWER = 0,
  CUBLAS_FILL_MODE_UPPER = 1
};

enum cublasDiagType_t : int { CUBLAS_DIAG_NON_UNIT = 0, CUBLAS_DIAG_UNIT = 1 };

enum cudaDataType_t : int { CUDA_R_32F = 0, CUDA_R_16F = 2, CUDA_R_16BF = 14 };

enum cublasComputeType_t : int { CUBLAS_COMPUTE_32F = 68 };

enum cublasGemmAlgo_t : int { CUBLAS_GEMM_DEFAULT = -1 };

} // extern "C"

/// The parameters of a product of matrices that lie column by column.
#define GRADOPT_BLAS_GEMM(T)                                                   \
  (cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,  \
   int64_t m, int64_t n, int64_t k, const T *alpha, const T *a, int64_t lda,   \
   const T *b, int64_t ldb, const T *beta, T *c, int64_t ldc)

/// Of several, from each of which it is so many elements to the next one.
#define GRADOPT_BLAS_GEMM_BATCHED(T)                                           \
  (cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,  \
   int64_t m, int64_t n, int64_t k, const T *alpha, const T *a, int64_t lda,   \
   long long stridea, const T *b, int64_t ldb, long long strideb,              \
   const T *beta, T *c, int64_t ldc, long long stridec, int64_t count)

/// The same of matrices whose types are parameters.
#define GRADOPT_BLAS_GEMM_EX                                                   \
  (cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,  \
   int64_t m, int64_t n, int64_t k, const void *alpha, const void *a,          \
   cudaDataType_t typea, int64_t lda, const void *b, cudaDataType_t typeb,     \
   int64_t ldb, const void *beta, void *c, cudaDataType_t typec, int64_t ldc,  \
   cublasComputeType_t compute, cublasGemmAlgo_t algorithm)

#define GRADOPT_BLAS_GEMM_EX_BATCHED                                           \
  (cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,  \
   int64_t m, int64_t n, int64_t k, const void *alpha, const void *a,          \
   cudaDataType_t typea, int64_t lda, long long stridea, const void *b,        \
   cudaDataType_t typeb, int64_t ldb, long long strideb, const void *beta,     \
   void *c, cudaDataType_t typec, int64_t ldc, long long stridec,              \
   int64_t count, cublasComputeType_t compute, cublasGemmAlgo_t algorithm)

/// Of systems with a triangular matrix of such columns, in place.
#define GRADOPT_BLAS_TRSM(T)                                                   \
  (cublasHandle_t handle, cublasSideMode_t side, cublasFillMode_t uplo,        \
   cublasOperation_t trans, cublasDiagType_t diag, int64_t m, int64_t n,       \
   const T *alpha, const T *a, int64_t lda, T *b, int64_t ldb)

/// F(name, parameters) for each function, all of which return a status.
#define GRADOPT_BLAS_FUNCTIONS(F)                                              \
  F(cublasCreate_v2, (cublasHandle_t * handle))                                \
  F(cublasDestroy_v2, (cublasHandle_t handle))                                 \
  F(cublasSetStream_v2, (cublasHandle_t handle, CUstream stream))              \
  F(cublasSetWorkspace_v2,                                                     \
    (cublasHandle_t handle, void *workspace, size_t bytes))                    \
  F(cublasDgemm_v2_64, GRADOPT_BLAS_GEMM(double))                              \
  F(cublasSgemm_v2_64, GRADOPT_BLAS_GEMM(float))                               \
  F(cublasDgemmStridedBatched_64, GRADOPT_BLAS_GEMM_BATCHED(double))           \
  F(cublasSgemmStridedBatched_64, GRADOPT_BLAS_GEMM_BATCHED(float))            \
  F(cublasDtrsm_v2_64, GRADOPT_BLAS_TRSM(double))                              \
  F(cublasStrsm_v2_64, GRADOPT_BLAS_TRSM(float))                               \
  F(cublasGemmEx_64, GRADOPT_BLAS_GEMM_EX)                                     \
  F(cublasGemmStridedBatchedEx_64, GRADOPT_BLAS_GEMM_EX_BATCHED)

#endif // GRADOPT_RUNTIME_CUDA_BLASAPI_H
