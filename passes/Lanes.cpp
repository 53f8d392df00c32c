//===- Lanes.cpp - Values of the threads of a warp ------------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/Lanes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Complex/IR/Complex.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace mlir::grad;

bool mlir::grad::isCombiner(Operation *op) {
  return isa<arith::AddFOp, arith::MulFOp, arith::MaximumFOp, arith::MinimumFOp,
             arith::MaxNumFOp, arith::MinNumFOp, arith::AddIOp, arith::MulIOp,
             arith::AndIOp, arith::OrIOp, arith::XOrIOp, arith::MaxSIOp,
             arith::MinSIOp, arith::MaxUIOp, arith::MinUIOp, complex::AddOp>(
      op);
}

/// What changes nothing when a combiner combines real numbers with it.
static TypedAttr getNeutral(Operation *combiner, Type type) {
  auto floating = [&](double value) -> TypedAttr {
    return FloatAttr::get(type, value);
  };
  auto integer = [&](const APInt &value) -> TypedAttr {
    return IntegerAttr::get(type, value);
  };
  unsigned width = type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  return llvm::TypeSwitch<Operation *, TypedAttr>(combiner)
      .Case<arith::AddFOp, complex::AddOp>([&](auto) { return floating(-0.0); })
      .Case<arith::MulFOp>([&](auto) { return floating(1); })
      .Case<arith::MaximumFOp>([&](auto) { return floating(-kInfinity); })
      .Case<arith::MinimumFOp>([&](auto) { return floating(kInfinity); })
      .Case<arith::MaxNumFOp, arith::MinNumFOp>(
          [&](auto) { return floating(kNaN); })
      .Case<arith::MulIOp>([&](auto) { return integer(APInt(width, 1)); })
      .Case<arith::AndIOp, arith::MinUIOp>(
          [&](auto) { return integer(APInt::getAllOnes(width)); })
      .Case<arith::MaxSIOp>(
          [&](auto) { return integer(APInt::getSignedMinValue(width)); })
      .Case<arith::MinSIOp>(
          [&](auto) { return integer(APInt::getSignedMaxValue(width)); })
      .Default([&](auto) { return integer(APInt::getZero(width)); });
}

Value mlir::grad::createNeutral(OpBuilder &builder, Location loc,
                                Operation *combiner, Type type) {
  auto complex = dyn_cast<ComplexType>(type);
  if (!complex)
    return arith::ConstantOp::create(builder, loc, getNeutral(combiner, type));
  TypedAttr part = getNeutral(combiner, complex.getElementType());
  return complex::ConstantOp::create(builder, loc, type,
                                     builder.getArrayAttr({part, part}));
}

Value mlir::grad::combine(OpBuilder &builder, Operation *combiner, Value a,
                          Value b) {
  IRMapping map;
  map.map(combiner->getOperand(0), a);
  map.map(combiner->getOperand(1), b);
  Operation *copy = builder.clone(*combiner, map);
  // Both operands may be the same value.
  copy->setOperands({a, b});
  return copy->getResult(0);
}

Value mlir::grad::shuffle(OpBuilder &builder, Location loc, Value value,
                          gpu::ShuffleMode mode, int32_t operand) {
  // Registers have 32 bits: others go as one or two integers of these.
  Type word = builder.getI32Type(), type = value.getType();
  auto exchange = [&](Value part) -> Value {
    auto number = [&](int32_t n) -> Value {
      return arith::ConstantOp::create(builder, loc,
                                       builder.getI32IntegerAttr(n));
    };
    return gpu::ShuffleOp::create(builder, loc, part, number(operand),
                                  number(kWarp), mode)
        .getShuffleResult();
  };
  if (isa<ComplexType>(type)) {
    Value re = complex::ReOp::create(builder, loc, value);
    Value im = complex::ImOp::create(builder, loc, value);
    re = shuffle(builder, loc, re, mode, operand);
    im = shuffle(builder, loc, im, mode, operand);
    return complex::CreateOp::create(builder, loc, type, re, im);
  }
  if (type.isIndex()) {
    Value number =
        arith::IndexCastOp::create(builder, loc, builder.getI64Type(), value);
    number = shuffle(builder, loc, number, mode, operand);
    return arith::IndexCastOp::create(builder, loc, type, number);
  }
  unsigned width = type.getIntOrFloatBitWidth();
  auto bits = builder.getIntegerType(width);
  if (type != bits) {
    Value pattern = arith::BitcastOp::create(builder, loc, bits, value);
    pattern = shuffle(builder, loc, pattern, mode, operand);
    return arith::BitcastOp::create(builder, loc, type, pattern);
  }
  if (type == word)
    return exchange(value);
  if (width < 32) {
    Value wide = arith::ExtUIOp::create(builder, loc, word, value);
    return arith::TruncIOp::create(builder, loc, type, exchange(wide));
  }
  Value half =
      arith::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(32));
  Value low = arith::TruncIOp::create(builder, loc, word, value);
  Value high = arith::TruncIOp::create(
      builder, loc, word, arith::ShRUIOp::create(builder, loc, value, half));
  low = arith::ExtUIOp::create(builder, loc, type, exchange(low));
  high = arith::ExtUIOp::create(builder, loc, type, exchange(high));
  high = arith::ShLIOp::create(builder, loc, high, half);
  return arith::OrIOp::create(builder, loc, low, high);
}

Value mlir::grad::combineNeighbours(OpBuilder &builder, Operation *combiner,
                                    Value value, int64_t count) {
  for (int64_t distance = count / 2; distance > 0; distance /= 2)
    value = combine(builder, combiner, value,
                    shuffle(builder, combiner->getLoc(), value,
                            gpu::ShuffleMode::XOR, distance));
  return value;
}
