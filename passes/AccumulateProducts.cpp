//===- AccumulateProducts.cpp - Sums of products in one buffer ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-accumulate-products`. A contraction adds to its initial value. Where
/// its result is added to something that dies there, this is the initial value:
/// the gradient of a weight that is used in many steps, or in the iterations of
/// a loop, is summed in place, by calls of a BLAS with beta = 1.
///
/// A sum with an elementwise value stays: grad-fuse computes it on the way to
/// what reads the sum.
///
//===----------------------------------------------------------------------===//

#include "dialect/Rules.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Complex/IR/Complex.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/LoopLikeInterface.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADACCUMULATEPRODUCTS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;
using linalg::GenericOp;

/// The two tensors that `op` adds element by element, one of them maybe the
/// initial value.
static std::optional<std::pair<Value, Value>> matchSum(GenericOp op) {
  if (op.getNumDpsInits() != 1 || !llvm::hasNItems(*op.getBody(), 2) ||
      llvm::any_of(op.getIndexingMapsArray(),
                   [](AffineMap map) { return !map.isIdentity(); }))
    return std::nullopt;
  Operation *add = &op.getBody()->front();
  auto yield = cast<linalg::YieldOp>(op.getBody()->getTerminator());
  if (!isa<arith::AddFOp, arith::AddIOp, complex::AddOp>(add) ||
      yield.getOperand(0) != add->getResult(0))
    return std::nullopt;
  auto tensorOf = [&](Value element) -> Value {
    auto argument = dyn_cast<BlockArgument>(element);
    return argument && argument.getOwner() == op.getBody()
               ? op.getMatchingOpOperand(argument)->get()
               : Value();
  };
  Value lhs = tensorOf(add->getOperand(0)), rhs = tensorOf(add->getOperand(1));
  if (!lhs || !rhs || lhs == rhs)
    return std::nullopt;
  return std::pair(lhs, rhs);
}

static bool isProduct(Operation *op) {
  auto generic = dyn_cast_or_null<GenericOp>(op);
  return generic && linalg::isaContractionOpInterface(generic);
}

/// The product of one use, in the block of `sum`, that adds to zeros.
static GenericOp matchProduct(Value value, GenericOp sum) {
  auto product = value.getDefiningOp<GenericOp>();
  if (!isProduct(product) || !value.hasOneUse() ||
      product->getBlock() != sum->getBlock())
    return {};
  auto fill = product.getDpsInits()[0].getDefiningOp<linalg::FillOp>();
  if (!fill || !isZero(fill.value()))
    return {};
  return product;
}

/// Whether `sum` may write where `value` lies, and gains by it.
static bool isAccumulator(Value value, GenericOp sum) {
  if (llvm::is_contained(sum.getDpsInits(), value))
    return true;
  if (!value.hasOneUse() || value.getParentBlock() != sum->getBlock())
    return false;
  // What a loop carries has memory of its own.
  if (isa<BlockArgument>(value))
    return isa<LoopLikeOpInterface>(sum->getParentOp());
  Operation *def = value.getDefiningOp();
  return isProduct(def) || isa<tensor::InsertSliceOp>(def);
}

namespace {

struct GradAccumulateProducts
    : grad::impl::GradAccumulateProductsBase<GradAccumulateProducts> {
  void runOnOperation() override {
    SmallVector<GenericOp> sums;
    getOperation().walk([&](GenericOp op) { sums.push_back(op); });
    for (GenericOp sum : sums)
      if (auto terms = matchSum(sum))
        accumulate(sum, terms->first, terms->second);
  }

private:
  void accumulate(GenericOp sum, Value lhs, Value rhs) {
    GenericOp product;
    Value accumulator;
    for (auto [term, other] : {std::pair(lhs, rhs), std::pair(rhs, lhs)}) {
      GenericOp candidate = matchProduct(term, sum);
      // Of two products, the later one adds to the earlier one.
      if (candidate && isAccumulator(other, sum) &&
          (!product || product->isBeforeInBlock(candidate))) {
        product = candidate;
        accumulator = other;
      }
    }
    if (!product)
      return;
    OpBuilder builder(sum);
    auto copy = cast<GenericOp>(builder.clone(*product));
    copy.getDpsInitsMutable()[0].set(accumulator);
    sum.getResult(0).replaceAllUsesWith(copy.getResult(0));
    sum.erase();
    product.erase();
    ++numAccumulated;
  }
};

} // namespace
