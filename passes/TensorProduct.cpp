//===- TensorProduct.cpp - Sums of products of two tensors ----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/TensorProduct.h"
#include "passes/ContractionLayout.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::grad;

bool mlir::grad::isMultiplyAdd(Block &body) {
  if (body.getNumArguments() != 3 || !llvm::hasNItems(body, 3))
    return false;
  auto yield = cast<linalg::YieldOp>(body.getTerminator());
  auto add = yield.getOperand(0).getDefiningOp<arith::AddFOp>();
  if (!add)
    return false;
  Value accumulator = body.getArgument(2);
  if (add.getLhs() != accumulator && add.getRhs() != accumulator)
    return false;
  Value other = add.getLhs() == accumulator ? add.getRhs() : add.getLhs();
  auto multiply = other.getDefiningOp<arith::MulFOp>();
  if (!multiply)
    return false;
  Value a = body.getArgument(0), b = body.getArgument(1);
  return (multiply.getLhs() == a && multiply.getRhs() == b) ||
         (multiply.getLhs() == b && multiply.getRhs() == a);
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
