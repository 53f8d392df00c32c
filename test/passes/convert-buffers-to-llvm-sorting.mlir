// RUN: gradopt %s --expand-strided-metadata --convert-buffers-to-llvm | FileCheck %s

// What is asked for, and that the integers are unsigned, is one number.
// CHECK: llvm.func @gradopt_sort(i64, !llvm.ptr, i64, !llvm.ptr, i64)
// CHECK-LABEL: llvm.func @order
// CHECK-DAG: %[[NUMBER:.*]] = llvm.mlir.constant(6 : i64)
// CHECK: llvm.call @gradopt_sort(%[[NUMBER]], %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}})
func.func @order(%x: memref<5xi32>, %indices: memref<5xi64>, %work: memref<10xi64>) {
  grad.sort_into indices unsigned(%x) outs(%indices, %work) : (memref<5xi32>, memref<5xi64>, memref<10xi64>) -> ()
  return
}

// The sizes of a buffer that are known in the run only are stored where the
// runtime finds them.
// CHECK-LABEL: llvm.func @rows
// CHECK: llvm.alloca %{{.*}} x i64
// CHECK: %[[SIZES:.*]] = llvm.alloca %{{.*}} x i64
// CHECK: %[[LENGTH_PLACE:.*]] = llvm.getelementptr %[[SIZES]][1]
// CHECK: llvm.store %{{.*}}, %[[LENGTH_PLACE]] : i64
// CHECK: %[[FIELD:.*]] = llvm.getelementptr %{{.*}}[0, 1]
// CHECK: llvm.store %[[SIZES]], %[[FIELD]]
// CHECK: llvm.call @gradopt_sort
func.func @rows(%x: memref<64x5xf64>, %values: memref<64x5xf64>, %work: memref<5xi64>, %n: memref<index>) {
  %rows = memref.load %n[] : memref<index>
  %some = memref.subview %x[0, 0] [%rows, 5] [1, 1] : memref<64x5xf64> to memref<?x5xf64>
  %sorted = memref.subview %values[0, 0] [%rows, 5] [1, 1] : memref<64x5xf64> to memref<?x5xf64>
  grad.sort_into values(%some) outs(%sorted, %work) : (memref<?x5xf64>, memref<?x5xf64>, memref<5xi64>) -> ()
  return
}
