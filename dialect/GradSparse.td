//===- GradSparse.td - Products with sparse matrices -----------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A sparse matrix is given by its rows: element `k` of `data` stands in column
// `indices[k]`, and those from `pointers[i]` on, up to `pointers[i + 1]`, in row
// `i`. Elements at one place add up. Pointers do not decrease, from 0 to the number
// of elements. An index, or a pointer, that lies outside counts as the last one: what
// it leads to is not said, but that nothing else is read or written.
//
// The two ops are each other's transposes: products with a matrix, and the elements
// of a product of dense matrices at the places of a sparse one.
//
//===----------------------------------------------------------------------===//

#ifndef GRAD_SPARSE_TD
#define GRAD_SPARSE_TD

include "GradStructuralBase.td"

def Grad_PlacesTensor : Grad_TensorOf<[I32, I64], "i32 or i64">;

/// A structural op that is linear in each of two operands.
class Grad_BilinearOp<string mnemonic>
    : Grad_StructuralOp<mnemonic,
        [DeclareOpInterfaceMethods<LinearizeOpInterface>,
         DeclareOpInterfaceMethods<TransposeOpInterface>]>;

def Grad_SparseDotOp : Grad_BilinearOp<"sparse_dot"> {
  let summary = "product of a sparse matrix, or of its transpose, and a dense one";
  let description = [{
    The matrix has as many rows as `pointers` has elements, less one, and `columns`
    columns. `x` is a vector or a matrix; its rows are those of the result for the
    transpose.

    ```mlir
    %y = grad.sparse_dot %data, %indices, %pointers, %x, columns = 5, transpose = false
        : tensor<7xf64>, tensor<7xi32>, tensor<4xi32>, tensor<5x2xf64> -> tensor<3x2xf64>
    ```
  }];
  let arguments = (ins Grad_NumberTensor:$data, Grad_PlacesTensor:$indices,
                       Grad_PlacesTensor:$pointers, Grad_NumberTensor:$x,
                       I64Attr:$columns, BoolAttr:$transposed);
  let results = (outs Grad_NumberTensor:$result);
  let assemblyFormat = [{
    $data `,` $indices `,` $pointers `,` $x `,` `columns` `=` $columns `,`
    `transpose` `=` $transposed attr-dict `:` type($data) `,` type($indices) `,`
    type($pointers) `,` type($x) `->` type($result)
  }];
}

def Grad_SampledDotOp : Grad_BilinearOp<"sampled_dot"> {
  let summary = "elements of a product of matrices at the places of a sparse one";
  let description = [{
    Element `k`, in row `i` and column `j` of the sparse matrix, is the sum of
    `lhs[i, c] * rhs[j, c]` over `c`; of vectors, that is one product.

    ```mlir
    %d = grad.sampled_dot %lhs, %rhs, %indices, %pointers
        : tensor<3x2xf64>, tensor<5x2xf64>, tensor<7xi32>, tensor<4xi32> -> tensor<7xf64>
    ```
  }];
  let arguments = (ins Grad_NumberTensor:$lhs, Grad_NumberTensor:$rhs,
                       Grad_PlacesTensor:$indices, Grad_PlacesTensor:$pointers);
  let results = (outs Grad_NumberTensor:$result);
  let assemblyFormat = [{
    $lhs `,` $rhs `,` $indices `,` $pointers attr-dict `:` type($lhs) `,` type($rhs)
    `,` type($indices) `,` type($pointers) `->` type($result)
  }];
}

#endif // GRAD_SPARSE_TD
