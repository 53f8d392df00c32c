// RUN: gradopt %s --convert-buffers-to-llvm | FileCheck %s

// What is asked for, and that the integers are unsigned, is one number.
// CHECK: llvm.func @gradopt_sort(i64, !llvm.ptr, i64, !llvm.ptr, i64)
// CHECK-LABEL: llvm.func @order
// CHECK-DAG: %[[NUMBER:.*]] = llvm.mlir.constant(6 : i64)
// CHECK: llvm.call @gradopt_sort(%[[NUMBER]], %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}})
func.func @order(%x: memref<5xi32>, %indices: memref<5xi64>, %work: memref<10xi64>) {
  grad.sort_into indices unsigned(%x) outs(%indices, %work) : (memref<5xi32>, memref<5xi64>, memref<10xi64>) -> ()
  return
}
