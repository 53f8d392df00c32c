//===- Allocations.cpp - Memory of the emulated driver --------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/emulator/DriverState.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

using namespace gradopt::emulator;

struct CUmemPoolHandle_st {
  CUcontext context = nullptr;
};

namespace {

std::string hex(uint64_t number) {
  char text[24];
  snprintf(text, sizeof(text), "%#llx",
           static_cast<unsigned long long>(number));
  return text;
}

/// Memory that can be used from now on, or, if it was freed, after that.
CUresult allocate(CUcontext context, size_t bytes, CUstream stream,
                  CUdeviceptr *address) {
  if (bytes == 0)
    return CUDA_ERROR_INVALID_VALUE;
  if (bytes > state.memory || context->bytesInUse > state.memory - bytes)
    return CUDA_ERROR_OUT_OF_MEMORY;
  Memory &memory = Memory::get();
  // What was freed before is free for all streams when that is done, and one
  // piece, the next one, for what follows on the same stream.
  auto &freed = context->freed;
  auto give = [&](auto it) {
    memory.release(it->allocation);
    return freed.erase(it);
  };
  for (auto it = freed.begin(); it != freed.end();)
    it = it->work && !it->work->isDone ? it + 1 : give(it);
  auto next = std::find_if(freed.begin(), freed.end(), [&](auto &later) {
    return stream && later.stream == stream &&
           later.allocation->pages == Memory::pagesFor(bytes);
  });
  if (next != freed.end())
    give(next);
  Allocation *allocation = memory.reserve(context->device, bytes);
  if (!allocation)
    return CUDA_ERROR_OUT_OF_MEMORY;
  context->bytesInUse += bytes;
  *address = allocation->begin;
  auto begin = [allocation, bytes]() -> Error {
    Memory::get().begin(allocation, bytes);
    return {};
  };
  if (stream)
    enqueue(stream,
            Action{"allocate", "allocate " + std::to_string(bytes), begin});
  else
    begin();
  return CUDA_SUCCESS;
}

CUresult deallocate(CUdeviceptr address, CUstream stream) {
  Allocation *allocation = Memory::get().find(address);
  CUcontext context = currentContext();
  auto isSame = [&](const FreeLater &freed) {
    return freed.allocation == allocation;
  };
  if (!allocation || allocation->begin != address ||
      allocation->device != context->device ||
      std::any_of(context->freed.begin(), context->freed.end(), isSame))
    return CUDA_ERROR_INVALID_VALUE;
  context->bytesInUse -= allocation->bytes;
  auto end = [allocation]() -> Error {
    if (Memory::get().end(allocation))
      return {};
    return {CUDA_ERROR_ILLEGAL_ADDRESS, "bytes beside an allocation at " +
                                            hex(allocation->begin) +
                                            " were written"};
  };
  WorkPtr work;
  if (stream)
    work = enqueue(stream, Action{"free", "free", end});
  else
    context->error = end();
  context->freed.push_back({allocation, stream, work});
  return context->error.code;
}

} // namespace

API cuMemPoolCreate(CUmemoryPool *pool, const CUmemPoolProps *properties) {
  Call call("cuMemPoolCreate");
  if (call.error != CUDA_SUCCESS)
    return call.error;
  int device = properties->location.id;
  if (properties->allocType != CU_MEM_ALLOCATION_TYPE_PINNED ||
      properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
      size_t(device) >= state.contexts.size())
    return CUDA_ERROR_INVALID_VALUE;
  *pool = new CUmemPoolHandle_st{state.contexts[size_t(device)]};
  return CUDA_SUCCESS;
}

API cuMemPoolSetAttribute(CUmemoryPool, CUmemPool_attribute, void *) {
  Call call("cuMemPoolSetAttribute");
  return call.error;
}

API cuMemPoolTrimTo(CUmemoryPool, size_t) {
  Call call("cuMemPoolTrimTo");
  return call.error;
}

API cuMemAllocFromPoolAsync(CUdeviceptr *address, size_t bytes,
                            CUmemoryPool pool, CUstream handle) {
  Call call("cuMemAllocFromPoolAsync", std::to_string(bytes));
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  if (pool->context != currentContext())
    return CUDA_ERROR_INVALID_VALUE;
  return allocate(currentContext(), bytes, stream, address);
}

API cuMemFreeAsync(CUdeviceptr address, CUstream handle) {
  Call call("cuMemFreeAsync");
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  return deallocate(address, stream);
}

API cuMemGetInfo_v2(size_t *free, size_t *total) {
  Call call("cuMemGetInfo_v2");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  uint64_t used = currentContext()->bytesInUse;
  *free = used < state.memory ? state.memory - used : 0;
  *total = state.memory;
  return CUDA_SUCCESS;
}

API cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
  Call call("cuMemAlloc_v2", std::to_string(bytes));
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  if (isCallForbidden())
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  return allocate(currentContext(), bytes, nullptr, address);
}

API cuMemFree_v2(CUdeviceptr address) {
  Call call("cuMemFree_v2");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  if (isCallForbidden())
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (CUresult error = synchronize(currentContext()); error != CUDA_SUCCESS)
    return error;
  return deallocate(address, nullptr);
}

API cuMemAllocHost_v2(void **address, size_t bytes) {
  Call call("cuMemAllocHost_v2");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  if (isCallForbidden())
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  *address = malloc(bytes);
  if (!*address)
    return CUDA_ERROR_OUT_OF_MEMORY;
  memset(*address, kGarbage, bytes);
  state.pinned[reinterpret_cast<uintptr_t>(*address)] = bytes;
  return CUDA_SUCCESS;
}

API cuMemFreeHost(void *address) {
  Call call("cuMemFreeHost");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  if (!state.pinned.erase(reinterpret_cast<uintptr_t>(address)))
    return CUDA_ERROR_INVALID_VALUE;
  free(address);
  return CUDA_SUCCESS;
}

namespace {

bool isPinned(uintptr_t address) {
  auto next = state.pinned.upper_bound(address);
  return next != state.pinned.begin() &&
         address - std::prev(next)->first < std::prev(next)->second;
}

/// Copies bytes between devices and the host, as work of a device.
Error copyNow(CUdeviceptr to, CUdeviceptr from, size_t bytes, int toDevice,
              int fromDevice, const std::vector<char> *staged = nullptr) {
  Memory &memory = Memory::get();
  std::string problem;
  if (memory.isDevice(to))
    problem = memory.checkRange(to, bytes, toDevice);
  if (problem.empty() && memory.isDevice(from))
    problem = memory.checkRange(from, bytes, fromDevice);
  if (!problem.empty())
    return {CUDA_ERROR_ILLEGAL_ADDRESS, "a copy of " + std::to_string(bytes) +
                                            " bytes from " + hex(from) +
                                            " to " + hex(to) + ", " + problem};
  memmove(reinterpret_cast<void *>(to),
          staged ? staged->data() : reinterpret_cast<const void *>(from),
          bytes);
  return {};
}

CUresult copy(CUstream stream, CUdeviceptr to, CUdeviceptr from, size_t bytes,
              int toDevice, int fromDevice) {
  Memory &memory = Memory::get();
  bool toHost = !memory.isDevice(to), fromHost = !memory.isDevice(from);
  std::shared_ptr<std::vector<char>> staged;
  if (fromHost && !isPinned(from) && !stream->graph) {
    // Pageable memory is read before the function returns, or, as part of a
    // graph, each time that the graph is launched.
    auto *bytesOf = reinterpret_cast<const char *>(from);
    staged = std::make_shared<std::vector<char>>(bytesOf, bytesOf + bytes);
  }
  auto run = [=]() -> Error {
    return copyNow(to, from, bytes, toDevice, fromDevice, staged.get());
  };
  WorkPtr work = enqueue(
      stream, Action{"copy", "copy " + std::to_string(bytes), std::move(run)});
  if (toHost && !isPinned(to))
    complete(work);
  return stream->context->error.code;
}

} // namespace

API cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count,
                     CUstream handle) {
  Call call("cuMemsetD32Async", std::to_string(count));
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  if (to % sizeof(value))
    return CUDA_ERROR_INVALID_VALUE;
  int device = stream->context->device;
  auto run = [=]() -> Error {
    std::string problem =
        Memory::get().checkRange(to, count * sizeof(value), device);
    if (!problem.empty())
      return {CUDA_ERROR_ILLEGAL_ADDRESS, "memory that is set, " + problem};
    std::fill_n(reinterpret_cast<unsigned *>(to), count, value);
    return {};
  };
  enqueue(stream,
          Action{"memset", "set " + std::to_string(count), std::move(run)});
  return CUDA_SUCCESS;
}

API cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                  CUstream handle) {
  Call call("cuMemcpyAsync", std::to_string(bytes));
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  int device = currentContext()->device;
  return copy(stream, to, from, bytes, device, device);
}

API cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *pieces, CUstream handle) {
  const CUDA_MEMCPY3D &p = *pieces;
  Call call("cuMemcpy3DAsync_v2", std::to_string(p.WidthInBytes) + " x " +
                                      std::to_string(p.Height) + " x " +
                                      std::to_string(p.Depth));
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  // What is not used, is not emulated.
  bool isBetweenDevices = p.srcMemoryType == CU_MEMORYTYPE_DEVICE &&
                          p.dstMemoryType == CU_MEMORYTYPE_DEVICE;
  bool isFromStart = !p.srcXInBytes && !p.srcY && !p.srcZ && !p.srcLOD &&
                     !p.dstXInBytes && !p.dstY && !p.dstZ && !p.dstLOD;
  if (!isBetweenDevices || !isFromStart || p.reserved0 || p.reserved1)
    return CUDA_ERROR_NOT_SUPPORTED;
  constexpr size_t kMostPitch = 0x7fffffff;
  bool isDeep = p.Depth > 1;
  if (p.WidthInBytes > p.srcPitch || p.WidthInBytes > p.dstPitch ||
      p.srcPitch > kMostPitch || p.dstPitch > kMostPitch ||
      (isDeep && (p.Height > p.srcHeight || p.Height > p.dstHeight)))
    return CUDA_ERROR_INVALID_VALUE;
  int device = currentContext()->device;
  auto run = [p, device]() -> Error {
    for (size_t z = 0; z < p.Depth; ++z)
      for (size_t y = 0; y < p.Height; ++y) {
        CUdeviceptr from = p.srcDevice + (z * p.srcHeight + y) * p.srcPitch;
        CUdeviceptr to = p.dstDevice + (z * p.dstHeight + y) * p.dstPitch;
        if (Error error = copyNow(to, from, p.WidthInBytes, device, device);
            error.code != CUDA_SUCCESS)
          return error;
      }
    return {};
  };
  enqueue(stream, Action{"copy of pieces",
                         "copy " + std::to_string(p.Depth * p.Height) +
                             " pieces of " + std::to_string(p.WidthInBytes),
                         std::move(run)});
  return stream->context->error.code;
}

API cuMemcpyPeerAsync(CUdeviceptr to, CUcontext toContext, CUdeviceptr from,
                      CUcontext fromContext, size_t bytes, CUstream handle) {
  Call call("cuMemcpyPeerAsync", std::to_string(bytes));
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  return copy(stream, to, from, bytes, toContext->device, fromContext->device);
}

API cuPointerGetAttributes(unsigned count, CUpointer_attribute *attributes,
                           void **values, CUdeviceptr address) {
  Call call("cuPointerGetAttributes");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  const Allocation *allocation = Memory::get().find(address);
  for (unsigned i = 0; i < count; ++i) {
    int value = 0;
    if (attributes[i] == CU_POINTER_ATTRIBUTE_MEMORY_TYPE)
      value = allocation          ? CU_MEMORYTYPE_DEVICE
              : isPinned(address) ? CU_MEMORYTYPE_HOST
                                  : 0;
    else if (attributes[i] == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL)
      value = allocation ? allocation->device : -2;
    else
      return CUDA_ERROR_INVALID_VALUE;
    *static_cast<int *>(values[i]) = value;
  }
  return CUDA_SUCCESS;
}
