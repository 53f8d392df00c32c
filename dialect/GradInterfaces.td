//===- GradInterfaces.td - What the passes ask of an op --------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Differentiation is linearize + transpose (Radul et al., "You Only Linearize
// Once", POPL 2023). A non-linear op states its tangent rule, a structurally
// linear op states its transpose rule; both passes see only these interfaces.
// Mapping a function over an axis (`grad.vmap`) asks for a batching rule.
//
//===----------------------------------------------------------------------===//

#ifndef GRAD_INTERFACES_TD
#define GRAD_INTERFACES_TD

include "mlir/IR/OpBase.td"

/// An op whose results have no tangents: no derivative follows them.
def Grad_LocallyConstant : NativeOpTrait<"LocallyConstant"> {
  let cppNamespace = "::mlir::OpTrait::grad";
}

def LinearizeOpInterface : OpInterface<"LinearizeOpInterface"> {
  let cppNamespace = "::mlir::grad";
  let description = [{
    An op with a tangent rule. The ops that a rule creates from a tangent must
    be linear in it (`TransposeOpInterface`).
  }];
  let methods = [
    InterfaceMethod<[{
        Sets the tangents of the results from those of the operands, of which
        at least one is not a symbolic zero. The op itself is the primal code; a
        rule may put another op in its place.
      }],
      "::llvm::LogicalResult", "linearize",
      (ins "::mlir::grad::LinearizeContext &":$context)>
  ];
}

def TransposeOpInterface : OpInterface<"TransposeOpInterface"> {
  let cppNamespace = "::mlir::grad";
  let description = [{
    An op that is linear in some of its operands, jointly. The transpose maps
    the cotangents of the results to those of the linear operands.
  }];
  let methods = [
    InterfaceMethod<[{
        Adds to the cotangents of the linear operands what the cotangents of
        the results contribute; not all of these are symbolic zeros. Fails
        where the op is not linear in the operands that the context calls so,
        or for a reason that it reports in the context.
      }],
      "::llvm::LogicalResult", "transpose",
      (ins "::mlir::grad::TransposeContext &":$context)>
  ];
}

def BatchOpInterface : OpInterface<"BatchOpInterface"> {
  let cppNamespace = "::mlir::grad";
  let description = [{
    An op with a batching rule: what computes its results for many operands at
    once. Batched values have one more dimension, the first. Elementwise ops
    (`ElementwiseOpInterface`) need no rule.
  }];
  let methods = [
    InterfaceMethod<[{
        Creates the batched form of the op, of which at least one operand is
        batched, and says in the context what its results became.
      }],
      "::llvm::LogicalResult", "batch",
      (ins "::mlir::grad::BatchContext &":$context)>
  ];
}

def TangentTypeInterface : TypeInterface<"TangentTypeInterface"> {
  let cppNamespace = "::mlir::grad";
  let description = [{
    A type whose values may have tangents, which form a vector space. Attached
    to types of other dialects, too; where the answer depends on the type's
    parameters, `getTangentType` gives it.
  }];
  let methods = [
    InterfaceMethod<"The type of tangents and cotangents; null where values have none.",
      "::mlir::Type", "getTangentType">,
    InterfaceMethod<"The zero of the tangent type.",
      "::mlir::Value", "createZero",
      (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc)>,
    InterfaceMethod<"The sum of two tangents.",
      "::mlir::Value", "createSum",
      (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc,
           "::mlir::Value":$lhs, "::mlir::Value":$rhs)>
  ];
}

def ElementwiseOpInterface : OpInterface<"ElementwiseOpInterface"> {
  let cppNamespace = "::mlir::grad";
  let description = [{
    All operands and the result have one shape; element i of the result is a
    scalar function of the elements i of the operands.
  }];
  let methods = [
    InterfaceMethod<[{
        The scalar computation in `arith` and `math`, on the elements of the
        operands. Integer and bool forms follow the operand types. Integers have
        no sign there; `areUnsigned` says how to take those of the operands.
      }],
      "::mlir::Value", "emitScalar",
      (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc,
           "::mlir::ValueRange":$scalars, "bool":$areUnsigned)>
  ];
}

#endif // GRAD_INTERFACES_TD
