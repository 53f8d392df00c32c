//===- ConvertGradToLinalg.h - Lowering grad ops, shared parts --*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `convert-grad-to-linalg` is one walk over the function in program order, so
// that a pattern sees its operands already lowered. The patterns come in
// groups, one file each.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_CONVERTGRADTOLINALG_H
#define GRADOPT_PASSES_CONVERTGRADTOLINALG_H

#include "dialect/GradDialect.h"
#include "dialect/Rules.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Complex/IR/Complex.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/ADT/SmallVectorExtras.h"

namespace mlir::grad {

/// Elementwise ops, constants, changes of shape.
void populateElementwiseToLinalg(RewritePatternSet &patterns);
/// Reductions and cumulative sums.
void populateReductionsToLinalg(RewritePatternSet &patterns);
/// Products of tensors; for a GPU, of narrow floats as such.
void populateProductsToLinalg(RewritePatternSet &patterns, bool forDevice);
/// Convolutions; for a GPU, each as one nest.
void populateConvolutionToLinalg(RewritePatternSet &patterns, bool forDevice);
/// Slices, pad, concatenate, reverse, gather, scatter.
void populateIndexingToLinalg(RewritePatternSet &patterns);
/// Before the walk: which positions of slices are within bounds, whatever the
/// program is called with.
void notePositionsWithin(Operation *root);
/// Random bits.
void populateRandomToLinalg(RewritePatternSet &patterns);
/// Factorisations of matrices.
void populateFactorizationsToLinalg(RewritePatternSet &patterns);
/// Sorting; for a GPU, by a network.
void populateSortingToLinalg(RewritePatternSet &patterns, bool forDevice);
/// Products with sparse matrices; for a GPU, element by element.
void populateSparseToLinalg(RewritePatternSet &patterns, bool forDevice);
/// Fourier transforms.
/// Of Cholesky factorizations that a library for devices may do, which writes
/// one triangle only: zeros in the other one, and NaN where there is no factor.
void finishFactors(Operation *root);
void populateFourierToLinalg(RewritePatternSet &patterns);
/// Transforms with factors, or of real numbers in the other direction than
/// usual => those without, which libraries for devices have, and elementwise
/// ops.
void separateTransforms(Operation *root);
/// Calls of foreign code.
void populateForeignCallsToLinalg(RewritePatternSet &patterns);
/// Ops of other dialects that later passes do not take as they are.
void populateUpstreamToLinalg(RewritePatternSet &patterns);

/// What a lowered value reads: every element is `scalar`, or element `i` is
/// element `map(i)` of `source`.
struct View {
  Value source;
  AffineMap map;
  Value scalar;
};

/// Looks from `value` through broadcasts, transposes and fills, so that these
/// need not exist in memory. With `permutationsOnly`, through transposes only.
View lookThrough(OpBuilder &builder, Value value,
                 bool permutationsOnly = false);

/// An operand in its memory order: dimension `d` of the operand is dimension
/// `position[d]` of `source`.
struct MemoryOrder {
  MemoryOrder(OpBuilder &builder, Value x);
  SmallVector<int64_t> of(ArrayRef<int64_t> dims) const {
    return llvm::map_to_vector(dims, [&](int64_t d) { return position[d]; });
  }
  int64_t rank() const { return position.size(); }

  Value source;
  SmallVector<int64_t> position;
};

/// The sum and the product of two numbers of one type; `flags` are for floats,
/// and parts of complex numbers.
Value addNumbers(OpBuilder &builder, Location loc, Value lhs, Value rhs,
                 arith::FastMathFlags flags = arith::FastMathFlags::none);
Value multiplyNumbers(OpBuilder &builder, Location loc, Value lhs, Value rhs,
                      arith::FastMathFlags flags = arith::FastMathFlags::none);

/// A number as a constant, of a type of elements.
Value numberOf(OpBuilder &builder, Location loc, Type element, double number);

/// The body of a sum of products: elements 0 and 1 multiplied, added to 2.
void multiplyAdd(OpBuilder &builder, Location loc, ValueRange elements);

/// An uninitialised tensor of `type`, which is static.
Value emptyLike(OpBuilder &builder, Location loc, Type type);

/// A tensor of `type` with all elements `scalar`.
Value filled(OpBuilder &builder, Location loc, Type type, Value scalar);
Value filled(OpBuilder &builder, Location loc, Type type, double number);

/// `count` parallel iterators, those in `reduced` turned into reductions.
SmallVector<utils::IteratorType> iterators(int64_t count,
                                           ArrayRef<int64_t> reduced = {});

/// The projection of `rank` dimensions to `dims`, in that order.
AffineMap projection(MLIRContext *context, int64_t rank,
                     ArrayRef<int64_t> dims);

/// The dimensions `0 .. rank-1` that are not in `dims`.
SmallVector<int64_t> complement(int64_t rank, ArrayRef<int64_t> dims);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_CONVERTGRADTOLINALG_H
