//===- Bundle.cpp - Programs of bundles on a GPU --------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A program is loaded on a device when it is first called there: its code, and
// the constants of the bundle, which are uploaded once. Arguments that are
// sizes of others are on the host, where they are checked; a call copies them.
//
//===----------------------------------------------------------------------===//

#include "runtime/Bundle.h"
#include "runtime/BusySection.h"
#include "runtime/Lock.h"
#include "runtime/RuntimeError.h"
#include "runtime/cuda/Device.h"
#include "runtime/cuda/Program.h"

#include <alloca.h>
#include <cstdlib>
#include <cstring>
#include <new>

using namespace gradopt::cuda;
using gradopt::runtime::BusySection;
using gradopt::runtime::fail;
using gradopt::runtime::Lock;

namespace gradopt::bundle {

struct OnDevice {
  OnDevice *next = nullptr;
  int32_t device = 0;
  gradopt_cuda_module *module = nullptr;
  /// All constants, one after the other.
  CUdeviceptr constants = 0;
};

namespace {

size_t aligned(size_t bytes) {
  constexpr size_t unit = GRADOPT_DEVICE_ALIGNMENT;
  return (bytes + unit - 1) / unit * unit;
}

OnDevice *find(const gradopt_program &program, int32_t device) {
  OnDevice *each = program.onDevices.load(std::memory_order_acquire);
  while (each && each->device != device)
    each = each->next;
  return each;
}

gradopt_status loadConstants(const gradopt_program &program, Device &device,
                             OnDevice &loaded) {
  size_t bytes = 0;
  for (size_t i = 0; i < program.numConstants; ++i)
    bytes += aligned(program.captures()[i].bytes);
  if (bytes == 0)
    return GRADOPT_OK;
  const Driver &driver = device.driver;
  InContext context(device);
  RelaxedCapture relaxed(driver);
  if (gradopt_status status =
          device.allocate(bytes, device.loader, loaded.constants);
      status != GRADOPT_OK)
    return status;
  CUdeviceptr to = loaded.constants;
  CUresult error = CUDA_SUCCESS;
  for (size_t i = 0; i < program.numConstants; ++i) {
    size_t size = program.captures()[i].bytes;
    auto from = reinterpret_cast<CUdeviceptr>(program.constants[i]);
    if (size && error == CUDA_SUCCESS)
      error = driver.cuMemcpyAsync(to, from, size, device.loader);
    to += aligned(size);
  }
  if (error == CUDA_SUCCESS)
    error = driver.cuStreamSynchronize(device.loader);
  return error == CUDA_SUCCESS
             ? GRADOPT_OK
             : failed(driver, error, "cannot copy constants to cuda:%d",
                      device.number);
}

void destroy(OnDevice *loaded) {
  Device *device;
  // The child of a process that loaded it has nothing there.
  if (loaded->constants && Device::get(loaded->device, device) == GRADOPT_OK) {
    InContext context(*device);
    RelaxedCapture relaxed(device->driver);
    device->driver.cuCtxSynchronize();
    device->free(loaded->constants, device->loader);
  }
  gradopt_cuda_module_unload(loaded->module);
  std::free(loaded);
}

gradopt_status load(const gradopt_program &program, int32_t number,
                    OnDevice *&loaded) {
  Device *device;
  if (gradopt_status status = Device::get(number, device); status != GRADOPT_OK)
    return status;
  void *memory = std::malloc(sizeof(OnDevice));
  if (!memory)
    return fail(GRADOPT_OUT_OF_MEMORY, "out of memory");
  loaded = new (memory) OnDevice;
  loaded->device = number;
  gradopt_status status = gradopt_cuda_module_load(
      program.deviceCode, program.deviceCodeBytes, number, &loaded->module);
  if (status == GRADOPT_OK)
    status = loadConstants(program, *device, *loaded);
  if (status != GRADOPT_OK)
    destroy(loaded);
  return status;
}

/// The program on a device, where it is loaded if need be.
gradopt_status get(gradopt_program &program, int32_t device,
                   OnDevice *&loaded) {
  loaded = find(program, device);
  if (loaded)
    return GRADOPT_OK;
  if (!program.deviceCode)
    return fail(GRADOPT_INVALID_BUNDLE, "%s has no code for GPUs",
                program.name);
  BusySection section;
  Lock lock(program.loading);
  loaded = find(program, device);
  if (loaded)
    return GRADOPT_OK;
  if (gradopt_status status = load(program, device, loaded);
      status != GRADOPT_OK)
    return status;
  loaded->next = program.onDevices.load(std::memory_order_relaxed);
  program.onDevices.store(loaded, std::memory_order_release);
  return GRADOPT_OK;
}

/// Memory of a device, freed in the order of its stream.
class DeviceBlock {
public:
  DeviceBlock(int32_t device, void *stream) : device(device), stream(stream) {}
  ~DeviceBlock() { (void)gradopt_cuda_free(device, memory, stream); }
  DeviceBlock(const DeviceBlock &) = delete;
  DeviceBlock &operator=(const DeviceBlock &) = delete;

  gradopt_status allocate(size_t bytes) {
    return gradopt_cuda_allocate(device, bytes, stream, &memory);
  }
  char *begin() const { return static_cast<char *>(memory); }

private:
  const int32_t device;
  void *const stream;
  void *memory = nullptr;
};

/// The numbers that a call has on the device beside its arrays, each of which
/// is where an array may be: what its checks find, and sizes.
class CallNumbers {
public:
  static constexpr size_t kStride = 16;

  CallNumbers(const OnDevice &loaded, void *stream)
      : block(loaded.device, stream), device(loaded.device), stream(stream) {}

  gradopt_status prepare(const gradopt_program &program,
                         void *const *arguments) {
    size_t numSizes = 0;
    for (size_t i = 0; i < program.numArguments; ++i)
      numSizes += program.isSize(i);
    numOutcomes = program.numChecks ? kOutcomes : 0;
    if (gradopt_status status =
            block.allocate((numOutcomes + numSizes) * kStride);
        status != GRADOPT_OK || numSizes == 0)
      return status;
    auto *values = static_cast<char *>(alloca(numSizes * kStride));
    std::memset(values, 0, numSizes * kStride);
    char *next = values;
    for (size_t i = 0; i < program.numArguments; ++i)
      if (program.isSize(i)) {
        std::memcpy(next, arguments[i], sizeof(int64_t));
        next += kStride;
      }
    return gradopt_cuda_copy(device, at(numOutcomes), values,
                             numSizes * kStride, stream);
  }

  void *outcome(size_t i) const { return at(i); }
  void *size(size_t i) const { return at(numOutcomes + i); }

  gradopt_status read(int64_t *outcomes) const {
    gradopt_status status = GRADOPT_OK;
    for (size_t i = 0; i < numOutcomes && status == GRADOPT_OK; ++i)
      status = gradopt_cuda_copy(device, &outcomes[i], outcome(i),
                                 sizeof(int64_t), stream);
    return status;
  }

private:
  char *at(size_t i) const { return block.begin() + i * kStride; }

  DeviceBlock block;
  const int32_t device;
  void *const stream;
  size_t numOutcomes = 0;
};

/// Queues a call whose sizes are what they may be, of this room.
gradopt_status call(const gradopt_program &program, const OnDevice &loaded,
                    void *const *arguments, void *const *results, int64_t room,
                    void *stream) {
  CallNumbers numbers(loaded, stream);
  if (gradopt_status status = numbers.prepare(program, arguments);
      status != GRADOPT_OK)
    return status;
  size_t most = program.numArrays() + kOutcomes + 1;
  auto **buffers = static_cast<void **>(alloca(most * sizeof(void *)));
  size_t count = 0, numSizes = 0;
  for (size_t i = 0; i < program.numArguments; ++i)
    buffers[count++] =
        program.isSize(i) ? numbers.size(numSizes++) : arguments[i];
  CUdeviceptr constant = loaded.constants;
  for (size_t i = 0; i < program.numConstants; ++i) {
    buffers[count++] = reinterpret_cast<void *>(constant);
    constant += aligned(program.captures()[i].bytes);
  }
  for (size_t i = 0; i < program.numResults; ++i)
    if (program.results()[i].reused < 0)
      buffers[count++] = results[i];
  for (size_t i = 0; program.numChecks && i < kOutcomes; ++i)
    buffers[count++] = numbers.outcome(i);
  if (program.isOpen)
    buffers[count++] = reinterpret_cast<void *>(room / kRoomParts);
  gradopt_status status =
      gradopt_cuda_call(loaded.module, buffers, count, stream);
  if (status != GRADOPT_OK || !program.numChecks)
    return status;
  int64_t outcomes[kOutcomes] = {};
  status = numbers.read(outcomes);
  return status == GRADOPT_OK ? program.finish(outcomes) : status;
}

} // namespace

gradopt_status checkDeviceCode(gradopt_program &program) {
  cuda::Program read;
  if (gradopt_status status =
          read.read(program.deviceCode, program.deviceCodeBytes);
      status != GRADOPT_OK)
    return status;
  auto least = program.isOpen ? gradopt::findRoom(0, program.leastRoom) : 0;
  return program.fits(read.commands(), /*forDevice=*/true) &&
                 int64_t(read.header.least_room) == least
             ? GRADOPT_OK
             : fail(GRADOPT_INVALID_BUNDLE,
                    "the code for GPUs of %s is for other arrays",
                    program.name);
}

gradopt_status callOnDevice(gradopt_program &program, void *const *arguments,
                            void *const *results, int64_t room) {
  OnDevice *loaded;
  if (gradopt_status status = get(program, /*device=*/0, loaded);
      status != GRADOPT_OK)
    return status;
  auto resultBytes = [&](size_t i) {
    return gradopt_array_bytes(&program.results()[i], room);
  };
  size_t bytes = 0;
  bool isTooMuch = false;
  auto add = [&](size_t size) {
    isTooMuch |= size > SIZE_MAX / 2 ||
                 __builtin_add_overflow(bytes, aligned(size), &bytes);
  };
  for (size_t i = 0; i < program.numArguments; ++i)
    add(program.argumentBytes(i, arguments));
  for (size_t i = 0; i < program.numResults; ++i)
    if (program.results()[i].reused < 0)
      add(resultBytes(i));
  if (isTooMuch)
    return fail(GRADOPT_OUT_OF_MEMORY, "%s: out of memory", program.name);
  DeviceBlock block(loaded->device, /*stream=*/nullptr);
  gradopt_status status = block.allocate(bytes);
  char *next = block.begin();
  auto take = [&](size_t size) {
    char *begin = next;
    next += aligned(size);
    return begin;
  };
  auto copy = [&](void *to, const void *from, size_t size) {
    if (status == GRADOPT_OK)
      status = gradopt_cuda_copy(loaded->device, to, from, size, nullptr);
  };
  size_t count = program.numArguments + program.numResults;
  auto **there = static_cast<void **>(alloca((count + 1) * sizeof(void *)));
  void **resultsThere = there + program.numArguments;
  for (size_t i = 0; i < program.numArguments; ++i) {
    if (program.isSize(i)) {
      there[i] = arguments[i];
      continue;
    }
    size_t size = program.argumentBytes(i, arguments);
    there[i] = take(size);
    copy(there[i], arguments[i], size);
  }
  for (size_t i = 0; i < program.numResults; ++i) {
    int64_t reused = program.results()[i].reused;
    resultsThere[i] = reused < 0 ? take(resultBytes(i)) : there[reused];
  }
  if (status == GRADOPT_OK)
    status = call(program, *loaded, there, resultsThere, room, nullptr);
  for (size_t i = 0; i < program.numResults; ++i) {
    int64_t reused = program.results()[i].reused;
    copy(reused < 0 ? results[i] : arguments[reused], resultsThere[i],
         resultBytes(i));
  }
  return status == GRADOPT_OK
             ? gradopt_cuda_synchronize(loaded->device, nullptr)
             : status;
}

void unloadFromDevices(gradopt_program &program) {
  OnDevice *next = program.onDevices.load(std::memory_order_relaxed);
  while (OnDevice *loaded = next) {
    next = loaded->next;
    destroy(loaded);
  }
}

} // namespace gradopt::bundle

using namespace gradopt::bundle;

int32_t gradopt_program_has_cuda_code(const gradopt_program *program) {
  return program->deviceCode != nullptr;
}

gradopt_status gradopt_program_load_cuda(gradopt_program *program,
                                         int32_t device) {
  if (!program)
    return fail(GRADOPT_INVALID_ARGUMENT,
                "gradopt_program_load_cuda: null program");
  OnDevice *loaded;
  return get(*program, device, loaded);
}

gradopt_status gradopt_program_call_cuda(gradopt_program *program,
                                         int32_t device, void *const *arguments,
                                         void *const *results, void *stream) {
  if (!program || (!arguments && program->numArguments) ||
      (!results && program->numResults))
    return fail(
        GRADOPT_INVALID_ARGUMENT,
        "gradopt_program_call_cuda: null program, arguments or results");
  OnDevice *loaded;
  gradopt_status status = get(*program, device, loaded);
  int64_t room;
  if (status == GRADOPT_OK)
    status = program->findRoom(arguments, room);
  return status == GRADOPT_OK
             ? call(*program, *loaded, arguments, results, room, stream)
             : status;
}
