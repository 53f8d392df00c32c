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
// needs of the primal one are the *residuals*, which get there in a step of
// their own (StoreResiduals.h). The linear loop carries tangents alone. After
// that step, all coefficients in it depend on the number of the iteration and
// on values from outside, so that the transpose can run it backwards.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_CONTROLFLOW_H
#define GRADOPT_DIALECT_CONTROLFLOW_H

#include "dialect/RuleContexts.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace mlir::grad {

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
