//===- HostCalls.h - Functions of the host on a device's data  --*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What only the host can do is done there: its inputs are copied to page-locked
// memory, which is waited for, and what it returns is copied back in the order
// of the stream. The memory is that of the lane, as large as the call of a
// program that needs most.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_CUDA_HOSTCALLS_H
#define GRADOPT_RUNTIME_CUDA_HOSTCALLS_H

#include "runtime/Commands.h"
#include "runtime/Targets.h"
#include "runtime/cuda/Device.h"

namespace gradopt::cuda {

/// Functions with the signature of gradopt_lapack.
using HostFunction = void (*)(int64_t number, const gradopt_buffer *inputs,
                              int64_t numInputs, const gradopt_buffer *outs,
                              int64_t numOuts);

/// What a program calls, by gradopt_host_function; null if it does not.
struct HostFunctions {
  HostFunction functions[GRADOPT_NUM_HOST_FUNCTIONS] = {};

  /// Finds one. Fails with GRADOPT_INVALID_OBJECT if it is not there.
  gradopt_status find(uint32_t function);
};

/// The bytes of the host that a GRADOPT_HOST_CALL needs, if it is valid.
size_t countStaging(const gradopt_operand *operands, size_t count);

/// Does what a GRADOPT_HOST_CALL with operands of these values says.
gradopt_status callHost(const Device &device, Lane &lane, CUstream stream,
                        HostFunction function, const int64_t *values,
                        size_t count, runtime::Targets targets);

} // namespace gradopt::cuda

#endif // GRADOPT_RUNTIME_CUDA_HOSTCALLS_H
