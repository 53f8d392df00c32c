//===- NarrowFloats.h - Numbers of 16 bits ----------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_TEST_EMULATOR_NARROWFLOATS_H
#define GRADOPT_TEST_EMULATOR_NARROWFLOATS_H

#include <cstdint>

namespace gradopt::emulator {

/// Numbers of 16 bits as they lie in memory.
struct Half {
  uint16_t bits;
  explicit operator float() const {
    return float(__builtin_bit_cast(_Float16, bits));
  }
};

struct Brain {
  uint16_t bits;
  explicit operator float() const {
    return __builtin_bit_cast(float, uint32_t(bits) << 16);
  }
};

} // namespace gradopt::emulator

#endif // GRADOPT_TEST_EMULATOR_NARROWFLOATS_H
