//===- TensorUpdates.h - Tensors that may share a buffer --------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Questions on tensors before bufferization, across loops and branches: which
/// tensor is an update of which one, and whether its buffer can be the same.
///
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_TENSORUPDATES_H
#define GRADOPT_PASSES_TENSORUPDATES_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Operation.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/SmallPtrSet.h"

namespace mlir::grad {

inline bool isTensor(Value value) {
  return isa<RankedTensorType>(value.getType());
}

/// Whether `op` runs one of its regions, which yield its results.
bool isBranch(Operation *op);

/// What the regions of a branch yield for `result`.
SmallVector<Value> getYielded(OpResult result);

/// The operand in whose buffer the op computes `result` if that is done in
/// place, an update or another shape; null if there is none, or if it depends
/// on the way through a branch.
OpOperand *getTied(OpResult result);

/// The tensor in whose buffer `value` is computed if everything is done in
/// place, one step back; null if `value` is the first one there.
Value getPrevious(Value value);

/// The tensor from outside of `op` that `value`, from inside, is an update of;
/// null if there is none.
Value updatedFromOutside(Value value, Operation *op);

/// All tensors that `value` may be an update or a part of, or equal to.
llvm::SetVector<Value> collectOrigins(Value value);

/// Whether `value` may be used where `user` is.
bool isAvailable(Value value, Operation *user);

/// Whether a loop runs `op` more often than `value` is made.
bool isRepeatedSince(Value value, Operation *op);

/// Whether all uses of `value` and of views of it are as `isAllowed` wants.
bool allUses(Value value, llvm::function_ref<bool(OpOperand &)> isAllowed);

/// Whether the owner of `use` cannot return it, and is done, in one iteration
/// of the loop that holds both, when `write` begins. Also if only one of them
/// runs.
bool isDoneBefore(OpOperand &use, Operation *write);

/// Whether `use` and `write` are operands of one op, and at each iteration just
/// the element is read of the one that is written to the other. Bufferization
/// can tell this for identity maps.
bool readsWrittenElements(OpOperand &use, OpOperand &write);

/// Whether `use` is the read of a slice that shares no element with `part`, an
/// extraction or insertion of the same tensor, which is what `write` writes; or
/// of one whose elements one op reads no later than it writes them.
bool readsOtherPart(OpOperand &use, Operation *part, OpOperand &write);

/// Whether `value` is `first`, updated in place: nobody reads what was
/// overwritten.
bool isUpdateInPlace(Value value, Value first);

/// Whether `value` may be in a buffer of one of `written`, other than as `own`,
/// updated in place.
bool mayLieIn(Value value, const llvm::SmallPtrSetImpl<Value> &written,
              Value own);

/// A copy of `value` in a buffer of its own.
Value createCopy(OpBuilder &builder, Location loc, Value value);

/// `source`, written to all of `destination`.
Value createWrite(OpBuilder &builder, Location loc, Value source,
                  Value destination);

/// Gives each op inside `root` a tensor of its own to overwrite, where CSE made
/// one of several: two loops that fill it may both be read afterwards.
void separateEmpties(Operation *root);

/// Gives each loop inside `root` that begins with a fill of its own, where
/// several begin with one: all but one would copy it, and be compared with all
/// others to find that out.
void separateFills(Operation *root);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_TENSORUPDATES_H
