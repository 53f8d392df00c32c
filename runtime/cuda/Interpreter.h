//===- Interpreter.h - Lists of commands that steer a GPU -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_CUDA_INTERPRETER_H
#define GRADOPT_RUNTIME_CUDA_INTERPRETER_H

#include "runtime/cuda/Module.h"
#include "runtime/cuda/Timer.h"

namespace gradopt::cuda {

/// Puts what a call of a program does on a stream. The lane has all that the
/// call needs. `numActions` is how many kernels, copies and products that were;
/// they are timed if `timer` is not null.
gradopt_status runCommands(gradopt_cuda_module &module, Lane &lane,
                           void *const *buffers, runtime::Targets targets,
                           CUstream stream, size_t &numActions,
                           Timer *timer = nullptr);

} // namespace gradopt::cuda

#endif // GRADOPT_RUNTIME_CUDA_INTERPRETER_H
