//===- Sha256.h - Hashes of files -------------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_RUNTIME_SHA256_H
#define GRADOPT_RUNTIME_SHA256_H

#include "runtime/gradopt_runtime.h"

#include <cstddef>
#include <cstdint>

namespace gradopt::runtime {

constexpr size_t kSha256Size = 32;

/// SHA-256 (FIPS 180-4) of `size` bytes.
GRADOPT_EXPORT void sha256(const void *data, size_t size,
                           uint8_t (&digest)[kSha256Size]);

} // namespace gradopt::runtime

#endif // GRADOPT_RUNTIME_SHA256_H
