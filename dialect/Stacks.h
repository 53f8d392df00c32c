//===- Stacks.h - Arrays of what loops leave behind -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A stack is a tensor of one dimension more than the values in it, which may be
// scalars, too. A loop carries it and writes to it in place.
//
// Where no bound on the iterations is known, a stack may be a *tape*: a tensor
// of about kTapeBytes, for which the arena has addresses only. Memory comes
// with the first access to a page (runtime/Arena.cpp), so that a tape takes
// what its loops have written to it; and as no machine with as much memory runs
// such a program, memory ends before a tape does.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_STACKS_H
#define GRADOPT_DIALECT_STACKS_H

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Builders.h"

namespace mlir::grad {

/// Whether there are stacks of such values: numbers, and tensors of static
/// shape.
bool isStorable(Type type);

/// The number of bytes of a storable value in memory.
int64_t getBytes(Type type);

/// A value that nobody reads.
Value createUndefined(OpBuilder &builder, Location loc, Type type);

/// A stack for `length` values of `type`, with nothing in it.
Value createStack(OpBuilder &builder, Location loc, Type type, int64_t length);

/// Whether a value of the type is a stack without bound, a *tape*: it has more
/// places than there is memory for. Nothing may go over all of it.
bool isTape(Type type);

/// A tape for values of `type`, with nothing in it.
Value createTape(OpBuilder &builder, Location loc, Type type);

/// The tangent of a value that has none, or the cotangent: zeros, but where
/// nobody has written to a tape.
Value createZeroTangent(OpBuilder &builder, Value primal);

/// A batch of what `tape` is, of type `type`, if that is undefined or zeros
/// that are written by loops; else null.
Value createBatchOfZeros(OpBuilder &builder, Value tape, Type type);

/// `stack` with `value` in place `index`; in column `column` of the row of
/// values that is there, unless that is negative.
Value createPush(OpBuilder &builder, Location loc, Value stack, Value value,
                 Value index, int64_t column = -1);

/// The value of `type` in place `index` of `stack`, or in a column there.
Value createPeek(OpBuilder &builder, Location loc, Value stack, Type type,
                 Value index, int64_t column = -1);

// The same for several values at once. Very many scalars are in one stack, and
// many values of a type on one tape, so that there can be fewer of these than
// values. `typesOnTapes` are what the tapes for values of some types hold.
SmallVector<Type> typesOnTapes(TypeRange types);
SmallVector<Value> createStacks(OpBuilder &builder, Location loc,
                                TypeRange types, int64_t length);
SmallVector<Value> pushAll(OpBuilder &builder, Location loc, ValueRange stacks,
                           ValueRange values, Value index);
SmallVector<Value> peekAll(OpBuilder &builder, Location loc, ValueRange stacks,
                           TypeRange types, Value index);

/// Operations of a block in which a scalar may be alive for too long.
inline constexpr size_t kLongBlock = 1024;

/// Moves what a long block computes for the `pushed` stacks alone, and the
/// pushes, to where the values are that they need: few values are alive at once
/// then. Only of scalars; operations on arrays stay side by side, for fusion.
void pushEarly(Block &block, ValueRange pushed);

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_STACKS_H
