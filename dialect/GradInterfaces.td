//===- GradInterfaces.td - What differentiation asks of an op --*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Differentiation is linearize + transpose (Radul et al., "You Only Linearize
// Once", POPL 2023). A non-linear op states its tangent rule, a structurally
// linear op states its transpose rule; both passes see only these interfaces.
//
//===----------------------------------------------------------------------===//

#ifndef GRAD_INTERFACES_TD
#define GRAD_INTERFACES_TD

include "mlir/IR/OpBase.td"

def LinearizeOpInterface : OpInterface<"LinearizeOpInterface"> {
  let cppNamespace = "::mlir::grad";
  let description = [{
    An op with a tangent rule. A null `Value` is a symbolic zero, on the way
    in and on the way out. The ops that a rule creates from a tangent must be
    linear in it (`TransposeOpInterface`).
  }];
  let methods = [
    InterfaceMethod<[{
        Append one tangent for each result. `tangents` has one entry for each
        operand; at least one is not null. The builder stands after the op.
      }],
      "::llvm::LogicalResult", "linearize",
      (ins "::mlir::OpBuilder &":$builder,
           "::llvm::ArrayRef<::mlir::Value>":$tangents,
           "::llvm::SmallVectorImpl<::mlir::Value> &":$results)>
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
        Set `cotangents[i]` for each operand with `linear[i]`; null stands for
        a symbolic zero. `resultCotangents` has one entry for each result, not
        all null. Fails where the op is not linear in the marked operands.
      }],
      "::llvm::LogicalResult", "transpose",
      (ins "::mlir::OpBuilder &":$builder,
           "::llvm::ArrayRef<bool>":$linear,
           "::llvm::ArrayRef<::mlir::Value>":$resultCotangents,
           "::llvm::MutableArrayRef<::mlir::Value>":$cotangents)>
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
        operands. Integer and bool forms follow the operand types.
      }],
      "::mlir::Value", "emitScalar",
      (ins "::mlir::OpBuilder &":$builder, "::mlir::Location":$loc,
           "::mlir::ValueRange":$scalars)>
  ];
}

#endif // GRAD_INTERFACES_TD
