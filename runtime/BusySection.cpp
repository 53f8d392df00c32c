//===- BusySection.cpp - Work that forks and exits wait for ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/BusySection.h"
#include "runtime/Arena.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
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
  std::mutex mutex;
  std::condition_variable changed;
};

// Never destroyed. In a child it is a new one: waiting threads have left traces
// in the condition variable.
Gate *gate = new Gate;
std::atomic<unsigned> generation = 0;

/// Sections of this thread that lie in each other.
thread_local unsigned depth = 0;

/// Whether this thread has stopped all others on its way out.
thread_local bool exiting = false;

void leave() {
  Gate &here = *gate;
  here.busy.fetch_sub(1);
  if (!here.closed)
    return;
  std::lock_guard<std::mutex> lock(here.mutex);
  here.changed.notify_all();
}

void enter() {
  Gate &here = *gate;
  for (here.busy.fetch_add(1); here.closed; here.busy.fetch_add(1)) {
    leave();
    std::unique_lock<std::mutex> lock(here.mutex);
    here.changed.wait(lock, [&] { return !here.closed; });
  }
}

/// The sections of other threads than this one.
unsigned othersBusy(const Gate &gate) { return gate.busy - (depth != 0); }

void beforeFork() {
  if (!exiting) {
    std::unique_lock<std::mutex> lock(gate->mutex);
    // Another thread may fork at the same time.
    gate->changed.wait(lock, [] { return !gate->closed; });
    gate->closed = true;
    gate->changed.wait(lock, [] { return othersBusy(*gate) == 0; });
  }
  ArenaPool::get().lock();
}

void afterForkInParent() {
  ArenaPool::get().unlock();
  if (exiting)
    return;
  std::lock_guard<std::mutex> lock(gate->mutex);
  gate->closed = false;
  gate->changed.notify_all();
}

void afterForkInChild() {
  ArenaPool::get().unlock();
  gate = new Gate;
  gate->busy = depth != 0;
  generation.fetch_add(1);
}

[[maybe_unused]] const int registered =
    pthread_atfork(beforeFork, afterForkInParent, afterForkInChild);

void atExit(int status, void *) {
  std::unique_lock<std::mutex> lock(gate->mutex);
  gate->closed = true;
  bool stopped = gate->changed.wait_for(lock, std::chrono::milliseconds(500),
                                        [] { return othersBusy(*gate) == 0; });
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
  if (depth == 0 || !gate->closed.load(std::memory_order_relaxed))
    return;
  leave();
  enter();
}

unsigned forkGeneration() { return generation.load(std::memory_order_relaxed); }

void stopSectionsAtExit() { on_exit(atExit, nullptr); }

} // namespace gradopt::runtime
