//===- GradElementwiseBase.td - Classes of elementwise ops -----*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the records of GradElementwise.td and GradSpecial.td are made of.
//
//===----------------------------------------------------------------------===//

#ifndef GRAD_ELEMENTWISE_BASE_TD
#define GRAD_ELEMENTWISE_BASE_TD

include "GradDialect.td"
include "GradInterfaces.td"

class Grad_Op<string mnemonic, list<Trait> traits = []>
    : Op<Grad_Dialect, mnemonic, !listconcat([Pure], traits)>;

class Grad_ElementwiseBase<string mnemonic, list<string> names, string scalar,
                           list<Trait> traits>
    : Grad_Op<mnemonic,
              !listconcat([DeclareOpInterfaceMethods<ElementwiseOpInterface>], traits)> {
  list<string> operandNames = names;
  string scalarDeclaration = [{
    /// The scalar computation, which needs no op.
    static ::mlir::Value createScalar(::mlir::OpBuilder &builder,
                                      ::mlir::Location loc,
                                      ::mlir::ValueRange scalars,
                                      bool areUnsigned = false);
  }];
  string scalarDefinition = [{
    ::mlir::Value $cppClass::createScalar(::mlir::OpBuilder &builder,
                                          ::mlir::Location loc,
                                          ::mlir::ValueRange scalars,
                                          bool areUnsigned) {
      [[maybe_unused]] Scalar s{builder, loc, scalars, areUnsigned};
      return }] # scalar # [{;
    }
    ::mlir::Value $cppClass::emitScalar(::mlir::OpBuilder &builder,
                                        ::mlir::Location loc,
                                        ::mlir::ValueRange scalars,
                                        bool areUnsigned) {
      return createScalar(builder, loc, scalars, areUnsigned);
    }
  }];
  let extraClassDeclaration = scalarDeclaration;
  let extraClassDefinition = scalarDefinition;
}

/// An elementwise op with partial derivatives, one for each operand.
class Grad_DifferentiableOp<string mnemonic, list<string> names, string scalar,
                            list<string> partials, list<Trait> traits>
    : Grad_ElementwiseBase<mnemonic, names, scalar,
        !listconcat([SameOperandsAndResultType,
                     DeclareOpInterfaceMethods<LinearizeOpInterface>],
                    !if(!eq(!interleave(partials, ","), "zero"),
                        [Grad_LocallyConstant], []), traits)> {
  assert !eq(!size(names), !size(partials)),
         "grad." # mnemonic # " needs one partial for each operand";
  let description = "Partial derivative in " # !interleave(
      !foreach(i, !range(!size(names)), names[i] # ": `" # partials[i] # "`"),
      "; in ") # ".";
  let results = (outs Grad_SizedTensor:$result);
  let extraClassDeclaration = scalarDeclaration # [{
    /// Sets the tangent of the result of an op that computes the same function
    /// of its operands: this one, or one of another dialect.
    static void setTangentLike(::mlir::Operation *op, LinearizeContext &context);
  }];
  let extraClassDefinition = scalarDefinition # [{
    void $cppClass::setTangentLike(::mlir::Operation *op,
                                   LinearizeContext &context) {
      ExprBuilder e{context.primal, op->getLoc()};
      [[maybe_unused]] const Expr zero(0.0);
      [[maybe_unused]] Expr y = e.useResult(op);
      }] # !interleave(!foreach(i, !range(!size(names)),
           "[[maybe_unused]] Expr " # names[i] # " = e.use(op->getOperand("
           # i # "));"), "\n      ") # [{
      setTangentFromPartials(op, context, {}] #
      !interleave(!foreach(p, partials, "[&]() -> Expr { return " # p # "; }"), ", ")
      # [{});
    }
    ::llvm::LogicalResult $cppClass::linearize(LinearizeContext &context) {
      setTangentLike(*this, context);
      return ::mlir::success();
    }
  }];
}

#endif // GRAD_ELEMENTWISE_BASE_TD
