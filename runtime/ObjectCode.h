//===- ObjectCode.h - Object files placed in memory -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_OBJECTCODE_H
#define GRADOPT_RUNTIME_OBJECTCODE_H

#include "runtime/gradopt_runtime.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gradopt::runtime {

/// The address of a function that object code calls and does not define, or
/// null, and then what to add to the message. It is not defined beside the
/// linker: who links decides what code may call.
void *findOutsideFunction(const char *name, const char *&hint);

/// The functions and constants of one object file, ready to run. Memory is
/// either executable or writable, never both.
class ObjectCode {
public:
  ObjectCode() = default;
  ObjectCode(const ObjectCode &) = delete;
  ObjectCode &operator=(const ObjectCode &) = delete;
  ~ObjectCode();

  /// Places a relocatable ELF file for this machine in memory and finds the
  /// function `entry` in it. Nothing of the file is trusted but its code. To be
  /// called once.
  gradopt_status link(std::string_view file, const char *entry);

  /// The same for a file of many functions, each of which is shown to `visit`.
  using FunctionVisitor = void (*)(void *state, const char *name,
                                   void *address);
  gradopt_status linkAll(std::string_view file, void *state,
                         FunctionVisitor visit);

  void *getEntry() const { return entry; }
  /// Whether the code refers to gradopt_call_target.
  bool callsTargets() const { return needsTargets; }

  /// What a program that is a list of commands has the runtime go through.
  /// Nothing of it was checked.
  struct Commands {
    std::string_view table, kernels, constants;
  };
  /// Null if the code does not refer to gradopt_run_commands.
  const Commands *getCommands() const {
    return runsCommands ? &commands : nullptr;
  }
  /// Whether an address is one of the file's code.
  bool isCode(uint64_t address) const {
    return address - reinterpret_cast<uint64_t>(memory) < codeSize;
  }

private:
  friend class Linker;

  char *memory = nullptr;
  size_t size = 0;
  void *entry = nullptr;
  bool needsTargets = false;
  bool runsCommands = false;
  Commands commands;
  size_t codeSize = 0;
};

} // namespace gradopt::runtime

#endif // GRADOPT_RUNTIME_OBJECTCODE_H
