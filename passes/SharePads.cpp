//===- SharePads.cpp - Sums of shifted values read one padded value -------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-share-pads`. The gradient of a stencil, a sum of shifted slices, is a
/// sum of pads: each would fill an array of zeros. Pads of the same value, or
/// of linear functions of it, differ in their borders only; so all of them are
/// slices of that value with the widest border. Slices are views, and an
/// elementwise op of views is one loop. Of the values that the others are
/// functions of, the one is padded from which they take fewest operations.
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
#include "llvm/ADT/SetVector.h"

#include <optional>

namespace mlir::grad {
#define GEN_PASS_DEF_GRADSHAREPADS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

namespace {

/// The base of pads, and their `interior`.
using Family = std::pair<Value, Attribute>;

/// What is padded, and what makes of it what each pad is of.
struct Sharing {
  Value base;
  SmallVector<SmallVector<Operation *>> scalings;
  size_t cost = 0;
};

} // namespace

/// So many values are tried.
static constexpr size_t kMaxBases = 8;

/// The one of fewest operations, if there is one.
static std::optional<Sharing> findSharing(ArrayRef<PadOp> pads) {
  // A pad may by now be a slice of another one, and so is what was made of it.
  llvm::SmallSetVector<Value, kMaxBases> bases;
  PadOp first = pads.front();
  bases.insert(getScaleBase(first.getX()));
  for (PadOp pad : pads)
    if (bases.size() < kMaxBases)
      bases.insert(pad.getX());
  std::optional<Sharing> best;
  for (Value base : bases) {
    Sharing sharing{base, {}};
    for (PadOp pad : pads) {
      std::optional<SmallVector<Operation *>> scaling =
          getScaling(pad.getX(), base);
      if (!scaling)
        break;
      sharing.cost += scaling->size();
      sharing.scalings.push_back(std::move(*scaling));
    }
    if (sharing.scalings.size() == pads.size() &&
        (!best || sharing.cost < best->cost))
      best = std::move(sharing);
  }
  return best;
}

/// Replaces the pads by slices of one, unless borders would be most of it.
static bool share(ArrayRef<PadOp> pads) {
  PadOp first = pads.front();
  SmallVector<int64_t> low(first.getLow()), high(first.getHigh());
  bool areEqual = true;
  for (PadOp pad : pads)
    for (size_t d = 0; d < low.size(); ++d) {
      areEqual &= pad.getLow()[d] == first.getLow()[d] &&
                  pad.getHigh()[d] == first.getHigh()[d];
      low[d] = std::max(low[d], pad.getLow()[d]);
      high[d] = std::max(high[d], pad.getHigh()[d]);
    }
  auto growth = [&](PadOp pad) {
    double growth = 1;
    for (auto [d, size] : llvm::enumerate(pad.getType().getShape()))
      growth *= static_cast<double>(size + low[d] + high[d] - pad.getLow()[d] -
                                    pad.getHigh()[d]) /
                static_cast<double>(std::max<int64_t>(size, 1));
    return growth;
  };
  if (areEqual ||
      llvm::any_of(pads, [&](PadOp pad) { return growth(pad) > 1.5; }))
    return false;
  std::optional<Sharing> sharing = findSharing(pads);
  if (!sharing)
    return false;

  Value base = sharing->base;
  OpBuilder builder(base.getContext());
  builder.setInsertionPointAfterValue(base);
  Value zero = createZero(
      builder, first.getLoc(),
      RankedTensorType::get({}, getElementTypeOrSelf(first.getType())));
  Value wide = PadOp::create(builder, first.getLoc(), base, zero, low, high,
                             first.getInterior());
  SmallVector<int64_t> strides(low.size(), 1);
  for (auto [i, scaling] : llvm::enumerate(sharing->scalings)) {
    PadOp pad = pads[i];
    builder.setInsertionPoint(pad);
    SmallVector<int64_t> offsets;
    for (auto [widest, own] : llvm::zip_equal(low, pad.getLow()))
      offsets.push_back(widest - own);
    Value value = SliceOp::create(builder, pad.getLoc(), wide, offsets,
                                  pad.getType().getShape(), strides);
    value = applyScaling(builder, scaling, base, value);
    pad.getResult().replaceAllUsesWith(value);
    pad.erase();
  }
  return true;
}

namespace {

struct GradSharePads : grad::impl::GradSharePadsBase<GradSharePads> {
  void runOnOperation() override {
    llvm::MapVector<Family, SmallVector<PadOp>> families;
    getOperation().walk([&](PadOp pad) {
      std::optional<double> border = getSplat(pad.getValue());
      if (border && *border == 0)
        families[{getScaleBase(pad.getX()), Attribute(pad.getInteriorAttr())}]
            .push_back(pad);
    });
    for (ArrayRef<PadOp> pads : llvm::make_second_range(families))
      if (share(pads))
        numShared += pads.size();
  }
};

} // namespace
