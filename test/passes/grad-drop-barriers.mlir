// RUN: gradopt %s --grad-drop-barriers | FileCheck %s

// CHECK-LABEL: func.func @values
// CHECK-SAME: %[[X:.*]]: tensor<4xf64>, %[[Y:.*]]: tensor<f64>, %[[G:.*]]: tensor<3xf64>
func.func @values(%x: tensor<4xf64>, %y: tensor<f64>, %g: tensor<3xf64>) -> (tensor<4xf64>, tensor<f64>) {
  // CHECK-NEXT: return %[[X]], %[[Y]]
  %0:2 = grad.barrier %x, %y after %g : (tensor<4xf64>, tensor<f64>, tensor<3xf64>) -> (tensor<4xf64>, tensor<f64>)
  return %0#0, %0#1 : tensor<4xf64>, tensor<f64>
}
