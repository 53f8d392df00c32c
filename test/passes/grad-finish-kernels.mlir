// RUN: gradopt %s --pass-pipeline='builtin.module(gpu.module(grad-finish-kernels))' | FileCheck %s

// Each parameter is a word, of which a number takes the first bytes. Bools in
// memory are bytes.

// CHECK: llvm.func @kernel(%[[P:.*]]: !llvm.ptr {llvm.noalias}, %[[A:.*]]: i64, %[[B:.*]]: i64, %[[C:.*]]: i64, %[[D:.*]]: i64, %[[E:.*]]: i64) attributes {{{.*}}nvvm.kernel
// CHECK-DAG: %[[A32:.*]] = llvm.trunc %[[A]] : i64 to i32
// CHECK-DAG: %[[AF:.*]] = llvm.bitcast %[[A32]] : i32 to f32
// CHECK-DAG: %[[BB:.*]] = llvm.trunc %[[B]] : i64 to i1
// CHECK-DAG: %[[DF:.*]] = llvm.bitcast %[[D]] : i64 to f64
// CHECK-DAG: %[[E8:.*]] = llvm.trunc %[[E]] : i64 to i8
// CHECK: llvm.store %[[AF]], %[[P]] : f32
// CHECK: %[[BYTE:.*]] = llvm.zext %[[BB]] : i1 to i8
// CHECK: llvm.store %[[BYTE]], %[[P]] : i8
// CHECK: %[[LOADED:.*]] = llvm.load %[[P]] : !llvm.ptr -> i8
// CHECK: llvm.icmp "ne" %[[LOADED]]
// CHECK: llvm.store %[[C]], %[[P]] : i64
// CHECK: llvm.store %[[DF]], %[[P]] : f64
// CHECK: llvm.store %[[E8]], %[[P]] : i8
// CHECK-NOT: xi1
// CHECK: llvm.func @helper(%{{.*}}: f32) -> f32
gpu.module @kernels {
  llvm.func @kernel(%p: !llvm.ptr {llvm.noalias}, %a: f32, %b: i1, %c: i64, %d: f64, %e: i8) attributes {gpu.kernel, nvvm.kernel} {
    llvm.store %a, %p : f32, !llvm.ptr
    llvm.store %b, %p : i1, !llvm.ptr
    %0 = llvm.load %p : !llvm.ptr -> i1
    llvm.cond_br %0, ^set, ^end
  ^set:
    llvm.store %c, %p : i64, !llvm.ptr
    llvm.br ^end
  ^end:
    llvm.store %d, %p : f64, !llvm.ptr
    llvm.store %e, %p : i8, !llvm.ptr
    llvm.return
  }
  llvm.func @helper(%a: f32) -> f32 {
    llvm.return %a : f32
  }
}
