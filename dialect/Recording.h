//===- Recording.h - Loops that keep some of their states -------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a loop that is run again for its residuals (Replay.cpp) keeps of the
// first run: of some iterations, the values that it carries into them.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_RECORDING_H
#define GRADOPT_DIALECT_RECORDING_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

namespace mlir::grad {

/// Arithmetic on index values.
class IndexMath {
public:
  IndexMath(OpBuilder &builder, Location loc) : builder(builder), loc(loc) {}

  Value constant(int64_t number) {
    return arith::ConstantIndexOp::create(builder, loc, number);
  }
  template <typename Op> Value apply(Value a, Value b) {
    return Op::create(builder, loc, a, b);
  }
  Value add(Value a, Value b) { return apply<arith::AddIOp>(a, b); }
  Value sub(Value a, Value b) { return apply<arith::SubIOp>(a, b); }
  Value mul(Value a, Value b) { return apply<arith::MulIOp>(a, b); }
  Value div(Value a, Value b) { return apply<arith::DivUIOp>(a, b); }
  Value rem(Value a, Value b) { return apply<arith::RemUIOp>(a, b); }
  Value min(Value a, Value b) { return apply<arith::MinUIOp>(a, b); }
  Value max(Value a, Value b) { return apply<arith::MaxUIOp>(a, b); }
  Value ceilDiv(Value a, Value b) {
    return div(add(a, sub(b, constant(1))), b);
  }
  Value less(Value a, Value b) {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, a, b);
  }

private:
  OpBuilder &builder;
  Location loc;
};

/// The body of a loop: a block of its own, whose arguments are the number of
/// the iteration, an index, and what the loop carries.
using Body = std::unique_ptr<Block>;

/// A primal loop that keeps some of its states.
struct Recording {
  SmallVector<Value> results; ///< Those of the loop whose place it takes.
  Value trips;                ///< How many iterations it had, an index.
  /// How many iterations there are from a state to the next; null if only the
  /// initial state is kept.
  Value segment;
  SmallVector<Value> states; ///< A stack for each value of a state.
};

/// How the memory of a loop is bounded.
struct Plan {
  int64_t states = 0; ///< How many are kept, by each level; 0 as below.
  int64_t levels = 0; ///< Of parts of a segment.
  int64_t length = 0; ///< Iterations in a block; 0 until that is chosen.
  Value block;        ///< The constant that holds the length.
  Attribute policy;   ///< The policy of long loops in a segment, if any.

  /// How many iterations a segment has at most, of so many in all.
  std::optional<int64_t> boundSegment(std::optional<int64_t> trips) const {
    if (!trips || !length || states == 1)
      return trips;
    return llvm::divideCeil(llvm::divideCeil(*trips, length), states) * length;
  }
};

/// The body of the loop, which is left without one.
Body takeBody(scf::ForOp op);
Body takeBody(scf::WhileOp op);

/// Moves all ops of `body` into the loop, which has none: `arguments`, of the
/// body, become what the loop carries.
void moveBody(Block &body, ValueRange arguments, scf::ForOp loop);

/// How many iterations the loop has, an index.
Value countTrips(OpBuilder &builder, scf::ForOp op);

/// Copies the ops of the body; returns what it yields.
SmallVector<Value> cloneBody(Block &body, OpBuilder &builder, Value number,
                             ValueRange carried);

/// The values at the positions of `which`.
SmallVector<Value> pick(ValueRange values, ArrayRef<unsigned> which);

/// A loop from `begin` to `end` in steps of one, whose block is empty.
scf::ForOp createLoop(OpBuilder &builder, Location loc, Value begin, Value end,
                      ValueRange inits);

/// A loop that carries (state..., whether to go on, more...), and passes on all
/// but the second. It goes on while `limit` allows it, too, if that is given.
scf::WhileOp createWhile(
    OpBuilder &builder, Location loc, unsigned states, ValueRange inits,
    function_ref<Value(ValueRange more)> limit,
    function_ref<SmallVector<Value>(ValueRange state, ValueRange more)> step);

/// Notes what is known of a loop in a segment.
void describeInner(scf::ForOp loop, std::optional<int64_t> trips,
                   const Plan &plan);

/// The same of a loop over segments.
void describeOuter(scf::ForOp loop, const Plan &plan);

/// Runs the iterations from `begin` to `end`, at most `trips`, and keeps the
/// state at the start of each segment: of what is carried, the values at
/// `kept`.
Recording record(OpBuilder &builder, Location loc, Block &body,
                 const Plan &plan, Value begin, Value end, ValueRange inits,
                 ArrayRef<unsigned> kept, std::optional<int64_t> trips);

/// The same for all iterations of `op`, of which `body` is the body.
Recording record(scf::ForOp op, Block &body, ArrayRef<unsigned> kept,
                 const Plan &plan, std::optional<int64_t> trips);
Recording record(scf::WhileOp op, Block &body, ArrayRef<unsigned> kept,
                 const Plan &plan, std::optional<int64_t> trips);

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_RECORDING_H
