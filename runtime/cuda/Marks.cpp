//===- Marks.cpp - Places in streams of GPUs ------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/RuntimeError.h"
#include "runtime/cuda/Device.h"

using namespace gradopt::cuda;
using gradopt::runtime::fail;

gradopt_status gradopt_cuda_mark(int32_t number, void *stream, void **mark) {
  if (!mark)
    return fail(GRADOPT_INVALID_ARGUMENT, "gradopt_cuda_mark: null");
  *mark = nullptr;
  Device *device;
  if (gradopt_status status = Device::get(number, device); status != GRADOPT_OK)
    return status;
  InContext context(*device);
  CUresult error = context.error;
  CUevent event = nullptr;
  // To ask for it later would spoil the capture.
  if (error == CUDA_SUCCESS &&
      isCaptured(device->driver, static_cast<CUstream>(stream)))
    error = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (error == CUDA_SUCCESS)
    error = device->driver.cuEventCreate(&event, CU_EVENT_DISABLE_TIMING);
  if (error == CUDA_SUCCESS)
    error = device->driver.cuEventRecord(event, static_cast<CUstream>(stream));
  if (error == CUDA_SUCCESS) {
    *mark = event;
    return GRADOPT_OK;
  }
  if (event)
    device->driver.cuEventDestroy_v2(event);
  return failed(device->driver, error, "cannot mark a stream of cuda:%d",
                number);
}

gradopt_status gradopt_cuda_is_done(int32_t number, void *mark,
                                    int32_t *isDone) {
  if (!mark || !isDone)
    return fail(GRADOPT_INVALID_ARGUMENT, "gradopt_cuda_is_done: null");
  *isDone = 0;
  Device *device;
  if (gradopt_status status = Device::get(number, device); status != GRADOPT_OK)
    return status;
  InContext context(*device);
  CUresult error = context.error;
  auto event = static_cast<CUevent>(mark);
  if (error == CUDA_SUCCESS)
    error = device->driver.cuEventQuery(event);
  if (error == CUDA_ERROR_NOT_READY)
    return GRADOPT_OK;
  device->driver.cuEventDestroy_v2(event);
  *isDone = error == CUDA_SUCCESS;
  return *isDone ? GRADOPT_OK
                 : failed(device->driver, error,
                          "cannot ask for what is marked on cuda:%d", number);
}
