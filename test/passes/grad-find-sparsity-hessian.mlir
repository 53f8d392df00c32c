// RUN: gradopt %s --grad-find-sparsity="coloring=hessian" | FileCheck %s

// A matrix with a full row and a full column, and its diagonal. Columns of one color
// have rows in common, but the first column has their elements, too.
// CHECK-LABEL: func.func @arrow(
// CHECK-SAME: column_colors = array<i32: 0, 1, 1, 1>
// CHECK-SAME: indices = array<i32: 0, 1, 2, 3, 0, 1, 0, 2, 0, 3>
// CHECK-SAME: sources = array<i64: 0, 1, 2, 3, 1, 5, 2, 6, 3, 7>
func.func @arrow(%x: tensor<4xf64>) -> tensor<4xf64> {
  %first = grad.slice %x, offsets = [0], sizes = [1], strides = [1] : tensor<4xf64> -> tensor<1xf64>
  %scalar = grad.reshape %first, shape = [] : tensor<1xf64> -> tensor<f64>
  %all = grad.broadcast %scalar, shape = [4], dimensions = [] : tensor<f64> -> tensor<4xf64>
  %y = grad.multiply %x, %all : tensor<4xf64>
  return %y : tensor<4xf64>
}

// A path of four vertices takes three colors.
// CHECK-LABEL: func.func @path(
// CHECK-SAME: column_colors = array<i32: 1, 0, 1, 2>
func.func @path(%x: tensor<4xf64>) -> tensor<4xf64> {
  %a = grad.slice %x, offsets = [1], sizes = [3], strides = [1] : tensor<4xf64> -> tensor<3xf64>
  %y = grad.add_slice %x, %a, offsets = [0], strides = [1] : tensor<4xf64>, tensor<3xf64>
  return %y : tensor<4xf64>
}
