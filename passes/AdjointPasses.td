//===- AdjointPasses.td - From grad to adjoint -------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_ADJOINT_PASSES_TD
#define GRADOPT_PASSES_ADJOINT_PASSES_TD

include "mlir/Pass/PassBase.td"

def GradRequestDerivative : Pass<"grad-request-derivative", "ModuleOp"> {
  let summary = "Add a function that asks for the derivative of another one";
  let description = [{
    For IR that was written without a thought of derivatives. Results of the new
    function are those of `function`, and behind them

    * with `mode=gradient`, the derivatives of the result `of`, a scalar, in
      the arguments `wrt`;
    * with `mode=reverse`, the cotangents of the arguments `wrt`; the function
      has more arguments, the cotangents of the results `of`;
    * with `mode=forward`, the tangents of the results `of`; the function has
      more arguments, the tangents of the arguments `wrt`.

    `--grad-request-derivative="function=f wrt=0"`:

    ```mlir
    func.func @f(%x: tensor<3xf64>, %n: index) -> f64 { ... }
    ```
    =>
    ```mlir
    func.func @f(%x: tensor<3xf64>, %n: index) -> f64 { ... }
    func.func @f_gradient(%x: tensor<3xf64>, %n: index) -> (f64, tensor<3xf64>) {
      %one = arith.constant 1.0 : f64
      %y, %dx = grad.vjp @f(%x, %n), cotangents(%one), wrt = [0], of = [0] : ...
      return %y, %dx : f64, tensor<3xf64>
    }
    ```
  }];
  let options = [
    Option<"function", "function", "std::string", "", "The function to differentiate">,
    ListOption<"wrt", "wrt", "int64_t",
               "Arguments to differentiate with respect to; all of floats if none is named">,
    ListOption<"of", "of", "int64_t",
               "Results to differentiate; all of floats if none is named">,
    Option<"mode", "mode", "std::string", "\"gradient\"",
           "What the new function returns: gradient, reverse or forward">,
    Option<"name", "name", "std::string", "",
           "The name of the new function; that of the old one and the mode if empty">
  ];
  let dependentDialects = ["::mlir::grad::GradDialect", "::mlir::func::FuncDialect"];
}

def GradWidenFloats : Pass<"grad-widen-floats", "func::FuncOp"> {
  let summary = "Let f32 calculate with narrow floats";
  let description = [{
    What calculates with f16 or bf16 becomes the same op on f32, whose results are
    rounded to nearest even, once for each op, as NumPy does it. What moves numbers
    moves the narrow ones. So sums, products of matrices and the library's functions
    have f32 numbers in between, and no op behind this pass knows narrow arithmetic.
    A rounding and the conversion back to f32 behind it are both kept: results do not
    depend on what becomes one loop.

    It runs before derivatives are made, so that rules calculate in f32, too. They
    read the result of an elementwise op as it is kept, which `grad.stored_as`
    says, so that no f32 copy of it has to stay.

    ```mlir
    %1 = grad.tanh %0 : tensor<4xbf16>
    %2 = grad.reduce_sum %1, dimensions = [0] : tensor<4xbf16> -> tensor<bf16>
    ```
    =>
    ```mlir
    %a = grad.convert %0 to f32 : tensor<4xbf16>
    %b = grad.tanh %a {grad.stored_as = bf16} : tensor<4xf32>
    %1 = grad.convert %b to bf16 : tensor<4xf32>
    %c = grad.convert %1 to f32 : tensor<4xbf16>
    %d = grad.reduce_sum %c, dimensions = [0] : tensor<4xf32> -> tensor<f32>
    %2 = grad.convert %d to bf16 : tensor<f32>
    ```
  }];
  let dependentDialects = ["::mlir::grad::GradDialect"];
}

def GradExpandSizes : Pass<"grad-expand-sizes", "func::FuncOp"> {
  let summary = "Turn what has sizes known at run time into loops";
  let description = [{
    Tensors with dimensions of unknown size are not made: loops over these
    dimensions compute what is needed of them, element by element, and products
    of matrices by tiles of 32 positions. So all passes behind this one see
    known sizes, and derivatives are those of loops. What would be computed
    several times is kept in a tensor of the largest size.

    ```mlir
    %row = grad.sized_slice %a[%i, %zero], shape = [?], dimensions = [1] sizes(%n)
    %col = grad.sized_slice %a[%zero, %i], shape = [?], dimensions = [0] sizes(%n)
    %dot = grad.dot_general %row, %col, batch = [] x [], contract = [0] x [0]
    ```
    =>
    ```mlir
    %dot = scf.for %k = %c0 to %end step %c1 iter_args(%sum = %zero_f) {
      %x = grad.dynamic_slice %a[%i, %k'] ...
      %y = grad.dynamic_slice %a[%k', %i] ...
      %product = grad.multiply %x, %y
      %next = grad.add %sum, %product
      scf.yield %next
    }
    ```
  }];
  let dependentDialects = ["::mlir::grad::GradDialect", "::mlir::arith::ArithDialect",
                           "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"];
}

def GradInlineCalls : Pass<"grad-inline-calls", "ModuleOp"> {
  let summary = "Replace each grad.call by the body of its callee";
  let description = [{
    Callees are expanded first. A call cycle is an error. Private functions
    that nothing refers to any more are erased.

    ```mlir
    func.func private @f(%x: tensor<f64>) -> tensor<f64> {
      %0 = grad.sin %x
      return %0
    }
    func.func @main(%x: tensor<f64>) -> tensor<f64> {
      %0 = grad.call @f(%x)
      return %0
    }
    ```
    =>
    ```mlir
    func.func @main(%x: tensor<f64>) -> tensor<f64> {
      %0 = grad.sin %x
      return %0
    }
    ```
  }];
}

def GradLinearize : Pass<"grad-linearize", "ModuleOp"> {
  let summary = "Expand requests for derivatives into primal and linear code";
  let description = [{
    `grad.jvp` becomes the body of its callee with, after each op, the ops of
    its tangent rule. `grad.vjp` becomes the body of its callee and a
    `grad.transposed` whose region holds the linear code:

    ```mlir
    %v, %dx = grad.vjp @sin(%x), cotangents(%g), wrt = [0], of = [0] : ...
    ```
    =>
    ```mlir
    %v = grad.sin %x
    %c = grad.cos %x
    %dx = grad.transposed(%g) {
    ^bb0(%t: tensor<f64>):
      %0 = grad.multiply %t, %c
      grad.yield %0
    }
    ```
    Only values that depend on an input in `wrt` and reach a result in `of`
    are linearized. A request whose callee contains `grad.transposed` waits
    for `grad-transpose`.

    Loops and branches of the scf dialect carry tangents in a `grad.jvp`. In a
    `grad.vjp` the linear code has loops and branches of its own. What they use
    of the primal ones is not visible there: `grad.keep` and `grad.kept` say
    which values these are. `grad.linear_part` of a primal loop or branch and
    `grad.part_of` of the linear one are the same key. How the values get there
    is decided by `grad-store-residuals`.

    ```mlir
    %y = scf.for %i ... iter_args(%a = %x) {
      %b = grad.sin %a
      %c = grad.cos %a
      grad.keep[distinct[1]<>] %c
      scf.yield %b
    } {grad.linear_part = distinct[0]<>}
    %dx = grad.transposed(%g) {
    ^bb0(%t: tensor<f64>):
      %0 = scf.for %i ... iter_args(%s = %t) {
        %c = grad.kept[distinct[1]<>]
        %1 = grad.multiply %s, %c
        scf.yield %1
      } {grad.part_of = distinct[0]<>}
      grad.yield %0
    }
    ```
  }];
  let dependentDialects = ["::mlir::grad::GradDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
                           "::mlir::tensor::TensorDialect"];
}

def GradStoreResiduals : Pass<"grad-store-residuals", "ModuleOp"> {
  let summary = "Choose and store what linear code needs of loops and branches";
  let description = [{
    Replaces the pairs of `grad.keep` and `grad.kept` that `grad-linearize`
    leaves, from the innermost loops and branches outwards. A loop with a known
    bound on its iterations stores what the linear one needs of it, in arrays
    with one place for each iteration. Other loops store some of the states that
    they go through, and run again from there, for one block of iterations after
    the other. The attribute `grad.checkpoint` of a loop asks for other policies.

    ```mlir
    %y:2 = scf.for %i ... iter_args(%a = %x, %states = %empty) {
      %next = grad.dynamic_update_slice %states, %a[%i]
      %b = grad.sin %a
      scf.yield %b, %next
    }
    %dx = grad.transposed(%g) {
    ^bb0(%t: tensor<f64>):
      %0 = scf.for %i ... iter_args(%s = %t) {
        %c = grad.dynamic_slice %y#1[%i]
        ...
    ```

    What is stored is a minimum cut in the graph of the body: those values of
    least bytes from which arithmetic and movement of data lead to what the
    linear part uses. The induction variable, constants, values from outside
    and what follows from these is never stored. A carried value and the next
    one are one array; an array of results that has the value anyway is used as
    it is.

    Of an array that the loop updates in place, what is overwritten may be stored:
    the linear loop puts it back. It carries the array *backwards*, as its
    transpose will: an iteration gets what the next one yields, the last one gets
    the init, and nobody uses the result. `grad.backward` says how many of the
    last values that a linear loop carries are such arrays.

    ```mlir
    %r:2 = scf.for %i ... iter_args(%dx = ..., %after = %final) {
      %before = grad.dynamic_update_slice %after, %overwritten[%i]
      ...
      scf.yield %dy, %before
    } {grad.backward = 1 : i64}
    ```
    With `remarks`, all that is stored is reported.

    An `scf.execute_region` with the attribute `grad.checkpoint` becomes one in
    the linear code that has all of its ops: what the region computes is
    computed there once more. Policies: "nothing" is stored; "dots",
    "dots_with_no_batch_dims": results of products of tensors may be; or
    "everything".
  }];
  let options = [Option<"remarks", "remarks", "bool", /*default=*/"false",
                        "report what is stored for linear code">];
  let dependentDialects = ["::mlir::grad::GradDialect", "::mlir::arith::ArithDialect",
                           "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"];
}

def GradTranspose : Pass<"grad-transpose", "ModuleOp"> {
  let summary = "Expand grad.transposed by transposing its linear region";
  let description = [{
    Walks the region backwards, accumulating the cotangent of each value, and
    asks each op for its transpose:

    ```mlir
    %dx = grad.transposed(%g) {
    ^bb0(%t: tensor<f64>):
      %0 = grad.multiply %t, %c
      grad.yield %0
    }
    ```
    =>
    ```mlir
    %dx = grad.multiply %g, %c
    ```
    A linear loop runs backwards. It carries the cotangents of what it carried
    and of the linear values that it used from outside.
  }];
  let dependentDialects = ["::mlir::grad::GradDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
                           "::mlir::tensor::TensorDialect"];
}

def GradBatch : Pass<"grad-batch", "ModuleOp"> {
  let summary = "Expand grad.vmap into one program for the whole batch";
  let description = [{
    `grad.vmap` becomes the body of its callee, with the axis that is mapped as
    the first dimension of all values that depend on a mapped input; what does
    not is computed once.

    ```mlir
    func.func private @f(%x: tensor<3xf64>, %w: tensor<3xf64>) -> tensor<f64> {
      %0 = grad.tanh %w
      %1 = grad.dot_general %x, %0, batch = [] x [], contract = [0] x [0]
      return %1
    }
    %y = grad.vmap @f(%x, %w), in_axes = [1, none], out_axes = [0], size = 8
    ```
    =>
    ```mlir
    %0 = grad.transpose %x, permutation = [1, 0] : tensor<3x8xf64> -> tensor<8x3xf64>
    %1 = grad.tanh %w
    %y = grad.dot_general %0, %1, batch = [] x [], contract = [1] x [0]
    ```
    Each op is asked for its rule (`BatchOpInterface`), an elementwise op needs
    none. A request whose callee contains other requests or `grad.transposed`
    waits for them.
  }];
  let dependentDialects = ["::mlir::grad::GradDialect", "::mlir::scf::SCFDialect",
                           "::mlir::tensor::TensorDialect"];
}

def GradExpandRequests : Pass<"grad-expand-requests", "ModuleOp"> {
  let summary = "Expand all requests for derivatives, innermost first";
  let description = [{
    Linearizes, transposes and batches, callee before caller, so that requests
    inside differentiated functions give derivatives of any order; inlines calls on
    the way and erases code that became dead. A function is simplified before
    it is differentiated once more, and what is requested several times is
    expanded once.

    ```mlir
    %v, %dx = grad.vjp @sin(%x), cotangents(%g), wrt = [0], of = [0] : ...
    ```
    =>
    ```mlir
    %v = grad.sin %x
    %c = grad.cos %x
    %dx = grad.multiply %g, %c
    ```
  }];
  let dependentDialects = ["::mlir::grad::GradDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
                           "::mlir::tensor::TensorDialect"];
}

def GradEraseAttributes : Pass<"grad-erase-attributes", "ModuleOp"> {
  let summary = "Erase what passes noted for each other";
  let description = [{
    Attributes of this dialect on ops of other dialects, such as the bound on the
    iterations of a loop, say nothing to other compilers, and are errors in those
    that do not know the dialect.

    ```mlir
    scf.for %i = %a to %b step %c { ... } {grad.max_trip_count = 8}
    ```
    =>
    ```mlir
    scf.for %i = %a to %b step %c { ... }
    ```
  }];
}

def GradFindSparsity : Pass<"grad-find-sparsity", "func::FuncOp"> {
  let summary = "Find where the Jacobian of a function may be other than zero";
  let description = [{
    Each element of the results `of` gets the elements of the arguments `wrt` that
    its derivative may depend on. Rows of the pattern are the results, columns the
    arguments, flattened and one behind the other; `indices` has the columns of one
    row after the other, and `offsets` says where each begins. For a function with
    requests, this runs behind `grad-expand-requests`. `passes/Sparsity.h` says how.

    With `coloring`, columns or rows get the colors of products from which all elements
    can be read (`passes/Coloring.h`): "jacobian" for any matrix, "hessian" for one that
    is symmetric, whose pattern is made so.

    ```mlir
    func.func @f(%x: tensor<3xf64>) -> tensor<2xf64> {
      %a = grad.slice %x, offsets = [0], sizes = [2], strides = [1]
      %b = grad.slice %x, offsets = [1], sizes = [2], strides = [1]
      %y = grad.multiply %a, %b
      return %y
    }
    ```
    gets the attribute
    ```mlir
    grad.sparsity = {shape = array<i64: 2, 3>, offsets = array<i64: 0, 2, 4>,
                     indices = array<i32: 0, 1, 1, 2>}
    ```
  }];
  let options = [
    ListOption<"wrt", "wrt", "int64_t",
               "Arguments that columns stand for; all of floats if none is named">,
    ListOption<"of", "of", "int64_t",
               "Results that rows stand for; all of floats if none is named">,
    Option<"coloring", "coloring", "std::string", "\"\"",
           "Products to find colors for: jacobian or hessian">
  ];
}

#endif // GRADOPT_PASSES_ADJOINT_PASSES_TD
