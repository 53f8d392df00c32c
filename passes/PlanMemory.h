//===- PlanMemory.h - Parts of grad-plan-memory -----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_PLANMEMORY_H
#define GRADOPT_PASSES_PLANMEMORY_H

#include "passes/BufferLiveness.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace mlir::grad {

/// Whether `op` allocates memory that is to be planned, which that of a block
/// of threads is not.
inline bool isAllocation(Operation *op) {
  return isa<memref::AllocOp, memref::AllocaOp>(op) &&
         !gpu::GPUDialect::hasWorkgroupMemoryAddressSpace(
             cast<MemRefType>(op->getResult(0).getType()));
}

/// The alignment in bytes that the allocation `op` asks for; 1 if none.
int64_t getAlignment(Operation *op);

/// Whether `op` reads the buffer `from` only at the element that the same
/// iteration writes to the buffer `to`, so that the two may share memory.
bool isElementwiseUpdate(Operation *op, Value from, Value to);

/// Moves allocations into the buffers that they are copied to or that are
/// computed from them. Returns the number of allocations saved.
unsigned forwardBuffers(func::FuncOp func, bool inPlace);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_PLANMEMORY_H
