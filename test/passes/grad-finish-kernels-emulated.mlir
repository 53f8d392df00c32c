// RUN: gradopt %s --grad-finish-kernels | FileCheck %s

// An emulated kernel gets an entry that takes words, and the memory that a block
// shares. The emulator is told of each access before it happens.

// CHECK-DAG: llvm.func @gradopt_emulated_load(!llvm.ptr, i64)
// CHECK-DAG: llvm.func @gradopt_emulated_store(!llvm.ptr, i64)
// CHECK-DAG: llvm.func @gradopt_emulated_shared(i64) -> !llvm.ptr
// CHECK: llvm.func @kernel(%[[WORDS:.*]]: !llvm.ptr) {
// CHECK: %[[P0:.*]] = llvm.getelementptr %[[WORDS]][0] : (!llvm.ptr) -> !llvm.ptr, i64
// CHECK: %[[W0:.*]] = llvm.load %[[P0]] : !llvm.ptr -> i64
// CHECK: %[[X:.*]] = llvm.inttoptr %[[W0]] : i64 to !llvm.ptr
// CHECK: %[[P1:.*]] = llvm.getelementptr %[[WORDS]][1] : (!llvm.ptr) -> !llvm.ptr, i64
// CHECK: %[[W1:.*]] = llvm.load %[[P1]] : !llvm.ptr -> i64
// CHECK: %[[T1:.*]] = llvm.trunc %[[W1]] : i64 to i32
// CHECK: %[[N:.*]] = llvm.bitcast %[[T1]] : i32 to f32
// CHECK: %[[BYTES:.*]] = llvm.mlir.constant(64 : i64) : i64
// CHECK: %[[SHARED:.*]] = llvm.call @gradopt_emulated_shared(%[[BYTES]])
// CHECK: llvm.call @kernel_thread(%[[X]], %[[N]], %[[SHARED]])
// CHECK-NEXT: llvm.return
// CHECK: llvm.func internal @kernel_thread(
// CHECK-NOT: grad.shared_bytes
// CHECK: %[[EIGHT:.*]] = llvm.mlir.constant(8 : i64)
// CHECK: llvm.call @gradopt_emulated_load(%[[FROM:.*]], %[[EIGHT]])
// CHECK-NEXT: %[[A:.*]] = llvm.load %[[FROM]] : !llvm.ptr -> f64
// CHECK: %[[EIGHT:.*]] = llvm.mlir.constant(8 : i64)
// CHECK: llvm.call @gradopt_emulated_store(%[[TO:.*]], %[[EIGHT]])
// CHECK-NEXT: llvm.store %[[A]], %[[TO]]
// CHECK: %[[FOUR:.*]] = llvm.mlir.constant(4 : i64)
// CHECK: llvm.call @gradopt_emulated_store(%[[TO]], %[[FOUR]])
// CHECK-NEXT: llvm.store %{{.*}}, %[[TO]] : f32
llvm.func @kernel(%x: !llvm.ptr, %n: f32, %shared: !llvm.ptr) attributes {grad.shared_bytes = 64 : i64} {
  %a = llvm.load %x : !llvm.ptr -> f64
  llvm.store %a, %shared : f64, !llvm.ptr
  llvm.store %n, %shared : f32, !llvm.ptr
  llvm.return
}

// Nothing is shared.
// CHECK: llvm.func @alone(
// CHECK-NOT: gradopt_emulated_shared
// CHECK: %[[NULL:.*]] = llvm.mlir.zero : !llvm.ptr
// CHECK-NEXT: llvm.call @alone_thread(%{{.*}}, %[[NULL]])
llvm.func @alone(%x: !llvm.ptr, %shared: !llvm.ptr) attributes {grad.shared_bytes = 0 : i64} {
  llvm.return
}

// What is no kernel stays.
// CHECK: llvm.func @other(%{{.*}}: f32) -> f32
// CHECK-NOT: llvm.func @other_thread
llvm.func @other(%x: f32) -> f32 {
  llvm.return %x : f32
}
