//===- Module.cpp - Loading programs for a GPU ----------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/Module.h"
#include "runtime/BusySection.h"
#include "runtime/Lock.h"
#include "runtime/RuntimeError.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <new>

using namespace gradopt::cuda;
using gradopt::runtime::BusySection;
using gradopt::runtime::fail;
using gradopt::runtime::Lock;
using gradopt::runtime::sha256;

namespace {

void destroy(gradopt_cuda_module *module) {
  module->unload();
  module->~gradopt_cuda_module();
  std::free(module);
}

} // namespace

gradopt_status gradopt_cuda_module::load(const void *bytes, size_t size) {
  if (gradopt_status status = program.read(bytes, size); status != GRADOPT_OK)
    return status;
  InContext context(device);
  RelaxedCapture relaxed(device.driver);
  for (auto step :
       {&gradopt_cuda_module::loadCode, &gradopt_cuda_module::loadFunctions,
        &gradopt_cuda_module::loadConstants,
        &gradopt_cuda_module::readCommands})
    if (gradopt_status status = (this->*step)(); status != GRADOPT_OK)
      return status;
  return GRADOPT_OK;
}

gradopt_status gradopt_cuda_module::loadCode() {
  if (program.header.num_kernels == 0)
    return GRADOPT_OK;
  gradopt_device_image image;
  if (gradopt_status status = program.choose(device, image);
      status != GRADOPT_OK)
    return status;
  // What the driver's compiler says about PTX.
  char words[512] = {};
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER,
                            CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void *values[] = {words, reinterpret_cast<void *>(sizeof(words) - 1)};
  CUresult error = device.driver.cuModuleLoadDataEx(
      &code, program.at(image.offset), 2, options, values);
  if (error == CUDA_SUCCESS)
    return GRADOPT_OK;
  code = nullptr;
  return failed(device.driver, error,
                "cannot load the kernels of a program for sm_%u on cuda:%d "
                "(%s, sm_%d)%s%s",
                image.chip, device.number, device.name, device.chip,
                *words ? ": " : "", words);
}

gradopt_status gradopt_cuda_module::loadFunctions() {
  size_t count = program.header.num_kernels;
  if (!functions.allocate(count))
    return fail(GRADOPT_OUT_OF_MEMORY, "out of memory");
  for (size_t i = 0; i < count; ++i) {
    CUresult error =
        device.driver.cuModuleGetFunction(&functions[i], code, program.name(i));
    if (error != CUDA_SUCCESS)
      return failed(device.driver, error, "a program has no kernel %.100s",
                    program.name(i));
  }
  return GRADOPT_OK;
}

gradopt_status gradopt_cuda_module::loadConstants() {
  size_t bytes = program.header.constants_bytes;
  if (bytes == 0)
    return GRADOPT_OK;
  if (gradopt_status status = device.allocate(bytes, device.loader, constants);
      status != GRADOPT_OK)
    return status;
  const Driver &driver = device.driver;
  auto from =
      reinterpret_cast<CUdeviceptr>(program.at(program.header.constants));
  CUresult error = driver.cuMemcpyAsync(constants, from, bytes, device.loader);
  if (error == CUDA_SUCCESS)
    error = driver.cuStreamSynchronize(device.loader);
  return error == CUDA_SUCCESS
             ? GRADOPT_OK
             : failed(driver, error, "cannot copy constants to cuda:%d",
                      device.number);
}

gradopt_status gradopt_cuda_module::readCommands() {
  const int64_t *first = &program.table[0] +
                         sizeof(gradopt_commands) / sizeof(int64_t) + 1 +
                         program.commands().num_buffers;
  for (const int64_t *next = first; next != program.table.end();) {
    auto *command = reinterpret_cast<const gradopt_command *>(next);
    auto *operands = reinterpret_cast<const gradopt_operand *>(command + 1);
    size_t count = command->num_operands, place = size_t(next - first);
    next += 1 + 2 * count;
    waits |= command->opcode == GRADOPT_READ;
    if (command->opcode != GRADOPT_HOST_CALL)
      continue;
    bool isPlanned = false;
    gradopt_status planned = GRADOPT_OK;
    if (command->target == GRADOPT_HOST_FOURIER)
      planned = transforms.plan(place, operands, count, isPlanned);
    else if (command->target == GRADOPT_HOST_LAPACK)
      planned = solver.plan(place, operands, count, isPlanned);
    if (planned != GRADOPT_OK)
      return planned;
    if (isPlanned)
      continue;
    waits = true;
    stagingBytes = std::max(stagingBytes, countStaging(operands, count));
    if (gradopt_status status = host.find(command->target);
        status != GRADOPT_OK)
      return status;
  }
  return GRADOPT_OK;
}

void gradopt_cuda_module::unload() {
  const Driver &driver = device.driver;
  InContext context(device);
  RelaxedCapture relaxed(driver);
  graphs.clear(driver);
  // After an error of the device nothing can be freed, nor need it be.
  if (code || constants || detached || idle || transforms.hasPlans())
    driver.cuCtxSynchronize();
  transforms.clear();
  for (Lane *lanes : {detached, idle})
    while (Lane *lane = lanes) {
      lanes = lane->next;
      device.destroy(lane);
    }
  if (constants)
    device.free(constants, device.loader);
  if (code)
    driver.cuModuleUnload(code);
}

gradopt_status gradopt_cuda_module_load(const void *program, size_t size,
                                        int32_t device,
                                        gradopt_cuda_module **out) {
  if (!program || !out)
    return fail(GRADOPT_INVALID_ARGUMENT,
                "gradopt_cuda_module_load: null program or result pointer");
  *out = nullptr;
  Device *on;
  if (gradopt_status status = Device::get(device, on); status != GRADOPT_OK)
    return status;
  uint8_t digest[gradopt::runtime::kSha256Size];
  sha256(program, size, digest);
  BusySection section;
  Lock lock(on->loading);
  for (gradopt_cuda_module *each = on->modules; each; each = each->next)
    if (std::memcmp(each->digest, digest, sizeof(digest)) == 0) {
      ++each->users;
      *out = each;
      return GRADOPT_OK;
    }
  void *memory = std::malloc(sizeof(gradopt_cuda_module));
  if (!memory)
    return fail(GRADOPT_OUT_OF_MEMORY, "out of memory");
  auto *made = new (memory) gradopt_cuda_module(*on);
  if (gradopt_status status = made->load(program, size); status != GRADOPT_OK) {
    destroy(made);
    return status;
  }
  std::memcpy(made->digest, digest, sizeof(digest));
  made->users = 1;
  made->next = on->modules;
  on->modules = made;
  *out = made;
  return GRADOPT_OK;
}

void gradopt_cuda_module_unload(gradopt_cuda_module *module) {
  // What the parent of this process had is the parent's to free.
  if (!module || Driver::wasForked())
    return;
  BusySection section;
  Device &device = module->device;
  Lock lock(device.loading);
  if (--module->users != 0)
    return;
  gradopt_cuda_module **link = &device.modules;
  while (*link != module)
    link = &(*link)->next;
  *link = module->next;
  destroy(module);
}
