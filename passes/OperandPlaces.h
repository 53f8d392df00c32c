//===- OperandPlaces.h - Where iterations access operands -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_OPERANDPLACES_H
#define GRADOPT_PASSES_OPERANDPLACES_H

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace mlir::grad {

/// Where `op` accesses `operand` when its loops are at `position`. A counter
/// that the place does not depend on is not used.
inline SmallVector<Value> getPlace(OpBuilder &builder, linalg::LinalgOp op,
                                   OpOperand *operand,
                                   ArrayRef<Value> position) {
  SmallVector<Value> place;
  for (AffineExpr expr : op.getMatchingIndexingMap(operand).getResults()) {
    if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
      place.push_back(position[dim.getPosition()]);
      continue;
    }
    // It may be the counter of a loop that has ended.
    SmallVector<Value> used(position);
    for (auto [loop, counter] : llvm::enumerate(used))
      if (!expr.isFunctionOfDim(loop))
        counter = arith::ConstantIndexOp::create(builder, op.getLoc(), 0);
    place.push_back(affine::AffineApplyOp::create(
        builder, op.getLoc(), AffineMap::get(used.size(), 0, expr), used));
  }
  return place;
}

} // namespace mlir::grad

#endif // GRADOPT_PASSES_OPERANDPLACES_H
