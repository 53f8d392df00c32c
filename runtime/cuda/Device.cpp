//===- Device.cpp - One GPU and its memory --------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/Device.h"
#include "runtime/BusySection.h"
#include "runtime/Lock.h"
#include "runtime/RuntimeError.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

using gradopt::runtime::BusySection;
using gradopt::runtime::fail;
using gradopt::runtime::Lock;

namespace gradopt::cuda {
namespace {

/// More lanes than this are not made while there is one to take over.
constexpr unsigned kMaxLanes = 64;

std::atomic<uint64_t> laneVersions = 0;

/// What NVIDIA recommends for cuBLAS.
size_t workspaceBytes(int chip) { return size_t(chip >= 90 ? 32 : 4) << 20; }

bool isLegacy(CUstream stream) { return !stream || stream == CU_STREAM_LEGACY; }

} // namespace

bool isCaptured(const Driver &driver, CUstream stream) {
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  return !isLegacy(stream) &&
         driver.cuStreamIsCapturing(stream, &status) == CUDA_SUCCESS &&
         status != CU_STREAM_CAPTURE_STATUS_NONE;
}

//===----------------------------------------------------------------------===//
// Opening
//===----------------------------------------------------------------------===//

gradopt_status Device::get(int32_t number, Device *&device) {
  const Driver *driver;
  if (gradopt_status status = Driver::get(driver); status != GRADOPT_OK)
    return status;
  if (number < 0 || number >= driver->numDevices)
    return fail(GRADOPT_NO_DEVICE, "needed GPU number %d, but there %s %d",
                number, driver->numDevices == 1 ? "is only" : "are only",
                driver->numDevices);
  device = &driver->devices[number];
  return device->isOpen.load(std::memory_order_acquire) ? GRADOPT_OK
                                                        : device->open();
}

gradopt_status Device::open() {
  BusySection section;
  Lock lock(mutex);
  if (isOpen.load(std::memory_order_relaxed))
    return GRADOPT_OK;
  RelaxedCapture relaxed(driver);
  if (gradopt_status status = describe(); status != GRADOPT_OK)
    return status;
  CUresult error = driver.cuDevicePrimaryCtxRetain(&context, number);
  if (error != CUDA_SUCCESS)
    return failed(driver, error, "cannot make a context on cuda:%d (%s)",
                  number, name);
  InContext scope(*this);
  error = scope.error;
  if (error == CUDA_SUCCESS && !loader)
    error = driver.cuStreamCreate(&loader, CU_STREAM_NON_BLOCKING);
  int hasPools = 0;
  driver.cuDeviceGetAttribute(
      &hasPools, CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, number);
  if (error == CUDA_SUCCESS && hasPools && !pool) {
    CUmemPoolProps properties = {};
    properties.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
    properties.handleTypes = CU_MEM_HANDLE_TYPE_NONE;
    properties.location = {CU_MEM_LOCATION_TYPE_DEVICE, number};
    error = driver.cuMemPoolCreate(&pool, &properties);
    uint64_t keepAll = UINT64_MAX;
    if (error == CUDA_SUCCESS)
      error = driver.cuMemPoolSetAttribute(
          pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keepAll);
  }
  if (error != CUDA_SUCCESS)
    return failed(driver, error, "cannot use cuda:%d (%s)", number, name);
  isOpen.store(true, std::memory_order_release);
  return GRADOPT_OK;
}

gradopt_status Device::describe() {
  int major = 0, minor = 0;
  size_t bytes = 0;
  // The numbers of devices are the driver's handles of them.
  CUdevice device = 0;
  CUresult error = driver.cuDeviceGet(&device, number);
  if (error == CUDA_SUCCESS)
    error = driver.cuDeviceGetName(name, int(sizeof(name)), device);
  name[sizeof(name) - 1] = 0;
  if (error == CUDA_SUCCESS)
    error = driver.cuDeviceTotalMem_v2(&bytes, device);
  for (auto [attribute, value] :
       {std::pair(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &major),
        std::pair(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &minor),
        std::pair(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT,
                  &numMultiprocessors)})
    if (error == CUDA_SUCCESS)
      error = driver.cuDeviceGetAttribute(value, attribute, device);
  if (error != CUDA_SUCCESS)
    return failed(driver, error, "cannot use cuda:%d", number);
  chip = 10 * major + minor;
  memoryBytes = bytes;
  return GRADOPT_OK;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

CUresult Device::tryAllocate(size_t bytes, CUstream stream,
                             CUdeviceptr &address) {
  if (pool)
    return driver.cuMemAllocFromPoolAsync(&address, bytes, pool, stream);
  RelaxedCapture relaxed(driver);
  return driver.cuMemAlloc_v2(&address, bytes);
}

CUresult Device::free(CUdeviceptr address, CUstream stream) {
  if (pool)
    return driver.cuMemFreeAsync(address, stream);
  // It waits for the device.
  RelaxedCapture relaxed(driver);
  return driver.cuMemFree_v2(address);
}

gradopt_status Device::allocate(size_t bytes, CUstream stream,
                                CUdeviceptr &address, bool mayWait) {
  CUresult error = tryAllocate(bytes, stream, address);
  if (error == CUDA_ERROR_OUT_OF_MEMORY && mayWait &&
      !isCaptured(driver, stream) && freeUnused())
    error = tryAllocate(bytes, stream, address);
  if (error == CUDA_SUCCESS)
    return GRADOPT_OK;
  size_t unused = 0, total = 0;
  if (error == CUDA_ERROR_OUT_OF_MEMORY &&
      driver.cuMemGetInfo_v2(&unused, &total) == CUDA_SUCCESS)
    return failed(driver, error,
                  "needed %zu bytes on cuda:%d (%s), which has %zu, of which "
                  "%zu are free",
                  bytes, number, name, total, unused);
  return failed(driver, error, "cannot allocate %zu bytes on cuda:%d", bytes,
                number);
}

bool Device::freeUnused() {
  RelaxedCapture relaxed(driver);
  {
    // No call begins to use a lane meanwhile.
    Lock lock(mutex);
    for (Lane *lane = lanes; lane; lane = lane->next)
      lane->isUnused = lane->users == 0;
    if (driver.cuCtxSynchronize() != CUDA_SUCCESS)
      return false;
    for (Lane **link = &lanes; Lane *lane = *link;) {
      if (!lane->isUnused) {
        link = &lane->next;
        continue;
      }
      *link = lane->next;
      --numLanes;
      destroy(lane);
    }
  }
  if (driver.cuStreamSynchronize(loader) != CUDA_SUCCESS)
    return false;
  return !pool || driver.cuMemPoolTrimTo(pool, 0) == CUDA_SUCCESS;
}

//===----------------------------------------------------------------------===//
// Lanes
//===----------------------------------------------------------------------===//

/// Nothing on the device uses it any more.
void Device::freeMemory(Lane &lane) {
  if (lane.arena)
    free(lane.arena, loader);
  if (lane.workspace)
    free(lane.workspace, loader);
  if (lane.libraryMemory)
    free(lane.libraryMemory, loader);
  lane.arena = lane.workspace = lane.libraryMemory = 0;
  lane.arenaBytes = lane.libraryBytes = 0;
  lane.version = ++laneVersions;
}

Lane *Device::makeLane() {
  void *memory = std::malloc(sizeof(Lane));
  if (!memory)
    return nullptr;
  auto *lane = new (memory) Lane;
  lane->version = ++laneVersions;
  return lane;
}

void Device::destroy(Lane *lane) {
  freeMemory(*lane);
  solver.giveBack(lane->solver);
  if (lane->captureStream)
    driver.cuStreamDestroy_v2(lane->captureStream);
  if (lane->pinned)
    driver.cuMemFreeHost(lane->pinned);
  if (lane->staging)
    driver.cuMemFreeHost(lane->staging);
  std::free(lane->words);
  std::free(lane);
}

gradopt_status Device::acquire(CUstream stream, Lane *&lane) {
  unsigned long long id = 0;
  CUresult error = driver.cuStreamGetId(stream, &id);
  if (error != CUDA_SUCCESS)
    return failed(driver, error, "cannot use the stream on cuda:%d", number);
  {
    Lock lock(mutex);
    Lane *oldest = nullptr;
    for (lane = lanes; lane && lane->stream != id; lane = lane->next)
      if (lane->users == 0 && (!oldest || lane->lastUse < oldest->lastUse))
        oldest = lane;
    if (!lane && oldest && numLanes >= kMaxLanes) {
      // Nothing of what the other stream was given uses its memory after this.
      RelaxedCapture relaxed(driver);
      if (driver.cuCtxSynchronize() == CUDA_SUCCESS) {
        lane = oldest;
        lane->version = ++laneVersions;
      }
    }
    if (!lane) {
      lane = makeLane();
      if (!lane)
        return fail(GRADOPT_OUT_OF_MEMORY, "out of memory");
      lane->next = lanes;
      lanes = lane;
      ++numLanes;
    }
    lane->stream = id;
    lane->lastUse = ++uses;
    ++lane->users;
  }
  pthread_mutex_lock(&lane->mutex);
  return GRADOPT_OK;
}

void Device::release(Lane &lane) {
  pthread_mutex_unlock(&lane.mutex);
  --lane.users;
}

gradopt_status Device::reserve(CUdeviceptr &address, size_t bytes,
                               CUstream stream, Lane &lane) {
  lane.version = ++laneVersions;
  CUdeviceptr old = std::exchange(address, 0);
  CUresult error = old ? free(old, stream) : CUDA_SUCCESS;
  if (error != CUDA_SUCCESS)
    return failed(driver, error, "cannot free memory on cuda:%d", number);
  if (!lane.isDetached)
    return allocate(bytes, stream, address);
  // To be there before the graph is launched, and not to be made by it.
  RelaxedCapture relaxed(driver);
  gradopt_status status = allocate(bytes, loader, address, /*mayWait=*/false);
  if (status != GRADOPT_OK)
    return status;
  error = driver.cuStreamSynchronize(loader);
  return error == CUDA_SUCCESS
             ? GRADOPT_OK
             : failed(driver, error, "cannot use cuda:%d", number);
}

gradopt_status Device::reserveArena(Lane &lane, size_t bytes, CUstream stream) {
  if (bytes <= lane.arenaBytes)
    return GRADOPT_OK;
  lane.arenaBytes = 0;
  gradopt_status status = reserve(lane.arena, bytes, stream, lane);
  if (status == GRADOPT_OK)
    lane.arenaBytes = bytes;
  return status;
}

gradopt_status Device::reserveWorkspace(Lane &lane, CUstream stream,
                                        size_t &bytes) {
  bytes = workspaceBytes(chip);
  return lane.workspace ? GRADOPT_OK
                        : reserve(lane.workspace, bytes, stream, lane);
}

gradopt_status Device::reserveLibraryMemory(Lane &lane, size_t bytes,
                                            CUstream stream) {
  if (bytes <= lane.libraryBytes)
    return GRADOPT_OK;
  lane.libraryBytes = 0;
  gradopt_status status = reserve(lane.libraryMemory, bytes, stream, lane);
  if (status == GRADOPT_OK)
    lane.libraryBytes = bytes;
  return status;
}

gradopt_status Device::reserveWords(Lane &lane, size_t count) {
  if (count <= lane.numWords)
    return GRADOPT_OK;
  std::free(lane.words);
  lane.numWords = 0;
  lane.words = static_cast<int64_t *>(std::malloc(count * sizeof(int64_t)));
  if (!lane.words)
    return fail(GRADOPT_OUT_OF_MEMORY, "out of memory");
  lane.numWords = count;
  return GRADOPT_OK;
}

gradopt_status Device::reservePinned(Lane &lane) {
  if (lane.pinned)
    return GRADOPT_OK;
  RelaxedCapture relaxed(driver);
  CUresult error = driver.cuMemAllocHost_v2(&lane.pinned, sizeof(int64_t));
  return error == CUDA_SUCCESS
             ? GRADOPT_OK
             : failed(driver, error, "cannot allocate page-locked memory");
}

gradopt_status Device::reserveStaging(Lane &lane, size_t bytes,
                                      CUstream stream) {
  if (bytes <= lane.stagingBytes)
    return GRADOPT_OK;
  lane.stagingBytes = 0;
  CUresult error = CUDA_SUCCESS;
  if (char *old = std::exchange(lane.staging, nullptr)) {
    // What was copied back from it may be on its way.
    error = driver.cuStreamSynchronize(stream);
    if (error == CUDA_SUCCESS)
      error = driver.cuMemFreeHost(old);
  }
  void *made = nullptr;
  if (error == CUDA_SUCCESS)
    error = driver.cuMemAllocHost_v2(&made, bytes);
  if (error != CUDA_SUCCESS)
    return failed(driver, error,
                  "cannot allocate %zu bytes of page-locked memory", bytes);
  lane.staging = static_cast<char *>(made);
  lane.stagingBytes = bytes;
  return GRADOPT_OK;
}

gradopt_status Device::reserveCaptureStream(Lane &lane) {
  if (lane.captureStream)
    return GRADOPT_OK;
  RelaxedCapture relaxed(driver);
  CUresult error =
      driver.cuStreamCreate(&lane.captureStream, CU_STREAM_NON_BLOCKING);
  return error == CUDA_SUCCESS
             ? GRADOPT_OK
             : failed(driver, error, "cannot make a stream on cuda:%d", number);
}

} // namespace gradopt::cuda
