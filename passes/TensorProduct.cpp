//===- TensorProduct.cpp - Sums of products of two tensors ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/TensorProduct.h"
#include "passes/ContractionLayout.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Complex/IR/Complex.h"

using namespace mlir;
using namespace mlir::grad;

bool mlir::grad::isMultiplyAdd(Block &body) {
  if (body.getNumArguments() != 3)
    return false;
  auto yield = cast<linalg::YieldOp>(body.getTerminator());
  Operation *add = yield.getOperand(0).getDefiningOp();
  if (!isa_and_nonnull<arith::AddFOp, complex::AddOp>(add))
    return false;
  Value accumulator = body.getArgument(2);
  if (!llvm::is_contained(add->getOperands(), accumulator))
    return false;
  Value other = add->getOperand(add->getOperand(0) == accumulator ? 1 : 0);
  Operation *multiply = other.getDefiningOp();
  if (!isa_and_nonnull<arith::MulFOp, complex::MulOp>(multiply))
    return false;
  Value a = body.getArgument(0), b = body.getArgument(1);
  Value lhs = multiply->getOperand(0), rhs = multiply->getOperand(1);
  auto left = lhs.getDefiningOp<arith::ExtFOp>();
  auto right = rhs.getDefiningOp<arith::ExtFOp>();
  bool isNarrow = left && right;
  if (isNarrow) {
    lhs = left.getIn();
    rhs = right.getIn();
  }
  return llvm::hasNItems(body, isNarrow ? 5 : 3) &&
         ((lhs == a && rhs == b) || (lhs == b && rhs == a));
}

/// Whether `expr` is a sum of multiples of loop counters.
static bool isLinear(AffineExpr expr) {
  if (isa<AffineDimExpr>(expr))
    return true;
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return false;
  if (expr.getKind() == AffineExprKind::Add)
    return isLinear(binary.getLHS()) && isLinear(binary.getRHS());
  return expr.getKind() == AffineExprKind::Mul && isLinear(binary.getLHS()) &&
         isa<AffineConstantExpr>(binary.getRHS());
}

std::optional<TensorProduct>
mlir::grad::matchTensorProduct(linalg::LinalgOp op) {
  if (op.getNumDpsInputs() != 2 || op.getNumDpsInits() != 1 ||
      op.hasDynamicShape() || !isMultiplyAdd(*op.getBlock()))
    return std::nullopt;
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  auto isRead = [](AffineMap map) {
    return map.getNumSymbols() == 0 && llvm::all_of(map.getResults(), isLinear);
  };
  if (!isRead(maps[0]) || !isRead(maps[1]) || !maps[2].isProjectedPermutation())
    return std::nullopt;

  TensorProduct product;
  product.sizes = op.getStaticLoopRanges();
  for (auto [loop, kind] : llvm::enumerate(op.getIteratorTypesArray())) {
    bool inLhs = maps[0].isFunctionOfDim(loop);
    bool inRhs = maps[1].isFunctionOfDim(loop);
    bool inResult = maps[2].isFunctionOfDim(loop);
    if (inResult != (kind == utils::IteratorType::parallel) ||
        (!inLhs && !inRhs) || (inLhs != inRhs && !inResult))
      return std::nullopt;
    (inLhs && inRhs ? (inResult ? product.batch : product.k)
                    : (inLhs ? product.m : product.n))
        .push_back(loop);
  }
  for (ArrayRef<int64_t> group : {product.m, product.n, product.k})
    if (extent(product.sizes, group) <= 1)
      return std::nullopt;
  return product;
}
