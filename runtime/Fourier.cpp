//===- Fourier.cpp - Fourier transforms -----------------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/FourierCode.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <memory>
#include <new>

using namespace gradopt::runtime::fourier;

namespace {

const Code *const kCodes[] = {
    &codeForAll,
#ifdef __x86_64__
    &codeForV3,
#endif
};

/// The code for the widest vectors that this CPU has.
const Code &getCode() {
#ifdef __x86_64__
  if (__builtin_cpu_supports("x86-64-v3"))
    return codeForV3;
#endif
  return codeForAll;
}

int64_t getElements(const gradopt_buffer &buffer) {
  int64_t elements = 1;
  for (int32_t d = 0; d < buffer.rank; ++d)
    elements *= buffer.shape[d];
  return elements;
}

template <typename T>
void run(const CodeOfType &code, const Request &request,
         const gradopt_buffer &x, const gradopt_buffer &y,
         const gradopt_buffer &work) {
  try {
    size_t bytes = code.getWork(request);
    // A bundle may be older than the library, and made for another one.
    std::unique_ptr<T[]> more;
    if (bytes > size_t(getElements(work)) * sizeof(T))
      more.reset(new T[bytes / sizeof(T) + 1]);
    code.run(request, x.data, y.data, more ? more.get() : work.data);
  } catch (const std::exception &) {
    // No result, and not another one.
    int64_t parts = request.transform == C2r ? 1 : 2;
    std::fill_n(static_cast<T *>(y.data), parts * getElements(y),
                std::numeric_limits<T>::quiet_NaN());
  }
}

} // namespace

void gradopt_fourier(int64_t number, const gradopt_buffer *inputs, int64_t,
                     const gradopt_buffer *outs, int64_t) {
  static std::atomic<const Code *> found;
  const Code *code = found.load(std::memory_order_relaxed);
  if (!code)
    found.store(code = &getCode(), std::memory_order_relaxed);
  const gradopt_buffer &x = inputs[0], &y = outs[0], &work = outs[1];
  const gradopt_buffer &real = (number & 3) == R2c ? x : y;
  Request request(number, real.shape, real.rank);
  if (real.dtype == GRADOPT_F32 || real.dtype == GRADOPT_C64)
    run<float>(code->ofF32, request, x, y, work);
  else
    run<double>(code->ofF64, request, x, y, work);
}

int64_t gradopt_fourier_work(int64_t number, const int64_t *shape, int32_t rank,
                             bool is_f32) {
  Request request(number, shape, rank);
  size_t bytes = 0;
  try {
    for (const Code *code : kCodes)
      bytes = std::max(bytes,
                       (is_f32 ? code->ofF32 : code->ofF64).getWork(request));
  } catch (const std::exception &) {
    return -1;
  }
  return int64_t(bytes / (is_f32 ? sizeof(float) : sizeof(double)));
}
