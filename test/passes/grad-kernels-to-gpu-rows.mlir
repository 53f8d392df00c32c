// RUN: gradopt %s --grad-kernels-to-gpu --canonicalize --cse -split-input-file | FileCheck %s

#all = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>

// Eight lanes have a row of 100 columns: 13 elements each, the last one for some
// of them alone. All are loaded once, and no temporary is in memory.

// CHECK-LABEL: gpu.func @lanes(
// CHECK-SAME: %[[X:[a-z0-9]*]]: memref<128x100xf32>
// CHECK-SAME: %[[Y:[a-z0-9]*]]: memref<128x100xf32>
// CHECK-NOT: workgroup
// CHECK-SAME: known_block_size = array<i32: 256, 1, 1>, known_grid_size = array<i32: 4, 1, 1>
// CHECK: %[[THREAD:.*]] = gpu.thread_id x
// CHECK: %[[ROW:.*]] = arith.divui %[[THREAD]], %c8
// CHECK: %[[LANE:.*]] = arith.remui %[[THREAD]], %c8
// CHECK: %[[LAST:.*]] = arith.addi %[[LANE]], %c96
// CHECK: %[[INSIDE:.*]] = arith.cmpi ult, %[[LAST]], %c100
// CHECK: %[[NEAR:.*]] = arith.select %[[INSIDE]], %[[LAST]], %c99
// CHECK-COUNT-13: memref.load
// CHECK-NOT: memref.load
// CHECK: arith.select %[[INSIDE]]
// CHECK-COUNT-3: gpu.shuffle xor
// CHECK-NOT: memref.load
// CHECK-NOT: gpu.barrier
// CHECK-COUNT-12: memref.store
// CHECK-NEXT: scf.if %[[INSIDE]] {
// CHECK-NEXT: memref.store %{{.*}}, %{{.*}}[%[[ROW]], %[[NEAR]]]
// CHECK-NOT: memref.store
// CHECK: gpu.return
func.func @main(%x: memref<128x100xf32>, %y: memref<128x100xf32>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @lanes(%x, %y) : (memref<128x100xf32>, memref<128x100xf32>) -> ()
  return
}
func.func private @lanes(%x: memref<128x100xf32> {llvm.noalias}, %y: memref<128x100xf32> {llvm.noalias}) {
  %c0 = arith.constant 0 : index
  %c128 = arith.constant 128 : index
  %c32 = arith.constant 32 : index
  %zero = arith.constant 0.0 : f32
  scf.for %i = %c0 to %c128 step %c32 {
    %xi = memref.subview %x[%i, 0] [32, 100] [1, 1] : memref<128x100xf32> to memref<32x100xf32, strided<[100, 1], offset: ?>>
    %yi = memref.subview %y[%i, 0] [32, 100] [1, 1] : memref<128x100xf32> to memref<32x100xf32, strided<[100, 1], offset: ?>>
    %sum = memref.alloc() : memref<32xf32, #gpu.address_space<workgroup>>
    linalg.fill ins(%zero : f32) outs(%sum : memref<32xf32, #gpu.address_space<workgroup>>)
    linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]}
        ins(%xi : memref<32x100xf32, strided<[100, 1], offset: ?>>) outs(%sum : memref<32xf32, #gpu.address_space<workgroup>>) {
    ^bb0(%a: f32, %b: f32):
      %0 = arith.addf %b, %a : f32
      linalg.yield %0 : f32
    }
    linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
        ins(%xi, %sum : memref<32x100xf32, strided<[100, 1], offset: ?>>, memref<32xf32, #gpu.address_space<workgroup>>) outs(%yi : memref<32x100xf32, strided<[100, 1], offset: ?>>) {
    ^bb0(%a: f32, %s: f32, %b: f32):
      %0 = arith.divf %a, %s : f32
      linalg.yield %0 : f32
    }
  } {grad.parallel, grad.row_loops = 1 : i64}
  return
}

// -----

#all = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (i)>

// The warps of a long row exchange what they have found in memory of each
// reduction. What is no temporary is stored: elements, and by one lane a number.

// CHECK-LABEL: gpu.func @warps(
// CHECK-SAME: %[[SUM:[a-z0-9]*]]: memref<64xf64>
// CHECK-SAME: workgroup(%[[A:.*]] : memref<8xf64, #gpu.address_space<workgroup>>, %[[B:.*]] : memref<8xf64, #gpu.address_space<workgroup>>)
// CHECK: arith.mulf
// CHECK: memref.store %{{.*}}, %[[A]]
// CHECK: gpu.barrier
// CHECK-COUNT-8: memref.load %[[A]]
// CHECK: scf.if
// CHECK-NEXT: memref.store %{{.*}}, %{{.*}}[%{{.*}}] : memref<1xf64
// CHECK: memref.store %{{.*}}, %[[B]]
// CHECK: gpu.barrier
// CHECK-COUNT-8: memref.load %[[B]]
// CHECK-NOT: gpu.barrier
// CHECK: gpu.return
func.func @main(%x: memref<64x2048xf64>, %sum: memref<64xf64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @warps(%x, %sum) : (memref<64x2048xf64>, memref<64xf64>) -> ()
  return
}
func.func private @warps(%x: memref<64x2048xf64> {llvm.noalias}, %sum: memref<64xf64> {llvm.noalias}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %zero = arith.constant 0.0 : f64
  scf.for %i = %c0 to %c64 step %c1 {
    %xi = memref.subview %x[%i, 0] [1, 2048] [1, 1] : memref<64x2048xf64> to memref<1x2048xf64, strided<[2048, 1], offset: ?>>
    %si = memref.subview %sum[%i] [1] [1] : memref<64xf64> to memref<1xf64, strided<[1], offset: ?>>
    %max = memref.alloc() : memref<1xf64, #gpu.address_space<workgroup>>
    linalg.fill ins(%zero : f64) outs(%si : memref<1xf64, strided<[1], offset: ?>>)
    linalg.fill ins(%zero : f64) outs(%max : memref<1xf64, #gpu.address_space<workgroup>>)
    linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]}
        ins(%xi : memref<1x2048xf64, strided<[2048, 1], offset: ?>>) outs(%si : memref<1xf64, strided<[1], offset: ?>>) {
    ^bb0(%a: f64, %b: f64):
      %0 = arith.mulf %a, %a : f64
      %1 = arith.addf %b, %0 : f64
      linalg.yield %1 : f64
    }
    linalg.generic {indexing_maps = [#all, #row, #row], iterator_types = ["parallel", "reduction"]}
        ins(%xi, %si : memref<1x2048xf64, strided<[2048, 1], offset: ?>>, memref<1xf64, strided<[1], offset: ?>>) outs(%max : memref<1xf64, #gpu.address_space<workgroup>>) {
    ^bb0(%a: f64, %s: f64, %b: f64):
      %0 = arith.divf %a, %s : f64
      %1 = arith.maximumf %b, %0 : f64
      linalg.yield %1 : f64
    }
    linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
        ins(%xi, %max : memref<1x2048xf64, strided<[2048, 1], offset: ?>>, memref<1xf64, #gpu.address_space<workgroup>>) outs(%xi : memref<1x2048xf64, strided<[2048, 1], offset: ?>>) {
    ^bb0(%a: f64, %m: f64, %b: f64):
      %0 = arith.divf %a, %m : f64
      linalg.yield %0 : f64
    }
  } {grad.parallel, grad.row_loops = 1 : i64}
  return
}

// -----

#all = affine_map<(i, j) -> (i, j)>
#back = affine_map<(i, j) -> (i, 63 - j)>

// A thread would read what another one has written: that goes through memory.

// CHECK-LABEL: gpu.func @backwards(
// CHECK-SAME: workgroup(%{{.*}} : memref<16x64xf32, #gpu.address_space<workgroup>>)
// CHECK: gpu.barrier
func.func @main(%x: memref<512x64xf32>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @backwards(%x) : (memref<512x64xf32>) -> ()
  return
}
func.func private @backwards(%x: memref<512x64xf32> {llvm.noalias}) {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %c512 = arith.constant 512 : index
  scf.for %i = %c0 to %c512 step %c16 {
    %xi = memref.subview %x[%i, 0] [16, 64] [1, 1] : memref<512x64xf32> to memref<16x64xf32, strided<[64, 1], offset: ?>>
    %e = memref.alloc() : memref<16x64xf32, #gpu.address_space<workgroup>>
    linalg.exp ins(%xi : memref<16x64xf32, strided<[64, 1], offset: ?>>) outs(%e : memref<16x64xf32, #gpu.address_space<workgroup>>)
    linalg.generic {indexing_maps = [#back, #all], iterator_types = ["parallel", "parallel"]}
        ins(%e : memref<16x64xf32, #gpu.address_space<workgroup>>) outs(%xi : memref<16x64xf32, strided<[64, 1], offset: ?>>) {
    ^bb0(%a: f32, %b: f32):
      linalg.yield %a : f32
    }
  } {grad.parallel, grad.row_loops = 1 : i64}
  return
}
