//===- FourierMemory.h - What ducc0 allocates -------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Transforms of many numbers allocate memory while they run, all of which they
// give back. Here they take it from what they are given to work in: the linker
// hands over what libGradOptFourier asks of malloc, free, new and delete.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_FOURIERMEMORY_H
#define GRADOPT_RUNTIME_FOURIERMEMORY_H

#include <cstddef>

namespace gradopt::runtime::fourier {

/// As long as it lives, what this thread allocates in this library lies in some
/// memory, as far as it has room. Without any, it finds out how much is needed.
class WorkMemory {
public:
  explicit WorkMemory(void *memory = nullptr, size_t bytes = 0);
  WorkMemory(const WorkMemory &) = delete;
  WorkMemory &operator=(const WorkMemory &) = delete;
  ~WorkMemory();

  /// The bytes that were in use at once.
  size_t getMost() const { return most; }

  /// Null if it has no room.
  void *take(size_t bytes);
  /// Whether it was taken from here.
  bool giveBack(void *pointer);

private:
  /// Any type is aligned with it.
  static constexpr size_t kAlignment = 64;

  char *begin;
  size_t size, used = 0, most = 0;
  /// What was not given back yet. Once nothing is left, all is free again.
  size_t count = 0;
};

} // namespace gradopt::runtime::fourier

#endif // GRADOPT_RUNTIME_FOURIERMEMORY_H
