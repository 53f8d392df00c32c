//===- Dispatcher.h - The call path from Python to code ---------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_DISPATCHER_H
#define GRADOPT_NATIVE_DISPATCHER_H

#include "Numpy.h"

namespace gradopt::native {

/// Adds `Dispatcher` to the module.
void bindDispatcher(nanobind::module_ &module);

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_DISPATCHER_H
