// RUN: gradopt %s --allow-unregistered-dialect --grad-inline-calls -split-input-file -verify-diagnostics | FileCheck %s

func.func private @inner(%x: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  %0 = grad.sin %x : tensor<f64>
  return %0, %x : tensor<f64>, tensor<f64>
}
func.func private @outer(%x: tensor<f64>) -> tensor<f64> {
  %0:2 = grad.call @inner(%x) : (tensor<f64>) -> (tensor<f64>, tensor<f64>)
  %1 = grad.multiply %0#0, %0#1 : tensor<f64>
  return %1 : tensor<f64>
}

// Callees go first, and go away when nothing calls them.
// CHECK-NOT: func.func private
// CHECK: func.func @main(%[[X:.*]]: tensor<f64>)
func.func @main(%x: tensor<f64>) -> tensor<f64> {
  // CHECK-NEXT: %[[A:.*]] = grad.sin %[[X]]
  // CHECK-NEXT: %[[B:.*]] = grad.multiply %[[A]], %[[X]]
  // CHECK-NEXT: %[[C:.*]] = grad.sin %[[B]]
  // CHECK-NEXT: return %[[C]]
  %0 = grad.call @outer(%x) : (tensor<f64>) -> tensor<f64>
  %1:2 = grad.call @inner(%0) : (tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %1#0 : tensor<f64>
}

// -----

// Public functions stay, and so do those that a request names.
// CHECK-LABEL: func.func @public
func.func @public(%x: tensor<f64>) -> tensor<f64> {
  return %x : tensor<f64>
}
// CHECK: func.func private @requested
func.func private @requested(%x: tensor<f64>) -> tensor<f64> {
  %0 = grad.call @public(%x) : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}
// CHECK: func.func @requests
func.func @requests(%x: tensor<f64>) -> tensor<f64> {
  // CHECK: grad.jvp @requested
  %0:2 = grad.jvp @requested(%x), tangents(%x), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1 : tensor<f64>
}

// -----

func.func @recursive(%x: tensor<f64>) -> tensor<f64> {
  // expected-error @+1 {{expected no recursion, but @recursive calls itself}}
  %0 = grad.call @recursive(%x) : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}

// -----

// What an op that nobody registered means by a name is not known.
// CHECK-LABEL: func.func private @named
func.func private @named(%x: tensor<f64>) -> tensor<f64> {
  return %x : tensor<f64>
}
// CHECK: func.func @others
func.func @others(%x: tensor<f64>) -> tensor<f64> {
  "other.op"() ({
    "other.use"() {what = @named} : () -> ()
  }) : () -> ()
  return %x : tensor<f64>
}
