// RUN: gradopt %s -convert-grad-to-linalg -split-input-file | FileCheck %s

// CHECK: #[[$ID:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK: #[[$LAST:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK: #[[$SWAPPED:.*]] = affine_map<(d0, d1) -> (d1, d0)>

// CHECK-LABEL: func @broadcasts_and_transposes_are_read_through_maps
// CHECK-SAME: %[[X:.*]]: tensor<4x3xf64>, %[[B:.*]]: tensor<3xf64>, %[[T:.*]]: tensor<3x4xf64>
func.func @broadcasts_and_transposes_are_read_through_maps(
    %x: tensor<4x3xf64>, %b: tensor<3xf64>, %t: tensor<3x4xf64>) -> tensor<4x3xf64> {
  %0 = grad.broadcast %b, shape = [4, 3], dimensions = [1] : tensor<3xf64> -> tensor<4x3xf64>
  %1 = grad.transpose %t, permutation = [1, 0] : tensor<3x4xf64> -> tensor<4x3xf64>
  // CHECK-NEXT: %[[E0:.*]] = tensor.empty() : tensor<4x3xf64>
  // CHECK-NEXT: %[[R0:.*]] = linalg.generic
  // CHECK-SAME: indexing_maps = [#[[$ID]], #[[$LAST]], #[[$ID]]]
  // CHECK-SAME: ins(%[[X]], %[[B]] : tensor<4x3xf64>, tensor<3xf64>) outs(%[[E0]]
  // CHECK: %[[SUM:.*]] = arith.addf
  // CHECK: linalg.yield %[[SUM]]
  %2 = grad.add %x, %0 : tensor<4x3xf64>
  // CHECK: linalg.generic
  // CHECK-SAME: indexing_maps = [#[[$ID]], #[[$SWAPPED]], #[[$ID]]]
  // CHECK-SAME: ins(%[[R0]], %[[T]] : tensor<4x3xf64>, tensor<3x4xf64>)
  // CHECK: arith.mulf
  %3 = grad.multiply %2, %1 : tensor<4x3xf64>
  return %3 : tensor<4x3xf64>
}

// -----

// CHECK-LABEL: func @a_splat_is_a_scalar_in_the_body
// CHECK-SAME: %[[X:.*]]: tensor<4xf64>
func.func @a_splat_is_a_scalar_in_the_body(%x: tensor<4xf64>) -> tensor<4xf64> {
  // CHECK: %[[TWO:.*]] = arith.constant 2.0{{.*}} : f64
  // CHECK: linalg.generic {{.*}} ins(%[[X]] : tensor<4xf64>)
  // CHECK-NEXT: ^bb0(%[[IN:.*]]: f64, %{{.*}}: f64):
  // CHECK-NEXT: arith.mulf %[[IN]], %[[TWO]]
  %0 = grad.constant dense<2.0> : tensor<4xf64>
  %1 = grad.multiply %x, %0 : tensor<4xf64>
  return %1 : tensor<4xf64>
}

// CHECK-LABEL: func @constants
func.func @constants() -> (tensor<2xf64>, tensor<2xi1>) {
  // CHECK-DAG: arith.constant dense<[1.0{{.*}}, 2.0{{.*}}]> : tensor<2xf64>
  // CHECK-DAG: linalg.fill ins(%{{.*}} : i1) outs(%{{.*}} : tensor<2xi1>)
  %0 = grad.constant dense<[1.0, 2.0]> : tensor<2xf64>
  %1 = grad.constant dense<true> : tensor<2xi1>
  return %0, %1 : tensor<2xf64>, tensor<2xi1>
}

// CHECK-LABEL: func @an_operand_used_twice_is_one_input
func.func @an_operand_used_twice_is_one_input(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: linalg.generic {{.*}} ins(%{{.*}} : tensor<4xf32>)
  // CHECK-NEXT: ^bb0(%[[IN:.*]]: f32, %{{.*}}: f32):
  // CHECK-NEXT: arith.mulf %[[IN]], %[[IN]] : f32
  %0 = grad.multiply %x, %x : tensor<4xf32>
  return %0 : tensor<4xf32>
}

// CHECK-LABEL: func @reshapes
func.func @reshapes(%x: tensor<4x6xf64>, %y: tensor<1x1xf64>) -> (tensor<24xf64>, tensor<2x2x6xf64>, tensor<3x8xf64>, tensor<f64>) {
  // CHECK: tensor.collapse_shape %{{.*}} {{\[}}[0, 1]] : tensor<4x6xf64> into tensor<24xf64>
  %0 = grad.reshape %x, shape = [24] : tensor<4x6xf64> -> tensor<24xf64>
  // CHECK: tensor.expand_shape %{{.*}} {{\[}}[0, 1], [2]]
  %1 = grad.reshape %x, shape = [2, 2, 6] : tensor<4x6xf64> -> tensor<2x2x6xf64>
  // CHECK: %[[FLAT:.*]] = tensor.collapse_shape %{{.*}} {{\[}}[0, 1]] : tensor<4x6xf64> into tensor<24xf64>
  // CHECK: tensor.expand_shape %[[FLAT]] {{\[}}[0, 1]]
  %2 = grad.reshape %x, shape = [3, 8] : tensor<4x6xf64> -> tensor<3x8xf64>
  // CHECK: tensor.collapse_shape %{{.*}} [] : tensor<1x1xf64> into tensor<f64>
  %3 = grad.reshape %y, shape = [] : tensor<1x1xf64> -> tensor<f64>
  return %0, %1, %2, %3 : tensor<24xf64>, tensor<2x2x6xf64>, tensor<3x8xf64>, tensor<f64>
}

// CHECK-LABEL: func @results_without_elements_are_empty
// CHECK-SAME: %{{.*}}: tensor<0x3xf64>
// CHECK-NEXT: %[[E:.*]] = tensor.empty() : tensor<0x3xf64>
// CHECK-NEXT: return %[[E]]
func.func @results_without_elements_are_empty(%x: tensor<0x3xf64>) -> tensor<0x3xf64> {
  %0 = grad.exp %x : tensor<0x3xf64>
  return %0 : tensor<0x3xf64>
}

// -----

// CHECK: #[[$ID:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK: #[[$FIRST:.*]] = affine_map<(d0, d1) -> (d0)>

// CHECK-LABEL: func @a_reduction_walks_memory_in_order
// CHECK-SAME: %[[X:.*]]: tensor<4x3xf64>
func.func @a_reduction_walks_memory_in_order(%x: tensor<4x3xf64>) -> tensor<4xf64> {
  // CHECK: %[[ZERO:.*]] = arith.constant 0.0
  // CHECK: %[[INIT:.*]] = linalg.fill ins(%[[ZERO]] : f64)
  // CHECK: linalg.generic
  // CHECK-SAME: indexing_maps = [#[[$ID]], #[[$FIRST]]], iterator_types = ["parallel", "reduction"]
  // CHECK-SAME: ins(%[[X]] : tensor<4x3xf64>) outs(%[[INIT]] : tensor<4xf64>)
  // CHECK: arith.addf %{{.*}}, %{{.*}} fastmath<reassoc>
  %0 = grad.transpose %x, permutation = [1, 0] : tensor<4x3xf64> -> tensor<3x4xf64>
  %1 = grad.reduce_sum %0, dimensions = [0] : tensor<3x4xf64> -> tensor<4xf64>
  return %1 : tensor<4xf64>
}

// CHECK-LABEL: func @a_maximum_keeps_nan
func.func @a_maximum_keeps_nan(%x: tensor<4xf32>, %y: tensor<4xi8>) -> (tensor<f32>, tensor<i8>) {
  // CHECK: arith.constant 0xFF800000 : f32
  // CHECK: arith.maximumf
  %0 = grad.reduce_max %x, dimensions = [0] : tensor<4xf32> -> tensor<f32>
  // CHECK: arith.constant -128 : i8
  // CHECK: arith.maxsi
  %1 = grad.reduce_max %y, dimensions = [0] : tensor<4xi8> -> tensor<i8>
  return %0, %1 : tensor<f32>, tensor<i8>
}

// CHECK-LABEL: func @argmax_finds_the_first_maximum_or_nan
// CHECK-SAME: %[[X:.*]]: tensor<4xf64>
func.func @argmax_finds_the_first_maximum_or_nan(%x: tensor<4xf64>) -> tensor<i64> {
  // CHECK: %[[MAX:.*]] = linalg.generic {{.*}} ins(%[[X]] : tensor<4xf64>)
  // CHECK: arith.maximumf
  // CHECK: %[[WHERE:.*]] = linalg.generic {{.*}} ins(%[[X]], %[[MAX]] : tensor<4xf64>, tensor<f64>)
  // CHECK-NEXT: ^bb0(%[[IN:.*]]: f64, %[[BEST:.*]]: f64, %[[OLD:.*]]: i64):
  // CHECK-DAG: %[[INDEX:.*]] = arith.index_cast
  // CHECK-DAG: %[[EQUAL:.*]] = arith.cmpf oeq, %[[IN]], %[[BEST]]
  // CHECK-DAG: %[[NAN:.*]] = arith.cmpf uno, %[[IN]], %[[IN]]
  // CHECK: %[[HOLDS:.*]] = arith.ori %[[EQUAL]], %[[NAN]]
  // CHECK: %[[NEW:.*]] = arith.select %[[HOLDS]], %[[INDEX]], %c9223372036854775807_i64
  // CHECK: arith.minsi %[[OLD]], %[[NEW]]
  // CHECK: return %[[WHERE]]
  %0 = grad.argmax %x, dimension = 0 : tensor<4xf64> -> tensor<i64>
  return %0 : tensor<i64>
}

// CHECK-LABEL: func @cumsum_adds_to_the_predecessor
func.func @cumsum_adds_to_the_predecessor(%x: tensor<4x3xf64>) -> tensor<4x3xf64> {
  // CHECK: %[[FIRST:.*]] = tensor.extract_slice %{{.*}}[0, 0] [1, 3] [1, 1]
  // CHECK: tensor.insert_slice %[[FIRST]]
  // CHECK: scf.for %[[I:[a-z0-9]+]] = %c1{{.*}} to %c4
  // CHECK: scf.for %[[J:[a-z0-9]+]] =
  // CHECK: %[[BEFORE:.*]] = arith.subi %[[I]], %c1
  // CHECK: tensor.extract %{{.*}}[%[[BEFORE]], %[[J]]]
  // CHECK: tensor.insert %{{.*}} into %{{.*}}[%[[I]], %[[J]]]
  %0 = grad.cumsum %x, dimension = 0 : tensor<4x3xf64>
  return %0 : tensor<4x3xf64>
}

// -----

// CHECK-DAG: #[[$MK:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-DAG: #[[$KN:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-DAG: #[[$MN:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG: #[[$KM:.*]] = affine_map<(d0, d1, d2) -> (d1, d0)>

// CHECK-LABEL: func @a_product_has_its_contiguous_loop_innermost
func.func @a_product_has_its_contiguous_loop_innermost(%a: tensor<4x5xf64>, %b: tensor<5x3xf64>) -> tensor<4x3xf64> {
  // CHECK: linalg.generic
  // CHECK-SAME: indexing_maps = [#[[$MK]], #[[$KN]], #[[$MN]]], iterator_types = ["parallel", "reduction", "parallel"]
  // CHECK: arith.mulf %{{.*}} fastmath<contract>
  // CHECK: arith.addf %{{.*}} fastmath<reassoc,contract>
  %0 = grad.dot_general %a, %b, batch = [] x [], contract = [1] x [0] : tensor<4x5xf64>, tensor<5x3xf64> -> tensor<4x3xf64>
  return %0 : tensor<4x3xf64>
}

// CHECK-LABEL: func @a_transpose_becomes_part_of_the_product
// CHECK-SAME: %[[A:.*]]: tensor<5x4xf64>, %[[B:.*]]: tensor<5x3xf64>
func.func @a_transpose_becomes_part_of_the_product(%a: tensor<5x4xf64>, %b: tensor<5x3xf64>) -> tensor<4x3xf64> {
  // CHECK: linalg.generic
  // CHECK-SAME: indexing_maps = [#[[$KM]], #[[$KN]], #[[$MN]]]
  // CHECK-SAME: ins(%[[A]], %[[B]] :
  %0 = grad.transpose %a, permutation = [1, 0] : tensor<5x4xf64> -> tensor<4x5xf64>
  %1 = grad.dot_general %0, %b, batch = [] x [], contract = [1] x [0] : tensor<4x5xf64>, tensor<5x3xf64> -> tensor<4x3xf64>
  return %1 : tensor<4x3xf64>
}

// CHECK-LABEL: func @nothing_to_contract_gives_zeros
func.func @nothing_to_contract_gives_zeros(%a: tensor<4x0xf64>, %b: tensor<0x3xf64>) -> tensor<4x3xf64> {
  // CHECK: %[[ZEROS:.*]] = linalg.fill
  // CHECK-NEXT: return %[[ZEROS]]
  %0 = grad.dot_general %a, %b, batch = [] x [], contract = [1] x [0] : tensor<4x0xf64>, tensor<0x3xf64> -> tensor<4x3xf64>
  return %0 : tensor<4x3xf64>
}

// -----

// Rows (d0, d2) of the left operand lie around its contracting dimension: no
// leading dimension describes it, so it is copied as rows x columns.

// CHECK: #[[$PERM:.*]] = affine_map<(d0, d1, d2) -> (d0, d2, d1)>
// CHECK-LABEL: func @an_operand_no_blas_can_read_is_copied
func.func @an_operand_no_blas_can_read_is_copied(%a: tensor<4x5x6xf64>, %b: tensor<5x3xf64>) -> tensor<4x6x3xf64> {
  // CHECK: %[[COPY:.*]] = linalg.generic {{.*}}#[[$PERM]]{{.*}} outs(%{{.*}} : tensor<4x6x5xf64>)
  // CHECK: linalg.generic {{.*}} ins(%[[COPY]], %{{.*}} : tensor<4x6x5xf64>, tensor<5x3xf64>)
  %0 = grad.dot_general %a, %b, batch = [] x [], contract = [1] x [0] : tensor<4x5x6xf64>, tensor<5x3xf64> -> tensor<4x6x3xf64>
  return %0 : tensor<4x6x3xf64>
}

// -----

// Few results: each is a sum of its own.

// CHECK: #[[$SHIFTED:.*]] = affine_map<(d0, d1) -> (d0 + d1)>
// CHECK-DAG: #[[$PLACE:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-DAG: #[[$RESULT:.*]] = affine_map<(d0, d1) -> (d0)>
// CHECK-LABEL: func @a_correlation_of_whole_kernels
func.func @a_correlation_of_whole_kernels(%x: tensor<9xf64>, %w: tensor<3xf64>) -> tensor<7xf64> {
  // CHECK: linalg.generic
  // CHECK-SAME: indexing_maps = [#[[$SHIFTED]], #[[$PLACE]], #[[$RESULT]]], iterator_types = ["parallel", "reduction"]
  // CHECK: arith.mulf %{{.*}} fastmath<contract>
  // CHECK: arith.addf %{{.*}} fastmath<reassoc,contract>
  // CHECK-NOT: tensor.insert_slice
  %0 = grad.correlate %x, %w, low = 0, high = 0 : tensor<9xf64>, tensor<3xf64> -> tensor<7xf64>
  return %0 : tensor<7xf64>
}

// -----

// Many results are the inner loop. Where the kernel hangs over, products are left out.

// CHECK: #[[$PLACE:.*]] = affine_map<(d0, d1) -> (d0)>
// CHECK: #[[$RESULT:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: func @a_correlation_beyond_the_ends
// CHECK-SAME: %[[X:.*]]: tensor<99xf32>, %[[W:.*]]: tensor<3xf32>
func.func @a_correlation_beyond_the_ends(%x: tensor<99xf32>, %w: tensor<3xf32>) -> tensor<100xf32> {
  // CHECK: %[[INNER:.*]] = linalg.generic {{.*}} #[[$PLACE]], #[[$RESULT]]], iterator_types = ["reduction", "parallel"]} ins(%[[X]], %[[W]]
  // CHECK: tensor.extract_slice %[[X]][0] [2] [1]
  // CHECK: %[[HEAD:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]} ins(%{{.*}}, %[[W]] : tensor<4xf32>, tensor<3xf32>)
  // CHECK: arith.cmpi sge
  // CHECK: arith.mulf
  // CHECK: arith.select
  // CHECK: tensor.insert_slice %[[HEAD]] into %{{.*}}[0] [2] [1]
  // CHECK: tensor.insert_slice %[[INNER]] into %{{.*}}[2] [97] [1]
  // CHECK: tensor.extract_slice %[[X]][97] [2] [1]
  // CHECK: %[[TAIL:.*]] = linalg.generic
  // CHECK: arith.cmpi slt
  // CHECK: tensor.insert_slice %[[TAIL]] into %{{.*}}[99] [1] [1]
  %0 = grad.correlate %x, %w, low = 2, high = 1 : tensor<99xf32>, tensor<3xf32> -> tensor<100xf32>
  return %0 : tensor<100xf32>
}

// -----

// CHECK: #[[$MIRROR:.*]] = affine_map<(d0) -> (-d0 + 3)>

// CHECK-LABEL: func @slices
func.func @slices(%x: tensor<4xf64>, %u: tensor<2xf64>, %i: tensor<i64>) -> (tensor<2xf64>, tensor<4xf64>, tensor<2xf64>, tensor<4xf64>) {
  // CHECK: tensor.extract_slice %{{.*}}[1] [2] [2]
  %0 = grad.slice %x, offsets = [1], sizes = [2], strides = [2] : tensor<4xf64> -> tensor<2xf64>
  // CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[0] [2] [3]
  %1 = grad.update_slice %x, %u, offsets = [0], strides = [3] : tensor<4xf64>, tensor<2xf64>
  // CHECK: %[[I:.*]] = tensor.extract
  // CHECK: %[[LOW:.*]] = arith.maxsi %[[I]], %c0
  // CHECK: %[[HIGH:.*]] = arith.minsi %[[LOW]], %c2
  // CHECK: %[[AT:.*]] = arith.index_cast %[[HIGH]]
  // CHECK: tensor.extract_slice %{{.*}}[%[[AT]]] [2] [1]
  %2 = grad.dynamic_slice %x[%i], sizes = [2] : tensor<4xf64> -> tensor<2xf64>
  // CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[%{{.*}}] [2] [1]
  %3 = grad.dynamic_update_slice %x, %u[%i] : tensor<4xf64>, tensor<2xf64>
  return %0, %1, %2, %3 : tensor<2xf64>, tensor<4xf64>, tensor<2xf64>, tensor<4xf64>
}

// Positions that a loop keeps within bounds are not moved.
// CHECK-LABEL: func @slices_in_loop
// CHECK: scf.for
// CHECK-NOT: arith.maxsi
// CHECK: tensor.extract_slice
// CHECK-NOT: arith.maxsi
// CHECK: tensor.insert_slice
// CHECK: scf.for
// CHECK: arith.maxsi
func.func @slices_in_loop(%x: tensor<5xf64>) -> (tensor<5xf64>, tensor<5xf64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %c5 = arith.constant 5 : index
  %one = grad.constant dense<1> : tensor<i64>
  %0 = scf.for %n = %c0 to %c4 step %c1 iter_args(%a = %x) -> tensor<5xf64> {
    %number = arith.index_cast %n : index to i64
    %i = tensor.from_elements %number : tensor<i64>
    %j = grad.add %i, %one : tensor<i64>
    %part = grad.dynamic_slice %a[%i], sizes = [1] : tensor<5xf64> -> tensor<1xf64>
    %b = grad.dynamic_update_slice %a, %part[%j] : tensor<5xf64>, tensor<1xf64>
    scf.yield %b : tensor<5xf64>
  }
  %1 = scf.for %n = %c0 to %c5 step %c1 iter_args(%a = %x) -> tensor<5xf64> {
    %number = arith.index_cast %n : index to i64
    %i = tensor.from_elements %number : tensor<i64>
    %j = grad.add %i, %one : tensor<i64>
    %part = grad.dynamic_slice %a[%j], sizes = [1] : tensor<5xf64> -> tensor<1xf64>
    %b = grad.dynamic_update_slice %a, %part[%i] : tensor<5xf64>, tensor<1xf64>
    scf.yield %b : tensor<5xf64>
  }
  return %0, %1 : tensor<5xf64>, tensor<5xf64>
}

// What contracts nothing adds to nothing.
// CHECK-LABEL: func @outer_product
func.func @outer_product(%a: tensor<4xf64>, %b: tensor<3xf64>) -> tensor<4x3xf64> {
  // CHECK-NOT: linalg.fill
  // CHECK: %[[E:.*]] = tensor.empty() : tensor<4x3xf64>
  // CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "parallel"]} {{.*}} outs(%[[E]] : tensor<4x3xf64>)
  // CHECK: %[[P:.*]] = arith.mulf
  // CHECK-NEXT: linalg.yield %[[P]]
  %0 = grad.dot_general %a, %b, batch = [] x [], contract = [] x [] : tensor<4xf64>, tensor<3xf64> -> tensor<4x3xf64>
  return %0 : tensor<4x3xf64>
}

// CHECK-LABEL: func @additions_to_slices
// CHECK-SAME: %[[X:.*]]: tensor<4xf64>, %[[U:.*]]: tensor<2xf64>
func.func @additions_to_slices(%x: tensor<4xf64>, %u: tensor<2xf64>, %i: tensor<i64>) -> (tensor<4xf64>, tensor<4xf64>) {
  // CHECK: %[[S:.*]] = tensor.extract_slice %[[X]][1] [2] [2]
  // CHECK: %[[SUM:.*]] = linalg.generic {{.*}} ins(%[[U]] : tensor<2xf64>) outs(%[[S]] : tensor<2xf64>)
  // CHECK: arith.addf
  // CHECK: tensor.insert_slice %[[SUM]] into %[[X]][1] [2] [2]
  %0 = grad.add_slice %x, %u, offsets = [1], strides = [2] : tensor<4xf64>, tensor<2xf64>
  // CHECK: arith.minsi
  // CHECK: %[[AT:.*]] = arith.index_cast
  // CHECK: %[[D:.*]] = tensor.extract_slice %[[X]][%[[AT]]] [2] [1]
  // CHECK: linalg.generic {{.*}} ins(%[[U]] : tensor<2xf64>) outs(%[[D]] : tensor<2xf64>)
  // CHECK: tensor.insert_slice %{{.*}} into %[[X]][%[[AT]]] [2] [1]
  %1 = grad.dynamic_add_slice %x, %u[%i] : tensor<4xf64>, tensor<2xf64>
  return %0, %1 : tensor<4xf64>, tensor<4xf64>
}

// CHECK-LABEL: func @pad_is_a_strided_insertion
func.func @pad_is_a_strided_insertion(%x: tensor<3xf64>, %v: tensor<f64>) -> tensor<8xf64> {
  // CHECK: %[[V:.*]] = tensor.extract %{{.*}}[] : tensor<f64>
  // CHECK: %[[FILL:.*]] = linalg.fill ins(%[[V]] : f64)
  // CHECK: tensor.insert_slice %{{.*}} into %[[FILL]][1] [3] [2]
  %0 = grad.pad %x, %v, low = [1], high = [2], interior = [1] : tensor<3xf64>, tensor<f64> -> tensor<8xf64>
  return %0 : tensor<8xf64>
}

// CHECK-LABEL: func @pad_of_much_fills_the_border
func.func @pad_of_much_fills_the_border(%x: tensor<64x64xf64>, %v: tensor<f64>) -> tensor<66x65xf64> {
  // CHECK: %[[EMPTY:.*]] = tensor.empty() : tensor<66x65xf64>
  // CHECK-NEXT: %[[INNER:.*]] = tensor.insert_slice %{{.*}} into %[[EMPTY]][2, 0] [64, 64] [1, 1]
  // CHECK: linalg.fill {{.*}} tensor<2x65xf64>
  // CHECK-NEXT: %[[ABOVE:.*]] = tensor.insert_slice %{{.*}} into %[[INNER]][0, 0] [2, 65] [1, 1]
  // CHECK: linalg.fill {{.*}} tensor<64x1xf64>
  // CHECK-NEXT: %[[RIGHT:.*]] = tensor.insert_slice %{{.*}} into %[[ABOVE]][2, 64] [64, 1] [1, 1]
  // CHECK-NEXT: return %[[RIGHT]]
  %0 = grad.pad %x, %v, low = [2, 0], high = [0, 1], interior = [0, 0] : tensor<64x64xf64>, tensor<f64> -> tensor<66x65xf64>
  return %0 : tensor<66x65xf64>
}

// CHECK-LABEL: func @update_by_a_number_is_a_fill
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<4x3xf64>
func.func @update_by_a_number_is_a_fill(%x: tensor<4x3xf64>) -> tensor<4x3xf64> {
  // CHECK: %[[PART:.*]] = tensor.extract_slice %[[X]][1, 0] [2, 3] [1, 1]
  // CHECK: %[[FILL:.*]] = linalg.fill ins(%{{.*}} : f64) outs(%[[PART]] : tensor<2x3xf64>)
  // CHECK-NEXT: tensor.insert_slice %[[FILL]] into %[[X]][1, 0] [2, 3] [1, 1]
  %0 = grad.constant dense<5.0> : tensor<2x3xf64>
  %1 = grad.update_slice %x, %0, offsets = [1, 0], strides = [1, 1] : tensor<4x3xf64>, tensor<2x3xf64>
  return %1 : tensor<4x3xf64>
}

// CHECK-LABEL: func @concatenate
func.func @concatenate(%x: tensor<2xf64>, %y: tensor<3xf64>, %z: tensor<0xf64>) -> tensor<5xf64> {
  // CHECK: tensor.insert_slice %{{.*}}[0] [2] [1]
  // CHECK-NEXT: tensor.insert_slice %{{.*}}[2] [3] [1]
  // CHECK-NEXT: return
  %0 = grad.concatenate(%x, %z, %y), dimension = 0 : tensor<2xf64>, tensor<0xf64>, tensor<3xf64> -> tensor<5xf64>
  return %0 : tensor<5xf64>
}

// CHECK-LABEL: func @reverse
func.func @reverse(%x: tensor<4xf64>) -> tensor<4xf64> {
  // CHECK: linalg.generic {indexing_maps = [#[[$MIRROR]], #{{.*}}]
  %0 = grad.reverse %x, dimensions = [0] : tensor<4xf64> -> tensor<4xf64>
  return %0 : tensor<4xf64>
}

// CHECK-LABEL: func @gather_clamps_its_indices
func.func @gather_clamps_its_indices(%x: tensor<4x3xf64>, %i: tensor<2x1xi64>) -> tensor<2x3xf64> {
  // CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<2x3xf64>)
  // CHECK: %[[I:.*]] = tensor.extract %{{.*}}[%{{.*}}, %c0{{.*}}] : tensor<2x1xi64>
  // CHECK: %[[LOW:.*]] = arith.maxsi %[[I]]
  // CHECK: arith.minsi %[[LOW]], %c3_i64
  // CHECK: tensor.extract %{{.*}} : tensor<4x3xf64>
  %0 = grad.gather %x, %i : tensor<4x3xf64>, tensor<2x1xi64> -> tensor<2x3xf64>
  return %0 : tensor<2x3xf64>
}

// CHECK-LABEL: func @scatter_is_a_loop_over_the_updates
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<4x3xf64>, %{{.*}}: tensor<2x1xi64>, %[[U:[a-z0-9]+]]: tensor<2x3xf64>
func.func @scatter_is_a_loop_over_the_updates(%x: tensor<4x3xf64>, %i: tensor<2x1xi64>, %u: tensor<2x3xf64>) -> tensor<4x3xf64> {
  // CHECK: scf.for %[[I:[a-z0-9]+]] = {{.*}} iter_args(%{{.*}} = %[[X]])
  // CHECK: scf.for %[[J:[a-z0-9]+]] =
  // CHECK: %[[NEW:.*]] = tensor.extract %[[U]][%[[I]], %[[J]]]
  // CHECK-NOT: arith.addf
  // CHECK: tensor.insert %[[NEW]]
  %0 = grad.scatter %x, %i, %u : tensor<4x3xf64>, tensor<2x1xi64>, tensor<2x3xf64>
  return %0 : tensor<4x3xf64>
}

// CHECK-LABEL: func @scatter_of_nothing
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<4xf64>
func.func @scatter_of_nothing(%x: tensor<4xf64>, %i: tensor<0x1xi64>, %u: tensor<0xf64>) -> tensor<4xf64> {
  // CHECK-NEXT: return %[[X]]
  %0 = grad.scatter %x, %i, %u : tensor<4xf64>, tensor<0x1xi64>, tensor<0xf64>
  return %0 : tensor<4xf64>
}

// CHECK-LABEL: func @scatter_add_is_a_loop_over_the_updates
func.func @scatter_add_is_a_loop_over_the_updates(%x: tensor<4x3xf64>, %i: tensor<2x1xi64>, %u: tensor<2x3xf64>) -> tensor<4x3xf64> {
  // CHECK: scf.for
  // CHECK: scf.for
  // CHECK: %[[SUM:.*]] = arith.addf
  // CHECK: tensor.insert %[[SUM]]
  %0 = grad.scatter_add %x, %i, %u : tensor<4x3xf64>, tensor<2x1xi64>, tensor<2x3xf64>
  return %0 : tensor<4x3xf64>
}

// -----

// A scalar is no tensor to look through to.
// CHECK-LABEL: func @a_generic_of_a_scalar
// CHECK-SAME: %[[S:.*]]: f32
func.func @a_generic_of_a_scalar(%s: f32) -> tensor<f32> {
  // CHECK: %[[X:.*]] = linalg.generic {{.*}} ins(%[[S]] : f32)
  %e = tensor.empty() : tensor<f32>
  %0 = linalg.generic {indexing_maps = [affine_map<() -> ()>, affine_map<() -> ()>], iterator_types = []} ins(%s : f32) outs(%e : tensor<f32>) {
  ^bb0(%a: f32, %b: f32):
    linalg.yield %a : f32
  } -> tensor<f32>
  // CHECK: linalg.generic {{.*}} ins(%[[X]], %[[X]] : tensor<f32>, tensor<f32>)
  %1 = grad.dot_general %0, %0, batch = [] x [], contract = [] x [] : tensor<f32>, tensor<f32> -> tensor<f32>
  return %1 : tensor<f32>
}

// -----

// LLVM's conversion of NaN and of what is out of range is undefined: neither is
// converted.
// CHECK-LABEL: func.func @float_to_narrow_integer
func.func @float_to_narrow_integer(%x: tensor<4xf32>) -> tensor<4xi8> {
  // CHECK: ^bb0(%[[X:.*]]: f32
  // CHECK-DAG: %[[MIN:.*]] = arith.constant -2147483648 : i32
  // CHECK-DAG: %[[LIMIT:.*]] = arith.constant 2.14748365E+9 : f32
  // CHECK-DAG: %[[SIZE:.*]] = math.absf %[[X]]
  // CHECK-DAG: %[[IN_RANGE:.*]] = arith.cmpf olt, %[[SIZE]], %[[LIMIT]] : f32
  // CHECK-DAG: %[[I:.*]] = arith.fptosi %[[X]] : f32 to i32
  // CHECK: %[[SAFE:.*]] = arith.select %[[IN_RANGE]], %[[I]], %[[MIN]] : i32
  // CHECK: arith.trunci %[[SAFE]] : i32 to i8
  %0 = grad.convert %x to i8 : tensor<4xf32>
  return %0 : tensor<4xi8>
}

// -----

// A generic without state: the counter of an element is made of its indices.

// CHECK-DAG: #[[$BATCH:.*]] = affine_map<(d0, d1, d2) -> (d0)>
// CHECK-DAG: #[[$ALL:.*]] = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
// CHECK-LABEL: func @random_bits
// CHECK-SAME: %[[KEYS:.*]]: tensor<4x2xi32>, %[[FIRST:.*]]: tensor<4xi64>
func.func @random_bits(%keys: tensor<4x2xi32>, %first: tensor<4xi64>) -> tensor<4x5x3xi64> {
  // CHECK-DAG: %[[K0:.*]] = tensor.extract_slice %[[KEYS]][0, 0] [4, 1] [1, 1] : tensor<4x2xi32> to tensor<4xi32>
  // CHECK-DAG: %[[K1:.*]] = tensor.extract_slice %[[KEYS]][0, 1] [4, 1] [1, 1] : tensor<4x2xi32> to tensor<4xi32>
  // CHECK: linalg.generic
  // CHECK-SAME: indexing_maps = [#[[$BATCH]], #[[$BATCH]], #[[$BATCH]], #[[$ALL]]]
  // CHECK-SAME: ins(%[[K0]], %[[K1]], %[[FIRST]] :
  // CHECK-NEXT: ^bb0(%[[A:.*]]: i32, %[[B:.*]]: i32, %[[N:.*]]: i64, %{{.*}}: i64):
  // CHECK: linalg.index 1
  // CHECK: arith.muli %{{.*}}, %c3_i64
  // CHECK: linalg.index 2
  // CHECK: %[[COUNTER:.*]] = arith.addi
  // CHECK: arith.shrui %[[COUNTER]], %c32_i64
  // CHECK: %[[MIXED:.*]] = arith.xori %[[A]], %[[B]]
  // CHECK: arith.xori %[[MIXED]], %c466688986_i32
  // CHECK-COUNT-20: arith.shli {{.*}} : i32
  // CHECK-NOT: arith.shli {{.*}} : i32
  // CHECK: arith.shli {{.*}}, %c32_i64{{.*}} : i64
  // CHECK: %[[WORD:.*]] = arith.ori
  // CHECK: arith.shrui %[[WORD]], %c11_i64
  %0 = grad.random_bits %keys, %first, bits = 53, shape = [5, 3], i64 : tensor<4x2xi32>, tensor<4xi64> -> tensor<4x5x3xi64>
  return %0 : tensor<4x5x3xi64>
}

// CHECK-LABEL: func.func @foreign
func.func @foreign(%x: tensor<3xf64>) -> (tensor<3xf64>, tensor<i1>) {
  // CHECK-DAG: %[[A:.*]] = tensor.empty() : tensor<3xf64>
  // CHECK-DAG: %[[B:.*]] = tensor.empty() : tensor<i1>
  // CHECK: grad.custom_call_into "f", target = 1 (%{{.*}}) outs(%[[A]], %[[B]])
  %0:2 = grad.custom_call "f", target = 1, batching = "sequential" (%x) : (tensor<3xf64>) -> (tensor<3xf64>, tensor<i1>)
  return %0#0, %0#1 : tensor<3xf64>, tensor<i1>
}

// -----

// Types lose the sign, the function's too; ops say what they are.

// CHECK-LABEL: func.func @unsigned
// CHECK-SAME: (%[[X:.*]]: tensor<4xi8>, %[[Y:.*]]: tensor<4xi8>) -> (tensor<i8>, tensor<4xi32>, tensor<4xf32>)
func.func @unsigned(%x: tensor<4xui8>, %y: tensor<4xui8>) -> (tensor<ui8>, tensor<4xui32>, tensor<4xf32>) {
  // CHECK: arith.constant dense<[-1, 0, 1, -56]> : tensor<4xi8>
  %c = grad.constant dense<[255, 0, 1, 200]> : tensor<4xui8>
  // CHECK: arith.maxui %{{.*}}, %{{.*}} : i8
  %0 = grad.maximum %x, %c : tensor<4xui8>
  // CHECK: arith.divui %{{.*}}, %{{.*}} : i8
  %1 = grad.floor_divide %0, %y : tensor<4xui8>
  // CHECK: arith.cmpi ult, %{{.*}}, %{{.*}} : i8
  %2 = grad.less %1, %y : tensor<4xui8>
  %3 = grad.select %2, %1, %y : tensor<4xi1>, tensor<4xui8>
  // CHECK: arith.extui %{{.*}} : i8 to i32
  %4 = grad.convert %3 to ui32 : tensor<4xui8>
  // CHECK: arith.uitofp %{{.*}} : i8 to f32
  %5 = grad.convert %3 to f32 : tensor<4xui8>
  // The least of nothing is the largest number.
  // CHECK: arith.constant -1 : i8
  // CHECK: arith.minui %{{.*}}, %{{.*}} : i8
  %6 = grad.reduce_min %3, dimensions = [0] : tensor<4xui8> -> tensor<ui8>
  return %6, %4, %5 : tensor<ui8>, tensor<4xui32>, tensor<4xf32>
}

// -----

// A loop's state, too.

// CHECK-LABEL: func.func @unsigned_state
func.func @unsigned_state(%x: tensor<ui16>) -> tensor<ui16> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  // CHECK: scf.for {{.*}} -> (tensor<i16>)
  %0 = scf.for %i = %c0 to %c9 step %c1 iter_args(%s = %x) -> (tensor<ui16>) {
    // CHECK: arith.shrui %{{.*}}, %{{.*}} : i16
    %1 = grad.right_shift %s, %x : tensor<ui16>
    scf.yield %1 : tensor<ui16>
  }
  return %0 : tensor<ui16>
}

// -----

// Foreign code is told.

// CHECK-LABEL: func.func @unsigned_foreign
func.func @unsigned_foreign(%x: tensor<4xui8>, %y: tensor<4xi8>) -> tensor<ui16> {
  // CHECK: grad.custom_call_into "f", target = 0
  // CHECK-SAME: {are_unsigned = array<i1: true, false, true>}
  // CHECK-SAME: (tensor<4xi8>, tensor<4xi8>, tensor<i16>) -> tensor<i16>
  %0 = grad.custom_call "f", target = 0, batching = "sequential" (%x, %y) : (tensor<4xui8>, tensor<4xi8>) -> tensor<ui16>
  return %0 : tensor<ui16>
}

// -----

// Functions of complex numbers are expressions in their parts.

// CHECK-LABEL: func.func @complex
func.func @complex(%x: tensor<4xcomplex<f64>>) -> tensor<4xcomplex<f64>> {
  // CHECK: ^bb0(%[[Z:[^:]+]]: complex<f64>
  // CHECK-DAG: %[[RE:.*]] = complex.re %[[Z]]
  // CHECK-DAG: %[[IM:.*]] = complex.im %[[Z]]
  // CHECK-DAG: math.exp
  // CHECK-DAG: math.cos %[[IM]]
  // CHECK-DAG: math.sin %[[IM]]
  // CHECK: complex.create
  %0 = grad.exp %x : tensor<4xcomplex<f64>>
  return %0 : tensor<4xcomplex<f64>>
}

// -----

// A sum is one of real parts and one of imaginary parts, which become vectors.

// CHECK-LABEL: func.func @complex_sum
func.func @complex_sum(%x: tensor<4xcomplex<f64>>) -> tensor<complex<f64>> {
  // CHECK: linalg.generic
  // CHECK: ^bb0(%[[Z:[^:]+]]: complex<f64>, %[[A:.*]]: f64, %[[B:.*]]: f64):
  // CHECK-DAG: %[[RE:.*]] = complex.re %[[Z]]
  // CHECK-DAG: %[[IM:.*]] = complex.im %[[Z]]
  // CHECK-DAG: %[[U:.*]] = arith.addf %[[A]], %[[RE]] fastmath<reassoc>
  // CHECK-DAG: %[[V:.*]] = arith.addf %[[B]], %[[IM]] fastmath<reassoc>
  // CHECK: linalg.yield %[[U]], %[[V]]
  // CHECK: complex.create
  %0 = grad.reduce_sum %x, dimensions = [0] : tensor<4xcomplex<f64>> -> tensor<complex<f64>>
  return %0 : tensor<complex<f64>>
}
