//===- Arena.h - Scratch memory of compiled code ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_ARENA_H
#define GRADOPT_RUNTIME_ARENA_H

#include <atomic>
#include <cstddef>
#include <pthread.h>

namespace gradopt::runtime {

/// Memory aligned to a cache line, counted; null if there is none left. What
/// has room for tapes (Tapes.h) are addresses: memory comes with the first
/// access to a page, and stays.
void *allocate(size_t bytes);
void deallocate(void *memory, size_t bytes);

/// The memory of the machine, swap space included.
size_t memoryOfMachine();

/// The scratch memory of one call.
struct Arena {
  void *memory = nullptr;
  size_t bytes = 0;
};

/// A loaded program that needs arenas.
struct ArenaUser {
  /// Changes under the lock of the pool; it only grows.
  std::atomic<size_t> bytes = 0;
  ArenaUser *larger = nullptr, *smaller = nullptr;
  bool isAdded = false;
};

/// The arenas of all programs in the process. There are at most as many as
/// calls ever ran at the same time, none is larger than the largest that a
/// loaded program needs, and in the steady state acquiring one allocates
/// nothing.
class ArenaPool {
public:
  /// The one of the process.
  static ArenaPool &get();

  /// A program was loaded, or is to be unloaded.
  void add(ArenaUser &user);
  void remove(ArenaUser &user);
  /// A program, added or not, needs arenas of at least so many bytes from now
  /// on.
  void enlarge(ArenaUser &user, size_t bytes);

  /// An arena of at least `bytes` bytes that nobody else uses; without memory
  /// if there is none left.
  Arena acquire(size_t bytes);
  void release(Arena arena);

  /// Bytes of all arenas, those in use included.
  size_t bytesHeld();

  /// Around a fork: nobody else changes the pool meanwhile.
  void lock() { pthread_mutex_lock(&mutex); }
  void unlock() { pthread_mutex_unlock(&mutex); }

private:
  void link(ArenaUser &user);
  void unlink(ArenaUser &user);

  /// A list of unused arenas that is kept in their own memory, the smallest
  /// first.
  struct Idle {
    Idle *next;
    size_t bytes;
  };

  /// The link that points to the first idle arena of at least `bytes` bytes, or
  /// to the end of the list.
  Idle **find(size_t bytes);
  /// Takes out of the list what `link` points to and all behind it.
  Idle *cut(Idle **link);
  /// Frees a list.
  void free(Idle *list);
  size_t largestNeeded() const { return users ? users->bytes.load() : 0; }

  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  Idle *idle = nullptr;
  size_t held = 0;
  /// All users, the largest first.
  ArenaUser *users = nullptr;
};

} // namespace gradopt::runtime

#endif // GRADOPT_RUNTIME_ARENA_H
