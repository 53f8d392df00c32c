//===- DeviceArray.h - Arrays in the memory of devices ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_DEVICEARRAY_H
#define GRADOPT_NATIVE_DEVICEARRAY_H

#include "Arrays.h"
#include "DeviceMemory.h"

namespace gradopt::native {

/// The C++ part of a Python `DeviceArray`: a row-major array on a device.
class DeviceArray {
public:
  DeviceArray(ArraySpec spec, std::shared_ptr<DeviceMemory> memory,
              void *address)
      : spec(std::move(spec)), device(memory->getDevice()),
        memory(std::move(memory)), address(address) {}

  /// A new Python object; throws nanobind::python_error.
  static nanobind::object
  make(ArraySpec spec, std::shared_ptr<DeviceMemory> memory, void *address);

  /// The C++ part of an object, if it is an exact `DeviceArray`.
  static DeviceArray *get(PyObject *object);

  const ArraySpec &getSpec() const { return spec; }
  int32_t getDevice() const { return device; }
  /// Null if it was donated.
  const std::shared_ptr<DeviceMemory> &getMemory() const { return memory; }
  void *getAddress() const { return address; }

  /// What it was donated as (borrowed); null if it was not.
  PyObject *donatedAs() const { return donated.ptr(); }

  /// Whether nobody else may show the memory, so that a result can have it.
  bool isSole() const { return !memory->isShared() && memory.use_count() == 1; }

  /// Gives the memory up: the array counts as donated from now on, as `name`.
  std::shared_ptr<DeviceMemory> donate(PyObject *name);

private:
  ArraySpec spec;
  int32_t device;
  std::shared_ptr<DeviceMemory> memory;
  void *address;
  nanobind::object donated;
};

/// "cuda:0".
std::string deviceName(int32_t device);

/// Adds `DeviceArray` and what makes such arrays to the module.
void bindDeviceArray(nanobind::module_ &module);

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_DEVICEARRAY_H
