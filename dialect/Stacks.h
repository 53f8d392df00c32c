//===- Stacks.h - Arrays of what loops leave behind -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A stack is a tensor of one dimension more than the values in it, which may be
// scalars, too. A loop carries it and writes to it in place.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_STACKS_H
#define GRADOPT_DIALECT_STACKS_H

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

/// `stack` with `value` in place `index`.
Value createPush(OpBuilder &builder, Location loc, Value stack, Value value,
                 Value index);

/// The value of `type` in place `index` of `stack`.
Value createPeek(OpBuilder &builder, Location loc, Value stack, Type type,
                 Value index);

// The same for several values at once.
SmallVector<Value> createStacks(OpBuilder &builder, Location loc,
                                ValueRange values, int64_t length);
SmallVector<Value> pushAll(OpBuilder &builder, Location loc, ValueRange stacks,
                           ValueRange values, Value index);
SmallVector<Value> peekAll(OpBuilder &builder, Location loc, ValueRange stacks,
                           TypeRange types, Value index);

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_STACKS_H
