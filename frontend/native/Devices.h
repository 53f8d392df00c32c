//===- Devices.h - The CUDA devices of this machine -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_DEVICES_H
#define GRADOPT_NATIVE_DEVICES_H

#include "Numpy.h"

namespace gradopt::native {

/// Adds what there is to know of the devices to the module.
void bindDevices(nanobind::module_ &module);

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_DEVICES_H
