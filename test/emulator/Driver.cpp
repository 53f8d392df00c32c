//===- Driver.cpp - The functions of the emulated driver ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/emulator/Driver.h"
#include "runtime/ObjectCode.h"
#include "runtime/RuntimeError.h"
#include "test/emulator/Memory.h"
#include "test/emulator/gradopt_emulator.h"

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <map>
#include <unistd.h>

using namespace gradopt::emulator;

//===----------------------------------------------------------------------===//
// State
//===----------------------------------------------------------------------===//

struct CUmod_st {
  struct Code {
    gradopt::runtime::ObjectCode object;
    std::map<std::string, KernelEntry> kernels;
    std::string text;
  };
  CUcontext context = nullptr;
  std::shared_ptr<Code> code;
  std::map<std::string, CUfunction> functions;
};

struct CUfunc_st {
  CUcontext context = nullptr;
  std::shared_ptr<CUmod_st::Code> code;
  std::string name;
  KernelEntry entry = nullptr;
};

struct CUmemPoolHandle_st {
  CUcontext context = nullptr;
};

namespace {

struct Failure {
  std::string function;
  CUresult error = CUDA_SUCCESS;
  int skip = 0;
};

struct State {
  bool isRecording = false;
  bool runsObjects = true;
  int version = 12040;
  uint64_t memory = uint64_t(4) << 30;
  std::vector<CUcontext> contexts;
  std::vector<Failure> failures;
  std::string log;
  std::map<uintptr_t, size_t> pinned;
  /// Captures that forbid other calls: of all threads, or of their own.
  std::vector<CUstream> captured;
  unsigned long long streams = 0;
};

/// Never destroyed: calls may come until the process ends.
State &state = *new State;
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

CUstream makeStream(CUcontext context, bool isBlocking) {
  auto *stream = new CUstream_st;
  stream->context = context;
  stream->id = ++state.streams;
  stream->isBlocking = isBlocking;
  context->streams.push_back(stream);
  return stream;
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

CUcontext current() {
  return contextStack.empty() ? nullptr : contextStack.back();
}

/// The stream that a handle stands for; null if there is no such stream of the
/// current context.
CUstream resolve(CUstream stream) {
  CUcontext context = current();
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

/// Whether a capture forbids this thread what might synchronise.
bool isForbidden() {
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

std::string hex(uint64_t number) {
  char text[24];
  snprintf(text, sizeof(text), "%#llx",
           static_cast<unsigned long long>(number));
  return text;
}

} // namespace

CUcontext gradopt::emulator::currentContext() { return current(); }
CUstream gradopt::emulator::findStream(CUstream stream) {
  return resolve(stream);
}
bool gradopt::emulator::isCallForbidden() { return isForbidden(); }

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
  if (!current())
    return CUDA_ERROR_INVALID_CONTEXT;
  return current()->error.code;
}

CUresult Call::needStream(CUstream handle, CUstream &stream) const {
  if (CUresult problem = needContext(); problem != CUDA_SUCCESS)
    return problem;
  stream = resolve(handle);
  if (!stream || stream->context != current())
    return CUDA_ERROR_INVALID_HANDLE;
  return CUDA_SUCCESS;
}

/// What the linker of objects says is wrong.
static std::string &linkError() {
  static auto *words = new std::string;
  return *words;
}

gradopt_status gradopt::runtime::fail(gradopt_status status, const char *format,
                                      ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  linkError() = text;
  return status;
}

void *gradopt::runtime::findOutsideFunction(const char *name, const char *&) {
#define FUNCTION(name)                                                         \
  {                                                                            \
    #name, reinterpret_cast<void *>(&name)                                     \
  }
  static const struct {
    const char *name;
    void *address;
  } functions[] = {
      FUNCTION(gradopt_emulated_thread),
      FUNCTION(gradopt_emulated_block),
      FUNCTION(gradopt_emulated_num_threads),
      FUNCTION(gradopt_emulated_num_blocks),
      FUNCTION(gradopt_emulated_barrier),
      FUNCTION(gradopt_emulated_shuffle),
      FUNCTION(gradopt_emulated_multiply),
      FUNCTION(gradopt_emulated_multiply_narrow),
      FUNCTION(gradopt_emulated_shared),
      FUNCTION(gradopt_emulated_load),
      FUNCTION(gradopt_emulated_store),
  };
#undef FUNCTION
  for (const auto &function : functions)
    if (strcmp(function.name, name) == 0)
      return function.address;
  return dlsym(RTLD_DEFAULT, name);
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
  *context = current();
  return call.error;
}

API cuCtxSynchronize() {
  Call call("cuCtxSynchronize");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  if (isForbidden())
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  return synchronize(current());
}

//===----------------------------------------------------------------------===//
// Modules and kernels
//===----------------------------------------------------------------------===//

namespace {

/// An image says by itself how long it is, as those of CUDA do: text ends with
/// a null byte, and the table of sections is the last of an object file.
size_t sizeOfObject(const char *image) {
  uint64_t offset;
  uint16_t size, count;
  memcpy(&offset, image + 0x28, sizeof(offset));
  memcpy(&size, image + 0x3a, sizeof(size));
  memcpy(&count, image + 0x3c, sizeof(count));
  return offset + size_t(size) * count;
}

CUresult loadObject(const char *image, CUmod_st::Code &code,
                    std::string &problem) {
  if (memcmp(image, "\177ELF", 4) != 0) {
    problem = "expected an object file of the host";
    return CUDA_ERROR_INVALID_IMAGE;
  }
  auto add = [](void *to, const char *name, void *address) {
    static_cast<CUmod_st::Code *>(to)->kernels[name] =
        reinterpret_cast<KernelEntry>(address);
  };
  if (code.object.linkAll({image, sizeOfObject(image)}, &code, add) !=
      GRADOPT_OK) {
    problem = linkError();
    return CUDA_ERROR_INVALID_IMAGE;
  }
  return CUDA_SUCCESS;
}

CUresult loadText(const char *image, CUmod_st::Code &code,
                  std::string &problem) {
  code.text = image;
  size_t at = code.text.find(".version");
  if (at == std::string::npos) {
    problem = "ptxas fatal : expected .version";
    return CUDA_ERROR_INVALID_PTX;
  }
  while ((at = code.text.find(".entry ", at)) != std::string::npos) {
    at += strlen(".entry ");
    size_t end = code.text.find_first_of("( \n\t", at);
    code.kernels[code.text.substr(at, end - at)] = nullptr;
  }
  return CUDA_SUCCESS;
}

} // namespace

API cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count,
                       CUjit_option *options, void **values) {
  Call call("cuModuleLoadDataEx");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  if (isForbidden())
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  auto code = std::make_shared<CUmod_st::Code>();
  auto *bytes = static_cast<const char *>(image);
  std::string problem;
  CUresult error = state.runsObjects ? loadObject(bytes, *code, problem)
                                     : loadText(bytes, *code, problem);
  if (error != CUDA_SUCCESS) {
    char *buffer = nullptr;
    size_t size = 0;
    for (unsigned i = 0; i < count; ++i) {
      if (options[i] == CU_JIT_ERROR_LOG_BUFFER)
        buffer = static_cast<char *>(values[i]);
      else if (options[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
        size = reinterpret_cast<size_t>(values[i]) & 0xFFFFFFFF;
    }
    if (buffer && size)
      snprintf(buffer, size, "%s", problem.c_str());
    return error;
  }
  auto *made = new CUmod_st;
  made->context = current();
  made->code = code;
  *module = made;
  return CUDA_SUCCESS;
}

API cuModuleUnload(CUmodule module) {
  Call call("cuModuleUnload");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  for (auto &[name, function] : module->functions)
    delete function;
  delete module;
  return CUDA_SUCCESS;
}

API cuModuleGetFunction(CUfunction *function, CUmodule module,
                        const char *name) {
  Call call("cuModuleGetFunction", name);
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  auto found = module->code->kernels.find(name);
  if (found == module->code->kernels.end())
    return CUDA_ERROR_NOT_FOUND;
  CUfunction &made = module->functions[name];
  if (!made)
    made = new CUfunc_st{module->context, module->code, name, found->second};
  *function = made;
  return CUDA_SUCCESS;
}

API cuLaunchKernel(CUfunction function, unsigned gridX, unsigned gridY,
                   unsigned gridZ, unsigned blockX, unsigned blockY,
                   unsigned blockZ, unsigned sharedBytes, CUstream handle,
                   void **parameters, void **extra) {
  Call call("cuLaunchKernel", function->name +
                                  " grid=" + std::to_string(gridX) +
                                  " block=" + std::to_string(blockX));
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  if (function->context != current())
    return CUDA_ERROR_INVALID_HANDLE;
  if (gridY != 1 || gridZ != 1 || blockY != 1 || blockZ != 1 || sharedBytes ||
      parameters || !gridX || !blockX || blockX > 1024 || gridX >> 31)
    return CUDA_ERROR_INVALID_VALUE;
  const void *buffer = nullptr;
  size_t size = 0;
  for (void **next = extra; next && *next != CU_LAUNCH_PARAM_END; next += 2) {
    if (*next == CU_LAUNCH_PARAM_BUFFER_POINTER)
      buffer = next[1];
    else if (*next == CU_LAUNCH_PARAM_BUFFER_SIZE)
      size = *static_cast<const size_t *>(next[1]);
  }
  if (size % sizeof(int64_t) != 0 || (size && !buffer))
    return CUDA_ERROR_INVALID_VALUE;
  Launch launch;
  launch.name = function->name;
  launch.entry = function->entry;
  launch.grid = gridX;
  launch.block = blockX;
  launch.device = current()->device;
  launch.parameters.resize(size / sizeof(int64_t));
  if (size)
    memcpy(launch.parameters.data(), buffer, size);
  auto run = [launch, code = function->code]() -> Error {
    if (!launch.entry)
      return {};
    LaunchError error = gradopt::emulator::run(launch);
    return {error.code, error.words};
  };
  enqueue(stream, Action{"kernel", "run " + function->name, run});
  return CUDA_SUCCESS;
}

//===----------------------------------------------------------------------===//
// Streams and events
//===----------------------------------------------------------------------===//

API cuStreamCreate(CUstream *stream, unsigned flags) {
  Call call("cuStreamCreate");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  *stream = makeStream(current(), !(flags & CU_STREAM_NON_BLOCKING));
  return CUDA_SUCCESS;
}

API cuStreamDestroy_v2(CUstream handle) {
  Call call("cuStreamDestroy_v2");
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  // What is on it is still done, with what waits for it, or at the latest with
  // all of the device.
  CUcontext context = stream->context;
  waitFor(context->perThread, stream->last);
  auto &streams = context->streams;
  streams.erase(std::find(streams.begin(), streams.end(), stream));
  for (FreeLater &freed : context->freed)
    if (freed.stream == stream)
      freed.stream = nullptr;
  delete stream;
  return CUDA_SUCCESS;
}

API cuStreamSynchronize(CUstream handle) {
  Call call("cuStreamSynchronize");
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  if (stream->graph) {
    stream->isInvalidated = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  return synchronize(stream);
}

API cuStreamWaitEvent(CUstream handle, CUevent event, unsigned) {
  Call call("cuStreamWaitEvent");
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  // A capture knows of nothing outside of it, and spreads over other streams by
  // events; that is more than is emulated.
  if (stream->graph ? event->captured != stream : event->captured != nullptr) {
    (stream->graph ? stream : event->captured)->isInvalidated = true;
    return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
  }
  waitFor(stream, event->work);
  return CUDA_SUCCESS;
}

API cuStreamGetId(CUstream handle, unsigned long long *id) {
  Call call("cuStreamGetId");
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  *id = stream->id;
  return CUDA_SUCCESS;
}

API cuStreamGetCtx(CUstream handle, CUcontext *context) {
  Call call("cuStreamGetCtx");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  CUstream stream = resolve(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  *context = stream->context;
  return CUDA_SUCCESS;
}

API cuEventCreate(CUevent *event, unsigned) {
  Call call("cuEventCreate");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  *event = new CUevent_st{current(), nullptr, nullptr};
  return CUDA_SUCCESS;
}

API cuEventRecord(CUevent event, CUstream handle) {
  Call call("cuEventRecord");
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  if (event->context != stream->context)
    return CUDA_ERROR_INVALID_HANDLE;
  event->captured = stream->graph ? stream : nullptr;
  // Work of its own, since other streams may have to be waited for.
  event->work = enqueue(stream, std::vector<Action>());
  return CUDA_SUCCESS;
}

API cuEventQuery(CUevent event) {
  Call call("cuEventQuery");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  if (event->captured) {
    event->captured->isInvalidated = true;
    return CUDA_ERROR_CAPTURED_EVENT;
  }
  bool isDone = !event->work || event->work->isDone;
  return isDone ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
}

API cuEventDestroy_v2(CUevent event) {
  Call call("cuEventDestroy_v2");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  delete event;
  return CUDA_SUCCESS;
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

API cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus *status) {
  Call call("cuStreamIsCapturing");
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  *status = !stream->graph          ? CU_STREAM_CAPTURE_STATUS_NONE
            : stream->isInvalidated ? CU_STREAM_CAPTURE_STATUS_INVALIDATED
                                    : CU_STREAM_CAPTURE_STATUS_ACTIVE;
  return CUDA_SUCCESS;
}

API cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode mode) {
  Call call("cuStreamBeginCapture_v2");
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  if (stream == current()->legacy || stream->graph)
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  stream->graph = new CUgraph_st;
  stream->isInvalidated = false;
  stream->mode = mode;
  stream->capturer = std::this_thread::get_id();
  state.captured.push_back(stream);
  return CUDA_SUCCESS;
}

API cuStreamEndCapture(CUstream handle, CUgraph *graph) {
  Call call("cuStreamEndCapture");
  *graph = nullptr;
  CUstream stream = resolve(handle);
  if (!stream)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!stream->graph)
    return CUDA_ERROR_INVALID_VALUE;
  if (stream->mode != CU_STREAM_CAPTURE_MODE_RELAXED &&
      stream->capturer != std::this_thread::get_id())
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  // It is over, whatever comes of it.
  CUgraph made = stream->graph;
  stream->graph = nullptr;
  state.captured.erase(
      std::find(state.captured.begin(), state.captured.end(), stream));
  CUresult error = stream->isInvalidated ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
                                         : call.needContext();
  if (error == CUDA_SUCCESS)
    *graph = made;
  else
    delete made;
  return error;
}

API cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode) {
  Call call("cuThreadExchangeStreamCaptureMode");
  if (call.error != CUDA_SUCCESS)
    return call.error;
  std::swap(*mode, threadMode);
  return CUDA_SUCCESS;
}

API cuGraphInstantiateWithFlags(CUgraphExec *executable, CUgraph graph,
                                unsigned long long) {
  Call call("cuGraphInstantiateWithFlags",
            "nodes=" + std::to_string(graph->actions.size()));
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  *executable = new CUgraphExec_st{graph->actions};
  return CUDA_SUCCESS;
}

API cuGraphExecUpdate_v2(CUgraphExec executable, CUgraph graph,
                         CUgraphExecUpdateResultInfo *info) {
  Call call("cuGraphExecUpdate_v2");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  bool same = executable->actions.size() == graph->actions.size();
  for (size_t i = 0; same && i < graph->actions.size(); ++i)
    same = executable->actions[i].kind == graph->actions[i].kind;
  *info = {same ? CU_GRAPH_EXEC_UPDATE_SUCCESS
                : CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED,
           nullptr, nullptr};
  if (!same)
    return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
  executable->actions = graph->actions;
  return CUDA_SUCCESS;
}

API cuGraphLaunch(CUgraphExec executable, CUstream handle) {
  Call call("cuGraphLaunch");
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  enqueue(stream, executable->actions);
  return CUDA_SUCCESS;
}

API cuGraphDestroy(CUgraph graph) {
  Call call("cuGraphDestroy");
  delete graph;
  return call.error;
}

API cuGraphExecDestroy(CUgraphExec executable) {
  Call call("cuGraphExecDestroy");
  delete executable;
  return call.error;
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

namespace {

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
  CUcontext context = current();
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
  if (pool->context != current())
    return CUDA_ERROR_INVALID_VALUE;
  return allocate(current(), bytes, stream, address);
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
  uint64_t used = current()->bytesInUse;
  *free = used < state.memory ? state.memory - used : 0;
  *total = state.memory;
  return CUDA_SUCCESS;
}

API cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
  Call call("cuMemAlloc_v2", std::to_string(bytes));
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  if (isForbidden())
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  return allocate(current(), bytes, nullptr, address);
}

API cuMemFree_v2(CUdeviceptr address) {
  Call call("cuMemFree_v2");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  if (isForbidden())
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (CUresult error = synchronize(current()); error != CUDA_SUCCESS)
    return error;
  return deallocate(address, nullptr);
}

API cuMemAllocHost_v2(void **address, size_t bytes) {
  Call call("cuMemAllocHost_v2");
  if (CUresult error = call.needContext(); error != CUDA_SUCCESS)
    return error;
  if (isForbidden())
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

CUresult copy(CUstream stream, CUdeviceptr to, CUdeviceptr from, size_t bytes,
              int toDevice, int fromDevice) {
  Memory &memory = Memory::get();
  bool toHost = !memory.isDevice(to), fromHost = !memory.isDevice(from);
  std::shared_ptr<std::vector<char>> staged;
  if (fromHost && !isPinned(from)) {
    // Pageable memory is read before the function returns.
    auto *bytesOf = reinterpret_cast<const char *>(from);
    staged = std::make_shared<std::vector<char>>(bytesOf, bytesOf + bytes);
  }
  auto run = [=]() -> Error {
    Memory &memory = Memory::get();
    std::string problem;
    if (!toHost)
      problem = memory.checkRange(to, bytes, toDevice);
    if (problem.empty() && !fromHost)
      problem = memory.checkRange(from, bytes, fromDevice);
    if (!problem.empty())
      return {CUDA_ERROR_ILLEGAL_ADDRESS,
              "a copy of " + std::to_string(bytes) + " bytes from " +
                  hex(from) + " to " + hex(to) + ", " + problem};
    memmove(reinterpret_cast<void *>(to),
            staged ? staged->data() : reinterpret_cast<const void *>(from),
            bytes);
    return {};
  };
  WorkPtr work = enqueue(
      stream, Action{"copy", "copy " + std::to_string(bytes), std::move(run)});
  if (toHost && !isPinned(to))
    complete(work);
  return stream->context->error.code;
}

} // namespace

API cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                  CUstream handle) {
  Call call("cuMemcpyAsync", std::to_string(bytes));
  CUstream stream;
  if (CUresult error = call.needStream(handle, stream); error != CUDA_SUCCESS)
    return error;
  int device = current()->device;
  return copy(stream, to, from, bytes, device, device);
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
