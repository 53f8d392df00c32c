//===- ResolveOpenSizes.h - Numbers for sizes become sizes ------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_RESOLVEOPENSIZES_H
#define GRADOPT_PASSES_RESOLVEOPENSIZES_H

#include "mlir/Pass/Pass.h"

namespace mlir::grad {

/// `grad-resolve-open-sizes`; for a device, its caller states the room.
std::unique_ptr<Pass> createGradResolveOpenSizes(bool forDevice);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_RESOLVEOPENSIZES_H
