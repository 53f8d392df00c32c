// RUN: gradopt %s --grad-canonicalize | FileCheck %s
// RUN: gradopt %s --pass-pipeline="builtin.module(func.func(grad-canonicalize))" | FileCheck %s

// Patterns of grad and of other dialects, and folds.
// CHECK-LABEL: func @twice_negated(
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<3xf64>
// CHECK-NEXT: return %[[X]]
func.func @twice_negated(%x: tensor<3xf64>) -> tensor<3xf64> {
  %0 = grad.negative %x : tensor<3xf64>
  %1 = grad.negative %0 : tensor<3xf64>
  return %1 : tensor<3xf64>
}

// CHECK-LABEL: func @casts(
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<3xf64>
// CHECK-NEXT: return %[[X]]
func.func @casts(%x: memref<3xf64>) -> memref<3xf64> {
  %0 = memref.cast %x : memref<3xf64> to memref<?xf64>
  %1 = memref.cast %0 : memref<?xf64> to memref<3xf64>
  return %1 : memref<3xf64>
}
