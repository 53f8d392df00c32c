//===- Blas.h - Matrix products by cuBLAS -----------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_CUDA_BLAS_H
#define GRADOPT_RUNTIME_CUDA_BLAS_H

#include "runtime/Commands.h"
#include "runtime/cuda/BlasApi.h"
#include "runtime/cuda/Device.h"

namespace gradopt::cuda {

/// Systems of equations with triangular matrices of one stack, and `x`, which
/// has the other side of them and gets the solutions.
struct TriangularSystems {
  bool isDouble, isLeft, isLower, isTransposed, isUnit;
  int64_t rows, columns; ///< Of each solution.
  int64_t count;
  int64_t a, x; ///< Addresses.
};

/// cuBLAS as one call uses it.
class Blas {
public:
  Blas(Device &device, Lane &lane, CUstream stream)
      : device(device), lane(lane), stream(stream) {}
  ~Blas();
  Blas(const Blas &) = delete;
  Blas &operator=(const Blas &) = delete;

  /// Whether there is a library that products can be left to.
  gradopt_status isThere(bool &answer);

  /// Does a command of matrix products, which has these operands. `isDone` is
  /// false if the library cannot do it, or there is none.
  gradopt_status multiply(gradopt_opcode opcode, const int64_t *parameters,
                          bool &isDone);

  /// Whether the library can be used on a device.
  static gradopt_status find(Device &device, bool &isThere);

  /// Solves systems. Only for who has found the library.
  gradopt_status solve(const TriangularSystems &systems);

private:
  static gradopt_status takeHandle(Device &device, CUstream stream,
                                   LibraryHandle *&handle);
  cublasHandle_t handle() const {
    return static_cast<cublasHandle_t>(taken->handle);
  }
  template <typename T, typename Trsm>
  cublasStatus_t runSystems(Trsm trsm, const TriangularSystems &systems) const;
  bool prepare(gradopt_status &status);
  template <typename T, typename Gemm, typename BatchedGemm>
  cublasStatus_t run(Gemm gemm, BatchedGemm batchedGemm,
                     const int64_t *parameters) const;

  Device &device;
  Lane &lane;
  CUstream stream;
  /// Products of narrow floats, whose sums are f32.
  cublasStatus_t runNarrow(cudaDataType_t type,
                           const int64_t *parameters) const;

  LibraryHandle *taken = nullptr;
};

} // namespace gradopt::cuda

#endif // GRADOPT_RUNTIME_CUDA_BLAS_H
