// REQUIRES: mlir-opt
// The library works as a plugin of the stock mlir-opt.
// RUN: mlir-opt --load-dialect-plugin=%gradopt_library --load-pass-plugin=%gradopt_library \
// RUN:   --pass-pipeline="builtin.module(grad-differentiate)" %s | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK: grad.tanh
func.func @main(%x: tensor<3xf64>) -> tensor<3xf64> {
  %0 = grad.tanh %x : tensor<3xf64>
  return %0 : tensor<3xf64>
}

// Upstream IR becomes its gradient, in upstream IR.
// RUN: mlir-opt --load-dialect-plugin=%gradopt_library --load-pass-plugin=%gradopt_library \
// RUN:   --pass-pipeline="builtin.module(grad-differentiate{function=upstream})" %s | FileCheck %s --check-prefix=UPSTREAM

// UPSTREAM-LABEL: func.func @upstream_gradient
// UPSTREAM-SAME: %[[X:.*]]: f64) -> (f64, f64)
// UPSTREAM: math.cos %[[X]]
func.func @upstream(%x: f64) -> f64 {
  %0 = math.sin %x : f64
  return %0 : f64
}
