// RUN: gradopt %s --grad-kernels-to-gpu --canonicalize --cse -split-input-file | FileCheck %s

// A transpose: squares of 32 x 32 through shared memory, a column of it in 33
// banks; 4 x 8 parts of 8 rows.

// CHECK-LABEL: gpu.func @transpose(
// CHECK-SAME: workgroup(%[[SQUARE:.*]] : memref<1056xf32, #gpu.address_space<workgroup>>)
// CHECK-SAME: known_block_size = array<i32: 256, 1, 1>, known_grid_size = array<i32: 32, 1, 1>
// CHECK-NOT: scf.if
// CHECK-COUNT-4: memref.store %{{.*}}, %[[SQUARE]]
// CHECK-NOT: memref.store
// CHECK: gpu.barrier
// CHECK: memref.load %[[SQUARE]]
// CHECK: memref.store %{{.*}} : memref<128x256xf32>
// CHECK-COUNT-3: memref.store %{{.*}} : memref<128x256xf32>
// CHECK-NEXT: gpu.return
func.func @main(%a: memref<256x128xf32>, %b: memref<128x256xf32>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @transpose(%a, %b) : (memref<256x128xf32>, memref<128x256xf32>) -> ()
  return
}
func.func private @transpose(%a: memref<256x128xf32> {llvm.noalias}, %b: memref<128x256xf32> {llvm.noalias}) {
  linalg.transpose ins(%a : memref<256x128xf32>) outs(%b : memref<128x256xf32>) permutation = [1, 0]
  return
}

// -----

// Sizes that leave a rest, another loop, and what is not read across rows.

#row = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#column = affine_map<(d0, d1, d2) -> (d0, d2, d1)>
#one = affine_map<(d0, d1, d2) -> (d2)>

// CHECK-LABEL: gpu.func @mixed(
// CHECK-SAME: %{{.*}}: memref<3x100x70xf64>{{.*}}, %[[ONE:.*]]: memref<100xf64>{{.*}}, %[[OUT:.*]]: memref<3x70x100xf64>
// CHECK-SAME: workgroup(%[[SQUARE:[a-z0-9]*]] : memref<1056xf64, #gpu.address_space<workgroup>>)
// CHECK-SAME: known_grid_size = array<i32: 36, 1, 1>
// CHECK: arith.cmpi ult, %{{.*}}, %c100
// CHECK: arith.cmpi ult, %{{.*}}, %c70
// CHECK: scf.if
// CHECK: gpu.barrier
// CHECK: scf.if
// CHECK: memref.load %[[SQUARE]]
// CHECK-NEXT: memref.load %[[ONE]]
// CHECK-NEXT: arith.mulf
// CHECK-NEXT: memref.store %{{.*}}, %[[OUT]]
func.func @main(%a: memref<3x100x70xf64>, %b: memref<100xf64>, %c: memref<3x70x100xf64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @mixed(%a, %b, %c) : (memref<3x100x70xf64>, memref<100xf64>, memref<3x70x100xf64>) -> ()
  return
}
func.func private @mixed(%a: memref<3x100x70xf64> {llvm.noalias}, %b: memref<100xf64> {llvm.noalias}, %c: memref<3x70x100xf64> {llvm.noalias}) {
  linalg.generic {indexing_maps = [#column, #one, #row], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%a, %b : memref<3x100x70xf64>, memref<100xf64>) outs(%c : memref<3x70x100xf64>) {
  ^bb0(%x: f64, %y: f64, %z: f64):
    %p = arith.mulf %x, %y : f64
    linalg.yield %p : f64
  }
  return
}

// -----

// Few iterations, or short rows: nothing is gained.

// CHECK-LABEL: gpu.func @few(
// CHECK-NOT: workgroup
// CHECK-LABEL: gpu.func @short(
// CHECK-NOT: workgroup
func.func @main(%a: memref<64x64xf32>, %b: memref<64x64xf32>, %c: memref<8x8192xf32>, %d: memref<8192x8xf32>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @few(%a, %b) : (memref<64x64xf32>, memref<64x64xf32>) -> ()
  call @short(%c, %d) : (memref<8x8192xf32>, memref<8192x8xf32>) -> ()
  return
}
func.func private @few(%a: memref<64x64xf32> {llvm.noalias}, %b: memref<64x64xf32> {llvm.noalias}) {
  linalg.transpose ins(%a : memref<64x64xf32>) outs(%b : memref<64x64xf32>) permutation = [1, 0]
  return
}
func.func private @short(%a: memref<8x8192xf32> {llvm.noalias}, %b: memref<8192x8xf32> {llvm.noalias}) {
  linalg.transpose ins(%a : memref<8x8192xf32>) outs(%b : memref<8192x8xf32>) permutation = [1, 0]
  return
}
