//===- Solver.h - Factorisations by cuSOLVER --------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Cholesky factorisations by cuSOLVER, and triangular systems by cuBLAS, one
// matrix of a stack after the other. What a factorisation works in is memory of
// the lane, as large as the one of the program that needs most. A handle of
// cuSOLVER has memory, too, that what is queued with it works in, so each lane
// has one of its own. Everything else is LAPACK's, on the host.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_CUDA_SOLVER_H
#define GRADOPT_RUNTIME_CUDA_SOLVER_H

#include "runtime/Commands.h"
#include "runtime/Lapack.h"
#include "runtime/cuda/Blas.h"
#include "runtime/cuda/SolverApi.h"
#include "runtime/cuda/Tasks.h"

namespace gradopt::cuda {

namespace lapack = runtime::lapack;

/// The factorisations of one program.
class Solver {
public:
  /// What is done in the place of one call of the host.
  struct Task {
    lapack::Routine routine = lapack::Cholesky;
    int64_t flags = 0;
    bool isDouble = false;
    int64_t count = 1;             ///< Of matrices.
    int64_t rows = 0, columns = 0; ///< Of a factor, or of a solution.
    int lwork = 0;
    /// The operands that are addresses: of a matrix, of its factor, and of a
    /// status; or of a matrix, and of both sides of a system.
    size_t addresses[3] = {};
  };

  explicit Solver(Device &device) : device(device) {}
  Solver(const Solver &) = delete;
  Solver &operator=(const Solver &) = delete;

  /// Prepares what the GRADOPT_HOST_CALL at a place among the commands, which
  /// is behind those before, asks of `gradopt_lapack`. `isPlanned` is false if
  /// the host has to do it.
  gradopt_status plan(size_t place, const gradopt_operand *operands,
                      size_t count, bool &isPlanned);

  /// What is done at a place; null if it is the host's.
  const Task *find(size_t place) const { return tasks.find(place); }

  /// Lets a lane have what the tasks need beside memory to work in.
  gradopt_status prepare(Lane &lane, CUstream stream) const;

  /// Does it, with operands of these values, on a lane that is prepared.
  gradopt_status run(const Task &task, const Lane &lane, CUstream stream,
                     Blas &blas, const int64_t *values) const;

  /// The bytes to work in.
  size_t memoryBytes() const { return workBytes; }

private:
  gradopt_status planCholesky(Task &task, bool &isPlanned);
  gradopt_status takeHandle(CUstream stream, LibraryHandle *&handle) const;
  gradopt_status factor(const Task &task, const Lane &lane, CUstream stream,
                        int64_t matrices, int *statuses) const;

  Device &device;
  Tasks<Task> tasks;
  bool needsHandle = false;
  size_t workBytes = 0;
};

} // namespace gradopt::cuda

#endif // GRADOPT_RUNTIME_CUDA_SOLVER_H
