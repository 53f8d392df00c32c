// RUN: gradopt %s --grad-batch | FileCheck %s

func.func private @one_by_one(%x: tensor<3xf64>, %s: tensor<f64>) -> tensor<3xf64> {
  %0 = grad.custom_call "f", target = 4, batching = "sequential" (%x, %s) : (tensor<3xf64>, tensor<f64>) -> tensor<3xf64>
  return %0 : tensor<3xf64>
}
// CHECK-LABEL: func.func @sequential(
func.func @sequential(%x: tensor<8x3xf64>, %s: tensor<f64>) -> tensor<8x3xf64> {
  // CHECK: scf.for
  // CHECK: grad.custom_call "f", target = 4, batching = "sequential" ({{.*}}) : (tensor<3xf64>, tensor<f64>) -> tensor<3xf64>
  %0 = grad.vmap @one_by_one(%x, %s), in_axes = [0, none], out_axes = [0], size = 8 : (tensor<8x3xf64>, tensor<f64>) -> tensor<8x3xf64>
  return %0 : tensor<8x3xf64>
}

func.func private @expanding(%x: tensor<3xf64>, %s: tensor<f64>) -> tensor<3xf64> {
  %0 = grad.custom_call "f", target = 4, batching = "expand_dims" (%x, %s) : (tensor<3xf64>, tensor<f64>) -> tensor<3xf64>
  return %0 : tensor<3xf64>
}
// CHECK-LABEL: func.func @expand_dims(
// CHECK-SAME: %[[X:.*]]: tensor<8x3xf64>, %[[S:.*]]: tensor<f64>
func.func @expand_dims(%x: tensor<8x3xf64>, %s: tensor<f64>) -> tensor<8x3xf64> {
  // CHECK: %[[ONE:.*]] = grad.reshape %[[S]], shape = [1]
  // CHECK: grad.custom_call "f", target = 4, batching = "expand_dims" (%[[X]], %[[ONE]]) : (tensor<8x3xf64>, tensor<1xf64>) -> tensor<8x3xf64>
  %0 = grad.vmap @expanding(%x, %s), in_axes = [0, none], out_axes = [0], size = 8 : (tensor<8x3xf64>, tensor<f64>) -> tensor<8x3xf64>
  return %0 : tensor<8x3xf64>
}

func.func private @broadcasting(%x: tensor<3xf64>, %s: tensor<f64>) -> tensor<3xf64> {
  %0 = grad.custom_call "f", target = 4, batching = "broadcast_all" (%x, %s) : (tensor<3xf64>, tensor<f64>) -> tensor<3xf64>
  return %0 : tensor<3xf64>
}
// CHECK-LABEL: func.func @broadcast_all(
// CHECK-SAME: %[[X:.*]]: tensor<8x3xf64>, %[[S:.*]]: tensor<f64>
func.func @broadcast_all(%x: tensor<8x3xf64>, %s: tensor<f64>) -> tensor<8x3xf64> {
  // CHECK: %[[ALL:.*]] = grad.broadcast %[[S]], shape = [8]
  // CHECK: grad.custom_call "f", target = 4, batching = "broadcast_all" (%[[X]], %[[ALL]]) : (tensor<8x3xf64>, tensor<8xf64>) -> tensor<8x3xf64>
  %0 = grad.vmap @broadcasting(%x, %s), in_axes = [0, none], out_axes = [0], size = 8 : (tensor<8x3xf64>, tensor<f64>) -> tensor<8x3xf64>
  return %0 : tensor<8x3xf64>
}
