// RUN: gradopt %s -convert-buffers-to-llvm -canonicalize | FileCheck %s
// RUN: gradopt %s -convert-buffers-to-llvm=fast-math=true | FileCheck %s --check-prefix=FAST

// CHECK-LABEL: llvm.func @buffers_are_distinct_and_have_a_size
// CHECK-SAME: (%{{.*}}: !llvm.ptr {llvm.align = 4 : i64, llvm.dereferenceable = 16 : i64, llvm.noalias},
// CHECK-SAME: %{{.*}}: !llvm.ptr {llvm.align = 64 : i64, llvm.dereferenceable = 128 : i64, llvm.noalias})
// FAST-LABEL: llvm.func @buffers_are_distinct_and_have_a_size
func.func @buffers_are_distinct_and_have_a_size(%x: memref<4xf32>, %arena: memref<128xi8>) attributes {grad.arena_bytes = 128 : i64} {
  %c0 = arith.constant 0 : index
  // CHECK: llvm.load %{{.*}} : !llvm.ptr -> f32
  %0 = memref.load %x[%c0] : memref<4xf32>
  // CHECK: llvm.fadd %{{.*}}, %{{.*}} : f32
  // FAST: llvm.fadd %{{.*}} {fastmathFlags = #llvm.fastmath<nsz, arcp, contract, afn, reassoc>}
  %1 = arith.addf %0, %0 : f32
  memref.store %1, %x[%c0] : memref<4xf32>
  return
}

// CHECK-LABEL: llvm.func @bools_are_bytes
func.func @bools_are_bytes(%x: memref<4xi1>, %y: memref<4xi1>) {
  // CHECK: %[[BYTE:.*]] = llvm.load %{{.*}} : !llvm.ptr -> i8
  // CHECK: %[[BIT:.*]] = llvm.icmp "ne" %[[BYTE]], %{{.*}} : i8
  // CHECK: %[[WIDE:.*]] = llvm.zext %[[BIT]] : i1 to i8
  // CHECK: llvm.store %[[WIDE]], %{{.*}} : i8
  %c0 = arith.constant 0 : index
  %0 = memref.load %x[%c0] : memref<4xi1>
  memref.store %0, %y[%c0] : memref<4xi1>
  return
}

// CHECK-LABEL: llvm.func @a_buffer_without_elements
// CHECK-SAME: !llvm.ptr {llvm.noalias}
func.func @a_buffer_without_elements(%x: memref<3x0xf64>) {
  return
}

// Nothing is promised for private functions.
// CHECK-LABEL: llvm.func @private
// CHECK-SAME: (!llvm.ptr)
func.func private @private(memref<4xf64>)

// Sizes and alignments are what LLVM has; NumPy aligns numbers, not pairs.
// CHECK-LABEL: llvm.func @any_element
// CHECK-SAME: (%{{.*}}: !llvm.ptr {llvm.align = 8 : i64, llvm.dereferenceable = 32 : i64, llvm.noalias},
// CHECK-SAME: %{{.*}}: !llvm.ptr {llvm.dereferenceable = 64 : i64, llvm.noalias},
// CHECK-SAME: %{{.*}}: !llvm.ptr {llvm.align = 4 : i64, llvm.dereferenceable = 16 : i64, llvm.noalias},
// CHECK-SAME: %{{.*}}: !llvm.ptr {llvm.noalias})
func.func @any_element(%x: memref<4xindex>, %y: memref<4xcomplex<f64>>, %z: memref<4xi24>, %w: memref<2305843009213693952xf64>) {
  return
}

// What LLVM would call a function for is arithmetic on bits; f16 and f32 are
// converted by instructions of the CPU, or by runtime/HalfConversions.cpp.
// CHECK-LABEL: llvm.func @narrow_floats
func.func @narrow_floats(%x: memref<f16>, %y: memref<bf16>, %z: memref<f64>) {
  // CHECK: %[[X:.*]] = llvm.load %{{.*}} : !llvm.ptr -> f16
  // CHECK: %[[A:.*]] = llvm.fpext %[[X]] : f16 to f32
  // CHECK: llvm.fpext %[[A]] : f32 to f64
  %0 = memref.load %x[] : memref<f16>
  %1 = arith.extf %0 : f16 to f64
  memref.store %1, %z[] : memref<f64>
  // CHECK: %[[Y:.*]] = llvm.load %{{.*}} : !llvm.ptr -> bf16
  // CHECK: %[[B:.*]] = llvm.bitcast %[[Y]] : bf16 to i16
  // CHECK-NOT: llvm.fpext
  // CHECK: llvm.shl
  // CHECK-NOT: llvm.fptrunc
  // CHECK: llvm.bitcast %{{.*}} : i16 to bf16
  // CHECK: llvm.store %{{.*}} : bf16
  %2 = memref.load %y[] : memref<bf16>
  %3 = arith.extf %2 : bf16 to f32
  %4 = arith.addf %3, %3 : f32
  %5 = arith.truncf %4 : f32 to bf16
  memref.store %5, %y[] : memref<bf16>
  // CHECK: %[[Z:.*]] = llvm.load %{{.*}} : !llvm.ptr -> f64
  // CHECK: llvm.fptrunc %[[Z]] : f64 to f32
  // CHECK: llvm.fptrunc %{{.*}} : f32 to f16
  %6 = memref.load %z[] : memref<f64>
  %7 = arith.truncf %6 : f64 to f16
  memref.store %7, %x[] : memref<f16>
  return
}
