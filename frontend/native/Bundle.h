//===- Bundle.h - Bundles on the call path ----------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_BUNDLE_H
#define GRADOPT_NATIVE_BUNDLE_H

#include "Numpy.h"

namespace gradopt::native {

/// Adds `Bundle` to the module.
void bindBundle(nanobind::module_ &module);

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_BUNDLE_H
