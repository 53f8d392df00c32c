//===- Library.h - Libraries of CUDA that may be absent ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_CUDA_LIBRARY_H
#define GRADOPT_RUNTIME_CUDA_LIBRARY_H

#include "runtime/cuda/Driver.h"

#include <atomic>
#include <dlfcn.h>
#include <initializer_list>
#include <pthread.h>

namespace gradopt::cuda {

/// A library that is used if it can be loaded. Its absence is no error.
class OptionalLibrary {
public:
  struct Name {
    const char *file;
    int driverVersion; ///< The oldest driver that runs it.
  };

  /// Whether it is there. If nobody has, looks for it: at the chosen path, or
  /// under these names, unless the driver is emulated, which a library of
  /// NVIDIA's does not know. `open` finds the functions of a loaded one.
  bool find(const Driver &driver, std::initializer_list<Name> names,
            bool (*open)(void *handle));

  /// Says where it is, for the function of the API `caller`: null, where the
  /// system finds it; "", nowhere. Fails once it is in use.
  gradopt_status choose(const char *path, const char *caller);

private:
  /// Whether it was looked for, and was found.
  std::atomic<bool> isSought = false, isFound = false;
  char *chosenPath = nullptr;
  pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
};

/// A function of a loaded library; whether it is there.
template <typename Pointer>
bool findFunction(void *handle, const char *name, Pointer &found) {
  found = reinterpret_cast<Pointer>(dlsym(handle, name));
  return found != nullptr;
}

} // namespace gradopt::cuda

#endif // GRADOPT_RUNTIME_CUDA_LIBRARY_H
