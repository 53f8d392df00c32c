//===- Passes.td - Passes of gradopt ---------------------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_TD
#define GRADOPT_PASSES_TD

include "mlir/Pass/PassBase.td"

//===----------------------------------------------------------------------===//
// Differentiation
//===----------------------------------------------------------------------===//

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
    `grad.vjp` the linear code has loops and branches of its own. A loop with
    a known bound on its iterations stores what the linear one needs of it, in
    arrays with one place for each iteration. Other loops store some of the
    states that they go through, and run again from there, for one block of
    iterations after the other.

    What is stored is a minimum cut in the graph of the body: those values of
    least bytes from which arithmetic and movement of data lead to what the
    linear part uses. The induction variable, constants, values from outside
    and what follows from these is never stored. A carried value and the next
    one are one array; an array of results that has the value anyway is used as
    it is. With `remarks`, each choice is reported.

    An `scf.execute_region` with the attribute `grad.checkpoint` becomes one in
    the linear code that has all of its ops: what the region computes is
    computed there once more. Policies: "nothing" is stored; "dots",
    "dots_with_no_batch_dims": results of products of tensors may be; or
    "everything".
  }];
  let options = [Option<"remarks", "remarks", "bool", /*default=*/"false",
                        "report what is stored for linear code">];
  let dependentDialects = ["::mlir::grad::GradDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
                           "::mlir::tensor::TensorDialect"];
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

//===----------------------------------------------------------------------===//
// Fusion and memory: passes on upstream IR only
//===----------------------------------------------------------------------===//

def GradPlaceSlices : Pass<"grad-place-slices", "::mlir::func::FuncOp"> {
  let summary = "Choose how a sum of slices that begins with zeros is computed";
  let description = [{
    The cotangents of slices of one value are a chain of `grad.add_slice` on
    zeros. What is added to zeros takes their place if the slices are disjoint,
    and the zeros go where the slices cover all of the value:

    ```mlir
    %0 = grad.constant dense<0.0> : tensor<2x3xf64>
    %1 = grad.add_slice %0, %b, offsets = [1, 0], strides = [1, 1]
    %2 = grad.add_slice %1, %a, offsets = [0, 0], strides = [1, 1]
    ```
    =>
    ```mlir
    %0 = tensor.empty() : tensor<2x3xf64>
    %1 = grad.update_slice %0, %b, offsets = [1, 0], strides = [1, 1]
    %2 = grad.update_slice %1, %a, offsets = [0, 0], strides = [1, 1]
    ```
    A single slice, and few slices that overlap and cover most of the value,
    become a sum of `grad.pad`, which is one loop (`grad-share-pads`). What is
    left is added in place. A zero may change its sign.
  }];
  let dependentDialects = ["::mlir::grad::GradDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [
    Statistic<"numReplaced", "num-replaced",
              "Slices that replace zeros instead of being added to them">,
    Statistic<"numPadded", "num-padded", "Slices that became pads">
  ];
}

def GradStackProducts : Pass<"grad-stack-products", "::mlir::func::FuncOp"> {
  let summary = "Make a sum of thin products one product of stacked factors";
  let description = [{
    At least four products over no or few elements whose sum is taken become
    one product, or several over up to 256 elements each:

    ```mlir
    %p = grad.dot_general %a, %u, batch = [] x [], contract = [] x []
    %q = grad.dot_general %b, %v, batch = [] x [], contract = [] x []
    ...
    %s = grad.add %p, %q
    ```
    =>
    ```mlir
    %l = grad.concatenate(%a1, %b1, ...), dimension = 0
    %r = grad.concatenate(%u1, %v1, ...), dimension = 0
    %s = grad.dot_general %l, %r, batch = [] x [], contract = [0] x [0]
    ```
  }];
  let dependentDialects = ["::mlir::grad::GradDialect"];
  let statistics = [
    Statistic<"numStacked", "num-stacked", "Products that became part of one">
  ];
}

def GradSharePads : Pass<"grad-share-pads", "::mlir::func::FuncOp"> {
  let summary = "Make shifted pads of one value slices of one pad";
  let description = [{
    The gradient of a stencil is a sum of pads with zeros of the same value, up
    to constant factors. They become views of one pad:

    ```mlir
    %a = grad.pad %g, %zero, low = [0], high = [2], interior = [0]
    %n = grad.negative %g
    %b = grad.pad %n, %zero, low = [1], high = [1], interior = [0]
    // becomes
    %w = grad.pad %g, %zero, low = [1], high = [2], interior = [0]
    %a = grad.slice %w, offsets = [1], sizes = [8], strides = [1]
    %s = grad.slice %w, offsets = [0], sizes = [8], strides = [1]
    %b = grad.negative %s
    ```

    Where the borders would be larger than half of the value, nothing is done.
    Zeros of a border may change their sign by a negative factor.
  }];
  let statistics = [
    Statistic<"numShared", "num-shared", "Pads that became slices">
  ];
}

def GradScalarsToRegisters : Pass<"grad-scalars-to-registers", "::mlir::func::FuncOp"> {
  let summary = "Carry tensors without dimensions through loops as scalars";
  let description = [{
    A tensor without dimensions becomes a buffer of one element. In loops and
    branches it becomes a scalar before: what they carry and return, and the
    operations on such tensors inside. Single elements of other tensors are read
    and written directly.

    ```mlir
    %r = scf.for %i = %a to %b step %c iter_args(%s = %x) -> tensor<f64> {
      %0 = linalg.generic {...} ins(%s : tensor<f64>) outs(%e) { math.sin }
      scf.yield %0 : tensor<f64>
    }
    // becomes
    %s0 = tensor.extract %x[]
    %s1 = scf.for %i = %a to %b step %c iter_args(%s = %s0) -> f64 {
      %0 = math.sin %s
      scf.yield %0 : f64
    }
    %r = tensor.from_elements %s1 : tensor<f64>
    ```
    Code outside of loops and branches stays as it is.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect"];
}

def GradFuse : Pass<"grad-fuse", "::mlir::func::FuncOp"> {
  let summary = "Fuse linalg operations on tensors into few loop nests";
  let description = [{
    Merges elementwise operations, broadcasts, transposes and reductions on
    tensors into few `linalg.generic`s, so that intermediate values stay in
    registers. Operations over the same iteration space become one with several
    results; cheap ones (arithmetic, broadcasts, constants) are recomputed
    where that saves memory traffic, expensive ones (`math.exp`) never.
    Contractions keep their own operation, to be matched to a BLAS call later.

    ```mlir
    %e = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
        ins(%x) outs(%0) { ... math.exp ... }
    %s = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction"]}
        ins(%e) outs(%zero) { ... arith.addf ... }
    return %e, %s
    // becomes
    %r:2 = linalg.generic {indexing_maps = [#id, #id, #scalar], iterator_types = ["reduction"]}
        ins(%x) outs(%0, %zero) { ... math.exp ... arith.addf ... }
    return %r#0, %r#1
    ```

    A result indexed by all iterators of a nest with reductions is written once
    per iteration and does not read its initial value.
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
  let statistics = [
    Statistic<"numInlined", "num-inlined", "Producers computed inside their consumers">,
    Statistic<"numMerged", "num-merged", "Operations merged with another of the same domain">
  ];
}

def GradDropBarriers : Pass<"grad-drop-barriers", "::mlir::func::FuncOp"> {
  let summary = "Replace grad.barrier by the values that it holds back";
  let description = [{
    What is computed once more in a reverse pass, so that it need not be kept,
    stays apart from what was computed before by a barrier:

    ```mlir
    %0 = linalg.generic {...} ins(%x)
    %1 = grad.barrier %x after %g
    %2 = linalg.generic {...} ins(%1)
    // becomes
    %0 = linalg.generic {...} ins(%x)
    %2 = linalg.generic {...} ins(%x)
    ```
    No pass that merges equal ops on tensors, or moves them, may follow.
  }];
}

def GradResultsToDestinations : Pass<"grad-results-to-destinations", "::mlir::ModuleOp"> {
  let summary = "Write the results of public functions to caller-provided buffers";
  let description = [{
    Turns each tensor result of a public function into a trailing `memref`
    argument, marked `grad.result`, that the function writes, and marks the
    other arguments as read-only. Run before bufferization, this lets
    `grad-bufferize` compute results in place; a result that is an
    argument, a constant, or the same value as another result becomes a copy.

    ```mlir
    func.func @main(%x: tensor<4xf64>) -> tensor<4xf64> {
      ...
      return %y : tensor<4xf64>
    }
    // becomes
    func.func @main(%x: tensor<4xf64> {bufferization.writable = false},
                    %out: memref<4xf64> {grad.result}) {
      ...
      bufferization.materialize_in_destination %y in restrict writable %out
      return
    }
    ```

    An argument with the attribute `grad.reused_for = n` is overwritten with
    result number `n`, of its type, which is no argument of its own then. The
    result is computed in it where nothing reads the old value afterwards.
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect",
                           "::mlir::memref::MemRefDialect",
                           "::mlir::tensor::TensorDialect"];
}

def GradCarryInPlace : Pass<"grad-carry-in-place", "::mlir::func::FuncOp"> {
  let summary = "Let loops on tensors write each next value to the one before";
  let description = [{
    Bufferization wants what a loop carries to stay in one buffer. A value that
    is computed anew is computed there:

    ```mlir
    scf.for ... iter_args(%x = %x0) -> tensor<4xf64> {
      %0 = linalg.generic {...} ins(%x) outs(%empty) { math.tanh }
      scf.yield %0 : tensor<4xf64>
    }
    // becomes
    scf.for ... iter_args(%x = %x0) -> tensor<4xf64> {
      %0 = linalg.generic {...} ins(%x) outs(%x) { math.tanh }
      scf.yield %0 : tensor<4xf64>
    }
    ```
    Where somebody else reads the old value meanwhile, `%empty` becomes an
    allocation, and a `tensor.insert_slice` at the end of the iteration writes
    the new value over the old one. Branches write to one tensor, and while
    loops pass on their tensors in the same places.
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect",
                           "::mlir::scf::SCFDialect",
                           "::mlir::tensor::TensorDialect"];
}

def GradBufferize : Pass<"grad-bufferize", "::mlir::ModuleOp"> {
  let summary = "Turn tensors into buffers, updated in place where their values die";
  let description = [{
    Upstream's `eliminate-empty-tensors` and `one-shot-bufferize`, with function
    boundaries and identity layouts, but with an analysis that takes time in
    proportion to the length of a function: in program order, an operation
    updates an operand in place if nothing reads a value of the same buffer
    later. Inside of loops and branches, and in programs with calls, upstream's
    analysis decides.

    ```mlir
    %e = tensor.empty() : tensor<4xf64>
    %0 = linalg.fill ins(%zero : f64) outs(%e : tensor<4xf64>) -> tensor<4xf64>
    %1 = tensor.insert_slice %x into %0[1] [2] [1] : tensor<2xf64> into tensor<4xf64>
    ```
    =>
    ```mlir
    %0 = memref.alloc() : memref<4xf64>
    linalg.fill ins(%zero : f64) outs(%0 : memref<4xf64>)
    %1 = memref.subview %0[1] [2] [1] : memref<4xf64> to memref<2xf64, strided<[1], offset: 1>>
    memref.copy %x, %1 : memref<2xf64> to memref<2xf64, strided<[1], offset: 1>>
    ```
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect",
                           "::mlir::memref::MemRefDialect",
                           "::mlir::tensor::TensorDialect"];
}

def GradSwapBuffers : Pass<"grad-swap-buffers", "::mlir::func::FuncOp"> {
  let summary = "Let loops swap two buffers where they would copy one to the other";
  let description = [{
    A loop whose next value is computed beside the one before, and copied, takes
    turns with two buffers:

    ```mlir
    scf.for ... {
      %t = memref.alloc() : memref<4096xf64>
      linalg.generic {...} ins(%x) outs(%t) { ... }
      memref.copy %t, %x
    }
    // becomes
    %y = memref.alloc() : memref<4096xf64>
    %r:2 = scf.for ... iter_args(%p = %x, %q = %y) {
      linalg.generic {...} ins(%p) outs(%q) { ... }
      scf.yield %q, %p
    }
    memref.copy %r#0, %x
    ```
    Buffers of less than 16 KiB are copied.
  }];
  let statistics = [
    Statistic<"numSwaps", "num-swaps", "Copies that became swaps">
  ];
  let dependentDialects = ["::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
}

def GradPlanMemory : Pass<"grad-plan-memory", "::mlir::ModuleOp"> {
  let summary = "Put all temporaries of a function into one statically sized arena";
  let description = [{
    Replaces every allocation of a public function on memrefs by a view of one
    arena, `memref<Nxi8>`, which becomes the last argument (also if N is 0). N is
    recorded as the function attribute `grad.arena_bytes`. Buffers that are not
    live at the same time share memory; a buffer that dies in the elementwise
    operation that writes another may be overwritten in place; temporaries that
    end in a result are computed in the memory of the result.

    ```mlir
    func.func @main(%x: memref<4xf64>, %out: memref<f64>) {
      %t = memref.alloc() : memref<4xf64>
      ...
    }
    // becomes
    func.func @main(%x: memref<4xf64>, %out: memref<f64>, %arena: memref<32xi8>)
        attributes {grad.arena_bytes = 32 : i64} {
      %c0 = arith.constant 0 : index
      %t = memref.view %arena[%c0][] : memref<32xi8> to memref<4xf64>
      ...
    }
    ```

    The arena has to be aligned to `alignment` bytes.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect"];
  let options = [
    Option<"alignment", "alignment", "int64_t", /*default=*/"::gradopt::kArenaAlignment",
           "Alignment of every buffer in bytes, a power of two">,
    Option<"inPlace", "in-place", "bool", /*default=*/"true",
           "Let an elementwise operation overwrite an operand that dies in it">,
    Option<"remarks", "remarks", "bool", /*default=*/"false",
           "Print the plan: a remark at each allocation">
  ];
  let statistics = [
    Statistic<"numForwarded", "num-forwarded", "Allocations moved into another buffer">,
    Statistic<"temporaryBytes", "temporary-bytes", "Bytes of all temporaries">,
    Statistic<"arenaBytes", "arena-bytes", "Bytes of the arenas">
  ];
}

//===----------------------------------------------------------------------===//
// Lowering
//===----------------------------------------------------------------------===//

def ConvertGradToLinalg : Pass<"convert-grad-to-linalg", "::mlir::func::FuncOp"> {
  let summary = "Lower the grad dialect to linalg on tensors";
  let description = [{
    Elementwise ops, those of arith and math on tensors, too, become
    `linalg.generic` with their scalar form as body,
    reductions and products `linalg.generic` in the memory order of their
    operands, slices `tensor.extract_slice` and `tensor.insert_slice`.
    Convolutions become loops that copy some windows into the columns of a
    matrix that fits the cache and multiply it with the kernel.
    Broadcasts, transposes and constants of one value are read through indexing
    maps:

    ```mlir
    %0 = grad.broadcast %b, shape = [4, 3], dimensions = [1] : tensor<3xf64> -> tensor<4x3xf64>
    %1 = grad.add %x, %0 : tensor<4x3xf64>
    ```
    =>
    ```mlir
    %1 = linalg.generic {indexing_maps = [(d0, d1) -> (d0, d1),
                                          (d0, d1) -> (d1), (d0, d1) -> (d0, d1)], ...}
           ins(%x, %b) outs(%empty) { arith.addf }
    ```
    Of upstream ops, those become others that mean more than bufferization takes
    them for: a `linalg.generic` that leaves a part of its init as it is, and a
    `tensor.pad` by negative numbers, which leaves elements out.
    Requests for derivatives must be gone (`grad-differentiate`).
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
    "::mlir::tensor::TensorDialect"
  ];
}

def GradAccumulateProducts
    : Pass<"grad-accumulate-products", "::mlir::func::FuncOp"> {
  let summary = "Let a product that is added to a dying tensor begin with it";
  let description = [{
    The initial value of a contraction, zeros, becomes what its result is added
    to, if that is a sum of products, a tensor with slices inserted, or a slice:

    ```mlir
    %p = linalg.generic ins(%a, %b) outs(%zeros) { mulf, addf }
    %q = linalg.generic ins(%c, %d) outs(%zeros) { mulf, addf }
    %s = linalg.generic ins(%p, %q) outs(%empty) { addf }
    ```
    =>
    ```mlir
    %p = linalg.generic ins(%a, %b) outs(%zeros) { mulf, addf }
    %s = linalg.generic ins(%c, %d) outs(%p) { mulf, addf }
    ```
  }];
  let statistics = [
    Statistic<"numAccumulated", "num-accumulated",
              "Products that add to something">
  ];
}

def GradBlockLoops : Pass<"grad-block-loops", "::mlir::func::FuncOp"> {
  let summary = "Run linalg ops over large buffers block by block";
  let description = [{
    Ops that follow each other with an outermost loop of the same size share one
    loop over blocks of it, so that an op finds in the cache what the one before
    left there. Temporaries shrink to one block.

    ```mlir
    linalg.generic ins(%x) outs(%max) { maximumf }
    linalg.generic ins(%x, %max) outs(%y) { subf, exp }
    ```
    =>
    ```mlir
    scf.for %i = %c0 to %c1000 step %c8 {
      %xi = memref.subview %x[%i, 0] [8, 1000] [1, 1]
      ...
      linalg.generic ins(%xi) outs(%maxi) { maximumf }
      linalg.generic ins(%xi, %maxi) outs(%yi) { subf, exp }
    }
    ```
    Matrix products stay whole.
  }];
  let statistics = [
    Statistic<"numGroups", "num-groups", "Number of loops over blocks made">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect"
  ];
}

def GradContractionsToBlas : Pass<"grad-contractions-to-blas", "ModuleOp"> {
  let summary = "Turn matrix products on buffers into BLAS calls";
  let description = [{
    A contraction of f32 or f64 buffers whose loops group into a matrix product
    that a leading dimension and a transposition flag for each operand can
    describe becomes a call, inside a loop for each batch dimension:

    ```mlir
    linalg.fill ins(%zero) outs(%c)
    linalg.generic {... (m, n, k) ...} ins(%a, %b) outs(%c) { mulf, addf }
    ```
    =>
    ```mlir
    func.call @gradopt_gemm_f64(%ta, %tb, %m, %n, %k, %pa, %lda, %pb, %ldb, %pc, %ldc, %beta)
    ```
    Buffers are passed as addresses; a zero fill becomes `beta = 0`. Products
    of fewer than `threshold` multiplications and products of a matrix and a
    vector stay loops.
  }];
  let options = [
    Option<"threshold", "threshold", "int64_t", /*default=*/"1024",
           "fewest scalar multiplications, per matrix product, worth a call">
  ];
  let statistics = [
    Statistic<"numCalls", "num-calls", "Number of BLAS calls made">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"
  ];
}

def GradOutlineKernels : Pass<"grad-outline-kernels", "::mlir::ModuleOp"> {
  let summary = "Make functions of parts of long programs, equal ones once";
  let description = [{
    Code generation takes more than linear time in the length of a function, and
    an unrolled loop is the same code again and again. In a public function with
    planned memory, each loop nest (`linalg` op, loop, copy) becomes a call if
    there are at least `min-nests` of them, or half as many different ones:

    ```mlir
    %a = memref.view %arena[%c0][] : memref<256xi8> to memref<16xf64>
    %b = memref.view %arena[%c128][] : memref<256xi8> to memref<16xf64>
    linalg.generic {...} ins(%x) outs(%a) { math.tanh }
    linalg.generic {...} ins(%a) outs(%b) { math.tanh }
    // becomes
    func.call @kernel(%x, %a)
    func.call @kernel(%a, %b)

    func.func private @kernel(%arg0: memref<16xf64> {llvm.noalias},
                              %arg1: memref<16xf64> {llvm.noalias}) {
      linalg.generic {...} ins(%arg0) outs(%arg1) { math.tanh }
      return
    }
    ```
    Of a view with static strides, the function gets the buffer and the offset.

    With at least `min-commands` nests and calls, in loops and branches too, a
    function becomes a list of commands: what is left of it, and of loops and
    branches that are as long themselves, are calls of kernels, matrix products,
    copies, and where buffers are. All else is in kernels, which may return
    numbers and buffers:

    ```mlir
    func.func @main(...) attributes {grad.arena_bytes = 640 : i64,
                                     grad.command_frame = 512 : i64} {
      %n = func.call @kernel(%x) : (memref<index>) -> index
      scf.for %i = %c0 to %n step %c1 {
        func.call @kernel_0(%x, %i)
        ...
      }
    }
    ```
    The arena has a place for the numbers at `grad.command_frame`, behind what
    was planned.
  }];
  let options = [
    Option<"minNests", "min-nests", "int64_t", /*default=*/"32",
           "fewest loop nests of a function that is taken apart in any case">,
    Option<"minCommands", "min-commands", "int64_t", /*default=*/"32",
           "fewest loop nests and calls of what becomes a list of commands">
  ];
  let statistics = [
    Statistic<"numCalls", "num-calls", "Parts of programs that became calls">,
    Statistic<"numKernels", "num-kernels", "Different functions made">
  ];
  let dependentDialects = [
    "::mlir::LLVM::LLVMDialect", "::mlir::arith::ArithDialect",
    "::mlir::func::FuncDialect", "::mlir::memref::MemRefDialect"
  ];
}

def GradEmitCommands : Pass<"grad-emit-commands", "::mlir::ModuleOp"> {
  let summary = "Replace a list of commands by a table for the runtime";
  let description = [{
    A function that `grad-outline-kernels` made a list becomes constant data,
    which `gradopt_run_commands` goes through; no code is generated for it.
    `runtime/Commands.h` has the format. With `remarks`, each command is
    reported:

    ```mlir
    func.call @kernel(%a, %b)
    ```
    =>
    ```mlir
    // remark: 0: launch @kernel(buffer0, arena + 128)
    llvm.mlir.global internal constant @gradopt_commands(dense<...>)
        {grad.kernels = [@kernel]} : !llvm.array<13 x i64>
    ```
  }];
  let options = [
    Option<"function", "function", "std::string", /*default=*/"\"main\"",
           "The function to replace">,
    Option<"remarks", "remarks", "bool", /*default=*/"false",
           "report each command">
  ];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def GradBuffersToLoops : Pass<"grad-buffers-to-loops", "::mlir::func::FuncOp"> {
  let summary = "Lower linalg on buffers to loops of loads and stores";
  let description = [{
    Loops nest in the order of the iterators. A copy between buffers that are
    not contiguous becomes loops as well, a view becomes arithmetic on strides.

    ```mlir
    linalg.generic {...} ins(%x) outs(%y) { math.tanh }
    ```
    =>
    ```mlir
    scf.for %i = %c0 to %c4 step %c1 {
      %0 = memref.load %x[%i]
      %1 = math.tanh %0
      memref.store %1, %y[%i]
    }
    ```
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect"
  ];
}

def ConvertBuffersToLLVM : Pass<"convert-buffers-to-llvm", "ModuleOp"> {
  let summary = "Lower loops on buffers to the LLVM dialect";
  let description = [{
    One conversion for the scf, cf, affine, arith, math, memref and func
    dialects. Buffers become bare pointers; those of public functions are marked
    `noalias`, with size and alignment. Bools are bytes in memory.

    ```mlir
    func.func @main(%x: memref<4xf64>, %y: memref<4xf64>)
    ```
    =>
    ```mlir
    llvm.func @main(%x: !llvm.ptr {llvm.noalias, llvm.align = 8 : i64,
                                   llvm.dereferenceable = 32 : i64}, ...)
    ```
  }];
  let options = [
    Option<"fastMath", "fast-math", "bool", /*default=*/"false",
           "Calculate with floats as with real numbers">
  ];
  let dependentDialects = [
    "::mlir::LLVM::LLVMDialect", "::mlir::arith::ArithDialect",
    "::mlir::cf::ControlFlowDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect"
  ];
}

def GradEmitEntry : Pass<"grad-emit-entry", "ModuleOp"> {
  let summary = "Add the C entry point gradopt_main";
  let description = [{
    The entry point takes an array of pointers, arguments first, then results,
    then the arena, and returns a status, 0. The function that it calls becomes
    internal, and takes the array too if it has many parameters: each is loaded
    where it is used. For a table of commands, the entry point calls the runtime
    with it, and each kernel gets a function that takes an array of operands.
    Without such a function or table there is nothing to do.

    ```mlir
    llvm.func @gradopt_main(%buffers: !llvm.ptr) -> i32 {
      %x = llvm.load %buffers
      ...
      llvm.call @main(%x, ...)
      %ok = llvm.mlir.constant(0 : i32) : i32
      llvm.return %ok
    }
    ```
  }];
  let options = [
    Option<"function", "function", "std::string", /*default=*/"\"main\"",
           "The function to call">,
    Option<"entry", "entry", "std::string", /*default=*/"::gradopt::kEntryName",
           "The name of the entry point">,
    Option<"maxParameters", "max-parameters", "unsigned", /*default=*/"256",
           "Most pointers that the function gets as parameters">
  ];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def ConvertMathToGradopt : Pass<"convert-math-to-gradopt", "ModuleOp"> {
  let summary = "Turn scalar elementary functions into calls";
  let description = [{
    The elementary functions of the math dialect, on scalars, become calls of
    the library that code generation links in as bitcode and inlines:

    ```mlir
    %0 = math.tanh %x : f64
    ```
    =>
    ```mlir
    func.func private @gradopt_tanh_f64(f64) -> f64 attributes {llvm.readnone}
    %0 = call @gradopt_tanh_f64(%x) : (f64) -> f64
    ```
    Floats narrower than f32 are computed in f32. `rsqrt`, `isnan`, `isinf` and
    `isfinite` become arithmetic. What LLVM has an exact intrinsic for is left
    to `convert-math-to-llvm`, and so are operations on vectors.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::math::MathDialect"
  ];
}

#endif // GRADOPT_PASSES_TD
