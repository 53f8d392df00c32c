//===- Tapes.h - Room for what loops without a bound keep ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_TAPES_H
#define GRADOPT_RUNTIME_TAPES_H

#include <cstdint>

namespace gradopt {

/// The bytes of addresses that an arena has for each tape (dialect/Stacks.h),
/// before all else. A program with tapes runs on no machine with as much
/// memory.
inline constexpr int64_t kTapeBytes = int64_t(1) << 40;

} // namespace gradopt

#endif // GRADOPT_RUNTIME_TAPES_H
