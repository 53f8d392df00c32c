//===- FourierApi.h - The part of cuFFT in use ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// As DriverApi.h, for the API of cuFFT 11, which comes with CUDA 12. The
// functions that are used are the same in cuFFT 12.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_CUDA_FOURIERAPI_H
#define GRADOPT_RUNTIME_CUDA_FOURIERAPI_H

#include "runtime/cuda/DriverApi.h"

extern "C" {

using cufftHandle = int;

enum cufftResult : int {
  CUFFT_SUCCESS = 0,
  CUFFT_INVALID_PLAN = 1,
  CUFFT_ALLOC_FAILED = 2,
  CUFFT_INVALID_TYPE = 3,
  CUFFT_INVALID_VALUE = 4,
  CUFFT_INTERNAL_ERROR = 5,
  CUFFT_EXEC_FAILED = 6,
  CUFFT_SETUP_FAILED = 7,
  CUFFT_INVALID_SIZE = 8,
  CUFFT_INVALID_DEVICE = 11,
  CUFFT_NO_WORKSPACE = 13,
  CUFFT_NOT_IMPLEMENTED = 14,
  CUFFT_NOT_SUPPORTED = 16
};

enum cufftType : int {
  CUFFT_C2C = 0x29,
  CUFFT_R2C = 0x2a,
  CUFFT_C2R = 0x2c,
  CUFFT_Z2Z = 0x69,
  CUFFT_D2Z = 0x6a,
  CUFFT_Z2D = 0x6c
};

// Of transforms of complex numbers: the sign of the exponent.
#define CUFFT_FORWARD (-1)
#define CUFFT_INVERSE 1

} // extern "C"

/// F(name, parameters) for each function, all of which return a result. What
/// has a pointer to numbers of one type there is `void *` here.
#define GRADOPT_FOURIER_FUNCTIONS(F)                                           \
  F(cufftCreate, (cufftHandle * plan))                                         \
  F(cufftDestroy, (cufftHandle plan))                                          \
  F(cufftSetAutoAllocation, (cufftHandle plan, int autoAllocate))              \
  F(cufftMakePlanMany64,                                                       \
    (cufftHandle plan, int rank, long long *n, long long *inembed,             \
     long long istride, long long idist, long long *onembed,                   \
     long long ostride, long long odist, cufftType type, long long batch,      \
     size_t *workSize))                                                        \
  F(cufftSetStream, (cufftHandle plan, CUstream stream))                       \
  F(cufftSetWorkArea, (cufftHandle plan, void *workArea))                      \
  F(cufftExecC2C, (cufftHandle plan, void *idata, void *odata, int direction)) \
  F(cufftExecZ2Z, (cufftHandle plan, void *idata, void *odata, int direction)) \
  F(cufftExecR2C, (cufftHandle plan, void *idata, void *odata))                \
  F(cufftExecD2Z, (cufftHandle plan, void *idata, void *odata))                \
  F(cufftExecC2R, (cufftHandle plan, void *idata, void *odata))                \
  F(cufftExecZ2D, (cufftHandle plan, void *idata, void *odata))

#endif // GRADOPT_RUNTIME_CUDA_FOURIERAPI_H
