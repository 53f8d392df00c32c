//===- Device.h - One GPU and its memory ------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Calls on one stream run one after the other, so that they share what a call
// needs beside its buffers: that is a *lane*. It belongs to the stream's
// number, which, unlike its address, no other stream ever has. Lanes of streams
// that are gone are taken over when there are many.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_CUDA_DEVICE_H
#define GRADOPT_RUNTIME_CUDA_DEVICE_H

#include "runtime/cuda/Library.h"

#include <atomic>
#include <pthread.h>

namespace gradopt::cuda {

/// What calls on one stream use, one call at a time.
struct Lane {
  Lane *next = nullptr;
  unsigned long long stream = 0;
  /// Calls that use it or wait for it.
  std::atomic<unsigned> users = 0;
  uint64_t lastUse = 0;
  bool isUnused = false;
  /// No stream has it: its calls are part of a graph of somebody else, which
  /// uses its memory whenever it is launched.
  bool isDetached = false;
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

  /// Another number as soon as one of the addresses is another one. No two
  /// lanes ever have the same.
  uint64_t version = 0;
  CUdeviceptr arena = 0;
  size_t arenaBytes = 0;
  /// cuBLAS's.
  CUdeviceptr workspace = 0;
  /// What cuFFT and cuSOLVER work in, one after the other.
  CUdeviceptr libraryMemory = 0;
  size_t libraryBytes = 0;
  /// cuSOLVER's, which has memory of its own on the device beside this.
  LibraryHandle *solver = nullptr;

  /// A stream to capture graphs on.
  CUstream captureStream = nullptr;
  /// Page-locked memory of the host, for a number of the device, and for what
  /// functions of the host work on.
  void *pinned = nullptr;
  char *staging = nullptr;
  size_t stagingBytes = 0;
  /// Memory of the host: the words of a table, and the values of operands.
  int64_t *words = nullptr;
  size_t numWords = 0;
};

struct Device {
  Device(const Driver &driver, int number) : driver(driver), number(number) {}

  /// The one with this number, ready for use.
  static gradopt_status get(int32_t number, Device *&device);

  /// Memory for what comes next on a stream. Frees what is unused if there is
  /// not enough, unless the stream is captured, or `mayWait` is false: another
  /// one is.
  gradopt_status allocate(size_t bytes, CUstream stream, CUdeviceptr &address,
                          bool mayWait = true);
  CUresult free(CUdeviceptr address, CUstream stream);
  /// Waits for the device, and frees the lanes that nobody uses.
  bool freeUnused();

  /// The lane of a stream, locked; to be called in the context.
  gradopt_status acquire(CUstream stream, Lane *&lane);
  void release(Lane &lane);

  /// A lane that no stream has; null if there is no memory.
  Lane *makeLane();
  void destroy(Lane *lane);

  /// Lets a lane have so much memory; `stream` is the one it belongs to.
  gradopt_status reserveArena(Lane &lane, size_t bytes, CUstream stream);
  gradopt_status reserveWorkspace(Lane &lane, CUstream stream, size_t &bytes);
  gradopt_status reserveLibraryMemory(Lane &lane, size_t bytes,
                                      CUstream stream);
  gradopt_status reserveWords(Lane &lane, size_t count);
  gradopt_status reservePinned(Lane &lane);
  gradopt_status reserveStaging(Lane &lane, size_t bytes, CUstream stream);
  gradopt_status reserveCaptureStream(Lane &lane);

  const Driver &driver;
  const int number;
  char name[128] = {};
  int chip = 0, numMultiprocessors = 0;
  uint64_t memoryBytes = 0;
  CUcontext context = nullptr;
  /// A stream for what is done when programs are loaded.
  CUstream loader = nullptr;

  /// Guards the loading of programs, and the list of those that are loaded.
  pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
  gradopt_cuda_module *modules = nullptr;

  LibraryOnDevice blas{blasLibrary}, fourier{fourierLibrary},
      solver{solverLibrary};
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

private:
  gradopt_status open();
  gradopt_status describe();
  gradopt_status reserve(CUdeviceptr &address, size_t bytes, CUstream stream,
                         Lane &lane);
  CUresult tryAllocate(size_t bytes, CUstream stream, CUdeviceptr &address);
  void freeMemory(Lane &lane);

  std::atomic<bool> isOpen = false;
  CUmemoryPool pool = nullptr;
  Lane *lanes = nullptr;
  unsigned numLanes = 0;
  uint64_t uses = 0;
};

/// The device's context is current for the thread while the object lives.
class InContext {
public:
  explicit InContext(const Device &device) : driver(device.driver) {
    CUcontext current = nullptr;
    error = driver.cuCtxGetCurrent(&current);
    if (error == CUDA_SUCCESS && current != device.context) {
      error = driver.cuCtxPushCurrent_v2(device.context);
      isPushed = error == CUDA_SUCCESS;
    }
  }
  ~InContext() {
    CUcontext popped;
    if (isPushed)
      driver.cuCtxPopCurrent_v2(&popped);
  }
  InContext(const InContext &) = delete;
  InContext &operator=(const InContext &) = delete;

  CUresult error;

private:
  const Driver &driver;
  bool isPushed = false;
};

/// Whether somebody captures the stream.
bool isCaptured(const Driver &driver, CUstream stream);

} // namespace gradopt::cuda

#endif // GRADOPT_RUNTIME_CUDA_DEVICE_H
