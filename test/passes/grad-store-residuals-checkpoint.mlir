// RUN: gradopt %s --grad-linearize --grad-store-residuals -split-input-file | FileCheck %s
// RUN: gradopt %s --grad-linearize --grad-store-residuals --grad-transpose -split-input-file | FileCheck %s --check-prefix=ADJOINT
// RUN: gradopt %s --grad-to-adjoint --grad-to-simplified -split-input-file | FileCheck %s --check-prefix=SIMPLE

// The linear part has a copy of what the region computes; its transpose begins
// with a barrier, which keeps the copy apart from the original.
func.func private @nothing(%x: tensor<8xf64>) -> tensor<8xf64> {
  %r = scf.execute_region -> tensor<8xf64> no_inline {
    %0 = grad.sin %x : tensor<8xf64>
    %1 = grad.exp %0 : tensor<8xf64>
    scf.yield %1 : tensor<8xf64>
  } {grad.checkpoint = "nothing"}
  return %r : tensor<8xf64>
}
// CHECK-LABEL: func.func @stores_nothing
// CHECK-SAME: %[[X:.*]]: tensor<8xf64>, %[[G:.*]]: tensor<8xf64>
// ADJOINT-LABEL: func.func @stores_nothing
// ADJOINT-SAME: %[[X:.*]]: tensor<8xf64>, %[[G:.*]]: tensor<8xf64>
// SIMPLE-LABEL: func.func @stores_nothing
// SIMPLE-SAME: %[[X:.*]]: tensor<8xf64>, %[[G:.*]]: tensor<8xf64>
func.func @stores_nothing(%x: tensor<8xf64>, %g: tensor<8xf64>) -> (tensor<8xf64>, tensor<8xf64>) {
  // CHECK: %[[R:.*]] = scf.execute_region -> tensor<8xf64> no_inline
  // CHECK-NEXT: grad.sin %[[X]]
  // CHECK-NEXT: grad.exp
  // CHECK-NEXT: scf.yield %{{.*}} : tensor<8xf64>
  // CHECK: grad.transposed(%[[G]])
  // CHECK: scf.execute_region -> tensor<8xf64> no_inline
  // CHECK: %[[S:.*]] = grad.sin %[[X]]
  // CHECK: %[[E:.*]] = grad.exp %[[S]]
  // CHECK: %[[C:.*]] = grad.cos %[[X]]
  // CHECK: grad.multiply %{{.*}}, %[[C]]
  // CHECK: grad.multiply %{{.*}}, %[[E]]
  // ADJOINT: scf.execute_region
  // ADJOINT: scf.execute_region
  // ADJOINT-NEXT: %[[B:.*]] = grad.barrier %[[X]] after %[[G]]
  // ADJOINT-NEXT: grad.sin %[[B]]
  // SIMPLE-NOT: execute_region
  // SIMPLE: %[[S:.*]] = grad.sin %[[X]]
  // SIMPLE: grad.exp %[[S]]
  // SIMPLE: %[[B:.*]] = grad.barrier %[[X]] after %[[G]]
  // SIMPLE: grad.sin %[[B]]
  %0:2 = grad.vjp @nothing(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<8xf64>, tensor<8xf64>) -> (tensor<8xf64>, tensor<8xf64>)
  return %0#0, %0#1 : tensor<8xf64>, tensor<8xf64>
}

// -----

// The product is stored, and computed once.
func.func private @dots(%x: tensor<8xf64>, %w: tensor<8x8xf64>) -> tensor<8xf64> {
  %r = scf.execute_region -> tensor<8xf64> no_inline {
    %0 = grad.dot_general %w, %x, batch = [] x [], contract = [1] x [0] : tensor<8x8xf64>, tensor<8xf64> -> tensor<8xf64>
    %1 = grad.sin %0 : tensor<8xf64>
    %2 = grad.exp %1 : tensor<8xf64>
    scf.yield %2 : tensor<8xf64>
  } {grad.checkpoint = "dots"}
  return %r : tensor<8xf64>
}
// CHECK-LABEL: func.func @stores_dots
// SIMPLE-LABEL: func.func @stores_dots
func.func @stores_dots(%x: tensor<8xf64>, %w: tensor<8x8xf64>, %g: tensor<8xf64>) -> (tensor<8xf64>, tensor<8xf64>) {
  // CHECK: %[[R:.*]]:2 = scf.execute_region
  // CHECK: %[[DOT:.*]] = grad.dot_general
  // CHECK: scf.yield %{{.*}}, %[[DOT]]
  // CHECK: grad.transposed
  // CHECK: grad.sin %[[R]]#1
  // CHECK: grad.cos %[[R]]#1
  // SIMPLE: %[[DOT:.*]] = grad.dot_general
  // SIMPLE: grad.barrier
  // SIMPLE-COUNT-1: grad.dot_general
  // SIMPLE-NOT: grad.dot_general
  %0:2 = grad.vjp @dots(%x, %w), cotangents(%g), wrt = [0], of = [0] : (tensor<8xf64>, tensor<8x8xf64>, tensor<8xf64>) -> (tensor<8xf64>, tensor<8xf64>)
  return %0#0, %0#1 : tensor<8xf64>, tensor<8xf64>
}

// -----

// In a loop the products of all iterations are stored, and the copy of the loop
// has none; a branch has them where it is taken.
func.func private @loop(%x: tensor<8xf64>, %w: tensor<8x8xf64>, %c: i1) -> tensor<8xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %r = scf.execute_region -> tensor<8xf64> no_inline {
    %s = scf.for %i = %c0 to %c5 step %c1 iter_args(%h = %x) -> (tensor<8xf64>) {
      %b = scf.if %c -> (tensor<8xf64>) {
        %0 = grad.dot_general %w, %h, batch = [] x [], contract = [1] x [0] : tensor<8x8xf64>, tensor<8xf64> -> tensor<8xf64>
        %1 = grad.tanh %0 : tensor<8xf64>
        scf.yield %1 : tensor<8xf64>
      } else {
        scf.yield %h : tensor<8xf64>
      }
      scf.yield %b : tensor<8xf64>
    }
    scf.yield %s : tensor<8xf64>
  } {grad.checkpoint = "dots"}
  return %r : tensor<8xf64>
}
// CHECK-LABEL: func.func @stores_a_stack
// SIMPLE-LABEL: func.func @stores_a_stack
func.func @stores_a_stack(%x: tensor<8xf64>, %w: tensor<8x8xf64>, %c: i1, %g: tensor<8xf64>) -> (tensor<8xf64>, tensor<8xf64>) {
  // CHECK: %[[R:.*]]:2 = scf.execute_region -> (tensor<8xf64>, tensor<5x8xf64>)
  // CHECK: scf.for
  // CHECK: scf.if
  // CHECK: %[[DOT:.*]] = grad.dot_general
  // CHECK: scf.yield %{{.*}}, %[[DOT]]
  // CHECK: grad.transposed
  // CHECK: scf.execute_region
  // CHECK: scf.for
  // CHECK: grad.dynamic_slice %[[R]]#1
  // CHECK-NOT: grad.copy
  // SIMPLE: grad.dot_general
  // SIMPLE: grad.barrier
  // SIMPLE-COUNT-1: grad.dot_general
  // SIMPLE-NOT: grad.dot_general
  %0:2 = grad.vjp @loop(%x, %w, %c), cotangents(%g), wrt = [0], of = [0] : (tensor<8xf64>, tensor<8x8xf64>, i1, tensor<8xf64>) -> (tensor<8xf64>, tensor<8xf64>)
  return %0#0, %0#1 : tensor<8xf64>, tensor<8xf64>
}

// -----

// In forward mode tangents stand beside the values, in the region.
func.func private @forward(%x: tensor<8xf64>) -> tensor<8xf64> {
  %r = scf.execute_region -> tensor<8xf64> no_inline {
    %0 = grad.sin %x : tensor<8xf64>
    scf.yield %0 : tensor<8xf64>
  } {grad.checkpoint = "nothing"}
  return %r : tensor<8xf64>
}
// CHECK-LABEL: func.func @tangents
// CHECK-SAME: %[[X:.*]]: tensor<8xf64>, %[[T:.*]]: tensor<8xf64>
func.func @tangents(%x: tensor<8xf64>, %t: tensor<8xf64>) -> tensor<8xf64> {
  // CHECK: %[[R:.*]]:2 = scf.execute_region -> (tensor<8xf64>, tensor<8xf64>) no_inline
  // CHECK: %[[Y:.*]] = grad.sin %[[X]]
  // CHECK: %[[C:.*]] = grad.cos %[[X]]
  // CHECK: %[[D:.*]] = grad.multiply %[[T]], %[[C]]
  // CHECK: scf.yield %[[Y]], %[[D]]
  // CHECK: return %[[R]]#1
  %0:2 = grad.jvp @forward(%x), tangents(%t), wrt = [0], of = [0] : (tensor<8xf64>, tensor<8xf64>) -> (tensor<8xf64>, tensor<8xf64>)
  return %0#1 : tensor<8xf64>
}
