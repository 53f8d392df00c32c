//===- Module.h - Loaded programs for a GPU ---------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_CUDA_MODULE_H
#define GRADOPT_RUNTIME_CUDA_MODULE_H

#include "runtime/Sha256.h"
#include "runtime/cuda/Device.h"
#include "runtime/cuda/Graphs.h"
#include "runtime/cuda/HostCalls.h"
#include "runtime/cuda/Program.h"
#include "runtime/cuda/Solver.h"
#include "runtime/cuda/Transforms.h"

/// A program on a device.
struct gradopt_cuda_module {
  explicit gradopt_cuda_module(gradopt::cuda::Device &device)
      : device(device), transforms(device), solver(device) {}

  gradopt_status load(const void *bytes, size_t size);
  /// Frees what it has on the device, of which nothing is in use.
  void unload();

  size_t numBuffers() const { return program.commands().num_buffers - 1; }

  gradopt::cuda::Device &device;
  gradopt_cuda_module *next = nullptr;
  /// How often it was loaded, less how often it was unloaded.
  size_t users = 0;
  uint8_t digest[gradopt::runtime::kSha256Size] = {};

  gradopt::cuda::Program program;
  CUmodule code = nullptr;
  gradopt::runtime::Array<CUfunction> functions;
  CUdeviceptr constants = 0;

  /// Whether it waits for the device on its way, as it reads numbers or calls
  /// functions of the host that no library for the device replaces.
  bool waits = false;
  gradopt::cuda::HostFunctions host;
  /// What the host need not do.
  gradopt::cuda::Transforms transforms;
  gradopt::cuda::Solver solver;
  /// What these functions work on, the most at once.
  size_t stagingBytes = 0;
  gradopt::cuda::Graphs graphs;
  /// Of calls that became part of graphs of others; guarded by the mutex of
  /// the graphs.
  gradopt::cuda::Lane *detached = nullptr;
  /// Of calls that are over of a program that calls targets; guarded as well.
  gradopt::cuda::Lane *idle = nullptr;

  /// What the libraries that replace the host work in, one after the other.
  size_t libraryBytes() const {
    return transforms.memoryBytes() > solver.memoryBytes()
               ? transforms.memoryBytes()
               : solver.memoryBytes();
  }

  /// Whether it calls functions of its caller, which may do anything.
  bool callsTargets() const {
    return host.functions[GRADOPT_HOST_TARGET] != nullptr;
  }

private:
  gradopt_status loadCode();
  gradopt_status loadFunctions();
  gradopt_status loadConstants();
  gradopt_status readCommands();
};

#endif // GRADOPT_RUNTIME_CUDA_MODULE_H
