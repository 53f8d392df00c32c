// RUN: gradopt %s --convert-grad-to-linalg="for-device=1" | FileCheck %s

// Rows of a power of two, with NaN behind; each step compares every element with a partner.
// CHECK-LABEL: func.func @network
// CHECK-SAME: %[[X:.*]]: tensor<2x5xf32>
func.func @network(%x: tensor<2x5xf32>) -> (tensor<2x5xf32>, tensor<2x5xi64>) {
  // CHECK: %[[ROWS:.*]]:2 = linalg.generic
  // CHECK: tensor.extract %[[X]]
  // CHECK: arith.constant 0x7FC00000 : f32
  // CHECK: -> (tensor<2x8xf32>, tensor<2x8xi64>)
  // CHECK: %[[LEVELS:.*]] = arith.constant 3 : index
  // CHECK: %[[SORTED:.*]]:2 = scf.for %{{.*}} to %[[LEVELS]] {{.*}} iter_args(%{{.*}} = %[[ROWS]]#0, %{{.*}} = %[[ROWS]]#1)
  // CHECK: scf.for
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]
  // CHECK: arith.xori
  // CHECK: arith.cmpf olt
  // CHECK: tensor.extract_slice %[[SORTED]]#0[0, 0] [2, 5] [1, 1]
  // CHECK: tensor.extract_slice %[[SORTED]]#1[0, 0] [2, 5] [1, 1]
  %0, %i = grad.sort %x : tensor<2x5xf32> -> tensor<2x5xf32>, tensor<2x5xi64>
  return %0, %i : tensor<2x5xf32>, tensor<2x5xi64>
}

// Complex numbers are compared by their parts; NaN is behind all else in both.
// CHECK-LABEL: func.func @complex_numbers
func.func @complex_numbers(%x: tensor<3xcomplex<f32>>) -> tensor<3xcomplex<f32>> {
  // CHECK: complex.constant [0x7FC00000 : f32, 0x7FC00000 : f32] : complex<f32>
  // CHECK: scf.for
  // CHECK-DAG: complex.re
  // CHECK-DAG: complex.im
  // CHECK: arith.cmpf uno
  // CHECK: arith.select %{{.*}} : complex<f32>
  %0, %i = grad.sort %x : tensor<3xcomplex<f32>> -> tensor<3xcomplex<f32>>, tensor<3xi64>
  return %0 : tensor<3xcomplex<f32>>
}

// CHECK-LABEL: func.func @unsigned
func.func @unsigned(%x: tensor<4xui8>) -> tensor<4xi64> {
  // CHECK: arith.constant -1 : i8
  // CHECK: scf.for
  // CHECK: arith.cmpi ult, %{{.*}}, %{{.*}} : i8
  %0, %i = grad.sort %x : tensor<4xui8> -> tensor<4xui8>, tensor<4xi64>
  return %i : tensor<4xi64>
}
