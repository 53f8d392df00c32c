//===- Models.h - Rules of ops of other dialects ----------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An op of another dialect gets a rule by a model of the rule's interface, made
// of a function: `Op::attachInterface<Linearize<Op, rule>>(context)`.
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_DIALECT_MODELS_H
#define GRADOPT_DIALECT_MODELS_H

#include "dialect/GradDialect.h"

namespace mlir::grad {

template <typename Op, auto rule>
struct Linearize
    : LinearizeOpInterface::ExternalModel<Linearize<Op, rule>, Op> {
  LogicalResult linearize(Operation *op, LinearizeContext &context) const {
    return rule(cast<Op>(op), context);
  }
};

template <typename Op, auto rule>
struct Transpose
    : TransposeOpInterface::ExternalModel<Transpose<Op, rule>, Op> {
  LogicalResult transpose(Operation *op, TransposeContext &context) const {
    return rule(cast<Op>(op), context);
  }
};

template <typename Op, auto rule>
struct Batch : BatchOpInterface::ExternalModel<Batch<Op, rule>, Op> {
  LogicalResult batch(Operation *op, BatchContext &context) const {
    return rule(cast<Op>(op), context);
  }
};

// What `registerGradDialect` registers.
void registerBatchingModels(DialectRegistry &registry);
void registerControlFlowModels(DialectRegistry &registry);
void registerElementwiseModels(DialectRegistry &registry);
void registerLinalgModels(DialectRegistry &registry);
void registerTensorModels(DialectRegistry &registry);

} // namespace mlir::grad

#endif // GRADOPT_DIALECT_MODELS_H
