//===- GradOps.td - Structural ops of the grad dialect ---------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAD_OPS_TD
#define GRAD_OPS_TD

include "GradElementwise.td"
include "GradStructuralBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

/// A structural op that is linear in all its float operands, jointly: its
/// tangent is the op itself applied to the tangents.
class Grad_LinearOp<string mnemonic, list<Trait> traits = []>
    : Grad_StructuralOp<mnemonic,
        !listconcat([DeclareOpInterfaceMethods<LinearizeOpInterface>,
                     DeclareOpInterfaceMethods<TransposeOpInterface>], traits)>;

//===----------------------------------------------------------------------===//
// Sources
//===----------------------------------------------------------------------===//

def Grad_ConstantOp : Grad_Op<"constant", [ConstantLike, AllTypesMatch<["value", "result"]>]> {
  let summary = "tensor known at compile time";
  let description = [{
    A splat is not stored element by element.

    ```mlir
    %0 = grad.constant dense<1.0> : tensor<4x4xf64>
    ```
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs Grad_Tensor:$result);
  let assemblyFormat = "attr-dict $value";
  let hasFolder = 1;
}

def Grad_IotaOp : Grad_Op<"iota", [InferTypeOpAdaptor]> {
  let summary = "index along one dimension";
  let description = [{
    Element `(i_0, ..., i_n)` is `i_dimension`, as the given element type.

    ```mlir
    %0 = grad.iota dimension = 0, shape = [5], i64 : tensor<5xi64>
    ```
  }];
  let arguments = (ins I64Attr:$dimension, DenseI64ArrayAttr:$shape,
                       TypeAttrOf<Grad_Real>:$dtype);
  let results = (outs Grad_RealTensor:$result);
  let assemblyFormat = "`dimension` `=` $dimension `,` `shape` `=` $shape `,` $dtype "
                       "attr-dict `:` type($result)";
}

def Grad_RandomBitsOp : Grad_StructuralOp<"random_bits"> {
  let summary = "random bits, a function of keys and counters (Threefry-2x32-20)";
  let description = [{
    `keys` has shape `B... x 2`: the two words of each key. `first` has shape
    `B...`. The result has shape `B... x shape`. Element `(b..., i...)` is
    calculated from key `b...` and the counter `first[b...] + n`, where `n` is the
    place of `i...` in `shape` in row-major order; so it depends on nothing else.

    The counter's upper and lower 32 bits are encrypted with the key to two words
    (Salmon et al., *Parallel random numbers: as easy as 1, 2, 3*, SC 2011). An
    i64 is both, the first one above; an i32 is their exclusive or. The result is
    the upper `bits` of these as a number that is not negative, if `bits` is less
    than the width. Has no derivative.

    ```mlir
    %0 = grad.random_bits %key, %first, bits = 53, shape = [5], i64
        : tensor<2xi32>, tensor<i64> -> tensor<5xi64>
    ```
  }];
  let arguments = (ins Grad_KeyTensor:$keys, Grad_IndexTensor:$first, I64Attr:$bits,
                       DenseI64ArrayAttr:$shape, TypeAttrOf<AnyTypeOf<[I32, I64]>>:$dtype);
  let results = (outs Grad_TensorOf<[I32, I64], "i32 or i64">:$result);
  let assemblyFormat = "$keys `,` $first `,` `bits` `=` $bits `,` `shape` `=` $shape `,` $dtype "
                       "attr-dict `:` type($keys) `,` type($first) `->` type($result)";
}

def Grad_IdentityOp : Grad_Op<"identity", [InferTypeOpAdaptor]> {
  let summary = "one where two positions are the same, else zero";
  let description = [{
    The result has the dimensions of `shape` twice; element `(i..., j...)` is
    one if `i... = j...`. Its slices are the standard basis of tensors of that
    shape, which Jacobians are computed along. The zeros stand for what is not
    there: a product with them may be left out, whatever the other factor is.

    ```mlir
    %0 = grad.identity shape = [2, 3], f64 : tensor<2x3x2x3xf64>
    ```
  }];
  let arguments = (ins DenseI64ArrayAttr:$shape, TypeAttrOf<Grad_Element>:$dtype);
  let results = (outs Grad_Tensor:$result);
  let assemblyFormat = "`shape` `=` $shape `,` $dtype attr-dict `:` type($result)";
  let hasCanonicalizer = 1;
}

//===----------------------------------------------------------------------===//
// Shape
//===----------------------------------------------------------------------===//

def Grad_BroadcastOp : Grad_LinearOp<"broadcast"> {
  let summary = "repetition along new dimensions";
  let description = [{
    Dimension `i` of the operand becomes dimension `dimensions[i]` of the
    result, of the same size; `dimensions` increases strictly. The operand is
    repeated along all others. The transpose is `grad.reduce_sum`.

    ```mlir
    %1 = grad.broadcast %0, shape = [4, 3], dimensions = [1] : tensor<3xf64> -> tensor<4x3xf64>
    ```
  }];
  let arguments = (ins Grad_Tensor:$x, DenseI64ArrayAttr:$shape,
                       DenseI64ArrayAttr:$dimensions);
  let results = (outs Grad_Tensor:$result);
  let assemblyFormat = "$x `,` `shape` `=` $shape `,` `dimensions` `=` $dimensions "
                       "attr-dict `:` type($x) `->` type($result)";
  let hasFolder = 1;
}

def Grad_ReshapeOp : Grad_LinearOp<"reshape"> {
  let summary = "same elements in row-major order, another shape";
  let description = [{
    The numbers of elements are equal.

    ```mlir
    %1 = grad.reshape %0, shape = [6] : tensor<2x3xf64> -> tensor<6xf64>
    ```
  }];
  let arguments = (ins Grad_Tensor:$x, DenseI64ArrayAttr:$shape);
  let results = (outs Grad_Tensor:$result);
  let assemblyFormat = "$x `,` `shape` `=` $shape attr-dict `:` type($x) `->` type($result)";
  let hasFolder = 1;
}

def Grad_TransposeOp : Grad_LinearOp<"transpose"> {
  let summary = "permutation of the dimensions";
  let description = "Dimension `i` of the result is dimension `permutation[i]` of the operand.";
  let arguments = (ins Grad_SizedTensor:$x, DenseI64ArrayAttr:$permutation);
  let results = (outs Grad_SizedTensor:$result);
  let assemblyFormat = "$x `,` `permutation` `=` $permutation attr-dict "
                       "`:` type($x) `->` type($result)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Grad_SliceOp : Grad_LinearOp<"slice"> {
  let summary = "static slice";
  let description = [{
    Element `i` of dimension `d` is element `offsets[d] + i * strides[d]` of
    the operand, `0 <= i < sizes[d]`. Strides are positive; a negative NumPy
    step is a slice and a `grad.reverse`.
  }];
  let arguments = (ins Grad_Tensor:$x, DenseI64ArrayAttr:$offsets,
                       DenseI64ArrayAttr:$sizes, DenseI64ArrayAttr:$strides);
  let results = (outs Grad_Tensor:$result);
  let assemblyFormat = "$x `,` `offsets` `=` $offsets `,` `sizes` `=` $sizes `,` "
                       "`strides` `=` $strides attr-dict `:` type($x) `->` type($result)";
  let hasFolder = 1;
}

def Grad_DynamicSliceOp : Grad_LinearOp<"dynamic_slice"> {
  let summary = "contiguous slice at offsets known at run time";
  let description = [{
    `indices` holds one 0-d i64 tensor for each dimension. An index is clamped
    to `[0, size of the operand - size of the slice]`.
  }];
  let arguments = (ins Grad_Tensor:$x, Variadic<Grad_Index>:$indices,
                       DenseI64ArrayAttr:$sizes);
  let results = (outs Grad_Tensor:$result);
  let assemblyFormat = "$x `[` $indices `]` `,` `sizes` `=` $sizes attr-dict "
                       "`:` type($x) `->` type($result)";
  let hasVerifier = 1;
}

def Grad_UpdateSliceOp : Grad_LinearOp<"update_slice"> {
  let summary = "tensor with a static slice replaced";
  let description = "`x` with the elements that `grad.slice` would read replaced by `update`.";
  let arguments = (ins Grad_Tensor:$x, Grad_Tensor:$update, DenseI64ArrayAttr:$offsets,
                       DenseI64ArrayAttr:$strides);
  let results = (outs Grad_Tensor:$result);
  let assemblyFormat = "$x `,` $update `,` `offsets` `=` $offsets `,` `strides` `=` $strides "
                       "attr-dict `:` type($x) `,` type($update)";
}

def Grad_DynamicUpdateSliceOp : Grad_LinearOp<"dynamic_update_slice"> {
  let summary = "tensor with a slice at run-time offsets replaced";
  let description = "Indices are clamped as in `grad.dynamic_slice`.";
  let arguments = (ins Grad_Tensor:$x, Grad_Tensor:$update,
                       Variadic<Grad_Index>:$indices);
  let results = (outs Grad_Tensor:$result);
  let assemblyFormat = "$x `,` $update `[` $indices `]` attr-dict `:` type($x) `,` type($update)";
  let hasVerifier = 1;
}

def Grad_AddSliceOp : Grad_LinearOp<"add_slice"> {
  let summary = "tensor with a tensor added to a static slice";
  let description = [{
    `x` with `update` added to the elements that `grad.slice` would read. The
    cotangents of slices of one value are summed by a chain of these ops, in one
    buffer.

    ```mlir
    %1 = grad.add_slice %x, %u, offsets = [2, 0], strides = [1, 1]
        : tensor<4x3xf64>, tensor<1x3xf64>
    ```
  }];
  let arguments = (ins Grad_NumberTensor:$x, Grad_NumberTensor:$update,
                       DenseI64ArrayAttr:$offsets, DenseI64ArrayAttr:$strides);
  let results = (outs Grad_NumberTensor:$result);
  let assemblyFormat = "$x `,` $update `,` `offsets` `=` $offsets `,` `strides` `=` $strides "
                       "attr-dict `:` type($x) `,` type($update)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Grad_DynamicAddSliceOp : Grad_LinearOp<"dynamic_add_slice"> {
  let summary = "tensor with a tensor added to a slice at run-time offsets";
  let description = "Indices are clamped as in `grad.dynamic_slice`.";
  let arguments = (ins Grad_NumberTensor:$x, Grad_NumberTensor:$update,
                       Variadic<Grad_Index>:$indices);
  let results = (outs Grad_NumberTensor:$result);
  let assemblyFormat = "$x `,` $update `[` $indices `]` attr-dict `:` type($x) `,` type($update)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Grad_PadOp : Grad_LinearOp<"pad"> {
  let summary = "border, and gaps between the elements, of one value";
  let description = [{
    Dimension `d` grows by `low[d]` before, `high[d]` behind and `interior[d]`
    between any two elements; none is negative. `value` is a scalar. The
    transpose of `grad.slice`.
  }];
  let arguments = (ins Grad_Tensor:$x, Grad_Tensor:$value, DenseI64ArrayAttr:$low,
                       DenseI64ArrayAttr:$high, DenseI64ArrayAttr:$interior);
  let results = (outs Grad_Tensor:$result);
  let assemblyFormat = "$x `,` $value `,` `low` `=` $low `,` `high` `=` $high `,` "
                       "`interior` `=` $interior attr-dict "
                       "`:` type($x) `,` type($value) `->` type($result)";
}

def Grad_ConcatenateOp : Grad_LinearOp<"concatenate"> {
  let summary = "tensors one behind the other along one dimension";
  let description = [{
    All inputs have the same extents in the other dimensions.

    ```mlir
    %1 = grad.concatenate(%a, %b), dimension = 0 : tensor<2xf64>, tensor<3xf64> -> tensor<5xf64>
    ```
  }];
  let arguments = (ins Variadic<Grad_Tensor>:$inputs, I64Attr:$dimension);
  let results = (outs Grad_Tensor:$result);
  let assemblyFormat = "`(` $inputs `)` `,` `dimension` `=` $dimension attr-dict "
                       "`:` type($inputs) `->` type($result)";
  let hasFolder = 1;
}

def Grad_ReverseOp : Grad_LinearOp<"reverse"> {
  let summary = "reversal along dimensions";
  let description = [{
    Its own transpose.

    ```mlir
    %1 = grad.reverse %0, dimensions = [1] : tensor<2x3xf64> -> tensor<2x3xf64>
    ```
  }];
  let arguments = (ins Grad_SizedTensor:$x, DenseI64ArrayAttr:$dimensions);
  let results = (outs Grad_SizedTensor:$result);
  let assemblyFormat = "$x `,` `dimensions` `=` $dimensions attr-dict "
                       "`:` type($x) `->` type($result)";
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Reductions
//===----------------------------------------------------------------------===//

/// Reduction over `dimensions` (strictly increasing), which the result lacks.
class Grad_ReduceOp<string mnemonic, Type operand, list<Trait> traits>
    : Grad_StructuralOp<"reduce_" # mnemonic, traits> {
  let arguments = (ins operand:$x, DenseI64ArrayAttr:$dimensions);
  let results = (outs Grad_SizedTensor:$result);
  let assemblyFormat = "$x `,` `dimensions` `=` $dimensions attr-dict "
                       "`:` type($x) `->` type($result)";
  let extraClassDefinition = [{
    ::llvm::LogicalResult $cppClass::inferReturnTypes(
        ::mlir::MLIRContext *, ::std::optional<::mlir::Location> loc,
        Adaptor adaptor, ::llvm::SmallVectorImpl<::mlir::Type> &types) {
      return inferReducedType(loc, "reduce_}] # mnemonic # [{", adaptor.getX(),
                              adaptor.getDimensions(), types);
    }
  }];
}

def Grad_ReduceSumOp : Grad_ReduceOp<"sum", Grad_SizedNumberTensor,
    [DeclareOpInterfaceMethods<LinearizeOpInterface>,
     DeclareOpInterfaceMethods<TransposeOpInterface>]> {
  let summary = "sum over dimensions; 0 over nothing";
  let description = [{
    Long sums of floats are added up in blocks. The transpose of `grad.broadcast`.

    ```mlir
    %1 = grad.reduce_sum %0, dimensions = [1] : tensor<2x3xf64> -> tensor<2xf64>
    ```
  }];
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}
def Grad_ReduceProdOp : Grad_ReduceOp<"prod", Grad_SizedNumberTensor,
    [DeclareOpInterfaceMethods<LinearizeOpInterface>]> {
  let summary = "product over dimensions; 1 over nothing";
  let description = "The derivative is right where factors are zero, too.";
}
def Grad_ReduceMaxOp : Grad_ReduceOp<"max", Grad_SizedRealTensor,
    [DeclareOpInterfaceMethods<LinearizeOpInterface>]> {
  let summary = "maximum over dimensions; NaN if any element is";
  let description = "Equal maxima share the derivative, evenly where the sizes are known.";
}
def Grad_ReduceMinOp : Grad_ReduceOp<"min", Grad_SizedRealTensor,
    [DeclareOpInterfaceMethods<LinearizeOpInterface>]> {
  let summary = "minimum over dimensions; NaN if any element is";
  let description = "Equal minima share the derivative, evenly where the sizes are known.";
}
def Grad_ReduceAnyOp : Grad_ReduceOp<"any", Grad_SizedBoolTensor, []> {
  let summary = "whether any element holds";
  let description = "False over nothing. Has no derivative.";
}
def Grad_ReduceAllOp : Grad_ReduceOp<"all", Grad_SizedBoolTensor, []> {
  let summary = "whether all elements hold";
  let description = "True over nothing. Has no derivative.";
}

/// Position of the first extreme element along one dimension.
class Grad_ArgReduceOp<string mnemonic> : Grad_StructuralOp<mnemonic> {
  let arguments = (ins Grad_RealTensor:$x, I64Attr:$dimension);
  let results = (outs Grad_IndexTensor:$result);
  let assemblyFormat = "$x `,` `dimension` `=` $dimension attr-dict "
                       "`:` type($x) `->` type($result)";
  let extraClassDefinition = [{
    ::llvm::LogicalResult $cppClass::inferReturnTypes(
        ::mlir::MLIRContext *, ::std::optional<::mlir::Location> loc,
        Adaptor adaptor, ::llvm::SmallVectorImpl<::mlir::Type> &types) {
      return inferArgReducedType(loc, "}] # mnemonic # [{", adaptor.getX(),
                                 adaptor.getDimension(), types);
    }
  }];
}
def Grad_ArgmaxOp : Grad_ArgReduceOp<"argmax"> {
  let summary = "index of the first maximum, or of the first NaN";
  let description = "An i64 along one dimension, which is not empty. Has no derivative.";
}
def Grad_ArgminOp : Grad_ArgReduceOp<"argmin"> {
  let summary = "index of the first minimum, or of the first NaN";
  let description = "An i64 along one dimension, which is not empty. Has no derivative.";
}

def Grad_CumsumOp : Grad_LinearOp<"cumsum"> {
  let summary = "cumulative sum along one dimension";
  let description = "From the end towards the start with `reverse = true`, the transpose.";
  let arguments = (ins Grad_NumberTensor:$x, I64Attr:$dimension,
                       DefaultValuedAttr<BoolAttr, "false">:$reverse);
  let results = (outs Grad_NumberTensor:$result);
  let assemblyFormat = "$x `,` `dimension` `=` $dimension attr-dict `:` type($x)";
}

//===----------------------------------------------------------------------===//
// Products and indexing
//===----------------------------------------------------------------------===//

def Grad_DotGeneralOp : Grad_StructuralOp<"dot_general",
    [DeclareOpInterfaceMethods<LinearizeOpInterface>,
     DeclareOpInterfaceMethods<TransposeOpInterface>]> {
  let summary = "sum of products over contracting dimensions";
  let description = [{
    The result's dimensions are the batch dimensions, the remaining dimensions
    of `lhs`, and the remaining dimensions of `rhs`, each in order.

    ```mlir
    %c = grad.dot_general %a, %b, batch = [] x [], contract = [1] x [0]
        : tensor<4x5xf64>, tensor<5x3xf64> -> tensor<4x3xf64>
    ```
  }];
  let arguments = (ins Grad_SizedNumberTensor:$lhs, Grad_SizedNumberTensor:$rhs,
                       DenseI64ArrayAttr:$lhs_batch, DenseI64ArrayAttr:$rhs_batch,
                       DenseI64ArrayAttr:$lhs_contract, DenseI64ArrayAttr:$rhs_contract);
  let results = (outs Grad_SizedNumberTensor:$result);
  let assemblyFormat = [{
    $lhs `,` $rhs `,` `batch` `=` $lhs_batch `x` $rhs_batch `,`
    `contract` `=` $lhs_contract `x` $rhs_contract attr-dict
    `:` type($lhs) `,` type($rhs) `->` type($result)
  }];
  let hasCanonicalizer = 1;
}

def Grad_CorrelateOp : Grad_StructuralOp<"correlate",
    [DeclareOpInterfaceMethods<LinearizeOpInterface>,
     DeclareOpInterfaceMethods<TransposeOpInterface>]> {
  let summary = "sums of products of a vector and a shorter one that is shifted along it";
  let description = [{
    The vectors lie along the last dimension; the dimensions before it, which
    `x` and `kernel` have in common, number pairs of vectors.
    Element `k` of the result is the sum of `x[k + j - low] * kernel[j]` over
    those `j` for which both elements exist. `low` and `high`, both smaller than
    the size of the kernel, say how far it hangs over at either end: 0 for
    sums over the whole kernel alone, its size less 1 for all sums there are.
    A sum has no products with elements that do not exist: an infinite element
    of the kernel makes no NaN beside `x`.

    ```mlir
    %y = grad.correlate %x, %w, low = 2, high = 0
        : tensor<9xf64>, tensor<3xf64> -> tensor<9xf64>
    ```
  }];
  let arguments = (ins Grad_NumberTensor:$x, Grad_NumberTensor:$kernel,
                       I64Attr:$low, I64Attr:$high);
  let results = (outs Grad_NumberTensor:$result);
  let assemblyFormat = [{
    $x `,` $kernel `,` `low` `=` $low `,` `high` `=` $high attr-dict
    `:` type($x) `,` type($kernel) `->` type($result)
  }];
}

def Grad_ConvolutionOp : Grad_StructuralOp<"convolution",
    [DeclareOpInterfaceMethods<LinearizeOpInterface>,
     DeclareOpInterfaceMethods<TransposeOpInterface>]> {
  let summary = "sums of products of windows of a tensor and a kernel";
  let description = [{
    `x` has dimensions group, batch, feature and any number of spatial ones;
    `kernel` group, output feature, feature and as many spatial ones. Element
    `(g, n, o, p)` of the result is the sum over `c` and `k` of
    `x'[g, n, c, p * stride + k * kernel_dilation - low] * kernel[g, o, c, k]`,
    where `x'` is `x` with its elements `x_dilation` apart. In between and beyond
    the ends there are zeros. `low` and `high` say how many are counted as part
    of `x` at either end; negative ones leave elements out. There are as many
    `p` in a dimension as there are whole windows.

    Other layouts are transposes around this one, which cost nothing: the
    lowering looks through them. Because there is one layout, with groups as a
    dimension, the transposes of the op are the op itself: for that in `x`,
    feature and output feature of the kernel change places, for that in
    `kernel`, batch and feature of both.

    ```mlir
    %y = grad.convolution %x, %w, strides = [2, 2], low = [1, 1], high = [1, 1],
           dilation = [1, 1] x [1, 1]
        : tensor<1x8x3x32x32xf64>, tensor<1x16x3x3x3xf64> -> tensor<1x8x16x16x16xf64>
    ```
  }];
  let arguments = (ins Grad_RealTensor:$x, Grad_RealTensor:$kernel,
                       DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$low,
                       DenseI64ArrayAttr:$high, DenseI64ArrayAttr:$x_dilation,
                       DenseI64ArrayAttr:$kernel_dilation);
  let results = (outs Grad_RealTensor:$result);
  let assemblyFormat = [{
    $x `,` $kernel `,` `strides` `=` $strides `,` `low` `=` $low `,` `high` `=` $high `,`
    `dilation` `=` $x_dilation `x` $kernel_dilation attr-dict
    `:` type($x) `,` type($kernel) `->` type($result)
  }];
}

def Grad_GatherOp : Grad_LinearOp<"gather"> {
  let summary = "slices at integer positions (NumPy's integer-array indexing)";
  let description = [{
    `indices` has shape `I... x k`; each row indexes the first `k` dimensions
    of `x`. The result has shape `I... x shape(x)[k:]`. An index is clamped to
    the size of its dimension; the front end has made it non-negative. The first
    `batch` dimensions of `x`, `indices` and the result go together: what is said
    here holds for each element along them.

    ```mlir
    %1 = grad.gather %x, %i : tensor<5x3xf64>, tensor<2x1xi64> -> tensor<2x3xf64>
    %2 = grad.gather %x, %j batch 1 : tensor<5x3xf64>, tensor<5x1xi64> -> tensor<5xf64>
    ```
  }];
  let arguments = (ins Grad_SizedTensor:$x, Grad_SizedIndexTensor:$indices,
                       DefaultValuedAttr<I64Attr, "0">:$batch);
  let results = (outs Grad_SizedTensor:$result);
  let assemblyFormat = "$x `,` $indices (`batch` $batch^)? attr-dict "
                       "`:` type($x) `,` type($indices) `->` type($result)";
  let hasCanonicalizer = 1;
}

def Grad_ScatterOp : Grad_LinearOp<"scatter"> {
  let summary = "tensor with slices at integer positions replaced";
  let description = [{
    `x` with the slice that row `i...` of `indices` points at, as in
    `grad.gather`, replaced by `updates[i...]`. Rows are taken in order: where
    positions repeat, the last one stays, and the derivative by the others is
    zero. `unique` promises that none repeat. `batch` is as for `grad.gather`.

    ```mlir
    %1 = grad.scatter %x, %i, %u unique
      : tensor<5xf64>, tensor<2x1xi64>, tensor<2xf64>
    ```
  }];
  let arguments = (ins Grad_Tensor:$x, Grad_SizedIndexTensor:$indices,
                       Grad_SizedTensor:$updates, UnitAttr:$unique,
                       DefaultValuedAttr<I64Attr, "0">:$batch);
  let results = (outs Grad_Tensor:$result);
  let assemblyFormat = "$x `,` $indices `,` $updates (`unique` $unique^)? "
                       "(`batch` $batch^)? attr-dict "
                       "`:` type($x) `,` type($indices) `,` type($updates)";
}

def Grad_ScatterAddOp : Grad_LinearOp<"scatter_add"> {
  let summary = "sum of a tensor and updates at integer positions";
  let description = [{
    `x` with `updates[i...]` added to the slice that row `i...` of `indices`
    points at, as in `grad.gather`; repeated positions add up.
  }];
  let arguments = (ins Grad_NumberTensor:$x, Grad_SizedIndexTensor:$indices,
                       Grad_SizedNumberTensor:$updates,
                       DefaultValuedAttr<I64Attr, "0">:$batch);
  let results = (outs Grad_NumberTensor:$result);
  let assemblyFormat = "$x `,` $indices `,` $updates (`batch` $batch^)? attr-dict "
                       "`:` type($x) `,` type($indices) `,` type($updates)";
  let hasCanonicalizer = 1;
}

//===----------------------------------------------------------------------===//
// Functions and requests for derivatives
//===----------------------------------------------------------------------===//

def Grad_StopGradientOp : Grad_Op<"stop_gradient",
    [SameOperandsAndResultType, Grad_LocallyConstant,
     DeclareOpInterfaceMethods<LinearizeOpInterface>,
     DeclareOpInterfaceMethods<BatchOpInterface>]> {
  let summary = "identity whose derivative is zero";
  let description = "What is computed from it is a constant to derivatives, in either mode.";
  let arguments = (ins Grad_SizedTensor:$x);
  let results = (outs Grad_SizedTensor:$result);
  let assemblyFormat = "$x attr-dict `:` type($result)";
}

def Grad_BarrierOp : Grad_Op<"barrier",
    [AttrSizedOperandSegments, DeclareOpInterfaceMethods<LinearizeOpInterface>,
     DeclareOpInterfaceMethods<BatchOpInterface>]> {
  let summary = "values that are there when others are";
  let description = [{
    The results are `values`, for code that is not to run before those of
    `after` are computed. So what is computed from them is not the same as what
    was computed from `values` earlier: common subexpressions are not merged
    across a barrier. It stands in front of what the reverse pass computes once
    more, until memory is planned (`grad-drop-barriers`).

    ```mlir
    %0 = grad.barrier %x after %g : (tensor<4xf64>, tensor<3xf64>) -> tensor<4xf64>
    ```
  }];
  let arguments = (ins Variadic<Grad_Tensor>:$values, Variadic<Grad_Tensor>:$after);
  let results = (outs Variadic<Grad_Tensor>:$outputs);
  let assemblyFormat = "$values `after` $after attr-dict `:` functional-type(operands, $outputs)";
  let hasVerifier = 1;
}

def Grad_CallOp : Grad_Op<"call", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "call of a function of tensors";
  let description = [{
    Inlined by `grad-inline-calls`, so that what is differentiated has no calls.

    ```mlir
    %0 = grad.call @f(%x) : (tensor<4xf64>) -> tensor<f64>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$callee, Variadic<Grad_Tensor>:$inputs);
  let results = (outs Variadic<Grad_Tensor>:$outputs);
  let assemblyFormat = "$callee `(` $inputs `)` attr-dict `:` functional-type($inputs, $outputs)";
}

def Grad_VjpOp : Grad_Op<"vjp",
    [AttrSizedOperandSegments, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "value of a function and the pullback of cotangents";
  let description = [{
    Results are those of `callee` at `inputs`, then, for each index in `wrt`,
    the cotangent of that input. `cotangents` holds one tensor for each index
    in `of`, the results that are differentiated; the others count as constant.

    ```mlir
    %v, %dx = grad.vjp @f(%x), cotangents(%one), wrt = [0], of = [0]
        : (tensor<3xf64>, tensor<f64>) -> (tensor<f64>, tensor<3xf64>)
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$callee, Variadic<Grad_Value>:$inputs,
                       Variadic<Grad_Direction>:$cotangents,
                       DenseI64ArrayAttr:$wrt, DenseI64ArrayAttr:$of);
  let results = (outs Variadic<Grad_Value>:$outputs);
  let assemblyFormat = [{
    $callee `(` $inputs `)` `,` `cotangents` `(` $cotangents `)` `,` `wrt` `=` $wrt `,`
    `of` `=` $of attr-dict `:` functional-type(operands, results)
  }];
}

def Grad_JvpOp : Grad_Op<"jvp",
    [AttrSizedOperandSegments, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "value of a function and the pushforward of tangents";
  let description = [{
    Results are those of `callee` at `inputs`, then, for each index in `of`,
    the tangent of that result. `tangents` holds one tensor for each index in
    `wrt`, the inputs that vary.
  }];
  let arguments = (ins FlatSymbolRefAttr:$callee, Variadic<Grad_Value>:$inputs,
                       Variadic<Grad_Direction>:$tangents,
                       DenseI64ArrayAttr:$wrt, DenseI64ArrayAttr:$of);
  let results = (outs Variadic<Grad_Value>:$outputs);
  let assemblyFormat = [{
    $callee `(` $inputs `)` `,` `tangents` `(` $tangents `)` `,` `wrt` `=` $wrt `,`
    `of` `=` $of attr-dict `:` functional-type(operands, results)
  }];
}

def Grad_VmapOp : Grad_Op<"vmap", [DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a function applied to all slices of its inputs along an axis each";
  let description = [{
    `callee` is applied `size` times, to slice number `i` of each input along
    its axis in `in_axes`, and to all of an input whose axis is `none`. Its
    results are put one beside the other along the axes in `out_axes`; one
    whose axis is `none` does not depend on a mapped input and is there once.
    Many scalars are a tensor of one dimension, indices one of i64.
    Expanded by `grad-batch`.

    ```mlir
    %y = grad.vmap @f(%x, %w), in_axes = [1, none], out_axes = [0], size = 8
        : (tensor<3x8xf64>, tensor<3xf64>) -> tensor<8xf64>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$callee, Variadic<Grad_Value>:$inputs,
                       DenseI64ArrayAttr:$in_axes, DenseI64ArrayAttr:$out_axes,
                       I64Attr:$size);
  let results = (outs Variadic<Grad_Value>:$outputs);
  let assemblyFormat = [{
    $callee `(` $inputs `)` `,` `in_axes` `=` custom<Axes>($in_axes) `,`
    `out_axes` `=` custom<Axes>($out_axes) `,` `size` `=` $size attr-dict
    `:` functional-type($inputs, $outputs)
  }];
  let extraClassDeclaration = [{
    /// Stands for `none` among the axes.
    static constexpr int64_t kNone = -1;
  }];
}

def Grad_CustomOp : Grad_Op<"custom",
    [AttrSizedOperandSegments, DeclareOpInterfaceMethods<SymbolUserOpInterface>,
     DeclareOpInterfaceMethods<LinearizeOpInterface>,
     DeclareOpInterfaceMethods<BatchOpInterface>]> {
  let summary = "call of a function that brings derivatives of its own";
  let description = [{
    The results are those of `callee`. Whoever differentiates the call asks the
    rules, and does not look into `callee`:

    * `vjp = [@fwd, @bwd]` for reverse mode. `fwd` takes what `callee` takes, and
      returns the same results and, behind them, residuals. `bwd` takes the
      residuals and the cotangents of all results that have some, and returns
      the cotangents of all inputs that have some.
    * `jvp = @rule` for forward mode. It takes the inputs and the tangents of all
      that have some, and returns the results and the tangents of all that have
      some, which are linear in the tangents of the inputs.

    Where one of them is missing, the other is transposed; that of `bwd` exists
    if it is linear in the cotangents. `captures` are further arguments of all
    these functions, the last ones. The rules know no derivatives in them: it is
    an error to ask for one.

    The call for a whole batch is a call with mapped functions, rules included:
    derivatives are those of the rules, element by element.

    `grad-expand-requests` makes calls of `callee` of what it did not differentiate.

    ```mlir
    %y = grad.custom @f(%x) captures(%c) vjp = [@f_fwd, @f_bwd] jvp = @f_jvp
        : (tensor<3xf64>, tensor<f64>) -> tensor<3xf64>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$callee, Variadic<Grad_Tensor>:$inputs,
                       Variadic<Grad_Tensor>:$captures,
                       OptionalAttr<FlatSymbolRefAttr>:$fwd,
                       OptionalAttr<FlatSymbolRefAttr>:$bwd,
                       OptionalAttr<FlatSymbolRefAttr>:$jvp);
  let results = (outs Variadic<Grad_Tensor>:$outputs);
  let assemblyFormat = [{
    $callee `(` $inputs `)` (`captures` `(` $captures^ `)`)?
    (`vjp` `=` `[` $fwd^ `,` $bwd `]`)? (`jvp` `=` $jvp^)? attr-dict
    `:` functional-type(operands, results)
  }];
}

def Grad_TransposedOp : Grad_Op<"transposed",
    [SingleBlock, DeclareOpInterfaceMethods<TransposeOpInterface>]> {
  let summary = "transpose of the linear function in the region";
  let description = [{
    The region maps tangents, its arguments, to tangents, those it yields, and
    may use values from above as coefficients. The op maps the cotangents of
    the yielded values to the cotangents of the arguments. `grad-linearize`
    makes it, `grad-transpose` expands it. Its own transpose is the region,
    which is not required to be linear then. `reason` says in diagnostics why
    there is something to transpose.
  }];
  let arguments = (ins Variadic<Grad_Direction>:$cotangents,
                       OptionalAttr<StrAttr>:$reason);
  let results = (outs Variadic<Grad_Direction>:$outputs);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "`(` $cotangents `)` ($reason^)? $body attr-dict "
                       "`:` functional-type($cotangents, $outputs)";
  let hasVerifier = 1;
}

def Grad_YieldOp : Grad_Op<"yield", [Terminator, HasParent<"TransposedOp">]> {
  let summary = "end of the region of grad.transposed";
  let description = "Its operands are the tangents that the transposed function takes cotangents of.";
  let arguments = (ins Variadic<Grad_Direction>:$tangents);
  let assemblyFormat = "($tangents^ `:` type($tangents))? attr-dict";
}

def Grad_KeepOp : Op<Grad_Dialect, "keep", [MemoryEffects<[MemWrite]>]> {
  let summary = "value of a loop or branch that linear code of it uses";
  let description = [{
    Stands in primal code. In the linear part of the same loop or branch,
    `grad.kept` with the same key is the value, of the same iteration.
    `grad-linearize` makes such pairs where linear code cannot see what it uses;
    `grad-store-residuals` decides how it gets that, and leaves none of them.

    ```mlir
    grad.keep[distinct[0]<>] %c : tensor<f64>
    ```
  }];
  let arguments = (ins AnyType:$value, AnyAttr:$key);
  let assemblyFormat = "`[` $key `]` $value attr-dict `:` type($value)";
}

def Grad_KeptOp : Op<Grad_Dialect, "kept", [MemoryEffects<[MemRead]>]> {
  let summary = "what primal code keeps for linear code";
  let description = [{
    The value of the `grad.keep` with the same key.

    ```mlir
    %c = grad.kept[distinct[0]<>] : tensor<f64>
    ```
  }];
  let arguments = (ins AnyAttr:$key);
  let results = (outs AnyType:$value);
  let assemblyFormat = "`[` $key `]` attr-dict `:` type($value)";
}

include "GradSized.td"
include "GradForeign.td"
include "GradFactorizations.td"
include "GradSorting.td"
include "GradFourier.td"
include "GradSparse.td"

#endif // GRAD_OPS_TD
