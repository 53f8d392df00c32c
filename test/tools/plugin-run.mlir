// REQUIRES: mlir-opt
// A gradient runs by stock tools alone. That of the sum of x exp(x) is
// (1 + x) exp(x), at 0, 1 and 2 the numbers 1, 5.436564 and 22.167168.
// RUN: mlir-opt %s --load-dialect-plugin=%gradopt_library --load-pass-plugin=%gradopt_library \
// RUN:   --pass-pipeline="builtin.module(grad-differentiate,func.func(convert-grad-to-linalg))" \
// RUN: | mlir-opt --pass-pipeline="builtin.module(one-shot-bufferize{bufferize-function-boundaries},func.func(convert-linalg-to-loops),expand-strided-metadata,convert-scf-to-cf,convert-math-to-llvm,finalize-memref-to-llvm,convert-arith-to-llvm,convert-cf-to-llvm,convert-func-to-llvm,reconcile-unrealized-casts)" \
// RUN: | mlir-runner --entry-point-result=f32 | FileCheck %s

// CHECK: 2.86037

#at = affine_map<(i) -> (i)>
#sum = affine_map<(i) -> ()>
func.func private @f(%x: tensor<3xf32>) -> tensor<f32> {
  %zero = arith.constant dense<0.0> : tensor<f32>
  %0 = linalg.generic {indexing_maps = [#at, #sum], iterator_types = ["reduction"]}
    ins(%x : tensor<3xf32>) outs(%zero : tensor<f32>) {
    ^bb0(%a: f32, %s: f32):
      %1 = math.exp %a : f32
      %2 = arith.mulf %1, %a : f32
      %3 = arith.addf %s, %2 : f32
      linalg.yield %3 : f32
  } -> tensor<f32>
  return %0 : tensor<f32>
}
func.func @main() -> f32 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %x = arith.constant dense<[0.0, 1.0, 2.0]> : tensor<3xf32>
  %one = arith.constant dense<1.0> : tensor<f32>
  %0:2 = grad.vjp @f(%x), cotangents(%one), wrt = [0], of = [0] : (tensor<3xf32>, tensor<f32>) -> (tensor<f32>, tensor<3xf32>)
  %1 = tensor.extract %0#1[%c0] : tensor<3xf32>
  %2 = tensor.extract %0#1[%c1] : tensor<3xf32>
  %3 = tensor.extract %0#1[%c2] : tensor<3xf32>
  %4 = arith.addf %1, %2 : f32
  %5 = arith.addf %4, %3 : f32
  return %5 : f32
}
