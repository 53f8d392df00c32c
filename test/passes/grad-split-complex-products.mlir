// RUN: gradopt %s --grad-split-complex-products=threshold=60 --split-input-file | FileCheck %s
// RUN: gradopt %s --grad-split-complex-products --split-input-file | FileCheck %s --check-prefix=SMALL
// RUN: gradopt %s --pass-pipeline='builtin.module(func.func(grad-split-complex-products{threshold=60},convert-grad-to-linalg{for-device=true},grad-cse))' --split-input-file | FileCheck %s --check-prefix=MERGED

// SMALL-NOT: grad.imag

// CHECK-LABEL: func @products_of_parts
// CHECK-SAME: %[[A:.*]]: tensor<2x4x5xcomplex<f64>>, %[[B:.*]]: tensor<2x6x5xcomplex<f64>>
func.func @products_of_parts(%a: tensor<2x4x5xcomplex<f64>>, %b: tensor<2x6x5xcomplex<f64>>) -> tensor<2x4x6xcomplex<f64>> {
  // CHECK-DAG: %[[AR:.*]] = grad.convert %[[A]]
  // CHECK-DAG: %[[AI:.*]] = grad.imag %[[A]]
  // CHECK-DAG: %[[BR:.*]] = grad.convert %[[B]]
  // CHECK-DAG: %[[BI:.*]] = grad.imag %[[B]]
  // CHECK-DAG: %[[MINUS:.*]] = grad.negative %[[AI]]
  // CHECK-DAG: %[[RR:.*]] = grad.dot_general %[[AR]], %[[BR]], batch = [0] x [0], contract = [2] x [2]
  // CHECK-DAG: %[[II:.*]] = grad.dot_general %[[MINUS]], %[[BI]], batch = [0] x [0], contract = [2] x [2]
  // CHECK-DAG: %[[RI:.*]] = grad.dot_general %[[AR]], %[[BI]], batch = [0] x [0], contract = [2] x [2]
  // CHECK-DAG: %[[IR:.*]] = grad.dot_general %[[AI]], %[[BR]], batch = [0] x [0], contract = [2] x [2]
  // CHECK-DAG: %[[RE:.*]] = grad.add %[[RR]], %[[II]]
  // CHECK-DAG: %[[IM:.*]] = grad.add %[[RI]], %[[IR]]
  // CHECK: %[[C:.*]] = grad.complex %[[RE]], %[[IM]]
  // CHECK: return %[[C]]
  %0 = grad.dot_general %a, %b, batch = [0] x [0], contract = [2] x [2]
      : tensor<2x4x5xcomplex<f64>>, tensor<2x6x5xcomplex<f64>> -> tensor<2x4x6xcomplex<f64>>
  return %0 : tensor<2x4x6xcomplex<f64>>
}

// -----

// What is transposed is read where it is, and numbers that are made of parts are not.

// CHECK-LABEL: func @transposes_and_parts
// CHECK-SAME: %[[A:.*]]: tensor<5x4xcomplex<f32>>, %[[RE:.*]]: tensor<5x4xf32>, %[[IM:.*]]: tensor<5x4xf32>
func.func @transposes_and_parts(%a: tensor<5x4xcomplex<f32>>, %re: tensor<5x4xf32>, %im: tensor<5x4xf32>) -> tensor<4x4xcomplex<f32>> {
  // CHECK: %[[AR:.*]] = grad.convert %[[A]] to f32
  // CHECK: %[[T:.*]] = grad.transpose %[[AR]], permutation = [1, 0]
  // CHECK: grad.dot_general %[[T]], %[[RE]],
  %0 = grad.transpose %a, permutation = [1, 0] : tensor<5x4xcomplex<f32>> -> tensor<4x5xcomplex<f32>>
  %1 = grad.complex %re, %im : tensor<5x4xf32>
  %2 = grad.dot_general %0, %1, batch = [] x [], contract = [1] x [0]
      : tensor<4x5xcomplex<f32>>, tensor<5x4xcomplex<f32>> -> tensor<4x4xcomplex<f32>>
  return %2 : tensor<4x4xcomplex<f32>>
}

// -----

// Vectors, numbers that are real, and products without a sum.

// CHECK-LABEL: func @others_stay
// CHECK-NOT: grad.imag
func.func @others_stay(%a: tensor<50x50xcomplex<f64>>, %x: tensor<50xcomplex<f64>>, %b: tensor<50x50xf64>) -> (tensor<50xcomplex<f64>>, tensor<50x50xf64>, tensor<50x50xcomplex<f64>>) {
  %0 = grad.dot_general %a, %x, batch = [] x [], contract = [1] x [0]
      : tensor<50x50xcomplex<f64>>, tensor<50xcomplex<f64>> -> tensor<50xcomplex<f64>>
  %1 = grad.dot_general %b, %b, batch = [] x [], contract = [1] x [0]
      : tensor<50x50xf64>, tensor<50x50xf64> -> tensor<50x50xf64>
  %2 = grad.dot_general %x, %x, batch = [] x [], contract = [] x []
      : tensor<50xcomplex<f64>>, tensor<50xcomplex<f64>> -> tensor<50x50xcomplex<f64>>
  return %0, %1, %2 : tensor<50xcomplex<f64>>, tensor<50x50xf64>, tensor<50x50xcomplex<f64>>
}

// -----

// Parts that several products have are taken and negated once in the stage that has the pass.

// CHECK-LABEL: func @shared_parts
// CHECK: grad.imag
// MERGED-LABEL: func @shared_parts
// MERGED: complex.re
// MERGED-NOT: complex.re
// MERGED: complex.im
// MERGED: arith.negf
// MERGED-NOT: {{complex.re |complex.im |arith.negf}}
// MERGED: return
func.func @shared_parts(%a: tensor<8x8xcomplex<f64>>) -> (tensor<8x8xcomplex<f64>>, tensor<8x8xcomplex<f64>>) {
  %0 = grad.dot_general %a, %a, batch = [] x [], contract = [1] x [0]
      : tensor<8x8xcomplex<f64>>, tensor<8x8xcomplex<f64>> -> tensor<8x8xcomplex<f64>>
  %1 = grad.dot_general %a, %a, batch = [] x [], contract = [0] x [0]
      : tensor<8x8xcomplex<f64>>, tensor<8x8xcomplex<f64>> -> tensor<8x8xcomplex<f64>>
  return %0, %1 : tensor<8x8xcomplex<f64>>, tensor<8x8xcomplex<f64>>
}
