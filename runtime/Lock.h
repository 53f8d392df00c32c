//===- Lock.h - Mutual exclusion without the C++ library --------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_LOCK_H
#define GRADOPT_RUNTIME_LOCK_H

#include <pthread.h>

namespace gradopt::runtime {

/// Holds a mutex while the object lives.
class Lock {
public:
  explicit Lock(pthread_mutex_t &mutex) : mutex(mutex) {
    pthread_mutex_lock(&mutex);
  }
  ~Lock() { pthread_mutex_unlock(&mutex); }
  Lock(const Lock &) = delete;
  Lock &operator=(const Lock &) = delete;

private:
  pthread_mutex_t &mutex;
};

} // namespace gradopt::runtime

#endif // GRADOPT_RUNTIME_LOCK_H
