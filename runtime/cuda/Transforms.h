//===- Transforms.h - Fourier transforms by cuFFT ---------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Plans are made when a program is loaded, equal ones once. They allocate
// nothing: memory to work in is the lane's, as large as the transform of the
// program that needs most.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_CUDA_TRANSFORMS_H
#define GRADOPT_RUNTIME_CUDA_TRANSFORMS_H

#include "runtime/Commands.h"
#include "runtime/cuda/Device.h"
#include "runtime/cuda/FourierApi.h"
#include "runtime/cuda/Tasks.h"

namespace gradopt::cuda {

/// The transforms of one program.
class Transforms {
public:
  explicit Transforms(Device &device) : device(device) {}
  Transforms(const Transforms &) = delete;
  Transforms &operator=(const Transforms &) = delete;

  struct Transform;

  /// Plans what the GRADOPT_HOST_CALL at a place among the commands, which is
  /// behind those that were planned before, asks of `gradopt_fourier`.
  /// `isPlanned` is false if the host has to do it: there is no library, or it
  /// has no such transform.
  gradopt_status plan(size_t place, const gradopt_operand *operands,
                      size_t count, bool &isPlanned);

  /// The transform at a place; null if it is the host's.
  const Transform *find(size_t place) const;

  /// Does one, with operands of these values.
  gradopt_status run(const Transform &transform, const Lane &lane,
                     CUstream stream, const int64_t *values);

  /// The bytes to work in.
  size_t memoryBytes() const { return workBytes + copyBytes; }

  bool hasPlans() const { return plans != nullptr; }

  /// Destroys the plans, none of which is in use.
  void clear();

private:
  struct Plan;
  struct Layout;
  struct Planner;

  gradopt_status getPlan(const Layout &layout, const Plan *&plan);
  gradopt_status execute(const Plan &plan, CUstream stream, void *work,
                         void *from, void *to, int direction);

  Device &device;
  Plan *plans = nullptr;
  Tasks<Transform> transforms;
  size_t workBytes = 0, copyBytes = 0;
  /// A plan is used by one thread at a time.
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
};

} // namespace gradopt::cuda

#endif // GRADOPT_RUNTIME_CUDA_TRANSFORMS_H
