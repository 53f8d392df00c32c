//===- StackProducts.cpp - Sums of thin products as one product -----------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-stack-products`. The gradient of a matrix that is multiplied with a
/// vector in each of many steps is a sum of outer products, one a step: the
/// whole matrix is read and written for each. With the vectors as rows of two
/// matrices, the sum is a product of these. Products are stacked up to a number
/// of contracted elements from which on a BLAS works at its full speed, so that
/// the memory this takes is bounded.
///
/// Sums of products are regrouped; each product is the same.
///
//===----------------------------------------------------------------------===//

#include "dialect/DeadOps.h"
#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADSTACKPRODUCTS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

/// Products over at least this many elements are worth a pass over the result.
static constexpr int64_t kThick = 8;

/// No more elements than this are contracted in one product.
static constexpr int64_t kMaxStacked = 256;

/// Fewer terms than this are as good in one elementwise loop.
static constexpr size_t kMinTerms = 4;

/// The number of elements that `op` contracts.
static int64_t contractedSize(DotGeneralOp op) {
  ArrayRef<int64_t> contract = op.getLhsContract();
  return contract.empty() ? 1 : typeOf(op.getLhs()).getDimSize(contract[0]);
}

static bool isThin(DotGeneralOp op) {
  int64_t size = contractedSize(op);
  return op.getLhsContract().size() <= 1 && op.getLhsBatch().empty() &&
         0 < size && size < kThick;
}

/// The terms of the sum that ends with `root`: what its additions, of which
/// each but the root has one use, add up. In program order.
static SmallVector<Value> collectTerms(AddOp root) {
  SmallVector<Value> terms, worklist{root.getRhs(), root.getLhs()};
  while (!worklist.empty()) {
    Value value = worklist.pop_back_val();
    auto add = value.getDefiningOp<AddOp>();
    if (!add || !add->hasOneUse() || add->getBlock() != root->getBlock()) {
      terms.push_back(value);
      continue;
    }
    worklist.push_back(add.getRhs());
    worklist.push_back(add.getLhs());
  }
  return terms;
}

/// `factors` one behind the other along the dimension `contract`, or as rows if
/// they have no such dimension.
static Value stack(OpBuilder &builder, Location loc, ValueRange factors,
                   ArrayRef<int64_t> contract) {
  if (!contract.empty())
    return ConcatenateOp::create(builder, loc, factors, contract[0]);
  SmallVector<Value> rows;
  for (Value factor : factors) {
    SmallVector<int64_t> shape(typeOf(factor).getShape());
    shape.insert(shape.begin(), 1);
    rows.push_back(ReshapeOp::create(builder, loc, factor, shape));
  }
  return ConcatenateOp::create(builder, loc, rows, 0);
}

/// The sum of `products`, which differ in their contracted size only.
static Value createStacked(OpBuilder &builder,
                           ArrayRef<DotGeneralOp> products) {
  DotGeneralOp first = products.front();
  Location loc = first.getLoc();
  SmallVector<Value> lhs, rhs;
  for (DotGeneralOp op : products) {
    lhs.push_back(op.getLhs());
    rhs.push_back(op.getRhs());
  }
  SmallVector<int64_t> lhsContract(first.getLhsContract()),
      rhsContract(first.getRhsContract());
  Value left = stack(builder, loc, lhs, lhsContract);
  Value right = stack(builder, loc, rhs, rhsContract);
  if (lhsContract.empty())
    lhsContract = rhsContract = {0};
  return DotGeneralOp::create(builder, loc, left, right, ArrayRef<int64_t>{},
                              ArrayRef<int64_t>{}, lhsContract, rhsContract);
}

namespace {

struct GradStackProducts
    : grad::impl::GradStackProductsBase<GradStackProducts> {
  void runOnOperation() override {
    SmallVector<AddOp> roots;
    getOperation().walk([&](AddOp op) {
      if (!op->hasOneUse() || !isa<AddOp>(*op->getUsers().begin()) ||
          (*op->getUsers().begin())->getBlock() != op->getBlock())
        roots.push_back(op);
    });
    for (AddOp root : roots)
      stackTerms(root);
    eraseDeadOps(getOperation());
  }

private:
  void stackTerms(AddOp root) {
    SmallVector<Value> terms = collectTerms(root);
    if (terms.size() < kMinTerms)
      return;
    // The rank of one factor tells those of both: the results are of one type.
    using Dimensions =
        std::tuple<int64_t, ArrayRef<int64_t>, ArrayRef<int64_t>>;
    llvm::MapVector<Dimensions, SmallVector<DotGeneralOp>> families;
    llvm::SmallPtrSet<Operation *, 16> stacked;
    for (Value term : terms)
      if (auto product = term.getDefiningOp<DotGeneralOp>();
          product && product->hasOneUse() && isThin(product))
        families[{typeOf(product.getLhs()).getRank(), product.getLhsContract(),
                  product.getRhsContract()}]
            .push_back(product);
    OpBuilder builder(root);
    SmallVector<Value> sums;
    for (auto &[dimensions, products] : families) {
      if (products.size() < kMinTerms)
        continue;
      for (ArrayRef<DotGeneralOp> rest = products; rest.size() > 1;) {
        size_t count = 0;
        for (int64_t size = 0; count < rest.size(); ++count)
          if ((size += contractedSize(rest[count])) > kMaxStacked)
            break;
        sums.push_back(createStacked(builder, rest.take_front(count)));
        stacked.insert_range(rest.take_front(count));
        rest = rest.drop_front(count);
      }
    }
    if (sums.empty())
      return;
    numStacked += stacked.size();
    llvm::erase_if(terms, [&](Value term) {
      return stacked.contains(term.getDefiningOp());
    });
    llvm::append_range(terms, sums);
    Value sum = terms.front();
    for (Value term : ArrayRef(terms).drop_front())
      sum = AddOp::create(builder, root.getLoc(), sum, term);
    root.getResult().replaceAllUsesWith(sum);
  }
};

} // namespace
