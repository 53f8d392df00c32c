//===- Updates.h - Parts of arrays that are replaced ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An update is an op whose result is an array with a part of it replaced, or
// changed by a sum. The *versions* of an array are what a chain of updates
// makes of it. Loops and branches are parts of such a chain if all that they do
// to the array are updates.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_UPDATES_H
#define GRADOPT_DIALECT_UPDATES_H

#include "mlir/IR/Builders.h"

namespace mlir::grad {

/// Whether the op itself is an update.
bool isUpdate(Operation *op);

/// An attribute of slices at positions known at run time: where they are out of
/// bounds, nobody looks at what the program computes.
constexpr llvm::StringLiteral kInBounds = "grad.in_bounds";

/// The elements of an array that an op reads or writes: so many from each
/// offset on.
struct Part {
  Value array; ///< Where they are read, or what has them after the update.
  SmallVector<OpFoldResult> offsets;
  SmallVector<int64_t> sizes;
  bool isClamped; ///< Whether offsets that are too large or small are moved.
};

/// What an op without regions reads of an array, or an update replaces; none if
/// it is not such a part.
std::optional<Part> getPartRead(Operation *op);
std::optional<Part> getPartWritten(Operation *update);

/// Calls `visit` on the updates that lead to the version from the previous one,
/// in whatever loops and branches, until it returns false.
bool forEachUpdate(Value version, function_ref<bool(Operation *update)> visit);

/// What the array was before the op that made it `version`; null if it is not a
/// version of an array.
Value findPrevious(Value version);

/// The versions of an array from `before` to `after`, both included; none if
/// something else happens to it in between.
SmallVector<Value> findVersions(Value before, Value after);

/// The bytes of what is overwritten between two versions.
int64_t countOverwritten(Value before, Value after);

/// What the update is about to overwrite.
Value readOverwritten(OpBuilder &builder, Operation *update);

/// `array`, a result of the update, with `overwritten` in its place again.
Value putBack(OpBuilder &builder, Operation *update, Value array,
              Value overwritten);

/// The value of which the update puts all elements into the array, in whatever
/// shape; null if there is none.
Value findHeld(Operation *update);

/// That value, read from `array`, a result of the update.
Value readHeld(OpBuilder &builder, Operation *update, Value array);

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_UPDATES_H
