//===- Arena.cpp - Scratch memory of compiled code ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Arena.h"
#include "runtime/gradopt_runtime.h"

#include <atomic>
#include <cstdlib>
#include <new>
#include <sys/mman.h>
#include <utility>

namespace gradopt::runtime {

static constexpr size_t kCacheLine = 64;
static constexpr size_t kHugePage = size_t(2) << 20;

static std::atomic<uint64_t> allocations = 0;

void *allocate(size_t bytes) {
  size_t alignment = bytes >= kHugePage ? kHugePage : kCacheLine;
  size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  if (rounded < bytes)
    return nullptr;
  void *memory = std::aligned_alloc(alignment, rounded ? rounded : alignment);
  if (!memory)
    return nullptr;
  // Scratch memory is touched all over on every call: fewer, larger pages save
  // address translations. A refusal is harmless.
  if (alignment == kHugePage)
    madvise(memory, rounded, MADV_HUGEPAGE);
  allocations.fetch_add(1, std::memory_order_relaxed);
  return memory;
}

void deallocate(void *memory) { std::free(memory); }

ArenaPool::~ArenaPool() {
  while (idle)
    deallocate(std::exchange(idle, idle->next));
}

void *ArenaPool::acquire() {
  {
    std::lock_guard<std::mutex> lock(mutex);
    if (idle)
      return std::exchange(idle, idle->next);
  }
  return allocate(bytes);
}

void ArenaPool::release(void *arena) {
  std::lock_guard<std::mutex> lock(mutex);
  idle = new (arena) Idle{idle};
}

} // namespace gradopt::runtime

uint64_t gradopt_alloc_count(void) {
  return gradopt::runtime::allocations.load(std::memory_order_relaxed);
}
