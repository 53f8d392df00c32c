//===- FourierMemory.cpp - What ducc0 allocates ---------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/FourierMemory.h"

#include <algorithm>
#include <cstdint>

using namespace gradopt::runtime::fourier;

static thread_local WorkMemory *current;

WorkMemory::WorkMemory(void *memory, size_t bytes)
    : begin(static_cast<char *>(memory)), size(bytes) {
  if (begin) {
    size_t rest = -reinterpret_cast<uintptr_t>(begin) % kAlignment;
    begin += rest;
    size -= std::min(size, rest);
  }
  current = this;
}

WorkMemory::~WorkMemory() { current = nullptr; }

void *WorkMemory::take(size_t bytes) {
  bytes = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  if (begin && bytes > size - used)
    return nullptr;
  char *result = begin ? begin + used : nullptr;
  used += bytes;
  // Where it begins is not known yet.
  most = std::max(most, used + kAlignment);
  ++count;
  return result;
}

bool WorkMemory::giveBack(void *pointer) {
  auto *place = static_cast<char *>(pointer);
  bool isHere = begin && place >= begin && place < begin + size;
  // Without memory, all that is given back was counted.
  if ((isHere || !begin) && pointer && --count == 0)
    used = 0;
  return isHere;
}

//===----------------------------------------------------------------------===//
// What the linker calls instead: `__wrap_f` for f, which is `__real_f`
//===----------------------------------------------------------------------===//

extern "C" {
// What libstdc++ asks before it counts references is in glibc from 2.32 on.
// Here the answer is that there may be threads.
[[gnu::visibility("hidden")]] char __libc_single_threaded = 0;

void *__real_malloc(size_t bytes);
void __real_free(void *pointer);
void *__real__Znwm(size_t bytes);
void __real__ZdlPv(void *pointer);

void *__wrap_malloc(size_t bytes) {
  void *result = current ? current->take(bytes) : nullptr;
  return result ? result : __real_malloc(bytes);
}
void __wrap_free(void *pointer) {
  if (!current || !current->giveBack(pointer))
    __real_free(pointer);
}
// operator new
void *__wrap__Znwm(size_t bytes) {
  void *result = current ? current->take(bytes) : nullptr;
  return result ? result : __real__Znwm(bytes);
}
// operator delete, without and with the size
void __wrap__ZdlPv(void *pointer) {
  if (!current || !current->giveBack(pointer))
    __real__ZdlPv(pointer);
}
void __wrap__ZdlPvm(void *pointer, size_t) { __wrap__ZdlPv(pointer); }
}
