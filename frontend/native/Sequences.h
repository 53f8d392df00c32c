//===- Sequences.h - Short vectors, and views of arrays ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a call needs of LLVM's SmallVector and ArrayRef, without LLVM, which a
// process that finds its code in the store does not load.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_SEQUENCES_H
#define GRADOPT_NATIVE_SEQUENCES_H

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace gradopt::native {

/// A vector of objects that are copied as bytes and need no destructor.
template <typename T> class Vector {
  static_assert(std::is_trivially_copyable_v<T> &&
                std::is_trivially_destructible_v<T>);

public:
  Vector(const Vector &) = delete;
  Vector &operator=(const Vector &) = delete;

  T *begin() { return first; }
  T *end() { return first + count; }
  const T *begin() const { return first; }
  const T *end() const { return first + count; }
  T *data() { return first; }
  const T *data() const { return first; }
  size_t size() const { return count; }
  bool empty() const { return count == 0; }
  T &operator[](size_t i) { return first[i]; }
  const T &operator[](size_t i) const { return first[i]; }

  void push_back(T value) {
    if (count == capacity)
      grow(count + 1);
    new (first + count++) T(value);
  }

  template <typename Iterator> void append(Iterator begin, Iterator end) {
    for (; begin != end; ++begin)
      push_back(T(*begin));
  }

  T &back() { return first[count - 1]; }
  T takeBack() { return first[--count]; }

  void clear() { count = 0; }

protected:
  Vector(T *room, size_t capacity)
      : room(room), first(room), capacity(capacity) {}
  ~Vector() {
    if (first != room)
      std::free(first);
  }

  void resize(size_t size, T value) {
    if (size > capacity)
      grow(size);
    std::uninitialized_fill(first + count, first + size, value);
    count = size;
  }

private:
  void grow(size_t least) {
    size_t wanted = std::max(2 * capacity, least);
    bool isInline = first == room;
    void *grown = std::realloc(isInline ? nullptr : static_cast<void *>(first),
                               wanted * sizeof(T));
    if (!grown)
      throw std::bad_alloc();
    if (isInline)
      std::memcpy(grown, static_cast<const void *>(first), count * sizeof(T));
    first = static_cast<T *>(grown);
    capacity = wanted;
  }

  T *const room;
  T *first;
  size_t count = 0, capacity;
};

/// One with room for N elements in itself.
template <typename T, size_t N> class InlineVector : public Vector<T> {
public:
  InlineVector() : Vector<T>(reinterpret_cast<T *>(bytes), N) {}
  explicit InlineVector(size_t size, T value = T()) : InlineVector() {
    this->resize(size, value);
  }

private:
  alignas(T) unsigned char bytes[N * sizeof(T)];
};

/// Room for as many objects as are asked for at once, up to N of them in
/// itself.
template <typename T, size_t N> class Scratch {
  static_assert(std::is_trivial_v<T>);

public:
  explicit Scratch(size_t size)
      : first(size <= N ? room
                        : static_cast<T *>(std::malloc(size * sizeof(T)))) {
    if (!first)
      throw std::bad_alloc();
  }
  ~Scratch() {
    if (first != room)
      std::free(first);
  }
  Scratch(const Scratch &) = delete;
  Scratch &operator=(const Scratch &) = delete;

  T *data() { return first; }

private:
  T *const first;
  T room[N];
};

/// The elements of an array or vector that somebody else owns.
template <typename T> class Span {
public:
  Span() = default;
  Span(const T *first, size_t count) : first(first), count(count) {}
  /// Of what has data() and size().
  template <typename Elements,
            typename = decltype(std::declval<const Elements &>().data())>
  Span(const Elements &elements)
      : first(elements.data()), count(elements.size()) {}

  const T *begin() const { return first; }
  const T *end() const { return first + count; }
  const T *data() const { return first; }
  size_t size() const { return count; }
  bool empty() const { return count == 0; }
  const T &operator[](size_t i) const { return first[i]; }
  const T &back() const { return first[count - 1]; }
  Span dropBack(size_t number) const { return {first, count - number}; }

  friend bool operator==(Span one, Span other) {
    return std::equal(one.begin(), one.end(), other.begin(), other.end());
  }
  friend bool operator!=(Span one, Span other) { return !(one == other); }

private:
  const T *first = nullptr;
  size_t count = 0;
};

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_SEQUENCES_H
