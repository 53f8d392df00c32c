//===- GradForeign.td - Calls of foreign code ------------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRAD_FOREIGN_TD
#define GRAD_FOREIGN_TD

include "mlir/Interfaces/DestinationStyleOpInterface.td"

def Grad_TensorOrBuffer : AnyTypeOf<[AnyRankedTensor, AnyMemRef]>;

def Grad_CustomCallOp : Op<Grad_Dialect, "custom_call",
    [NoMemoryEffect, DeclareOpInterfaceMethods<LinearizeOpInterface>,
     DeclareOpInterfaceMethods<BatchOpInterface>]> {
  let summary = "call of a function that the compiler does not see";
  let description = [{
    Whoever loads the program says which functions it calls; `target` is the
    number of this one (`gradopt_target` of the runtime), `name` is for people.
    The results depend on the inputs alone. So a call whose results nobody needs
    is not made, and equal calls may be one; but no call is made that the
    program does not ask for, since it may fail.

    There is no derivative: that of the function around the call is stated by
    `grad.custom`. What a call for a whole batch is, `batching` says:

    * `"sequential"`: a loop of calls.
    * `"expand_dims"`: one call, on inputs with the batch as their first
      dimension. It has size 1 where an input is the same for all elements.
    * `"broadcast_all"`: the same, with such inputs repeated.

    ```mlir
    %y = grad.custom_call "scale", target = 0, batching = "sequential" (%x, %s)
        : (tensor<3xf64>, tensor<f64>) -> tensor<3xf64>
    ```
  }];
  let arguments = (ins StrAttr:$name, I64Attr:$target, StrAttr:$batching,
                       Variadic<Grad_Tensor>:$inputs);
  let results = (outs Variadic<Grad_Tensor>:$outputs);
  let assemblyFormat = [{
    $name `,` `target` `=` $target `,` `batching` `=` $batching ` ` `(` $inputs `)`
    attr-dict `:` functional-type($inputs, $outputs)
  }];
  let hasVerifier = 1;
}

def Grad_CustomCallIntoOp : Op<Grad_Dialect, "custom_call_into",
    [AttrSizedOperandSegments, DestinationStyleOpInterface,
     DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "call of a foreign function that fills its last arguments";
  let description = [{
    What `grad.custom_call` is lowered to, on tensors at first, then on buffers.
    All elements of `outs` are written, none is read. `are_unsigned` says which
    of both hold unsigned integers, as their types do not; none if it is missing.

    ```mlir
    grad.custom_call_into "scale", target = 0 (%x, %s) outs(%y)
        : (memref<3xf64>, memref<f64>, memref<3xf64>) -> ()
    ```
  }];
  let arguments = (ins StrAttr:$name, I64Attr:$target,
                       Variadic<Grad_TensorOrBuffer>:$inputs,
                       Variadic<Grad_TensorOrBuffer>:$outs,
                       OptionalAttr<DenseBoolArrayAttr>:$are_unsigned);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $name `,` `target` `=` $target ` ` `(` $inputs `)` `outs` `(` $outs `)`
    attr-dict `:` functional-type(operands, $results)
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getOutsMutable(); }
  }];
}

#endif // GRAD_FOREIGN_TD
