// RUN: gradopt %s --convert-grad-to-linalg | FileCheck %s

// What the runtime works in is a tensor, too: numbers alone are moved between it and the values.
// CHECK-LABEL: func.func @values
func.func @values(%x: tensor<2x5xf32>) -> tensor<2x5xf32> {
  // CHECK-DAG: %[[V:.*]] = tensor.empty() : tensor<2x5xf32>
  // CHECK-DAG: %[[WORK:.*]] = tensor.empty() : tensor<3xi64>
  // CHECK: %[[R:.*]]:2 = grad.sort_into values(%{{.*}}) outs(%[[V]], %[[WORK]])
  // CHECK: return %[[R]]#0
  %0, %i = grad.sort %x : tensor<2x5xf32> -> tensor<2x5xf32>, tensor<2x5xi64>
  return %0 : tensor<2x5xf32>
}

// CHECK-LABEL: func.func @indices_of_unsigned
func.func @indices_of_unsigned(%x: tensor<5xui64>) -> tensor<5xi64> {
  // CHECK: %[[R:.*]]:2 = grad.sort_into indices unsigned(%{{.*}}) outs(%{{.*}}, %{{.*}}) : (tensor<5xi64>, tensor<5xi64>, tensor<5xi64>) -> (tensor<5xi64>, tensor<5xi64>)
  // CHECK: return %[[R]]#0
  %0, %i = grad.sort %x : tensor<5xui64> -> tensor<5xui64>, tensor<5xi64>
  return %i : tensor<5xi64>
}

// CHECK-LABEL: func.func @both
func.func @both(%x: tensor<5xcomplex<f64>>) -> (tensor<5xcomplex<f64>>, tensor<5xi64>) {
  // CHECK: grad.sort_into values indices(%{{.*}}) outs(%{{.*}}, %{{.*}}, %{{.*}}) : (tensor<5xcomplex<f64>>, tensor<5xcomplex<f64>>, tensor<5xi64>, tensor<30xi64>)
  %0, %i = grad.sort %x : tensor<5xcomplex<f64>> -> tensor<5xcomplex<f64>>, tensor<5xi64>
  return %0, %i : tensor<5xcomplex<f64>>, tensor<5xi64>
}

// CHECK-LABEL: func.func @nothing
func.func @nothing(%x: tensor<5xf64>) -> tensor<5xf64> {
  // CHECK-NOT: grad.sort_into
  %0, %i = grad.sort %x : tensor<5xf64> -> tensor<5xf64>, tensor<5xi64>
  return %x : tensor<5xf64>
}
