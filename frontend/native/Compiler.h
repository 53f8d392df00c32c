//===- Compiler.h - The compiler as Python functions ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_COMPILER_H
#define GRADOPT_NATIVE_COMPILER_H

#include <nanobind/nanobind.h>

namespace gradopt::native {

/// Adds the functions that run passes and generate code to the module.
void bindCompiler(nanobind::module_ &module);

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_COMPILER_H
