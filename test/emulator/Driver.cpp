//===- Driver.cpp - The functions of the emulated driver ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/emulator/DriverState.h"
#include "test/emulator/gradopt_emulator.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

using namespace gradopt::emulator;

//===----------------------------------------------------------------------===//
// State
//===----------------------------------------------------------------------===//

namespace {

pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/// The process that called cuInit.
std::atomic<pid_t> owner = 0;

thread_local std::vector<CUcontext> contextStack;
thread_local CUstreamCaptureMode threadMode = CU_STREAM_CAPTURE_MODE_GLOBAL;

const char *environment(const char *name) {
  const char *value = getenv(name);
  return value && *value ? value : nullptr;
}

void addFailure(const std::string &text) {
  size_t first = text.find(':'), second = text.find(':', first + 1);
  if (second != std::string::npos)
    state.failures.push_back({text.substr(0, first),
                              CUresult(atoi(text.c_str() + first + 1)),
                              atoi(text.c_str() + second + 1)});
}

void initialize() {
  if (!state.contexts.empty())
    return;
  const char *mode = environment("GRADOPT_EMULATOR");
  state.runsObjects = !mode || strcmp(mode, "record") != 0;
  if (const char *text = environment("GRADOPT_EMULATOR_MEMORY"))
    state.memory = strtoull(text, nullptr, 10);
  if (const char *text = environment("GRADOPT_EMULATOR_FAIL"))
    addFailure(text);
  const char *chips = getenv("GRADOPT_EMULATOR_CHIPS");
  std::string list = chips ? chips : "90,90";
  while (!list.empty() && state.contexts.size() < kMaxDevices) {
    auto *context = new CUctx_st;
    context->device = int(state.contexts.size());
    context->chip = atoi(list.c_str());
    context->legacy = makeStream(context, true);
    context->perThread = makeStream(context, true);
    state.contexts.push_back(context);
    size_t comma = list.find(',');
    list = comma == std::string::npos ? "" : list.substr(comma + 1);
  }
}

} // namespace

State &gradopt::emulator::state = *new State;

CUcontext gradopt::emulator::currentContext() {
  return contextStack.empty() ? nullptr : contextStack.back();
}

CUstreamCaptureMode &gradopt::emulator::threadCaptureMode() {
  return threadMode;
}

CUstream gradopt::emulator::makeStream(CUcontext context, bool isBlocking) {
  auto *stream = new CUstream_st;
  stream->context = context;
  stream->id = ++state.streams;
  stream->isBlocking = isBlocking;
  context->streams.push_back(stream);
  return stream;
}

CUstream gradopt::emulator::findStream(CUstream stream) {
  CUcontext context = currentContext();
  if (!context)
    return nullptr;
  if (!stream || stream == CU_STREAM_LEGACY)
    return context->legacy;
  if (stream == CU_STREAM_PER_THREAD)
    return context->perThread;
  for (CUcontext each : state.contexts)
    if (std::find(each->streams.begin(), each->streams.end(), stream) !=
        each->streams.end())
      return stream;
  return nullptr;
}

bool gradopt::emulator::isCallForbidden() {
  if (threadMode == CU_STREAM_CAPTURE_MODE_RELAXED)
    return false;
  for (CUstream stream : state.captured) {
    bool mine = stream->capturer == std::this_thread::get_id();
    if (mine ? stream->mode != CU_STREAM_CAPTURE_MODE_RELAXED
             : stream->mode == CU_STREAM_CAPTURE_MODE_GLOBAL &&
                   threadMode == CU_STREAM_CAPTURE_MODE_GLOBAL)
      return true;
  }
  return false;
}

void gradopt::emulator::log(const std::string &line) {
  if (state.isRecording)
    state.log += line + '\n';
}

Call::Call(const char *function, const std::string &arguments) {
  // In a child of the process that used it, the driver is not usable, and the
  // mutex may be locked for ever.
  pid_t process = owner;
  if (process && process != getpid()) {
    error = CUDA_ERROR_NOT_INITIALIZED;
    return;
  }
  pthread_mutex_lock(&mutex);
  isLocked = true;
  log(arguments.empty() ? function : function + (" " + arguments));
  if (!process && strcmp(function, "cuInit") != 0 &&
      strcmp(function, "cuDriverGetVersion") != 0)
    error = CUDA_ERROR_NOT_INITIALIZED;
  for (size_t i = 0; i < state.failures.size(); ++i) {
    Failure &failure = state.failures[i];
    if (failure.function != function || failure.skip-- > 0)
      continue;
    error = failure.error;
    state.failures.erase(state.failures.begin() + long(i));
    break;
  }
}

Call::~Call() {
  if (isLocked)
    pthread_mutex_unlock(&mutex);
}

CUresult Call::needContext() const {
  if (error != CUDA_SUCCESS)
    return error;
  if (!currentContext())
    return CUDA_ERROR_INVALID_CONTEXT;
  return currentContext()->error.code;
}

CUresult Call::needStream(CUstream handle, CUstream &stream) const {
  if (CUresult problem = needContext(); problem != CUDA_SUCCESS)
    return problem;
  stream = findStream(handle);
  if (!stream || stream->context != currentContext())
    return CUDA_ERROR_INVALID_HANDLE;
  return CUDA_SUCCESS;
}

//===----------------------------------------------------------------------===//
// For tests
//===----------------------------------------------------------------------===//

namespace {
struct Locked {
  Locked() { pthread_mutex_lock(&mutex); }
  ~Locked() { pthread_mutex_unlock(&mutex); }
};
} // namespace

int32_t gradopt_emulator_runs_objects(void) {
  const char *mode = environment("GRADOPT_EMULATOR");
  return !mode || strcmp(mode, "record") != 0;
}

void gradopt_emulator_record(int32_t on) {
  Locked locked;
  state.isRecording = on != 0;
  state.log.clear();
}

const char *gradopt_emulator_log(void) {
  thread_local std::string copy;
  Locked locked;
  copy = state.log;
  return copy.c_str();
}

void gradopt_emulator_fail(const char *function, int32_t error, int32_t skip) {
  Locked locked;
  state.failures.push_back({function, CUresult(error), skip});
}

void gradopt_emulator_recover(void) {
  Locked locked;
  state.failures.clear();
  for (CUcontext context : state.contexts)
    context->error = {};
}

uint64_t gradopt_emulator_bytes_in_use(int32_t device) {
  Locked locked;
  return size_t(device) < state.contexts.size()
             ? state.contexts[size_t(device)]->bytesInUse
             : 0;
}

void gradopt_emulator_set_memory(uint64_t bytes) {
  Locked locked;
  state.memory = bytes;
}

//===----------------------------------------------------------------------===//
// Devices and contexts
//===----------------------------------------------------------------------===//

API cuInit(unsigned) {
  Call call("cuInit");
  if (call.error != CUDA_SUCCESS)
    return call.error;
  initialize();
  owner = getpid();
  return state.contexts.empty() ? CUDA_ERROR_NO_DEVICE : CUDA_SUCCESS;
}

API cuDriverGetVersion(int *version) {
  Call call("cuDriverGetVersion");
  if (const char *text = environment("GRADOPT_EMULATOR_DRIVER"))
    state.version = atoi(text);
  *version = state.version;
  return call.error;
}

namespace {

struct ErrorText {
  CUresult code;
  const char *name, *words;
};

constexpr ErrorText kErrors[] = {
    {CUDA_SUCCESS, "CUDA_SUCCESS", "no error"},
    {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED",
     "initialization error"},
    {CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE",
     "no CUDA-capable device is detected"},
    {CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE",
     "invalid device ordinal"},
    {CUDA_ERROR_INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE",
     "device kernel image is invalid"},
    {CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT",
     "invalid device context"},
    {CUDA_ERROR_INVALID_PTX, "CUDA_ERROR_INVALID_PTX",
     "a PTX JIT compilation failed"},
    {CUDA_ERROR_INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE",
     "invalid resource handle"},
    {CUDA_ERROR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS",
     "an illegal memory access was encountered"},
    {CUDA_ERROR_MISALIGNED_ADDRESS, "CUDA_ERROR_MISALIGNED_ADDRESS",
     "misaligned address"},
    {CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED",
     "unspecified launch failure"},
    {CUDA_ERROR_NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED",
     "operation not supported"},
    {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
     "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
     "operation not permitted when stream is capturing"},
    {CUDA_ERROR_STREAM_CAPTURE_INVALIDATED,
     "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
     "operation failed due to a previous error during capture"},
    {CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE,
     "CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE",
     "the graph update was not performed"},
};

const ErrorText *findText(CUresult code) {
  for (const ErrorText &text : kErrors)
    if (text.code == code)
      return &text;
  return nullptr;
}

} // namespace

API cuGetErrorName(CUresult code, const char **name) {
  const ErrorText *text = findText(code);
  *name = text ? text->name : nullptr;
  return text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

API cuGetErrorString(CUresult code, const char **words) {
  thread_local std::string said;
  const ErrorText *text = findText(code);
  *words = text ? text->words : nullptr;
  pid_t process = owner;
  if (!text || !process || process != getpid())
    return text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  Locked locked;
  for (CUcontext context : state.contexts)
    if (context->error.code == code && !context->error.words.empty()) {
      said = std::string(text->words) + ": " + context->error.words;
      *words = said.c_str();
    }
  return CUDA_SUCCESS;
}

API cuDeviceGetCount(int *count) {
  Call call("cuDeviceGetCount");
  *count = int(state.contexts.size());
  return call.error;
}

static CUresult checkDevice(const Call &call, CUdevice device) {
  if (call.error != CUDA_SUCCESS)
    return call.error;
  return size_t(device) < state.contexts.size() ? CUDA_SUCCESS
                                                : CUDA_ERROR_INVALID_DEVICE;
}

API cuDeviceGet(CUdevice *device, int number) {
  Call call("cuDeviceGet");
  *device = number;
  return checkDevice(call, number);
}

API cuDeviceGetName(char *name, int size, CUdevice device) {
  Call call("cuDeviceGetName");
  snprintf(name, size_t(size), "Emulated device %d", device);
  return checkDevice(call, device);
}

API cuDeviceGetAttribute(int *value, CUdevice_attribute attribute,
                         CUdevice device) {
  Call call("cuDeviceGetAttribute");
  if (CUresult error = checkDevice(call, device); error != CUDA_SUCCESS)
    return error;
  int chip = state.contexts[size_t(device)]->chip;
  switch (attribute) {
  case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT:
    *value = 4;
    return CUDA_SUCCESS;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR:
    *value = chip / 10;
    return CUDA_SUCCESS;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR:
    *value = chip % 10;
    return CUDA_SUCCESS;
  case CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED:
    *value = !environment("GRADOPT_EMULATOR_NO_POOLS");
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_INVALID_VALUE;
}

API cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
  Call call("cuDeviceTotalMem_v2");
  *bytes = state.memory;
  return checkDevice(call, device);
}

API cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  Call call("cuDevicePrimaryCtxRetain");
  if (CUresult error = checkDevice(call, device); error != CUDA_SUCCESS)
    return error;
  *context = state.contexts[size_t(device)];
  return CUDA_SUCCESS;
}

API cuCtxPushCurrent_v2(CUcontext context) {
  Call call("cuCtxPushCurrent_v2");
  if (call.error != CUDA_SUCCESS)
    return call.error;
  contextStack.push_back(context);
  return CUDA_SUCCESS;
}

API cuCtxPopCurrent_v2(CUcontext *context) {
  Call call("cuCtxPopCurrent_v2");
  if (call.error != CUDA_SUCCESS)
    return call.error;
  if (contextStack.empty())
    return CUDA_ERROR_INVALID_CONTEXT;
  if (context)
    *context = contextStack.back();
  contextStack.pop_back();
  return CUDA_SUCCESS;
}

API cuCtxGetCurrent(CUcontext *context) {
  Call call("cuCtxGetCurrent");
  *context = currentContext();
  return call.error;
}

API cuCtxSynchronize() {
  Call call("cuCtxSynchronize");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  if (isCallForbidden())
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  return synchronize(currentContext());
}
