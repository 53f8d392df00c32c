//===- GradFactorizations.td - Factorisations of matrices ------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Matrices lie along the last two dimensions; the dimensions before these number
// them. What may fail has a `status` for each matrix: 0 where all went well. Where
// it did not, the floats of the other results are NaN.
//
// The adjoint of a matrix is its conjugate transpose, and Hermitian is what is its
// own adjoint: of real matrices, the transpose, and symmetric.
//
// The tangents are those of Giles (Collected matrix derivative results for forward
// and reverse mode algorithmic differentiation, 2008) and Murray (Differentiation
// of the Cholesky decomposition, 2016), as products and triangular systems.
//
//===----------------------------------------------------------------------===//

#ifndef GRAD_FACTORIZATIONS_TD
#define GRAD_FACTORIZATIONS_TD

include "GradForeign.td"

def Grad_CholeskyOp : Grad_MatrixOp<"cholesky"> {
  let summary = "lower triangular factor of a positive definite matrix";
  let description = [{
    `a = factor * adjoint(factor)`, where the adjoint is the conjugate transpose. Of
    `a`, the lower triangle is read, and of its diagonal the real part: the matrix is
    taken to be Hermitian, symmetric if it is real, and the derivative in an element
    above the diagonal is zero. `status` is the order of the first leading minor that
    is not positive.

    ```mlir
    %factor, %status = grad.cholesky %a : tensor<5x5xf64> -> tensor<5x5xf64>, tensor<i32>
    ```
  }];
  let arguments = (ins Grad_WideInexactTensor:$a);
  let results = (outs Grad_WideInexactTensor:$factor, Grad_I32Tensor:$status);
  let assemblyFormat = "$a attr-dict `:` type($a) `->` type($factor) `,` type($status)";
}

def Grad_LuOp : Grad_MatrixOp<"lu"> {
  let summary = "triangular factors of a matrix with its rows in another order";
  let description = [{
    Row `i` of `L * U` is row `permutation[i]` of `a`. `factors` holds `U` on and
    above the diagonal, and below it `L`, whose diagonal is one. The order comes of
    exchanging row `i` and row `pivots[i]`, for one `i` after the other. `status` is
    the number, counted from one, of the first element on the diagonal of `U` that
    is zero; the factors are right in that case, too.

    ```mlir
    %lu, %pivots, %permutation, %status = grad.lu %a : tensor<5x5xf64>
        -> tensor<5x5xf64>, tensor<5xi32>, tensor<5xi64>, tensor<i32>
    ```
  }];
  let arguments = (ins Grad_WideInexactTensor:$a);
  let results = (outs Grad_WideInexactTensor:$factors, Grad_I32Tensor:$pivots,
                      Grad_IndexTensor:$permutation, Grad_I32Tensor:$status);
  let assemblyFormat = "$a attr-dict `:` type($a) `->` type($factors) `,` type($pivots) `,` "
                       "type($permutation) `,` type($status)";
}

def Grad_LuSolveOp : Grad_MatrixOp<"lu_solve",
    [DeclareOpInterfaceMethods<TransposeOpInterface>]> {
  let summary = "solution of systems of equations whose matrix is factored";
  let description = [{
    `x` with `a * x = b`, or `transpose(a) * x = b`. It is calculated from the factors
    and pivots of `grad.lu`. The derivative is that of the solution in `a` and `b`;
    none goes through the factors.

    ```mlir
    %x = grad.lu_solve %a, %lu, %pivots, %b, transpose = false
        : tensor<5x5xf64>, tensor<5x5xf64>, tensor<5xi32>, tensor<5x2xf64>
    ```
  }];
  let arguments = (ins Grad_WideInexactTensor:$a, Grad_WideInexactTensor:$factors,
                       Grad_I32Tensor:$pivots, Grad_WideInexactTensor:$rhs,
                       DefaultValuedAttr<BoolAttr, "false">:$transposed);
  let results = (outs Grad_WideInexactTensor:$x);
  let assemblyFormat = [{
    $a `,` $factors `,` $pivots `,` $rhs `,` `transpose` `=` $transposed attr-dict
    `:` type($a) `,` type($factors) `,` type($pivots) `,` type($rhs)
  }];
}

def Grad_TriangularSolveOp : Grad_MatrixOp<"triangular_solve",
    [DeclareOpInterfaceMethods<TransposeOpInterface>]> {
  let summary = "solution of systems of equations with a triangular matrix";
  let description = [{
    `x` with `op(a) * x = b`, or, unless `left`, `x * op(a) = b`, where `op` is the
    transpose or nothing. Of `a`, the lower or the upper triangle is read, without
    the diagonal if that is `unit`: it is one then. A zero on the diagonal makes
    infinities, as a division does.

    ```mlir
    %x = grad.triangular_solve %a, %b, left = true, lower = true, transpose = false,
           unit = false : tensor<5x5xf64>, tensor<5x2xf64>
    ```
  }];
  let arguments = (ins Grad_WideInexactTensor:$a, Grad_WideInexactTensor:$rhs, BoolAttr:$left,
                       BoolAttr:$lower, BoolAttr:$transposed, BoolAttr:$unit);
  let results = (outs Grad_WideInexactTensor:$x);
  let assemblyFormat = [{
    $a `,` $rhs `,` `left` `=` $left `,` `lower` `=` $lower `,` `transpose` `=` $transposed `,`
    `unit` `=` $unit attr-dict `:` type($a) `,` type($rhs)
  }];
}

def Grad_QrOp : Grad_MatrixOp<"qr"> {
  let summary = "orthonormal columns and an upper triangular matrix";
  let description = [{
    `a = q * r`, where the diagonal of `r` is real. Of an `m x n` matrix, `q` has
    `min(m, n)` columns; if `full`, `m`, of which the last ones, beside `a`, turn as
    little as they can when `a` changes: their derivative is orthogonal to them. The
    derivative needs the first `min(m, n)` columns of `a` to be linearly independent.

    ```mlir
    %q, %r = grad.qr %a, full = false : tensor<5x3xf64> -> tensor<5x3xf64>, tensor<3x3xf64>
    ```
  }];
  let arguments = (ins Grad_WideInexactTensor:$a, BoolAttr:$full);
  let results = (outs Grad_WideInexactTensor:$q, Grad_WideInexactTensor:$r);
  let assemblyFormat = "$a `,` `full` `=` $full attr-dict "
                       "`:` type($a) `->` type($q) `,` type($r)";
}

def Grad_EighOp : Grad_MatrixOp<"eigh"> {
  let summary = "eigenvalues and eigenvectors of a Hermitian matrix";
  let description = [{
    `a * vectors = vectors * diag(values)`, with values that increase. Of `a`, the
    lower triangle is read, and of its diagonal the real part: the matrix is taken to
    be Hermitian, symmetric if it is real, and the derivative in an element above the
    diagonal is zero. Vectors of one and the same value are any orthonormal ones, and
    the phase of a complex vector is any: these have no derivative into each other, the
    phase has none, and both are taken to be zero. `status` is not 0 if the calculation
    did not converge.

    ```mlir
    %values, %vectors, %status = grad.eigh %a : tensor<5x5xf64>
        -> tensor<5xf64>, tensor<5x5xf64>, tensor<i32>
    ```
  }];
  let arguments = (ins Grad_WideInexactTensor:$a);
  let results = (outs Grad_WideFloatTensor:$values, Grad_WideInexactTensor:$vectors,
                      Grad_I32Tensor:$status);
  let assemblyFormat = "$a attr-dict `:` type($a) `->` type($values) `,` type($vectors) `,` "
                       "type($status)";
}

def Grad_SvdOp : Grad_MatrixOp<"svd"> {
  let summary = "singular values and vectors of a matrix";
  let description = [{
    `a = u * diag(s) * vh`, with values that decrease and are not negative. `u` has
    `min(m, n)` columns, `vh` as many rows; if `full`, both are square. What was said
    of equal values of `grad.eigh` and of further columns of `grad.qr` holds here,
    too; the phase of a column of a complex `u` is any, and does not turn, and the row
    of `vh` follows it. Vectors of a value that is zero have no derivative, which is
    taken to be zero in the directions in which there is none. `status` is not 0 if the
    calculation did not converge.

    ```mlir
    %u, %s, %vh, %status = grad.svd %a, full = false : tensor<5x3xf64>
        -> tensor<5x3xf64>, tensor<3xf64>, tensor<3x3xf64>, tensor<i32>
    ```
  }];
  let arguments = (ins Grad_WideInexactTensor:$a, BoolAttr:$full);
  let results = (outs Grad_WideInexactTensor:$u, Grad_WideFloatTensor:$s,
                      Grad_WideInexactTensor:$vh, Grad_I32Tensor:$status);
  let assemblyFormat = "$a `,` `full` `=` $full attr-dict `:` type($a) `->` type($u) `,` "
                       "type($s) `,` type($vh) `,` type($status)";
}

def Grad_LapackIntoOp : Op<Grad_Dialect, "lapack_into",
    [AttrSizedOperandSegments, DestinationStyleOpInterface,
     DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "call of a LAPACK routine that fills its last arguments";
  let description = [{
    What the ops on matrices are lowered to, on tensors at first, then on buffers.
    `routine` is one of those in `runtime/Lapack.h`, which says what its inputs, outs
    and `flags` are. All of `outs` are written, none is read; the last ones may be
    memory that the routine works in.

    ```mlir
    grad.lapack_into "cholesky", flags = 0 (%a) outs(%factor, %status)
        : (memref<3x3xf64>, memref<3x3xf64>, memref<i32>) -> ()
    ```
  }];
  let arguments = (ins StrAttr:$routine, I64Attr:$flags,
                       Variadic<Grad_TensorOrBuffer>:$inputs,
                       Variadic<Grad_TensorOrBuffer>:$outs);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $routine `,` `flags` `=` $flags ` ` `(` $inputs `)` `outs` `(` $outs `)`
    attr-dict `:` functional-type(operands, $results)
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getOutsMutable(); }
  }];
  let hasVerifier = 1;
}

#endif // GRAD_FACTORIZATIONS_TD
