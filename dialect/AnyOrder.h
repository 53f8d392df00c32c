//===- AnyOrder.h - Sums without an order of their own ----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_ANYORDER_H
#define GRADOPT_DIALECT_ANYORDER_H

#include "llvm/ADT/StringRef.h"

namespace mlir::grad {

/// An attribute of additions of floats in a loop that sums up, and of the
/// products that it sums up: what is added to what, and where it is rounded in
/// between, is left to the compiler, as in `grad.reduce_sum`.
inline constexpr llvm::StringLiteral kAnyOrder = "grad.any_order";

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_ANYORDER_H
