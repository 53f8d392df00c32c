//===- GradDialect.h - The grad dialect -------------------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_GRADDIALECT_H
#define GRADOPT_DIALECT_GRADDIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialect/RuleContexts.h"

#include "dialect/GradDialect.h.inc"
#include "dialect/GradInterfaces.h.inc"
#include "dialect/GradTypeInterfaces.h.inc"

namespace mlir::OpTrait::grad {

/// An op whose results have no tangents, whatever its operands have.
template <typename ConcreteOp>
class LocallyConstant : public TraitBase<ConcreteOp, LocallyConstant> {};

} // namespace mlir::OpTrait::grad

#define GET_OP_CLASSES
#include "dialect/GradOps.h.inc"

namespace mlir::grad {

/// Registers the dialect, and its interfaces for ops of other dialects.
void registerGradDialect(DialectRegistry &registry);

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_GRADDIALECT_H
