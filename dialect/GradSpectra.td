//===- GradSpectra.td - General square matrices by their eigenvalues *- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Matrices lie along the last two dimensions, as in GradFactorizations.td. The
// derivatives of eigenvectors are those of Giles (2008), those of Schur's form
// solve an equation for the part below its diagonal.
//
//===----------------------------------------------------------------------===//

#ifndef GRAD_SPECTRA_TD
#define GRAD_SPECTRA_TD

include "GradStructuralBase.td"

def Grad_EigOp : Grad_MatrixOp<"eig"> {
  let summary = "eigenvalues and eigenvectors of a matrix";
  let description = [{
    `a * vectors = vectors * diag(values)`, in LAPACK's order, with columns whose length
    is one. Both are complex, as a real matrix may have complex ones. The largest
    component of a column is real (LAPACK's `geev`), and the derivative keeps to that.
    The derivative of the vectors needs values that differ; where two are equal, what
    turns their vectors into each other is taken to be zero. The matrix must not be
    defective: it has `n` independent vectors. `status` is not 0 if the calculation
    did not converge.

    ```mlir
    %values, %vectors, %status = grad.eig %a : tensor<5x5xf64>
        -> tensor<5xcomplex<f64>>, tensor<5x5xcomplex<f64>>, tensor<i32>
    ```
  }];
  let arguments = (ins Grad_WideInexactTensor:$a);
  let results = (outs Grad_ComplexTensor:$values, Grad_ComplexTensor:$vectors,
                      Grad_I32Tensor:$status);
  let assemblyFormat = "$a attr-dict `:` type($a) `->` type($values) `,` type($vectors) `,` "
                       "type($status)";
}

def Grad_SchurOp : Grad_MatrixOp<"schur"> {
  let summary = "Schur decomposition";
  let description = [{
    `a = vectors * form * adjoint(vectors)`, with orthonormal `vectors`. `form` is upper
    triangular. Of a real matrix it is real and upper quasi-triangular: pairs of
    conjugate eigenvalues are blocks of two rows, with equal elements on the diagonal
    and others of opposite signs beside it. The derivative needs eigenvalues that
    differ; the phase of a complex vector is any, and has none. `status` is not 0 if
    the calculation did not converge.

    ```mlir
    %form, %vectors, %status = grad.schur %a : tensor<5x5xf64>
        -> tensor<5x5xf64>, tensor<5x5xf64>, tensor<i32>
    ```
  }];
  let arguments = (ins Grad_WideInexactTensor:$a);
  let results = (outs Grad_WideInexactTensor:$form, Grad_WideInexactTensor:$vectors,
                      Grad_I32Tensor:$status);
  let assemblyFormat = "$a attr-dict `:` type($a) `->` type($form) `,` type($vectors) `,` "
                       "type($status)";
}

def Grad_TriangularSylvesterOp : Grad_MatrixOp<"triangular_sylvester",
    [DeclareOpInterfaceMethods<TransposeOpInterface>]> {
  let summary = "solution of Sylvester equations with triangular matrices";
  let description = [{
    `x` with `op(a) * x + x * op(b) = rhs`, where `op` is the transpose or nothing, and
    `a` and `b` are upper triangular; real ones may have blocks of two rows on the
    diagonal, as `grad.schur` makes them. Below, they are not read. If `below`, `x` is
    zero but for the part below the blocks on the diagonal, and the equation holds
    there: `a`, `b` and `rhs` are of one size then, and `a` and `b` have the same
    blocks. An eigenvalue of `a` that is one of `-b` makes infinities or NaNs, as a
    division by zero does.

    ```mlir
    %x = grad.triangular_sylvester %a, %b, %c, transpose = false, below = false
        : tensor<5x5xf64>, tensor<3x3xf64>, tensor<5x3xf64>
    ```
  }];
  let arguments = (ins Grad_WideInexactTensor:$a, Grad_WideInexactTensor:$b,
                       Grad_WideInexactTensor:$rhs, BoolAttr:$transposed, BoolAttr:$below);
  let results = (outs Grad_WideInexactTensor:$x);
  let assemblyFormat = [{
    $a `,` $b `,` $rhs `,` `transpose` `=` $transposed `,` `below` `=` $below attr-dict
    `:` type($a) `,` type($b) `,` type($rhs)
  }];
}

def Grad_TriangularSqrtOp : Grad_MatrixOp<"triangular_sqrt"> {
  let summary = "square root of an upper triangular matrix";
  let description = [{
    The upper triangular `root` with `root * root = a` whose eigenvalues are the square
    roots with real parts that are not negative (Bjoerck and Hammarling, A Schur method
    for the square root of a matrix, 1983). A real matrix may have blocks of two rows
    on the diagonal, as `grad.schur` makes them, and so has its root then, which is
    real (Higham, Computing real square roots of a real matrix, 1987): a negative
    number on the diagonal makes NaNs. Below the blocks, `a` is not read. Two zeros on
    the diagonal with something between them, which has no root, make infinities or
    NaNs.

    ```mlir
    %root = grad.triangular_sqrt %a : tensor<5x5xcomplex<f64>>
    ```
  }];
  let arguments = (ins Grad_WideInexactTensor:$a);
  let results = (outs Grad_WideInexactTensor:$root);
  let assemblyFormat = "$a attr-dict `:` type($a)";
}

#endif // GRAD_SPECTRA_TD
