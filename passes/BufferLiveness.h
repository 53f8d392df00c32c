//===- BufferLiveness.h - Where a buffer is live ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
///
/// \file
/// Lifetimes of buffers in a structured function on memrefs: every operation
/// gets the range of numbers that it and its regions occupy in program order,
/// and a buffer is live over the ranges of all operations that access it.
///
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_BUFFERLIVENESS_H
#define GRADOPT_PASSES_BUFFERLIVENESS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SetVector.h"

namespace mlir::grad {

/// A closed range of operation numbers.
struct Lifetime {
  unsigned begin = 0;
  unsigned end = 0;

  bool overlaps(const Lifetime &other) const {
    return begin <= other.end && other.begin <= end;
  }
};

/// Numbers the operations of a function and answers questions on buffers. Valid
/// as long as no operation is inserted; erasing operations is fine.
class BufferLiveness {
public:
  explicit BufferLiveness(func::FuncOp func);

  /// The numbers that `op` and everything nested in it occupy; an operation in
  /// the body of a linalg operation has the number of the latter.
  Lifetime range(Operation *op) const;

  /// When the buffer allocated by `alloc` holds data that somebody may read. A
  /// buffer of a loop body is live within one iteration; one from outside a
  /// loop, accessed inside, is live during the whole loop. Fails, with a
  /// diagnostic, where the buffer outlives one iteration of the loop or the
  /// function.
  FailureOr<Lifetime> lifetime(Operation *alloc) const;

private:
  llvm::DenseMap<Operation *, Lifetime> ranges;
};

/// All values that may refer to the memory of `buffer`, itself included.
llvm::SetVector<Value> collectAliases(Value buffer);

/// Whether `op` makes something of a buffer, such as an address, by which
/// others may access its memory unseen.
bool takesAddress(Operation *op);

/// The operations that may read or write memory through one of `aliases`.
/// Deallocations and mere views are not among them.
llvm::SetVector<Operation *>
collectAccesses(const llvm::SetVector<Value> &aliases);

/// Whether `op` may write memory through one of `aliases`.
bool mayWrite(Operation *op, const llvm::SetVector<Value> &aliases);

/// The buffer that `value` shows completely and in row-major order: looks
/// through reshapes and casts between static shapes without a layout.
Value getFullyViewedBuffer(Value value);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_BUFFERLIVENESS_H
