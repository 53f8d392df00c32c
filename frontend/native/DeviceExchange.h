//===- DeviceExchange.h - Device arrays of other libraries ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_DEVICEEXCHANGE_H
#define GRADOPT_NATIVE_DEVICEEXCHANGE_H

#include "DeviceArray.h"

namespace gradopt::native {

/// The array in a capsule of `__dlpack__`, whose contents are ready on the
/// stream of this number. `lingers` as for DeviceMemory::adopt(). Throws.
nanobind::object fromDlpack(nanobind::handle capsule, uintptr_t stream,
                            bool lingers);

/// A capsule with the array, for one who uses it on the stream of this number:
/// the legacy default stream if none, or -1 if nothing is to wait for it.
/// `version` is the newest that he knows, or None for one before 1.0. Throws.
nanobind::object toDlpack(const DeviceArray &array, nanobind::handle stream,
                          nanobind::handle version);

/// The array on a device that a leaf of another library is. Null if it is none,
/// or if that is for Python code to explain; no Python error is set then unless
/// `isFailure`. `wrap` becomes what makes arrays of that library, or stays.
nanobind::object adoptLeaf(PyObject *leaf, nanobind::object &wrap,
                           bool &isFailure);

/// Adds `set_adopter` to the module.
void bindDeviceExchange(nanobind::module_ &module);

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_DEVICEEXCHANGE_H
