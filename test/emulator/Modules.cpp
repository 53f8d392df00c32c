//===- Modules.cpp - Modules and kernels of the emulated driver -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/ObjectCode.h"
#include "runtime/RuntimeError.h"
#include "test/emulator/DriverState.h"
#include "test/emulator/gradopt_emulator.h"

#include <cstdarg>
#include <cstring>
#include <dlfcn.h>

using namespace gradopt::emulator;

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
  if (isCallForbidden())
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
  made->context = currentContext();
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
  if (function->context != currentContext())
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
  launch.device = currentContext()->device;
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
