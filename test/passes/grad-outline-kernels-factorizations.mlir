// RUN: gradopt %s --grad-outline-kernels=for-device=1 | FileCheck %s

// Small matrices are a kernel, without the fill of what it writes; larger ones stay for the host.

// CHECK-LABEL: func.func @small(
// CHECK: call @kernel(
// CHECK: call @kernel_0(
// CHECK: call @kernel_1(
// CHECK-NOT: grad.lapack_into
func.func @small(%a: memref<9x4x4xf64>, %l: memref<9x4x4xf64>, %status: memref<9xi32>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64} {
  %zero = arith.constant 0.0 : f64
  linalg.fill ins(%zero : f64) outs(%l : memref<9x4x4xf64>)
  grad.lapack_into "cholesky", flags = 0 (%a) outs(%l, %status) : (memref<9x4x4xf64>, memref<9x4x4xf64>, memref<9xi32>) -> ()
  linalg.exp ins(%l : memref<9x4x4xf64>) outs(%l : memref<9x4x4xf64>)
  return
}

// CHECK-LABEL: func.func @large(
// CHECK-NOT: call
// CHECK: grad.lapack_into
// CHECK-NOT: call
// CHECK: return
func.func @large(%a: memref<33x33xf64>, %l: memref<33x33xf64>, %status: memref<i32>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64} {
  grad.lapack_into "cholesky", flags = 0 (%a) outs(%l, %status) : (memref<33x33xf64>, memref<33x33xf64>, memref<i32>) -> ()
  return
}

// CHECK: func.func private @kernel_0(
// CHECK: grad.lapack_into "cholesky"
