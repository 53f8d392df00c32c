// RUN: gradopt %s -grad-contractions-to-blas="threshold=60 for-device=1" -split-input-file | FileCheck %s
// RUN: gradopt %s -grad-contractions-to-blas="threshold=60" -split-input-file | FileCheck %s --check-prefix=CPU

// An elementwise op that alone reads a product is an op of its own where a
// library does the product, and belongs to its kernel where none does.

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
#element = affine_map<(m, n) -> (m, n)>
#row = affine_map<(m, n) -> (n)>

// CHECK: func.func private @gradopt_has_library() -> i1
// CHECK-LABEL: func.func @in_place(
// CHECK-SAME: %[[A:.*]]: memref<8x9xf32>, %[[B:.*]]: memref<9x7xf32>, %[[BIAS:.*]]: memref<7xf32>, %[[C:.*]]: memref<8x7xf32>
// CHECK-NEXT: %[[LIBRARY:.*]] = call @gradopt_has_library()
// CHECK-NOT: linalg
// CHECK: scf.if %[[LIBRARY]] {
// CHECK: func.call @gradopt_gemm_batched_f32(
// CHECK-NEXT: linalg.generic {{.*}} ins(%[[C]], %[[BIAS]] : {{.*}}) outs(%[[C]] :
// CHECK-NOT: grad.epilogue
// CHECK: } else {
// CHECK-NEXT: linalg.fill {{.*}} outs(%[[C]]
// CHECK-NEXT: linalg.generic {{.*}} ins(%[[A]], %[[B]]
// CHECK: linalg.generic {{.*}} ins(%[[C]], %[[BIAS]] : {{.*}}) outs(%[[C]] : memref<8x7xf32>) attrs = {grad.epilogue}
// CPU-LABEL: func.func @in_place(
// CPU-NOT: scf.if
func.func @in_place(%a: memref<8x9xf32>, %b: memref<9x7xf32>, %bias: memref<7xf32>, %c: memref<8x7xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%c : memref<8x7xf32>)
  linalg.generic {indexing_maps = [#mk, #kn, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<8x9xf32>, memref<9x7xf32>) outs(%c : memref<8x7xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %z, %0 : f32
    linalg.yield %1 : f32
  }
  linalg.generic {indexing_maps = [#element, #row, #element], iterator_types = ["parallel", "parallel"]}
      ins(%c, %bias : memref<8x7xf32>, memref<7xf32>) outs(%c : memref<8x7xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %0 = arith.addf %x, %y : f32
    linalg.yield %0 : f32
  }
  return
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
#element = affine_map<(m, n) -> (m, n)>

// A product that others read, too, is written to memory.

// CHECK-LABEL: func.func @read_twice(
// CHECK-NOT: scf.if
func.func @read_twice(%a: memref<8x9xf32>, %b: memref<9x7xf32>, %d: memref<8x7xf32>, %e: memref<8x7xf32>, %arena: memref<224xi8>) {
  %c0 = arith.constant 0 : index
  %c = memref.view %arena[%c0][] : memref<224xi8> to memref<8x7xf32>
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%c : memref<8x7xf32>)
  linalg.generic {indexing_maps = [#mk, #kn, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<8x9xf32>, memref<9x7xf32>) outs(%c : memref<8x7xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %z, %0 : f32
    linalg.yield %1 : f32
  }
  linalg.exp ins(%c : memref<8x7xf32>) outs(%d : memref<8x7xf32>)
  linalg.tanh ins(%c : memref<8x7xf32>) outs(%e : memref<8x7xf32>)
  return
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// Other threads may still read a factor that the epilogue writes over.

// CHECK-LABEL: func.func @over_a_factor(
// CHECK-NOT: scf.if
func.func @over_a_factor(%a: memref<8x8xf32>, %b: memref<8x8xf32>, %arena: memref<256xi8>) {
  %c0 = arith.constant 0 : index
  %c = memref.view %arena[%c0][] : memref<256xi8> to memref<8x8xf32>
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%c : memref<8x8xf32>)
  linalg.generic {indexing_maps = [#mk, #kn, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<8x8xf32>, memref<8x8xf32>) outs(%c : memref<8x8xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %z, %0 : f32
    linalg.yield %1 : f32
  }
  linalg.exp ins(%c : memref<8x8xf32>) outs(%a : memref<8x8xf32>)
  return
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>
#element = affine_map<(m, n) -> (m, n)>
#rows = affine_map<(m, n) -> (m)>

// Sums of rows need those of other threads.

// CHECK-LABEL: func.func @sums_of_rows(
// CHECK-NOT: scf.if
func.func @sums_of_rows(%a: memref<8x9xf32>, %b: memref<9x7xf32>, %d: memref<8xf32>, %arena: memref<224xi8>) {
  %c0 = arith.constant 0 : index
  %c = memref.view %arena[%c0][] : memref<224xi8> to memref<8x7xf32>
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%c : memref<8x7xf32>)
  linalg.generic {indexing_maps = [#mk, #kn, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<8x9xf32>, memref<9x7xf32>) outs(%c : memref<8x7xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %z, %0 : f32
    linalg.yield %1 : f32
  }
  linalg.generic {indexing_maps = [#element, #rows], iterator_types = ["parallel", "reduction"]}
      ins(%c : memref<8x7xf32>) outs(%d : memref<8xf32>) {
  ^bb0(%x: f32, %z: f32):
    %0 = arith.addf %z, %x : f32
    linalg.yield %0 : f32
  }
  return
}
