//===- Interpreter.cpp - Lists of commands that steer a GPU ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/cuda/Interpreter.h"
#include "runtime/cuda/Blas.h"

#include <cstring>

namespace gradopt::cuda {
namespace {

/// Sums wrap, as those of compiled code do.
int64_t sum(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) +
                              static_cast<uint64_t>(b));
}

int64_t product(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) *
                              static_cast<uint64_t>(b));
}

/// Whether a command puts something on the stream.
bool isOnDevice(const gradopt_command &command) {
  switch (command.opcode) {
  case GRADOPT_LAUNCH:
  case GRADOPT_GEMM_F64:
  case GRADOPT_GEMM_F32:
  case GRADOPT_GEMM_F16:
  case GRADOPT_GEMM_BF16:
  case GRADOPT_COPY:
  case GRADOPT_READ:
  case GRADOPT_HOST_CALL:
    return true;
  default:
    return false;
  }
}

class Interpreter {
public:
  Interpreter(gradopt_cuda_module &module, Lane &lane, CUstream stream,
              runtime::Targets targets, Timer *timer)
      : module(module), device(module.device), driver(device.driver),
        lane(lane), stream(stream), targets(targets), timer(timer),
        blas(device, lane, stream) {}

  gradopt_status run(void *const *buffers);

  size_t numActions = 0;

private:
  gradopt_status launch(uint32_t kernel, size_t numOperands);
  gradopt_status multiply(const gradopt_command &command);
  gradopt_status askForLibrary(int64_t &word);
  gradopt_status copy();
  gradopt_status read(int64_t &word);
  gradopt_status callHost(const gradopt_command &command, size_t place);
  gradopt_status checkTime(CUresult error) const;

  gradopt_cuda_module &module;
  Device &device;
  const Driver &driver;
  Lane &lane;
  CUstream stream;
  runtime::Targets targets;
  Timer *timer;
  Blas blas;
  /// Of the command that is run.
  int64_t *values = nullptr;
};

gradopt_status Interpreter::run(void *const *buffers) {
  const gradopt_commands &table = module.program.commands();
  int64_t *words = lane.words;
  values = words + table.num_words;
  words[GRADOPT_WORD_ZERO] = 0;
  words[GRADOPT_WORD_FRAME] = 0;
  words[GRADOPT_WORD_CONSTANTS] = int64_t(module.constants);
  size_t numBuffers = module.numBuffers();
  if (numBuffers)
    std::memcpy(words + GRADOPT_WORD_BUFFERS, buffers,
                numBuffers * sizeof(void *));
  words[GRADOPT_WORD_BUFFERS + numBuffers] = int64_t(lane.arena);

  auto *first =
      reinterpret_cast<const int64_t *>(&table + 1) + 1 + table.num_buffers;
  const int64_t *next = first;
  if (timer)
    if (gradopt_status status = checkTime(timer->begin()); status != GRADOPT_OK)
      return status;
  while (true) {
    auto *command = reinterpret_cast<const gradopt_command *>(next);
    auto *operands = reinterpret_cast<const gradopt_operand *>(command + 1);
    size_t count = command->num_operands, place = size_t(next - first);
    if (timer)
      timer->count(place);
    next = reinterpret_cast<const int64_t *>(operands + count);
    for (size_t i = 0; i < count; ++i)
      values[i] = sum(sum(words[operands[i].base], words[operands[i].index]),
                      operands[i].offset);
    gradopt_status status = GRADOPT_OK;
    switch (command->opcode) {
    case GRADOPT_LAUNCH:
      status = launch(command->target, count);
      break;
    case GRADOPT_GEMM_F64:
    case GRADOPT_GEMM_F32:
    case GRADOPT_GEMM_F16:
    case GRADOPT_GEMM_BF16:
      status = multiply(*command);
      break;
    case GRADOPT_HAS_LIBRARY:
      status = askForLibrary(words[command->target]);
      break;
    case GRADOPT_COPY:
      status = copy();
      break;
    case GRADOPT_READ:
      status = read(words[command->target]);
      break;
    case GRADOPT_HOST_CALL:
      status = callHost(*command, place);
      break;
    case GRADOPT_SET:
      std::memcpy(words + command->target, values, count * sizeof(int64_t));
      break;
    case GRADOPT_MULTIPLY_ADD:
      words[command->target] = sum(values[0], product(values[1], values[2]));
      break;
    case GRADOPT_MINIMUM:
      words[command->target] = values[0] < values[1] ? values[0] : values[1];
      break;
    case GRADOPT_MAXIMUM:
      words[command->target] = values[0] < values[1] ? values[1] : values[0];
      break;
    case GRADOPT_BRANCH_LESS:
      if (values[0] < values[1])
        next = first + command->target;
      break;
    case GRADOPT_BRANCH_EQUAL:
      if (values[0] == values[1])
        next = first + command->target;
      break;
    default: // GRADOPT_END
      return timer ? checkTime(timer->finish()) : GRADOPT_OK;
    }
    if (status == GRADOPT_OK && timer && isOnDevice(*command))
      status = checkTime(timer->mark(place));
    if (status != GRADOPT_OK)
      return status;
  }
}

gradopt_status Interpreter::checkTime(CUresult error) const {
  return error == CUDA_SUCCESS
             ? GRADOPT_OK
             : failed(driver, error, "cannot time a program on cuda:%d",
                      device.number);
}

gradopt_status Interpreter::launch(uint32_t kernel, size_t numOperands) {
  const gradopt_device_kernel &shape = module.program.kernels[kernel];
  size_t bytes = numOperands * sizeof(int64_t);
  void *parameters[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, values,
                        CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes,
                        CU_LAUNCH_PARAM_END};
  CUresult error = driver.cuLaunchKernel(
      module.functions[kernel], shape.grid, 1, 1, shape.block, 1, 1, 0, stream,
      nullptr, numOperands ? parameters : nullptr);
  ++numActions;
  return error == CUDA_SUCCESS
             ? GRADOPT_OK
             : failed(
                   driver, error,
                   "cannot launch kernel %.100s (%u blocks of %u threads) on "
                   "cuda:%d",
                   module.program.name(kernel), shape.grid, shape.block,
                   device.number);
}

gradopt_status Interpreter::multiply(const gradopt_command &command) {
  bool isDone = false;
  gradopt_status status =
      blas.multiply(gradopt_opcode(command.opcode), values, isDone);
  ++numActions;
  return isDone || status != GRADOPT_OK
             ? status
             : launch(command.target, command.num_operands);
}

gradopt_status Interpreter::askForLibrary(int64_t &word) {
  bool answer = false;
  gradopt_status status = blas.isThere(answer);
  word = answer;
  return status;
}

/// What a library for the device can do, it does.
gradopt_status Interpreter::callHost(const gradopt_command &command,
                                     size_t place) {
  if (command.target == GRADOPT_HOST_FOURIER)
    if (const auto *transform = module.transforms.find(place)) {
      ++numActions;
      return module.transforms.run(*transform, lane, stream, values);
    }
  if (command.target == GRADOPT_HOST_LAPACK)
    if (const auto *task = module.solver.find(place)) {
      ++numActions;
      return module.solver.run(*task, lane, stream, blas, values);
    }
  return cuda::callHost(device, lane, stream,
                        module.host.functions[command.target], values,
                        command.num_operands, targets);
}

gradopt_status Interpreter::copy() {
  if (values[2] <= 0)
    return GRADOPT_OK;
  CUresult error =
      driver.cuMemcpyAsync(CUdeviceptr(values[0]), CUdeviceptr(values[1]),
                           size_t(values[2]), stream);
  ++numActions;
  return error == CUDA_SUCCESS
             ? GRADOPT_OK
             : failed(driver, error, "cannot copy on cuda:%d", device.number);
}

gradopt_status Interpreter::read(int64_t &word) {
  auto bytes = size_t(values[1]);
  CUresult error =
      driver.cuMemcpyAsync(reinterpret_cast<CUdeviceptr>(lane.pinned),
                           CUdeviceptr(values[0]), bytes, stream);
  if (error == CUDA_SUCCESS)
    error = driver.cuStreamSynchronize(stream);
  if (error != CUDA_SUCCESS)
    return failed(driver, error, "cannot read a number of cuda:%d",
                  device.number);
  word = 0;
  std::memcpy(&word, lane.pinned, bytes);
  return GRADOPT_OK;
}

} // namespace

gradopt_status runCommands(gradopt_cuda_module &module, Lane &lane,
                           void *const *buffers, runtime::Targets targets,
                           CUstream stream, size_t &numActions, Timer *timer) {
  Interpreter interpreter(module, lane, stream, targets, timer);
  gradopt_status status = interpreter.run(buffers);
  numActions = interpreter.numActions;
  return status;
}

} // namespace gradopt::cuda
