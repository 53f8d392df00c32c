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

#include <cstring>
#include <dlfcn.h>

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
    {"gradopt_fourier", reinterpret_cast<void *>(&gradopt_fourier)},
    {"gradopt_call_target", reinterpret_cast<void *>(&gradopt_call_target)},
    {"gradopt_run_commands", reinterpret_cast<void *>(&gradopt_run_commands)},
};

} // namespace

void *gradopt::runtime::findOutsideFunction(const char *name) {
  for (const RuntimeFunction &function : runtimeFunctions)
    if (std::strcmp(function.name, name) == 0)
      return function.address;
  if (void *address = dlsym(RTLD_DEFAULT, name))
    return address;
  // The process may have been linked without it. It stays loaded.
  void *math = dlopen("libm.so.6", RTLD_LAZY | RTLD_LOCAL);
  return math ? dlsym(math, name) : nullptr;
}
