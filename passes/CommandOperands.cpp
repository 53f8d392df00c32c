//===- CommandOperands.cpp - Numbers and addresses of commands ------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/BufferSize.h"
#include "passes/CommandEncoder.h"
#include "runtime/Interface.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace mlir::grad;

FailureOr<Sum> CommandEncoder::evaluate(OpFoldResult value) {
  if (std::optional<int64_t> constant = getConstantIntValue(value))
    return Sum::ofConstant(*constant);
  return evaluate(cast<Value>(value));
}

FailureOr<Sum> CommandEncoder::evaluate(Value value) {
  if (isa<MemRefType>(value.getType()))
    return evaluatePointer(value);
  if (auto it = wordOf.find(value); it != wordOf.end())
    return Sum::ofWord(it->second);
  Attribute constant;
  if (matchPattern(value, m_Constant(&constant))) {
    if (auto integer = dyn_cast<IntegerAttr>(constant))
      return Sum::ofConstant(isWord(integer.getType())
                                 ? integer.getValue().getSExtValue()
                                 : integer.getValue().getZExtValue());
    if (auto number = dyn_cast<FloatAttr>(constant))
      return Sum::ofConstant(static_cast<int64_t>(
          number.getValue().bitcastToAPInt().getZExtValue()));
    return failure();
  }
  if (Operation *op = value.getDefiningOp())
    return evaluateNumber(op, value);
  return failure();
}

FailureOr<Sum> CommandEncoder::evaluateNumber(Operation *op, Value value) {
  if (auto pointer = dyn_cast<memref::ExtractAlignedPointerAsIndexOp>(op))
    return evaluatePointer(pointer.getSource());
  if (auto metadata = dyn_cast<memref::ExtractStridedMetadataOp>(op))
    return value == metadata.getOffset() ? evaluateOffset(metadata.getSource())
                                         : FailureOr<Sum>(failure());
  if (!isAddress(op))
    return failure();
  FailureOr<Sum> first = evaluate(op->getOperand(0));
  if (failed(first) || isa<arith::IndexCastOp>(op))
    return first;
  FailureOr<Sum> second = evaluate(op->getOperand(1));
  if (failed(second))
    return failure();
  Sum sum;
  if (!isa<arith::MulIOp>(op)) {
    sum = std::move(*first);
    sum.add(*second, isa<arith::SubIOp>(op) ? -1 : 1);
  } else if (second->terms.empty()) {
    sum.add(*first, second->constant);
  } else if (first->terms.empty()) {
    sum.add(*second, first->constant);
  } else {
    return failure();
  }
  return sum;
}

/// The pointer that code has of `buffer`, to which the offset of its type is
/// added in an access.
FailureOr<Sum> CommandEncoder::evaluatePointer(Value buffer) {
  if (auto it = wordOf.find(buffer); it != wordOf.end())
    return Sum::ofWord(it->second);
  if (auto global = buffer.getDefiningOp<memref::GetGlobalOp>())
    return evaluateGlobal(global);
  auto view = buffer.getDefiningOp<ViewLikeOpInterface>();
  if (!view || !isa<MemRefType>(view.getViewSource().getType()))
    return failure();
  FailureOr<Sum> pointer = evaluatePointer(view.getViewSource());
  auto bytes = dyn_cast<memref::ViewOp>(view.getOperation());
  if (failed(pointer) || !bytes)
    return pointer;
  FailureOr<Sum> shift = evaluate(bytes.getByteShift());
  if (failed(shift))
    return failure();
  pointer->add(*shift);
  return pointer;
}

FailureOr<Sum> CommandEncoder::evaluateOffset(Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(type.getStridesAndOffset(strides, offset)))
    return failure();
  if (!ShapedType::isDynamic(offset))
    return Sum::ofConstant(offset);
  Operation *def = buffer.getDefiningOp();
  if (auto cast = dyn_cast_or_null<memref::ReinterpretCastOp>(def))
    return evaluate(cast.getMixedOffsets().front());
  auto view = dyn_cast_or_null<ViewLikeOpInterface>(def);
  if (!view || !isa<MemRefType>(view.getViewSource().getType()) ||
      wordOf.contains(buffer))
    return failure();
  FailureOr<Sum> sum = evaluateOffset(view.getViewSource());
  auto part = dyn_cast<memref::SubViewOp>(def);
  if (failed(sum) || !part)
    return sum;
  auto [sourceStrides, sourceOffset] =
      part.getSourceType().getStridesAndOffset();
  for (auto [position, stride] :
       llvm::zip_equal(part.getMixedOffsets(), sourceStrides)) {
    FailureOr<Sum> steps = evaluate(position);
    if (failed(steps) || ShapedType::isDynamic(stride))
      return failure();
    sum->add(*steps, stride);
  }
  return sum;
}

FailureOr<Sum> CommandEncoder::evaluateAddress(Value buffer) {
  FailureOr<Sum> address = evaluatePointer(buffer);
  FailureOr<Sum> offset = evaluateOffset(buffer);
  std::optional<int64_t> size =
      getElementBytes(cast<MemRefType>(buffer.getType()).getElementType());
  if (failed(address) || failed(offset) || !size)
    return failure();
  address->add(*offset, *size);
  return address;
}

/// Puts the value of a global to the constants.
FailureOr<Sum> CommandEncoder::evaluateGlobal(memref::GetGlobalOp op) {
  auto [it, isNew] = globalOffsets.try_emplace(op.getNameAttr(), 0);
  if (isNew) {
    auto global = SymbolTable::lookupNearestSymbolFrom<memref::GlobalOp>(
        op, op.getNameAttr());
    auto value = dyn_cast_or_null<DenseElementsAttr>(
        global && global.getConstant() ? global.getInitialValueAttr()
                                       : Attribute());
    if (!value)
      return failure();
    table.constants.resize(
        llvm::alignTo(table.constants.size(), gradopt::kArenaAlignment));
    it->second = table.constants.size();
    if (value.getElementType().isInteger(1)) {
      for (bool element : value.getValues<bool>())
        table.constants.push_back(element);
    } else {
      ArrayRef<char> raw = value.getRawData();
      int64_t copies = value.isSplat() ? value.getNumElements() : 1;
      for (int64_t i = 0; i < copies; ++i)
        table.constants.insert(table.constants.end(), raw.begin(), raw.end());
    }
  }
  Sum sum = Sum::ofWord(GRADOPT_WORD_CONSTANTS);
  sum.constant = it->second;
  return sum;
}

gradopt_operand CommandEncoder::makeOperand(Location loc, const Sum &sum) {
  SmallVector<uint32_t, 2> words;
  for (auto [word, factor] : sum.terms) {
    if (factor == 0)
      continue;
    if (factor == 1) {
      words.push_back(word);
      continue;
    }
    auto [it, isNew] = multiples.try_emplace(Multiple(word, factor), 0);
    if (isNew) {
      it->second = addWords(1);
      order.emplace_back(word, factor);
      emit(loc, GRADOPT_MULTIPLY_ADD, it->second,
           {{0, 0, 0}, {word, 0, 0}, {0, 0, factor}});
    }
    words.push_back(it->second);
  }
  // Buffers have lower numbers than registers.
  llvm::sort(words);
  while (words.size() > 2) {
    uint32_t last = words.pop_back_val();
    uint32_t first = words.pop_back_val();
    uint32_t both = addWords(1);
    emit(loc, GRADOPT_SET, both, {{first, last, 0}});
    words.push_back(both);
  }
  words.resize(2, GRADOPT_WORD_ZERO);
  return {words[0], words[1], sum.constant};
}

FailureOr<SmallVector<gradopt_operand>>
CommandEncoder::makeOperands(Location loc, ValueRange values) {
  SmallVector<gradopt_operand> operands;
  for (Value value : values) {
    FailureOr<Sum> sum = evaluate(value);
    if (failed(sum))
      return failure();
    operands.push_back(makeOperand(loc, *sum));
  }
  return operands;
}

FailureOr<uint32_t> CommandEncoder::addRegisters(ValueRange values) {
  uint32_t first = addWords(values.size());
  for (auto [i, value] : llvm::enumerate(values)) {
    auto type = dyn_cast<MemRefType>(value.getType());
    if (type ? !type.hasStaticShape() : !value.getType().isIntOrIndexOrFloat())
      return failure();
    if (!type && !value.getType().isIndex() &&
        value.getType().getIntOrFloatBitWidth() > 64)
      return failure();
    wordOf[value] = first + i;
  }
  return first;
}
