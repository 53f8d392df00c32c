// RUN: gradopt %s --split-input-file --grad-bufferize | FileCheck %s

// A chain of updates is one buffer.
// CHECK-LABEL: func.func @chain
// CHECK-SAME: %[[X:[^:]+]]: memref<2xf64>, %[[R:[^:]+]]: memref<6xf64>
// CHECK-NOT: memref.alloc
// CHECK: linalg.fill ins(%{{.*}}) outs(%[[R]]
// CHECK: memref.copy %[[X]]
// CHECK: memref.copy
// CHECK: linalg.exp
// CHECK-NOT: memref.alloc
// CHECK: return
func.func @chain(%x: tensor<2xf64> {bufferization.writable = false}, %out: memref<6xf64>) {
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<6xf64>
  %0 = linalg.fill ins(%zero : f64) outs(%e : tensor<6xf64>) -> tensor<6xf64>
  %1 = tensor.insert_slice %x into %0[0] [2] [1] : tensor<2xf64> into tensor<6xf64>
  %2 = tensor.insert_slice %x into %1[1] [2] [1] : tensor<2xf64> into tensor<6xf64>
  %s = tensor.extract_slice %2[2] [2] [1] : tensor<6xf64> to tensor<2xf64>
  %u = tensor.empty() : tensor<2xf64>
  %v = linalg.exp ins(%s : tensor<2xf64>) outs(%u : tensor<2xf64>) -> tensor<2xf64>
  %3 = tensor.insert_slice %v into %2[4] [2] [1] : tensor<2xf64> into tensor<6xf64>
  bufferization.materialize_in_destination %3 in restrict writable %out : (tensor<6xf64>, memref<6xf64>) -> ()
  return
}

// -----

// What is read later stays as it is; the last update takes the buffer.
// CHECK-LABEL: func.func private @branches
// CHECK: %[[A:.*]] = memref.alloc() {{.*}}: memref<4xf64>
// CHECK: linalg.fill {{.*}} outs(%[[A]]
// CHECK: %[[B:.*]] = memref.alloc() {{.*}}: memref<4xf64>
// CHECK: memref.copy %[[A]], %[[B]]
// CHECK: %[[BPART:.*]] = memref.subview %[[B]][0]
// CHECK: memref.copy %{{.*}}, %[[BPART]]
// CHECK: %[[APART:.*]] = memref.subview %[[A]][1]
// CHECK-NOT: memref.alloc
// CHECK: memref.copy %{{.*}}, %[[APART]]
// CHECK: return %[[B]], %[[A]]
func.func private @branches(%x: tensor<2xf64>) -> (tensor<4xf64>, tensor<4xf64>) {
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<4xf64>
  %0 = linalg.fill ins(%zero : f64) outs(%e : tensor<4xf64>) -> tensor<4xf64>
  %1 = tensor.insert_slice %x into %0[0] [2] [1] : tensor<2xf64> into tensor<4xf64>
  %2 = tensor.insert_slice %x into %0[1] [2] [1] : tensor<2xf64> into tensor<4xf64>
  return %1, %2 : tensor<4xf64>, tensor<4xf64>
}

// -----

// A view counts as a reader of its source.
// CHECK-LABEL: func.func private @view
// CHECK: %[[A:.*]] = memref.alloc
// CHECK: %[[B:.*]] = memref.alloc
// CHECK: memref.copy %[[A]], %[[B]]
func.func private @view(%x: tensor<1xf64>) -> (tensor<4xf64>, tensor<2x2xf64>) {
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<4xf64>
  %0 = linalg.fill ins(%zero : f64) outs(%e : tensor<4xf64>) -> tensor<4xf64>
  %s = tensor.expand_shape %0 [[0, 1]] output_shape [2, 2] : tensor<4xf64> into tensor<2x2xf64>
  %1 = tensor.insert_slice %x into %0[1] [1] [1] : tensor<1xf64> into tensor<4xf64>
  %u = tensor.empty() : tensor<2x2xf64>
  %2 = linalg.exp ins(%s : tensor<2x2xf64>) outs(%u : tensor<2x2xf64>) -> tensor<2x2xf64>
  return %1, %2 : tensor<4xf64>, tensor<2x2xf64>
}

// -----

// A part that is taken, updated and put back is updated where it lies.
// CHECK-LABEL: func.func private @part
// CHECK: %[[A:.*]] = memref.alloc
// CHECK: %[[P:.*]] = memref.subview %[[A]][1]
// CHECK: linalg.add ins(%[[P]], %{{.*}}) outs(%[[P]]
// CHECK-NOT: memref.alloc
// CHECK: return %[[A]]
func.func private @part(%x: tensor<2xf64>) -> tensor<4xf64> {
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<4xf64>
  %0 = linalg.fill ins(%zero : f64) outs(%e : tensor<4xf64>) -> tensor<4xf64>
  %s = tensor.extract_slice %0[1] [2] [1] : tensor<4xf64> to tensor<2xf64>
  %1 = linalg.add ins(%s, %x : tensor<2xf64>, tensor<2xf64>) outs(%s : tensor<2xf64>) -> tensor<2xf64>
  %2 = tensor.insert_slice %1 into %0[1] [2] [1] : tensor<2xf64> into tensor<4xf64>
  return %2 : tensor<4xf64>
}

// -----

// Elementwise operations may overwrite what they read, others may not.
// CHECK-LABEL: func.func private @reads
// CHECK: %[[A:.*]] = memref.alloc
// CHECK: linalg.exp ins(%[[A]] : {{.*}}) outs(%[[A]]
// CHECK: %[[B:.*]] = memref.alloc
// CHECK: linalg.transpose ins(%[[A]] : {{.*}}) outs(%[[B]]
func.func private @reads() -> tensor<4x4xf64> {
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<4x4xf64>
  %0 = linalg.fill ins(%zero : f64) outs(%e : tensor<4x4xf64>) -> tensor<4x4xf64>
  %1 = linalg.exp ins(%0 : tensor<4x4xf64>) outs(%0 : tensor<4x4xf64>) -> tensor<4x4xf64>
  %2 = linalg.transpose ins(%1 : tensor<4x4xf64>) outs(%1 : tensor<4x4xf64>) permutation = [1, 0]
  return %2 : tensor<4x4xf64>
}

// -----

// A tensor that is read in a loop is not overwritten by what comes before; one
// that dies in a loop is updated there.
// CHECK-LABEL: func.func private @loop
// CHECK: %[[A:.*]] = memref.alloc
// CHECK: %[[B:.*]] = memref.alloc
// CHECK: memref.copy %[[A]], %[[B]]
// CHECK: %[[L:.*]] = scf.for {{.*}} iter_args(%[[ACC:.*]] = %[[B]])
// CHECK-NOT: memref.alloc
// CHECK: memref.load %[[A]]
// CHECK: memref.store %{{.*}}, %[[ACC]]
// CHECK: return %[[L]]
func.func private @loop(%x: tensor<2xf64>) -> tensor<4xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<4xf64>
  %0 = linalg.fill ins(%zero : f64) outs(%e : tensor<4xf64>) -> tensor<4xf64>
  %1 = tensor.insert_slice %x into %0[1] [2] [1] : tensor<2xf64> into tensor<4xf64>
  %2 = scf.for %i = %c0 to %c4 step %c1 iter_args(%acc = %1) -> tensor<4xf64> {
    %3 = tensor.extract %0[%i] : tensor<4xf64>
    %4 = tensor.insert %3 into %acc[%i] : tensor<4xf64>
    scf.yield %4 : tensor<4xf64>
  }
  return %2 : tensor<4xf64>
}

// -----

#id = affine_map<(d0) -> (d0)>

// What is put together before a loop is read in it where it is: no copies in
// the loop.
// CHECK-LABEL: func.func private @read_in_loop
// CHECK: %[[PAIR:.*]] = memref.alloc() {{.*}}memref<4x2xindex>
// CHECK: scf.for
// CHECK-NOT: memref.alloc
// CHECK-NOT: memref.copy
// CHECK: memref.load %[[PAIR]]
// CHECK-NOT: memref.copy
// CHECK: memref.store
func.func private @read_in_loop(%x: tensor<4xindex>, %y: tensor<4xindex>) -> tensor<4xindex> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %e = tensor.empty() : tensor<4xindex>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<4xindex>) outs(%e : tensor<4xindex>) {
  ^bb0(%in: index, %out: index):
    %sum = arith.addi %in, %in : index
    linalg.yield %sum : index
  } -> tensor<4xindex>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%y : tensor<4xindex>) outs(%e : tensor<4xindex>) {
  ^bb0(%in: index, %out: index):
    %product = arith.muli %in, %in : index
    linalg.yield %product : index
  } -> tensor<4xindex>
  %pair = tensor.empty() : tensor<4x2xindex>
  %2 = tensor.insert_slice %0 into %pair[0, 0] [4, 1] [1, 1] : tensor<4xindex> into tensor<4x2xindex>
  %3 = tensor.insert_slice %1 into %2[0, 1] [4, 1] [1, 1] : tensor<4xindex> into tensor<4x2xindex>
  %4 = scf.for %i = %c0 to %c4 step %c1 iter_args(%acc = %x) -> tensor<4xindex> {
    %a = tensor.extract %3[%i, %c0] : tensor<4x2xindex>
    %b = tensor.extract %3[%i, %c1] : tensor<4x2xindex>
    %sum = arith.addi %a, %b : index
    %next = tensor.insert %sum into %acc[%i] : tensor<4xindex>
    scf.yield %next : tensor<4xindex>
  }
  return %4 : tensor<4xindex>
}

// -----

// Calls pass buffers.
// CHECK-LABEL: func.func private @callee
// CHECK-SAME: memref<4xf64
// CHECK-LABEL: func.func private @caller
// CHECK: call @callee(%{{.*}}) : (memref<4xf64
func.func private @callee(%x: tensor<4xf64>) -> tensor<4xf64> {
  return %x : tensor<4xf64>
}
func.func private @caller(%x: tensor<4xf64>) -> tensor<4xf64> {
  %0 = call @callee(%x) : (tensor<4xf64>) -> tensor<4xf64>
  return %0 : tensor<4xf64>
}

// -----

// Several results of one operation, and insertions behind it: each is computed
// in its part of the result, which exists from the beginning.
#id = affine_map<(d0) -> (d0)>
// CHECK-LABEL: func @parts_of_a_result
// CHECK-SAME: %[[X:.*]]: memref<4xf64>, %[[OUT:.*]]: memref<2x4xf64>
func.func @parts_of_a_result(%x: tensor<4xf64> {bufferization.writable = false}, %out: memref<2x4xf64> {grad.result}) {
  // CHECK-NOT: memref.alloc
  // CHECK-DAG: %[[ROW1:.*]] = memref.subview %[[OUT]][1, 0] [1, 4] [1, 1]
  // CHECK-DAG: %[[ROW0:.*]] = memref.subview %[[OUT]][0, 0] [1, 4] [1, 1]
  // CHECK: linalg.generic {{.*}} ins(%[[X]] : memref<4xf64>) outs(%[[ROW1]], %[[ROW0]] :
  // CHECK-NOT: memref.alloc
  // CHECK: return
  %whole = tensor.empty() : tensor<2x4xf64>
  %a = tensor.empty() : tensor<4xf64>
  %b = tensor.empty() : tensor<4xf64>
  %0:2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%x : tensor<4xf64>) outs(%a, %b : tensor<4xf64>, tensor<4xf64>) {
  ^bb0(%e: f64, %o: f64, %p: f64):
    %s = arith.addf %e, %e : f64
    %m = arith.mulf %s, %e : f64
    linalg.yield %s, %m : f64, f64
  } -> (tensor<4xf64>, tensor<4xf64>)
  %1 = tensor.insert_slice %0#0 into %whole[1, 0] [1, 4] [1, 1] : tensor<4xf64> into tensor<2x4xf64>
  %2 = tensor.insert_slice %0#1 into %1[0, 0] [1, 4] [1, 1] : tensor<4xf64> into tensor<2x4xf64>
  bufferization.materialize_in_destination %2 in restrict writable %out : (tensor<2x4xf64>, memref<2x4xf64>) -> ()
  return
}

// -----

// Slices that overlap: the second insertion is what counts, so the first result
// cannot be computed where both lie, for it is read later.
#id = affine_map<(d0) -> (d0)>
// CHECK-LABEL: func @overlapping_parts
func.func @overlapping_parts(%x: tensor<4xf64> {bufferization.writable = false}, %out: memref<6xf64> {grad.result}, %other: memref<4xf64> {grad.result}) {
  // CHECK: memref.alloc
  // CHECK: linalg.generic
  // CHECK: return
  %whole = tensor.empty() : tensor<6xf64>
  %a = tensor.empty() : tensor<4xf64>
  %b = tensor.empty() : tensor<4xf64>
  %0:2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%x : tensor<4xf64>) outs(%a, %b : tensor<4xf64>, tensor<4xf64>) {
  ^bb0(%e: f64, %o: f64, %p: f64):
    %s = arith.addf %e, %e : f64
    %m = arith.mulf %s, %e : f64
    linalg.yield %s, %m : f64, f64
  } -> (tensor<4xf64>, tensor<4xf64>)
  %1 = tensor.insert_slice %0#0 into %whole[2] [4] [1] : tensor<4xf64> into tensor<6xf64>
  %2 = tensor.insert_slice %0#1 into %1[0] [4] [1] : tensor<4xf64> into tensor<6xf64>
  bufferization.materialize_in_destination %2 in restrict writable %out : (tensor<6xf64>, memref<6xf64>) -> ()
  bufferization.materialize_in_destination %0#0 in restrict writable %other : (tensor<4xf64>, memref<4xf64>) -> ()
  return
}

// What comes out of a switch may be an argument, which is not written to.
// CHECK-LABEL: func.func @switch
// CHECK-SAME: %[[X:.*]]: memref<4xf64>, %{{.*}}: memref<1xf64>
func.func @switch(%x: tensor<4xf64> {bufferization.writable = false}, %y: tensor<1xf64> {bufferization.writable = false}, %k: index, %c: i1) -> tensor<4xf64> {
  %s = scf.index_switch %k -> tensor<4xf64>
  case 0 {
    scf.yield %x : tensor<4xf64>
  }
  default {
    scf.yield %x : tensor<4xf64>
  }
  // CHECK: %[[S:.*]] = scf.index_switch
  // CHECK: scf.if
  // CHECK: %[[COPY:.*]] = memref.alloc
  // CHECK: memref.copy %[[S]], %[[COPY]]
  // CHECK: memref.subview %[[COPY]]
  %r = scf.if %c -> tensor<4xf64> {
    %i = tensor.insert_slice %y into %s[0] [1] [1] : tensor<1xf64> into tensor<4xf64>
    scf.yield %i : tensor<4xf64>
  } else {
    scf.yield %s : tensor<4xf64>
  }
  return %r : tensor<4xf64>
}

// The place of %q in %x is read behind it as it was: %q gets a buffer of its
// own, and nothing is left of the attempt to compute it there.
// CHECK-LABEL: func.func @destination_in_use
// CHECK-SAME: %[[X:[^:]+]]: memref<2xf64>
func.func @destination_in_use(%x: tensor<2xf64> {bufferization.writable = false}) -> tensor<2xf64> {
  // CHECK: %[[A:.*]] = memref.subview %[[X]][0] [1] [1]
  // CHECK: %[[B:.*]] = memref.subview %[[X]][1] [1] [1]
  // CHECK-NOT: memref.subview
  // CHECK: %[[Q:.*]] = memref.alloc() : memref<f64>
  // CHECK: linalg.generic {{.*}} outs(%[[Q]]
  %a = tensor.extract_slice %x[0] [1] [1] : tensor<2xf64> to tensor<f64>
  %b = tensor.extract_slice %x[1] [1] [1] : tensor<2xf64> to tensor<f64>
  %e = tensor.empty() : tensor<f64>
  %q = linalg.generic {indexing_maps = [affine_map<() -> ()>, affine_map<() -> ()>, affine_map<() -> ()>], iterator_types = []} ins(%a, %b : tensor<f64>, tensor<f64>) outs(%e : tensor<f64>) {
  ^bb0(%i: f64, %j: f64, %o: f64):
    %s = arith.divf %i, %j : f64
    linalg.yield %s : f64
  } -> tensor<f64>
  %r = tensor.insert_slice %q into %x[0] [1] [1] : tensor<f64> into tensor<2xf64>
  return %r : tensor<2xf64>
}

// -----

// A row is read after it was overwritten: it is copied, not the whole.
// CHECK-LABEL: func.func private @old_row
// CHECK: %[[A:.*]] = memref.alloc() {{.*}}memref<64x4xf64>
// CHECK: %[[ROW:.*]] = memref.alloc() {{.*}}memref<1x4xf64>
// CHECK: memref.copy %{{.*}}, %[[ROW]]
// CHECK-NOT: memref.alloc
// CHECK: return %[[A]]
func.func private @old_row(%x: tensor<1x4xf64>) -> tensor<64x4xf64> {
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<64x4xf64>
  %0 = linalg.fill ins(%zero : f64) outs(%e : tensor<64x4xf64>) -> tensor<64x4xf64>
  %old = tensor.extract_slice %0[3, 0] [1, 4] [1, 1] : tensor<64x4xf64> to tensor<1x4xf64>
  %1 = tensor.insert_slice %x into %0[5, 0] [1, 4] [1, 1] : tensor<1x4xf64> into tensor<64x4xf64>
  %2 = tensor.insert_slice %x into %1[3, 0] [1, 4] [1, 1] : tensor<1x4xf64> into tensor<64x4xf64>
  %3 = tensor.insert_slice %old into %2[7, 0] [1, 4] [1, 1] : tensor<1x4xf64> into tensor<64x4xf64>
  return %3 : tensor<64x4xf64>
}

// -----

// What a loop yields is in the buffer that the iteration began with, though a
// value from before lies closer at hand for that and is read later.
// CHECK-LABEL: func.func private @carried
// CHECK: %[[A:.*]] = memref.alloc() {{.*}}memref<4xf64>
// CHECK: scf.for {{.*}} iter_args(%[[ACC:.*]] = %{{.*}}, %[[OTHER:.*]] = %{{.*}})
// CHECK: %[[OWN:.*]] = memref.alloc() {{.*}}memref<4xf64>
// CHECK: linalg.add {{.*}} outs(%[[OWN]]
// CHECK: linalg.fill {{.*}} outs(%[[ACC]]
// CHECK: linalg.add ins(%[[OWN]], %[[OTHER]] {{.*}} outs(%[[OTHER]]
// CHECK: scf.yield %[[ACC]], %[[OTHER]]
func.func private @carried(%x: tensor<4xf64>) -> (tensor<4xf64>, tensor<4xf64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<4xf64>
  %0 = linalg.fill ins(%zero : f64) outs(%e : tensor<4xf64>) -> tensor<4xf64>
  %1:2 = scf.for %i = %c0 to %c4 step %c1 iter_args(%acc = %0, %other = %0) -> (tensor<4xf64>, tensor<4xf64>) {
    %sum = linalg.add ins(%acc, %x : tensor<4xf64>, tensor<4xf64>) outs(%acc : tensor<4xf64>) -> tensor<4xf64>
    %next = linalg.fill ins(%zero : f64) outs(%acc : tensor<4xf64>) -> tensor<4xf64>
    %last = linalg.add ins(%sum, %other : tensor<4xf64>, tensor<4xf64>) outs(%other : tensor<4xf64>) -> tensor<4xf64>
    scf.yield %next, %last : tensor<4xf64>, tensor<4xf64>
  }
  return %1#0, %1#1 : tensor<4xf64>, tensor<4xf64>
}

// -----

// A branch writes what nobody reads later, whichever way is taken; a loop does
// not write what comes from outside of it, which the next iteration reads.
// CHECK-LABEL: func.func private @from_outside
// CHECK: %[[A:.*]] = memref.alloc() {{.*}}memref<4xf64>
// CHECK: %[[R:.*]] = scf.if
// CHECK-NOT: memref.alloc
// CHECK: memref.store %{{.*}}, %[[A]]
// CHECK: scf.yield %[[A]]
// CHECK: memref.store %{{.*}}, %[[A]]
// CHECK: scf.yield %[[A]]
// CHECK: scf.for
// CHECK: %[[COPY:.*]] = memref.alloc() {{.*}}memref<4xf64>
// CHECK: memref.copy %[[R]], %[[COPY]]
// CHECK: memref.store %{{.*}}, %[[COPY]]
func.func private @from_outside(%x: f64, %c: i1) -> f64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<4xf64>
  %0 = linalg.fill ins(%zero : f64) outs(%e : tensor<4xf64>) -> tensor<4xf64>
  %1 = scf.if %c -> tensor<4xf64> {
    %2 = tensor.insert %x into %0[%c0] : tensor<4xf64>
    scf.yield %2 : tensor<4xf64>
  } else {
    %2 = tensor.insert %x into %0[%c1] : tensor<4xf64>
    scf.yield %2 : tensor<4xf64>
  }
  %3 = scf.for %i = %c0 to %c4 step %c1 iter_args(%s = %zero) -> f64 {
    %4 = tensor.insert %s into %1[%i] : tensor<4xf64>
    %5 = tensor.extract %4[%c0] : tensor<4xf64>
    %6 = tensor.extract %4[%c1] : tensor<4xf64>
    %7 = arith.addf %5, %6 : f64
    scf.yield %7 : f64
  }
  return %3 : f64
}

// -----

// Two values from outside of a branch that are one buffer: whoever overwrites
// the one overwrites the other, and views of it.
// CHECK-LABEL: func.func private @same_outside
// CHECK: %[[A:.*]] = memref.alloc() {{.*}}memref<4xf64>
// CHECK: linalg.exp {{.*}} outs(%[[A]]
// CHECK: scf.if
// CHECK-NOT: outs(%[[A]] :
// CHECK: linalg.add
// CHECK: } else {
func.func private @same_outside(%c: i1) -> (tensor<2xf64>, tensor<4xf64>) {
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<4xf64>
  %0 = linalg.fill ins(%zero : f64) outs(%e : tensor<4xf64>) -> tensor<4xf64>
  %1 = linalg.exp ins(%0 : tensor<4xf64>) outs(%0 : tensor<4xf64>) -> tensor<4xf64>
  %d = tensor.empty() : tensor<2xf64>
  %2:2 = scf.if %c -> (tensor<2xf64>, tensor<4xf64>) {
    %view = tensor.extract_slice %1[1] [2] [1] : tensor<4xf64> to tensor<2xf64>
    %fill = linalg.fill ins(%zero : f64) outs(%0 : tensor<4xf64>) -> tensor<4xf64>
    %sum = linalg.add ins(%view, %view : tensor<2xf64>, tensor<2xf64>) outs(%d : tensor<2xf64>) -> tensor<2xf64>
    scf.yield %sum, %fill : tensor<2xf64>, tensor<4xf64>
  } else {
    %3 = linalg.fill ins(%zero : f64) outs(%d : tensor<2xf64>) -> tensor<2xf64>
    %own = tensor.empty() : tensor<4xf64>
    %4 = linalg.fill ins(%zero : f64) outs(%own : tensor<4xf64>) -> tensor<4xf64>
    scf.yield %3, %4 : tensor<2xf64>, tensor<4xf64>
  }
  return %2#0, %2#1 : tensor<2xf64>, tensor<4xf64>
}

// -----

// An update of a part of a reshaped tensor is the last one of an iteration.
// CHECK-LABEL: func.func private @carried_view
// CHECK: scf.for {{.*}} iter_args(%[[ACC:.*]] = %{{.*}})
// CHECK-NOT: memref.alloc
// CHECK-NOT: memref.copy
// CHECK: %[[VIEW:.*]] = memref.expand_shape %[[ACC]]
// CHECK: memref.store %{{.*}}, %[[VIEW]]
// CHECK: %[[NEXT:.*]] = memref.collapse_shape %[[VIEW]]
// CHECK: scf.yield %[[NEXT]]
func.func private @carried_view(%x: f64) -> tensor<6xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<6xf64>
  %0 = linalg.fill ins(%zero : f64) outs(%e : tensor<6xf64>) -> tensor<6xf64>
  %1 = scf.for %i = %c0 to %c3 step %c1 iter_args(%acc = %0) -> tensor<6xf64> {
    %view = tensor.expand_shape %acc [[0, 1]] output_shape [2, 3] : tensor<6xf64> into tensor<2x3xf64>
    %new = tensor.insert %x into %view[%c1, %i] : tensor<2x3xf64>
    %next = tensor.collapse_shape %new [[0, 1]] : tensor<2x3xf64> into tensor<6xf64>
    scf.yield %next : tensor<6xf64>
  }
  return %1 : tensor<6xf64>
}

// -----

// What a branch yields in place of an update is not read after it.
// CHECK-LABEL: func.func private @other_branch
// CHECK: scf.for {{.*}} iter_args(%[[ACC:.*]] = %{{.*}})
// CHECK-NOT: memref.alloc
// CHECK: %[[FIRST:.*]] = scf.if
// CHECK: %[[VIEW:.*]] = memref.collapse_shape %[[ACC]]
// CHECK: memref.subview %[[VIEW]][0] [5] [10]
// CHECK-NOT: memref.alloc
// CHECK: %[[SECOND:.*]] = scf.if
// CHECK: memref.subview %[[FIRST]][0, 0] [5, 1] [1, 1]
// CHECK-NOT: memref.alloc
// CHECK: scf.yield %[[SECOND]]
func.func private @other_branch(%t: tensor<5xf64>, %c: i1, %d: i1) -> tensor<5x9xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<5x9xf64>
  %0 = linalg.fill ins(%zero : f64) outs(%e : tensor<5x9xf64>) -> tensor<5x9xf64>
  %1 = scf.for %i = %c0 to %c3 step %c1 iter_args(%acc = %0) -> tensor<5x9xf64> {
    %2 = scf.if %c -> tensor<5x9xf64> {
      scf.yield %acc : tensor<5x9xf64>
    } else {
      %view = tensor.collapse_shape %acc [[0, 1]] : tensor<5x9xf64> into tensor<45xf64>
      %new = tensor.insert_slice %t into %view[0] [5] [10] : tensor<5xf64> into tensor<45xf64>
      %next = tensor.expand_shape %new [[0, 1]] output_shape [5, 9] : tensor<45xf64> into tensor<5x9xf64>
      scf.yield %next : tensor<5x9xf64>
    }
    %3 = scf.if %d -> tensor<5x9xf64> {
      %next = tensor.insert_slice %t into %2[0, 0] [5, 1] [1, 1] : tensor<5xf64> into tensor<5x9xf64>
      scf.yield %next : tensor<5x9xf64>
    } else {
      scf.yield %2 : tensor<5x9xf64>
    }
    scf.yield %3 : tensor<5x9xf64>
  }
  return %1 : tensor<5x9xf64>
}
