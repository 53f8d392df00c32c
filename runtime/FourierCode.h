//===- FourierCode.h - Code of transforms for kinds of CPUs -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_FOURIERCODE_H
#define GRADOPT_RUNTIME_FOURIERCODE_H

#include "runtime/Fourier.h"

namespace gradopt::runtime::fourier {

/// A call of gradopt_fourier, with its number taken apart.
struct Call {
  Transform transform;
  Norm norm;
  bool isForward;
  int32_t last;
  int64_t dimensions;
  const gradopt_buffer *x, *y;
  void *work;
};

struct Code {
  void (*ofF32)(const Call &call);
  void (*ofF64)(const Call &call);
};

extern const Code codeForAll;
#ifdef __x86_64__
extern const Code codeForV3, codeForV4;
#endif

} // namespace gradopt::runtime::fourier

#endif // GRADOPT_RUNTIME_FOURIERCODE_H
