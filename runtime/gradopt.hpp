//===- gradopt.hpp - Bundles in C++ -----------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A wrapper of gradopt_runtime.h for C++17: what is opened is closed, failures
// are exceptions, and arrays know their types and sizes, which are compared
// with those of the program before anything is called.
//
//   gradopt::Bundle bundle("model.bundle");
//   gradopt::Program step = bundle["step"];
//   std::vector<double> x(7), gradient(7);
//   double loss;
//   step({x, 0.5}, {loss, gradient});
//
// On a GPU, arrays are spans of its memory:
//
//   step.call_cuda({gradopt::Span(deviceX, 7), gradopt::Span(deviceRate, 1)},
//                  {gradopt::Span(deviceLoss, 1), gradopt::Span(deviceDx, 7)},
//                  stream);
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_HPP
#define GRADOPT_HPP

#include "gradopt_cuda.h"

#include <complex>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace gradopt {

/// What the runtime says of a failure.
class Error : public std::runtime_error {
public:
  explicit Error(gradopt_status status)
      : std::runtime_error(gradopt_last_error()), code(status) {}

  gradopt_status status() const { return code; }

private:
  gradopt_status code;
};

/// A check of the program failed, such as one of an index.
class CheckError : public Error {
public:
  CheckError() : Error(GRADOPT_CHECK_FAILED), name(gradopt_failed_check()) {}

  /// The exception that Python would have raised: "IndexError".
  const std::string &python_exception() const { return name; }

private:
  std::string name;
};

inline void check(gradopt_status status) {
  if (status == GRADOPT_CHECK_FAILED)
    throw CheckError();
  if (status != GRADOPT_OK)
    throw Error(status);
}

//===----------------------------------------------------------------------===//
// Types
//===----------------------------------------------------------------------===//

/// The gradopt_dtype of elements that are a T.
template <typename T> constexpr gradopt_dtype dtype_of() {
  if constexpr (std::is_same_v<T, std::complex<float>>) {
    return GRADOPT_C64;
  } else if constexpr (std::is_same_v<T, std::complex<double>>) {
    return GRADOPT_C128;
  } else if constexpr (std::is_same_v<T, bool>) {
    return GRADOPT_BOOL;
  } else if constexpr (std::is_same_v<T, float>) {
    return GRADOPT_F32;
  } else if constexpr (std::is_same_v<T, double>) {
    return GRADOPT_F64;
  } else {
    static_assert(std::is_integral_v<T> && sizeof(T) <= 8,
                  "arrays have elements of bool, integers of at most 64 bits, "
                  "float, double or std::complex of these");
    constexpr bool isSigned = std::is_signed_v<T>;
    return sizeof(T) == 1   ? (isSigned ? GRADOPT_I8 : GRADOPT_U8)
           : sizeof(T) == 2 ? (isSigned ? GRADOPT_I16 : GRADOPT_U16)
           : sizeof(T) == 4 ? (isSigned ? GRADOPT_I32 : GRADOPT_U32)
                            : (isSigned ? GRADOPT_I64 : GRADOPT_U64);
  }
}

/// Whether elements of `dtype` lie in an array of `array`. A bool is a byte, 0
/// or 1, and may lie in one of std::uint8_t; of floats with 16 bits the bits may
/// lie in one of std::uint16_t.
constexpr bool can_hold(gradopt_dtype array, gradopt_dtype dtype) {
  return array == dtype || (array == GRADOPT_U8 && dtype == GRADOPT_BOOL) ||
         (array == GRADOPT_U16 &&
          (dtype == GRADOPT_F16 || dtype == GRADOPT_BF16));
}

inline const char *dtype_name(std::int32_t dtype) {
  static const char *const names[] = {
      "bool",    "int8",      "int16",     "int32",  "int64",
      "float32", "float64",   "uint8",     "uint16", "uint32",
      "uint64",  "complex64", "complex128", "float16", "bfloat16"};
  return dtype >= 0 && dtype < 15 ? names[dtype] : "?";
}

/// Elements that lie side by side.
template <typename T> class Span {
public:
  constexpr Span() = default;
  constexpr Span(T *data, std::size_t size) : first(data), count(size) {}

  constexpr T *data() const { return first; }
  constexpr std::size_t size() const { return count; }
  constexpr T *begin() const { return first; }
  constexpr T *end() const { return first + count; }
  constexpr T &operator[](std::size_t i) const { return first[i]; }

private:
  T *first = nullptr;
  std::size_t count = 0;
};

//===----------------------------------------------------------------------===//
// Arrays
//===----------------------------------------------------------------------===//

/// What a program takes or returns: row-major, without gaps.
class ArrayInfo {
public:
  explicit ArrayInfo(const gradopt_array_info *info) : info(info) {}

  std::string name() const { return info->name; }
  gradopt_dtype dtype() const {
    return static_cast<gradopt_dtype>(info->dtype);
  }
  Span<const std::int64_t> shape() const {
    return {info->shape, static_cast<std::size_t>(info->rank)};
  }
  /// For each dimension the number of the argument, or of the result, that is
  /// the size along it in a call, or -1 (see gradopt_array_info).
  Span<const std::int64_t> sizes() const {
    return {info->sizes, static_cast<std::size_t>(info->rank)};
  }
  /// The number of elements that there is memory for in a call with this room;
  /// without one, in a call with no rows. Throws std::invalid_argument if it is
  /// the room of no call.
  std::size_t size(std::int64_t room) const {
    std::size_t bytes = gradopt_array_bytes(info, room);
    if (bytes == static_cast<std::size_t>(-1))
      throw std::invalid_argument(name() + ": expected the room of a call, but "
                                           "got " +
                                  std::to_string(room));
    return bytes / itemsize();
  }
  std::size_t size() const { return bytes() / itemsize(); }
  std::size_t bytes() const { return info->bytes; }
  /// Of a result: the argument in whose memory it is computed, if it is.
  std::optional<std::size_t> reused() const {
    if (info->reused < 0)
      return std::nullopt;
    return static_cast<std::size_t>(info->reused);
  }
  std::string description() const {
    std::string text = std::string(dtype_name(info->dtype)) + "[";
    for (std::size_t i = 0; i < shape().size(); ++i)
      text += (i ? ", " : "") +
              (info->extents_of_part[i] ? "?" : std::to_string(shape()[i]));
    return text + "]";
  }

private:
  /// The bytes of an element: of an array without dimensions.
  std::size_t itemsize() const {
    gradopt_array_info element = *info;
    element.rank = 0;
    return gradopt_array_bytes(&element, 0);
  }

  const gradopt_array_info *info;
};

/// An array of the caller's, or a number: anything with data() and size(), such
/// as a std::vector, an array, or a Span. It is valid for one call.
class ArrayView {
public:
  template <typename T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
  ArrayView(T &number) : ArrayView(&number, 1) {}
  template <typename T, std::enable_if_t<std::is_arithmetic_v<T>, int> = 0>
  ArrayView(const T &number) : ArrayView(&number, 1) {}
  template <typename T>
  ArrayView(std::complex<T> &number) : ArrayView(&number, 1) {}
  template <typename T>
  ArrayView(const std::complex<T> &number) : ArrayView(&number, 1) {}
  template <typename T, std::size_t N>
  ArrayView(T (&array)[N]) : ArrayView(array, N) {}
  template <typename C, typename = decltype(std::declval<C &>().data(),
                                            std::declval<C &>().size())>
  ArrayView(C &&container) : ArrayView(container.data(), container.size()) {}

  void *data() const { return const_cast<void *>(address); }
  gradopt_dtype dtype() const { return type; }
  std::size_t size() const { return count; }
  bool is_writable() const { return writable; }

private:
  template <typename T>
  ArrayView(T *data, std::size_t size)
      : address(data), count(size), type(dtype_of<std::remove_cv_t<T>>()),
        writable(!std::is_const_v<T>) {}

  const void *address;
  std::size_t count;
  gradopt_dtype type;
  bool writable;
};

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

/// A function of a bundle, for arrays of certain shapes. It lives as long as
/// the bundle; any number of threads may call it.
class Program {
public:
  explicit Program(gradopt_program *program) : program(program) {}

  std::string name() const { return gradopt_program_name(program); }
  std::size_t num_arguments() const {
    return gradopt_program_num_arguments(program);
  }
  std::size_t num_results() const {
    return gradopt_program_num_results(program);
  }
  /// Throws std::out_of_range if there are not so many.
  ArrayInfo argument(std::size_t number) const {
    return info(gradopt_program_argument(program, number), "argument");
  }
  ArrayInfo result(std::size_t number) const {
    return info(gradopt_program_result(program, number), "result");
  }
  /// Bytes of temporaries of a call with this room.
  std::size_t arena_bytes(std::int64_t room = 0) const {
    return gradopt_program_arena_bytes(program, room);
  }
  /// The room that a call has for its rows, if there may be any number of them;
  /// else 0. Throws Error where a size is larger than it may be.
  std::int64_t room(Span<const ArrayView> arguments) const {
    requireCount("arguments", num_arguments(), arguments.size());
    std::vector<void *> addresses;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      for (std::int64_t number : argument(i).sizes())
        if (number >= 0)
          requireLike("argument", argument(number), arguments[number], 1);
      addresses.push_back(arguments[i].data());
    }
    std::int64_t found = 0;
    check(gradopt_program_room(program, addresses.data(), &found));
    return found;
  }
  std::int64_t room(std::initializer_list<ArrayView> arguments) const {
    return room({arguments.begin(), arguments.size()});
  }
  /// Whether it has code for this CPU, and for GPUs; there is one of them.
  bool has_cpu_code() const { return gradopt_program_has_cpu_code(program); }
  bool has_cuda_code() const { return gradopt_program_has_cuda_code(program); }
  /// Memory for a result of a call with this room, or with no rows. (A
  /// std::vector<bool> has no elements that lie side by side: ask for
  /// std::uint8_t.)
  template <typename T>
  std::vector<T> make_result(std::size_t number, std::int64_t room) const {
    return std::vector<T>(resultFor<T>(number).size(room));
  }
  template <typename T> std::vector<T> make_result(std::size_t number) const {
    return std::vector<T>(resultFor<T>(number).size());
  }

  /// Calls it with all arguments, and all results but those that are computed
  /// in the memory of an argument, which has to be writable then. Throws
  /// std::invalid_argument where an array has another type or size than the
  /// program's, CheckError, and Error.
  void operator()(std::initializer_list<ArrayView> arguments,
                  std::initializer_list<ArrayView> results) const {
    call({arguments.begin(), arguments.size()},
         {results.begin(), results.size()});
  }

  /// The same with numbers of arrays that are known when it runs.
  void call(Span<const ArrayView> arguments,
            Span<const ArrayView> results) const {
    Addresses addresses = checkArrays(arguments, results);
    check(gradopt_program_call(program, addresses.arguments.data(),
                               addresses.results.data()));
  }

  /// Queues a call on a stream (a CUstream) of a GPU; null is the legacy
  /// default stream. All arrays are in the memory of the device, aligned to 16
  /// bytes, and so are numbers, but for those that are sizes of arguments, which
  /// are the host's.
  void call_cuda(std::initializer_list<ArrayView> arguments,
                 std::initializer_list<ArrayView> results,
                 void *stream = nullptr, std::int32_t device = 0) const {
    call_cuda({arguments.begin(), arguments.size()},
              {results.begin(), results.size()}, stream, device);
  }

  void call_cuda(Span<const ArrayView> arguments, Span<const ArrayView> results,
                 void *stream = nullptr, std::int32_t device = 0) const {
    // An error of the device is one before arrays are looked at.
    check(gradopt_program_load_cuda(program, device));
    Addresses addresses = checkArrays(arguments, results);
    check(gradopt_program_call_cuda(program, device, addresses.arguments.data(),
                                    addresses.results.data(), stream));
  }

private:
  struct Addresses {
    std::vector<void *> arguments, results;
  };

  /// The addresses of arrays that are the program's.
  Addresses checkArrays(Span<const ArrayView> arguments,
                        Span<const ArrayView> results) const {
    std::int64_t rowsOf = room(arguments);
    Addresses addresses;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      ArrayInfo info = argument(i);
      std::size_t count = info.size(rowsOf);
      if (info.sizes().size() && info.sizes()[0] >= 0) {
        auto rows = *static_cast<const std::int64_t *>(
            arguments[info.sizes()[0]].data());
        count = static_cast<std::size_t>(rows);
        for (std::size_t d = 1; d < info.shape().size(); ++d)
          count *= static_cast<std::size_t>(info.shape()[d]);
      }
      requireLike("argument", info, arguments[i], count);
      addresses.arguments.push_back(arguments[i].data());
    }
    std::size_t own = 0;
    for (std::size_t i = 0; i < num_results(); ++i)
      own += !result(i).reused();
    requireCount("results", own, results.size());
    const ArrayView *next = results.begin();
    for (std::size_t i = 0; i < num_results(); ++i) {
      ArrayInfo info = result(i);
      const ArrayView &array =
          info.reused() ? arguments[*info.reused()] : *next++;
      requireLike("result", info, array, info.size(rowsOf));
      require(array.is_writable(), "result", info, "memory that is const");
      addresses.results.push_back(array.data());
    }
    return addresses;
  }

  /// A result that lies in an array of T.
  template <typename T> ArrayInfo resultFor(std::size_t number) const {
    ArrayInfo info = result(number);
    require(can_hold(dtype_of<T>(), info.dtype()), "result", info,
            dtype_name(dtype_of<T>()));
    return info;
  }

  static ArrayInfo info(const gradopt_array_info *found, const char *what) {
    if (!found)
      throw std::out_of_range(std::string("the program has no such ") + what);
    return ArrayInfo(found);
  }
  void require(bool condition, const char *what, const ArrayInfo &info,
               const std::string &got) const {
    if (!condition)
      throw std::invalid_argument(name() + ": expected " + info.description() +
                                  " for the " + what + " " + info.name() +
                                  ", but got " + got);
  }
  void requireLike(const char *what, const ArrayInfo &info,
                   const ArrayView &array, std::size_t size) const {
    require(can_hold(array.dtype(), info.dtype()) && array.size() == size,
            what, info,
            std::to_string(array.size()) + " elements of " +
                dtype_name(array.dtype()));
  }
  void requireCount(const char *what, std::size_t expected,
                    std::size_t got) const {
    if (expected != got)
      throw std::invalid_argument(name() + ": expected " +
                                  std::to_string(expected) + " " + what +
                                  ", but got " + std::to_string(got));
  }

  gradopt_program *program;
};

/// An open bundle; closed when it is destroyed.
class Bundle {
public:
  /// Throws Error if it is none that this machine can run.
  explicit Bundle(const std::string &path) {
    gradopt_bundle *opened = nullptr;
    check(gradopt_bundle_open(path.c_str(), &opened));
    bundle.reset(opened);
  }

  std::size_t num_programs() const {
    return gradopt_bundle_num_programs(bundle.get());
  }
  /// Throws std::out_of_range if there are not so many.
  Program program(std::size_t number) const {
    return require(gradopt_bundle_program(bundle.get(), number),
                   std::to_string(number));
  }
  /// The first one of this name, if there is one.
  std::optional<Program> find(const std::string &name) const {
    gradopt_program *found = gradopt_bundle_find(bundle.get(), name.c_str());
    return found ? std::optional<Program>(found) : std::nullopt;
  }
  /// The same; throws std::out_of_range if there is none.
  Program operator[](const std::string &name) const {
    return require(gradopt_bundle_find(bundle.get(), name.c_str()), name);
  }

  /// For the functions of C, and of headers that were made for a bundle.
  gradopt_bundle *get() const { return bundle.get(); }

private:
  static Program require(gradopt_program *found, const std::string &name) {
    if (!found)
      throw std::out_of_range("the bundle has no program " + name);
    return Program(found);
  }

  struct Close {
    void operator()(gradopt_bundle *bundle) const {
      gradopt_bundle_close(bundle);
    }
  };

  std::unique_ptr<gradopt_bundle, Close> bundle;
};

} // namespace gradopt

#endif // GRADOPT_HPP
