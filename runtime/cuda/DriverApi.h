//===- DriverApi.h - The part of CUDA's driver API in use -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What cuda.h declares, as far as the runtime and the emulator need it, so that
// neither needs CUDA to be compiled. Names, numbers and layouts are those of
// CUDA 12.0 and do not change: functions are asked for by the names that they
// have in the library, with the versions.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_CUDA_DRIVERAPI_H
#define GRADOPT_RUNTIME_CUDA_DRIVERAPI_H

#include <cstddef>
#include <cstdint>

extern "C" {

using CUdevice = int;
using CUdeviceptr = unsigned long long;
using CUcontext = struct CUctx_st *;
using CUmodule = struct CUmod_st *;
using CUfunction = struct CUfunc_st *;
using CUstream = struct CUstream_st *;
using CUevent = struct CUevent_st *;
using CUgraph = struct CUgraph_st *;
using CUgraphNode = struct CUgraphNode_st *;
using CUgraphExec = struct CUgraphExec_st *;
using CUarray = struct CUarray_st *;
using CUmemoryPool = struct CUmemPoolHandle_st *;

enum CUresult : int {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_INVALID_VALUE = 1,
  CUDA_ERROR_OUT_OF_MEMORY = 2,
  CUDA_ERROR_NOT_INITIALIZED = 3,
  CUDA_ERROR_NO_DEVICE = 100,
  CUDA_ERROR_INVALID_DEVICE = 101,
  CUDA_ERROR_INVALID_IMAGE = 200,
  CUDA_ERROR_INVALID_CONTEXT = 201,
  CUDA_ERROR_NO_BINARY_FOR_GPU = 209,
  CUDA_ERROR_ECC_UNCORRECTABLE = 214,
  CUDA_ERROR_INVALID_PTX = 218,
  CUDA_ERROR_NVLINK_UNCORRECTABLE = 220,
  CUDA_ERROR_INVALID_HANDLE = 400,
  CUDA_ERROR_NOT_FOUND = 500,
  CUDA_ERROR_NOT_READY = 600,
  CUDA_ERROR_ILLEGAL_ADDRESS = 700,
  CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES = 701,
  CUDA_ERROR_LAUNCH_TIMEOUT = 702,
  CUDA_ERROR_ASSERT = 710,
  CUDA_ERROR_HARDWARE_STACK_ERROR = 714,
  CUDA_ERROR_MISALIGNED_ADDRESS = 716,
  CUDA_ERROR_LAUNCH_FAILED = 719,
  CUDA_ERROR_NOT_SUPPORTED = 801,
  CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900,
  CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 901,
  CUDA_ERROR_STREAM_CAPTURE_UNMATCHED = 903,
  CUDA_ERROR_STREAM_CAPTURE_ISOLATION = 905,
  CUDA_ERROR_CAPTURED_EVENT = 907,
  CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD = 908,
  CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE = 910
};

enum CUdevice_attribute : int {
  CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT = 16,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
  CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED = 115
};

enum CUpointer_attribute : int {
  CU_POINTER_ATTRIBUTE_MEMORY_TYPE = 2,
  CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL = 9
};

enum CUmemorytype : int { CU_MEMORYTYPE_HOST = 1, CU_MEMORYTYPE_DEVICE = 2 };

enum CUjit_option : int {
  CU_JIT_ERROR_LOG_BUFFER = 5,
  CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6
};

enum CUstreamCaptureMode : int {
  CU_STREAM_CAPTURE_MODE_GLOBAL = 0,
  CU_STREAM_CAPTURE_MODE_THREAD_LOCAL = 1,
  CU_STREAM_CAPTURE_MODE_RELAXED = 2
};

enum CUstreamCaptureStatus : int {
  CU_STREAM_CAPTURE_STATUS_NONE = 0,
  CU_STREAM_CAPTURE_STATUS_ACTIVE = 1,
  CU_STREAM_CAPTURE_STATUS_INVALIDATED = 2
};

enum CUmemAllocationType : int { CU_MEM_ALLOCATION_TYPE_PINNED = 1 };
enum CUmemAllocationHandleType : int { CU_MEM_HANDLE_TYPE_NONE = 0 };
enum CUmemLocationType : int { CU_MEM_LOCATION_TYPE_DEVICE = 1 };
enum CUmemPool_attribute : int { CU_MEMPOOL_ATTR_RELEASE_THRESHOLD = 4 };

struct CUDA_MEMCPY3D {
  size_t srcXInBytes, srcY, srcZ, srcLOD;
  CUmemorytype srcMemoryType;
  const void *srcHost;
  CUdeviceptr srcDevice;
  CUarray srcArray;
  void *reserved0;
  size_t srcPitch, srcHeight;
  size_t dstXInBytes, dstY, dstZ, dstLOD;
  CUmemorytype dstMemoryType;
  void *dstHost;
  CUdeviceptr dstDevice;
  CUarray dstArray;
  void *reserved1;
  size_t dstPitch, dstHeight;
  size_t WidthInBytes, Height, Depth;
};
static_assert(sizeof(CUDA_MEMCPY3D) == 200);

struct CUmemLocation {
  CUmemLocationType type;
  int id;
};

struct CUmemPoolProps {
  CUmemAllocationType allocType;
  CUmemAllocationHandleType handleTypes;
  CUmemLocation location;
  void *win32SecurityAttributes;
  size_t maxSize;
  unsigned char reserved[56];
};
static_assert(sizeof(CUmemPoolProps) == 88);

enum CUgraphExecUpdateResult : int {
  CU_GRAPH_EXEC_UPDATE_SUCCESS = 0,
  CU_GRAPH_EXEC_UPDATE_ERROR = 1,
  CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED = 2
};

struct CUgraphExecUpdateResultInfo {
  CUgraphExecUpdateResult result;
  CUgraphNode errorNode, errorFromNode;
};

} // extern "C"

inline constexpr unsigned CU_STREAM_DEFAULT = 0;
inline constexpr unsigned CU_STREAM_NON_BLOCKING = 1;
inline constexpr unsigned CU_EVENT_DEFAULT = 0, CU_EVENT_DISABLE_TIMING = 2;

/// Streams that are always there, beside null, which is the first one.
inline CUstream const CU_STREAM_LEGACY = reinterpret_cast<CUstream>(1);
inline CUstream const CU_STREAM_PER_THREAD = reinterpret_cast<CUstream>(2);

/// Keys of the last parameter of cuLaunchKernel.
inline void *const CU_LAUNCH_PARAM_END = nullptr;
inline void *const CU_LAUNCH_PARAM_BUFFER_POINTER = reinterpret_cast<void *>(1);
inline void *const CU_LAUNCH_PARAM_BUFFER_SIZE = reinterpret_cast<void *>(2);

/// F(name, parameters) for each function, all of which return a CUresult.
#define GRADOPT_DRIVER_FUNCTIONS(F)                                            \
  F(cuInit, (unsigned flags))                                                  \
  F(cuDriverGetVersion, (int *version))                                        \
  F(cuGetErrorName, (CUresult error, const char **name))                       \
  F(cuGetErrorString, (CUresult error, const char **words))                    \
  F(cuDeviceGetCount, (int *count))                                            \
  F(cuDeviceGet, (CUdevice * device, int number))                              \
  F(cuDeviceGetName, (char *name, int size, CUdevice device))                  \
  F(cuDeviceGetAttribute,                                                      \
    (int *value, CUdevice_attribute attribute, CUdevice device))               \
  F(cuDeviceTotalMem_v2, (size_t *bytes, CUdevice device))                     \
  F(cuDevicePrimaryCtxRetain, (CUcontext * context, CUdevice device))          \
  F(cuCtxPushCurrent_v2, (CUcontext context))                                  \
  F(cuCtxPopCurrent_v2, (CUcontext * context))                                 \
  F(cuCtxGetCurrent, (CUcontext * context))                                    \
  F(cuCtxSynchronize, ())                                                      \
  F(cuModuleLoadDataEx, (CUmodule * module, const void *image, unsigned count, \
                         CUjit_option *options, void **values))                \
  F(cuModuleUnload, (CUmodule module))                                         \
  F(cuModuleGetFunction,                                                       \
    (CUfunction * function, CUmodule module, const char *name))                \
  F(cuLaunchKernel,                                                            \
    (CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ,      \
     unsigned blockX, unsigned blockY, unsigned blockZ, unsigned sharedBytes,  \
     CUstream stream, void **parameters, void **extra))                        \
  F(cuStreamCreate, (CUstream * stream, unsigned flags))                       \
  F(cuStreamDestroy_v2, (CUstream stream))                                     \
  F(cuStreamSynchronize, (CUstream stream))                                    \
  F(cuStreamWaitEvent, (CUstream stream, CUevent event, unsigned flags))       \
  F(cuStreamGetId, (CUstream stream, unsigned long long *id))                  \
  F(cuStreamGetCtx, (CUstream stream, CUcontext * context))                    \
  F(cuStreamIsCapturing, (CUstream stream, CUstreamCaptureStatus * status))    \
  F(cuStreamBeginCapture_v2, (CUstream stream, CUstreamCaptureMode mode))      \
  F(cuStreamEndCapture, (CUstream stream, CUgraph * graph))                    \
  F(cuThreadExchangeStreamCaptureMode, (CUstreamCaptureMode * mode))           \
  F(cuGraphInstantiateWithFlags,                                               \
    (CUgraphExec * executable, CUgraph graph, unsigned long long flags))       \
  F(cuGraphExecUpdate_v2, (CUgraphExec executable, CUgraph graph,              \
                           CUgraphExecUpdateResultInfo * info))                \
  F(cuGraphLaunch, (CUgraphExec executable, CUstream stream))                  \
  F(cuGraphDestroy, (CUgraph graph))                                           \
  F(cuGraphExecDestroy, (CUgraphExec executable))                              \
  F(cuEventCreate, (CUevent * event, unsigned flags))                          \
  F(cuEventRecord, (CUevent event, CUstream stream))                           \
  F(cuEventQuery, (CUevent event))                                             \
  F(cuEventElapsedTime, (float *milliseconds, CUevent start, CUevent end))     \
  F(cuEventDestroy_v2, (CUevent event))                                        \
  F(cuMemPoolCreate, (CUmemoryPool * pool, const CUmemPoolProps *properties))  \
  F(cuMemPoolSetAttribute,                                                     \
    (CUmemoryPool pool, CUmemPool_attribute attribute, void *value))           \
  F(cuMemPoolTrimTo, (CUmemoryPool pool, size_t bytesToKeep))                  \
  F(cuMemAllocFromPoolAsync,                                                   \
    (CUdeviceptr * address, size_t bytes, CUmemoryPool pool, CUstream stream)) \
  F(cuMemFreeAsync, (CUdeviceptr address, CUstream stream))                    \
  F(cuMemGetInfo_v2, (size_t *free, size_t *total))                            \
  F(cuMemAlloc_v2, (CUdeviceptr * address, size_t bytes))                      \
  F(cuMemFree_v2, (CUdeviceptr address))                                       \
  F(cuMemAllocHost_v2, (void **address, size_t bytes))                         \
  F(cuMemFreeHost, (void *address))                                            \
  F(cuMemsetD32Async,                                                          \
    (CUdeviceptr to, unsigned value, size_t count, CUstream stream))           \
  F(cuMemcpyAsync,                                                             \
    (CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream))         \
  F(cuMemcpy3DAsync_v2, (const CUDA_MEMCPY3D *copy, CUstream stream))          \
  F(cuMemcpyPeerAsync, (CUdeviceptr to, CUcontext toContext, CUdeviceptr from, \
                        CUcontext fromContext, size_t bytes, CUstream stream)) \
  F(cuPointerGetAttributes, (unsigned count, CUpointer_attribute *attributes,  \
                             void **values, CUdeviceptr address))

#endif // GRADOPT_RUNTIME_CUDA_DRIVERAPI_H
