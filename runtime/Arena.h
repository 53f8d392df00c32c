//===- Arena.h - Scratch memory of compiled code ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_ARENA_H
#define GRADOPT_RUNTIME_ARENA_H

#include <cstddef>
#include <mutex>

namespace gradopt::runtime {

/// Memory aligned to a cache line, counted; null if there is none left.
void *allocate(size_t bytes);
void deallocate(void *memory);

/// Arenas of one size. There are as many as calls ever ran at the same time, so
/// in the steady state acquiring one allocates nothing.
class ArenaPool {
public:
  explicit ArenaPool(size_t bytes) : bytes(bytes) {}
  ~ArenaPool();
  ArenaPool(const ArenaPool &) = delete;
  ArenaPool &operator=(const ArenaPool &) = delete;

  size_t size() const { return bytes; }

  /// An arena nobody else uses; null if memory ran out.
  void *acquire();
  void release(void *arena);

private:
  const size_t bytes;
  std::mutex mutex;
  /// A list of unused arenas that is kept in their own memory.
  struct Idle {
    Idle *next;
  };
  Idle *idle = nullptr;
};

} // namespace gradopt::runtime

#endif // GRADOPT_RUNTIME_ARENA_H
