//===- Gil.h - Giving up the GIL and getting it back ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Python before 3.14 ends a thread that asks for the GIL after the interpreter
// was finalized by unwinding its stack with pthread_exit(). Frames of C++
// cannot take part in this: their destructors drop references without the GIL,
// and the process aborts where one is noexcept. Such a thread stops here
// instead, as it does in Python 3.14.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_GIL_H
#define GRADOPT_NATIVE_GIL_H

#include <Python.h>

#include <cxxabi.h>
#include <unistd.h>

namespace gradopt::native {

/// Calls what may wait for the GIL: everything that may run Python code.
template <typename Body> decltype(auto) callPython(Body &&body) {
  try {
    return body();
  } catch (abi::__forced_unwind &) {
    while (true)
      pause();
  }
}

/// Other threads may run Python code while the object lives.
class GilRelease {
public:
  GilRelease() : state(PyEval_SaveThread()) {}
  ~GilRelease() {
    callPython([&] { PyEval_RestoreThread(state); });
  }
  GilRelease(const GilRelease &) = delete;
  GilRelease &operator=(const GilRelease &) = delete;

private:
  PyThreadState *state;
};

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_GIL_H
