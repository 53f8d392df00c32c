//===- OutsideFunctions.cpp - What compiled code may call -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Functions of the runtime, of the C library and other libraries of the
// process, and of libm.
//
//===----------------------------------------------------------------------===//

#include "runtime/Commands.h"
#include "runtime/Fourier.h"
#include "runtime/Lapack.h"
#include "runtime/ObjectCode.h"
#include "runtime/OldLibrary.h"
#include "runtime/Sorting.h"

#include <climits>
#include <cstring>
#include <dlfcn.h>

namespace fourier = gradopt::runtime::fourier;

namespace {

/// Functions that only compiled code calls.
struct RuntimeFunction {
  const char *name;
  void *address;
};

const RuntimeFunction runtimeFunctions[] = {
    {"gradopt_gemm_f64", reinterpret_cast<void *>(&gradopt_gemm_f64)},
    {"gradopt_gemm_f32", reinterpret_cast<void *>(&gradopt_gemm_f32)},
    {"gradopt_gemm_c128", reinterpret_cast<void *>(&gradopt_gemm_c128)},
    {"gradopt_gemm_c64", reinterpret_cast<void *>(&gradopt_gemm_c64)},
    {"gradopt_lapack", reinterpret_cast<void *>(&gradopt_lapack)},
    {"gradopt_sort", reinterpret_cast<void *>(&gradopt_sort)},
    {"gradopt_call_target", reinterpret_cast<void *>(&gradopt_call_target)},
    {"gradopt_run_commands", reinterpret_cast<void *>(&gradopt_run_commands)},
};

constexpr char kFourier[] = "gradopt_fourier";
constexpr char kSpecialLibrary[] = "libGradOptSpecial.so";
/// All names of special functions start with it.
constexpr char kPrefix[] = "gradopt_";

/// Finds a function of a library that is beside this one, and stays loaded.
void *findBeside(const char *file, const char *function) {
  Dl_info here;
  if (!dladdr(reinterpret_cast<void *>(&findBeside), &here))
    return nullptr;
  const char *slash = std::strrchr(here.dli_fname, '/');
  size_t folder = slash ? size_t(slash - here.dli_fname) + 1 : 0;
  size_t length = std::strlen(file) + 1;
  char path[PATH_MAX];
  if (folder + length > sizeof(path))
    return nullptr;
  std::memcpy(path, here.dli_fname, folder);
  std::memcpy(path + folder, file, length);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  return library ? dlsym(library, function) : nullptr;
}

} // namespace

void *gradopt::runtime::findOutsideFunction(const char *name,
                                            const char *&hint) {
  for (const RuntimeFunction &function : runtimeFunctions)
    if (std::strcmp(function.name, name) == 0)
      return function.address;
  if (std::strcmp(name, kFourier) == 0) {
    hint = ": libGradOptFourier.so has to lie beside libGradOptRuntime.so, and "
           "needs the library of C++";
    return findBeside(fourier::kLibrary, kFourier);
  }
  if (void *address = dlsym(RTLD_DEFAULT, name))
    return address;
  if (std::strncmp(name, kPrefix, std::strlen(kPrefix)) == 0) {
    hint = ": special functions are in libGradOptSpecial.so, which has to lie "
           "beside libGradOptRuntime.so";
    return findBeside(kSpecialLibrary, name);
  }
  // The process may have been linked without it. It stays loaded.
  void *math = dlopen("libm.so.6", RTLD_LAZY | RTLD_LOCAL);
  return math ? dlsym(math, name) : nullptr;
}
