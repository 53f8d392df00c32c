//===- Callbacks.h - Python code that compiled code calls -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_CALLBACKS_H
#define GRADOPT_NATIVE_CALLBACKS_H

#include "runtime/gradopt_runtime.h"

namespace gradopt::native {

/// A `gradopt_callback`; its state is a Python callable. That gets a list of
/// inputs, which are its own, and a list of the shapes of the outputs; it
/// returns a sequence of arrays. If it raises, a Python error is left set.
int32_t callPythonTarget(void *callable, const gradopt_buffer *inputs,
                         int64_t numInputs, const gradopt_buffer *outputs,
                         int64_t numOutputs);

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_CALLBACKS_H
