// RUN: gradopt %s --convert-grad-to-linalg | FileCheck %s
// RUN: gradopt %s --convert-grad-to-linalg=for-device=1 | FileCheck %s --check-prefix=DEVICE

// Elements of the result are independent, whatever the length of their rows is.

// CHECK-LABEL: func.func @vector
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel"]} outs(%{{.*}} : tensor<3xf64>)
// CHECK: scf.for
// DEVICE-LABEL: func.func @vector
// DEVICE: linalg.generic {{.*}} iterator_types = ["parallel"]} outs(%{{.*}} : tensor<3xf64>)
func.func @vector(%d: tensor<7xf64>, %i: tensor<7xi32>, %p: tensor<4xi32>, %x: tensor<5xf64>) -> tensor<3xf64> {
  %0 = grad.sparse_dot %d, %i, %p, %x, columns = 5, transpose = false : tensor<7xf64>, tensor<7xi32>, tensor<4xi32>, tensor<5xf64> -> tensor<3xf64>
  return %0 : tensor<3xf64>
}

// Eight columns at once, then the three that are left.

// CHECK-LABEL: func.func @matrix
// CHECK: scf.for
// CHECK: scf.for %{{.*}} -> (tensor<3x11xf64>)
// CHECK: %{{.*}}:8 = scf.for
// CHECK: %{{.*}}:3 = scf.for
// DEVICE-LABEL: func.func @matrix
// DEVICE: linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]}
func.func @matrix(%d: tensor<7xf64>, %i: tensor<7xi32>, %p: tensor<4xi32>, %x: tensor<5x11xf64>) -> tensor<3x11xf64> {
  %0 = grad.sparse_dot %d, %i, %p, %x, columns = 5, transpose = false : tensor<7xf64>, tensor<7xi32>, tensor<4xi32>, tensor<5x11xf64> -> tensor<3x11xf64>
  return %0 : tensor<3x11xf64>
}

// CHECK-LABEL: func.func @transposed
// CHECK: linalg.fill {{.*}} -> tensor<5xf64>
// CHECK: scf.for
// CHECK: scf.for
// CHECK: tensor.insert %{{.*}} : tensor<5xf64>
// DEVICE-LABEL: func.func @transposed
// DEVICE: linalg.generic {{.*}} iterator_types = ["parallel"]} outs(%{{.*}} : tensor<5xf64>)
// DEVICE: scf.if
func.func @transposed(%d: tensor<7xf64>, %i: tensor<7xi32>, %p: tensor<4xi32>, %x: tensor<3xf64>) -> tensor<5xf64> {
  %0 = grad.sparse_dot %d, %i, %p, %x, columns = 5, transpose = true : tensor<7xf64>, tensor<7xi32>, tensor<4xi32>, tensor<3xf64> -> tensor<5xf64>
  return %0 : tensor<5xf64>
}

// CHECK-LABEL: func.func @sampled
// CHECK: scf.for
// CHECK: scf.for
// CHECK: tensor.insert %{{.*}} : tensor<7xf64>
// DEVICE-LABEL: func.func @sampled
// DEVICE: linalg.generic {{.*}} iterator_types = ["parallel"]} outs(%{{.*}} : tensor<7xf64>)
// DEVICE: arith.shrui
func.func @sampled(%x: tensor<3x2xf64>, %y: tensor<5x2xf64>, %i: tensor<7xi32>, %p: tensor<4xi32>) -> tensor<7xf64> {
  %0 = grad.sampled_dot %x, %y, %i, %p : tensor<3x2xf64>, tensor<5x2xf64>, tensor<7xi32>, tensor<4xi32> -> tensor<7xf64>
  return %0 : tensor<7xf64>
}
