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
#include "mlir/IR/IRMapping.h"

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

/// Elements from one iteration of `loop` to the next, of an operand with a
/// linear map; 0 for one that is no buffer.
inline int64_t getStride(linalg::LinalgOp op, OpOperand &operand,
                         unsigned loop) {
  auto type = dyn_cast<MemRefType>(operand.get().getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  if (!type || failed(type.getStridesAndOffset(strides, offset)))
    return 0;
  AffineMap map = op.getMatchingIndexingMap(&operand);
  SmallVector<int64_t> at(map.getNumDims(), 0);
  SmallVector<int64_t> first = map.compose(at);
  at[loop] = 1;
  SmallVector<int64_t> next = map.compose(at);
  int64_t total = 0;
  for (auto [a, b, stride] : llvm::zip_equal(first, next, strides))
    total += (b - a) * stride;
  return total;
}

/// Writes one iteration of `op`, at `position`, and returns what it yields.
/// `getElement` is asked for the operands that the body uses.
inline SmallVector<Value>
writeIteration(OpBuilder &builder, linalg::LinalgOp op,
               ArrayRef<Value> position,
               llvm::function_ref<Value(OpOperand &)> getElement) {
  IRMapping map;
  for (OpOperand &operand : op->getOpOperands()) {
    BlockArgument element = op.getMatchingBlockArgument(&operand);
    if (!element.use_empty())
      map.map(element, getElement(operand));
  }
  for (Operation &nested : op.getBlock()->without_terminator()) {
    if (auto dim = dyn_cast<linalg::IndexOp>(nested))
      map.map(dim.getResult(), position[dim.getDim()]);
    else
      builder.clone(nested, map);
  }
  return llvm::map_to_vector(
      op.getBlock()->getTerminator()->getOperands(),
      [&](Value yielded) { return map.lookupOrDefault(yielded); });
}

} // namespace mlir::grad

#endif // GRADOPT_PASSES_OPERANDPLACES_H
