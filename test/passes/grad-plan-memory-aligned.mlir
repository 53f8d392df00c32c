// RUN: gradopt %s --grad-plan-memory -split-input-file | FileCheck %s

// Callers align arguments to their elements only: what has to be aligned further
// does not move into one.
// CHECK-LABEL: func.func @main
// CHECK-SAME: grad.arena_bytes = 32 : i64
// CHECK: memref.view
// CHECK: memref.copy
func.func @main(%x: memref<4xf64>, %r: memref<4xf64>) {
  %a = memref.alloc() {alignment = 32 : i64} : memref<4xf64>
  memref.copy %x, %a : memref<4xf64> to memref<4xf64>
  memref.copy %a, %r : memref<4xf64> to memref<4xf64>
  return
}

// -----

// CHECK-LABEL: func.func @main
// CHECK-SAME: grad.arena_bytes = 0 : i64
// CHECK: memref.copy
// CHECK-NOT: memref.copy
func.func @main(%x: memref<4xf64>, %r: memref<4xf64>) {
  %a = memref.alloc() {alignment = 8 : i64} : memref<4xf64>
  memref.copy %x, %a : memref<4xf64> to memref<4xf64>
  memref.copy %a, %r : memref<4xf64> to memref<4xf64>
  return
}

// -----

// Pairs of numbers are aligned as their numbers are.
// CHECK-LABEL: func.func @main
// CHECK-SAME: grad.arena_bytes = 64 : i64
func.func @main(%x: memref<4xcomplex<f64>>, %r: memref<4xcomplex<f64>>) {
  %a = memref.alloc() {alignment = 16 : i64} : memref<4xcomplex<f64>>
  memref.copy %x, %a : memref<4xcomplex<f64>> to memref<4xcomplex<f64>>
  memref.copy %a, %r : memref<4xcomplex<f64>> to memref<4xcomplex<f64>>
  return
}
