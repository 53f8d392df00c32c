//===- Tasks.h - What libraries do in place of the host ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_CUDA_TASKS_H
#define GRADOPT_RUNTIME_CUDA_TASKS_H

#include "runtime/RuntimeError.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace gradopt::cuda {

/// What a library does for the calls of the host of one program, by the places
/// of these among the commands. A `Task` is nothing but its bytes.
template <typename Task> class Tasks {
public:
  Tasks() = default;
  ~Tasks() { std::free(entries); }
  Tasks(const Tasks &) = delete;
  Tasks &operator=(const Tasks &) = delete;

  /// Adds one at a place behind those of all others.
  gradopt_status add(size_t place, const Task &task) {
    if (count == capacity) {
      size_t more = capacity ? 2 * capacity : 8;
      void *grown = std::realloc(entries, more * sizeof(Entry));
      if (!grown)
        return runtime::fail(GRADOPT_OUT_OF_MEMORY, "out of memory");
      entries = static_cast<Entry *>(grown);
      capacity = more;
    }
    new (entries + count++) Entry{place, task};
    return GRADOPT_OK;
  }

  /// The one at a place; null if there is none.
  const Task *find(size_t place) const {
    const Entry *begin = entries, *end = entries + count;
    const Entry *found = std::lower_bound(
        begin, end, place,
        [](const Entry &each, size_t place) { return each.place < place; });
    return found != end && found->place == place ? &found->task : nullptr;
  }

private:
  struct Entry {
    size_t place;
    Task task;
  };

  Entry *entries = nullptr;
  size_t count = 0, capacity = 0;
};

} // namespace gradopt::cuda

#endif // GRADOPT_RUNTIME_CUDA_TASKS_H
