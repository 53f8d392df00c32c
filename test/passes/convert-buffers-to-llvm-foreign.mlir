// RUN: gradopt %s -convert-buffers-to-llvm -canonicalize | FileCheck %s

// The tables lie on the stack, made once, however often the loop calls.
// CHECK: llvm.mlir.global internal constant @gradopt_shape_2x3(dense<[2, 3]> : tensor<2xi64>)
// CHECK: llvm.func @gradopt_call_target(i64, !llvm.ptr, i64, !llvm.ptr, i64)
// CHECK-LABEL: llvm.func @calls_in_a_loop
// CHECK-SAME: %[[X:[^:]+]]: !llvm.ptr
// CHECK-SAME: %[[Y:[^:]+]]: !llvm.ptr
func.func @calls_in_a_loop(%x: memref<2x3xf64>, %y: memref<i1>) {
  // CHECK-DAG: %[[SHAPE:.*]] = llvm.mlir.addressof @gradopt_shape_2x3
  // CHECK-DAG: %[[OUTS:.*]] = llvm.alloca %{{.*}} x !llvm.struct<(ptr, ptr, i32, i32)>
  // CHECK-DAG: %[[INS:.*]] = llvm.alloca %{{.*}} x !llvm.struct<(ptr, ptr, i32, i32)>
  // CHECK: llvm.br
  // CHECK-NOT: llvm.alloca
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  scf.for %i = %c0 to %c9 step %c1 {
    // CHECK: llvm.store %[[X]], %{{.*}} : !llvm.ptr
    // CHECK: llvm.store %[[SHAPE]], %{{.*}} : !llvm.ptr
    // CHECK: llvm.store %[[Y]], %{{.*}} : !llvm.ptr
    // CHECK: llvm.call @gradopt_call_target(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}})
    grad.custom_call_into "f", target = 7 (%x) outs(%y) : (memref<2x3xf64>, memref<i1>) -> ()
  }
  return
}

// The types of arrays are numbers of gradopt_dtype: ui16 is 8, i16 is 2.
// CHECK-LABEL: llvm.func @unsigned
func.func @unsigned(%x: memref<i16>, %y: memref<i16>) {
  // CHECK-DAG: %[[UNSIGNED:.*]] = llvm.mlir.constant(8 : i32)
  // CHECK-DAG: %[[SIGNED:.*]] = llvm.mlir.constant(2 : i32)
  // CHECK-DAG: llvm.store %[[UNSIGNED]], %{{.*}} : i32, !llvm.ptr
  // CHECK-DAG: llvm.store %[[SIGNED]], %{{.*}} : i32, !llvm.ptr
  grad.custom_call_into "f", target = 7 (%x) outs(%y) {are_unsigned = array<i1: true, false>} : (memref<i16>, memref<i16>) -> ()
  return
}
