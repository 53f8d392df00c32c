// RUN: gradopt %s --grad-linearize --grad-store-residuals -split-input-file | FileCheck %s

func.func private @f(%x: tensor<f64>) -> tensor<f64> {
  %0 = grad.sin %x : tensor<f64>
  return %0 : tensor<f64>
}

// Coefficients stand in front of the region; only linear code is in it.
// CHECK-LABEL: func.func @reverse
// CHECK-SAME: %[[X:.*]]: tensor<f64>, %[[G:.*]]: tensor<f64>
func.func @reverse(%x: tensor<f64>, %g: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  // CHECK: %[[V:.*]] = grad.sin %[[X]]
  // CHECK: %[[C:.*]] = grad.cos %[[X]]
  // CHECK: %[[D:.*]] = grad.transposed(%[[G]])
  // CHECK-NEXT: ^bb0(%[[T:.*]]: tensor<f64>):
  // CHECK-NEXT: %[[L:.*]] = grad.multiply %[[T]], %[[C]]
  // CHECK-NEXT: grad.yield %[[L]]
  // CHECK: return %[[V]], %[[D]]
  %0:2 = grad.vjp @f(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#0, %0#1 : tensor<f64>, tensor<f64>
}

// CHECK-LABEL: func.func @forward
// CHECK-SAME: %[[X:.*]]: tensor<f64>, %[[T:.*]]: tensor<f64>
func.func @forward(%x: tensor<f64>, %t: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  // CHECK: %[[V:.*]] = grad.sin %[[X]]
  // CHECK: %[[C:.*]] = grad.cos %[[X]]
  // CHECK: %[[L:.*]] = grad.multiply %[[T]], %[[C]]
  // CHECK: return %[[V]], %[[L]]
  %0:2 = grad.jvp @f(%x), tangents(%t), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#0, %0#1 : tensor<f64>, tensor<f64>
}

// -----

// Activity: what does not lead from an input in `wrt` to a result in `of` is
// not linearized, even where it has no derivative.
func.func private @two(%x: tensor<f64>, %v: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  %0 = arith.addf %v, %v : tensor<f64>
  %1 = grad.exp %x : tensor<f64>
  %2 = grad.multiply %1, %0 : tensor<f64>
  %3 = grad.tan %x : tensor<f64>
  return %2, %3 : tensor<f64>, tensor<f64>
}
// CHECK-LABEL: func.func @inactive
func.func @inactive(%x: tensor<f64>, %v: tensor<f64>, %t: tensor<f64>) -> tensor<f64> {
  // CHECK: grad.tan
  // CHECK-NOT: grad.square
  // CHECK: return
  %0:3 = grad.jvp @two(%x, %v), tangents(%t), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>, tensor<f64>)
  return %0#2 : tensor<f64>
}

// -----

// Activity enters regions: of what the loop carries, the value that varies does
// not reach the result, and the value that does is only scaled by a constant.
func.func private @loop(%x: tensor<f64>, %v: tensor<f64>) -> tensor<f64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %0:2 = scf.for %i = %c0 to %c9 step %c1 iter_args(%a = %x, %b = %v) -> (tensor<f64>, tensor<f64>) {
    %2 = grad.multiply %a, %b : tensor<f64>
    %3 = grad.negative %b : tensor<f64>
    scf.yield %2, %3 : tensor<f64>, tensor<f64>
  }
  %1 = grad.multiply %x, %0#1 : tensor<f64>
  return %1 : tensor<f64>
}
// CHECK-LABEL: func.func @inactive_loop
// CHECK-SAME: %[[X:.*]]: tensor<f64>, %[[V:.*]]: tensor<f64>, %[[T:.*]]: tensor<f64>
func.func @inactive_loop(%x: tensor<f64>, %v: tensor<f64>, %t: tensor<f64>) -> tensor<f64> {
  // CHECK: %[[L:.*]]:2 = scf.for
  // CHECK: %[[D:.*]] = grad.multiply %[[T]], %[[L]]#1
  // CHECK: return %[[D]]
  %0:2 = grad.jvp @loop(%x, %v), tangents(%t), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1 : tensor<f64>
}

// -----

// An argument that is given twice: only one of them varies.
func.func private @product(%a: tensor<f64>, %b: tensor<f64>) -> tensor<f64> {
  %0 = grad.multiply %a, %b : tensor<f64>
  return %0 : tensor<f64>
}
// CHECK-LABEL: func.func @same_argument_twice
// CHECK-SAME: %[[X:.*]]: tensor<f64>, %[[T:.*]]: tensor<f64>
func.func @same_argument_twice(%x: tensor<f64>, %t: tensor<f64>) -> tensor<f64> {
  // CHECK: grad.multiply %[[X]], %[[X]]
  // CHECK-NEXT: %[[D:.*]] = grad.multiply %[[T]], %[[X]]
  // CHECK-NEXT: return %[[D]]
  %0:2 = grad.jvp @product(%x, %x), tangents(%t), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1 : tensor<f64>
}

// -----

// Of a function with rules, the tangents are what the transpose of @bwd gives,
// in both modes; there is no derivative of @g.
func.func private @g(%x: tensor<f64>) -> tensor<f64> {
  %0 = grad.sin %x : tensor<f64>
  return %0 : tensor<f64>
}
func.func private @g_fwd(%x: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  %0 = grad.sin %x : tensor<f64>
  %1 = grad.exp %x : tensor<f64>
  return %0, %1 : tensor<f64>, tensor<f64>
}
func.func private @g_bwd(%r: tensor<f64>, %c: tensor<f64>) -> tensor<f64> {
  %0 = grad.multiply %c, %r : tensor<f64>
  return %0 : tensor<f64>
}
func.func private @uses_g(%x: tensor<f64>) -> tensor<f64> {
  %0 = grad.custom @g(%x) vjp = [@g_fwd, @g_bwd] : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}
// CHECK-LABEL: func.func @custom_reverse
// CHECK-SAME: %[[X:.*]]: tensor<f64>, %[[G:.*]]: tensor<f64>
func.func @custom_reverse(%x: tensor<f64>, %g: tensor<f64>) -> tensor<f64> {
  // CHECK: grad.sin %[[X]]
  // CHECK: %[[R:.*]] = grad.exp %[[X]]
  // CHECK: %[[D:.*]] = grad.transposed(%[[G]]) {
  // CHECK-NEXT: ^bb0(%[[T:.*]]: tensor<f64>):
  // CHECK-NEXT: %[[L:.*]] = grad.transposed(%[[T]]) {
  // CHECK-NEXT: ^bb0(%[[C:.*]]: tensor<f64>):
  // CHECK-NEXT: %[[B:.*]] = grad.multiply %[[C]], %[[R]]
  // CHECK-NEXT: grad.yield %[[B]]
  // CHECK: grad.yield %[[L]]
  // CHECK: return %[[D]]
  %0:2 = grad.vjp @uses_g(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1 : tensor<f64>
}
// CHECK-LABEL: func.func @custom_forward
// CHECK-SAME: %[[X:.*]]: tensor<f64>, %[[T:.*]]: tensor<f64>
func.func @custom_forward(%x: tensor<f64>, %t: tensor<f64>) -> tensor<f64> {
  // CHECK: %[[R:.*]] = grad.exp %[[X]]
  // CHECK: %[[L:.*]] = grad.transposed(%[[T]]) "forward mode transposes the bwd rule of @g, which has no jvp rule" {
  // CHECK-NEXT: ^bb0(%[[C:.*]]: tensor<f64>):
  // CHECK-NEXT: grad.multiply %[[C]], %[[R]]
  // CHECK: return %[[L]]
  %0:2 = grad.jvp @uses_g(%x), tangents(%t), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1 : tensor<f64>
}

// No derivative follows what comes from an op that is constant locally: the loop
// has no linear part.
// CHECK-LABEL: func.func @locally_constant
func.func @locally_constant(%x: tensor<f64>, %n: index) -> (tensor<f64>, tensor<f64>) {
  // CHECK: scf.for
  // CHECK-NOT: scf.for
  // CHECK: grad.transposed
  // CHECK-NOT: scf.for
  // CHECK: return
  %one = grad.constant dense<1.0> : tensor<f64>
  %r:2 = grad.vjp @rounded(%x, %n), cotangents(%one), wrt = [0], of = [0] : (tensor<f64>, index, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %r#0, %r#1 : tensor<f64>, tensor<f64>
}

func.func private @rounded(%x: tensor<f64>, %n: index) -> tensor<f64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %f = grad.floor %x : tensor<f64>
  %g = grad.stop_gradient %x : tensor<f64>
  %i = grad.add %f, %g : tensor<f64>
  %l = scf.for %k = %c0 to %n step %c1 iter_args(%a = %i) -> tensor<f64> {
    %s = grad.sin %a : tensor<f64>
    scf.yield %s : tensor<f64>
  }
  %t = grad.tanh %x : tensor<f64>
  %y = grad.add %l, %t : tensor<f64>
  return %y : tensor<f64>
}
