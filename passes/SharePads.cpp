//===- SharePads.cpp - Sums of shifted values read one padded value -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-share-pads`. The gradient of a stencil, a sum of shifted slices, is a
/// sum of pads: each would fill an array of zeros. Pads of the same value, up
/// to constant factors, differ in where they begin only; so all of them are
/// slices of that value with the widest border. Slices are views, and an
/// elementwise op of views is one loop.
///
/// The zeros of a border may change their sign by a negative factor.
///
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "passes/Passes.h"
#include "passes/ScaledValues.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/MapVector.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADSHAREPADS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

namespace {

/// A pad with zeros of `factors` applied to a base.
struct ScaledPad {
  PadOp pad;
  SmallVector<Operation *> factors; ///< From the pad to the base.
};

/// The base, the type of the pads, and their `interior`.
using Family = std::tuple<Value, Type, Attribute>;

} // namespace

/// `factor` applied to `value`, which has another shape than its operand.
static Value applyFactor(OpBuilder &builder, Operation *factor, Value value) {
  Location loc = factor->getLoc();
  if (isa<NegativeOp>(factor))
    return NegativeOp::create(builder, loc, value);
  auto type = cast<RankedTensorType>(value.getType());
  unsigned number = getScaled(factor) == factor->getOperand(0) ? 1 : 0;
  double splat = *getSplat(factor->getOperand(number));
  Value constant = createSplat(builder, loc, type, splat);
  return MultiplyOp::create(builder, loc, value, constant);
}

/// Replaces the pads by slices of one, unless borders would be most of it.
static bool share(ArrayRef<ScaledPad> pads) {
  PadOp first = pads.front().pad;
  // What it is by now: it may have been a pad that is a slice already.
  ArrayRef<Operation *> factors = pads.front().factors;
  Value base = factors.empty() ? first.getX() : getScaled(factors.back());
  auto type = cast<RankedTensorType>(first.getType());
  SmallVector<int64_t> low(first.getLow()), high(first.getHigh());
  bool areShifted = false;
  for (const ScaledPad &other : pads)
    for (int64_t d = 0; d < type.getRank(); ++d) {
      PadOp pad = other.pad;
      areShifted |= pad.getLow()[d] != first.getLow()[d];
      low[d] = std::max(low[d], pad.getLow()[d]);
      high[d] = std::max(high[d], pad.getHigh()[d]);
    }
  double growth = 1;
  for (int64_t d = 0; d < type.getRank(); ++d)
    growth *= static_cast<double>(type.getDimSize(d) + low[d] + high[d] -
                                  first.getLow()[d] - first.getHigh()[d]) /
              static_cast<double>(std::max<int64_t>(type.getDimSize(d), 1));
  if (!areShifted || growth > 1.5)
    return false;

  OpBuilder builder(base.getContext());
  builder.setInsertionPointAfterValue(base);
  Value zero = createZero(builder, first.getLoc(),
                          RankedTensorType::get({}, type.getElementType()));
  Value wide = PadOp::create(builder, first.getLoc(), base, zero, low, high,
                             first.getInterior());
  SmallVector<int64_t> strides(type.getRank(), 1);
  for (const ScaledPad &scaled : pads) {
    PadOp pad = scaled.pad;
    builder.setInsertionPoint(pad);
    SmallVector<int64_t> offsets;
    for (int64_t d = 0; d < type.getRank(); ++d)
      offsets.push_back(low[d] - pad.getLow()[d]);
    Value value = SliceOp::create(builder, pad.getLoc(), wide, offsets,
                                  type.getShape(), strides);
    for (Operation *factor : llvm::reverse(scaled.factors))
      value = applyFactor(builder, factor, value);
    pad.getResult().replaceAllUsesWith(value);
    pad.erase();
  }
  return true;
}

namespace {

struct GradSharePads : grad::impl::GradSharePadsBase<GradSharePads> {
  void runOnOperation() override {
    llvm::MapVector<Family, SmallVector<ScaledPad>> families;
    getOperation().walk([&](PadOp pad) {
      std::optional<double> border = getSplat(pad.getValue());
      if (!border || *border != 0)
        return;
      ScaledPad scaled{pad, {}};
      Value base = pad.getX();
      while (Value operand = getScaled(base.getDefiningOp())) {
        scaled.factors.push_back(base.getDefiningOp());
        base = operand;
      }
      families[{base, pad.getType(), Attribute(pad.getInteriorAttr())}]
          .push_back(scaled);
    });
    for (auto &[family, pads] : families)
      if (share(pads))
        numShared += pads.size();
  }
};

} // namespace
