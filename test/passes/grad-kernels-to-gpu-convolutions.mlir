// RUN: gradopt %s --grad-kernels-to-gpu --canonicalize --cse --split-input-file | FileCheck %s

// A convolution is a product of matrices whose elements are where the loops read them: rows are
// the features of the result, columns its images and places, summands the features and places of
// the kernel. 6 images of 10 x 10 are 10 tiles of 64 columns, and one of 16 rows.

// CHECK-LABEL: func.func @main
// CHECK: gpu.launch_func @kernels::@convolve blocks in (%c10, %c1, %c1) threads in (%c256, %c1, %c1)
// CHECK: gpu.func @convolve(%[[Y:.*]]: memref<1x6x7x10x10xf32> {{.*}}, %[[W:.*]]: memref<1x7x5x3x3xf32> {{.*}}, %[[X:.*]]: memref<1x6x5x12x12xf32> {{.*}}) workgroup(%[[TILE_W:.*]] : memref<2x16x20xf32, {{.*}}, %[[TILE_X:.*]] : memref<2x16x68xf32
// CHECK-DAG: %[[FLAT_W:.*]] = memref.reinterpret_cast %[[W]] to offset: [0], sizes: [315]
// CHECK-DAG: %[[FLAT_X:.*]] = memref.reinterpret_cast %[[X]] to offset: [0], sizes: [4320]
// CHECK-DAG: %[[FLAT_Y:.*]] = memref.reinterpret_cast %[[Y]] to offset: [0], sizes: [4200]
// The column is divided into image, row and column of the image; the summand into a feature and a
// place in the window. In the kernel it is the place itself.
// CHECK: scf.for %[[STEP:.*]] = %c0 to %c45 step %c16
// CHECK: memref.load %[[FLAT_W]]
// CHECK: %[[SUMMAND:.*]] = arith.index_castui
// CHECK: arith.remui %[[SUMMAND]], %c3_i32
// CHECK: memref.load %[[FLAT_X]]
// CHECK: arith.mulf
// CHECK-NEXT: arith.addf
// Sums begin with zero, and nothing is read of the result.
// CHECK-NOT: memref.load %[[FLAT_Y]]
// CHECK: memref.store %{{.*}}, %[[FLAT_Y]]
// CHECK-NOT: memref.load %[[FLAT_Y]]
// CHECK: gpu.return
func.func @main(%x: memref<1x6x5x12x12xf32>, %w: memref<1x7x5x3x3xf32>, %y: memref<1x6x7x10x10xf32>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @convolve(%y, %w, %x) : (memref<1x6x7x10x10xf32>, memref<1x7x5x3x3xf32>, memref<1x6x5x12x12xf32>) -> ()
  return
}
func.func private @convolve(%y: memref<1x6x7x10x10xf32> {llvm.noalias}, %w: memref<1x7x5x3x3xf32> {llvm.noalias}, %x: memref<1x6x5x12x12xf32> {llvm.noalias}) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%y : memref<1x6x7x10x10xf32>)
  linalg.generic {
      indexing_maps = [affine_map<(g, n, o, p, q, c, i, j) -> (g, o, c, i, j)>,
                       affine_map<(g, n, o, p, q, c, i, j) -> (g, n, c, p + i, q + j)>,
                       affine_map<(g, n, o, p, q, c, i, j) -> (g, n, o, p, q)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]}
      ins(%w, %x : memref<1x7x5x3x3xf32>, memref<1x6x5x12x12xf32>) outs(%y : memref<1x6x7x10x10xf32>) {
    ^bb0(%a: f32, %b: f32, %sum: f32):
      %0 = arith.mulf %a, %b fastmath<contract> : f32
      %1 = arith.addf %sum, %0 fastmath<contract> : f32
      linalg.yield %1 : f32
  }
  return
}

// -----

// The gradient in a kernel is few tiles of long sums. Blocks share the sums, and a second kernel
// adds up what they find; that is added to what is there, as there is no fill.

// CHECK-LABEL: func.func @main
// CHECK: memref.view %{{.*}} to memref<12x7x5x3x3xf32>
// CHECK: gpu.launch_func @kernels::@correlate blocks in (%c12, %c1, %c1)
// CHECK: gpu.launch_func @kernels::@correlate_sum
// CHECK: gpu.func @correlate(%[[DW:.*]]: memref<7x5x3x3xf32>{{.*}}, %[[SCRATCH:.*]]: memref<12x7x5x3x3xf32>
// CHECK-NOT: memref.{{load|store}} %[[DW]]
// CHECK: gpu.return
// CHECK: gpu.func @correlate_sum
func.func @main(%x: memref<16x7x12x12xf32>, %dy: memref<16x5x10x10xf32>, %dw: memref<7x5x3x3xf32>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @correlate(%dw, %dy, %x) : (memref<7x5x3x3xf32>, memref<16x5x10x10xf32>, memref<16x7x12x12xf32>) -> ()
  return
}
func.func private @correlate(%dw: memref<7x5x3x3xf32> {llvm.noalias}, %dy: memref<16x5x10x10xf32> {llvm.noalias}, %x: memref<16x7x12x12xf32> {llvm.noalias}) {
  linalg.generic {
      indexing_maps = [affine_map<(c, o, i, j, n, p, q) -> (n, o, p, q)>,
                       affine_map<(c, o, i, j, n, p, q) -> (n, c, p + i, q + j)>,
                       affine_map<(c, o, i, j, n, p, q) -> (c, o, i, j)>],
      iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]}
      ins(%dy, %x : memref<16x5x10x10xf32>, memref<16x7x12x12xf32>) outs(%dw : memref<7x5x3x3xf32>) {
    ^bb0(%a: f32, %b: f32, %sum: f32):
      %0 = arith.mulf %a, %b fastmath<contract> : f32
      %1 = arith.addf %sum, %0 fastmath<contract> : f32
      linalg.yield %1 : f32
  }
  return
}
