// RUN: gradopt %s --grad-transpose -split-input-file | FileCheck %s

// A value of two uses sums their cotangents.
// CHECK-LABEL: func.func @two_uses
// CHECK-SAME: %[[G:.*]]: tensor<f64>, %[[A:.*]]: tensor<f64>
func.func @two_uses(%g: tensor<f64>, %a: tensor<f64>) -> tensor<f64> {
  // CHECK-DAG: %[[N:.*]] = grad.negative %[[G]]
  // CHECK-DAG: %[[M:.*]] = grad.multiply %[[G]], %[[A]]
  // CHECK: %[[S:.*]] = grad.add %[[M]], %[[N]]
  // CHECK: return %[[S]]
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<f64>):
    %1 = grad.negative %t : tensor<f64>
    %2 = grad.multiply %a, %t : tensor<f64>
    %3 = grad.add %2, %1 : tensor<f64>
    grad.yield %3 : tensor<f64>
  } : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}

// -----

// CHECK-LABEL: func.func @structure
// CHECK-SAME: %[[G:.*]]: tensor<2x3xf64>
func.func @structure(%g: tensor<2x3xf64>) -> (tensor<3xf64>, tensor<3x2xf64>) {
  // CHECK-DAG: grad.transpose %[[G]], permutation = [1, 0]
  // CHECK-DAG: grad.reduce_sum %[[G]], dimensions = [0]
  %0:2 = grad.transposed(%g) {
  ^bb0(%t: tensor<3xf64>, %u: tensor<3x2xf64>):
    %1 = grad.broadcast %t, shape = [2, 3], dimensions = [1] : tensor<3xf64> -> tensor<2x3xf64>
    %2 = grad.transpose %u, permutation = [1, 0] : tensor<3x2xf64> -> tensor<2x3xf64>
    %3 = grad.add %1, %2 : tensor<2x3xf64>
    grad.yield %3 : tensor<2x3xf64>
  } : (tensor<2x3xf64>) -> (tensor<3xf64>, tensor<3x2xf64>)
  return %0#0, %0#1 : tensor<3xf64>, tensor<3x2xf64>
}

// -----

// The transpose of a strided slice pads inside and behind.
// CHECK-LABEL: func.func @slice
// CHECK-SAME: %[[G:.*]]: tensor<2xf64>
func.func @slice(%g: tensor<2xf64>) -> tensor<7xf64> {
  // CHECK: grad.pad %[[G]], %{{.*}}, low = [1], high = [2], interior = [2]
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<7xf64>):
    %1 = grad.slice %t, offsets = [1], sizes = [2], strides = [3] : tensor<7xf64> -> tensor<2xf64>
    grad.yield %1 : tensor<2xf64>
  } : (tensor<2xf64>) -> tensor<7xf64>
  return %0 : tensor<7xf64>
}
