// RUN: gradopt %s --grad-linearize --grad-store-residuals --canonicalize | FileCheck %s

func.func private @sorted(%x: tensor<2x3xf64>) -> tensor<2x3xf64> {
  %0, %i = grad.sort %x : tensor<2x3xf64> -> tensor<2x3xf64>, tensor<2x3xi64>
  return %0 : tensor<2x3xf64>
}

// Tangents go where the values go.
// CHECK-LABEL: func.func @forward
// CHECK-SAME: %[[X:.*]]: tensor<2x3xf64>, %[[DX:.*]]: tensor<2x3xf64>
// CHECK: %[[V:.*]], %[[I:.*]] = grad.sort %[[X]]
// CHECK: %[[P:.*]] = grad.reshape %[[I]], shape = [2, 3, 1]
// CHECK: %[[DV:.*]] = grad.gather %[[DX]], %[[P]] batch 1
// CHECK: return %[[V]], %[[DV]]
func.func @forward(%x: tensor<2x3xf64>, %dx: tensor<2x3xf64>) -> (tensor<2x3xf64>, tensor<2x3xf64>) {
  %0:2 = grad.jvp @sorted(%x), tangents(%dx), wrt = [0], of = [0]
      : (tensor<2x3xf64>, tensor<2x3xf64>) -> (tensor<2x3xf64>, tensor<2x3xf64>)
  return %0#0, %0#1 : tensor<2x3xf64>, tensor<2x3xf64>
}
