//===- Driver.h - The driver of NVIDIA GPUs ---------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_CUDA_DRIVER_H
#define GRADOPT_RUNTIME_CUDA_DRIVER_H

#include "runtime/cuda/DriverApi.h"
#include "runtime/gradopt_cuda.h"

namespace gradopt::cuda {

struct Device;

/// The driver library of the process, which is loaded when it is first needed
/// and never closed.
struct Driver {
#define GRADOPT_POINTER(name, parameters) CUresult(*name) parameters = nullptr;
  GRADOPT_DRIVER_FUNCTIONS(GRADOPT_POINTER)
#undef GRADOPT_POINTER

  int version = 0;
  /// Whether it runs object files on the host.
  bool isEmulator = false;
  int numDevices = 0;
  Device *devices = nullptr;

  /// Loads it if need be. Fails if it cannot be used, as in the child of a
  /// process that used it.
  static gradopt_status get(const Driver *&driver);

  /// Says which library it is (null: the system's), before it is loaded.
  static gradopt_status setPath(const char *path);

  /// Whether this is the child of a process that used it.
  static bool wasForked();
};

/// What is asked of the driver was refused: keeps a message that begins with
/// `what`, made as by printf(), and has the driver's own words.
[[gnu::format(printf, 3, 4)]] gradopt_status
failed(const Driver &driver, CUresult error, const char *what, ...);

/// While it lives, a capture of this thread or another one forbids nothing to
/// this thread. What is done then has to be no part of what is captured.
class RelaxedCapture {
public:
  explicit RelaxedCapture(const Driver &driver) : driver(driver) {
    driver.cuThreadExchangeStreamCaptureMode(&mode);
  }
  ~RelaxedCapture() { driver.cuThreadExchangeStreamCaptureMode(&mode); }
  RelaxedCapture(const RelaxedCapture &) = delete;
  RelaxedCapture &operator=(const RelaxedCapture &) = delete;

private:
  const Driver &driver;
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
};

} // namespace gradopt::cuda

#endif // GRADOPT_RUNTIME_CUDA_DRIVER_H
