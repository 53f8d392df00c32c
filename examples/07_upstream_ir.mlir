// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A loss in upstream dialects alone, as other front ends write it: the mean
// squared error of a layer, tanh(x w + b) v, against targets t.
//
//   gradopt examples/07_upstream_ir.mlir --grad-differentiate="function=loss wrt=0,1,2"
//       adds @loss_gradient(w, b, v, x, t) -> (loss, dw, db, dv), in upstream
//       dialects again: for any other compiler, or for the rest of this one
//   gradopt examples/07_upstream_ir.mlir --grad-differentiate="function=loss wrt=0,1,2" \
//     | gradopt --grad-differentiate="function=loss_gradient wrt=2 of=3 mode=forward"
//       second derivatives: dv, along a direction in v
//   mlir-opt-22 --load-dialect-plugin=libGradOpt.so --load-pass-plugin=libGradOpt.so \
//       --pass-pipeline='builtin.module(grad-differentiate{function=loss wrt=0,1,2})' \
//       examples/07_upstream_ir.mlir
//       the same in the stock mlir-opt

#row = affine_map<(i, j) -> (j)>
#all = affine_map<(i, j) -> (i, j)>
#one = affine_map<(i) -> (i)>
#sum = affine_map<(i) -> ()>

func.func @loss(%w: tensor<3x4xf64>, %b: tensor<4xf64>, %v: tensor<4xf64>,
                %x: tensor<8x3xf64>, %t: tensor<8xf64>) -> f64 {
  %zero = arith.constant 0.0 : f64
  %rows = arith.constant 8.0 : f64
  %e = tensor.empty() : tensor<8x4xf64>
  %zeros = linalg.fill ins(%zero : f64) outs(%e : tensor<8x4xf64>) -> tensor<8x4xf64>
  %xw = linalg.matmul ins(%x, %w : tensor<8x3xf64>, tensor<3x4xf64>)
                      outs(%zeros : tensor<8x4xf64>) -> tensor<8x4xf64>
  %h = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%xw, %b : tensor<8x4xf64>, tensor<4xf64>) outs(%e : tensor<8x4xf64>) {
    ^bb0(%p: f64, %q: f64, %out: f64):
      %sum = arith.addf %p, %q : f64
      %tanh = math.tanh %sum : f64
      linalg.yield %tanh : f64
  } -> tensor<8x4xf64>
  %e8 = tensor.empty() : tensor<8xf64>
  %zeros8 = linalg.fill ins(%zero : f64) outs(%e8 : tensor<8xf64>) -> tensor<8xf64>
  %y = linalg.matvec ins(%h, %v : tensor<8x4xf64>, tensor<4xf64>)
                     outs(%zeros8 : tensor<8xf64>) -> tensor<8xf64>
  %none = arith.constant dense<0.0> : tensor<f64>
  %squares = linalg.generic {indexing_maps = [#one, #one, #sum], iterator_types = ["reduction"]}
      ins(%y, %t : tensor<8xf64>, tensor<8xf64>) outs(%none : tensor<f64>) {
    ^bb0(%p: f64, %q: f64, %out: f64):
      %error = arith.subf %p, %q : f64
      %square = arith.mulf %error, %error : f64
      %sum = arith.addf %out, %square : f64
      linalg.yield %sum : f64
  } -> tensor<f64>
  %total = tensor.extract %squares[] : tensor<f64>
  %mean = arith.divf %total, %rows : f64
  return %mean : f64
}
