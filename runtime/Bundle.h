//===- Bundle.h - Open bundles ----------------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_BUNDLE_H
#define GRADOPT_RUNTIME_BUNDLE_H

#include "runtime/Array.h"
#include "runtime/BundleFormat.h"
#include "runtime/Commands.h"
#include "runtime/OpenSizes.h"

#include <atomic>
#include <pthread.h>

namespace gradopt::bundle {

/// The results that programs with checks have besides: the number of the check
/// that failed, and the value that failed it.
inline constexpr size_t kOutcomes = 2;

/// A program on a device (cuda/Bundle.cpp).
struct OnDevice;

} // namespace gradopt::bundle

/// A function of a bundle, for arrays of certain shapes.
struct gradopt_program {
  const gradopt_array_info *arguments() const { return arrays; }
  const gradopt_array_info *captures() const { return arrays + numArguments; }
  const gradopt_array_info *results() const {
    return captures() + numConstants;
  }
  size_t numArrays() const { return numArguments + numConstants + numResults; }

  /// Whether commands are for arrays like its own, and, where they need it on a
  /// device, the room of a call.
  bool fits(const gradopt_commands &commands, bool forDevice) const;

  /// The room that a call with arguments at these addresses needs, 0 if there
  /// is none to speak of. Fails where a size is larger than it may be.
  gradopt_status findRoom(void *const *arguments, int64_t &room) const;

  /// Bytes of an argument of a call with these, of whose sizes findRoom() has
  /// nothing to say against: an argument has no more rows than the call has.
  size_t argumentBytes(size_t i, void *const *arguments) const;

  /// Whether an argument is a size of others, which is on the host wherever
  /// these are.
  bool isSize(size_t argument) const { return most[argument] >= 0; }

  /// Bytes of temporaries of such a call; SIZE_MAX if there cannot be so many.
  size_t arenaAt(int64_t room) const {
    size_t bytes;
    if (__builtin_mul_overflow(arenaBytesPerPart,
                               size_t(room / gradopt::kRoomParts), &bytes) ||
        __builtin_add_overflow(bytes, arenaBytes, &bytes))
      return SIZE_MAX;
    return bytes;
  }

  /// What a call is told whose outcome this is.
  gradopt_status finish(const int64_t *outcome) const;

  const char *name = nullptr;
  /// For each part of the room some more.
  size_t arenaBytes = 0, arenaBytesPerPart = 0;
  int64_t leastRoom = 0;
  /// Whether there are sizes that have no largest value.
  bool isOpen = false;
  /// Of each argument that is a size: how large it can be; -1 of others.
  int64_t *most = nullptr;
  size_t numArguments = 0, numConstants = 0, numResults = 0;
  /// Arguments, constants, results.
  gradopt_array_info *arrays = nullptr;
  /// The addresses of the constants.
  const void **constants = nullptr;
  const gradopt::bundle::CheckRecord *checks = nullptr;
  size_t numChecks = 0;
  const char *text = nullptr;

  /// Null if there is no code for this CPU.
  gradopt_module *module = nullptr;

  /// The code for GPUs, as DeviceProgram.h has it; null if there is none.
  const char *deviceCode = nullptr;
  size_t deviceCodeBytes = 0;
  /// Where it was loaded; it is added to while `loading` is locked.
  std::atomic<gradopt::bundle::OnDevice *> onDevices = nullptr;
  pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
};

namespace gradopt::bundle {

/// Checks all of a program's code for GPUs but the machine code itself.
gradopt_status checkDeviceCode(gradopt_program &program);

/// Calls a program on the first GPU, with arrays that are on the host.
gradopt_status callOnDevice(gradopt_program &program, void *const *arguments,
                            void *const *results, int64_t room);

/// Frees what is on devices.
void unloadFromDevices(gradopt_program &program);

} // namespace gradopt::bundle

#endif // GRADOPT_RUNTIME_BUNDLE_H
