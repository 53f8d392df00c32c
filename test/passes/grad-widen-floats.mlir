// RUN: gradopt %s --grad-widen-floats | FileCheck %s
// RUN: gradopt %s --grad-widen-floats --grad-expand-requests --canonicalize --cse | FileCheck %s --check-prefix=ADJOINT

// CHECK-LABEL: func.func @each_op_rounds
// CHECK-SAME: %[[X:.*]]: tensor<4xbf16>
func.func @each_op_rounds(%x: tensor<4xbf16>) -> tensor<bf16> {
  // CHECK: %[[A:.*]] = grad.convert %[[X]] to f32 : tensor<4xbf16>
  // CHECK: %[[B:.*]] = grad.tanh %[[A]] {grad.stored_as = bf16} : tensor<4xf32>
  // CHECK: %[[Y:.*]] = grad.convert %[[B]] to bf16 : tensor<4xf32>
  // CHECK: %[[C:.*]] = grad.convert %[[Y]] to f32 : tensor<4xbf16>
  // CHECK: %[[D:.*]] = grad.reduce_sum %[[C]], dimensions = [0] : tensor<4xf32> -> tensor<f32>
  // CHECK: %[[S:.*]] = grad.convert %[[D]] to bf16 : tensor<f32>
  // CHECK: return %[[S]]
  %0 = grad.tanh %x : tensor<4xbf16>
  %1 = grad.reduce_sum %0, dimensions = [0] : tensor<4xbf16> -> tensor<bf16>
  return %1 : tensor<bf16>
}

// CHECK-LABEL: func.func @what_is_moved_stays_narrow
// CHECK-NOT: f32
// CHECK: return
func.func @what_is_moved_stays_narrow(%x: tensor<4xf16>, %p: tensor<4xi1>) -> (tensor<4xf16>, tensor<4x2xf16>) {
  %c = grad.constant dense<1.0> : tensor<4xf16>
  %0 = grad.reverse %x, dimensions = [0] : tensor<4xf16> -> tensor<4xf16>
  %1 = grad.select %p, %0, %c : tensor<4xi1>, tensor<4xf16>
  %2 = grad.broadcast %1, shape = [4, 2], dimensions = [0] : tensor<4xf16> -> tensor<4x2xf16>
  return %1, %2 : tensor<4xf16>, tensor<4x2xf16>
}

// CHECK-LABEL: func.func @results_of_other_types
// CHECK-SAME: %[[X:.*]]: tensor<4xf16>, %[[Y:.*]]: tensor<4xf32>
func.func @results_of_other_types(%x: tensor<4xf16>, %y: tensor<4xf32>) -> (tensor<4xi1>, tensor<4xf32>, tensor<3xf16>) {
  // CHECK: %[[A:.*]] = grad.convert %[[X]] to f32
  // CHECK: %[[P:.*]] = grad.isnan %[[A]] : tensor<4xf32>
  // CHECK: %[[S:.*]] = grad.add %[[Y]], %[[Y]] : tensor<4xf32>
  // CHECK: %[[I:.*]] = grad.iota dimension = 0, shape = [3], f32 : tensor<3xf32>
  // CHECK: %[[N:.*]] = grad.convert %[[I]] to f16
  // CHECK: return %[[P]], %[[S]], %[[N]]
  %0 = grad.isnan %x : tensor<4xf16>
  %1 = grad.add %y, %y : tensor<4xf32>
  %2 = grad.iota dimension = 0, shape = [3], f16 : tensor<3xf16>
  return %0, %1, %2 : tensor<4xi1>, tensor<4xf32>, tensor<3xf16>
}

// A value is widened where it comes from, and what repeats it repeats f32.
// CHECK-LABEL: func.func @once_for_all_uses
// CHECK-SAME: %[[X:.*]]: tensor<4xf16>
func.func @once_for_all_uses(%x: tensor<4xf16>, %n: index) -> tensor<2x4xf16> {
  // CHECK-NEXT: %[[W:.*]] = grad.convert %[[X]] to f32
  // CHECK: %[[B:.*]] = grad.broadcast %[[W]], shape = [2, 4], dimensions = [1] : tensor<4xf32> -> tensor<2x4xf32>
  // CHECK: scf.for
  // CHECK-SAME: tensor<2x4xf16>
  // CHECK: grad.multiply %{{.*}}, %[[B]] {grad.stored_as = f16} : tensor<2x4xf32>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %0 = grad.broadcast %x, shape = [2, 4], dimensions = [1] : tensor<4xf16> -> tensor<2x4xf16>
  %1 = scf.for %i = %c0 to %n step %c1 iter_args(%s = %0) -> tensor<2x4xf16> {
    %2 = grad.multiply %s, %0 : tensor<2x4xf16>
    scf.yield %2 : tensor<2x4xf16>
  }
  return %1 : tensor<2x4xf16>
}

// Sums of cotangents are rounded once. The rule of exp reads the result as it
// lies in memory.
// ADJOINT-LABEL: func.func @gradient
// ADJOINT-SAME: %[[X:.*]]: tensor<4xf16>, %[[G:.*]]: tensor<4xf16>
func.func @gradient(%x: tensor<4xf16>, %g: tensor<4xf16>) -> tensor<4xf16> {
  // ADJOINT-DAG: %[[W:.*]] = grad.convert %[[X]] to f32
  // ADJOINT-DAG: %[[E:.*]] = grad.exp %[[W]] {grad.stored_as = f16}
  // ADJOINT-DAG: %[[N:.*]] = grad.convert %[[E]] to f16
  // ADJOINT-DAG: %[[Y:.*]] = grad.convert %[[N]] to f32
  // ADJOINT-DAG: %[[C:.*]] = grad.convert %[[G]] to f32
  // ADJOINT-DAG: %[[S:.*]] = grad.sin %[[W]]
  // ADJOINT-NOT: to f16
  // ADJOINT: %[[D:.*]] = grad.convert %{{.*}} to f16 : tensor<4xf32>
  // ADJOINT: return %[[D]]
  %0:2 = grad.vjp @f(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<4xf16>, tensor<4xf16>) -> (tensor<4xf16>, tensor<4xf16>)
  return %0#1 : tensor<4xf16>
}
func.func private @f(%x: tensor<4xf16>) -> tensor<4xf16> {
  %0 = grad.exp %x : tensor<4xf16>
  %1 = grad.cos %x : tensor<4xf16>
  %2 = grad.add %0, %1 : tensor<4xf16>
  return %2 : tensor<4xf16>
}
