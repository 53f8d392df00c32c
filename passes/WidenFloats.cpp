//===- WidenFloats.cpp - Narrow floats are calculated with in f32 ---------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// `grad-widen-floats`: an op on f16 or bf16 becomes one on f32, whose results
/// are rounded. Behind it, narrow types are what values lie in memory as: they
/// are moved and converted.
///
/// A value is widened once, where it comes from. So what its uses contribute
/// to its cotangent, in loops too, is added up in f32 and rounded once.
///
//===----------------------------------------------------------------------===//

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "passes/Differentiation.h"
#include "passes/Passes.h"

#include "mlir/IR/TypeUtilities.h"

namespace mlir::grad {
#define GEN_PASS_DEF_GRADWIDENFLOATS
#include "passes/Passes.h.inc"
} // namespace mlir::grad

using namespace mlir;
using namespace mlir::grad;

static bool isNarrow(Type type) {
  return isa<RankedTensorType>(type) && isNarrowFloat(type);
}

/// Whether the op moves numbers and calculates nothing, or is one of the few
/// additions that change a part of an array in place.
static bool movesOnly(Operation *op) {
  if (auto scatter = dyn_cast<ScatterAddOp>(op))
    return !isZero(scatter.getX());
  return isa<ConstantOp, IdentityOp, BroadcastOp, ReshapeOp, TransposeOp,
             SliceOp, DynamicSliceOp, UpdateSliceOp, DynamicUpdateSliceOp,
             AddSliceOp, DynamicAddSliceOp, PadOp, ConcatenateOp, ReverseOp,
             GatherOp, ScatterOp, SelectOp, ConvertOp, StopGradientOp,
             BarrierOp, CallOp, VjpOp, JvpOp, VmapOp, CustomOp, CustomCallOp,
             TransposedOp, YieldOp, SizedSliceOp, SizedUpdateOp,
             SizedBroadcastOp>(op);
}

namespace {

class Widener {
public:
  explicit Widener(func::FuncOp function)
      : function(function), builder(function.getContext()) {}

  void run() {
    SmallVector<Operation *> ops;
    SmallVector<ConvertOp> conversions;
    function.walk([&](Operation *op) {
      auto hasNarrow = [](TypeRange types) {
        return llvm::any_of(types, isNarrow);
      };
      if (isa_and_nonnull<GradDialect>(op->getDialect()) && !movesOnly(op) &&
          (hasNarrow(op->getOperandTypes()) || hasNarrow(op->getResultTypes())))
        ops.push_back(op);
      else if (auto convert = dyn_cast<ConvertOp>(op))
        if (isNarrow(convert.getX().getType()) && convert.getDtype().isF32())
          conversions.push_back(convert);
    });
    // Those that came into loops with the functions that were inlined there.
    for (ConvertOp convert : conversions) {
      convert.replaceAllUsesWith(widen(convert.getX()));
      convert.erase();
    }
    for (Operation *op : ops)
      calculateInF32(op);
  }

private:
  Value convert(Value x, Type element) {
    return ConvertOp::create(builder, x.getLoc(), x, element);
  }

  /// The f32 numbers of a narrow value, right behind it.
  Value widen(Value value) {
    Value &wide = widened[value];
    if (wide)
      return wide;
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointAfterValue(value);
    if (auto broadcast = value.getDefiningOp<BroadcastOp>()) {
      Value x = widen(broadcast.getX());
      return widened[value] = BroadcastOp::create(builder, value.getLoc(), x,
                                                  broadcast.getShape(),
                                                  broadcast.getDimensions());
    }
    return wide = convert(value, builder.getF32Type());
  }

  void calculateInF32(Operation *op) {
    builder.setInsertionPoint(op);
    for (OpOperand &operand : op->getOpOperands())
      if (isNarrow(operand.get().getType()))
        operand.set(widen(operand.get()));
    if (auto dtype = op->getAttrOfType<TypeAttr>("dtype"))
      if (isNarrowFloat(dtype.getValue()))
        op->setAttr("dtype", TypeAttr::get(builder.getF32Type()));
    builder.setInsertionPointAfter(op);
    for (OpResult result : op->getResults()) {
      auto type = dyn_cast<RankedTensorType>(result.getType());
      if (!type || !isNarrow(type))
        continue;
      result.setType(type.clone(builder.getF32Type()));
      Value rounded = convert(result, type.getElementType());
      result.replaceAllUsesExcept(rounded, rounded.getDefiningOp());
      if (isa<ElementwiseOpInterface>(op))
        op->setAttr(kStoredAs, TypeAttr::get(type.getElementType()));
    }
  }

  func::FuncOp function;
  OpBuilder builder;
  DenseMap<Value, Value> widened;
};

struct GradWidenFloats : grad::impl::GradWidenFloatsBase<GradWidenFloats> {
  void runOnOperation() override { widenFloats(getOperation()); }
};

} // namespace

void grad::widenFloats(func::FuncOp function) { Widener(function).run(); }
