// RUN: gradopt %s -convert-buffers-to-llvm -split-input-file | FileCheck %s
// RUN: gradopt %s -grad-buffers-to-loops -convert-buffers-to-llvm -split-input-file | FileCheck %s

// Loops of every kind become blocks, whichever dialects the input mentions.
// CHECK-LABEL: llvm.func @affine_for
func.func @affine_for(%x: memref<4xf64>, %z: f64) -> f64 {
  // CHECK: llvm.cond_br
  %0 = affine.for %i = 0 to 4 iter_args(%s = %z) -> f64 {
    %1 = affine.load %x[%i] : memref<4xf64>
    affine.yield %1 : f64
  }
  return %0 : f64
}

// -----

// CHECK-LABEL: llvm.func @affine_parallel
func.func @affine_parallel(%x: memref<4xf64>) -> f64 {
  // CHECK: llvm.cond_br
  // CHECK: llvm.fadd
  %0 = affine.parallel (%i) = (0) to (4) reduce ("addf") -> f64 {
    %1 = affine.load %x[%i] : memref<4xf64>
    affine.yield %1 : f64
  }
  return %0 : f64
}

// -----

// CHECK-LABEL: llvm.func @affine_if
func.func @affine_if(%x: memref<4xf64>, %i: index) {
  // CHECK: llvm.cond_br
  // CHECK: llvm.store
  affine.if affine_set<(i) : (i - 2 >= 0)>(%i) {
    affine.parallel (%j) = (0) to (3) {
      %0 = affine.load %x[%j] : memref<4xf64>
      affine.store %0, %x[%j + 1] : memref<4xf64>
    }
  }
  return
}

// -----

// CHECK-LABEL: llvm.func @scf_parallel
func.func @scf_parallel(%x: memref<4xf64>, %n: index) -> f64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %z = arith.constant 0.0 : f64
  // CHECK: llvm.cond_br
  // CHECK: llvm.fadd
  %r = scf.parallel (%i) = (%c0) to (%n) step (%c1) init (%z) -> f64 {
    %0 = memref.load %x[%i] : memref<4xf64>
    scf.reduce(%0 : f64) {
    ^bb0(%a: f64, %b: f64):
      %s = arith.addf %a, %b : f64
      scf.reduce.return %s : f64
    }
  }
  return %r : f64
}
