//===- ElementTypes.h - Types of elements in memory -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_ELEMENTTYPES_H
#define GRADOPT_PASSES_ELEMENTTYPES_H

#include "runtime/gradopt_runtime.h"

#include "mlir/IR/Types.h"

#include <optional>

namespace mlir::grad {

/// What the runtime calls elements of this type, which is unsigned if it says
/// so, or if it says nothing and `isUnsigned` does; none for types of which it
/// has no arrays.
std::optional<gradopt_dtype> findDtype(Type element, bool isUnsigned = false);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_ELEMENTTYPES_H
