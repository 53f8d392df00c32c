//===- Stacks.cpp - Arrays of what loops leave behind ---------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialect/Stacks.h"

#include "dialect/ControlFlow.h"
#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "runtime/Tapes.h"
#include "llvm/ADT/SmallVectorExtras.h"

using namespace mlir;
using namespace mlir::grad;

bool grad::isStorable(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return type.isIntOrIndexOrFloat();
  Type element = tensor.getElementType();
  return tensor.hasStaticShape() && !tensor.getEncoding() &&
         (element.isIntOrIndexOrFloat() || isa<ComplexType>(element));
}

int64_t grad::getBytes(Type type) {
  auto bytesOf = [](Type element) -> int64_t {
    if (auto complex = dyn_cast<ComplexType>(element))
      return 2 * (complex.getElementType().getIntOrFloatBitWidth() / 8);
    return element.isIndex() ? 8 : (element.getIntOrFloatBitWidth() + 7) / 8;
  };
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    return tensor.getNumElements() * bytesOf(tensor.getElementType());
  return bytesOf(type);
}

Value grad::createUndefined(OpBuilder &builder, Location loc, Type type) {
  if (auto tensor = dyn_cast<RankedTensorType>(type))
    return tensor::EmptyOp::create(builder, loc, tensor.getShape(),
                                   tensor.getElementType());
  return arith::ConstantOp::create(builder, loc, builder.getZeroAttr(type));
}

Value grad::createStack(OpBuilder &builder, Location loc, Type type,
                        int64_t length) {
  SmallVector<int64_t> shape = {length};
  Type element = type;
  if (auto tensor = dyn_cast<RankedTensorType>(type)) {
    llvm::append_range(shape, tensor.getShape());
    element = tensor.getElementType();
  }
  if (element.isIndex())
    element = builder.getI64Type();
  return tensor::EmptyOp::create(builder, loc, shape, element);
}

/// The indices of the slice that holds the value in place `index`, in a stack
/// whose places are dimension `places`.
static SmallVector<Value> indicesOf(OpBuilder &builder, Location loc,
                                    Value stack, Value index,
                                    int64_t places = 0) {
  auto position = RankedTensorType::get({}, builder.getI64Type());
  index = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), index);
  index = tensor::FromElementsOp::create(builder, loc, position, index);
  int64_t rank = cast<RankedTensorType>(stack.getType()).getRank();
  Value zero = rank > 1 ? createZero(builder, loc, position) : nullptr;
  SmallVector<Value> indices(rank, zero);
  indices[places] = index;
  return indices;
}

bool grad::isTape(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && isStorable(type) && tensor.getRank() > 0 &&
         getBytes(type) > gradopt::kTapeBytes / 2;
}

Value grad::createTape(OpBuilder &builder, Location loc, Type type) {
  int64_t bytes = std::max<int64_t>(getBytes(type), 1);
  return createStack(builder, loc, type, gradopt::kTapeBytes / bytes);
}

Value grad::createZeroTape(OpBuilder &builder, scf::ForOp like, Type tape) {
  Location loc = like.getLoc();
  // Of a batch, places are not the first dimension.
  SmallVector<int64_t> shape(cast<RankedTensorType>(tape).getShape());
  int64_t *places = llvm::max_element(shape);
  *places = 1;
  Value zeros =
      createZero(builder, loc, cast<RankedTensorType>(tape).clone(shape));
  Value empty = createUndefined(builder, loc, tape);
  Value begin = arith::ConstantIndexOp::create(builder, loc, 0);
  Value one = arith::ConstantIndexOp::create(builder, loc, 1);
  Value count = createNumber(builder, like, like.getUpperBound());
  count = arith::AddIOp::create(builder, loc, count, one);
  auto loop = scf::ForOp::create(
      builder, loc, begin, count, one, empty,
      [&](OpBuilder &nested, Location loc, Value number, ValueRange carried) {
        Value next = DynamicUpdateSliceOp::create(
            nested, loc, carried[0], zeros,
            indicesOf(nested, loc, carried[0], number, places - shape.begin()));
        scf::YieldOp::create(nested, loc, next);
      });
  // Each tape is written to: to take two for one would mean to copy it.
  loop->setAttr(kZeros, DistinctAttr::create(builder.getUnitAttr()));
  return loop.getResult(0);
}

Value grad::createZeroTangent(OpBuilder &builder, Value primal) {
  Location loc = primal.getLoc();
  if (isTape(primal.getType())) {
    if (primal.getDefiningOp<tensor::EmptyOp>())
      return createUndefined(builder, loc, primal.getType());
    if (auto push = primal.getDefiningOp<DynamicUpdateSliceOp>())
      return DynamicUpdateSliceOp::create(
          builder, push.getLoc(), createZeroTangent(builder, push.getX()),
          createZero(builder, push.getLoc(), push.getUpdate().getType()),
          push.getIndices());
    if (auto loop = primal.getDefiningOp<scf::ForOp>())
      return createZeroTape(builder, loop, primal.getType());
  }
  return createZero(builder, loc, primal.getType());
}

Value grad::createPush(OpBuilder &builder, Location loc, Value stack,
                       Value value, Value index) {
  if (value.getType().isIndex())
    value =
        arith::IndexCastOp::create(builder, loc, builder.getI64Type(), value);
  if (!isa<RankedTensorType>(value.getType()))
    value = tensor::FromElementsOp::create(
        builder, loc, RankedTensorType::get({}, value.getType()), value);
  SmallVector<int64_t> shape(
      cast<RankedTensorType>(stack.getType()).getShape());
  shape.front() = 1;
  value = ReshapeOp::create(builder, loc, value, shape);
  return DynamicUpdateSliceOp::create(builder, loc, stack, value,
                                      indicesOf(builder, loc, stack, index));
}

Value grad::createPeek(OpBuilder &builder, Location loc, Value stack, Type type,
                       Value index) {
  SmallVector<int64_t> shape(
      cast<RankedTensorType>(stack.getType()).getShape());
  shape.front() = 1;
  Value value = DynamicSliceOp::create(
      builder, loc, stack, indicesOf(builder, loc, stack, index), shape);
  value = ReshapeOp::create(builder, loc, value,
                            ArrayRef<int64_t>(shape).drop_front());
  if (isa<RankedTensorType>(type))
    return value;
  value = tensor::ExtractOp::create(builder, loc, value, ValueRange());
  if (type.isIndex())
    value = arith::IndexCastOp::create(builder, loc, type, value);
  return value;
}

SmallVector<Value> grad::createStacks(OpBuilder &builder, Location loc,
                                      ValueRange values, int64_t length) {
  return llvm::map_to_vector(values, [&](Value value) {
    return createStack(builder, loc, value.getType(), length);
  });
}

SmallVector<Value> grad::pushAll(OpBuilder &builder, Location loc,
                                 ValueRange stacks, ValueRange values,
                                 Value index) {
  SmallVector<Value> pushed;
  for (auto [stack, value] : llvm::zip_equal(stacks, values))
    pushed.push_back(createPush(builder, loc, stack, value, index));
  return pushed;
}

SmallVector<Value> grad::peekAll(OpBuilder &builder, Location loc,
                                 ValueRange stacks, TypeRange types,
                                 Value index) {
  SmallVector<Value> values;
  for (auto [stack, type] : llvm::zip_equal(stacks, types))
    values.push_back(createPeek(builder, loc, stack, type, index));
  return values;
}
