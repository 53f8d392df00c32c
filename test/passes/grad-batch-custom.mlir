// RUN: gradopt %s --grad-batch --canonicalize | FileCheck %s

func.func private @f(%x: tensor<3xf64>, %s: tensor<f64>) -> tensor<3xf64> {
  %0 = grad.broadcast %s, shape = [3], dimensions = [] : tensor<f64> -> tensor<3xf64>
  %1 = grad.multiply %x, %0 : tensor<3xf64>
  return %1 : tensor<3xf64>
}
func.func private @f_fwd(%x: tensor<3xf64>, %s: tensor<f64>) -> (tensor<3xf64>, tensor<3xf64>, tensor<f64>) {
  %0 = grad.broadcast %s, shape = [3], dimensions = [] : tensor<f64> -> tensor<3xf64>
  %1 = grad.multiply %x, %0 : tensor<3xf64>
  %2 = grad.exp %s : tensor<f64>
  return %1, %x, %2 : tensor<3xf64>, tensor<3xf64>, tensor<f64>
}
func.func private @f_bwd(%x: tensor<3xf64>, %e: tensor<f64>, %g: tensor<3xf64>) -> (tensor<3xf64>, tensor<f64>) {
  %0 = grad.tanh %g : tensor<3xf64>
  %1 = grad.multiply %g, %x : tensor<3xf64>
  %2 = grad.reduce_sum %1, dimensions = [0] : tensor<3xf64> -> tensor<f64>
  return %0, %2 : tensor<3xf64>, tensor<f64>
}
func.func private @f_jvp(%x: tensor<3xf64>, %s: tensor<f64>, %t: tensor<3xf64>, %u: tensor<f64>) -> (tensor<3xf64>, tensor<3xf64>) {
  %0 = grad.broadcast %s, shape = [3], dimensions = [] : tensor<f64> -> tensor<3xf64>
  %1 = grad.multiply %x, %0 : tensor<3xf64>
  %2 = grad.sin %t : tensor<3xf64>
  return %1, %2 : tensor<3xf64>, tensor<3xf64>
}
func.func private @uses_f(%x: tensor<3xf64>, %s: tensor<f64>) -> tensor<3xf64> {
  %0 = grad.custom @f(%x, %s) vjp = [@f_fwd, @f_bwd] jvp = @f_jvp : (tensor<3xf64>, tensor<f64>) -> tensor<3xf64>
  return %0 : tensor<3xf64>
}

// CHECK-LABEL: func.func @mapped(
// CHECK-SAME: %[[X:.*]]: tensor<8x3xf64>, %[[S:.*]]: tensor<f64>)
func.func @mapped(%x: tensor<8x3xf64>, %s: tensor<f64>) -> tensor<8x3xf64> {
  // CHECK: grad.custom @f_vmap(%[[X]], %[[S]]) vjp = [@f_fwd_vmap, @f_bwd_vmap] jvp = @f_jvp_vmap : (tensor<8x3xf64>, tensor<f64>) -> tensor<8x3xf64>
  %0 = grad.vmap @uses_f(%x, %s), in_axes = [0, none], out_axes = [0], size = 8 : (tensor<8x3xf64>, tensor<f64>) -> tensor<8x3xf64>
  return %0 : tensor<8x3xf64>
}

// A residual that is the same for the whole batch is there once.
// CHECK: func.func private @f_fwd_vmap(%{{.*}}: tensor<8x3xf64>, %{{.*}}: tensor<f64>) -> (tensor<8x3xf64>, tensor<8x3xf64>, tensor<f64>)

// What is not mapped gets the sum of the cotangents for all elements.
// CHECK: func.func private @f_bwd_vmap(%[[R:.*]]: tensor<8x3xf64>, %{{.*}}: tensor<f64>, %[[G:.*]]: tensor<8x3xf64>) -> (tensor<8x3xf64>, tensor<f64>)
// CHECK: %[[T:.*]] = grad.tanh %[[G]] : tensor<8x3xf64>
// CHECK: %[[P:.*]] = grad.multiply %[[G]], %[[R]]
// CHECK: %[[ROWS:.*]] = grad.reduce_sum %[[P]], dimensions = [1]
// CHECK: %[[ALL:.*]] = grad.reduce_sum %[[ROWS]], dimensions = [0]
// CHECK: return %[[T]], %[[ALL]]

// CHECK: func.func private @f_jvp_vmap(%{{.*}}: tensor<8x3xf64>, %{{.*}}: tensor<f64>, %[[U:.*]]: tensor<8x3xf64>, %{{.*}}: tensor<f64>) -> (tensor<8x3xf64>, tensor<8x3xf64>)
// CHECK: grad.sin %[[U]] : tensor<8x3xf64>
