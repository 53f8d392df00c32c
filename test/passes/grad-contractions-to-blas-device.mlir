// RUN: gradopt %s -grad-contractions-to-blas="threshold=60 for-device=1" -split-input-file | FileCheck %s

// For a device, a batch is a part of the call: the number of products, and from each to the next
// one the elements of each operand.

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// CHECK: func private @gradopt_gemm_batched_f64(i64, i64, i64, i64, i64, index, i64, index, i64, index, i64, f64, i64, i64, i64, i64)

// CHECK-LABEL: func @one_product
func.func @one_product(%a: memref<4x5xf64>, %b: memref<5x3xf64>, %c: memref<4x3xf64>) {
  // CHECK: call @gradopt_gemm_batched_f64({{.*}}, %c1_i64{{[_0-9]*}}, %c0_i64{{[_0-9]*}}, %c0_i64{{[_0-9]*}}, %c0_i64{{[_0-9]*}}) :
  linalg.generic {indexing_maps = [#mk, #kn, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<4x5xf64>, memref<5x3xf64>) outs(%c : memref<4x3xf64>) {
  ^bb0(%x: f64, %y: f64, %z: f64):
    %0 = arith.mulf %x, %y : f64
    %1 = arith.addf %z, %0 : f64
    linalg.yield %1 : f64
  }
  return
}

// -----

#abmk = affine_map<(a, b, m, n, k) -> (a, b, m, k)>
#abkn = affine_map<(a, b, m, n, k) -> (a, b, k, n)>
#abmn = affine_map<(a, b, m, n, k) -> (a, b, m, n)>

// CHECK-LABEL: func @batches_that_are_one_are_one_call
func.func @batches_that_are_one_are_one_call(%a: memref<2x7x4x5xf32>, %b: memref<2x7x5x3xf32>, %c: memref<2x7x4x3xf32>) {
  // CHECK-NOT: scf.for
  // CHECK: call @gradopt_gemm_batched_f32({{.*}}, %c14_i64{{[_0-9]*}}, %c20_i64{{[_0-9]*}}, %c15_i64{{[_0-9]*}}, %c12_i64{{[_0-9]*}}) :
  linalg.generic {indexing_maps = [#abmk, #abkn, #abmn], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<2x7x4x5xf32>, memref<2x7x5x3xf32>) outs(%c : memref<2x7x4x3xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %z, %0 : f32
    linalg.yield %1 : f32
  }
  return
}

// -----

#amhk = affine_map<(a, h, m, n, k) -> (a, m, h, k)>
#ahnk = affine_map<(a, h, m, n, k) -> (a, n, h, k)>
#ahmn = affine_map<(a, h, m, n, k) -> (a, h, m, n)>

// Of those that are not one, the largest is a part of the call.
// CHECK-LABEL: func @heads_beside_each_other
func.func @heads_beside_each_other(%a: memref<2x4x7x5xf32>, %b: memref<2x3x7x5xf32>, %c: memref<2x7x4x3xf32>) {
  // CHECK: scf.for %{{.*}} = %c0{{.*}} to %c2
  // CHECK-NOT: scf.for
  // CHECK: call @gradopt_gemm_batched_f32(%c0_i64{{.*}}, %c1_i64{{.*}}, %c4_i64{{.*}}, %c3_i64{{.*}}, %c5_i64{{.*}}, %{{.*}}, %c35_i64{{.*}}, %c7_i64{{[_0-9]*}}, %c5_i64{{[_0-9]*}}, %c5_i64{{[_0-9]*}}, %c12_i64{{[_0-9]*}}) :
  linalg.generic {indexing_maps = [#amhk, #ahnk, #ahmn], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<2x4x7x5xf32>, memref<2x3x7x5xf32>) outs(%c : memref<2x7x4x3xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %z, %0 : f32
    linalg.yield %1 : f32
  }
  return
}

// -----

#bmk = affine_map<(b, m, n, k) -> (b, m, k)>
#nk = affine_map<(b, m, n, k) -> (n, k)>
#nbm = affine_map<(b, m, n, k) -> (b, n, m)>

// The rows of a transposed result: the other operand is the same for all.
// CHECK-LABEL: func @what_is_the_same_for_all_has_a_distance_of_zero
func.func @what_is_the_same_for_all_has_a_distance_of_zero(%a: memref<6x4x5xf32>, %b: memref<3x5xf32>, %c: memref<6x3x4xf32>) {
  // CHECK: call @gradopt_gemm_batched_f32({{.*}}, %c6_i64{{[_0-9]*}}, %c0_i64{{[_0-9]*}}, %c20_i64{{[_0-9]*}}, %c12_i64{{[_0-9]*}}) :
  linalg.generic {indexing_maps = [#bmk, #nk, #nbm], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<6x4x5xf32>, memref<3x5xf32>) outs(%c : memref<6x3x4xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %z, %0 : f32
    linalg.yield %1 : f32
  }
  return
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>

// Narrow floats are added up as f32.

// CHECK: func private @gradopt_gemm_batched_bf16(i64, i64, i64, i64, i64, index, i64, index, i64, index, i64, f32, i64, i64, i64, i64)

// CHECK-LABEL: func @narrow
func.func @narrow(%a: memref<4x5xbf16>, %b: memref<3x5xbf16>, %c: memref<4x3xf32>) {
  // CHECK: call @gradopt_gemm_batched_bf16(
  linalg.generic {indexing_maps = [#mk, #nk, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<4x5xbf16>, memref<3x5xbf16>) outs(%c : memref<4x3xf32>) {
  ^bb0(%x: bf16, %y: bf16, %z: f32):
    %0 = arith.extf %x : bf16 to f32
    %1 = arith.extf %y : bf16 to f32
    %2 = arith.mulf %0, %1 : f32
    %3 = arith.addf %z, %2 : f32
    linalg.yield %3 : f32
  }
  return
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>

// No library multiplies numbers of two types.

// CHECK-LABEL: func @mixed
func.func @mixed(%a: memref<4x5xbf16>, %b: memref<3x5xf16>, %c: memref<4x3xf32>) {
  // CHECK-NOT: call
  // CHECK: linalg.generic
  linalg.generic {indexing_maps = [#mk, #nk, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<4x5xbf16>, memref<3x5xf16>) outs(%c : memref<4x3xf32>) {
  ^bb0(%x: bf16, %y: f16, %z: f32):
    %0 = arith.extf %x : bf16 to f32
    %1 = arith.extf %y : f16 to f32
    %2 = arith.mulf %0, %1 : f32
    %3 = arith.addf %z, %2 : f32
    linalg.yield %3 : f32
  }
  return
}
