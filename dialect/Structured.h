//===- Structured.h - Ops with a body of scalar code ------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_STRUCTURED_H
#define GRADOPT_DIALECT_STRUCTURED_H

#include "dialect/RuleContexts.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::grad {

/// What the body of `op` sees of an operand; null if it sees nothing.
BlockArgument findArgument(linalg::LinalgOp op, OpOperand &operand);

bool isReduction(linalg::LinalgOp op);

/// Whether what the body yields for `result` is computed from what it was
/// before by ops that use nothing else of it. With `isStrict`, these are
/// additions and subtractions.
bool isSum(linalg::LinalgOp op, unsigned result, bool isStrict);

/// Puts an op of linalg that is differentiated in terms of others if its rules
/// do not cover it; whether that was so.
bool decompose(Operation *op, function_ref<bool(Value)> isActive);

/// The results of `op` with what its indexing maps do not reach taken from the
/// inits, as the op means it; upstream's bufferization takes an init that the
/// body does not use for one without contents. Null if they reach everything,
/// or shapes are not static.
std::optional<SmallVector<Value>> keepUnreached(OpBuilder &builder,
                                                linalg::LinalgOp op);

/// What `op`, whose shapes are static, computes, element by element: also where
/// the padding depends on the position, and where numbers are negative, so that
/// elements are left out.
Value padByElement(OpBuilder &builder, tensor::PadOp op);

LogicalResult batchStructured(linalg::LinalgOp op, BatchContext &context);

/// A `linalg.generic` that is being written. Arguments of the body are elements
/// of the inputs, then of the inits; the body may be written at any time.
class Draft {
public:
  /// Over the iterations of another op.
  explicit Draft(linalg::LinalgOp like);

  BlockArgument addInput(Value value, AffineMap map);
  BlockArgument addInit(Value value, AffineMap map);

  /// Creates the op, without dead code and without inputs that the body does
  /// not use, unless one says how far a dimension goes.
  linalg::GenericOp create(OpBuilder &builder, Location loc);

  SmallVector<utils::IteratorType> iterators;
  std::unique_ptr<Block> body;

private:
  static bool determinesShape(ArrayRef<AffineMap> maps, MLIRContext *context);

  SmallVector<Value> inputs, inits;
  SmallVector<AffineMap> maps;
};

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_STRUCTURED_H
