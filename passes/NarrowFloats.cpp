//===- NarrowFloats.cpp - Conversions that a CPU may not have -------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/NarrowFloats.h"
#include "dialect/Rules.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace mlir::grad;

namespace {

/// Arithmetic on the bits of one float.
struct Bits {
  OpBuilder &builder;
  Location loc;

  Type f32() const { return builder.getF32Type(); }
  Type i32() const { return builder.getI32Type(); }
  Type i16() const { return builder.getI16Type(); }

  template <typename Op, typename... Args> Value apply(Args &&...args) const {
    return Op::create(builder, loc, std::forward<Args>(args)...);
  }
  Value number(int64_t bits) const {
    return apply<arith::ConstantOp>(
        builder.getIntegerAttr(i32(), APInt(32, bits)));
  }
  Value select(Value condition, Value onTrue, Value onFalse) const {
    return apply<arith::SelectOp>(condition, onTrue, onFalse);
  }
  Value compare(arith::CmpFPredicate predicate, Value lhs, Value rhs) const {
    return apply<arith::CmpFOp>(predicate, lhs, rhs);
  }

  /// Its bits are the upper half of those of an f32.
  Value widen(Value bf16) const {
    Value low =
        apply<arith::ExtUIOp>(i32(), apply<arith::BitcastOp>(i16(), bf16));
    return apply<arith::BitcastOp>(f32(),
                                   apply<arith::ShLIOp>(low, number(16)));
  }

  /// Rounds an f32 to nearest even; NaN stays NaN.
  Value toBf16(Value x) const {
    Value bits = apply<arith::BitcastOp>(i32(), x);
    Value last = apply<arith::AndIOp>(apply<arith::ShRUIOp>(bits, number(16)),
                                      number(1));
    Value rounded =
        apply<arith::AddIOp>(bits, apply<arith::AddIOp>(last, number(0x7fff)));
    Value quiet = apply<arith::OrIOp>(bits, number(0x400000));
    Value isNaN = compare(arith::CmpFPredicate::UNO, x, x);
    Value high =
        apply<arith::ShRUIOp>(select(isNaN, quiet, rounded), number(16));
    return apply<arith::BitcastOp>(builder.getBF16Type(),
                                   apply<arith::TruncIOp>(i16(), high));
  }

  /// Rounds an f32 to a narrow type.
  Value narrow(Value x, Type to) const {
    return to.isBF16() ? toBf16(x) : apply<arith::TruncFOp>(to, x);
  }

  /// Rounds an f64 to that of its neighbours in f32 which is odd, if it has no
  /// equal there. The next rounding sees on which side of a tie the f64 is.
  Value toOddF32(Value x) const {
    Value nearest = apply<arith::TruncFOp>(f32(), x);
    Value back = apply<arith::ExtFOp>(x.getType(), nearest);
    Value bits = apply<arith::BitcastOp>(i32(), nearest);
    Value isOdd = apply<arith::TruncIOp>(builder.getI1Type(), bits);
    Value isExact = compare(arith::CmpFPredicate::UEQ, back, x);
    Value zero = apply<arith::ConstantOp>(builder.getFloatAttr(x.getType(), 0));
    Value isBelow =
        apply<arith::XOrIOp>(compare(arith::CmpFPredicate::OLT, back, x),
                             compare(arith::CmpFPredicate::OLT, x, zero));
    Value other =
        apply<arith::AddIOp>(bits, select(isBelow, number(1), number(-1)));
    Value stays = apply<arith::OrIOp>(isOdd, isExact);
    return apply<arith::BitcastOp>(f32(), select(stays, bits, other));
  }
};

} // namespace

static bool isNarrow(Type type) {
  return isa<FloatType>(type) && isNarrowFloat(type);
}

/// What the conversion of `x` to another type is; null for one that stays.
static Value expand(Bits bits, Value x, Type to) {
  Type from = x.getType();
  if (isNarrow(from)) {
    if (from.isF16() && to.isF32())
      return {};
    Value wide = from.isBF16() ? bits.widen(x)
                               : bits.apply<arith::ExtFOp>(bits.f32(), x);
    return to.isF32() ? wide : bits.apply<arith::ExtFOp>(to, wide);
  }
  if (!isNarrow(to) || (to.isF16() && from.isF32()))
    return {};
  return bits.narrow(from.isF32() ? x : bits.toOddF32(x), to);
}

void mlir::grad::expandNarrowConversions(Operation *root) {
  SmallVector<Operation *> conversions;
  root->walk([&](Operation *op) {
    if (isa<arith::ExtFOp, arith::TruncFOp>(op) ||
        (isa<arith::SIToFPOp, arith::UIToFPOp>(op) &&
         isNarrow(op->getResult(0).getType())))
      conversions.push_back(op);
  });
  for (Operation *op : conversions) {
    OpBuilder builder(op);
    Bits bits{builder, op->getLoc()};
    Value x = op->getOperand(0);
    Type to = op->getResult(0).getType();
    Value result;
    if (isa<arith::SIToFPOp>(op))
      result = bits.narrow(bits.apply<arith::SIToFPOp>(bits.f32(), x), to);
    else if (isa<arith::UIToFPOp>(op))
      result = bits.narrow(bits.apply<arith::UIToFPOp>(bits.f32(), x), to);
    else
      result = expand(bits, x, to);
    if (!result)
      continue;
    op->replaceAllUsesWith(ValueRange(result));
    op->erase();
  }
}
