// RUN: gradopt %s --grad-linearize --grad-store-residuals=remarks -split-input-file -verify-diagnostics | FileCheck %s

// What loops and branches store for their linear parts.

// The state and the next one are one stack, of which 1 - h * h is a function.
func.func private @cell(%w: tensor<8x8xf64>, %start: tensor<8xf64>) -> tensor<8xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<8xf64>'}}
  %r = scf.for %i = %c0 to %c5 step %c1 iter_args(%h = %start) -> (tensor<8xf64>) {
    %0 = grad.dot_general %w, %h, batch = [] x [], contract = [1] x [0] : tensor<8x8xf64>, tensor<8xf64> -> tensor<8xf64>
    %1 = grad.tanh %0 : tensor<8xf64>
    scf.yield %1 : tensor<8xf64>
  }
  return %r : tensor<8xf64>
}
// CHECK-LABEL: func.func @one_stack
// CHECK-SAME: %{{.*}}: tensor<8x8xf64>, %[[START:.*]]: tensor<8xf64>, %{{.*}}: tensor<8xf64>
func.func @one_stack(%w: tensor<8x8xf64>, %start: tensor<8xf64>, %g: tensor<8xf64>) -> (tensor<8x8xf64>, tensor<8xf64>) {
  // CHECK: %[[EMPTY:.*]] = tensor.empty() : tensor<6x8xf64>
  // CHECK: %[[FIRST:.*]] = grad.reshape %[[START]]
  // CHECK: %[[STACK:.*]] = grad.dynamic_update_slice %[[EMPTY]], %[[FIRST]]
  // CHECK: %[[L:.*]]:2 = scf.for {{.*}} iter_args({{.*}}, %[[S:.*]] = %[[STACK]])
  // CHECK: %[[NEXT:.*]] = grad.tanh
  // CHECK: %[[V:.*]] = grad.reshape %[[NEXT]]
  // CHECK: grad.dynamic_update_slice %[[S]], %[[V]]
  // CHECK: grad.transposed
  // CHECK: scf.for
  // CHECK: grad.dynamic_slice %[[L]]#1
  // CHECK: grad.dynamic_slice %[[L]]#1
  // CHECK: %[[H:.*]] = grad.reshape
  // CHECK: %[[SQUARE:.*]] = grad.multiply %[[H]], %[[H]]
  // CHECK: grad.subtract %{{.*}}, %[[SQUARE]]
  %0:3 = grad.vjp @cell(%w, %start), cotangents(%g), wrt = [0, 1], of = [0] : (tensor<8x8xf64>, tensor<8xf64>, tensor<8xf64>) -> (tensor<8xf64>, tensor<8x8xf64>, tensor<8xf64>)
  return %0#1, %0#2 : tensor<8x8xf64>, tensor<8xf64>
}

// -----

// The state is smaller than the differences that follow from it.
func.func private @bodies(%start: tensor<40xf64>) -> tensor<40xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<40xf64>'}}
  %r = scf.for %i = %c0 to %c5 step %c1 iter_args(%h = %start) -> (tensor<40xf64>) {
    %0 = grad.broadcast %h, shape = [40, 40], dimensions = [0] : tensor<40xf64> -> tensor<40x40xf64>
    %1 = grad.broadcast %h, shape = [40, 40], dimensions = [1] : tensor<40xf64> -> tensor<40x40xf64>
    %2 = grad.subtract %0, %1 : tensor<40x40xf64>
    %3 = grad.multiply %2, %2 : tensor<40x40xf64>
    %4 = grad.reduce_sum %3, dimensions = [1] : tensor<40x40xf64> -> tensor<40xf64>
    scf.yield %4 : tensor<40xf64>
  }
  return %r : tensor<40xf64>
}
func.func @differences(%start: tensor<40xf64>, %g: tensor<40xf64>) -> tensor<40xf64> {
  %0:2 = grad.vjp @bodies(%start), cotangents(%g), wrt = [0], of = [0] : (tensor<40xf64>, tensor<40xf64>) -> (tensor<40xf64>, tensor<40xf64>)
  return %0#1 : tensor<40xf64>
}

// -----

// Of an array that is updated in place, the part that is overwritten.
func.func private @in_place(%start: tensor<100xf64>) -> tensor<100xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %r = scf.for %i = %c0 to %c5 step %c1 iter_args(%x = %start) -> (tensor<100xf64>) {
    %word = arith.index_cast %i : index to i64
    %n = tensor.from_elements %word : tensor<i64>
    %0 = grad.dynamic_slice %x[%n], sizes = [1] : tensor<100xf64> -> tensor<1xf64>
    // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<1xf64>'}}
    %1 = grad.sin %0 : tensor<1xf64>
    %2 = grad.dynamic_update_slice %x, %1[%n] : tensor<100xf64>, tensor<1xf64>
    scf.yield %2 : tensor<100xf64>
  }
  return %r : tensor<100xf64>
}
func.func @overwritten(%start: tensor<100xf64>, %g: tensor<100xf64>) -> tensor<100xf64> {
  %0:2 = grad.vjp @in_place(%start), cotangents(%g), wrt = [0], of = [0] : (tensor<100xf64>, tensor<100xf64>) -> (tensor<100xf64>, tensor<100xf64>)
  return %0#1 : tensor<100xf64>
}

// -----

// What is the same in all iterations is computed once, in front of the loop.
// CHECK-LABEL: func.func @hoisted
func.func @hoisted(%start: tensor<8xf64>, %h: tensor<8xf64>, %g: tensor<8xf64>) -> tensor<8xf64> {
  // CHECK: %[[E:.*]] = grad.exp
  // CHECK: scf.for
  // CHECK-NOT: grad.exp
  // CHECK: grad.multiply %{{.*}}, %[[E]]
  // CHECK: grad.transposed
  // CHECK: scf.for
  // CHECK: grad.multiply %{{.*}}, %[[E]]
  %0:2 = grad.vjp @constant_factor(%start, %h), cotangents(%g), wrt = [1], of = [0] : (tensor<8xf64>, tensor<8xf64>, tensor<8xf64>) -> (tensor<8xf64>, tensor<8xf64>)
  return %0#1 : tensor<8xf64>
}
func.func private @constant_factor(%a: tensor<8xf64>, %start: tensor<8xf64>) -> tensor<8xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %r = scf.for %i = %c0 to %c5 step %c1 iter_args(%h = %start) -> (tensor<8xf64>) {
    %0 = grad.exp %a : tensor<8xf64>
    %1 = grad.multiply %h, %0 : tensor<8xf64>
    scf.yield %1 : tensor<8xf64>
  }
  return %r : tensor<8xf64>
}

// -----

// An array of results that holds the value anyway is used as it is.
func.func private @stacked(%start: tensor<8xf64>) -> (tensor<8xf64>, tensor<5x8xf64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %zero = grad.constant dense<0> : tensor<i64>
  %empty = tensor.empty() : tensor<5x8xf64>
  %r:2 = scf.for %i = %c0 to %c5 step %c1 iter_args(%h = %start, %ys = %empty) -> (tensor<8xf64>, tensor<5x8xf64>) {
    %word = arith.index_cast %i : index to i64
    %n = tensor.from_elements %word : tensor<i64>
    %0 = grad.exp %h : tensor<8xf64>
    %1 = grad.reshape %0, shape = [1, 8] : tensor<8xf64> -> tensor<1x8xf64>
    %2 = grad.dynamic_update_slice %ys, %1[%n, %zero] : tensor<5x8xf64>, tensor<1x8xf64>
    scf.yield %0, %2 : tensor<8xf64>, tensor<5x8xf64>
  }
  return %r#0, %r#1 : tensor<8xf64>, tensor<5x8xf64>
}
// CHECK-LABEL: func.func @shared
func.func @shared(%start: tensor<8xf64>, %g: tensor<8xf64>, %gs: tensor<5x8xf64>) -> (tensor<5x8xf64>, tensor<8xf64>) {
  // CHECK-COUNT-1: tensor.empty
  // CHECK-NOT: tensor.empty
  // CHECK: %[[L:.*]]:2 = scf.for
  // CHECK: grad.transposed
  // CHECK: scf.for
  // CHECK: grad.dynamic_slice %[[L]]#1
  %0:3 = grad.vjp @stacked(%start), cotangents(%g, %gs), wrt = [0], of = [0, 1] : (tensor<8xf64>, tensor<8xf64>, tensor<5x8xf64>) -> (tensor<8xf64>, tensor<5x8xf64>, tensor<8xf64>)
  return %0#1, %0#2 : tensor<5x8xf64>, tensor<8xf64>
}

// -----

// Residuals of different branches share a result.
func.func private @branch(%x: tensor<8xf64>, %p: tensor<i1>) -> tensor<8xf64> {
  %c = tensor.extract %p[] : tensor<i1>
  %r = scf.if %c -> (tensor<8xf64>) {
    // expected-remark @+1 {{stored for the derivative of scf.if: 'tensor<8xf64>'}}
    %0 = grad.sin %x : tensor<8xf64>
    scf.yield %0 : tensor<8xf64>
  } else {
    // expected-remark @+1 {{stored for the derivative of scf.if: 'tensor<8xf64>'}}
    %0 = grad.sinh %x : tensor<8xf64>
    scf.yield %0 : tensor<8xf64>
  }
  return %r : tensor<8xf64>
}
// CHECK-LABEL: func.func @branches
func.func @branches(%x: tensor<8xf64>, %p: tensor<i1>, %g: tensor<8xf64>) -> tensor<8xf64> {
  // CHECK: %[[B:.*]]:2 = scf.if
  // CHECK: grad.transposed
  // CHECK: scf.if
  // CHECK-NEXT: grad.multiply %{{.*}}, %[[B]]#1
  // CHECK: else
  // CHECK-NEXT: grad.multiply %{{.*}}, %[[B]]#1
  %0:2 = grad.vjp @branch(%x, %p), cotangents(%g), wrt = [0], of = [0] : (tensor<8xf64>, tensor<i1>, tensor<8xf64>) -> (tensor<8xf64>, tensor<8xf64>)
  return %0#1 : tensor<8xf64>
}

// -----

// A result that the branch has anyway is used as it is.
func.func private @result(%x: tensor<8xf64>, %p: tensor<i1>) -> tensor<8xf64> {
  %c = tensor.extract %p[] : tensor<i1>
  %r = scf.if %c -> (tensor<8xf64>) {
    %0 = grad.exp %x : tensor<8xf64>
    scf.yield %0 : tensor<8xf64>
  } else {
    scf.yield %x : tensor<8xf64>
  }
  return %r : tensor<8xf64>
}
// CHECK-LABEL: func.func @results
func.func @results(%x: tensor<8xf64>, %p: tensor<i1>, %g: tensor<8xf64>) -> tensor<8xf64> {
  // CHECK: %[[B:.*]] = scf.if
  // CHECK: grad.transposed
  // CHECK: scf.if
  // CHECK-NEXT: grad.multiply %{{.*}}, %[[B]] :
  %0:2 = grad.vjp @result(%x, %p), cotangents(%g), wrt = [0], of = [0] : (tensor<8xf64>, tensor<i1>, tensor<8xf64>) -> (tensor<8xf64>, tensor<8xf64>)
  return %0#1 : tensor<8xf64>
}

// -----

// The induction variable is that of the linear loop.
func.func private @by_number(%start: tensor<8xf64>) -> tensor<8xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %r = scf.for %i = %c0 to %c5 step %c1 iter_args(%h = %start) -> (tensor<8xf64>) {
    // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<8xf64>'}}
    %0 = scf.index_switch %i -> tensor<8xf64>
    case 3 {
      %1 = grad.exp %h : tensor<8xf64>
      scf.yield %1 : tensor<8xf64>
    }
    default {
      %1 = grad.negative %h : tensor<8xf64>
      scf.yield %1 : tensor<8xf64>
    }
    scf.yield %0 : tensor<8xf64>
  }
  return %r : tensor<8xf64>
}
// CHECK-LABEL: func.func @numbers
func.func @numbers(%start: tensor<8xf64>, %g: tensor<8xf64>) -> tensor<8xf64> {
  // CHECK: scf.for %[[I:[a-z0-9]+]] =
  // CHECK: scf.index_switch %[[I]]
  // CHECK: grad.transposed
  // CHECK: scf.for %[[J:[a-z0-9]+]] =
  // CHECK: scf.index_switch %[[J]]
  %0:2 = grad.vjp @by_number(%start), cotangents(%g), wrt = [0], of = [0] : (tensor<8xf64>, tensor<8xf64>) -> (tensor<8xf64>, tensor<8xf64>)
  return %0#1 : tensor<8xf64>
}
