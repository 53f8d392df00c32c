//===- Lanes.h - Values of the threads of a warp ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How the threads of a GPU put together what each has found. All of a warp get
// there together. The order in which values are combined does not depend on
// when a thread gets there: results repeat to the bit.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_LANES_H
#define GRADOPT_PASSES_LANES_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace mlir::grad {

inline constexpr int64_t kWarp = 32;

/// Whether `op` combines two values that may be in any order, and three in
/// any grouping, but for the rounding of floats.
bool isCombiner(Operation *op);

/// What changes nothing when a combiner combines it with a value, a constant.
Value createNeutral(OpBuilder &builder, Location loc, Operation *combiner,
                    Type type);

/// Another op that combines these values as `combiner` does.
Value combine(OpBuilder &builder, Operation *combiner, Value a, Value b);

/// What another lane of the warp has: `lane` XOR `operand` in the mode XOR,
/// `lane` - `operand` in the mode UP (undefined if there is none), lane
/// `operand` in the mode IDX.
Value shuffle(OpBuilder &builder, Location loc, Value value,
              gpu::ShuffleMode mode, int32_t operand);

/// What groups of `count` neighbours, a power of two up to 32, have together.
/// Each gets it, to the same bits.
Value combineNeighbours(OpBuilder &builder, Operation *combiner, Value value,
                        int64_t count);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_LANES_H
