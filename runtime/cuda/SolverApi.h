//===- SolverApi.h - The part of cuSOLVER in use ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// As DriverApi.h, for the API of cuSOLVER 11, which comes with CUDA 12. The
// functions that are used are the same in cuSOLVER 12.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_CUDA_SOLVERAPI_H
#define GRADOPT_RUNTIME_CUDA_SOLVERAPI_H

#include "runtime/cuda/BlasApi.h"

extern "C" {

using cusolverDnHandle_t = struct cusolverDnContext *;

enum cusolverStatus_t : int {
  CUSOLVER_STATUS_SUCCESS = 0,
  CUSOLVER_STATUS_NOT_INITIALIZED = 1,
  CUSOLVER_STATUS_ALLOC_FAILED = 2,
  CUSOLVER_STATUS_INVALID_VALUE = 3,
  CUSOLVER_STATUS_ARCH_MISMATCH = 4,
  CUSOLVER_STATUS_EXECUTION_FAILED = 6,
  CUSOLVER_STATUS_INTERNAL_ERROR = 7
};

} // extern "C"

/// The size of what the factorization of a matrix, column by column, works in.
#define GRADOPT_SOLVER_POTRF_SIZE(T)                                           \
  (cusolverDnHandle_t handle, cublasFillMode_t uplo, int n, T *a, int lda,     \
   int *lwork)

/// In place. `info`, on the device, is the order of the first leading minor
/// that is not positive, or 0.
#define GRADOPT_SOLVER_POTRF(T)                                                \
  (cusolverDnHandle_t handle, cublasFillMode_t uplo, int n, T *a, int lda,     \
   T *work, int lwork, int *info)

/// F(name, parameters) for each function, all of which return a status.
#define GRADOPT_SOLVER_FUNCTIONS(F)                                            \
  F(cusolverDnCreate, (cusolverDnHandle_t * handle))                           \
  F(cusolverDnSetStream, (cusolverDnHandle_t handle, CUstream stream))         \
  F(cusolverDnSpotrf_bufferSize, GRADOPT_SOLVER_POTRF_SIZE(float))             \
  F(cusolverDnDpotrf_bufferSize, GRADOPT_SOLVER_POTRF_SIZE(double))            \
  F(cusolverDnSpotrf, GRADOPT_SOLVER_POTRF(float))                             \
  F(cusolverDnDpotrf, GRADOPT_SOLVER_POTRF(double))

#endif // GRADOPT_RUNTIME_CUDA_SOLVERAPI_H
