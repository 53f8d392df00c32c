// RUN: gradopt %s --inline | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK: grad.tanh
// CHECK: grad.sin
// CHECK-NOT: call
func.func @main(%x: tensor<3xf64>) -> tensor<3xf64> {
  %y = call @helper(%x) : (tensor<3xf64>) -> tensor<3xf64>
  return %y : tensor<3xf64>
}
func.func private @helper(%x: tensor<3xf64>) -> tensor<3xf64> {
  %y = grad.tanh %x : tensor<3xf64>
  %z = call @sine(%y) : (tensor<3xf64>) -> tensor<3xf64>
  return %z : tensor<3xf64>
}
func.func private @sine(%x: tensor<3xf64>) -> tensor<3xf64> {
  %y = grad.sin %x : tensor<3xf64>
  return %y : tensor<3xf64>
}
