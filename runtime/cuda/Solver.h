//===- Solver.h - Factorisations by cuSOLVER --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Cholesky factorisations by cuSOLVER, and triangular systems by cuBLAS, one
// matrix of a stack after the other. What a factorisation works in is memory of
// the lane, as large as the one of the program that needs most. Everything else
// is LAPACK's, on the host.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_CUDA_SOLVER_H
#define GRADOPT_RUNTIME_CUDA_SOLVER_H

#include "runtime/Commands.h"
#include "runtime/cuda/Blas.h"

namespace gradopt::cuda {

/// The factorisations of one program.
class Solver {
public:
  explicit Solver(Device &device) : device(device) {}
  ~Solver();
  Solver(const Solver &) = delete;
  Solver &operator=(const Solver &) = delete;

  struct Task;

  /// Prepares what the GRADOPT_HOST_CALL at a place among the commands, which
  /// is behind those before, asks of `gradopt_lapack`. `isPlanned` is false if
  /// the host has to do it.
  gradopt_status plan(size_t place, const gradopt_operand *operands,
                      size_t count, bool &isPlanned);

  /// What is done at a place; null if it is the host's.
  const Task *find(size_t place) const;

  /// Does it, with operands of these values.
  gradopt_status run(const Task &task, const Lane &lane, CUstream stream,
                     Blas &blas, const int64_t *values) const;

  /// The bytes to work in.
  size_t memoryBytes() const { return workBytes; }

private:
  gradopt_status planCholesky(Task &task, bool &isPlanned);

  Device &device;
  /// By their places.
  Task *tasks = nullptr;
  size_t numTasks = 0, capacity = 0;
  size_t workBytes = 0;
};

} // namespace gradopt::cuda

#endif // GRADOPT_RUNTIME_CUDA_SOLVER_H
