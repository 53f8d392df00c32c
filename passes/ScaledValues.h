//===- ScaledValues.h - Values up to constant factors -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Linear functions of one value, element by element: it times constants, and
/// sums and differences of such products.
///
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_SCALEDVALUES_H
#define GRADOPT_PASSES_SCALEDVALUES_H

#include "mlir/IR/Value.h"
#include "llvm/ADT/SmallVector.h"

#include <optional>

namespace mlir {
class OpBuilder;
} // namespace mlir

namespace mlir::grad {

/// The first value that `value` is a linear function of, by few operations;
/// `value`, if there is no other one.
Value getScaleBase(Value value);

/// The operations that make `value` of `base`, in an order in which they can
/// run, if that is a linear function of few of them.
std::optional<llvm::SmallVector<Operation *>> getScaling(Value value,
                                                         Value base);

/// What `scaling`, operations that make a value of `base`, makes of `other`,
/// which may have another shape.
Value applyScaling(OpBuilder &builder, llvm::ArrayRef<Operation *> scaling,
                   Value base, Value other);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_SCALEDVALUES_H
