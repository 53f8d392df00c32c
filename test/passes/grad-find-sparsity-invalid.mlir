// RUN: gradopt %s --grad-find-sparsity="wrt=1" -verify-diagnostics -split-input-file
// RUN: not gradopt %s --grad-find-sparsity="coloring=rainbow" 2>&1 | FileCheck %s
// RUN: not gradopt %s --grad-find-sparsity="wrt=0 coloring=hessian" 2>&1 | FileCheck %s --check-prefix=SQUARE

// CHECK: expected `coloring` to be jacobian or hessian, but got 'rainbow'
// SQUARE: expected a square matrix for `coloring` = hessian, but got 1 x 2

// expected-error @+1 {{expected `wrt` to name arguments that have derivatives, but argument #1 has type 'tensor<i64>'}}
func.func @integer(%x: tensor<2xf64>, %n: tensor<i64>) -> tensor<f64> {
  %y = grad.reduce_sum %x, dimensions = [0] : tensor<2xf64> -> tensor<f64>
  return %y : tensor<f64>
}

// -----

// expected-error @+1 {{expected `wrt` in [0, 1), but got 1}}
func.func @missing(%x: tensor<2xf64>) -> tensor<2xf64> {
  return %x : tensor<2xf64>
}
