// RUN: gradopt %s --grad-kernels-to-gpu --canonicalize --cse | FileCheck %s

// A matrix product gets a kernel for devices without a library: one for each
// type and pair of transposes, with as many blocks as its results have tiles.

// CHECK: call @gradopt_gemm_f32({{.*}}) {grad.kernel = ["gemm_f32_nt_64x64", 4, 256]}
// CHECK: call @gradopt_gemm_f32({{.*}}) {grad.kernel = ["gemm_f32_nt_64x64", 1, 256]}
// CHECK: call @gradopt_gemm_batched_f64({{.*}}) {grad.kernel = ["gemm_f64_tn_64x64", 30, 256]}
// CHECK: gpu.module @kernels {
// CHECK: gpu.func @gemm_f32_nt_64x64(%{{.*}}: i64, %{{.*}}: i64, %{{.*}}: i64, %{{.*}}: i64, %[[K:.*]]: i64, %[[A:.*]]: memref<1xf32> {llvm.noalias}, %[[LDA:.*]]: i64, %[[B:.*]]: memref<1xf32> {llvm.noalias}, %[[LDB:.*]]: i64, %[[C:.*]]: memref<1xf32> {llvm.noalias}, %[[LDC:.*]]: i64, %[[BETA:.*]]: f32, %[[COUNT:.*]]: i64, %[[STRIDE_A:.*]]: i64, %[[STRIDE_B:.*]]: i64, %[[STRIDE_C:.*]]: i64)
// Two tiles of both in shared memory; sums in registers. While threads multiply
// what is in one tile, what the next step needs is on its way to the other one.
// CHECK-SAME: workgroup(%[[TILE_A:.*]] : memref<2x16x68xf32, #gpu.address_space<workgroup>>, %[[TILE_B:.*]] : memref<2x16x68xf32, #gpu.address_space<workgroup>>) kernel
// Which of the products a block is for.
// CHECK-DAG: %[[NUMBER:.*]] = arith.divui %block_id_x
// CHECK-DAG: %[[DISTANCE_A:.*]] = arith.index_cast %[[STRIDE_A]]
// CHECK-DAG: %[[OFFSET_A:.*]] = arith.muli %[[NUMBER]], %[[DISTANCE_A]]
// CHECK-DAG: %[[ELEMENTS_A:.*]] = memref.reinterpret_cast %[[A]] to offset: [%[[OFFSET_A]]]
// CHECK-DAG: %[[DISTANCE_B:.*]] = arith.index_cast %[[STRIDE_B]]
// CHECK-DAG: %[[OFFSET_B:.*]] = arith.muli %[[NUMBER]], %[[DISTANCE_B]]
// CHECK-DAG: %[[ELEMENTS_B:.*]] = memref.reinterpret_cast %[[B]] to offset: [%[[OFFSET_B]]]
// CHECK-DAG: %[[DISTANCE_C:.*]] = arith.index_cast %[[STRIDE_C]]
// CHECK-DAG: %[[OFFSET_C:.*]] = arith.muli %[[NUMBER]], %[[DISTANCE_C]]
// CHECK-DAG: %[[ELEMENTS_C:.*]] = memref.reinterpret_cast %[[C]] to offset: [%[[OFFSET_C]]]
// CHECK: memref.load %[[ELEMENTS_A]]
// CHECK: memref.store %{{.*}}, %[[TILE_A]]
// CHECK: memref.load %[[ELEMENTS_B]]
// CHECK: memref.store %{{.*}}, %[[TILE_B]]
// CHECK: gpu.barrier
// CHECK-NEXT: scf.for {{.*}} iter_args(%{{.*}}, %[[BUFFER:[a-z0-9]*]] = %c0)
// CHECK-NOT: memref.load %[[TILE_A]]
// CHECK: memref.load %[[ELEMENTS_A]]
// CHECK: memref.load %[[ELEMENTS_B]]
// CHECK: memref.load %[[TILE_A]][%[[BUFFER]],
// CHECK: memref.load %[[TILE_B]][%[[BUFFER]],
// CHECK: arith.mulf %{{.*}} fastmath<contract>
// CHECK-NEXT: arith.addf %{{.*}} fastmath<contract>
// CHECK: %[[OTHER:.*]] = arith.subi %c1, %[[BUFFER]]
// CHECK: memref.store %{{.*}}, %[[TILE_A]][%[[OTHER]],
// CHECK: memref.store %{{.*}}, %[[TILE_B]][%[[OTHER]],
// CHECK: gpu.barrier
// CHECK-NEXT: scf.yield %{{.*}}, %[[OTHER]] :
// What is not added to is not read.
// CHECK: %[[IS_ADDED:.*]] = arith.cmpf une, %[[BETA]]
// CHECK: scf.if %[[IS_ADDED]]
// CHECK-NEXT: memref.load %[[ELEMENTS_C]]
// CHECK: memref.store %{{.*}}, %[[ELEMENTS_C]]
// CHECK: gpu.return
// Of 64 bits, threads of a warp bring elements of rows and columns of both tiles,
// and tensor cores add up 8 x 8 products of four.
// CHECK: gpu.func @gemm_f64_tn_64x64(
// CHECK-SAME: workgroup(%[[TILE_A:.*]] : memref<2x16x68xf64, #gpu.address_space<workgroup>>, %[[TILE_B:.*]] : memref<2x16x68xf64,
// CHECK: scf.for
// CHECK: %[[A:.*]] = memref.load %[[TILE_A]]
// CHECK: %[[B:.*]] = memref.load %[[TILE_B]]
// CHECK: %[[SUMS:.*]] = nvvm.mma.sync A[%[[A]]]  B[%[[B]]]  C[%{{.*}}, %{{.*}}]  {layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, shape = #nvvm.shape<m = 8, n = 8, k = 4>}
// CHECK: llvm.extractvalue %[[SUMS]][0]
// CHECK: llvm.extractvalue %[[SUMS]][1]
// CHECK-NOT: gpu.func
func.func private @gradopt_gemm_f32(i64, i64, i64, i64, i64, index, i64, index, i64, index, i64, f32)
func.func private @gradopt_gemm_batched_f64(i64, i64, i64, i64, i64, index, i64, index, i64, index, i64, f64, i64, i64, i64, i64)
func.func @main(%x: memref<128x128xf32>, %y: memref<192x128xf64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  %no = arith.constant 0 : i64
  %yes = arith.constant 1 : i64
  %tile = arith.constant 64 : i64
  %two = arith.constant 128 : i64
  %rest = arith.constant 129 : i64
  %count = arith.constant 5 : i64
  %beta = arith.constant 0.0 : f32
  %beta64 = arith.constant 1.0 : f64
  %from = memref.extract_aligned_pointer_as_index %x : memref<128x128xf32> -> index
  %from64 = memref.extract_aligned_pointer_as_index %y : memref<192x128xf64> -> index
  call @gradopt_gemm_f32(%no, %yes, %two, %two, %two, %from, %two, %from, %two, %from, %two, %beta)
      : (i64, i64, i64, i64, i64, index, i64, index, i64, index, i64, f32) -> ()
  call @gradopt_gemm_f32(%no, %yes, %tile, %tile, %two, %from, %two, %from, %two, %from, %two, %beta)
      : (i64, i64, i64, i64, i64, index, i64, index, i64, index, i64, f32) -> ()
  call @gradopt_gemm_batched_f64(%yes, %no, %rest, %two, %two, %from64, %two, %from64, %two, %from64, %two, %beta64, %count, %two, %no, %two)
      : (i64, i64, i64, i64, i64, index, i64, index, i64, index, i64, f64, i64, i64, i64, i64) -> ()
  return
}
