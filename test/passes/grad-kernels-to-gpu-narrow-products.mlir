// RUN: gradopt %s --grad-kernels-to-gpu --canonicalize --cse | FileCheck %s

// Narrow floats are stored one by one to shared memory, whose rows are along the
// sum, and read as pairs, by tensor cores: in fragments of 16 x 8 x 16, each thread
// has four registers of the first factor, two of the second one and four sums.

// CHECK: call @gradopt_gemm_batched_bf16({{.*}}) {grad.kernel = ["gemm_bf16_nn_32x64", 2, 256]}
// CHECK: gpu.func @gemm_bf16_nn_32x64(
// CHECK-SAME: workgroup(%[[A:.*]] : memref<3072xi8, #gpu.address_space<workgroup>> {llvm.align = 16 : i64}, %[[B:.*]] : memref<6144xi8, #gpu.address_space<workgroup>> {llvm.align = 16 : i64})
// CHECK-SAME: nvvm.minctasm = 4 : i32
// CHECK-DAG: %[[A_ONES:.*]] = memref.view %[[A]]{{.*}} to memref<2x32x24xbf16,
// CHECK-DAG: %[[A_PAIRS:.*]] = memref.view %[[A]]{{.*}} to memref<2x32x12xi32,
// CHECK-DAG: %[[B_ONES:.*]] = memref.view %[[B]]{{.*}} to memref<2x64x24xbf16,
// CHECK-DAG: %[[B_PAIRS:.*]] = memref.view %[[B]]{{.*}} to memref<2x64x12xi32,
// CHECK: memref.store %{{.*}}, %[[A_ONES]]
// CHECK: memref.store %{{.*}}, %[[B_ONES]]
// CHECK: gpu.barrier
// CHECK: scf.for
// CHECK: memref.load %[[A_PAIRS]]
// CHECK: memref.load %[[B_PAIRS]]
// CHECK: %[[SUMS:.*]] = nvvm.mma.sync A[%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}] B[%{{.*}}, %{{.*}}] C[%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}] {{.*}}multiplicandAPtxType = #nvvm.mma_type<bf16>{{.*}}shape = #nvvm.shape<m = 16, n = 8, k = 16>
// CHECK: llvm.extractvalue %[[SUMS]][0]
// CHECK: llvm.extractvalue %[[SUMS]][3]
func.func private @gradopt_gemm_batched_bf16(i64, i64, i64, i64, i64, index, i64, index, i64, index, i64, f32, i64, i64, i64, i64)
func.func @main(%x: memref<30x64xbf16>, %y: memref<64x128xbf16>, %z: memref<30x128xf32>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  %no = arith.constant 0 : i64
  %one = arith.constant 1 : i64
  %m = arith.constant 30 : i64
  %n = arith.constant 64 : i64
  %k = arith.constant 128 : i64
  %beta = arith.constant 0.0 : f32
  %a = memref.extract_aligned_pointer_as_index %x : memref<30x64xbf16> -> index
  %b = memref.extract_aligned_pointer_as_index %y : memref<64x128xbf16> -> index
  %c = memref.extract_aligned_pointer_as_index %z : memref<30x128xf32> -> index
  call @gradopt_gemm_batched_bf16(%no, %no, %m, %k, %n, %a, %n, %b, %k, %c, %k, %beta, %one, %no, %no, %no)
      : (i64, i64, i64, i64, i64, index, i64, index, i64, index, i64, f32, i64, i64, i64, i64) -> ()
  return
}
