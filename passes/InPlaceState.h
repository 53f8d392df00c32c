//===- InPlaceState.h - What is known of updates in place -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_INPLACESTATE_H
#define GRADOPT_PASSES_INPLACESTATE_H

#include "mlir/Dialect/Bufferization/Transforms/OneShotAnalysis.h"
#include "mlir/Interfaces/SubsetOpInterface.h"

namespace mlir::grad {

/// Upstream's state, which finds undefined contents without walking to the
/// beginning of the program from each view.
class InPlaceState : public bufferization::OneShotAnalysisState {
public:
  using OneShotAnalysisState::OneShotAnalysisState;

  bool hasUndefinedContents(OpOperand *operand) const override;

  /// Whether two values are one buffer, and the same offsets mean the same
  /// elements: not so if one is a reshape of the other. Upstream compares the
  /// offsets of slices of what is the same by this.
  bool areEquivalentBufferizedValues(Value a, Value b) const override;
};

/// As `state.getAliasingOpOperands(value)`, which compares each operand of a
/// loop with each of its results.
bufferization::AliasingOpOperandList
getAliasingOperands(Value value, const bufferization::AnalysisState &state);

/// Whether nobody wrote what `value` holds.
bool isUndefined(Value value, const bufferization::AnalysisState &state);

/// Whether two operations access parts that have nothing in common, of tensors
/// that are the same buffer according to `isSame`. As upstream's method, which
/// asks a solver of linear inequalities also for offsets that are numbers.
bool areDisjoint(SubsetOpInterface a, SubsetOpInterface b,
                 llvm::function_ref<bool(Value, Value)> isSame);

/// Whether two operations access parts of which each element is also the same
/// one of the other part, or none of it: [1:9, i] and [1:9, j].
bool areAligned(SubsetOpInterface a, SubsetOpInterface b,
                llvm::function_ref<bool(Value, Value)> isSame);

/// Whether `value` is the part of a tensor that `insertion` replaces. As above,
/// for numbers.
bool isReplacedPart(Value value, SubsetInsertionOpInterface insertion,
                    llvm::function_ref<bool(Value, Value)> isSame);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_INPLACESTATE_H
