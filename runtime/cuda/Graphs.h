//===- Graphs.h - Calls that are replayed -----------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A call whose buffers, and whose lane, are those of an earlier one does the
// same again, if it reads no number from the device. It is captured the second
// time, and launched as one graph from then on. Graphs of other buffers are
// mostly the same but for the addresses, so that a graph that is not needed any
// more is updated, which is cheaper than to make one.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_CUDA_GRAPHS_H
#define GRADOPT_RUNTIME_CUDA_GRAPHS_H

#include "runtime/cuda/Driver.h"

#include <pthread.h>

namespace gradopt::cuda {

/// The graphs of a program; the functions are for one thread at a time, which
/// holds the mutex.
class Graphs {
public:
  Graphs() = default;
  Graphs(const Graphs &) = delete;
  Graphs &operator=(const Graphs &) = delete;
  ~Graphs();

  /// A call that there may be again.
  struct Entry {
    /// Of the lane; 0: nothing was called yet.
    uint64_t lane = 0;
    void **buffers = nullptr;
    uint64_t lastUse = 0;
    /// Whether `executable` is of this call, and not of one before it.
    bool isCaptured = false;
    CUgraphExec executable = nullptr;
  };

  /// The entry of a call, or null if there is none yet.
  Entry *find(uint64_t lane, void *const *buffers, size_t numBuffers);

  /// Makes an entry of a call, in the place of the one that was not used for
  /// the longest time.
  void add(uint64_t lane, void *const *buffers, size_t numBuffers);

  /// Gives an entry its graph, which is used up.
  CUresult capture(const Driver &driver, Entry &entry, CUgraph graph);

  void clear(const Driver &driver);

  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  /// Whether the program cannot be captured, or is not worth it.
  bool isOff = false;

private:
  static constexpr unsigned kEntries = 16;

  Entry entries[kEntries];
  uint64_t uses = 0;
};

} // namespace gradopt::cuda

#endif // GRADOPT_RUNTIME_CUDA_GRAPHS_H
