//===- Library.cpp - Libraries of CUDA that may be absent -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/Library.h"
#include "runtime/BusySection.h"
#include "runtime/Lock.h"
#include "runtime/OldLibrary.h"
#include "runtime/RuntimeError.h"

#include <cstdlib>
#include <cstring>

using gradopt::runtime::BusySection;
using gradopt::runtime::fail;
using gradopt::runtime::Lock;

namespace gradopt::cuda {

bool OptionalLibrary::find(const Driver &driver,
                           std::initializer_list<Name> names,
                           bool (*open)(void *handle)) {
  if (isSought.load(std::memory_order_acquire))
    return isFound;
  BusySection section;
  Lock lock(loading);
  if (isSought.load(std::memory_order_relaxed))
    return isFound;
  auto load = [&](const char *path) {
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    return handle && open(handle);
  };
  bool found = false;
  if (chosenPath)
    found = *chosenPath && load(chosenPath);
  else
    for (const Name &name : names)
      found =
          found || (!driver.isEmulator &&
                    driver.version >= name.driverVersion && load(name.file));
  isFound = found;
  isSought.store(true, std::memory_order_release);
  return found;
}

gradopt_status OptionalLibrary::choose(const char *path, const char *caller) {
  BusySection section;
  Lock lock(loading);
  bool isSame = path && chosenPath ? std::strcmp(path, chosenPath) == 0
                                   : path == chosenPath;
  if (isSame)
    return GRADOPT_OK;
  if (isFound.load(std::memory_order_relaxed))
    return fail(GRADOPT_INVALID_ARGUMENT,
                "%s: a program uses another library already", caller);
  char *copy = path ? strdup(path) : nullptr;
  if (path && !copy)
    return fail(GRADOPT_OUT_OF_MEMORY, "out of memory");
  std::free(chosenPath);
  chosenPath = copy;
  isSought.store(false, std::memory_order_release);
  return GRADOPT_OK;
}

} // namespace gradopt::cuda
