//===- Driver.cpp - The driver of NVIDIA GPUs -----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/Driver.h"
#include "runtime/BusySection.h"
#include "runtime/Lock.h"
#include "runtime/OldLibrary.h"
#include "runtime/RuntimeError.h"
#include "runtime/cuda/Device.h"

#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <new>

using gradopt::runtime::BusySection;
using gradopt::runtime::fail;
using gradopt::runtime::forkGeneration;
using gradopt::runtime::Lock;

namespace gradopt::cuda {
namespace {

constexpr const char *kLibrary = "libcuda.so.1";
/// Of CUDA, as drivers state it.
constexpr int kNeededVersion = 12000;

std::atomic<Driver *> loaded = nullptr;
/// The fork generation of the process that loaded it.
unsigned owner = 0;
char *chosenPath = nullptr;
pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

gradopt_status outOfMemory() {
  return fail(GRADOPT_OUT_OF_MEMORY, "out of memory");
}

const char *nameOf(const Driver &driver, CUresult error) {
  const char *name = nullptr;
  driver.cuGetErrorName(error, &name);
  return name ? name : "an unknown error";
}

const char *wordsOf(const Driver &driver, CUresult error) {
  const char *words = nullptr;
  driver.cuGetErrorString(error, &words);
  return words ? words : "the driver has no words for it";
}

/// Whether a context cannot be used after this error. Most are those that
/// happen while kernels run; three numbers between them are others.
bool isSticky(CUresult error) {
  return error == CUDA_ERROR_ECC_UNCORRECTABLE ||
         error == CUDA_ERROR_NVLINK_UNCORRECTABLE ||
         error == CUDA_ERROR_ILLEGAL_ADDRESS ||
         error == CUDA_ERROR_LAUNCH_TIMEOUT || error == CUDA_ERROR_ASSERT ||
         (error >= CUDA_ERROR_HARDWARE_STACK_ERROR &&
          error <= CUDA_ERROR_LAUNCH_FAILED);
}

gradopt_status findFunctions(void *library, const char *path, Driver &driver) {
  const char *missing = nullptr;
#define GRADOPT_FIND(name, parameters)                                         \
  driver.name =                                                                \
      reinterpret_cast<decltype(driver.name)>(dlsym(library, #name));          \
  if (!driver.name && !missing)                                                \
    missing = #name;
  GRADOPT_DRIVER_FUNCTIONS(GRADOPT_FIND)
#undef GRADOPT_FIND
  // An old driver lacks functions as well, but its version says more.
  if (driver.cuDriverGetVersion &&
      driver.cuDriverGetVersion(&driver.version) == CUDA_SUCCESS &&
      driver.version < kNeededVersion)
    return fail(GRADOPT_NO_DEVICE,
                "the driver of NVIDIA GPUs is too old: needed one for CUDA "
                "%d.%d or later (525.60 or later), but found CUDA %d.%d in %s",
                kNeededVersion / 1000, kNeededVersion % 1000 / 10,
                driver.version / 1000, driver.version % 1000 / 10, path);
  if (missing)
    return fail(GRADOPT_NO_DEVICE,
                "%s is no driver of NVIDIA GPUs: it has no %s", path, missing);
  auto *runsObjects = reinterpret_cast<int32_t (*)()>(
      dlsym(library, "gradopt_emulator_runs_objects"));
  driver.isEmulator = runsObjects && runsObjects();
  return GRADOPT_OK;
}

gradopt_status initialize(Driver &driver) {
  CUresult error = driver.cuInit(0);
  if (error == CUDA_SUCCESS)
    error = driver.cuDeviceGetCount(&driver.numDevices);
  if (error == CUDA_SUCCESS && driver.numDevices == 0)
    error = CUDA_ERROR_NO_DEVICE;
  if (error != CUDA_SUCCESS)
    return fail(GRADOPT_NO_DEVICE,
                "needed an NVIDIA GPU, but the driver (CUDA %d.%d) reports "
                "%s: %s",
                driver.version / 1000, driver.version % 1000 / 10,
                nameOf(driver, error), wordsOf(driver, error));
  driver.devices = static_cast<Device *>(
      std::calloc(size_t(driver.numDevices), sizeof(Device)));
  if (!driver.devices)
    return outOfMemory();
  for (int i = 0; i < driver.numDevices; ++i)
    new (&driver.devices[i]) Device(driver, i);
  return GRADOPT_OK;
}

gradopt_status load() {
  const char *path = chosenPath ? chosenPath : kLibrary;
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return fail(GRADOPT_NO_DEVICE,
                "needed the driver of NVIDIA GPUs for CUDA %d.%d or later, but "
                "it cannot be loaded: %s",
                kNeededVersion / 1000, kNeededVersion % 1000 / 10, dlerror());
  void *memory = std::malloc(sizeof(Driver));
  if (!memory)
    return outOfMemory();
  auto *driver = new (memory) Driver;
  gradopt_status status = findFunctions(library, path, *driver);
  if (status == GRADOPT_OK)
    status = initialize(*driver);
  if (status != GRADOPT_OK) {
    // The library stays: a driver does not like to be closed.
    std::free(driver);
    return status;
  }
  owner = forkGeneration();
  loaded.store(driver, std::memory_order_release);
  return GRADOPT_OK;
}

} // namespace

bool Driver::wasForked() {
  return loaded.load(std::memory_order_acquire) && owner != forkGeneration();
}

gradopt_status Driver::get(const Driver *&driver) {
  driver = loaded.load(std::memory_order_acquire);
  if (!driver) {
    BusySection section;
    Lock lock(loading);
    if (!loaded.load(std::memory_order_relaxed))
      if (gradopt_status status = load(); status != GRADOPT_OK)
        return status;
    driver = loaded.load(std::memory_order_relaxed);
  }
  if (owner != forkGeneration())
    return fail(GRADOPT_NO_DEVICE,
                "needed a process that uses GPUs by itself, but this one was "
                "forked from one that had used them before; start it in "
                "another way (multiprocessing: \"spawn\" or \"forkserver\")");
  return GRADOPT_OK;
}

gradopt_status Driver::setPath(const char *path) {
  BusySection section;
  Lock lock(loading);
  const char *current = chosenPath ? chosenPath : kLibrary;
  const char *wanted = path ? path : kLibrary;
  if (std::strcmp(current, wanted) == 0)
    return GRADOPT_OK;
  if (loaded.load(std::memory_order_relaxed))
    return fail(GRADOPT_INVALID_ARGUMENT,
                "cannot use the driver %s: %s is in use already", wanted,
                current);
  char *copy = strdup(wanted);
  if (!copy)
    return outOfMemory();
  std::free(chosenPath);
  chosenPath = copy;
  return GRADOPT_OK;
}

gradopt_status failed(const Driver &driver, CUresult error, const char *what,
                      ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, what);
  std::vsnprintf(text, sizeof(text), what, arguments);
  va_end(arguments);
  return fail(error == CUDA_ERROR_OUT_OF_MEMORY ? GRADOPT_OUT_OF_MEMORY
                                                : GRADOPT_DEVICE_ERROR,
              "%s: %s: %s%s", text, nameOf(driver, error),
              wordsOf(driver, error),
              isSticky(error) ? " (an error of what was begun before; this "
                                "process cannot use the GPU any more)"
                              : "");
}

} // namespace gradopt::cuda

gradopt_status gradopt_cuda_set_driver(const char *path) {
  return gradopt::cuda::Driver::setPath(path);
}
