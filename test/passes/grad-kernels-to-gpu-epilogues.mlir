// RUN: gradopt %s --grad-kernels-to-gpu --canonicalize --cse | FileCheck %s

// A thread calculates with its sums of a tile, and stores what comes of it: the
// product itself is never in memory.

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
#element = affine_map<(m, n) -> (m, n)>
#row = affine_map<(m, n) -> (n)>
#column = affine_map<(m, n) -> (m)>

// CHECK: gpu.launch_func @kernels::@layer blocks in (%c6{{.*}}) threads in (%c256
// CHECK: gpu.func @layer(%[[A:.*]]: memref<70x45xf32> {{.*}}, %[[B:.*]]: memref<45x129xf32> {{.*}}, %[[C:.*]]: memref<70x129xf32> {{.*}}, %[[ROW:.*]]: memref<129xf32> {{.*}}, %[[COLUMN:.*]]: memref<70xf32> {{.*}}, %[[D:.*]]: memref<70x129xf16>
// CHECK-NOT: %[[C]]
// CHECK: %[[ALL_A:.*]] = memref.reinterpret_cast %[[A]]
// CHECK: %[[ALL_B:.*]] = memref.reinterpret_cast %[[B]]
// CHECK: %[[BIASES:.*]] = memref.reinterpret_cast %[[ROW]]
// CHECK: %[[SCALES:.*]] = memref.reinterpret_cast %[[COLUMN]]
// CHECK: %[[RESULT:.*]] = memref.reinterpret_cast %[[D]] to offset: [0], sizes: [9030], strides: [1]
// CHECK: memref.load %[[ALL_A]]
// CHECK: memref.load %[[ALL_B]]
// CHECK: %[[SUMS:.*]]:{{[0-9]*}} = scf.for
// CHECK: scf.if
// CHECK-DAG: %[[BIAS:.*]] = memref.load %[[BIASES]]
// CHECK-DAG: %[[SCALE:.*]] = memref.load %[[SCALES]]
// CHECK: %[[PRODUCT:.*]] = arith.mulf %[[SUMS]]#0, %[[SCALE]]
// CHECK-NEXT: %[[SUM:.*]] = arith.addf %[[PRODUCT]], %[[BIAS]]
// CHECK-NEXT: %[[NARROW:.*]] = arith.truncf %[[SUM]] : f32 to f16
// CHECK: memref.store %[[NARROW]], %[[RESULT]]
// CHECK-NOT: %[[C]]
// CHECK: gpu.return
func.func private @layer(%a: memref<70x45xf32> {llvm.noalias}, %b: memref<45x129xf32> {llvm.noalias}, %c: memref<70x129xf32> {llvm.noalias}, %row: memref<129xf32> {llvm.noalias}, %column: memref<70xf32> {llvm.noalias}, %d: memref<70x129xf16> {llvm.noalias}) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%c : memref<70x129xf32>)
  linalg.generic {indexing_maps = [#mk, #kn, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<70x45xf32>, memref<45x129xf32>) outs(%c : memref<70x129xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %z, %0 : f32
    linalg.yield %1 : f32
  }
  linalg.generic {indexing_maps = [#element, #row, #column, #element], iterator_types = ["parallel", "parallel"]}
      ins(%c, %row, %column : memref<70x129xf32>, memref<129xf32>, memref<70xf32>) outs(%d : memref<70x129xf16>)
      attrs = {grad.epilogue} {
  ^bb0(%x: f32, %y: f32, %w: f32, %z: f16):
    %0 = arith.mulf %x, %w : f32
    %1 = arith.addf %0, %y : f32
    %2 = arith.truncf %1 : f32 to f16
    linalg.yield %2 : f16
  }
  return
}

func.func @main(%a: memref<70x45xf32>, %b: memref<45x129xf32>, %c: memref<70x129xf32>, %row: memref<129xf32>, %column: memref<70xf32>, %d: memref<70x129xf16>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @layer(%a, %b, %c, %row, %column, %d) : (memref<70x45xf32>, memref<45x129xf32>, memref<70x129xf32>, memref<129xf32>, memref<70xf32>, memref<70x129xf16>) -> ()
  return
}
