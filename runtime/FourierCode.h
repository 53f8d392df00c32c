//===- FourierCode.h - Code of transforms for kinds of CPUs -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_FOURIERCODE_H
#define GRADOPT_RUNTIME_FOURIERCODE_H

#include "runtime/Fourier.h"

namespace gradopt::runtime::fourier {

/// What is transformed: a number that `encode` made, taken apart, and the shape
/// on the side of the real numbers.
struct Request {
  Request(int64_t number, const int64_t *shape, int32_t rank)
      : transform(static_cast<Transform>(number & 3)),
        norm(static_cast<Norm>(number >> 2 & 3)), isForward(number >> 4 & 1),
        last(int32_t(number >> 8 & 255)), dimensions(number >> 16),
        shape(shape), rank(rank) {}

  Transform transform;
  Norm norm;
  bool isForward;
  int32_t last;
  int64_t dimensions;
  const int64_t *shape;
  int32_t rank;
};

/// For one type of numbers.
struct CodeOfType {
  /// The bytes of memory to work in. Throws std::bad_alloc.
  size_t (*getWork)(const Request &request);
  /// From x to y. Throws std::bad_alloc.
  void (*run)(const Request &request, const void *x, void *y, void *work);
};

struct Code {
  CodeOfType ofF32, ofF64;
};

extern const Code codeForAll;
#ifdef __x86_64__
extern const Code codeForV3;
#endif

} // namespace gradopt::runtime::fourier

#endif // GRADOPT_RUNTIME_FOURIERCODE_H
