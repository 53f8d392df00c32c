// RUN: gradopt %s --grad-to-linalg --grad-to-bufferized -split-input-file | FileCheck %s

// CHECK-LABEL: func @results_are_computed_in_place
// CHECK-SAME: %[[X:.*]]: memref<4xf64>, %[[R:.*]]: memref<4xf64> {grad.result}, %{{.*}}: memref<0xi8>
func.func @results_are_computed_in_place(%x: tensor<4xf64>) -> tensor<4xf64> {
  // CHECK-NOT: memref.copy
  // CHECK: linalg.generic {{.*}} ins(%[[X]] : memref<4xf64>) outs(%[[R]] : memref<4xf64>)
  %0 = grad.exp %x : tensor<4xf64>
  %1 = grad.sin %0 : tensor<4xf64>
  return %1 : tensor<4xf64>
}

// CHECK-LABEL: func @an_argument_returned_is_copied
// CHECK-SAME: %[[X:.*]]: memref<4xf64>, %[[R:.*]]: memref<4xf64> {grad.result}
func.func @an_argument_returned_is_copied(%x: tensor<4xf64>) -> tensor<4xf64> {
  // CHECK: memref.copy %[[X]], %[[R]]
  return %x : tensor<4xf64>
}

// CHECK-LABEL: func @a_value_returned_twice_is_copied
// CHECK-SAME: %[[R0:[a-z0-9]+]]: memref<4xf64> {grad.result}, %[[R1:[a-z0-9]+]]: memref<4xf64> {grad.result}
func.func @a_value_returned_twice_is_copied(%x: tensor<4xf64>) -> (tensor<4xf64>, tensor<4xf64>) {
  // CHECK: math.exp
  // CHECK-NOT: math.exp
  // CHECK: memref.copy
  %0 = grad.exp %x : tensor<4xf64>
  return %0, %0 : tensor<4xf64>, tensor<4xf64>
}

// CHECK-LABEL: func @an_argument_is_not_overwritten
// CHECK-SAME: %[[X:.*]]: memref<4xf64>, %[[U:.*]]: memref<1xf64>, %[[R:.*]]: memref<4xf64> {grad.result}
func.func @an_argument_is_not_overwritten(%x: tensor<4xf64>, %u: tensor<1xf64>) -> tensor<4xf64> {
  // CHECK: memref.copy %[[X]], %[[R]]
  // CHECK: %[[SLOT:.*]] = memref.subview %[[R]][2] [1] [1]
  // CHECK: memref.copy %[[U]], %[[SLOT]]
  %0 = grad.update_slice %x, %u, offsets = [2], strides = [1] : tensor<4xf64>, tensor<1xf64>
  return %0 : tensor<4xf64>
}

// CHECK-LABEL: func @a_scatter_adds_in_place
// CHECK-SAME: %[[R:[a-z0-9]+]]: memref<4xf64> {grad.result}, %{{.*}}: memref<0xi8>
func.func @a_scatter_adds_in_place(%i: tensor<3x1xi64>, %u: tensor<3xf64>) -> tensor<4xf64> {
  // CHECK: linalg.fill ins(%{{.*}} : f64) outs(%[[R]] : memref<4xf64>)
  // CHECK: scf.for
  // CHECK: memref.load %[[R]]
  // CHECK: memref.store %{{.*}}, %[[R]]
  %0 = grad.constant dense<0.0> : tensor<4xf64>
  %1 = grad.scatter_add %0, %i, %u : tensor<4xf64>, tensor<3x1xi64>, tensor<3xf64>
  return %1 : tensor<4xf64>
}

// -----

// CHECK: func private @gradopt_gemm_f64
// CHECK-LABEL: func @a_product_goes_to_blas_with_its_transpose
// CHECK-SAME: %[[X:.*]]: memref<16x16xf64>, %[[R:.*]]: memref<16x16xf64> {grad.result}
func.func @a_product_goes_to_blas_with_its_transpose(%x: tensor<16x16xf64>) -> tensor<16x16xf64> {
  // CHECK-NOT: linalg
  // CHECK: call @gradopt_gemm_f64(%[[ONE:.*]], %[[ZERO:[^,]*]], %c16_i64
  // CHECK-NOT: linalg
  // CHECK: return
  %0 = grad.transpose %x, permutation = [1, 0] : tensor<16x16xf64> -> tensor<16x16xf64>
  %1 = grad.dot_general %0, %x, batch = [] x [], contract = [1] x [0] : tensor<16x16xf64>, tensor<16x16xf64> -> tensor<16x16xf64>
  return %1 : tensor<16x16xf64>
}
