// RUN: gradopt %s --grad-expand-requests --canonicalize -split-input-file | FileCheck %s

// The gradient of a layer is two products and a sum; the transposes are in
// the products' dimension numbers, and the input, not in `wrt`, costs nothing.
func.func private @layer(%w: tensor<4x3xf64>, %c: tensor<3xf64>, %x: tensor<5x4xf64>) -> tensor<f64> {
  %0 = grad.dot_general %x, %w, batch = [] x [], contract = [1] x [0] : tensor<5x4xf64>, tensor<4x3xf64> -> tensor<5x3xf64>
  %1 = grad.broadcast %c, shape = [5, 3], dimensions = [1] : tensor<3xf64> -> tensor<5x3xf64>
  %2 = grad.add %0, %1 : tensor<5x3xf64>
  %3 = grad.tanh %2 : tensor<5x3xf64>
  %4 = grad.reduce_sum %3, dimensions = [0, 1] : tensor<5x3xf64> -> tensor<f64>
  return %4 : tensor<f64>
}
// CHECK-LABEL: func.func @gradient_of_a_layer
// CHECK-SAME: %[[W:.*]]: tensor<4x3xf64>, %[[C:.*]]: tensor<3xf64>, %[[X:.*]]: tensor<5x4xf64>
func.func @gradient_of_a_layer(%w: tensor<4x3xf64>, %c: tensor<3xf64>, %x: tensor<5x4xf64>) -> (tensor<4x3xf64>, tensor<3xf64>) {
  // CHECK: %[[H:.*]] = grad.tanh
  // CHECK: %[[HH:.*]] = grad.multiply %[[H]], %[[H]]
  // CHECK: %[[D:.*]] = grad.subtract %{{.*}}, %[[HH]]
  // CHECK: %[[DC:.*]] = grad.reduce_sum %[[D]], dimensions = [0]
  // CHECK: %[[DW:.*]] = grad.dot_general %[[X]], %[[D]], batch = [] x [], contract = [0] x [0] : tensor<5x4xf64>, tensor<5x3xf64> -> tensor<4x3xf64>
  // CHECK-NOT: grad.dot_general
  // CHECK: return %[[DW]], %[[DC]]
  %one = grad.constant dense<1.0> : tensor<f64>
  %0:3 = grad.vjp @layer(%w, %c, %x), cotangents(%one), wrt = [0, 1], of = [0] : (tensor<4x3xf64>, tensor<3xf64>, tensor<5x4xf64>, tensor<f64>) -> (tensor<f64>, tensor<4x3xf64>, tensor<3xf64>)
  return %0#1, %0#2 : tensor<4x3xf64>, tensor<3xf64>
}
// The callees are gone.
// CHECK-NOT: func.func private

// -----

// A request inside a differentiated function: forward over reverse.
func.func private @cube(%x: tensor<f64>) -> tensor<f64> {
  %0 = grad.multiply %x, %x : tensor<f64>
  %1 = grad.multiply %0, %x : tensor<f64>
  return %1 : tensor<f64>
}
func.func private @dcube(%x: tensor<f64>) -> tensor<f64> {
  %one = grad.constant dense<1.0> : tensor<f64>
  %0:2 = grad.vjp @cube(%x), cotangents(%one), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1 : tensor<f64>
}
// CHECK-LABEL: func.func @second_derivative
func.func @second_derivative(%x: tensor<f64>) -> tensor<f64> {
  // CHECK-NOT: grad.vjp
  // CHECK-NOT: grad.jvp
  // CHECK-NOT: grad.transposed
  // CHECK: return
  %one = grad.constant dense<1.0> : tensor<f64>
  %0:2 = grad.jvp @dcube(%x), tangents(%one), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1 : tensor<f64>
}

// -----

// An input that no result depends on has a gradient of zeros; no other zeros
// are made.
func.func private @first(%x: tensor<3xf64>, %v: tensor<3xf64>) -> tensor<3xf64> {
  %0 = grad.sin %x : tensor<3xf64>
  return %0 : tensor<3xf64>
}
// CHECK-LABEL: func.func @unused_input
func.func @unused_input(%x: tensor<3xf64>, %g: tensor<3xf64>) -> (tensor<3xf64>, tensor<3xf64>) {
  // CHECK-DAG: %[[ZERO:.*]] = grad.constant dense<0.000000e+00> : tensor<3xf64>
  // CHECK-DAG: %[[COS:.*]] = grad.cos
  // CHECK: %[[DX:.*]] = grad.multiply %{{.*}}, %[[COS]]
  // CHECK: return %[[DX]], %[[ZERO]]
  %0:3 = grad.vjp @first(%x, %x), cotangents(%g), wrt = [0, 1], of = [0] : (tensor<3xf64>, tensor<3xf64>, tensor<3xf64>) -> (tensor<3xf64>, tensor<3xf64>, tensor<3xf64>)
  return %0#1, %0#2 : tensor<3xf64>, tensor<3xf64>
}

// -----

// stop_gradient and integers carry no derivative.
func.func private @stopped(%x: tensor<3xf64>) -> tensor<3xf64> {
  %0 = grad.stop_gradient %x : tensor<3xf64>
  %1 = grad.convert %x to i64 : tensor<3xf64>
  %2 = grad.convert %1 to f64 : tensor<3xi64>
  %3 = grad.multiply %0, %2 : tensor<3xf64>
  return %3 : tensor<3xf64>
}
// CHECK-LABEL: func.func @no_derivative
func.func @no_derivative(%x: tensor<3xf64>) -> tensor<3xf64> {
  // CHECK-NEXT: %[[ZERO:.*]] = grad.constant dense<0.000000e+00>
  // CHECK-NEXT: return %[[ZERO]]
  %0:2 = grad.jvp @stopped(%x), tangents(%x), wrt = [0], of = [0] : (tensor<3xf64>, tensor<3xf64>) -> (tensor<3xf64>, tensor<3xf64>)
  return %0#1 : tensor<3xf64>
}

// -----

// What is requested twice, of different inputs, is the same code twice; a
// third request is another one.
func.func private @wave(%x: tensor<f64>, %v: tensor<f64>) -> tensor<f64> {
  %0 = grad.sin %x : tensor<f64>
  %1 = grad.multiply %0, %v : tensor<f64>
  return %1 : tensor<f64>
}
// CHECK-LABEL: func.func @requested_twice
// CHECK-SAME: %[[X:.*]]: tensor<f64>, %[[V:.*]]: tensor<f64>, %[[G:.*]]: tensor<f64>
func.func @requested_twice(%x: tensor<f64>, %v: tensor<f64>, %g: tensor<f64>) -> (tensor<f64>, tensor<f64>, tensor<f64>) {
  // CHECK-DAG: %[[GV:.*]] = grad.multiply %[[G]], %[[V]]
  // CHECK-DAG: %[[CX:.*]] = grad.cos %[[X]]
  // CHECK-DAG: %[[A:.*]] = grad.multiply %[[GV]], %[[CX]]
  // CHECK-DAG: %[[GX:.*]] = grad.multiply %[[G]], %[[X]]
  // CHECK-DAG: %[[CV:.*]] = grad.cos %[[V]]
  // CHECK-DAG: %[[B:.*]] = grad.multiply %[[GX]], %[[CV]]
  // CHECK-DAG: %[[SX:.*]] = grad.sin %[[X]]
  // CHECK-DAG: %[[C:.*]] = grad.multiply %[[G]], %[[SX]]
  // CHECK: return %[[A]], %[[B]], %[[C]]
  %0:2 = grad.vjp @wave(%x, %v), cotangents(%g), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  %1:2 = grad.vjp @wave(%v, %x), cotangents(%g), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  %2:2 = grad.vjp @wave(%x, %v), cotangents(%g), wrt = [1], of = [0] : (tensor<f64>, tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1, %1#1, %2#1 : tensor<f64>, tensor<f64>, tensor<f64>
}
// CHECK-NOT: func.func
