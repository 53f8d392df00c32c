//===- Interface.h - What compiled code and the runtime share ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_INTERFACE_H
#define GRADOPT_RUNTIME_INTERFACE_H

#include <cstdint>
#include <string_view>

namespace gradopt {

/// The name of the entry point of a program, the function that stays visible in
/// its object code.
inline constexpr const char *kEntryName = "gradopt_main";

/// What the loader looks for in a program that is a list of commands: the table
/// (runtime/Commands.h), the addresses of its kernels, and its constants.
inline constexpr const char *kCommandsName = "gradopt_commands";
inline constexpr const char *kKernelsName = "gradopt_kernels";
inline constexpr const char *kConstantsName = "gradopt_constants";

/// Whether a name is one of these.
inline bool isOfCommands(std::string_view name) {
  return name == kCommandsName || name == kKernelsName ||
         name == kConstantsName;
}

/// What an arena is aligned to, in bytes: a cache line.
inline constexpr int64_t kArenaAlignment = 64;

} // namespace gradopt

#endif // GRADOPT_RUNTIME_INTERFACE_H
