//===- LinalgPasses.td - From simplified to linalg ---------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_LINALG_PASSES_TD
#define GRADOPT_PASSES_LINALG_PASSES_TD

include "mlir/Pass/PassBase.td"

def GradFillAccessed : Pass<"grad-fill-accessed", "::mlir::func::FuncOp"> {
  let summary = "Fill arrays as far as loops access them";
  let description = [{
    An array of one number in all places, of which loops with bounds that are known
    at run time access parts, is filled as far as they do:

    ```mlir
    %zeros = grad.constant dense<0.0> : tensor<1000x3xf64>
    %1 = scf.for %i = %c0 to %n step %c1 iter_args(%m = %zeros) -> (tensor<1000x3xf64>) {
      ...
      %2 = grad.dynamic_add_slice %m, %row[%i, %zero] : tensor<1000x3xf64>, tensor<1x3xf64>
      scf.yield %2
    }
    // becomes
    %room = tensor.empty() : tensor<1000x3xf64>
    %zeros = scf.for %i = %c0 to %end step %c1 iter_args(%m = %room) -> (tensor<1000x3xf64>) {
      %2 = grad.dynamic_update_slice %m, %row_of_zeros[%i, %zero] : tensor<1000x3xf64>, tensor<1x3xf64>
      scf.yield %2
    }
    ```
    with `%end` as the maximum of 1 and `%n`, but 1000 at most. The attribute `grad.result_sizes` of a
    function says of which results another one is the size; nobody looks at more of these.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect",
                           "::mlir::scf::SCFDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [
    Statistic<"numFilled", "num-filled", "Arrays that are not filled as a whole">
  ];
}

def GradReadLastVersions : Pass<"grad-read-last-versions", "::mlir::func::FuncOp"> {
  let summary = "Read arrays where loops have updated other parts of them";
  let description = [{
    A loop that updates an array does that in place, if nobody reads behind it what
    the array was before. Who reads a part that the loop does not write to reads
    what it makes of the array:

    ```mlir
    %1 = scf.for %i = %m to %n step %c1 iter_args(%a = %0) -> (tensor<9xf64>) {
      ...
      %2 = grad.dynamic_update_slice %a, %x[%i] {grad.in_bounds}
      scf.yield %2
    }
    scf.for %j = %c0 to %m step %c1 {
      %3 = grad.dynamic_slice %0[%j], sizes = [1] {grad.in_bounds}
      // becomes
      %3 = grad.dynamic_slice %1[%j], sizes = [1] {grad.in_bounds}
    ```
  }];
  let statistics = [
    Statistic<"numMoved", "num-moved", "Arrays that are read behind a loop">
  ];
}

def ConvertGradToLinalg : Pass<"convert-grad-to-linalg", "::mlir::func::FuncOp"> {
  let summary = "Lower the grad dialect to linalg on tensors";
  let description = [{
    Elementwise ops, those of arith and math on tensors, too, become
    `linalg.generic` with their scalar form as body,
    reductions and products `linalg.generic` in the memory order of their
    operands, slices `tensor.extract_slice` and `tensor.insert_slice`.
    Convolutions become loops that copy some windows into the columns of a
    matrix that fits the cache and multiply it with the kernel; with
    `for-device`, each becomes one `linalg.generic` that reads windows where
    they are.
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
    Unsigned integers become those without a sign that arith knows, here and in
    the types of the function; ops such as `arith.maxui` say what they are.
    Of upstream ops, those become others that mean more than bufferization takes
    them for: a `linalg.generic` that leaves a part of its init as it is, and a
    `tensor.pad` by negative numbers, which leaves elements out.
    Requests for derivatives must be gone (`grad-differentiate`).
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::complex::ComplexDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect", "::mlir::scf::SCFDialect",
    "::mlir::tensor::TensorDialect"
  ];
  let options = [
    Option<"forDevice", "for-device", "bool", /*default=*/"false",
           "Whether the program is for a GPU">
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
    Code outside of loops and branches stays as it is. With `for-device`, complex
    numbers are not carried as scalars: lists of commands have no registers for
    them.
  }];
  let options = [
    Option<"forDevice", "for-device", "bool", /*default=*/"false",
           "Whether the program is for a GPU">
  ];
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
  let options = [
    Option<"separateReductions", "separate-reductions", "bool",
           /*default=*/"false",
           "keep reductions along different loops apart, so that threads can "
           "share each">,
    Option<"writeTransposed", "write-transposed", "bool", /*default=*/"false",
           "let products write their results transposed">
  ];
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

#endif // GRADOPT_PASSES_LINALG_PASSES_TD
