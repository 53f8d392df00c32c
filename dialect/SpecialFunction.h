//===- SpecialFunction.h - What is asked of special functions ---*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_SPECIALFUNCTION_H
#define GRADOPT_DIALECT_SPECIALFUNCTION_H

#include "mlir/IR/OpDefinition.h"

namespace mlir::OpTrait::grad {

/// An op that a function of its name in the library of special functions
/// computes.
template <typename ConcreteOp>
class SpecialFunction : public TraitBase<ConcreteOp, SpecialFunction> {};

} // namespace mlir::OpTrait::grad

namespace mlir::grad {

/// Whether an op is a special function.
inline bool isSpecialFunction(Operation *op) {
  return op->hasTrait<OpTrait::grad::SpecialFunction>();
}

/// Adds the ops of GradSpecial.td to the dialect.
void addSpecialFunctions(Dialect &dialect);

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_SPECIALFUNCTION_H
