//===- BusySection.cpp - Work that forks and exits wait for ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/BusySection.h"
#include "runtime/Arena.h"
#include "runtime/Lock.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <new>
#include <pthread.h>
#include <unistd.h>

namespace gradopt::runtime {
namespace {

struct Gate {
  /// Threads in sections. One that finds the gate closed leaves again, so the
  /// mutex is only for those that wait.
  std::atomic<unsigned> busy = 0;
  /// Whether a fork or the exit waits for the sections to be left.
  std::atomic<bool> closed = false;
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

  /// Waits, with the mutex held, until `holds()`.
  template <typename Condition> void wait(Condition holds) {
    while (!holds())
      pthread_cond_wait(&changed, &mutex);
  }
};

Gate gate;
std::atomic<unsigned> generation = 0;

/// Sections of this thread that lie in each other.
thread_local unsigned depth = 0;

/// Whether this thread has stopped all others on its way out.
thread_local bool exiting = false;

void leave() {
  gate.busy.fetch_sub(1);
  if (!gate.closed)
    return;
  Lock lock(gate.mutex);
  pthread_cond_broadcast(&gate.changed);
}

void enter() {
  for (gate.busy.fetch_add(1); gate.closed; gate.busy.fetch_add(1)) {
    leave();
    Lock lock(gate.mutex);
    gate.wait([] { return !gate.closed; });
  }
}

/// The sections of other threads than this one.
unsigned othersBusy() { return gate.busy - (depth != 0); }

void beforeFork() {
  if (!exiting) {
    Lock lock(gate.mutex);
    // Another thread may fork at the same time.
    gate.wait([] { return !gate.closed; });
    gate.closed = true;
    gate.wait([] { return othersBusy() == 0; });
  }
  ArenaPool::get().lock();
}

void afterForkInParent() {
  ArenaPool::get().unlock();
  if (exiting)
    return;
  Lock lock(gate.mutex);
  gate.closed = false;
  pthread_cond_broadcast(&gate.changed);
}

void afterForkInChild() {
  ArenaPool::get().unlock();
  // Threads that waited have left traces in it.
  new (&gate) Gate;
  gate.busy = depth != 0;
  generation.fetch_add(1);
}

[[maybe_unused]] const int registered =
    pthread_atfork(beforeFork, afterForkInParent, afterForkInChild);

void atExit(int status, void *) {
  gate.closed = true;
  constexpr timespec twoMilliseconds = {0, 2'000'000};
  for (int i = 0; i < 250 && othersBusy(); ++i)
    nanosleep(&twoMilliseconds, nullptr);
  bool stopped = !othersBusy();
  // What this thread destroys on its way out may need a section.
  ++depth;
  exiting = true;
  if (stopped)
    return;
  std::fflush(nullptr);
  _exit(status);
}

} // namespace

BusySection::BusySection() : outermost(depth++ == 0) {
  if (outermost)
    enter();
}

BusySection::~BusySection() {
  --depth;
  if (outermost)
    leave();
}

void BusySection::yield() {
  if (depth == 0 || !gate.closed.load(std::memory_order_relaxed))
    return;
  leave();
  enter();
}

unsigned forkGeneration() { return generation.load(std::memory_order_relaxed); }

void stopSectionsAtExit() { on_exit(atExit, nullptr); }

} // namespace gradopt::runtime
