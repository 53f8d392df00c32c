//===- InPlaceState.cpp - What is known of updates in place ---------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/InPlaceState.h"

#include "passes/IntegerSums.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace mlir::grad;
using namespace mlir::bufferization;

AliasingOpOperandList
mlir::grad::getAliasingOperands(Value value, const AnalysisState &state) {
  auto result = dyn_cast<OpResult>(value);
  if (!result || !isa<scf::ForOp, scf::WhileOp>(result.getOwner()))
    return state.getAliasingOpOperands(value);
  // Of these a result shares the buffer of the operand of its number.
  auto inits = cast<LoopLikeOpInterface>(result.getOwner()).getInitsMutable();
  if (result.getResultNumber() < inits.size()) {
    OpOperand &init = inits[result.getResultNumber()];
    for (const AliasingValue &alias : state.getAliasingValues(init))
      if (alias.value == value)
        return {{&init, alias.relation, alias.isDefinite}};
  }
  return {};
}

bool mlir::grad::isUndefined(Value value, const AnalysisState &state) {
  auto result = dyn_cast<OpResult>(value);
  if (!result || result.getOwner()->getNumRegions() != 0)
    return false;
  auto op = state.getOptions().dynCastBufferizableOp(result.getOwner());
  if (!op)
    return false;
  // The memory for a result of the function, before the function wrote it.
  if (auto toTensor = dyn_cast<ToTensorOp>(*op)) {
    auto argument = dyn_cast<BlockArgument>(toTensor.getBuffer());
    auto func = dyn_cast<func::FuncOp>(op->getParentOp());
    return argument && func && toTensor.getRestrict() &&
           func.getArgAttr(argument.getArgNumber(), "grad.result");
  }
  AliasingOpOperandList aliases = op.getAliasingOpOperands(value, state);
  if (aliases.getNumAliases() == 0)
    return !op.resultBufferizesToMemoryWrite(result, state);
  return llvm::all_of(aliases, [&](const AliasingOpOperand &alias) {
    return !op.bufferizesToMemoryWrite(*alias.opOperand, state) &&
           isUndefined(alias.opOperand->get(), state);
  });
}

bool InPlaceState::hasUndefinedContents(OpOperand *operand) const {
  return isUndefined(operand->get(), *this);
}

bool InPlaceState::areEquivalentBufferizedValues(Value a, Value b) const {
  return a.getType() == b.getType() &&
         OneShotAnalysisState::areEquivalentBufferizedValues(a, b);
}

/// Where a slice begins and ends in each dimension, a whole stride behind its
/// last element, if that is known.
static std::optional<SmallVector<std::pair<int64_t, int64_t>>>
getStaticRanges(SubsetOpInterface op) {
  auto slice = dyn_cast<OffsetSizeAndStrideOpInterface>(op.getOperation());
  if (!slice || !slice.getOffsets().empty() || !slice.getSizes().empty() ||
      !slice.getStrides().empty())
    return std::nullopt;
  SmallVector<std::pair<int64_t, int64_t>> ranges;
  for (auto [offset, size, stride] :
       llvm::zip_equal(slice.getStaticOffsets(), slice.getStaticSizes(),
                       slice.getStaticStrides())) {
    if (size < 1 || stride < 1)
      return std::nullopt;
    ranges.emplace_back(offset, offset + size * stride);
  }
  return ranges;
}

/// The tensor that `op` reads or writes a part of.
static Value getWhole(SubsetOpInterface op) {
  if (auto insertion = dyn_cast<SubsetInsertionOpInterface>(*op))
    return insertion.getDestinationOperand().get();
  return cast<SubsetExtractionOpInterface>(*op).getSourceOperand().get();
}

/// `a` - `b`, if that is a constant.
static std::optional<int64_t> getDistance(OpFoldResult a, OpFoldResult b) {
  std::optional<int64_t> number = getConstantIntValue(a),
                         other = getConstantIntValue(b);
  if (number && other)
    return *number - *other;
  if (number || other)
    return std::nullopt;
  return findDifference(cast<Value>(a), cast<Value>(b));
}

/// The sizes, if they and the strides are known and the same for both, and one
/// has an offset for each of the other's.
static std::optional<ArrayRef<int64_t>>
getOneShape(OffsetSizeAndStrideOpInterface a,
            OffsetSizeAndStrideOpInterface b) {
  if (!a || !b || !a.getSizes().empty() || !a.getStrides().empty() ||
      a.getStaticSizes() != b.getStaticSizes() ||
      a.getStaticStrides() != b.getStaticStrides())
    return std::nullopt;
  return a.getStaticSizes();
}

bool mlir::grad::areDisjoint(SubsetOpInterface a, SubsetOpInterface b,
                             function_ref<bool(Value, Value)> isSame) {
  auto aRanges = getStaticRanges(a), bRanges = getStaticRanges(b);
  if (aRanges && bRanges)
    return aRanges->size() == bRanges->size() &&
           isSame(getWhole(a), getWhole(b)) &&
           llvm::any_of(llvm::zip(*aRanges, *bRanges), [](auto pair) {
             auto [x, y] = pair;
             return x.second <= y.first || y.second <= x.first;
           });
  auto from = dyn_cast<OffsetSizeAndStrideOpInterface>(a.getOperation());
  auto to = dyn_cast<OffsetSizeAndStrideOpInterface>(b.getOperation());
  if (std::optional<ArrayRef<int64_t>> sizes = getOneShape(from, to);
      sizes && isSame(getWhole(a), getWhole(b)) &&
      llvm::any_of(llvm::zip_equal(from.getMixedOffsets(), to.getMixedOffsets(),
                                   *sizes, from.getStaticStrides()),
                   [](auto dimension) {
                     auto [offset, other, size, stride] = dimension;
                     std::optional<int64_t> difference =
                         getDistance(offset, other);
                     return difference &&
                            std::abs(*difference) >= size * std::abs(stride);
                   }))
    return true;
  return a.operatesOnDisjointSubset(b, isSame);
}

bool mlir::grad::areAligned(SubsetOpInterface a, SubsetOpInterface b,
                            function_ref<bool(Value, Value)> isSame) {
  auto from = dyn_cast<OffsetSizeAndStrideOpInterface>(a.getOperation());
  auto to = dyn_cast<OffsetSizeAndStrideOpInterface>(b.getOperation());
  std::optional<ArrayRef<int64_t>> sizes = getOneShape(from, to);
  return sizes && isSame(getWhole(a), getWhole(b)) &&
         llvm::all_of(llvm::zip_equal(from.getMixedOffsets(),
                                      to.getMixedOffsets(), *sizes),
                      [](auto dimension) {
                        auto [offset, other, size] = dimension;
                        return size == 1 || getDistance(offset, other) == 0;
                      });
}

bool mlir::grad::isReplacedPart(Value value,
                                SubsetInsertionOpInterface insertion,
                                function_ref<bool(Value, Value)> isSame) {
  auto from = value.getDefiningOp<tensor::ExtractSliceOp>();
  auto to = dyn_cast<tensor::InsertSliceOp>(*insertion);
  if (!from || !to || from->getNumOperands() != 1 || to->getNumOperands() != 2)
    return insertion.isEquivalentSubset(value, isSame);
  return from.getStaticOffsets() == to.getStaticOffsets() &&
         from.getStaticSizes() == to.getStaticSizes() &&
         from.getStaticStrides() == to.getStaticStrides() &&
         isSame(from.getSource(), to.getDest());
}
