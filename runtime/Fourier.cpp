//===- Fourier.cpp - Fourier transforms -----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/FourierCode.h"

#include <atomic>

using namespace gradopt::runtime::fourier;

namespace {

/// The code for the widest vectors that this CPU has, and `most` allows.
const Code &getCode([[maybe_unused]] Vectors most) {
#ifdef __x86_64__
  if (most >= OfV4 && __builtin_cpu_supports("x86-64-v4"))
    return codeForV4;
  if (most >= OfV3 && __builtin_cpu_supports("x86-64-v3"))
    return codeForV3;
#endif
  return codeForAll;
}

} // namespace

void gradopt_fourier(int64_t number, const gradopt_buffer *inputs, int64_t,
                     const gradopt_buffer *outs, int64_t) {
  static std::atomic<const Code *> widest;
  auto most = static_cast<Vectors>(number >> kVectorsBit & 3);
  const Code *code = widest.load(std::memory_order_relaxed);
  if (!code)
    widest.store(code = &getCode(OfV4), std::memory_order_relaxed);
  if (most != Widest)
    code = &getCode(most);
  Call call;
  call.transform = static_cast<Transform>(number & 3);
  call.norm = static_cast<Norm>(number >> 2 & 3);
  call.isForward = number >> 4 & 1;
  call.last = int32_t(number >> 8 & 255);
  call.dimensions = number >> 16;
  call.x = &inputs[0];
  call.y = &outs[0];
  call.work = outs[1].data;
  int32_t dtype = (call.transform == R2c ? inputs : outs)[0].dtype;
  bool isF32 = dtype == GRADOPT_F32 || dtype == GRADOPT_C64;
  (isF32 ? code->ofF32 : code->ofF64)(call);
}
