//===- SplitComplexProducts.cpp - Complex products as real ones -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-split-complex-products`. For a GPU, where products of real matrices
/// are those of a library, or tiles of blocks with shared memory:
///
///   (a + ib)(c + id) = ac + (-b)d + i(ad + bc)
///
/// four products, of which grad-accumulate-products makes two pairs that are
/// added up in place. Three products would do, but lose digits where parts
/// differ in size.
///
//===----------------------------------------------------------------------===//

#include "dialect/MatrixAlgebra.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADSPLITCOMPLEXPRODUCTS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

/// With fewer rows, columns or summands, a product is no work for tiles.
static constexpr int64_t kFewest = 4;

namespace {

/// A tensor of complex numbers.
struct Parts {
  Value re, im;
};

} // namespace

/// The parts of `x`; of a transpose, transposes, which products read where they
/// are. Those that several products have are made for each, and merged by
/// grad-cse behind.
static Parts partsOf(const Algebra &algebra, Value x) {
  if (auto op = x.getDefiningOp<ComplexOp>())
    return {op.getRe(), op.getIm()};
  if (auto op = x.getDefiningOp<TransposeOp>()) {
    Parts parts = partsOf(algebra, op.getX());
    auto transpose = [&](Value part) -> Value {
      return TransposeOp::create(algebra.builder, algebra.loc, part,
                                 op.getPermutation());
    };
    return {transpose(parts.re), transpose(parts.im)};
  }
  return {algebra.real(x), ImagOp::create(algebra.builder, algebra.loc, x)};
}

/// Whether `op` is worth the traffic of parts: it does `threshold`
/// multiplications or more.
static bool isWorthIt(DotGeneralOp op, int64_t threshold) {
  if (!Algebra::isComplex(op.getResult()) || op.getLhsContract().empty())
    return false;
  auto sizeOf = [](Value x) { return typeOf(x).getNumElements(); };
  auto extentOf = [](Value x, ArrayRef<int64_t> dimensions) {
    int64_t extent = 1;
    for (int64_t dimension : dimensions)
      extent *= typeOf(x).getDimSize(dimension);
    return extent;
  };
  for (Value x : {op.getLhs(), op.getRhs(), op.getResult()})
    if (!typeOf(x).hasStaticShape() || sizeOf(x) == 0)
      return false;
  int64_t batch = extentOf(op.getLhs(), op.getLhsBatch());
  int64_t summands = extentOf(op.getLhs(), op.getLhsContract());
  int64_t rows = sizeOf(op.getLhs()) / (batch * summands);
  int64_t columns = sizeOf(op.getRhs()) / (batch * summands);
  return std::min({rows, columns, summands}) >= kFewest &&
         sizeOf(op.getResult()) >= (threshold - 1) / summands + 1;
}

/// A product of complex tensors => four of real ones.
static void split(DotGeneralOp op) {
  OpBuilder builder(op);
  Algebra algebra{builder, op.getLoc()};
  Parts lhs = partsOf(algebra, op.getLhs()),
        rhs = partsOf(algebra, op.getRhs());
  auto multiply = [&](Value x, Value y) -> Value {
    return DotGeneralOp::create(builder, op.getLoc(), x, y, op.getLhsBatch(),
                                op.getRhsBatch(), op.getLhsContract(),
                                op.getRhsContract());
  };
  // The smaller one of the tensors is negated.
  bool isLeft =
      typeOf(lhs.im).getNumElements() <= typeOf(rhs.im).getNumElements();
  Value subtracted = isLeft ? multiply(algebra.negate(lhs.im), rhs.im)
                            : multiply(lhs.im, algebra.negate(rhs.im));
  Value re = algebra.add(multiply(lhs.re, rhs.re), subtracted);
  Value im = algebra.add(multiply(lhs.re, rhs.im), multiply(lhs.im, rhs.re));
  op.replaceAllUsesWith(
      ComplexOp::create(builder, op.getLoc(), re, im).getResult());
  op.erase();
}

namespace {

struct GradSplitComplexProducts
    : grad::impl::GradSplitComplexProductsBase<GradSplitComplexProducts> {
  using GradSplitComplexProductsBase::GradSplitComplexProductsBase;

  void runOnOperation() override {
    SmallVector<DotGeneralOp> products;
    getOperation().walk([&](DotGeneralOp op) {
      if (isWorthIt(op, threshold))
        products.push_back(op);
    });
    for (DotGeneralOp op : products)
      split(op);
    numSplit += products.size();
  }
};

} // namespace
