//===- HostCalls.cpp - Functions of the host on a device's data  ----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/HostCalls.h"
#include "runtime/HostBuffers.h"
#include "runtime/Interface.h"
#include "runtime/Lapack.h"
#include "runtime/ObjectCode.h"
#include "runtime/RuntimeError.h"
#include "runtime/Sorting.h"

namespace gradopt::cuda {
namespace {

/// The operands of a call begin with its number and that of its inputs.
constexpr size_t kFirstBuffer = 2;

size_t aligned(size_t bytes) {
  return (bytes + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
}

/// Calls `visit` for each buffer of a call, with the number of the operand that
/// is its address, its type, and where it is in the lane's memory of the host.
/// There, the table of all comes first. Returns where the last one ends.
template <typename NumberAt, typename Visit>
size_t forEachBuffer(size_t count, NumberAt numberAt, Visit visit) {
  // Each has three operands at least.
  size_t end = aligned(count / 3 * sizeof(gradopt_buffer));
  for (size_t i = kFirstBuffer; i < count;) {
    size_t next = i + 1;
    runtime::HostBufferType type;
    type.read([&](int64_t &number) {
      if (next < count)
        number = numberAt(next++);
      return true;
    });
    visit(i, type, end);
    end += aligned(size_t(type.bytes));
    i = next;
  }
  return end;
}

/// Of one call, for `gradopt::runtime::runWithTargets`.
struct Prepared {
  HostFunction function;
  int64_t number;
  const gradopt_buffer *table;
  int64_t numInputs, numOuts;

  static int32_t run(void **self) {
    auto &call = *static_cast<Prepared *>(*self);
    call.function(call.number, call.table, call.numInputs,
                  call.table + call.numInputs, call.numOuts);
    return 0;
  }
};

} // namespace

gradopt_status HostFunctions::find(uint32_t function) {
  constexpr char kFourier[] = "gradopt_fourier";
  const char *hint = "";
  HostFunction found = nullptr;
  switch (function) {
  case GRADOPT_HOST_TARGET:
    found = &gradopt_call_target;
    break;
  case GRADOPT_HOST_LAPACK:
    found = &gradopt_lapack;
    break;
  case GRADOPT_HOST_SORT:
    found = &gradopt_sort;
    break;
  default:
    found = reinterpret_cast<HostFunction>(
        runtime::findOutsideFunction(kFourier, hint));
    break;
  }
  functions[function] = found;
  return found ? GRADOPT_OK
               : runtime::fail(GRADOPT_INVALID_OBJECT,
                               "the program calls %s, which is not there%s",
                               kFourier, hint);
}

size_t countStaging(const gradopt_operand *operands, size_t count) {
  return forEachBuffer(
      count, [&](size_t i) { return operands[i].offset; },
      [](size_t, const runtime::HostBufferType &, size_t) {});
}

gradopt_status callHost(const Device &device, Lane &lane, CUstream stream,
                        HostFunction function, const int64_t *values,
                        size_t count, runtime::Targets targets) {
  const Driver &driver = device.driver;
  char *staging = lane.staging;
  auto *table = reinterpret_cast<gradopt_buffer *>(staging);
  int64_t numInputs = values[1], numBuffers = 0;
  auto numberAt = [&](size_t i) { return values[i]; };
  CUresult error = CUDA_SUCCESS;
  auto copy = [&](CUdeviceptr to, CUdeviceptr from, int64_t bytes) {
    if (error == CUDA_SUCCESS && bytes)
      error = driver.cuMemcpyAsync(to, from, size_t(bytes), stream);
  };
  auto failedTo = [&](const char *what) {
    return failed(driver, error, "cannot %s of cuda:%d", what, device.number);
  };
  forEachBuffer(
      count, numberAt,
      [&](size_t i, const runtime::HostBufferType &type, size_t offset) {
        table[numBuffers] = {staging + offset, values + i + 3, type.rank,
                             type.dtype};
        if (numBuffers++ < numInputs)
          copy(reinterpret_cast<CUdeviceptr>(staging + offset),
               CUdeviceptr(values[i]), type.bytes);
      });
  // What the last call copied back has left the memory, too.
  if (error == CUDA_SUCCESS)
    error = driver.cuStreamSynchronize(stream);
  if (error != CUDA_SUCCESS)
    return failedTo("copy what a function of the host needs");
  Prepared call = {function, values[0], table, numInputs,
                   numBuffers - numInputs};
  void *self = &call;
  int32_t status;
  runtime::RunEnd end =
      runtime::runWithTargets(&Prepared::run, &self, targets, status);
  if (end != runtime::RunEnd::Returned)
    return runtime::reportEnd(end, targets.size);
  int64_t number = 0;
  forEachBuffer(
      count, numberAt,
      [&](size_t i, const runtime::HostBufferType &type, size_t offset) {
        if (number++ >= numInputs && !type.isScratch)
          copy(CUdeviceptr(values[i]),
               reinterpret_cast<CUdeviceptr>(staging + offset), type.bytes);
      });
  return error == CUDA_SUCCESS
             ? GRADOPT_OK
             : failedTo("copy what a function of the host returned to memory");
}

} // namespace gradopt::cuda
