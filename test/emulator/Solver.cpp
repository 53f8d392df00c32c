//===- Solver.cpp - The factorisations of an emulated cuSOLVER ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The other triangle is left as it is, and NaN is no failure: nothing says that
// a library does better.
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/SolverApi.h"
#include "test/emulator/Driver.h"

#include <cmath>
#include <cstring>

using namespace gradopt::emulator;

struct cusolverDnContext {
  int number;
  CUstream stream = nullptr;
};

#define SOLVER                                                                 \
  extern "C" __attribute__((visibility("default"))) cusolverStatus_t

namespace {

cusolverStatus_t statusOf(const Call &call) {
  return static_cast<cusolverStatus_t>(call.error);
}

template <typename T>
cusolverStatus_t factor(const char *name, cusolverDnHandle_t handle,
                        cublasFillMode_t uplo, int n, T *a, int lda, T *work,
                        int lwork, int *info) {
  Call call(name, std::to_string(n));
  CUstream stream;
  if (call.needStream(handle->stream, stream) != CUDA_SUCCESS)
    return statusOf(call);
  if (uplo != CUBLAS_FILL_MODE_UPPER || n < 1 || lda < n || lwork < n || !work)
    return CUSOLVER_STATUS_INVALID_VALUE;
  auto run = [=]() -> Error {
    Memory &memory = Memory::get();
    int device = stream->context->device;
    std::string problem =
        memory.checkRange(uint64_t(a), size_t(n) * lda * sizeof(T), device);
    if (problem.empty())
      problem =
          memory.checkRange(uint64_t(work), size_t(lwork) * sizeof(T), device);
    if (problem.empty())
      problem = memory.checkRange(uint64_t(info), sizeof(int), device);
    if (!problem.empty())
      return {CUDA_ERROR_ILLEGAL_ADDRESS, "a factorization, " + problem};
    std::memset(work, 0xff, size_t(lwork) * sizeof(T));
    *info = 0;
    // a = U^T U, where U(i, j) is a[i + j * lda].
    for (int j = 0; j < n; ++j)
      for (int i = 0; i <= j; ++i) {
        T sum = a[i + j * lda];
        for (int k = 0; k < i; ++k)
          sum -= a[k + i * lda] * a[k + j * lda];
        if (i == j && sum <= 0) {
          *info = j + 1;
          return {};
        }
        a[i + j * lda] = i == j ? std::sqrt(sum) : sum / a[i + i * lda];
      }
    return {};
  };
  enqueue(stream, Action{"kernel", std::string("run ") + name, std::move(run)});
  return CUSOLVER_STATUS_SUCCESS;
}

cusolverStatus_t getSize(const char *name, int n, int *lwork) {
  Call call(name);
  *lwork = 2 * n;
  return statusOf(call);
}

} // namespace

SOLVER cusolverDnCreate(cusolverDnHandle_t *handle) {
  Call call("cusolverDnCreate");
  // Who lets it fail chooses the status.
  if (call.error != CUDA_SUCCESS)
    return statusOf(call);
  if (call.needContext() != CUDA_SUCCESS)
    return CUSOLVER_STATUS_NOT_INITIALIZED;
  // It allocates memory.
  if (isCallForbidden())
    return CUSOLVER_STATUS_ALLOC_FAILED;
  static int made = 0;
  *handle = new cusolverDnContext{++made, nullptr};
  return CUSOLVER_STATUS_SUCCESS;
}

SOLVER cusolverDnSetStream(cusolverDnHandle_t handle, CUstream stream) {
  Call call("cusolverDnSetStream", std::to_string(handle->number));
  handle->stream = stream;
  return statusOf(call);
}

SOLVER cusolverDnSpotrf_bufferSize(cusolverDnHandle_t, cublasFillMode_t, int n,
                                   float *, int, int *lwork) {
  return getSize("cusolverDnSpotrf_bufferSize", n, lwork);
}

SOLVER cusolverDnDpotrf_bufferSize(cusolverDnHandle_t, cublasFillMode_t, int n,
                                   double *, int, int *lwork) {
  return getSize("cusolverDnDpotrf_bufferSize", n, lwork);
}

SOLVER cusolverDnSpotrf(cusolverDnHandle_t handle, cublasFillMode_t uplo, int n,
                        float *a, int lda, float *work, int lwork, int *info) {
  return factor("cusolverDnSpotrf", handle, uplo, n, a, lda, work, lwork, info);
}

SOLVER cusolverDnDpotrf(cusolverDnHandle_t handle, cublasFillMode_t uplo, int n,
                        double *a, int lda, double *work, int lwork,
                        int *info) {
  return factor("cusolverDnDpotrf", handle, uplo, n, a, lda, work, lwork, info);
}
