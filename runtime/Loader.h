//===- Loader.h - What loaded modules are -----------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_LOADER_H
#define GRADOPT_RUNTIME_LOADER_H

#include "runtime/Commands.h"

namespace gradopt::runtime {

/// The table of a module that is a list of commands; null if it is not. It was
/// checked when the module was loaded, but for the sizes of its buffers, which
/// are up to the caller.
const gradopt_commands *commandsOf(const gradopt_module *module);

} // namespace gradopt::runtime

#endif // GRADOPT_RUNTIME_LOADER_H
