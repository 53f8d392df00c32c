//===- SliceOperands.cpp - Shifted reads of what is cheap -----------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-slice-operands`. A stencil of a stencil reads slices of a value that
/// is computed elementwise, and has to be written to memory for that. If that
/// is large and takes little to compute, each slice is computed from slices of
/// its operands instead: views, which become one loop with what reads them. A
/// value of several cheap ops is taken as one, as it is one loop.
///
/// Ops are visited from the last to the first: slices of operands that become
/// slices in turn are looked at as others are.
///
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Residuals.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADSLICEOPERANDS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

/// Smaller values stay in a cache between their writing and their reading.
static constexpr int64_t kLargeBytes = 1 << 20;

/// The ops for an element that take as long as to write and read it.
static constexpr size_t kMaxMoreOps = 32;

static bool isCheap(Operation *op) {
  return isa<ElementwiseOpInterface>(op) && isArithmetic(op);
}

static bool isLarge(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.hasStaticShape() &&
         type.getElementType().isIntOrFloat() &&
         type.getNumElements() * type.getElementTypeBitWidth() / 8 >=
             kLargeBytes;
}

/// The slices that are all uses of `value`, if all of them are views that an
/// elementwise op of the same block reads.
static SmallVector<SliceOp> collectSlices(Value value) {
  SmallVector<SliceOp> slices;
  Block *block = value.getParentBlock();
  for (Operation *user : value.getUsers()) {
    auto slice = dyn_cast<SliceOp>(user);
    if (!slice || slice->getBlock() != block ||
        llvm::any_of(slice.getStrides(), [](int64_t s) { return s != 1; }) ||
        !llvm::all_of(slice->getUsers(), [&](Operation *reader) {
          return reader->getBlock() == block &&
                 isa<ElementwiseOpInterface>(reader);
        }))
      return {};
    slices.push_back(slice);
  }
  return slices;
}

/// `root` and the cheap ops before it that nothing else needs, in order.
static SmallVector<Operation *> collectCheap(Operation *root) {
  llvm::SetVector<Operation *> found;
  found.insert(root);
  bool grows = true;
  while (grows) {
    grows = false;
    for (size_t i = 0; i < found.size(); ++i)
      for (Value operand : found[i]->getOperands()) {
        Operation *def = operand.getDefiningOp();
        if (def && def->getBlock() == root->getBlock() && isCheap(def) &&
            llvm::all_of(def->getUsers(),
                         [&](Operation *user) { return found.contains(user); }))
          grows |= found.insert(def);
      }
  }
  SmallVector<Operation *> ops = found.takeVector();
  llvm::sort(ops,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  return ops;
}

/// What `slice` is of `value`, which has the same shape as what it is of now.
static Value createSlice(OpBuilder &builder, SliceOp slice, Value value) {
  auto broadcast = value.getDefiningOp<BroadcastOp>();
  if (!broadcast)
    // A slice of a slice is one.
    return builder.createOrFold<SliceOp>(slice.getLoc(), value,
                                         slice.getOffsets(), slice.getSizes(),
                                         slice.getStrides());
  SmallVector<int64_t> offsets, sizes;
  for (int64_t d : broadcast.getDimensions()) {
    offsets.push_back(slice.getOffsets()[d]);
    sizes.push_back(slice.getSizes()[d]);
  }
  Value part = builder.createOrFold<SliceOp>(
      slice.getLoc(), broadcast.getX(), offsets, sizes,
      SmallVector<int64_t>(sizes.size(), 1));
  return BroadcastOp::create(builder, broadcast.getLoc(), part,
                             slice.getSizes(), broadcast.getDimensions());
}

namespace {

struct GradSliceOperands
    : grad::impl::GradSliceOperandsBase<GradSliceOperands> {
  void runOnOperation() override {
    SmallVector<Operation *> cheap;
    getOperation().walk([&](Operation *op) {
      if (isCheap(op) && isLarge(op->getResult(0)))
        cheap.push_back(op);
    });
    DenseSet<Operation *> erased;
    for (Operation *op : llvm::reverse(cheap))
      if (!erased.contains(op))
        visit(op, erased);
  }

private:
  void visit(Operation *op, DenseSet<Operation *> &erased) {
    // Slices of them were made of these.
    for (Operation *user : llvm::make_early_inc_range(op->getUsers()))
      if (isa<SliceOp>(user) && user->use_empty())
        user->erase();
    SmallVector<SliceOp> slices = collectSlices(op->getResult(0));
    if (slices.empty())
      return;
    using Place = std::pair<Attribute, Attribute>;
    llvm::MapVector<Place, SmallVector<SliceOp>> places;
    for (SliceOp slice : slices)
      places[{slice.getOffsetsAttr(), slice.getSizesAttr()}].push_back(slice);
    SmallVector<Operation *> ops = collectCheap(op);
    if ((places.size() - 1) * ops.size() > kMaxMoreOps)
      return;

    OpBuilder builder(&getContext());
    for (auto &[place, equal] : places) {
      builder.setInsertionPointAfter(op);
      Value part = compute(builder, ops, equal.front());
      for (SliceOp slice : equal) {
        slice.getResult().replaceAllUsesWith(part);
        slice.erase();
      }
      ++numComputed;
    }
    for (Operation *dead : llvm::reverse(ops)) {
      erased.insert(dead);
      dead->erase();
    }
  }

  /// The part of the result of the last op that `slice` reads.
  static Value compute(OpBuilder &builder, ArrayRef<Operation *> ops,
                       SliceOp slice) {
    IRMapping parts;
    for (Operation *op : ops) {
      for (Value operand : op->getOperands())
        if (!parts.contains(operand))
          parts.map(operand, createSlice(builder, slice, operand));
      Operation *copy = builder.cloneWithoutRegions(*op, parts);
      auto type = cast<RankedTensorType>(op->getResult(0).getType());
      copy->getResult(0).setType(type.clone(slice.getSizes()));
      parts.map(op->getResults(), copy->getResults());
    }
    return parts.lookup(ops.back()->getResult(0));
  }
};

} // namespace
