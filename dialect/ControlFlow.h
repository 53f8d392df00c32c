//===- ControlFlow.h - Derivatives of upstream loops and branches -*- C++
//-*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The rules of `scf.for`, `scf.while`, `scf.if` and `scf.index_switch`, which
// are models of the interfaces of this dialect.
//
// In forward mode a loop or branch carries tangents beside the primal values.
// In reverse mode the linear part is a loop or branch of its own, and what it
// needs of the primal one are results of that: the *residuals*. The linear loop
// carries tangents alone. All coefficients in it depend on the number of the
// iteration and on values from outside, so that the transpose can run it
// backwards.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_CONTROLFLOW_H
#define GRADOPT_DIALECT_CONTROLFLOW_H

#include "dialect/RuleContexts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace mlir::grad {

class Restorer;

/// The attribute that says what is kept for a derivative in reverse mode. Of a
/// loop: residuals of "all" iterations, or states, as many as it says or
/// "none", "sqrt" or "binomial" (the square root or logarithm of the
/// iterations). Of an scf.execute_region: "nothing", "everything" that is
/// needed, or the results of matrix products that the derivative needs or
/// depends on ("dots", "dots_with_no_batch_dims"); the rest is computed again.
constexpr llvm::StringLiteral kCheckpoint = "grad.checkpoint";
/// Of a loop that comes of another one's policy: the state of each iteration is
/// kept, and each iteration computed again.
constexpr llvm::StringLiteral kEach = "each";

// Tangent rules.
LogicalResult linearizeFor(scf::ForOp op, LinearizeContext &context);
LogicalResult linearizeWhile(scf::WhileOp op, LinearizeContext &context);
/// `op` is an scf.if, an scf.index_switch or an scf.execute_region without a
/// policy.
LogicalResult linearizeBranch(Operation *op, LinearizeContext &context);
LogicalResult linearizeRegion(scf::ExecuteRegionOp op,
                              LinearizeContext &context);
/// What small branches become.
LogicalResult linearizeSelect(arith::SelectOp op, LinearizeContext &context);

/// In reverse mode, where residuals are not kept (Replay.cpp). The carried
/// values at `active` have tangents. The loop with a condition is rotated.
LogicalResult replayFor(scf::ForOp op, ArrayRef<unsigned> active,
                        LinearizeContext &context);
LogicalResult replayWhile(scf::WhileOp op, ArrayRef<unsigned> active,
                          LinearizeContext &context);

/// In reverse mode, where residuals of all iterations are kept: of at most
/// `length`, or if that is 0, of as many as there turn out to be, on tapes
/// (Stacks.h). Returns the primal loop.
FailureOr<scf::ForOp> linearizeKept(scf::ForOp op, ArrayRef<unsigned> active,
                                    int64_t length, LinearizeContext &context);
/// The same of a loop with a condition, which is rotated (Tapes.cpp).
LogicalResult linearizeOnTapes(scf::WhileOp op, ArrayRef<unsigned> active,
                               LinearizeContext &context);
/// Whether a loop without a known bound keeps residuals of all iterations.
bool keepsTapes(Operation *loop);

/// Evaluates the condition of each loop in `root` with a condition at the end
/// of the body, and once before the loop: the condition is carried, last, and
/// the region before the body passes on the rest.
void rotateWhileLoops(Operation *root);

// Transpose rules.
LogicalResult transposeFor(scf::ForOp op, TransposeContext &context);
/// `op` is an scf.if, an scf.index_switch or an scf.execute_region.
LogicalResult transposeBranch(Operation *op, TransposeContext &context);
LogicalResult transposeSelect(arith::SelectOp op, TransposeContext &context);

// Batching rules.
LogicalResult batchFor(scf::ForOp op, BatchContext &context);
LogicalResult batchWhile(scf::WhileOp op, BatchContext &context);
/// `op` is an scf.if, an scf.index_switch or an scf.execute_region.
LogicalResult batchBranch(Operation *op, BatchContext &context);
LogicalResult batchSelect(arith::SelectOp op, BatchContext &context);

/// An op like the branch `op`, with the same condition and empty blocks.
Operation *createBranchLike(OpBuilder &builder, Operation *op,
                            TypeRange results);

/// Replaces the branch by one with more results, at first undefined ones: each
/// block yields what `yields` says for it.
Operation *yieldMore(Operation *op, ArrayRef<SmallVector<Value>> yields);

/// Replaces `op`, a linear branch without results, by one with results of
/// `types`, which its blocks are to yield.
Operation *takeBranch(Operation *op, TypeRange types);

/// The tangents of what the op uses: linear code that uses none of them
/// computes nothing but zeros.
DenseSet<Value> findTangentsUsed(Operation *op,
                                 const LinearizeContext &context);

/// Lets what is computed in `block`, which is to hold the transpose of `op`,
/// wait for cotangents if `op` is a checkpointed region.
void delayCoefficients(Operation *op, Block &block, TransposeContext &context);

/// Makes a checkpointed region of the body of each loop that asks for it.
void checkpointIterations(Operation *root);

/// Replaces checkpointed regions by their ops.
void inlineCheckpoints(Operation *root);

/// The tangent of a value, or the cotangent; zeros for a symbolic zero.
Value orZeros(Value tangent, OpBuilder &builder, Value primal);

/// The values of the induction variable in reverse order: what to subtract each
/// one from.
Value createMirror(OpBuilder &builder, scf::ForOp op);

/// Stores what linear code needs of the body of a loop: one stack of `length`
/// places for each value, or a tape if that is 0. `linear` is the block for the
/// iteration in which the induction variable is `number`, and `restorer` has
/// written code to it. Returns the primal loop that does so.
FailureOr<scf::ForOp> stackResiduals(scf::ForOp primal, Block &linear,
                                     Value number, int64_t length,
                                     const Restorer &restorer,
                                     LinearizeContext &context);

/// Lets the linear branch use what the primal one computes; `restorers` have
/// written code to its blocks. Returns the primal branch that yields it.
FailureOr<Operation *> yieldResiduals(Operation *primal, Operation *linear,
                                      ArrayRef<Restorer> restorers,
                                      LinearizeContext &context);

/// The number of the iteration in which the induction variable of `loop` is
/// `number`, counted from 0: an index.
Value createNumber(OpBuilder &builder, scf::ForOp loop, Value number);

/// The value of which the loop makes a stack in the carried value `argument`;
/// null if it makes none.
Value findPushed(scf::ForOp loop, BlockArgument argument);

/// Replaces the loop by one that carries `inits`, too. The body gets arguments
/// for them; its terminator is left as it is.
scf::ForOp carryMore(scf::ForOp op, ValueRange inits);

/// A bound on the number of iterations: the number, if it is constant, or what
/// was noted when the loop was made.
std::optional<int64_t> getMaxTripCount(scf::ForOp op);
void setMaxTripCount(scf::ForOp op, int64_t count);

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_CONTROLFLOW_H
