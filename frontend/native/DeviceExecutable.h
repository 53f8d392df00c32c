//===- DeviceExecutable.h - Loaded code for a CUDA device -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A call queues its work on the stream of its first array and returns. Where
// there is no array on the device among the arguments, they are copied there,
// and the results come back as NumPy arrays.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_NATIVE_DEVICEEXECUTABLE_H
#define GRADOPT_NATIVE_DEVICEEXECUTABLE_H

#include "Callbacks.h"
#include "DeviceArray.h"
#include "Executable.h"
#include "Runnable.h"

namespace gradopt::native {

/// A device program, the C++ part of a Python `DeviceExecutable`.
class DeviceExecutable : public Runnable {
public:
  /// Loads the program; throws nanobind::python_error. The last `numChecked`
  /// results are numbers that are read back in each call. `name` is that of the
  /// user's function; `targets` are described in Callbacks.h; `cuts` has for
  /// each dimension of results that may have fewer elements a `Cut`. For the
  /// rest see `Runnable`.
  DeviceExecutable(nanobind::bytes program, int32_t device,
                   nanobind::handle args, nanobind::handle results,
                   size_t arenaBytes, size_t numChecked,
                   nanobind::handle captures, nanobind::handle donated,
                   nanobind::object report, const std::string &name,
                   nanobind::handle targets, nanobind::handle cuts);

  /// Takes a program of a bundle, see `Runnable`, and loads it. `known` has
  /// pairs of a result that says how many elements another one has, and of the
  /// argument that it is always equal to.
  DeviceExecutable(gradopt_program *program, int32_t device,
                   nanobind::object owner, nanobind::object report,
                   const std::string &name, nanobind::handle known);

  bool accepts(size_t i, PyObject *leaf) const override;
  bool run(Span<PyObject *> leaves, Vector<PyObject *> &out) const override;
  size_t arenaBytes() const override { return arena; }
  int traverse(visitproc visit, void *arg) const override;
  int32_t getDevice() const { return device; }
  /// Adds what calls take to `out` from now on, in nanoseconds.
  void timeCalls(CommandTimes &out) { times = &out; }

private:
  class Call;

  /// A result that is as large as it can be, a dimension, and how many elements
  /// there are along it: another result, or, if that is not negative, an
  /// argument.
  struct Cut {
    size_t result, axis, count;
    Py_ssize_t argument;
  };

  struct Unload {
    void operator()(gradopt_cuda_module *module) const {
      gradopt_cuda_module_unload(module);
    }
  };

  const int32_t device;
  const size_t arena, numChecked;
  const std::shared_ptr<const std::string> name;
  /// Of a bundle, or null; then there are:
  gradopt_program *const program = nullptr;
  /// On the device.
  std::shared_ptr<DeviceMemory> captured;
  std::vector<void *> captureAddresses;
  Targets targets;
  /// In the order of their results.
  std::vector<Cut> cuts;
  /// Of a program of a bundle, for each argument: whether it is a size of
  /// others, which the program takes on the host. Else empty.
  std::vector<bool> isSize;
  /// Whether a call of it has room for as many rows as it has.
  bool hasRoom = false;
  std::unique_ptr<gradopt_cuda_module, Unload> module;
  CommandTimes *times = nullptr;
};

/// Adds `DeviceExecutable` to the module.
void bindDeviceExecutable(nanobind::module_ &module);

} // namespace gradopt::native

#endif // GRADOPT_NATIVE_DEVICEEXECUTABLE_H
