//===- Memory.cpp - Devices, memory and streams of GPUs -------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/RuntimeError.h"
#include "runtime/cuda/Device.h"

#include <cstring>

using namespace gradopt::cuda;
using gradopt::runtime::fail;

namespace {

CUdeviceptr addressOf(const void *pointer) {
  return reinterpret_cast<CUdeviceptr>(pointer);
}

/// Calls `function(device)` with the context of a device.
template <typename Function>
gradopt_status withDevice(int32_t number, Function function) {
  Device *device;
  if (gradopt_status status = Device::get(number, device); status != GRADOPT_OK)
    return status;
  InContext context(*device);
  if (context.error != CUDA_SUCCESS)
    return failed(device->driver, context.error, "cannot use cuda:%d", number);
  return function(*device);
}

struct Place {
  /// -1: of the host.
  int device = -1;
  /// Of the host, and moved about by the system as it likes.
  bool isPageable = false;
};

CUresult find(const Driver &driver, const void *pointer, Place &place) {
  int type = 0, device = -1;
  CUpointer_attribute attributes[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                                      CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL};
  void *values[] = {&type, &device};
  CUresult error =
      driver.cuPointerGetAttributes(2, attributes, values, addressOf(pointer));
  place.device = type == CU_MEMORYTYPE_DEVICE ? device : -1;
  place.isPageable = type != CU_MEMORYTYPE_DEVICE && type != CU_MEMORYTYPE_HOST;
  return error;
}

/// Copies from pageable memory to the device on a stream that somebody
/// captures. A copy in a graph would read that memory when the graph is
/// launched; what it has now is written as values.
gradopt_status copyValues(Device &device, void *to, const void *from,
                          size_t bytes, CUstream stream) {
  constexpr size_t kMost = 4096, kWord = sizeof(uint32_t);
  if (bytes > kMost || bytes % kWord || addressOf(to) % kWord)
    return fail(GRADOPT_DEVICE_ERROR,
                "cannot copy %zu bytes of the host to cuda:%d as part of a "
                "graph, which would read them when it is launched: copy them "
                "before the stream is captured",
                bytes, device.number);
  CUresult error = CUDA_SUCCESS;
  for (size_t i = 0; i < bytes && error == CUDA_SUCCESS; i += kWord) {
    uint32_t word;
    std::memcpy(&word, static_cast<const char *>(from) + i, kWord);
    error = device.driver.cuMemsetD32Async(addressOf(to) + i, word, 1, stream);
  }
  return error == CUDA_SUCCESS
             ? GRADOPT_OK
             : failed(device.driver, error, "cannot copy %zu bytes on cuda:%d",
                      bytes, device.number);
}

gradopt_status copy(Device &device, void *to, const void *from, size_t bytes,
                    CUstream stream) {
  const Driver &driver = device.driver;
  Place target, source;
  CUresult error = find(driver, to, target);
  if (error == CUDA_SUCCESS)
    error = find(driver, from, source);
  if (error != CUDA_SUCCESS)
    return failed(driver, error, "cannot find out where memory is");
  if (source.isPageable && target.device >= 0 && isCaptured(driver, stream))
    return copyValues(device, to, from, bytes, stream);
  if (target.device >= 0 && source.device >= 0 &&
      target.device != source.device) {
    Device *toDevice, *fromDevice;
    gradopt_status status = Device::get(target.device, toDevice);
    if (status == GRADOPT_OK)
      status = Device::get(source.device, fromDevice);
    if (status != GRADOPT_OK)
      return status;
    error = driver.cuMemcpyPeerAsync(addressOf(to), toDevice->context,
                                     addressOf(from), fromDevice->context,
                                     bytes, stream);
  } else {
    error = driver.cuMemcpyAsync(addressOf(to), addressOf(from), bytes, stream);
  }
  // The driver mostly waits by itself, but does not have to.
  if (error == CUDA_SUCCESS && target.isPageable && source.device >= 0)
    error = driver.cuStreamSynchronize(stream);
  return error == CUDA_SUCCESS
             ? GRADOPT_OK
             : failed(driver, error, "cannot copy %zu bytes on cuda:%d", bytes,
                      device.number);
}

/// One of nested loops over pieces of memory that are equally large: of
/// `extent` of them, `count` are copied. The pieces of the innermost one are
/// bytes.
struct PieceLoop {
  size_t count, extent;
};

/// Copies what is in the first `numLoops` of `loops`, the innermost one first.
CUresult copyPieces(const Driver &driver, CUdeviceptr to, CUdeviceptr from,
                    const PieceLoop *loops, size_t numLoops, CUstream stream) {
  // The driver copies rows that are not farther from each other.
  constexpr size_t kMostPitch = 0x7fffffff, kMostLoops = 3;
  if (numLoops == 1)
    return driver.cuMemcpyAsync(to, from, loops[0].count, stream);
  if (numLoops <= kMostLoops && loops[0].extent <= kMostPitch) {
    CUDA_MEMCPY3D copy = {};
    copy.srcMemoryType = copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    copy.srcDevice = from;
    copy.dstDevice = to;
    copy.srcPitch = loops[0].extent;
    copy.dstPitch = copy.WidthInBytes = loops[0].count;
    copy.srcHeight = loops[1].extent;
    copy.dstHeight = copy.Height = loops[1].count;
    copy.Depth = numLoops == kMostLoops ? loops[2].count : 1;
    return driver.cuMemcpy3DAsync_v2(&copy, stream);
  }
  size_t toStep = 1, fromStep = 1;
  for (size_t i = 0; i + 1 < numLoops; ++i) {
    toStep *= loops[i].count;
    fromStep *= loops[i].extent;
  }
  for (size_t i = 0; i < loops[numLoops - 1].count; ++i)
    if (CUresult error =
            copyPieces(driver, to + i * toStep, from + i * fromStep, loops,
                       numLoops - 1, stream);
        error != CUDA_SUCCESS)
      return error;
  return CUDA_SUCCESS;
}

CUresult record(const Driver &driver, CUstream stream, CUevent &event) {
  CUcontext context, popped;
  CUresult error = driver.cuStreamGetCtx(stream, &context);
  if (error == CUDA_SUCCESS)
    error = driver.cuCtxPushCurrent_v2(context);
  if (error != CUDA_SUCCESS)
    return error;
  error = driver.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING);
  if (error == CUDA_SUCCESS)
    error = driver.cuEventRecord(event, stream);
  driver.cuCtxPopCurrent_v2(&popped);
  return error;
}

/// Lets `stream` wait for what is on `other`.
CUresult waitFor(const Driver &driver, CUstream stream, CUstream other) {
  bool isCapturing = isCaptured(driver, stream);
  if (isCapturing != isCaptured(driver, other)) {
    // What is captured is not done now, so that there is nothing to wait for;
    // and what it is to wait for has to be done before.
    RelaxedCapture relaxed(driver);
    return isCapturing ? driver.cuStreamSynchronize(other) : CUDA_SUCCESS;
  }
  CUevent event = nullptr;
  CUresult error = record(driver, other, event);
  if (error == CUDA_SUCCESS)
    error = driver.cuStreamWaitEvent(stream, event, 0);
  // What waits for it goes on to do so.
  if (event)
    driver.cuEventDestroy_v2(event);
  return error;
}

} // namespace

gradopt_status gradopt_cuda_device_count(int32_t *count) {
  if (!count)
    return fail(GRADOPT_INVALID_ARGUMENT, "gradopt_cuda_device_count: null");
  *count = 0;
  const Driver *driver;
  if (gradopt_status status = Driver::get(driver); status != GRADOPT_OK)
    return status;
  *count = driver->numDevices;
  return GRADOPT_OK;
}

gradopt_status gradopt_cuda_get_device_info(int32_t device,
                                            gradopt_cuda_device_info *info) {
  if (!info)
    return fail(GRADOPT_INVALID_ARGUMENT, "gradopt_cuda_get_device_info: null");
  return withDevice(device, [&](const Device &found) {
    *info = {};
    std::memcpy(info->name, found.name, sizeof(info->name));
    info->chip = found.chip;
    info->driver_version = found.driver.version;
    info->num_multiprocessors = found.numMultiprocessors;
    info->is_emulated = found.driver.isEmulator;
    info->memory_bytes = found.memoryBytes;
    return GRADOPT_OK;
  });
}

gradopt_status gradopt_cuda_allocate(int32_t device, size_t bytes, void *stream,
                                     void **out) {
  if (!out)
    return fail(GRADOPT_INVALID_ARGUMENT, "gradopt_cuda_allocate: null");
  *out = nullptr;
  return withDevice(device, [&](Device &found) {
    if (bytes == 0)
      return GRADOPT_OK;
    CUdeviceptr address = 0;
    gradopt_status status =
        found.allocate(bytes, static_cast<CUstream>(stream), address);
    *out = reinterpret_cast<void *>(address);
    return status;
  });
}

gradopt_status gradopt_cuda_free(int32_t device, void *address, void *stream) {
  if (!address)
    return GRADOPT_OK;
  return withDevice(device, [&](Device &found) {
    CUresult error =
        found.free(addressOf(address), static_cast<CUstream>(stream));
    return error == CUDA_SUCCESS
               ? GRADOPT_OK
               : failed(found.driver, error, "cannot free memory on cuda:%d",
                        device);
  });
}

gradopt_status gradopt_cuda_copy(int32_t device, void *to, const void *from,
                                 size_t bytes, void *stream) {
  return withDevice(device, [&](Device &found) {
    if (bytes == 0)
      return GRADOPT_OK;
    if (!to || !from)
      return fail(GRADOPT_INVALID_ARGUMENT, "gradopt_cuda_copy: null");
    return copy(found, to, from, bytes, static_cast<CUstream>(stream));
  });
}

gradopt_status gradopt_cuda_copy_first(int32_t device, void *to,
                                       const void *from,
                                       size_t bytes_of_element, int32_t rank,
                                       const int64_t *shape,
                                       const int64_t *counts, void *stream) {
  constexpr int32_t kMostRank = 64;
  if (rank < 0 || rank > kMostRank)
    return fail(GRADOPT_INVALID_ARGUMENT,
                "gradopt_cuda_copy_first: expected a rank of at most %d, but "
                "got %d",
                kMostRank, rank);
  PieceLoop loops[kMostRank + 1] = {{bytes_of_element, bytes_of_element}};
  size_t numLoops = 1;
  bool isEmpty = bytes_of_element == 0;
  for (int32_t d = rank; d-- > 0;) {
    if (counts[d] < 0 || counts[d] > shape[d])
      return fail(GRADOPT_INVALID_ARGUMENT,
                  "gradopt_cuda_copy_first: expected 0 to %lld elements along "
                  "dimension %d, but got %lld",
                  static_cast<long long>(shape[d]), d,
                  static_cast<long long>(counts[d]));
    auto count = size_t(counts[d]), extent = size_t(shape[d]);
    isEmpty |= count == 0;
    // Pieces that are copied as a whole are one piece.
    PieceLoop &last = loops[numLoops - 1];
    if (last.count == last.extent)
      last = {last.count * count, last.extent * extent};
    else
      loops[numLoops++] = {count, extent};
  }
  return withDevice(device, [&](Device &found) {
    if (isEmpty)
      return GRADOPT_OK;
    if (!to || !from)
      return fail(GRADOPT_INVALID_ARGUMENT, "gradopt_cuda_copy_first: null");
    CUresult error = copyPieces(found.driver, addressOf(to), addressOf(from),
                                loops, numLoops, static_cast<CUstream>(stream));
    return error == CUDA_SUCCESS
               ? GRADOPT_OK
               : failed(found.driver, error,
                        "cannot copy a part of an array on cuda:%d", device);
  });
}

gradopt_status gradopt_cuda_synchronize(int32_t device, void *stream) {
  return withDevice(device, [&](Device &found) {
    CUresult error =
        found.driver.cuStreamSynchronize(static_cast<CUstream>(stream));
    return error == CUDA_SUCCESS
               ? GRADOPT_OK
               : failed(found.driver, error, "cannot wait for cuda:%d", device);
  });
}

gradopt_status gradopt_cuda_wait(int32_t device, void *stream, void *other) {
  return withDevice(device, [&](Device &found) {
    if (stream == other)
      return GRADOPT_OK;
    CUresult error = waitFor(found.driver, static_cast<CUstream>(stream),
                             static_cast<CUstream>(other));
    return error == CUDA_SUCCESS
               ? GRADOPT_OK
               : failed(found.driver, error,
                        "cannot wait for another stream on cuda:%d", device);
  });
}

gradopt_status gradopt_cuda_pointer_device(const void *address,
                                           int32_t *device) {
  if (!device)
    return fail(GRADOPT_INVALID_ARGUMENT, "gradopt_cuda_pointer_device: null");
  *device = -1;
  // Without a usable driver nothing is on a device.
  const Driver *driver;
  if (Driver::get(driver) != GRADOPT_OK)
    return GRADOPT_OK;
  return withDevice(0, [&](const Device &) {
    Place place;
    CUresult error = find(*driver, address, place);
    *device = place.device;
    return error == CUDA_SUCCESS
               ? GRADOPT_OK
               : failed(*driver, error, "cannot find out where memory is");
  });
}
