//===- PlaceSlices.cpp - How sums of slices are computed ------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-place-slices`. Looks at whole chains of `grad.add_slice`: what reverse
/// mode makes of the slices of one value. Time is linear in the length of a
/// chain, up to sorting.
///
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Positions.h"
#include "dialect/Rules.h"
#include "dialect/Updates.h"
#include "passes/Passes.h"
#include "passes/ScaledValues.h"
#include "passes/SplitSums.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADPLACESLICES
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

/// Pads are whole tensors: no more than this many are summed.
static constexpr size_t kMaxPads = 16;

/// A pad is written and read. So many slices that share one, of what is not
/// zero, take longer when each is added by itself.
static constexpr size_t kMinSharedPads = 3;

using Chain = ArrayRef<AddSliceOp>;

static ArrayRef<int64_t> sizesOf(AddSliceOp op) {
  return cast<RankedTensorType>(op.getUpdate().getType()).getShape();
}

static int64_t lastOf(AddSliceOp op, int64_t d) {
  return op.getOffsets()[d] + (sizesOf(op)[d] - 1) * op.getStrides()[d];
}

/// The chain that ends with `last`.
static SmallVector<AddSliceOp> collectChain(AddSliceOp last) {
  SmallVector<AddSliceOp> chain{last};
  while (auto previous = chain.back().getX().getDefiningOp<AddSliceOp>()) {
    if (!previous->hasOneUse() || previous->getBlock() != last->getBlock())
      break;
    chain.push_back(previous);
  }
  std::reverse(chain.begin(), chain.end());
  return chain;
}

/// Whether no two of the slices have an element in common, told from dimension
/// `d` and those behind it: a dimension splits the slices into groups that do
/// not meet in it, the next one splits each group.
static bool areDisjoint(MutableArrayRef<AddSliceOp> slices, int64_t d) {
  if (slices.size() < 2)
    return true;
  if (d == cast<RankedTensorType>(slices.front().getType()).getRank())
    return false;
  // With one stride, slices of different remainders never meet.
  int64_t stride = slices.front().getStrides()[d];
  bool haveOneStride = llvm::all_of(
      slices, [&](AddSliceOp op) { return op.getStrides()[d] == stride; });
  auto remainder = [&](AddSliceOp op) {
    return haveOneStride ? op.getOffsets()[d] % stride : 0;
  };
  llvm::stable_sort(slices, [&](AddSliceOp a, AddSliceOp b) {
    return std::pair(remainder(a), a.getOffsets()[d]) <
           std::pair(remainder(b), b.getOffsets()[d]);
  });
  size_t begin = 0;
  int64_t last = lastOf(slices[0], d);
  for (size_t i = 1; i <= slices.size(); ++i) {
    if (i < slices.size() && remainder(slices[i]) == remainder(slices[begin]) &&
        slices[i].getOffsets()[d] <= last) {
      last = std::max(last, lastOf(slices[i], d));
      continue;
    }
    if (!areDisjoint(slices.slice(begin, i - begin), d + 1))
      return false;
    if (i < slices.size()) {
      begin = i;
      last = lastOf(slices[i], d);
    }
  }
  return true;
}

/// The update of `op` with zeros around.
static Value createPad(OpBuilder &builder, AddSliceOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  SmallVector<int64_t> high, interior;
  for (int64_t d = 0; d < type.getRank(); ++d) {
    high.push_back(type.getDimSize(d) - lastOf(op, d) - 1);
    interior.push_back(op.getStrides()[d] - 1);
  }
  Value zero = createZero(builder, op.getLoc(),
                          RankedTensorType::get({}, type.getElementType()));
  return PadOp::create(builder, op.getLoc(), op.getUpdate(), zero,
                       op.getOffsets(), high, interior);
}

namespace {

struct GradPlaceSlices : grad::impl::GradPlaceSlicesBase<GradPlaceSlices> {
  void runOnOperation() override {
    SmallVector<AddSliceOp> lasts;
    getOperation().walk([&](AddSliceOp op) {
      auto next = op->hasOneUse()
                      ? dyn_cast<AddSliceOp>(*op->getUsers().begin())
                      : AddSliceOp();
      if (!next || next.getX() != op.getResult())
        lasts.push_back(op);
    });
    for (AddSliceOp last : lasts)
      place(collectChain(last));
    getOperation().walk([&](DynamicAddSliceOp op) { replaceZeros(op); });
    getOperation().walk([&](DynamicAddSliceOp op) { addFirst(op); });
    splitSums(getOperation());
  }

private:
  void place(Chain chain) {
    // Slices without elements add nothing; canonicalization erases them.
    if (llvm::any_of(chain, [](AddSliceOp op) {
          return llvm::is_contained(sizesOf(op), 0);
        }))
      return;
    AddSliceOp front = chain.front();
    if (!isZero(front.getX())) {
      if (chain.size() >= kMinSharedPads && isStencil(chain) &&
          haveOneBase(chain))
        pad(chain);
      return;
    }
    SmallVector<AddSliceOp> sorted(chain);
    if (chain.size() == 1)
      return pad(chain);
    if (areDisjoint(sorted, 0)) {
      int64_t count = 0;
      for (AddSliceOp op : chain)
        count += *countElements(op.getUpdate());
      if (count == countElements(AddSliceOp(chain.back()).getResult()))
        dropZeros(chain.front());
      for (AddSliceOp op : chain)
        replace(op);
      return;
    }
    if (isStencil(chain))
      return pad(chain);
    replace(chain.front());
  }

  /// Few slices of most of the value.
  static bool isStencil(Chain chain) {
    auto isLarge = [](AddSliceOp op) {
      return *countElements(op.getUpdate()) >=
             *countElements(op.getResult()) / 2;
    };
    return chain.size() <= kMaxPads && llvm::all_of(chain, isLarge);
  }

  /// Whether grad-share-pads will make one pad of theirs.
  static bool haveOneBase(Chain chain) {
    AddSliceOp front = chain.front();
    Value base = getScaleBase(front.getUpdate());
    return llvm::all_of(chain, [&](AddSliceOp op) {
      return getScaleBase(op.getUpdate()) == base &&
             op.getStrides() == front.getStrides();
    });
  }

  /// Pads the slices, and adds them up and to what the chain begins with.
  void pad(Chain chain) {
    OpBuilder builder(chain.back());
    Value sum;
    for (AddSliceOp op : chain) {
      Value term = createPad(builder, op);
      sum = sum ? createSum(builder, op.getLoc(), sum, term) : term;
    }
    AddSliceOp front = chain.front(), last = chain.back();
    if (Value first = front.getX(); !isZero(first))
      sum = createSum(builder, last.getLoc(), first, sum);
    last.getResult().replaceAllUsesWith(sum);
    for (AddSliceOp op : llvm::reverse(chain))
      op.erase();
    numPadded += chain.size();
  }

  /// Zeros of which none is left at the end need not be written.
  static void dropZeros(AddSliceOp first) {
    OpBuilder builder(first);
    auto type = cast<RankedTensorType>(first.getType());
    first.getXMutable().assign(tensor::EmptyOp::create(builder, first.getLoc(),
                                                       type.getShape(),
                                                       type.getElementType())
                                   .getResult());
  }

  /// What is added to zeros takes their place.
  void replace(AddSliceOp op) {
    OpBuilder builder(op);
    Value result =
        UpdateSliceOp::create(builder, op.getLoc(), op.getX(), op.getUpdate(),
                              op.getOffsets(), op.getStrides());
    op.getResult().replaceAllUsesWith(result);
    op.erase();
    ++numReplaced;
  }

  void replaceZeros(DynamicAddSliceOp op) {
    if (!isZero(op.getX()))
      return;
    OpBuilder builder(op);
    Value result = DynamicUpdateSliceOp::create(
        builder, op.getLoc(), op.getX(), op.getUpdate(), op.getIndices());
    op.getResult().replaceAllUsesWith(result);
    op.erase();
    ++numReplaced;
  }

  /// Zeros put into another part wait until `op` has added, in case that is
  /// made of what they replace, as for x[i] = f(x[i - 1]): that need not be
  /// kept then.
  void addFirst(DynamicAddSliceOp op) {
    auto zeros = op.getX().getDefiningOp<DynamicUpdateSliceOp>();
    if (!zeros || !zeros->hasOneUse() || zeros.getX().hasOneUse() ||
        zeros->getBlock() != op->getBlock() || !isZero(zeros.getUpdate()) ||
        !areApart(*getPartWritten(op), *getPartWritten(zeros)))
      return;
    op.getXMutable().assign(zeros.getX());
    zeros->moveAfter(op);
    op.getResult().replaceAllUsesExcept(zeros.getResult(), zeros);
    zeros.getXMutable().assign(op.getResult());
  }
};

} // namespace
