// RUN: gradopt %s -grad-contractions-to-blas=threshold=60 -split-input-file | FileCheck %s

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// CHECK: func private @gradopt_gemm_f64(i64, i64, i64, i64, i64, index, i64, index, i64, index, i64, f64)

// CHECK-LABEL: func @a_zero_fill_becomes_beta_zero
// CHECK-SAME: %[[A:.*]]: memref<4x5xf64>, %[[B:.*]]: memref<5x3xf64>, %[[C:.*]]: memref<4x3xf64>
func.func @a_zero_fill_becomes_beta_zero(%a: memref<4x5xf64>, %b: memref<5x3xf64>, %c: memref<4x3xf64>) {
  // CHECK-NOT: linalg
  // CHECK-DAG: %[[PA:.*]] = memref.extract_aligned_pointer_as_index %[[A]]
  // CHECK-DAG: %[[PB:.*]] = memref.extract_aligned_pointer_as_index %[[B]]
  // CHECK-DAG: %[[PC:.*]] = memref.extract_aligned_pointer_as_index %[[C]]
  // CHECK-DAG: %[[BETA:.*]] = arith.constant 0.0{{.*}} : f64
  // CHECK: call @gradopt_gemm_f64(%c0_i64{{.*}}, %c0_i64{{.*}}, %c4_i64{{.*}}, %c3_i64{{.*}}, %c5_i64{{.*}}, %[[PA]], %c5_i64{{.*}}, %[[PB]], %c3_i64{{.*}}, %[[PC]], %c3_i64{{.*}}, %{{.*}})
  // CHECK-NEXT: return
  %zero = arith.constant 0.0 : f64
  linalg.fill ins(%zero : f64) outs(%c : memref<4x3xf64>)
  linalg.generic {indexing_maps = [#mk, #kn, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<4x5xf64>, memref<5x3xf64>) outs(%c : memref<4x3xf64>) {
  ^bb0(%x: f64, %y: f64, %z: f64):
    %0 = arith.mulf %x, %y : f64
    %1 = arith.addf %z, %0 : f64
    linalg.yield %1 : f64
  }
  return
}

// CHECK-LABEL: func @without_a_fill_the_product_is_added
func.func @without_a_fill_the_product_is_added(%a: memref<4x5xf64>, %b: memref<5x3xf64>, %c: memref<4x3xf64>) {
  // CHECK: %[[BETA:.*]] = arith.constant 1.0{{.*}} : f64
  // CHECK: call @gradopt_gemm_f64({{.*}}, %[[BETA]])
  linalg.generic {indexing_maps = [#mk, #kn, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<4x5xf64>, memref<5x3xf64>) outs(%c : memref<4x3xf64>) {
  ^bb0(%x: f64, %y: f64, %z: f64):
    %0 = arith.mulf %y, %x : f64
    %1 = arith.addf %0, %z : f64
    linalg.yield %1 : f64
  }
  return
}

// CHECK-LABEL: func @a_fill_that_is_read_before_the_product_stays
func.func @a_fill_that_is_read_before_the_product_stays(%a: memref<4x5xf64>, %b: memref<5x3xf64>, %c: memref<4x3xf64>, %d: memref<4x3xf64>) {
  // CHECK: linalg.fill
  // CHECK: memref.copy
  // CHECK: %[[BETA:.*]] = arith.constant 1.0{{.*}} : f64
  // CHECK: call @gradopt_gemm_f64({{.*}}, %[[BETA]])
  %zero = arith.constant 0.0 : f64
  linalg.fill ins(%zero : f64) outs(%c : memref<4x3xf64>)
  memref.copy %c, %d : memref<4x3xf64> to memref<4x3xf64>
  linalg.generic {indexing_maps = [#mk, #kn, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<4x5xf64>, memref<5x3xf64>) outs(%c : memref<4x3xf64>) {
  ^bb0(%x: f64, %y: f64, %z: f64):
    %0 = arith.mulf %x, %y : f64
    %1 = arith.addf %z, %0 : f64
    linalg.yield %1 : f64
  }
  return
}

// CHECK-LABEL: func @small_products_stay_loops
func.func @small_products_stay_loops(%a: memref<4x4xf64>, %b: memref<4x3xf64>, %c: memref<4x3xf64>) {
  // CHECK: linalg.generic
  linalg.generic {indexing_maps = [#mk, #kn, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<4x4xf64>, memref<4x3xf64>) outs(%c : memref<4x3xf64>) {
  ^bb0(%x: f64, %y: f64, %z: f64):
    %0 = arith.mulf %x, %y : f64
    %1 = arith.addf %z, %0 : f64
    linalg.yield %1 : f64
  }
  return
}

// CHECK-LABEL: func @other_bodies_stay_loops
func.func @other_bodies_stay_loops(%a: memref<4x5xf64>, %b: memref<5x3xf64>, %c: memref<4x3xf64>) {
  // CHECK: linalg.generic
  linalg.generic {indexing_maps = [#mk, #kn, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<4x5xf64>, memref<5x3xf64>) outs(%c : memref<4x3xf64>) {
  ^bb0(%x: f64, %y: f64, %z: f64):
    %0 = arith.mulf %x, %y : f64
    %1 = arith.maximumf %z, %0 : f64
    linalg.yield %1 : f64
  }
  return
}

// -----

#km = affine_map<(m, n, k) -> (k, m)>
#nk = affine_map<(m, n, k) -> (n, k)>
#mn = affine_map<(m, n, k) -> (m, n)>
#nm = affine_map<(m, n, k) -> (n, m)>

// CHECK-LABEL: func @transposes_become_flags
func.func @transposes_become_flags(%a: memref<5x4xf32>, %b: memref<3x5xf32>, %c: memref<4x3xf32>) {
  // CHECK: call @gradopt_gemm_f32(%c1_i64{{.*}}, %c1_i64{{.*}}, %c4_i64{{.*}}, %c3_i64{{.*}}, %c5_i64{{.*}}, %{{.*}}, %c4_i64{{.*}}, %{{.*}}, %c5_i64{{.*}}, %{{.*}}, %c3_i64{{.*}}, %{{.*}})
  linalg.generic {indexing_maps = [#km, #nk, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<5x4xf32>, memref<3x5xf32>) outs(%c : memref<4x3xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %z, %0 : f32
    linalg.yield %1 : f32
  }
  return
}

// CHECK-LABEL: func @a_transposed_result_swaps_the_operands
// CHECK-SAME: %[[A:.*]]: memref<5x4xf32>, %[[B:.*]]: memref<3x5xf32>,
func.func @a_transposed_result_swaps_the_operands(%a: memref<5x4xf32>, %b: memref<3x5xf32>, %c: memref<3x4xf32>) {
  // CHECK: %[[PB:.*]] = memref.extract_aligned_pointer_as_index %[[B]]
  // CHECK: %[[PA:.*]] = memref.extract_aligned_pointer_as_index %[[A]]
  // CHECK: call @gradopt_gemm_f32(%c0_i64{{.*}}, %c0_i64{{.*}}, %c3_i64{{.*}}, %c4_i64{{.*}}, %c5_i64{{.*}}, %[[PB]], %c5_i64{{.*}}, %[[PA]], %c4_i64{{.*}}, %{{.*}}, %c4_i64{{.*}}, %{{.*}})
  linalg.generic {indexing_maps = [#km, #nk, #nm], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<5x4xf32>, memref<3x5xf32>) outs(%c : memref<3x4xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %0 = arith.mulf %x, %y : f32
    %1 = arith.addf %z, %0 : f32
    linalg.yield %1 : f32
  }
  return
}

// -----

#bmk = affine_map<(b, m, n, k) -> (b, m, k)>
#bkn = affine_map<(b, m, n, k) -> (b, k, n)>
#bmn = affine_map<(b, m, n, k) -> (b, m, n)>

// CHECK-LABEL: func @a_batch_is_a_loop_around_the_call
func.func @a_batch_is_a_loop_around_the_call(%a: memref<2x4x5xf64>, %b: memref<2x5x3xf64>, %c: memref<2x4x3xf64>) {
  // CHECK: scf.for %[[I:.*]] = %c0{{.*}} to %c2
  // CHECK: arith.muli %[[I]], %c160
  // CHECK: arith.muli %[[I]], %c120
  // CHECK: arith.muli %[[I]], %c96
  // CHECK: call @gradopt_gemm_f64
  linalg.generic {indexing_maps = [#bmk, #bkn, #bmn], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<2x4x5xf64>, memref<2x5x3xf64>) outs(%c : memref<2x4x3xf64>) {
  ^bb0(%x: f64, %y: f64, %z: f64):
    %0 = arith.mulf %x, %y : f64
    %1 = arith.addf %z, %0 : f64
    linalg.yield %1 : f64
  }
  return
}

// -----

#abmk = affine_map<(a, b, m, n, k) -> (a, b, m, k)>
#bkn = affine_map<(a, b, m, n, k) -> (b, k, n)>
#abmn = affine_map<(a, b, m, n, k) -> (a, b, m, n)>

// The rows of all `a` are no matrix: those of the operand that has them are `b` apart.
// CHECK-LABEL: func @rows_that_are_not_equally_far_apart_are_a_batch
func.func @rows_that_are_not_equally_far_apart_are_a_batch(%a: memref<2x3x4x5xf64>, %b: memref<3x5x3xf64>, %c: memref<2x3x4x3xf64>) {
  // CHECK: scf.for %[[I:.*]] = %c0{{.*}} to %c2
  // CHECK: scf.for %[[J:.*]] = %c0{{.*}} to %c3
  // CHECK-DAG: arith.muli %[[I]], %c480
  // CHECK-DAG: arith.muli %[[J]], %c160
  // CHECK-DAG: arith.muli %[[J]], %c120
  // CHECK-DAG: arith.muli %[[I]], %c288
  // CHECK-DAG: arith.muli %[[J]], %c96
  // CHECK: call @gradopt_gemm_f64(%c0_i64{{.*}}, %c0_i64{{.*}}, %c4_i64{{.*}}, %c3_i64{{.*}}, %c5_i64
  linalg.generic {indexing_maps = [#abmk, #bkn, #abmn], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<2x3x4x5xf64>, memref<3x5x3xf64>) outs(%c : memref<2x3x4x3xf64>) {
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

// CHECK-LABEL: func @batches_that_are_one_are_one_loop
func.func @batches_that_are_one_are_one_loop(%a: memref<2x7x4x5xf64>, %b: memref<2x7x5x3xf64>, %c: memref<2x7x4x3xf64>) {
  // CHECK: scf.for %{{.*}} = %c0{{.*}} to %c14
  // CHECK-NOT: scf.for
  // CHECK: call @gradopt_gemm_f64
  linalg.generic {indexing_maps = [#abmk, #abkn, #abmn], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<2x7x4x5xf64>, memref<2x7x5x3xf64>) outs(%c : memref<2x7x4x3xf64>) {
  ^bb0(%x: f64, %y: f64, %z: f64):
    %0 = arith.mulf %x, %y : f64
    %1 = arith.addf %z, %0 : f64
    linalg.yield %1 : f64
  }
  return
}

// -----

#mpk = affine_map<(m, p, n, k) -> (m, p, k)>
#kn = affine_map<(m, p, n, k) -> (k, n)>
#mpn = affine_map<(m, p, n, k) -> (m, p, n)>

// CHECK-LABEL: func @adjacent_rows_are_one_dimension
func.func @adjacent_rows_are_one_dimension(%a: memref<2x4x5xf64>, %b: memref<5x3xf64>, %c: memref<2x4x3xf64>) {
  // CHECK: call @gradopt_gemm_f64(%c0_i64{{.*}}, %c0_i64{{.*}}, %c8_i64{{.*}}, %c3_i64{{.*}}, %c5_i64
  linalg.generic {indexing_maps = [#mpk, #kn, #mpn], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<2x4x5xf64>, memref<5x3xf64>) outs(%c : memref<2x4x3xf64>) {
  ^bb0(%x: f64, %y: f64, %z: f64):
    %0 = arith.mulf %x, %y : f64
    %1 = arith.addf %z, %0 : f64
    linalg.yield %1 : f64
  }
  return
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// CHECK-LABEL: func @a_view_has_its_own_leading_dimension_and_address
func.func @a_view_has_its_own_leading_dimension_and_address(%base: memref<8x9xf64>, %b: memref<5x3xf64>, %c: memref<4x3xf64>) {
  // CHECK: %[[P:.*]] = memref.extract_aligned_pointer_as_index
  // CHECK: %[[AT:.*]] = arith.addi %[[P]]
  // CHECK: call @gradopt_gemm_f64({{.*}}, %[[AT]], %c9_i64
  %a = memref.subview %base[1, 2] [4, 5] [1, 1] : memref<8x9xf64> to memref<4x5xf64, strided<[9, 1], offset: 11>>
  linalg.generic {indexing_maps = [#mk, #kn, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<4x5xf64, strided<[9, 1], offset: 11>>, memref<5x3xf64>) outs(%c : memref<4x3xf64>) {
  ^bb0(%x: f64, %y: f64, %z: f64):
    %0 = arith.mulf %x, %y : f64
    %1 = arith.addf %z, %0 : f64
    linalg.yield %1 : f64
  }
  return
}

// CHECK-LABEL: func @strided_columns_stay_loops
func.func @strided_columns_stay_loops(%base: memref<8x10xf64>, %b: memref<5x3xf64>, %c: memref<4x3xf64>) {
  // CHECK: linalg.generic
  %a = memref.subview %base[0, 0] [4, 5] [1, 2] : memref<8x10xf64> to memref<4x5xf64, strided<[10, 2]>>
  linalg.generic {indexing_maps = [#mk, #kn, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<4x5xf64, strided<[10, 2]>>, memref<5x3xf64>) outs(%c : memref<4x3xf64>) {
  ^bb0(%x: f64, %y: f64, %z: f64):
    %0 = arith.mulf %x, %y : f64
    %1 = arith.addf %z, %0 : f64
    linalg.yield %1 : f64
  }
  return
}

// -----

// The bytes of the result are read through another view before the product.
// CHECK-LABEL: func @a_fill_that_another_view_reads_stays
func.func @a_fill_that_another_view_reads_stays(%x: memref<8x8xf64>, %o: memref<8x7xf64>, %arena: memref<512xi8>) {
  // CHECK: linalg.fill
  // CHECK: memref.copy
  // CHECK: %[[BETA:.*]] = arith.constant 1.0{{.*}} : f64
  // CHECK: call @gradopt_gemm_f64({{.*}}, %[[BETA]])
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %zero = arith.constant 0.0 : f64
  %v1 = memref.view %arena[%c0][] : memref<512xi8> to memref<8x8xf64>
  %v2 = memref.view %arena[%c8][] : memref<512xi8> to memref<8x7xf64>
  linalg.fill ins(%zero : f64) outs(%v1 : memref<8x8xf64>)
  memref.copy %v2, %o : memref<8x7xf64> to memref<8x7xf64>
  linalg.matmul ins(%x, %x : memref<8x8xf64>, memref<8x8xf64>) outs(%v1 : memref<8x8xf64>)
  return
}

// CHECK-LABEL: func @other_bytes_of_the_arena_do_not_matter
func.func @other_bytes_of_the_arena_do_not_matter(%x: memref<8x8xf64>, %o: memref<8x7xf64>, %arena: memref<1024xi8>) {
  // CHECK-NOT: linalg.fill
  // CHECK: call @gradopt_gemm_f64
  // CHECK: call @gradopt_gemm_f64
  %c0 = arith.constant 0 : index
  %c512 = arith.constant 512 : index
  %zero = arith.constant 0.0 : f64
  %v1 = memref.view %arena[%c0][] : memref<1024xi8> to memref<8x8xf64>
  %v2 = memref.view %arena[%c512][] : memref<1024xi8> to memref<8x8xf64>
  linalg.fill ins(%zero : f64) outs(%v1 : memref<8x8xf64>)
  linalg.matmul ins(%x, %x : memref<8x8xf64>, memref<8x8xf64>) outs(%v2 : memref<8x8xf64>)
  linalg.matmul ins(%x, %x : memref<8x8xf64>, memref<8x8xf64>) outs(%v1 : memref<8x8xf64>)
  return
}

// Products that are calls already read by address.
// CHECK-LABEL: func @a_fill_that_another_product_reads_stays
func.func @a_fill_that_another_product_reads_stays(%x: memref<8x8xf64>, %o: memref<8x8xf64>, %p: memref<8x8xf64>) {
  // CHECK: linalg.fill
  // CHECK: call @gradopt_gemm_f64
  // CHECK: call @gradopt_gemm_f64
  %zero = arith.constant 0.0 : f64
  linalg.fill ins(%zero : f64) outs(%p : memref<8x8xf64>)
  linalg.matmul ins(%x, %p : memref<8x8xf64>, memref<8x8xf64>) outs(%o : memref<8x8xf64>)
  linalg.matmul ins(%x, %x : memref<8x8xf64>, memref<8x8xf64>) outs(%p : memref<8x8xf64>)
  return
}

func.func private @anything(index)

// CHECK-LABEL: func @a_fill_that_others_may_read_stays
func.func @a_fill_that_others_may_read_stays(%x: memref<8x8xf64>, %p: memref<8x8xf64>, %where: memref<index>) {
  // CHECK: linalg.fill
  // CHECK: call @gradopt_gemm_f64
  %zero = arith.constant 0.0 : f64
  linalg.fill ins(%zero : f64) outs(%p : memref<8x8xf64>)
  %address = memref.load %where[] : memref<index>
  func.call @anything(%address) : (index) -> ()
  linalg.matmul ins(%x, %x : memref<8x8xf64>, memref<8x8xf64>) outs(%p : memref<8x8xf64>)
  return
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// CHECK: func private @gradopt_gemm_c128(i64, i64, i64, i64, i64, index, i64, index, i64, index, i64, f64)

// CHECK-LABEL: func @complex_numbers
func.func @complex_numbers(%a: memref<4x5xcomplex<f64>>, %b: memref<5x3xcomplex<f64>>, %c: memref<4x3xcomplex<f64>>) {
  // CHECK-NOT: linalg
  // CHECK: %[[BETA:.*]] = arith.constant 0.0{{.*}} : f64
  // CHECK: call @gradopt_gemm_c128({{.*}}, %[[BETA]])
  %zero = complex.constant [0.0, 0.0] : complex<f64>
  linalg.fill ins(%zero : complex<f64>) outs(%c : memref<4x3xcomplex<f64>>)
  linalg.generic {indexing_maps = [#mk, #kn, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%a, %b : memref<4x5xcomplex<f64>>, memref<5x3xcomplex<f64>>) outs(%c : memref<4x3xcomplex<f64>>) {
  ^bb0(%x: complex<f64>, %y: complex<f64>, %z: complex<f64>):
    %0 = complex.mul %x, %y : complex<f64>
    %1 = complex.add %z, %0 : complex<f64>
    linalg.yield %1 : complex<f64>
  }
  return
}
