//===- ScaledValues.h - Values up to constant factors -----------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_SCALEDVALUES_H
#define GRADOPT_PASSES_SCALEDVALUES_H

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"

#include <cmath>

namespace mlir::grad {

/// The operand that `op` multiplies with a finite constant, -1 for `negative`;
/// null if it is no such op.
inline Value getScaled(Operation *op) {
  if (auto negative = dyn_cast_or_null<NegativeOp>(op))
    return negative->getOperand(0);
  auto product = dyn_cast_or_null<MultiplyOp>(op);
  if (!product || !isa<FloatType>(getElementTypeOrSelf(product.getType())))
    return nullptr;
  for (unsigned i : {0, 1}) {
    std::optional<double> factor = getSplat(product->getOperand(1 - i));
    if (factor && std::isfinite(*factor))
      return product->getOperand(i);
  }
  return nullptr;
}

/// What all the constant factors of `value` are applied to.
inline Value getScaleBase(Value value) {
  while (Value operand = getScaled(value.getDefiningOp()))
    value = operand;
  return value;
}

} // namespace mlir::grad

#endif // GRADOPT_PASSES_SCALEDVALUES_H
