//===- NarrowFloats.h - Conversions that a CPU may not have -----*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_NARROWFLOATS_H
#define GRADOPT_PASSES_NARROWFLOATS_H

#include "mlir/IR/Operation.h"

namespace mlir::grad {

/// Replaces the conversions between narrow and wide floats in `root` by integer
/// arithmetic, as LLVM would call functions that no library of ours has. Only
/// those between f16 and f32 stay (runtime/HalfConversions.h).
void expandNarrowConversions(Operation *root);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_NARROWFLOATS_H
