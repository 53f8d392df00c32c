//===- Driver.h - Calls of the emulated driver ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_TEST_EMULATOR_DRIVER_H
#define GRADOPT_TEST_EMULATOR_DRIVER_H

#include "test/emulator/Work.h"

#define API extern "C" __attribute__((visibility("default"))) CUresult

namespace gradopt::emulator {

/// A call of the driver, of which there is one at a time.
class Call {
public:
  explicit Call(const char *function, const std::string &arguments = "");
  ~Call();
  Call(const Call &) = delete;
  Call &operator=(const Call &) = delete;

  /// What the call returns if it needs a current context, or a stream of it,
  /// and cannot go on.
  CUresult needContext() const;
  CUresult needStream(CUstream handle, CUstream &stream) const;

  /// The driver is not usable, or somebody wanted the call to fail.
  CUresult error = CUDA_SUCCESS;

private:
  bool isLocked = false;
};

CUcontext currentContext();
/// The stream that a handle stands for, or null.
CUstream findStream(CUstream stream);
/// Whether a capture forbids the call of something that might wait.
bool isCallForbidden();

} // namespace gradopt::emulator

#endif // GRADOPT_TEST_EMULATOR_DRIVER_H
