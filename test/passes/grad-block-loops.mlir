// RUN: gradopt %s -grad-block-loops -split-input-file | FileCheck %s

#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>
#j = affine_map<(i, j) -> (j)>

// CHECK-LABEL: func @rows_are_normalised_block_by_block
// CHECK-SAME: %[[X:.*]]: memref<1000x1000xf64>, %[[Y:.*]]: memref<1000x1000xf64>
func.func @rows_are_normalised_block_by_block(%x: memref<1000x1000xf64>, %y: memref<1000x1000xf64>) {
  // CHECK-NOT: memref.alloc
  // CHECK: scf.for %[[I:[a-z0-9]+]] = %c0{{.*}} to %c1000{{.*}} step %c8
  // CHECK-NEXT: %[[SUM:.*]] = memref.alloc() : memref<8xf64>
  // CHECK-NEXT: linalg.fill ins(%{{.*}}) outs(%[[SUM]]
  // CHECK-NEXT: %[[XI:.*]] = memref.subview %[[X]][%[[I]], 0] [8, 1000] [1, 1]
  // CHECK-NEXT: linalg.generic {{.*}} ins(%[[XI]] : {{.*}}) outs(%[[SUM]] :
  // CHECK: %[[YI:.*]] = memref.subview %[[Y]][%[[I]], 0] [8, 1000] [1, 1]
  // CHECK-NEXT: linalg.generic {{.*}} ins(%[[XI]], %[[SUM]] : {{.*}}) outs(%[[YI]] :
  // CHECK: }
  // CHECK: }
  // CHECK-NEXT: return
  %zero = arith.constant 0.0 : f64
  %sum = memref.alloc() : memref<1000xf64>
  linalg.fill ins(%zero : f64) outs(%sum : memref<1000xf64>)
  linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<1000x1000xf64>) outs(%sum : memref<1000xf64>) {
  ^bb0(%in: f64, %out: f64):
    %0 = arith.addf %out, %in : f64
    linalg.yield %0 : f64
  }
  linalg.generic {indexing_maps = [#ij, #i, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x, %sum : memref<1000x1000xf64>, memref<1000xf64>) outs(%y : memref<1000x1000xf64>) {
  ^bb0(%in: f64, %s: f64, %out: f64):
    %0 = arith.divf %in, %s : f64
    linalg.yield %0 : f64
  }
  return
}

// What the loop reduces is complete only behind it: no block may read it.
// CHECK-LABEL: func @a_reduction_of_the_loop_ends_the_group
func.func @a_reduction_of_the_loop_ends_the_group(%x: memref<1000x1000xf64>, %y: memref<1000x1000xf64>, %sum: memref<1000xf64>) {
  // CHECK-NOT: scf.for
  linalg.generic {indexing_maps = [#ij, #j], iterator_types = ["reduction", "parallel"]}
      ins(%x : memref<1000x1000xf64>) outs(%sum : memref<1000xf64>) {
  ^bb0(%in: f64, %out: f64):
    %0 = arith.addf %out, %in : f64
    linalg.yield %0 : f64
  }
  linalg.generic {indexing_maps = [#ij, #j, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x, %sum : memref<1000x1000xf64>, memref<1000xf64>) outs(%y : memref<1000x1000xf64>) {
  ^bb0(%in: f64, %s: f64, %out: f64):
    %0 = arith.divf %in, %s : f64
    linalg.yield %0 : f64
  }
  return
}

// CHECK-LABEL: func @data_that_fit_the_cache_stay
func.func @data_that_fit_the_cache_stay(%x: memref<10x10xf64>, %y: memref<10x10xf64>, %z: memref<10x10xf64>) {
  // CHECK-NOT: scf.for
  linalg.copy ins(%x : memref<10x10xf64>) outs(%y : memref<10x10xf64>)
  linalg.copy ins(%y : memref<10x10xf64>) outs(%z : memref<10x10xf64>)
  return
}

// -----

#id = affine_map<(i) -> (i)>
#none = affine_map<(i) -> ()>
#mirror = affine_map<(i) -> (99999 - i)>

// An op that has no part in the loop runs before or behind it; a size without
// a good divisor leaves a rest.
// CHECK-LABEL: func @ops_between_move_away
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<100003xf64>, %[[Y:[a-z0-9]+]]: memref<100003xf64>, %[[S:[a-z0-9]+]]: memref<f64>, %[[A:[a-z0-9]+]]: memref<f64>, %[[B:[a-z0-9]+]]: memref<f64>
func.func @ops_between_move_away(%x: memref<100003xf64>, %y: memref<100003xf64>, %s: memref<f64>, %a: memref<f64>, %b: memref<f64>) {
  // CHECK: memref.copy %[[A]], %[[B]]
  // CHECK: scf.for
  // CHECK: linalg.generic {{.*}} outs(%[[S]] :
  // CHECK: linalg.exp
  // CHECK: }
  // CHECK: %[[REST:.*]] = memref.subview %[[X]]
  // CHECK: linalg.generic {{.*}} ins(%[[REST]] : {{.*}}) outs(%[[S]] :
  // CHECK: linalg.exp ins(%[[REST]]
  // CHECK: memref.copy %[[S]], %[[A]]
  linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]}
      ins(%x : memref<100003xf64>) outs(%s : memref<f64>) {
  ^bb0(%in: f64, %out: f64):
    %0 = arith.addf %out, %in : f64
    linalg.yield %0 : f64
  }
  memref.copy %a, %b : memref<f64> to memref<f64>
  memref.copy %s, %a : memref<f64> to memref<f64>
  linalg.exp ins(%x : memref<100003xf64>) outs(%y : memref<100003xf64>)
  return
}

// CHECK-LABEL: func @blocks_need_matching_positions
func.func @blocks_need_matching_positions(%x: memref<100000xf64>, %y: memref<100000xf64>, %z: memref<100000xf64>) {
  // CHECK-NOT: scf.for
  linalg.exp ins(%x : memref<100000xf64>) outs(%y : memref<100000xf64>)
  linalg.generic {indexing_maps = [#mirror, #id], iterator_types = ["parallel"]}
      ins(%y : memref<100000xf64>) outs(%z : memref<100000xf64>) {
  ^bb0(%in: f64, %out: f64):
    linalg.yield %in : f64
  }
  return
}

// -----

// CHECK-LABEL: func @matrix_products_stay_whole
func.func @matrix_products_stay_whole(%a: memref<256x256xf64>, %b: memref<256x256xf64>, %c: memref<256x256xf64>, %d: memref<256x256xf64>) {
  // CHECK-NOT: scf.for
  linalg.matmul ins(%a, %b : memref<256x256xf64>, memref<256x256xf64>) outs(%c : memref<256x256xf64>)
  linalg.exp ins(%c : memref<256x256xf64>) outs(%d : memref<256x256xf64>)
  return
}

// -----

#ij = affine_map<(i, j) -> (i, j)>

// What a value selects is no buffer of its own: the loops stay apart.
// CHECK-LABEL: func @a_choice_of_buffers
func.func @a_choice_of_buffers(%c: i1, %x: memref<1000x1000xf64>, %y: memref<1000x1000xf64>) {
  // CHECK-NOT: scf.for
  %s = arith.select %c, %x, %y : memref<1000x1000xf64>
  linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]} ins(%x : memref<1000x1000xf64>) outs(%y : memref<1000x1000xf64>) {
  ^bb0(%a: f64, %b: f64):
    linalg.yield %a : f64
  }
  linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]} ins(%y : memref<1000x1000xf64>) outs(%s : memref<1000x1000xf64>) {
  ^bb0(%a: f64, %b: f64):
    linalg.yield %a : f64
  }
  // CHECK: return
  return
}

// -----

#id = affine_map<(i) -> (i)>

// CHECK-LABEL: func @indices_have_a_size
func.func @indices_have_a_size(%x: memref<100000xindex>, %y: memref<100000xindex>, %z: memref<100000xindex>) {
  // CHECK: scf.for
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : memref<100000xindex>) outs(%y : memref<100000xindex>) {
  ^bb0(%a: index, %b: index):
    linalg.yield %a : index
  }
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%y : memref<100000xindex>) outs(%z : memref<100000xindex>) {
  ^bb0(%a: index, %b: index):
    linalg.yield %a : index
  }
  return
}

// -----

#ij = affine_map<(i, j) -> (i, j)>
#ji = affine_map<(i, j) -> (j, i)>

memref.global "private" @g : memref<512x512xf64> = uninitialized

// Two handles on one global are one buffer: a block may not read columns of
// rows that come later.
// CHECK-LABEL: func @globals_are_compared_by_name
func.func @globals_are_compared_by_name(%x: memref<512x512xf64>, %o: memref<512x512xf64>) {
  // CHECK-NOT: scf.for
  %g1 = memref.get_global @g : memref<512x512xf64>
  %g2 = memref.get_global @g : memref<512x512xf64>
  linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x : memref<512x512xf64>) outs(%g1 : memref<512x512xf64>) {
  ^bb0(%in: f64, %out: f64):
    %0 = arith.addf %in, %in : f64
    linalg.yield %0 : f64
  }
  linalg.generic {indexing_maps = [#ji, #ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%g2, %x : memref<512x512xf64>, memref<512x512xf64>) outs(%o : memref<512x512xf64>) {
  ^bb0(%a: f64, %b: f64, %out: f64):
    %0 = arith.addf %a, %b : f64
    linalg.yield %0 : f64
  }
  return
}

// Whoever calls a private function may pass one buffer twice.
// CHECK-LABEL: func private @arguments_may_be_equal
func.func private @arguments_may_be_equal(%x: memref<512x512xf64>, %y: memref<512x512xf64>, %o: memref<512x512xf64>) {
  // CHECK-NOT: scf.for
  linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x : memref<512x512xf64>) outs(%y : memref<512x512xf64>) {
  ^bb0(%in: f64, %out: f64):
    %0 = arith.addf %in, %in : f64
    linalg.yield %0 : f64
  }
  linalg.generic {indexing_maps = [#ij, #ji, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%y, %x : memref<512x512xf64>, memref<512x512xf64>) outs(%o : memref<512x512xf64>) {
  ^bb0(%a: f64, %b: f64, %out: f64):
    %0 = arith.addf %a, %b : f64
    linalg.yield %0 : f64
  }
  return
}

// Blocks of an aligned buffer are aligned.
// CHECK-LABEL: func @blocks_keep_the_alignment
func.func @blocks_keep_the_alignment(%x: memref<512x512xf64>, %o: memref<512x512xf64>) {
  // CHECK: scf.for
  // CHECK: memref.alloc() {alignment = 32 : i64} : memref<{{[0-9]+}}x512xf64>
  %y = memref.alloc() {alignment = 32 : i64} : memref<512x512xf64>
  linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x : memref<512x512xf64>) outs(%y : memref<512x512xf64>) {
  ^bb0(%in: f64, %out: f64):
    %0 = arith.addf %in, %in : f64
    linalg.yield %0 : f64
  }
  linalg.generic {indexing_maps = [#ij, #ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%y, %x : memref<512x512xf64>, memref<512x512xf64>) outs(%o : memref<512x512xf64>) {
  ^bb0(%a: f64, %b: f64, %out: f64):
    %0 = arith.addf %a, %b : f64
    linalg.yield %0 : f64
  }
  return
}
