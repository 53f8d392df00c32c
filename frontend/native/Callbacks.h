//===- Callbacks.h - Python code that compiled code calls -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_CALLBACKS_H
#define GRADOPT_NATIVE_CALLBACKS_H

#include "Runnable.h"

#include "runtime/gradopt_runtime.h"

namespace gradopt::native {

/// A `gradopt_callback`; its state is a Python callable. That gets a list of
/// inputs, which are its own, and a list of the shapes of the outputs; it
/// returns a sequence of arrays. If it raises, a Python error is left set.
int32_t callPythonTarget(void *callable, const gradopt_buffer *inputs,
                         int64_t numInputs, const gradopt_buffer *outputs,
                         int64_t numOutputs);

/// The functions that code calls by their numbers.
class Targets {
public:
  /// Takes an (address, callable) pair for each. Address 0 stands for the
  /// callable, see callPythonTarget(); else that gets what the function at the
  /// address returned, if this is not 0, and raises.
  void set(nanobind::handle pairs);

  const std::vector<gradopt_target> &getTable() const { return table; }

  /// Sets the Python error for a call that one of them ended.
  void raise() const;

  int traverse(visitproc visit, void *arg) const;

private:
  std::vector<gradopt_target> table;
  std::vector<nanobind::object> callables;
};

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_CALLBACKS_H
