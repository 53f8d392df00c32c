//===- GradSorting.td - Order of elements ----------------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// There is one op, along the last dimension; a front end transposes where that
// is another one. Quantiles, ranks and sets are compositions of it with slices,
// gathers and cumulative sums.
//
//===----------------------------------------------------------------------===//

#ifndef GRAD_SORTING_TD
#define GRAD_SORTING_TD

include "GradForeign.td"

def Grad_SortOp : Grad_StructuralOp<"sort",
    [DeclareOpInterfaceMethods<LinearizeOpInterface>]> {
  let summary = "elements along the last dimension in order, and where they were";
  let description = [{
    `values` increase along the last dimension, and are `x` at `indices`; what is
    equal keeps its order. -0.0 equals 0.0, NaN comes last, false is less than
    true. Complex numbers are compared by their real parts, then by their
    imaginary ones; behind those without NaN come those with one in the imaginary
    part, in the real part, in both. The calculation of what has no use is left
    out.

    The derivative is that of the permutation at hand: the tangents of `values` are
    those of `x` at `indices`. Where elements are equal, it is one of several that
    there are.

    ```mlir
    %values, %indices = grad.sort %x : tensor<3x5xf64> -> tensor<3x5xf64>, tensor<3x5xi64>
    ```
  }];
  let arguments = (ins Grad_Tensor:$x);
  let results = (outs Grad_Tensor:$values, Grad_IndexTensor:$indices);
  let assemblyFormat = "$x attr-dict `:` type($x) `->` type($values) `,` type($indices)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Grad_SortIntoOp : Op<Grad_Dialect, "sort_into",
    [AttrSizedOperandSegments, DestinationStyleOpInterface,
     DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "call of the runtime that sorts into its last arguments";
  let description = [{
    What `grad.sort` is lowered to, on tensors at first, then on buffers. The outs
    are the values and the indices, as far as they are asked for, and memory to
    work in (`runtime/Sorting.h`). All are written, none is read.

    ```mlir
    grad.sort_into values indices (%x) outs(%values, %indices, %work)
        : (memref<3x5xf64>, memref<3x5xf64>, memref<3x5xi64>, memref<20xi64>) -> ()
    ```
  }];
  let arguments = (ins UnitAttr:$has_values, UnitAttr:$has_indices, UnitAttr:$is_unsigned,
                       Variadic<Grad_TensorOrBuffer>:$inputs,
                       Variadic<Grad_TensorOrBuffer>:$outs);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    (`values` $has_values^)? (`indices` $has_indices^)? (`unsigned` $is_unsigned^)?
    `(` $inputs `)` `outs` `(` $outs `)` attr-dict `:` functional-type(operands, $results)
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getOutsMutable(); }
  }];
  let hasVerifier = 1;
}

#endif // GRAD_SORTING_TD
