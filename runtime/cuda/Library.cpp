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
#include "runtime/cuda/Device.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

using gradopt::runtime::BusySection;
using gradopt::runtime::fail;
using gradopt::runtime::Lock;

namespace gradopt::cuda {

OptionalLibrary blasLibrary("cuBLAS"), fourierLibrary("cuFFT"),
    solverLibrary("cuSOLVER");

bool OptionalLibrary::load(const char *path, bool (*open)(void *handle)) {
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (handle && open(handle))
    return true;
  std::snprintf(problem, sizeof(problem), "%s cannot be used: %s%s", name,
                handle ? path : dlerror(),
                handle ? " lacks functions that are needed" : "");
  if (handle)
    dlclose(handle);
  return false;
}

bool OptionalLibrary::find(const Driver &driver,
                           std::initializer_list<Name> names,
                           bool (*open)(void *handle)) {
  if (isSought.load(std::memory_order_acquire))
    return isFound;
  BusySection section;
  Lock lock(loading);
  if (isSought.load(std::memory_order_relaxed))
    return isFound;
  bool found = false;
  if (chosenPath)
    found = *chosenPath && load(chosenPath, open);
  else
    for (const Name &each : names)
      found = found ||
              (!driver.isEmulator && driver.version >= each.driverVersion &&
               load(each.file, open));
  if (found)
    *problem = 0;
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
  *problem = 0;
  isSought.store(false, std::memory_order_release);
  return GRADOPT_OK;
}

void OptionalLibrary::describe(char *words, size_t size) {
  Lock lock(loading);
  std::snprintf(words, size, "%s", problem);
}

/// Whether memory is what a library failed for: where its status does not say
/// so, whether there is less than handles take.
static bool isMemoryShort(const Driver &driver, const LibraryResult &result) {
  constexpr size_t kEnough = size_t(64) << 20;
  size_t unused = 0, total = 0;
  if (result.status == 0 || result.memory != LibraryResult::Unsaid)
    return result.status && result.memory == LibraryResult::Short;
  return driver.cuMemGetInfo_v2(&unused, &total) == CUDA_SUCCESS &&
         unused < kEnough;
}

gradopt_status LibraryOnDevice::make(Device &device, const LibraryMaker &maker,
                                     CUstream stream, void *made,
                                     bool &isMade) {
  isMade = false;
  {
    Lock lock(mutex);
    if (*problem)
      return GRADOPT_OK;
  }
  const Driver &driver = device.driver;
  RelaxedCapture relaxed(driver);
  LibraryResult result = maker.call(made);
  if (isMemoryShort(driver, result) && !isCaptured(driver, stream) &&
      device.freeUnused())
    result = maker.call(made);
  isMade = result.status == 0;
  if (isMade)
    return GRADOPT_OK;
  if (isMemoryShort(driver, result))
    return fail(GRADOPT_OUT_OF_MEMORY,
                "cuda:%d has not enough memory for %s: %s returned %s (%d)",
                device.number, library.name, maker.name, result.name,
                result.status);
  Lock lock(mutex);
  std::snprintf(problem, sizeof(problem),
                "%s does not work on cuda:%d: %s returned %s (%d)",
                library.name, device.number, maker.name, result.name,
                result.status);
  return GRADOPT_OK;
}

gradopt_status LibraryOnDevice::take(Device &device, const LibraryMaker &maker,
                                     CUstream stream, LibraryHandle *&handle) {
  {
    Lock lock(mutex);
    handle = idle;
    if (handle) {
      idle = handle->next;
      return GRADOPT_OK;
    }
  }
  void *memory = std::malloc(sizeof(LibraryHandle));
  if (!memory)
    return fail(GRADOPT_OUT_OF_MEMORY, "out of memory");
  auto *made = new (memory) LibraryHandle;
  bool isMade = false;
  gradopt_status status = make(device, maker, stream, &made->handle, isMade);
  if (isMade)
    handle = made;
  else
    std::free(memory);
  return status;
}

void LibraryOnDevice::giveBack(LibraryHandle *handle) {
  if (!handle)
    return;
  Lock lock(mutex);
  handle->next = idle;
  idle = handle;
}

void LibraryOnDevice::describe(char *words, size_t size) {
  library.describe(words, size);
  Lock lock(mutex);
  if (*problem)
    std::snprintf(words, size, "%s", problem);
}

} // namespace gradopt::cuda

using namespace gradopt::cuda;

gradopt_status gradopt_cuda_set_blas(const char *path) {
  return blasLibrary.choose(path, "gradopt_cuda_set_blas");
}

gradopt_status gradopt_cuda_set_fourier(const char *path) {
  return fourierLibrary.choose(path, "gradopt_cuda_set_fourier");
}

gradopt_status gradopt_cuda_set_solver(const char *path) {
  return solverLibrary.choose(path, "gradopt_cuda_set_solver");
}

gradopt_status gradopt_cuda_library_problem(int32_t device,
                                            gradopt_cuda_library library,
                                            char *words, size_t size) {
  if (!words || size == 0)
    return fail(GRADOPT_INVALID_ARGUMENT,
                "gradopt_cuda_library_problem: no room for words");
  *words = 0;
  Device *on;
  if (gradopt_status status = Device::get(device, on); status != GRADOPT_OK)
    return status;
  switch (library) {
  case GRADOPT_CUDA_BLAS:
    on->blas.describe(words, size);
    return GRADOPT_OK;
  case GRADOPT_CUDA_FOURIER:
    on->fourier.describe(words, size);
    return GRADOPT_OK;
  case GRADOPT_CUDA_SOLVER:
    on->solver.describe(words, size);
    return GRADOPT_OK;
  }
  return fail(GRADOPT_INVALID_ARGUMENT,
              "gradopt_cuda_library_problem: no library %d", int(library));
}
