//===- GradFourier.td - Fourier transforms ---------------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Discrete Fourier transforms along some dimensions,
//
//     y[k] = c * sum_j x[j] * exp(-2 pi i j k / n)     if `forward`, else +,
//
// where n is the size of a dimension. `norm` says what the factor c is, of the
// product N of these sizes: 1 ("none"), 1 / N ("size") or 1 / sqrt(N) ("root").
// A transform of real numbers holds half of its spectrum, of which the other half
// is the conjugate, in reverse order: n / 2 + 1 elements of the last one of
// `dimensions`.
//
// All are linear, and symmetric but for that half: what stands for two elements of
// a spectrum counts twice. So the transposes have the same direction and factor.
//
//===----------------------------------------------------------------------===//

#ifndef GRAD_FOURIER_TD
#define GRAD_FOURIER_TD

include "GradForeign.td"

def Grad_FftOp : Grad_LinearOp<"fft"> {
  let summary = "Fourier transform of complex numbers";
  let description = [{
    Its own transpose. `dimensions` are those that are transformed, in any order.

    ```mlir
    %1 = grad.fft %0, dimensions = [1], forward = true, norm = "none" : tensor<2x8xcomplex<f64>>
    ```
  }];
  let arguments = (ins Grad_ComplexTensor:$x, DenseI64ArrayAttr:$dimensions,
                       BoolAttr:$forward, StrAttr:$norm);
  let results = (outs Grad_ComplexTensor:$result);
  let assemblyFormat = "$x `,` `dimensions` `=` $dimensions `,` `forward` `=` $forward `,` "
                       "`norm` `=` $norm attr-dict `:` type($x)";
  let hasFolder = 1;
}

def Grad_RfftOp : Grad_LinearOp<"rfft"> {
  let summary = "half of the spectrum of real numbers";
  let description = [{
    The last one of `dimensions` has the size `n` in the operand and `n / 2 + 1` in
    the result. The transpose is `grad.irfft` with its inner elements halved before.

    ```mlir
    %1 = grad.rfft %0, dimensions = [1], forward = true, norm = "none"
        : tensor<2x8xf64> -> tensor<2x5xcomplex<f64>>
    ```
  }];
  let arguments = (ins Grad_WideFloatTensor:$x, DenseI64ArrayAttr:$dimensions,
                       BoolAttr:$forward, StrAttr:$norm);
  let results = (outs Grad_ComplexTensor:$result);
  let assemblyFormat = "$x `,` `dimensions` `=` $dimensions `,` `forward` `=` $forward `,` "
                       "`norm` `=` $norm attr-dict `:` type($x) `->` type($result)";
}

def Grad_IrfftOp : Grad_LinearOp<"irfft"> {
  let summary = "real numbers whose spectrum is given by half";
  let description = [{
    The last one of `dimensions` has the size `size / 2 + 1` in the operand and
    `size` in the result. The transform along it is the last one; of its first
    element, and of the last one if `size` is even, the imaginary part counts for
    nothing. The transpose is `grad.rfft` with its inner elements doubled behind.

    ```mlir
    %1 = grad.irfft %0, dimensions = [1], size = 8, forward = false, norm = "size"
        : tensor<2x5xcomplex<f64>> -> tensor<2x8xf64>
    ```
  }];
  let arguments = (ins Grad_ComplexTensor:$x, DenseI64ArrayAttr:$dimensions,
                       I64Attr:$size, BoolAttr:$forward, StrAttr:$norm);
  let results = (outs Grad_WideFloatTensor:$result);
  let assemblyFormat = "$x `,` `dimensions` `=` $dimensions `,` `size` `=` $size `,` "
                       "`forward` `=` $forward `,` `norm` `=` $norm attr-dict "
                       "`:` type($x) `->` type($result)";
}

def Grad_FourierIntoOp : Op<Grad_Dialect, "fourier_into",
    [AttrSizedOperandSegments, DestinationStyleOpInterface,
     DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "Fourier transform by the runtime, into its first out";
  let description = [{
    What the transforms are lowered to, on tensors at first, then on buffers.
    `transform` is one of those in `runtime/Fourier.h`. The second out is memory
    that it works in.

    ```mlir
    grad.fourier_into "rfft", dimensions = [0], forward = true, norm = "none"
        (%x) outs(%y, %work) : (memref<8xf64>, memref<5xcomplex<f64>>, memref<24xf64>) -> ()
    ```
  }];
  let arguments = (ins StrAttr:$transform, DenseI64ArrayAttr:$dimensions,
                       BoolAttr:$forward, StrAttr:$norm,
                       Variadic<Grad_TensorOrBuffer>:$inputs,
                       Variadic<Grad_TensorOrBuffer>:$outs);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $transform `,` `dimensions` `=` $dimensions `,` `forward` `=` $forward `,`
    `norm` `=` $norm ` ` `(` $inputs `)` `outs` `(` $outs `)`
    attr-dict `:` functional-type(operands, $results)
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getOutsMutable(); }
  }];
  let hasVerifier = 1;
}

#endif // GRAD_FOURIER_TD
