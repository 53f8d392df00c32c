//===- BundleFiles.h - Writing bundles from Python --------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_BUNDLEFILES_H
#define GRADOPT_NATIVE_BUNDLEFILES_H

#include <nanobind/nanobind.h>

namespace gradopt::native {

/// Adds `BundleProgram`, `write_bundle` and `write_header` to the module.
void bindBundleFiles(nanobind::module_ &module);

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_BUNDLEFILES_H
