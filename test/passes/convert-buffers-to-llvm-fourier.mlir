// RUN: gradopt %s --convert-buffers-to-llvm | FileCheck %s

// The transform with its attributes is one number: 1 for rfft, twice 4 for the
// root, 16 for forward, 256 for the last dimension, and bit 16 for the first and
// 17 for the second one.
// CHECK: llvm.func @gradopt_fourier(i64, !llvm.ptr, i64, !llvm.ptr, i64)
// CHECK-LABEL: llvm.func @rfft
// CHECK-DAG: %[[NUMBER:.*]] = llvm.mlir.constant(196889 : i64)
// CHECK: llvm.call @gradopt_fourier(%[[NUMBER]], %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}})
func.func @rfft(%x: memref<2x8xf64>, %y: memref<2x5xcomplex<f64>>, %work: memref<300xf64>) {
  grad.fourier_into "rfft", dimensions = [0, 1], forward = true, norm = "root" (%x) outs(%y, %work) : (memref<2x8xf64>, memref<2x5xcomplex<f64>>, memref<300xf64>) -> ()
  return
}
