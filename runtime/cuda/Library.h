//===- Library.h - Libraries of CUDA that may be absent ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_CUDA_LIBRARY_H
#define GRADOPT_RUNTIME_CUDA_LIBRARY_H

#include "runtime/cuda/Driver.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <dlfcn.h>
#include <initializer_list>
#include <pthread.h>

namespace gradopt::cuda {

struct Device;

/// A library that is used if it can be loaded. Its absence is no error.
class OptionalLibrary {
public:
  constexpr explicit OptionalLibrary(const char *name) : name(name) {}

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

  /// Writes why it was not found, or nothing.
  void describe(char *words, size_t size);

  const char *const name; ///< As its maker writes it.

private:
  bool load(const char *path, bool (*open)(void *handle));

  /// Whether it was looked for, and was found.
  std::atomic<bool> isSought = false, isFound = false;
  char *chosenPath = nullptr;
  char problem[256] = {};
  pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
};

extern OptionalLibrary blasLibrary, fourierLibrary, solverLibrary;

/// What a function of a library has returned.
struct LibraryResult {
  /// What a status says of memory.
  enum Memory {
    Enough, ///< It failed for another reason, as for its version.
    Unsaid, ///< Any step of its beginning has failed, the first of which is to
            ///< allocate.
    Short
  };

  int status = 0;        ///< 0 if it has done its work.
  const char *name = ""; ///< Of the status.
  Memory memory = Enough;

  /// Of a status; `isShort` says that memory is short, `unsaid` that it may be.
  template <typename Status>
  static LibraryResult of(Status status, const char *name, Status isShort,
                          std::initializer_list<Status> unsaid) {
    bool isUnsaid =
        std::find(unsaid.begin(), unsaid.end(), status) != unsaid.end();
    return {int(status), name,
            status == isShort ? Short
            : isUnsaid        ? Unsaid
                              : Enough};
  }
};

/// A function of a library that makes something, such as a handle, where `made`
/// points to.
struct LibraryMaker {
  const char *name;
  LibraryResult (*call)(void *made);
};

/// What one call at a time uses of a library.
struct LibraryHandle {
  LibraryHandle *next = nullptr;
  void *handle = nullptr;
};

/// A library on one device.
class LibraryOnDevice {
public:
  explicit LibraryOnDevice(OptionalLibrary &library) : library(library) {}

  /// Makes something of the library's. `isMade` is false if the library does
  /// not work on the device, as one for another driver, which is remembered.
  /// Fails where memory is short, and does not remember that. What is unused is
  /// freed before, unless `stream`, on which the caller puts work, is captured.
  gradopt_status make(Device &device, const LibraryMaker &maker,
                      CUstream stream, void *made, bool &isMade);

  /// A handle that nobody uses, or a new one; null if the library does not
  /// work.
  gradopt_status take(Device &device, const LibraryMaker &maker,
                      CUstream stream, LibraryHandle *&handle);
  void giveBack(LibraryHandle *handle);

  /// Writes why it does not work, or nothing.
  void describe(char *words, size_t size);

private:
  OptionalLibrary &library;
  LibraryHandle *idle = nullptr;
  char problem[160] = {};
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
};

/// A function of a loaded library; whether it is there.
template <typename Pointer>
bool findFunction(void *handle, const char *name, Pointer &found) {
  found = reinterpret_cast<Pointer>(dlsym(handle, name));
  return found != nullptr;
}

} // namespace gradopt::cuda

#endif // GRADOPT_RUNTIME_CUDA_LIBRARY_H
