//===- Array.h - Arrays without the C++ library -----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_ARRAY_H
#define GRADOPT_RUNTIME_ARRAY_H

#include <cstddef>
#include <cstdlib>
#include <new>
#include <type_traits>

namespace gradopt::runtime {

/// An array whose size is known before it is filled.
template <typename T> class Array {
  static_assert(std::is_trivially_destructible_v<T>);

public:
  Array() = default;
  Array(const Array &) = delete;
  Array &operator=(const Array &) = delete;
  ~Array() { std::free(elements); }

  /// Makes the elements; false if there is no memory. To be called once.
  bool allocate(size_t count) {
    elements = static_cast<T *>(std::calloc(count ? count : 1, sizeof(T)));
    if (!elements)
      return false;
    for (; length < count; ++length)
      new (elements + length) T;
    return true;
  }

  size_t size() const { return length; }
  T &operator[](size_t i) { return elements[i]; }
  const T &operator[](size_t i) const { return elements[i]; }
  T *begin() { return elements; }
  T *end() { return elements + length; }
  const T *begin() const { return elements; }
  const T *end() const { return elements + length; }

private:
  T *elements = nullptr;
  size_t length = 0;
};

} // namespace gradopt::runtime

#endif // GRADOPT_RUNTIME_ARRAY_H
