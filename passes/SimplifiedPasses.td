//===- SimplifiedPasses.td - From adjoint to simplified ----*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_SIMPLIFIED_PASSES_TD
#define GRADOPT_PASSES_SIMPLIFIED_PASSES_TD

include "mlir/Pass/PassBase.td"

def GradCse : Pass<"grad-cse"> {
  let summary = "Compute equal values once";
  let description = [{
    An op without effects whose equal is known, in its block or one around it,
    is replaced by that; what nobody uses is erased:

    ```mlir
    %0 = grad.sin %x
    %1 = grad.sin %x
    %2 = grad.multiply %0, %1
    // becomes
    %0 = grad.sin %x
    %2 = grad.multiply %0, %0
    ```

    This is upstream's `cse` for values, with time linear in the number of ops
    whose bodies differ only in what they read from outside of them, such as
    gathers and loops. Reads of memory are left to `cse`.
  }];
  let statistics = [
    Statistic<"numMerged", "num-merged", "Ops replaced by equal ones">,
    Statistic<"numErased", "num-erased", "Ops without uses">
  ];
}

def GradCanonicalize : Pass<"grad-canonicalize"> {
  let summary = "Apply folds and the canonicalization patterns of all dialects";
  let description = [{
    What `canonicalize` does, without simplification of regions. The patterns
    are collected once for a context, and not by each pass anew, which is a
    tenth of the time to compile a small program.
  }];
  let dependentDialects = ["::mlir::grad::GradDialect"];
  let options = [
    Option<"topDown", "top-down", "bool", /*default=*/"false",
           "Begin with the first op, not with the last one">
  ];
}

def GradPlaceSlices : Pass<"grad-place-slices", "::mlir::func::FuncOp"> {
  let summary = "Choose how a sum of slices is computed";
  let description = [{
    The cotangents of slices of one value are a chain of `grad.add_slice`, mostly on
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
    become a sum of `grad.pad`, which is one loop (`grad-share-pads`). So do
    three or more such slices of one value, or of linear functions of it, in a
    chain that does not begin with zeros. What is left is added in place. A zero may
    change its sign.

    The cotangents of `x[i] = f(x[i - 1])` in a loop are a slice, zeros in its
    place, and a sum in another one. The zeros come last, so that the slice is
    read where it is:

    ```mlir
    %a = grad.dynamic_slice %x[%i]
    %b = grad.multiply %a, %f
    %0 = grad.dynamic_update_slice %x, %zeros[%i]
    %1 = grad.dynamic_add_slice %0, %b[%i_1]
    ```
    =>
    ```mlir
    %0 = grad.dynamic_add_slice %x, %b[%i_1]
    %1 = grad.dynamic_update_slice %0, %zeros[%i]
    ```
    An innermost loop that adds to an array in two places, of which one moves
    forwards and the other one backwards, as for `y[i] + a * y[n - i]`, becomes
    two. In one, no iteration could begin before the one before has ended, as
    these places may meet:

    ```mlir
    %r = scf.for %i = ... iter_args(%s = %zeros) {
      %0 = grad.dynamic_add_slice %s, %u[%n_i]
      %1 = grad.dynamic_add_slice %0, %v[%i]
      scf.yield %1
    }
    ```
    =>
    ```mlir
    %q = scf.for %i = ... iter_args(%s = %zeros) {
      %1 = grad.dynamic_add_slice %s, %v[%i]
      scf.yield %1
    }
    %r = scf.for %i = ... iter_args(%s = %q) {
      %0 = grad.dynamic_add_slice %s, %u[%n_i]
      scf.yield %0
    }
    ```
    Both loops compute what they need of the summands.
  }];
  let dependentDialects = ["::mlir::grad::GradDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [
    Statistic<"numReplaced", "num-replaced",
              "Slices that replace zeros instead of being added to them">,
    Statistic<"numPadded", "num-padded", "Slices that became pads">
  ];
}

def GradSharePads : Pass<"grad-share-pads", "::mlir::func::FuncOp"> {
  let summary = "Make shifted pads of one value slices of one pad";
  let description = [{
    The gradient of a stencil is a sum of pads with zeros of the same value, or
    of linear functions of it, such as a multiple. They become views of one pad:

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

    Of the values that the others are functions of, the one is padded from which
    they take fewest operations: what is a factor of all is multiplied with once.
    Where the borders would be larger than half of the value, nothing is done.
    Zeros of a border may change their sign by a negative factor.
  }];
  let statistics = [
    Statistic<"numShared", "num-shared", "Pads that became slices">
  ];
}

def GradSliceOperands : Pass<"grad-slice-operands", "::mlir::func::FuncOp"> {
  let summary = "Compute slices of what is cheap from slices of its operands";
  let description = [{
    What is read through slices is in memory. If it is large (1 MiB), nothing
    else reads it, and to compute its elements for each slice anew takes few
    ops more, the slices are computed instead, which are fused with what reads
    them:

    ```mlir
    %s = grad.add %x, %y
    %a = grad.slice %s, offsets = [1], sizes = [999999], strides = [1]
    %b = grad.slice %s, offsets = [0], sizes = [999999], strides = [1]
    %d = grad.subtract %a, %b
    // becomes
    %x1 = grad.slice %x, offsets = [1], sizes = [999999], strides = [1]
    %y1 = grad.slice %y, offsets = [1], sizes = [999999], strides = [1]
    %a = grad.add %x1, %y1
    %x0 = grad.slice %x, offsets = [0], sizes = [999999], strides = [1]
    %y0 = grad.slice %y, offsets = [0], sizes = [999999], strides = [1]
    %b = grad.add %x0, %y0
    %d = grad.subtract %a, %b
    ```
  }];
  let statistics = [
    Statistic<"numComputed", "num-computed", "Slices that are computed">
  ];
}

def GradChooseLayouts : Pass<"grad-choose-layouts", "::mlir::func::FuncOp"> {
  let summary = "Store arrays so that loops go along their last dimension";
  let description = [{
    A loop that reads and writes columns of an array touches as many cache lines
    as there are elements. If that outweighs the copies that are needed where
    something else makes the array or reads it as a whole, another dimension
    becomes the last one, in all that loops, branches, updates and stacks pass
    on:

    ```mlir
    %p = scf.for %j = ... iter_args(%a = %zeros) -> (tensor<200x100xf64>) {
      %c = grad.dynamic_slice %a[%0, %i], sizes = [200, 1]
      ...
      %b = grad.dynamic_update_slice %a, %d[%0, %j]
    ```
    =>
    ```mlir
    %p = scf.for %j = ... iter_args(%a = %zeros) -> (tensor<100x200xf64>) {
      %c = grad.dynamic_slice %a[%i, %0], sizes = [1, 200]
      ...
      %b = grad.dynamic_update_slice %a, %d[%j, %0]
    ```
    Loops whose iterations access one element each, of such a column, count as
    one that reads or writes it.
  }];
  let dependentDialects = ["::mlir::grad::GradDialect",
                           "::mlir::tensor::TensorDialect"];
  let statistics = [
    Statistic<"numExchanged", "num-exchanged", "Arrays that are stored otherwise">
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

#endif // GRADOPT_PASSES_SIMPLIFIED_PASSES_TD
