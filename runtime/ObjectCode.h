//===- ObjectCode.h - Object files placed in memory -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_OBJECTCODE_H
#define GRADOPT_RUNTIME_OBJECTCODE_H

#include "runtime/gradopt_runtime.h"

#include <cstddef>
#include <string_view>

namespace gradopt::runtime {

/// The functions and constants of one object file, ready to run. Memory is
/// either executable or writable, never both.
class ObjectCode {
public:
  ObjectCode() = default;
  ObjectCode(const ObjectCode &) = delete;
  ObjectCode &operator=(const ObjectCode &) = delete;
  ~ObjectCode();

  /// Places a relocatable ELF file for this machine in memory and finds the
  /// function `entry` in it. What it does not define is looked up in the
  /// runtime, the C library and other libraries of the process, libm. Nothing
  /// of the file is trusted but its code. To be called once.
  gradopt_status link(std::string_view file, const char *entry);

  void *getEntry() const { return entry; }
  /// Whether the code refers to gradopt_call_target.
  bool callsTargets() const { return needsTargets; }

private:
  friend class Linker;

  char *memory = nullptr;
  size_t size = 0;
  void *entry = nullptr;
  bool needsTargets = false;
};

} // namespace gradopt::runtime

#endif // GRADOPT_RUNTIME_OBJECTCODE_H
