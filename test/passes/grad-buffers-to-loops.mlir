// RUN: gradopt %s -grad-buffers-to-loops -split-input-file | FileCheck %s

#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>
#j = affine_map<(i, j) -> (j)>

// CHECK-LABEL: func @loops_that_walk_together_become_one
func.func @loops_that_walk_together_become_one(%x: memref<4x3xf64>, %y: memref<4x3xf64>) {
  // CHECK: scf.for %[[I:.*]] = %c0{{.*}} to %c12
  // CHECK-NOT: scf.for
  // CHECK: %[[V:.*]] = memref.load %{{.*}}[%[[I]]]
  // CHECK: %[[S:.*]] = arith.mulf %[[V]], %[[V]]
  // CHECK: memref.store %[[S]], %{{.*}}[%[[I]]]
  linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x : memref<4x3xf64>) outs(%y : memref<4x3xf64>) {
  ^bb0(%in: f64, %out: f64):
    %0 = arith.mulf %in, %in : f64
    linalg.yield %0 : f64
  }
  return
}

// CHECK-LABEL: func @the_innermost_reduction_is_carried_in_a_register
// CHECK-SAME: %[[X:.*]]: memref<4x3xf64>, %[[Y:.*]]: memref<4xf64>
func.func @the_innermost_reduction_is_carried_in_a_register(%x: memref<4x3xf64>, %y: memref<4xf64>) {
  // CHECK: scf.for %[[I:[a-z0-9]+]] =
  // CHECK: %[[OLD:.*]] = memref.load %[[Y]][%[[I]]]
  // CHECK: %[[NEW:.*]] = scf.for %[[J:[a-z0-9]+]] = {{.*}} iter_args(%[[ACC:.*]] = %[[OLD]])
  // CHECK: %[[V:.*]] = memref.load %[[X]][%[[I]], %[[J]]]
  // CHECK: %[[SUM:.*]] = arith.addf %[[ACC]], %[[V]]
  // CHECK: scf.yield %[[SUM]]
  // CHECK: memref.store %[[NEW]], %[[Y]][%[[I]]]
  linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<4x3xf64>) outs(%y : memref<4xf64>) {
  ^bb0(%in: f64, %out: f64):
    %0 = arith.addf %out, %in fastmath<reassoc> : f64
    linalg.yield %0 : f64
  }
  return
}

// CHECK-LABEL: func @an_outer_reduction_stays_in_memory
func.func @an_outer_reduction_stays_in_memory(%x: memref<4x3xf64>, %y: memref<3xf64>) {
  // CHECK: scf.for
  // CHECK: scf.for %[[J:[a-z0-9]+]] = {{[^(]*}}{
  // CHECK: memref.load %{{.*}}[%[[J]]] : memref<3xf64>
  // CHECK: memref.store %{{.*}}[%[[J]]] : memref<3xf64>
  linalg.generic {indexing_maps = [#ij, #j], iterator_types = ["reduction", "parallel"]}
      ins(%x : memref<4x3xf64>) outs(%y : memref<3xf64>) {
  ^bb0(%in: f64, %out: f64):
    %0 = arith.addf %out, %in fastmath<reassoc> : f64
    linalg.yield %0 : f64
  }
  return
}

// -----

#id = affine_map<(i) -> (i)>
#none = affine_map<(i) -> ()>

// CHECK-LABEL: func @a_long_sum_is_added_up_in_blocks
func.func @a_long_sum_is_added_up_in_blocks(%x: memref<100000xf32>, %y: memref<f32>) {
  // CHECK: %[[TOTAL:.*]] = scf.for %[[BEGIN:[a-z0-9]+]] = %c0{{.*}} to %c100000{{.*}} step %c4096{{.*}} iter_args(%[[SUM:.*]] = %{{.*}})
  // CHECK: %[[NEXT:.*]] = arith.addi %[[BEGIN]], %c4096
  // CHECK: %[[END:.*]] = arith.minsi %[[NEXT]], %c100000
  // CHECK: %[[ZERO:.*]] = arith.constant 0.0
  // CHECK: %[[PART:.*]] = scf.for %{{.*}} = %[[BEGIN]] to %[[END]] {{.*}} iter_args(%{{.*}} = %[[ZERO]])
  // CHECK: arith.addf %[[SUM]], %[[PART]] : f32
  // CHECK: memref.store %[[TOTAL]]
  linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]}
      ins(%x : memref<100000xf32>) outs(%y : memref<f32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.addf %out, %in fastmath<reassoc> : f32
    linalg.yield %0 : f32
  }
  return
}

// CHECK-LABEL: func @a_long_maximum_needs_no_blocks
func.func @a_long_maximum_needs_no_blocks(%x: memref<100000xf32>, %y: memref<f32>) {
  // CHECK: scf.for
  // CHECK-NOT: scf.for
  // CHECK: arith.maximumf
  linalg.generic {indexing_maps = [#id, #none], iterator_types = ["reduction"]}
      ins(%x : memref<100000xf32>) outs(%y : memref<f32>) {
  ^bb0(%in: f32, %out: f32):
    %0 = arith.maximumf %out, %in : f32
    linalg.yield %0 : f32
  }
  return
}

// -----

#mirror = affine_map<(i) -> (3 - i)>
#id = affine_map<(i) -> (i)>

// CHECK: #[[$MIRROR:.*]] = affine_map<(d0) -> (-d0 + 3)>
// CHECK-LABEL: func @maps_and_indices
func.func @maps_and_indices(%x: memref<4xindex>, %y: memref<4xindex>) {
  // CHECK: scf.for %[[I:.*]] = %c0
  // CHECK: %[[M:.*]] = affine.apply #[[$MIRROR]](%[[I]])
  // CHECK: %[[V:.*]] = memref.load %{{.*}}[%[[M]]]
  // CHECK: arith.addi %[[V]], %[[I]]
  linalg.generic {indexing_maps = [#mirror, #id], iterator_types = ["parallel"]}
      ins(%x : memref<4xindex>) outs(%y : memref<4xindex>) {
  ^bb0(%in: index, %out: index):
    %0 = linalg.index 0 : index
    %1 = arith.addi %in, %0 : index
    linalg.yield %1 : index
  }
  return
}

// CHECK-LABEL: func @copy_with_a_stride_of_one_element_is_a_loop
func.func @copy_with_a_stride_of_one_element_is_a_loop(%x: memref<3x1xf64>, %y: memref<3x1xf64, strided<[1, 5]>>) {
  // CHECK-NOT: memref.copy
  // CHECK: scf.for
  memref.copy %x, %y : memref<3x1xf64> to memref<3x1xf64, strided<[1, 5]>>
  return
}

// CHECK-LABEL: func @only_a_strided_copy_is_a_loop
func.func @only_a_strided_copy_is_a_loop(%x: memref<4xf64>, %y: memref<4xf64>, %z: memref<8xf64>) {
  // CHECK: memref.copy
  // CHECK: scf.for
  // CHECK-NOT: memref.copy
  %0 = memref.subview %z[0] [4] [2] : memref<8xf64> to memref<4xf64, strided<[2]>>
  memref.copy %x, %y : memref<4xf64> to memref<4xf64>
  memref.copy %x, %0 : memref<4xf64> to memref<4xf64, strided<[2]>>
  return
}

// CHECK-LABEL: func @nothing_to_do_without_elements
func.func @nothing_to_do_without_elements(%x: memref<3x0xf64>, %y: memref<3x0xf64>) {
  // CHECK-NEXT: return
  memref.copy %x, %y : memref<3x0xf64> to memref<3x0xf64>
  return
}

// -----

// CHECK-LABEL: func @unranked_copies_stay
func.func @unranked_copies_stay(%x: memref<*xf64>, %y: memref<*xf64>) {
  // CHECK: memref.copy
  memref.copy %x, %y : memref<*xf64> to memref<*xf64>
  return
}

// -----

// The input need not mention linalg.
// CHECK-LABEL: func @strided_copies_become_loops
func.func @strided_copies_become_loops(%x: memref<4xf64>, %y: memref<4xf64, strided<[2]>>) {
  // CHECK: scf.for
  // CHECK-NOT: memref.copy
  memref.copy %x, %y : memref<4xf64> to memref<4xf64, strided<[2]>>
  return
}

// -----

// Eight products, then three, are added to a result at once; results come in
// blocks.
// CHECK-LABEL: func @correlation
// CHECK-SAME: %[[X:.*]]: memref<2010xf64>, %[[W:.*]]: memref<11xf64>, %[[Y:.*]]: memref<2000xf64>
// CHECK: %[[BLOCK:.*]] = arith.constant 1024 : index
// CHECK: scf.for %{{.*}} to %{{.*}} step %[[BLOCK]]
// CHECK: arith.constant 8 : index
// CHECK: scf.for
// CHECK: scf.for
// CHECK-COUNT-8: arith.mulf
// CHECK-NOT: arith.mulf
// CHECK: memref.load %[[Y]]
// CHECK: memref.store %{{.*}}, %[[Y]]
// CHECK: scf.for
// CHECK-COUNT-3: arith.mulf
// CHECK-NOT: arith.mulf
// CHECK: memref.store %{{.*}}, %[[Y]]
func.func @correlation(%x: memref<2010xf64>, %w: memref<11xf64>, %y: memref<2000xf64>) {
  linalg.generic {
    indexing_maps = [affine_map<(d0, d1) -> (d0 + d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d1)>],
    iterator_types = ["reduction", "parallel"]
  } ins(%x, %w : memref<2010xf64>, memref<11xf64>) outs(%y : memref<2000xf64>) {
  ^bb0(%a: f64, %b: f64, %sum: f64):
    %p = arith.mulf %a, %b fastmath<contract> : f64
    %s = arith.addf %sum, %p fastmath<reassoc,contract> : f64
    linalg.yield %s : f64
  }
  return
}

// What the sum is read from and written to does not move with the last loop,
// whose counter is not there any more when it is written.
// CHECK-LABEL: func @sum_at_a_computed_place
// CHECK-SAME: %[[X:.*]]: memref<2x3x4xf64>, %[[Y:.*]]: memref<4xf64>
// CHECK: scf.for %[[I:.*]] = %
// CHECK: scf.for %[[J:.*]] = %
// CHECK: %[[AT:.*]] = affine.apply {{.*}}(%[[I]], %[[J]]
// CHECK: memref.load %[[Y]][%[[AT]]]
// CHECK: scf.for
// CHECK: %[[AT:.*]] = affine.apply {{.*}}(%[[I]], %[[J]], %{{c0.*}})
// CHECK: memref.store %{{.*}}, %[[Y]][%[[AT]]]
func.func @sum_at_a_computed_place(%x: memref<2x3x4xf64>, %y: memref<4xf64>) {
  linalg.generic {
    indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0 + d1)>],
    iterator_types = ["reduction", "reduction", "reduction"]
  } ins(%x : memref<2x3x4xf64>) outs(%y : memref<4xf64>) {
  ^bb0(%a: f64, %sum: f64):
    %s = arith.addf %sum, %a : f64
    linalg.yield %s : f64
  }
  return
}

// -----

// Products that a choice leaves out: one loop walks along the results for which some of the four exist, and one, which
// chooses nothing, along those for which all do.
// CHECK-LABEL: func @correlation_from_a_bound
// CHECK-SAME: %{{.*}}: memref<78xf64>, %{{.*}}: memref<4xf64>, %[[Y:.*]]: memref<75xf64>
// CHECK: %[[LOW:.*]] = arith.subi %[[BOUND:.*]], %{{.*}} : index
// CHECK: %[[HIGH:.*]] = arith.subi %[[BOUND]], %[[FIRST:.*]] : index
// CHECK: %[[FROM:.*]] = arith.maxsi %[[BEGIN:.*]], %[[LOW]]
// CHECK: %[[TO:.*]] = arith.minsi %[[END:.*]], %[[HIGH]]
// CHECK: scf.for %{{.*}} = %[[FROM]] to %[[TO]]
// CHECK-COUNT-4: arith.select
// CHECK: memref.store %{{.*}}, %[[Y]]
// CHECK: %[[ALL:.*]] = arith.maxsi %[[BEGIN]], %[[HIGH]]
// CHECK: scf.for %{{.*}} = %[[ALL]] to %[[END]]
// CHECK-NOT: arith.select
// CHECK-COUNT-4: arith.mulf
// CHECK: memref.store %{{.*}}, %[[Y]]
func.func @correlation_from_a_bound(%x: memref<78xf64>, %w: memref<4xf64>, %y: memref<75xf64>) {
  %zero = arith.constant 0.0 : f64
  %bound = arith.constant 39 : index
  linalg.generic {
    indexing_maps = [affine_map<(d0, d1) -> (d0 + d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d1)>],
    iterator_types = ["reduction", "parallel"]
  } ins(%x, %w : memref<78xf64>, memref<4xf64>) outs(%y : memref<75xf64>) {
  ^bb0(%a: f64, %b: f64, %sum: f64):
    %k = linalg.index 1 : index
    %j = linalg.index 0 : index
    %place = arith.addi %k, %j : index
    %exists = arith.cmpi sge, %place, %bound : index
    %p = arith.mulf %a, %b fastmath<contract> : f64
    %chosen = arith.select %exists, %p, %zero : f64
    %s = arith.addf %sum, %chosen fastmath<reassoc,contract> : f64
    linalg.yield %s : f64
  }
  return
}

// -----

// CHECK-LABEL: func @correlation_up_to_a_bound
// CHECK-SAME: %{{.*}}: memref<78xf64>, %{{.*}}: memref<4xf64>, %[[Y:.*]]: memref<75xf64>
// CHECK: %[[LOW:.*]] = arith.subi %[[BOUND:.*]], %{{.*}} : index
// CHECK: %[[HIGH:.*]] = arith.subi %[[BOUND]], %[[FIRST:.*]] : index
// CHECK: %[[FROM:.*]] = arith.maxsi %[[BEGIN:.*]], %[[LOW]]
// CHECK: %[[TO:.*]] = arith.minsi %[[END:.*]], %[[HIGH]]
// CHECK: scf.for %{{.*}} = %[[FROM]] to %[[TO]]
// CHECK-COUNT-4: arith.select
// CHECK: memref.store %{{.*}}, %[[Y]]
// CHECK: %[[ALL:.*]] = arith.minsi %[[END]], %[[LOW]]
// CHECK: scf.for %{{.*}} = %[[BEGIN]] to %[[ALL]]
// CHECK-NOT: arith.select
// CHECK-COUNT-4: arith.mulf
// CHECK: memref.store %{{.*}}, %[[Y]]
func.func @correlation_up_to_a_bound(%x: memref<78xf64>, %w: memref<4xf64>, %y: memref<75xf64>) {
  %zero = arith.constant 0.0 : f64
  %bound = arith.constant 39 : index
  linalg.generic {
    indexing_maps = [affine_map<(d0, d1) -> (d0 + d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d1)>],
    iterator_types = ["reduction", "parallel"]
  } ins(%x, %w : memref<78xf64>, memref<4xf64>) outs(%y : memref<75xf64>) {
  ^bb0(%a: f64, %b: f64, %sum: f64):
    %k = linalg.index 1 : index
    %j = linalg.index 0 : index
    %place = arith.addi %k, %j : index
    %exists = arith.cmpi slt, %place, %bound : index
    %p = arith.mulf %a, %b fastmath<contract> : f64
    %chosen = arith.select %exists, %p, %zero : f64
    %s = arith.addf %sum, %chosen fastmath<reassoc,contract> : f64
    linalg.yield %s : f64
  }
  return
}

// -----

// A sum starts from what a fill before it writes.
// CHECK-LABEL: func @sums_of_rows
// CHECK-SAME: %{{.*}}: memref<4x9xf64>, %[[Z:.*]]: memref<6xf64>, %[[Y:.*]]: memref<4xf64>
// CHECK: %[[START:.*]] = arith.constant 2.0
// CHECK: memref.store %[[START]], %[[Z]]
// CHECK: scf.for %[[I:[a-z0-9]+]] =
// CHECK: %[[SUM:.*]] = scf.for {{.*}} iter_args(%{{.*}} = %[[START]])
// CHECK: memref.store %[[SUM]], %[[Y]][%[[I]]]
// CHECK-NOT: scf.for
// CHECK: return
func.func @sums_of_rows(%x: memref<4x9xf64>, %z: memref<6xf64>, %y: memref<4xf64>) {
  %two = arith.constant 2.0 : f64
  linalg.fill ins(%two : f64) outs(%y : memref<4xf64>)
  linalg.fill ins(%two : f64) outs(%z : memref<6xf64>)
  linalg.generic {
    indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>],
    iterator_types = ["parallel", "reduction"]
  } ins(%x : memref<4x9xf64>) outs(%y : memref<4xf64>) {
  ^bb0(%a: f64, %sum: f64):
    %s = arith.addf %sum, %a fastmath<reassoc> : f64
    linalg.yield %s : f64
  }
  return
}

// -----

// But for what reads these values from memory, too: an operand that may share
// it, an op in between, the other elements, or the next run of the loop.
// CHECK-LABEL: func @filled_memory
// CHECK-COUNT-4: memref.load %{{.*}} : memref<4xf64>
// CHECK-NOT: memref.load %{{.*}} : memref<4xf64>
// CHECK: return
func.func @filled_memory(%x: memref<4x9xf64>, %other: memref<4x9xf64>, %buffer: memref<36xf64>) {
  %zero = arith.constant 0.0 : f64
  %y = memref.subview %buffer[0] [4] [1] : memref<36xf64> to memref<4xf64>
  %all = memref.expand_shape %buffer [[0, 1]] output_shape [4, 9] : memref<36xf64> into memref<4x9xf64>
  linalg.fill ins(%zero : f64) outs(%y : memref<4xf64>)
  linalg.generic {
    indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>],
    iterator_types = ["parallel", "reduction"]
  } ins(%all : memref<4x9xf64>) outs(%y : memref<4xf64>) {
  ^bb0(%a: f64, %sum: f64):
    %s = arith.addf %sum, %a fastmath<reassoc> : f64
    linalg.yield %s : f64
  }

  linalg.fill ins(%zero : f64) outs(%y : memref<4xf64>)
  memref.copy %all, %other : memref<4x9xf64> to memref<4x9xf64>
  linalg.generic {
    indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>],
    iterator_types = ["parallel", "reduction"]
  } ins(%x : memref<4x9xf64>) outs(%y : memref<4xf64>) {
  ^bb0(%a: f64, %sum: f64):
    %s = arith.addf %sum, %a fastmath<reassoc> : f64
    linalg.yield %s : f64
  }

  %first = memref.subview %buffer[0] [2] [1] : memref<36xf64> to memref<2xf64>
  linalg.fill ins(%zero : f64) outs(%first : memref<2xf64>)
  linalg.generic {
    indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>],
    iterator_types = ["parallel", "reduction"]
  } ins(%x : memref<4x9xf64>) outs(%y : memref<4xf64>) {
  ^bb0(%a: f64, %sum: f64):
    %s = arith.addf %sum, %a fastmath<reassoc> : f64
    linalg.yield %s : f64
  }

  linalg.fill ins(%zero : f64) outs(%y : memref<4xf64>)
  linalg.generic {
    indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d1)>],
    iterator_types = ["reduction", "parallel", "reduction"]
  } ins(%x : memref<4x9xf64>) outs(%y : memref<4xf64>) {
  ^bb0(%a: f64, %sum: f64):
    %s = arith.addf %sum, %a fastmath<reassoc> : f64
    linalg.yield %s : f64
  }
  return
}

// -----

// LLVM is told of loops of a few vectors; not of longer ones, of those that are
// shorter than two vectors, and of elements that have no masks.
// CHECK-LABEL: func @loops_of_few_vectors
#ij = affine_map<(i, j) -> (i, j)>
func.func @loops_of_few_vectors(%x: memref<4x25xf64>, %y: memref<4x23xf64>, %z: memref<4x7xf64>, %w: memref<32xf64>, %b: memref<23xf64>, %c: memref<23xi8>, %cst: f64) {
  // CHECK: scf.for
  // CHECK: scf.for %{{.*}} = %c0{{.*}} to %c23
  // CHECK: memref.load
  // CHECK: } {llvm.loop_annotation = #[[SHORT:.*]]}
  %0 = memref.subview %x[0, 1] [4, 23] [1, 1] : memref<4x25xf64> to memref<4x23xf64, strided<[25, 1], offset: 1>>
  linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%0 : memref<4x23xf64, strided<[25, 1], offset: 1>>) outs(%y : memref<4x23xf64>) {
  ^bb0(%in: f64, %out: f64):
    %1 = arith.mulf %in, %in : f64
    linalg.yield %1 : f64
  }
  // CHECK: scf.for %{{.*}} = %c0{{.*}} to %c7
  // CHECK-NOT: loop_annotation
  %2 = memref.subview %x[0, 1] [4, 7] [1, 1] : memref<4x25xf64> to memref<4x7xf64, strided<[25, 1], offset: 1>>
  linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%2 : memref<4x7xf64, strided<[25, 1], offset: 1>>) outs(%z : memref<4x7xf64>) {
  ^bb0(%in: f64, %out: f64):
    %3 = arith.mulf %in, %in : f64
    linalg.yield %3 : f64
  }
  // CHECK: scf.for %{{.*}} = %c0{{.*}} to %c32
  // CHECK-NOT: loop_annotation
  linalg.fill ins(%cst : f64) outs(%w : memref<32xf64>)
  // CHECK: scf.for %{{.*}} = %c0{{.*}} to %c23
  // CHECK-NOT: loop_annotation
  // CHECK: return
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      ins(%b : memref<23xf64>) outs(%c : memref<23xi8>) {
  ^bb0(%in: f64, %out: i8):
    %4 = arith.fptosi %in : f64 to i8
    linalg.yield %4 : i8
  }
  return
}
