//===- Program.h - Programs for a GPU, checked ------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_CUDA_PROGRAM_H
#define GRADOPT_RUNTIME_CUDA_PROGRAM_H

#include "runtime/Array.h"
#include "runtime/Commands.h"
#include "runtime/DeviceProgram.h"

namespace gradopt::cuda {

struct Device;

/// A program, of which everything was checked but the code of its kernels.
class Program {
public:
  /// Fails with GRADOPT_INVALID_OBJECT. What is in the bytes and not below is
  /// there as long as they are.
  gradopt_status read(const void *bytes, size_t size);

  /// The form of the kernels that a device can run. Fails, with
  /// GRADOPT_INVALID_OBJECT, if there is none.
  gradopt_status choose(const Device &device,
                        gradopt_device_image &image) const;

  const char *at(uint64_t offset) const { return bytes + offset; }
  const char *name(size_t kernel) const {
    return names.begin() + kernels[kernel].name;
  }

  gradopt_device_program header = {};
  /// Their names are offsets in `names`.
  runtime::Array<gradopt_device_kernel> kernels;
  /// The commands, in words.
  runtime::Array<int64_t> table;

  /// Whether the last buffer of a call says how much room there is for rows.
  bool isOpen() const { return header.least_room != 0; }

  /// Bytes of the arena where the room is of so many parts; SIZE_MAX if there
  /// cannot be so many.
  size_t arenaAt(uint64_t parts) const;

  const gradopt_commands &commands() const {
    return *reinterpret_cast<const gradopt_commands *>(&table[0]);
  }

private:
  const char *check(size_t size);
  const char *checkKernels();
  const char *checkImages();
  const char *checkTable();
  bool holds(uint64_t offset, uint64_t size) const;

  const char *bytes = nullptr;
  runtime::Array<char> names;
  runtime::Array<gradopt_device_image> images;
};

} // namespace gradopt::cuda

#endif // GRADOPT_RUNTIME_CUDA_PROGRAM_H
