// RUN: gradopt %s --grad-linearize --grad-store-residuals -split-input-file | FileCheck %s

// Loops that come of a policy have bounds, and policies: the next derivative
// keeps no more of them than the first does.

func.func private @sqrt(%x: tensor<f64>) -> tensor<f64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c15 = arith.constant 15 : index
  %r = scf.for %i = %c0 to %c15 step %c1 iter_args(%y = %x) -> (tensor<f64>) {
    %0 = grad.sin %y : tensor<f64>
    scf.yield %0 : tensor<f64>
  } {grad.checkpoint = "sqrt"}
  return %r : tensor<f64>
}
// A segment is one block.
// CHECK-LABEL: func.func @root(
// CHECK: scf.for
// CHECK: scf.for
// CHECK: } {grad.max_trip_count = 4 : i64}
// CHECK: } {grad.checkpoint = "each", grad.max_trip_count = 4 : i64}
// CHECK: grad.transposed
// CHECK: scf.for
// CHECK: scf.for
// CHECK: } {grad.max_trip_count = 4 : i64}
// CHECK: scf.for
// CHECK: } {grad.max_trip_count = 4 : i64}
// CHECK-NOT: scf.for
// CHECK: } {grad.checkpoint = "each", grad.max_trip_count = 4 : i64}
func.func @root(%x: tensor<f64>, %g: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  %0:2 = grad.vjp @sqrt(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#0, %0#1 : tensor<f64>, tensor<f64>
}

// -----

func.func private @none(%x: tensor<f64>) -> tensor<f64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c15 = arith.constant 15 : index
  %r = scf.for %i = %c0 to %c15 step %c1 iter_args(%y = %x) -> (tensor<f64>) {
    %0 = grad.sin %y : tensor<f64>
    scf.yield %0 : tensor<f64>
  } {grad.checkpoint = "none"}
  return %r : tensor<f64>
}
// CHECK-LABEL: func.func @first(
// CHECK: scf.for
// CHECK: } {grad.checkpoint = "none", grad.max_trip_count = 15 : i64}
// CHECK: grad.transposed
// CHECK: scf.for
// CHECK: scf.for
// CHECK: } {grad.checkpoint = "none", grad.max_trip_count = 15 : i64}
// CHECK: scf.for
// CHECK: } {grad.max_trip_count = 1 : i64}
// CHECK: } {grad.checkpoint = "none", grad.max_trip_count = 15 : i64}
func.func @first(%x: tensor<f64>, %g: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  %0:2 = grad.vjp @none(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#0, %0#1 : tensor<f64>, tensor<f64>
}

// -----

// Of a number of iterations that is not known, that of segments is.
func.func private @unknown(%x: tensor<f64>, %n: index) -> tensor<f64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%y = %x) -> (tensor<f64>) {
    %0 = grad.sin %y : tensor<f64>
    scf.yield %0 : tensor<f64>
  } {grad.checkpoint = 8 : i64}
  return %r : tensor<f64>
}
// CHECK-LABEL: func.func @segments(
// CHECK: scf.for
// CHECK: scf.for
// CHECK: } {grad.checkpoint = 8 : i64}
// CHECK: } {grad.checkpoint = "each", grad.max_trip_count = 8 : i64}
// CHECK: grad.transposed
// CHECK: scf.for
// CHECK: scf.for
// CHECK: scf.for
// CHECK: } {grad.checkpoint = 8 : i64}
// CHECK: scf.for
// CHECK: } {grad.max_trip_count = 8 : i64}
// CHECK: } {grad.checkpoint = 8 : i64}
// CHECK: } {grad.checkpoint = "each", grad.max_trip_count = 8 : i64}
func.func @segments(%x: tensor<f64>, %n: index, %g: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  %0:2 = grad.vjp @unknown(%x, %n), cotangents(%g), wrt = [0], of = [0] : (tensor<f64>, index, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#0, %0#1 : tensor<f64>, tensor<f64>
}

// -----

// What such a loop becomes for the next derivative: the states of all iterations
// are kept, and each iteration is computed again.
func.func private @each(%x: tensor<f64>) -> tensor<f64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %r = scf.for %i = %c0 to %c4 step %c1 iter_args(%y = %x) -> (tensor<f64>) {
    %0 = grad.sin %y : tensor<f64>
    %1 = grad.exp %0 : tensor<f64>
    scf.yield %1 : tensor<f64>
  } {grad.checkpoint = "each"}
  return %r : tensor<f64>
}
// CHECK-LABEL: func.func @iterations(
// CHECK: scf.for {{.*}} -> (tensor<f64>, tensor<4xf64>)
// CHECK: scf.execute_region
// CHECK: grad.transposed
// CHECK: scf.for
// CHECK: scf.execute_region
// CHECK: %[[S:.*]] = grad.sin %[[Y:.*]] :
// CHECK: grad.exp %[[S]]
// CHECK: grad.cos %[[Y]]
func.func @iterations(%x: tensor<f64>, %g: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  %0:2 = grad.vjp @each(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#0, %0#1 : tensor<f64>, tensor<f64>
}

// -----

// States that the loop keeps already are not kept once more: the stack is made
// outside of what is computed again.
func.func private @kept(%x: tensor<f64>) -> (tensor<f64>, tensor<4xf64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %empty = tensor.empty() : tensor<4xf64>
  %r:2 = scf.for %i = %c0 to %c4 step %c1 iter_args(%y = %x, %stack = %empty) -> (tensor<f64>, tensor<4xf64>) {
    %state = grad.reshape %y, shape = [1] : tensor<f64> -> tensor<1xf64>
    %word = arith.index_cast %i : index to i64
    %place = tensor.from_elements %word : tensor<i64>
    %pushed = grad.dynamic_update_slice %stack, %state[%place] : tensor<4xf64>, tensor<1xf64>
    %0 = grad.sin %y : tensor<f64>
    %1 = grad.exp %0 : tensor<f64>
    scf.yield %1, %pushed : tensor<f64>, tensor<4xf64>
  } {grad.checkpoint = "each"}
  return %r#0, %r#1 : tensor<f64>, tensor<4xf64>
}
// CHECK-LABEL: func.func @one_stack(
// CHECK: %[[LOOP:.*]]:2 = scf.for {{.*}} iter_args(%[[Y:.*]] = %{{.*}}, %[[STACK:.*]] = %{{.*}}) -> (tensor<f64>, tensor<4xf64>)
// CHECK: %[[NEXT:.*]] = scf.execute_region
// CHECK-NOT: grad.dynamic_update_slice
// CHECK: scf.yield
// CHECK: %[[STATE:.*]] = grad.reshape %[[Y]]
// CHECK: %[[PUSHED:.*]] = grad.dynamic_update_slice %[[STACK]], %[[STATE]]
// CHECK: scf.yield %[[NEXT]], %[[PUSHED]]
// CHECK: grad.transposed
// CHECK: scf.for
// CHECK: grad.dynamic_slice %[[LOOP]]#1
func.func @one_stack(%x: tensor<f64>, %g: tensor<f64>) -> (tensor<f64>, tensor<4xf64>, tensor<f64>) {
  %0:3 = grad.vjp @kept(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<4xf64>, tensor<f64>)
  return %0#0, %0#1, %0#2 : tensor<f64>, tensor<4xf64>, tensor<f64>
}
