//===- Differentiation.h - Steps of differentiation -------------*- C++ -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_DIFFERENTIATION_H
#define GRADOPT_PASSES_DIFFERENTIATION_H

#include "dialect/GradDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace mlir::grad {

/// Whether the op asks for a function made of its callee.
inline bool isRequest(Operation *op) { return isa<VjpOp, JvpOp, VmapOp>(op); }

/// Replaces a `grad.vjp` or `grad.jvp` by the linearized body of its callee,
/// which must be free of requests, calls and `grad.transposed`.
LogicalResult linearizeRequest(Operation *request);

/// Replaces each `grad.transposed` in `root` by the transpose of its region,
/// outer ones first: what is transposed twice is not transposed at all.
LogicalResult transposeLinear(Operation *root);

/// Replaces `op` by the batched body of its callee, which must be free of
/// requests, calls and `grad.transposed`.
LogicalResult batchRequest(VmapOp op);

/// Lets f32 calculate where `function` says f16 or bf16.
void widenFloats(func::FuncOp function);

/// Whether `function` has no request and no `grad.transposed` left to expand.
bool isExpanded(func::FuncOp function);

/// Replaces each call in `function` by the body of its callee.
LogicalResult inlineCalls(func::FuncOp function);

/// Replaces each func.call in `function`, a copy of the callee of `request`, by
/// the body of its callee, if that has one block that returns.
LogicalResult inlineForeignCalls(func::FuncOp function, Operation *request);

/// The functions that a call, a request or a `grad.custom` names.
SmallVector<FlatSymbolRefAttr> getCallees(Operation *op);

/// The function that a call or request names, or that `op` names by `symbol`;
/// reports one that has no body of a single block that returns.
FailureOr<func::FuncOp> getCallee(Operation *op);
FailureOr<func::FuncOp> getCallee(Operation *op, FlatSymbolRefAttr symbol);

/// Calls `visit` on each function with a body, callees first. Recursion is an
/// error at the call that closes the cycle.
LogicalResult
walkCalleesFirst(ModuleOp module,
                 llvm::function_ref<LogicalResult(func::FuncOp)> visit);

/// Erases private functions that nothing refers to.
void eraseDeadFunctions(ModuleOp module);

} // namespace mlir::grad

#endif // GRADOPT_PASSES_DIFFERENTIATION_H
