// RUN: gradopt %s --convert-buffers-to-llvm | FileCheck %s

// The routine with its flags is one number.
// CHECK: llvm.func @gradopt_lapack(i64, !llvm.ptr, i64, !llvm.ptr, i64)
// CHECK-LABEL: llvm.func @solve
// CHECK-DAG: %[[NUMBER:.*]] = llvm.mlir.constant(1539 : i64)
// CHECK: llvm.call @gradopt_lapack(%[[NUMBER]], %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}})
func.func @solve(%a: memref<3x3xf64>, %b: memref<3x2xf64>, %x: memref<3x2xf64>) {
  grad.lapack_into "triangular_solve", flags = 6 (%a, %b) outs(%x) : (memref<3x3xf64>, memref<3x2xf64>, memref<3x2xf64>) -> ()
  return
}
