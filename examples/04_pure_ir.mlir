// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The compiler without Python: a logistic regression loss, and a request for
// its gradient, as any other front end could write them.
//
//   gradopt examples/04_pure_ir.mlir --grad-differentiate --canonicalize
//       replaces the request by the adjoint: plain code of the same dialect
//   gradopt examples/04_pure_ir.mlir --grad-differentiate --canonicalize --cse \
//           --convert-grad-to-linalg --grad-fuse
//       a few steps further: what is left are a handful of loop nests
//   gradopt examples/04_pure_ir.mlir --grad-to-cpu
//       all of it, down to the LLVM dialect
//   gradopt examples/04_pure_ir.mlir --grad-to-cpu --dump-pass-pipeline
//       the passes of that pipeline, in a form that --pass-pipeline takes

// Mean of log(1 + exp(z)) - t * z over the rows, for z = x w and labels t.
func.func private @loss(%w: tensor<3xf64>, %x: tensor<8x3xf64>, %t: tensor<8xf64>)
    -> tensor<f64> {
  %z = grad.dot_general %x, %w, batch = [] x [], contract = [1] x [0]
      : tensor<8x3xf64>, tensor<3xf64> -> tensor<8xf64>
  %exp = grad.exp %z : tensor<8xf64>
  %log = grad.log1p %exp : tensor<8xf64>
  %tz = grad.multiply %t, %z : tensor<8xf64>
  %loss = grad.subtract %log, %tz : tensor<8xf64>
  %sum = grad.reduce_sum %loss, dimensions = [0] : tensor<8xf64> -> tensor<f64>
  %rows = grad.constant dense<8.0> : tensor<f64>
  %mean = grad.divide %sum, %rows : tensor<f64>
  return %mean : tensor<f64>
}

// The loss and its gradient in w.
func.func @main(%w: tensor<3xf64>, %x: tensor<8x3xf64>, %t: tensor<8xf64>)
    -> (tensor<f64>, tensor<3xf64>) {
  %one = grad.constant dense<1.0> : tensor<f64>
  %loss, %gradient = grad.vjp @loss(%w, %x, %t), cotangents(%one), wrt = [0], of = [0]
      : (tensor<3xf64>, tensor<8x3xf64>, tensor<8xf64>, tensor<f64>)
     -> (tensor<f64>, tensor<3xf64>)
  return %loss, %gradient : tensor<f64>, tensor<3xf64>
}
