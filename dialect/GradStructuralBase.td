//===- GradStructuralBase.td - What structural ops share ---*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAD_STRUCTURALBASE_TD
#define GRAD_STRUCTURALBASE_TD

include "GradElementwiseBase.td"

/// An op with an inferred result type and rules of its own.
class Grad_StructuralOp<string mnemonic, list<Trait> traits = []>
    : Grad_Op<mnemonic, !listconcat([InferTypeOpAdaptor,
                                     DeclareOpInterfaceMethods<BatchOpInterface>], traits)>;

def Grad_I32Tensor : Grad_TensorOf<[I32], "i32">;

/// An op on stacks of matrices.
class Grad_MatrixOp<string mnemonic, list<Trait> traits = []>
    : Grad_StructuralOp<mnemonic,
        !listconcat([DeclareOpInterfaceMethods<LinearizeOpInterface>], traits)>;

#endif // GRAD_STRUCTURALBASE_TD
