//===- CodeLookup.h - Code of programs that are known -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_CODELOOKUP_H
#define GRADOPT_NATIVE_CODELOOKUP_H

#include <nanobind/nanobind.h>

namespace gradopt::native {

/// Makes the cache of the process, and adds the functions that look into it and
/// into stores to the module.
void bindCodeLookup(nanobind::module_ &module);

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_CODELOOKUP_H
