//===- Interface.h - What compiled code and the runtime share ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_INTERFACE_H
#define GRADOPT_RUNTIME_INTERFACE_H

#include <cstdint>

namespace gradopt {

/// The name of the entry point of a program, the function that stays visible in
/// its object code.
inline constexpr const char *kEntryName = "gradopt_main";

/// What an arena is aligned to, in bytes: a cache line.
inline constexpr int64_t kArenaAlignment = 64;

} // namespace gradopt

#endif // GRADOPT_RUNTIME_INTERFACE_H
