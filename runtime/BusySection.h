//===- BusySection.h - Work that forks and exits wait for -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// LLVM, MLIR and a BLAS have locks and tables of the whole process. A child
// gets a copy of them in the state they are in, and only the thread that
// forked: what another thread had locked stays locked in it. When the process
// exits, they are destroyed while other threads still use them. So the work
// with them is done in sections; a fork and the exit wait for the threads in
// one to leave it, or to reach a point in it where nothing is half-done.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_BUSYSECTION_H
#define GRADOPT_RUNTIME_BUSYSECTION_H

#include "runtime/gradopt_runtime.h"

namespace gradopt::runtime {

/// This thread is in the section while the object lives; sections nest. Never
/// wait in one for a thread that may fork.
class GRADOPT_EXPORT BusySection {
public:
  BusySection();
  ~BusySection();
  BusySection(const BusySection &) = delete;
  BusySection &operator=(const BusySection &) = delete;

  /// Lets a fork or exit that waits for this thread go first. To be called
  /// where the thread holds no lock and nothing is half-done.
  static void yield();

private:
  bool outermost;
};

/// Number of forks between the first process and this one. Threads that were
/// started at another number do not exist.
GRADOPT_EXPORT unsigned forkGeneration();

/// From now on, exit() stops the threads in sections before anything is
/// destroyed. If one of them is not at a point where it can stop within half a
/// second, the process ends without the handlers that are left, with its
/// streams flushed and its exit status. To be called late: what was registered
/// with atexit() afterwards runs before that.
GRADOPT_EXPORT void stopSectionsAtExit();

} // namespace gradopt::runtime

#endif // GRADOPT_RUNTIME_BUSYSECTION_H
