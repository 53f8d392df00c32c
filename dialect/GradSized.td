//===- GradSized.td - Sizes known at run time -------------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where a dimension of unknown size, `?`, comes from, and where it goes. In
// between stand elementwise ops, transposes, reversals, sums and products. Who
// writes the IR sees to it that the sizes of operands agree where the types
// leave it open. `grad-expand-sizes` turns all this into loops.
//
//===----------------------------------------------------------------------===//

#ifndef GRAD_SIZED_TD
#define GRAD_SIZED_TD

/// An op that makes dimensions of unknown size: one operand states each.
class Grad_SizedOp<string mnemonic, list<Trait> traits = []>
    : Grad_Op<mnemonic, !listconcat([InferTypeOpAdaptor], traits)> {
  let results = (outs Grad_SizedTensor:$result);
}

def Grad_SizedSliceOp : Grad_SizedOp<"sized_slice", [AttrSizedOperandSegments]> {
  let summary = "contiguous slice whose offsets and sizes are known at run time";
  let description = [{
    Dimension `i` of the result, of size `shape[i]`, runs along dimension
    `dimensions[i]` of the operand, from the position in `indices`; `dimensions`
    increases strictly. Along the other dimensions of the operand there is one
    element, that at the position in `indices`. There is one operand in `extents`
    for each `?` in `shape`; one that is negative means 0. Each position is
    clamped to the size of its dimension.

    ```mlir
    %row = grad.sized_slice %a[%i, %zero], shape = [?], dimensions = [1] sizes(%n)
        : tensor<9x9xf64> -> tensor<?xf64>
    ```
  }];
  let arguments = (ins Grad_SizedTensor:$x, Variadic<Grad_Index>:$indices,
                       Variadic<Grad_Index>:$extents, DenseI64ArrayAttr:$shape,
                       DenseI64ArrayAttr:$dimensions);
  let assemblyFormat = [{
    $x `[` $indices `]` `,` `shape` `=` custom<Sizes>($shape) `,`
    `dimensions` `=` $dimensions `sizes` `(` $extents `)` attr-dict
    `:` type($x) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Grad_SizedUpdateOp : Grad_Op<"sized_update", [InferTypeOpAdaptor]> {
  let summary = "tensor with what `grad.sized_slice` would read replaced";
  let description = [{
    Dimension `i` of `update` runs along dimension `dimensions[i]` of `x`.

    ```mlir
    %1 = grad.sized_update %a, %row[%i, %zero], dimensions = [1]
        : tensor<9x9xf64>, tensor<?xf64>
    ```
  }];
  let arguments = (ins Grad_Tensor:$x, Grad_SizedTensor:$update,
                       Variadic<Grad_Index>:$indices, DenseI64ArrayAttr:$dimensions);
  let results = (outs Grad_Tensor:$result);
  let assemblyFormat = [{
    $x `,` $update `[` $indices `]` `,` `dimensions` `=` $dimensions attr-dict
    `:` type($x) `,` type($update)
  }];
  let hasVerifier = 1;
}

def Grad_SizedBroadcastOp : Grad_SizedOp<"sized_broadcast"> {
  let summary = "repetition along new dimensions, as often as is known at run time";
  let description = [{
    As `grad.broadcast`, with one operand in `extents` for each `?` in `shape`.
    `bounds` says how large each of these is at most.

    ```mlir
    %1 = grad.sized_broadcast %0, shape = [?, 3], dimensions = [1], bounds = [8] sizes(%n)
        : tensor<3xf64> -> tensor<?x3xf64>
    ```
  }];
  let arguments = (ins Grad_SizedTensor:$x, Variadic<Grad_Index>:$extents,
                       DenseI64ArrayAttr:$shape, DenseI64ArrayAttr:$dimensions,
                       DenseI64ArrayAttr:$bounds);
  let assemblyFormat = [{
    $x `,` `shape` `=` custom<Sizes>($shape) `,` `dimensions` `=` $dimensions `,`
    `bounds` `=` $bounds `sizes` `(` $extents `)` attr-dict
    `:` type($x) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Grad_SizedIotaOp : Grad_SizedOp<"sized_iota"> {
  let summary = "0, 1, 2 and so on, as many as is known at run time";
  let description = [{
    `bound` says how many there are at most.

    ```mlir
    %0 = grad.sized_iota %n, bound = 8, f64 : tensor<?xf64>
    ```
  }];
  let arguments = (ins Grad_Index:$extent, I64Attr:$bound, TypeAttrOf<Grad_Real>:$dtype);
  let assemblyFormat = "$extent `,` `bound` `=` $bound `,` $dtype attr-dict `:` type($result)";
}

#endif // GRAD_SIZED_TD
