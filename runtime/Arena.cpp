//===- Arena.cpp - Scratch memory of compiled code ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Arena.h"
#include "runtime/Interface.h"
#include "runtime/Lock.h"
#include "runtime/Tapes.h"
#include "runtime/gradopt_runtime.h"

#include <atomic>
#include <cstdlib>
#include <new>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <utility>

namespace gradopt::runtime {

static constexpr size_t kHugePage = size_t(2) << 20;

static std::atomic<uint64_t> allocations = 0;

static bool hasTapes(size_t bytes) { return bytes >= size_t(kTapeBytes); }

size_t memoryOfMachine() {
  struct sysinfo info;
  if (sysinfo(&info) != 0)
    return 0;
  return (size_t(info.totalram) + info.totalswap) * info.mem_unit;
}

void *allocate(size_t bytes) {
  if (hasTapes(bytes)) {
    void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
      return nullptr;
    allocations.fetch_add(1, std::memory_order_relaxed);
    return memory;
  }
  size_t alignment = bytes >= kHugePage ? kHugePage : kArenaAlignment;
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

void deallocate(void *memory, size_t bytes) {
  if (hasTapes(bytes))
    munmap(memory, bytes);
  else
    std::free(memory);
}

/// It has no destructor: calls may still run in other threads when static
/// objects are destroyed.
static ArenaPool pool;

ArenaPool &ArenaPool::get() { return pool; }

void ArenaPool::link(ArenaUser &user) {
  ArenaUser *larger = nullptr, **link = &users;
  while (*link && (*link)->bytes > user.bytes) {
    larger = *link;
    link = &larger->smaller;
  }
  user.larger = larger;
  user.smaller = *link;
  if (user.smaller)
    user.smaller->larger = &user;
  *link = &user;
  user.isAdded = true;
}

void ArenaPool::unlink(ArenaUser &user) {
  (user.larger ? user.larger->smaller : users) = user.smaller;
  if (user.smaller)
    user.smaller->larger = user.larger;
  user.isAdded = false;
}

void ArenaPool::add(ArenaUser &user) {
  Lock lock(mutex);
  link(user);
}

void ArenaPool::enlarge(ArenaUser &user, size_t bytes) {
  Lock lock(mutex);
  // Another call may have been first.
  if (bytes <= user.bytes)
    return;
  if (user.isAdded)
    unlink(user);
  user.bytes = bytes;
  link(user);
}

void ArenaPool::remove(ArenaUser &user) {
  Idle *unneeded;
  {
    Lock lock(mutex);
    unlink(user);
    unneeded = cut(find(largestNeeded() + 1));
  }
  free(unneeded);
}

ArenaPool::Idle **ArenaPool::find(size_t bytes) {
  Idle **link = &idle;
  while (*link && (*link)->bytes < bytes)
    link = &(*link)->next;
  return link;
}

ArenaPool::Idle *ArenaPool::cut(Idle **link) {
  for (Idle *arena = *link; arena; arena = arena->next)
    held -= arena->bytes;
  return std::exchange(*link, nullptr);
}

void ArenaPool::free(Idle *list) {
  while (list) {
    Idle *arena = std::exchange(list, list->next);
    deallocate(arena, arena->bytes);
  }
}

Arena ArenaPool::acquire(size_t bytes) {
  Idle *replaced = nullptr;
  {
    Lock lock(mutex);
    Idle **link = find(bytes);
    if (Idle *found = *link) {
      *link = found->next;
      return {found, found->bytes};
    }
    // All are too small: a larger one takes the place of the largest.
    if (idle) {
      Idle **last = &idle;
      while ((*last)->next)
        last = &(*last)->next;
      replaced = cut(last);
    }
    held += bytes;
  }
  free(replaced);
  void *memory = allocate(bytes);
  if (memory)
    return {memory, bytes};
  {
    Lock lock(mutex);
    replaced = cut(&idle);
  }
  free(replaced);
  memory = allocate(bytes);
  if (!memory) {
    Lock lock(mutex);
    held -= bytes;
  }
  return {memory, bytes};
}

void ArenaPool::release(Arena arena) {
  {
    Lock lock(mutex);
    if (arena.bytes <= largestNeeded()) {
      Idle **link = find(arena.bytes);
      *link = new (arena.memory) Idle{*link, arena.bytes};
      return;
    }
    held -= arena.bytes;
  }
  deallocate(arena.memory, arena.bytes);
}

size_t ArenaPool::bytesHeld() {
  Lock lock(mutex);
  return held;
}

} // namespace gradopt::runtime

uint64_t gradopt_alloc_count(void) {
  return gradopt::runtime::allocations.load(std::memory_order_relaxed);
}

size_t gradopt_arena_bytes(void) {
  return gradopt::runtime::ArenaPool::get().bytesHeld();
}
