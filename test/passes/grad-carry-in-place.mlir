// RUN: gradopt %s --grad-carry-in-place -split-input-file | FileCheck %s
// RUN: gradopt %s --grad-carry-in-place --grad-bufferize --canonicalize --cse --canonicalize -split-input-file | FileCheck %s --check-prefix=BUFFER

#id = affine_map<(d0) -> (d0)>

// A new value is computed in the carried one, where nobody reads that any more.
// CHECK-LABEL: func.func @fresh
func.func @fresh(%x: tensor<4xf64> {bufferization.writable = false}, %n: index) -> tensor<4xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: scf.for {{.*}} iter_args(%[[A:.*]] = %{{.*}})
  // CHECK: %[[B:.*]] = linalg.generic {{.*}} ins(%[[A]] : tensor<4xf64>) outs(%[[A]] : tensor<4xf64>)
  // CHECK: scf.yield %[[B]]
  // BUFFER-LABEL: func.func @fresh
  // BUFFER: scf.for
  // BUFFER-NOT: memref.alloc
  // BUFFER-NOT: memref.copy
  // BUFFER: linalg.generic {{.*}} ins(%[[A:.*]] : memref<4xf64>) outs(%[[A]] : memref<4xf64>)
  // BUFFER-NOT: memref.copy
  // BUFFER: return
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<4xf64> {
    %e = tensor.empty() : tensor<4xf64>
    %b = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%a : tensor<4xf64>) outs(%e : tensor<4xf64>) {
    ^bb0(%p: f64, %o: f64):
      %0 = math.tanh %p : f64
      linalg.yield %0 : f64
    } -> tensor<4xf64>
    scf.yield %b : tensor<4xf64>
  }
  return %r : tensor<4xf64>
}

// -----

// An update in place stays as it is.
// CHECK-LABEL: func.func @updated
func.func @updated(%x: tensor<4xf64> {bufferization.writable = false}, %n: index) -> tensor<4xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK-NOT: tensor.insert_slice
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<4xf64> {
    %s = scf.for %j = %c0 to %n step %c1 iter_args(%b = %a) -> tensor<4xf64> {
      %e = tensor.extract %b[%j] : tensor<4xf64>
      %c = tensor.insert %e into %b[%i] : tensor<4xf64>
      scf.yield %c : tensor<4xf64>
    }
    scf.yield %s : tensor<4xf64>
  }
  return %r : tensor<4xf64>
}

// -----

#id = affine_map<(d0) -> (d0)>

// So does one that has to wait for a read of what it overwrites.
// CHECK-LABEL: func.func @read_before_update
func.func @read_before_update(%x: tensor<4x2xf64> {bufferization.writable = false}, %v: tensor<1x2xf64> {bufferization.writable = false}, %n: index) -> (tensor<4x2xf64>, tensor<2xf64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %z = arith.constant dense<0.0> : tensor<2xf64>
  // CHECK: scf.for {{.*}} iter_args(%[[A:[^ ]*]] = %
  // CHECK: %[[E:.*]] = tensor.extract_slice %[[A]]
  // CHECK: linalg.generic {{.*}} ins(%[[E]]
  // CHECK: %[[C:.*]] = tensor.insert_slice %{{.*}} into %[[A]]
  // CHECK-NEXT: %[[D:.*]] = tensor.insert_slice %{{.*}} into %[[C]]
  // CHECK-NEXT: scf.yield %[[D]]
  // BUFFER-LABEL: func.func @read_before_update
  // BUFFER: scf.for
  // BUFFER-NOT: memref<4x2xf64> to memref<4x2xf64>
  // BUFFER: return
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x, %s = %z) -> (tensor<4x2xf64>, tensor<2xf64>) {
    %c = tensor.insert_slice %v into %a[%i, 0] [1, 2] [1, 1] : tensor<1x2xf64> into tensor<4x2xf64>
    %d = tensor.insert_slice %v into %c[0, 0] [1, 2] [1, 1] : tensor<1x2xf64> into tensor<4x2xf64>
    %e = tensor.extract_slice %a[%i, 0] [1, 2] [1, 1] : tensor<4x2xf64> to tensor<2xf64>
    %t = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%e : tensor<2xf64>) outs(%s : tensor<2xf64>) {
    ^bb0(%p: f64, %o: f64):
      %0 = arith.addf %p, %o : f64
      linalg.yield %0 : f64
    } -> tensor<2xf64>
    scf.yield %d, %t : tensor<4x2xf64>, tensor<2xf64>
  }
  return %r#0, %r#1 : tensor<4x2xf64>, tensor<2xf64>
}

// -----

// One that is read before what it overwrites is gets a copy.
// CHECK-LABEL: func.func @read_after_update
func.func @read_after_update(%x: tensor<4xindex> {bufferization.writable = false}, %n: index) -> (tensor<4xindex>, index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: %[[C:.*]] = tensor.insert
  // CHECK: %[[COPY:.*]] = bufferization.alloc_tensor() copy(%[[C]])
  // CHECK: tensor.insert_slice %[[COPY]] into
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x, %s = %c0) -> (tensor<4xindex>, index) {
    %c = tensor.insert %s into %a[%i] : tensor<4xindex>
    %f = tensor.extract %c[%c1] : tensor<4xindex>
    %e = tensor.extract %a[%f] : tensor<4xindex>
    scf.yield %c, %e : tensor<4xindex>, index
  }
  return %r#0, %r#1 : tensor<4xindex>, index
}

// -----

#id = affine_map<(d0) -> (d0)>

// The update of a slice, put back where it was, is one of the whole.
// CHECK-LABEL: func.func @slice_in_place
func.func @slice_in_place(%x: tensor<4x2xf64> {bufferization.writable = false}, %v: tensor<2xf64> {bufferization.writable = false}, %n: index) -> tensor<4x2xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK-NOT: tensor.empty
  // CHECK-NOT: alloc_tensor
  // CHECK: return
  // BUFFER-LABEL: func.func @slice_in_place
  // BUFFER: scf.for
  // BUFFER-NOT: memref.copy
  // BUFFER: linalg.generic
  // BUFFER-NOT: memref.copy
  // BUFFER: return
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<4x2xf64> {
    %s = tensor.extract_slice %a[%i, 0] [1, 2] [1, 1] : tensor<4x2xf64> to tensor<2xf64>
    %t = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%v : tensor<2xf64>) outs(%s : tensor<2xf64>) {
    ^bb0(%p: f64, %o: f64):
      %0 = arith.addf %p, %o : f64
      linalg.yield %0 : f64
    } -> tensor<2xf64>
    %u = tensor.insert_slice %t into %a[%i, 0] [1, 2] [1, 1] : tensor<2xf64> into tensor<4x2xf64>
    scf.yield %u : tensor<4x2xf64>
  }
  return %r : tensor<4x2xf64>
}

// -----

#id = affine_map<(d0) -> (d0)>

// Not if the tensor is read, before the slice is put back but after its update.
// CHECK-LABEL: func.func @slice_read_after_update
func.func @slice_read_after_update(%x: tensor<4x2xf64> {bufferization.writable = false}, %v: tensor<2xf64> {bufferization.writable = false}, %n: index) -> (tensor<4x2xf64>, f64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f64
  // BUFFER-LABEL: func.func @slice_read_after_update
  // BUFFER: scf.for
  // BUFFER: memref.copy
  // BUFFER: linalg.generic
  // BUFFER: return
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x, %b = %zero) -> (tensor<4x2xf64>, f64) {
    %s = tensor.extract_slice %a[%i, 0] [1, 2] [1, 1] : tensor<4x2xf64> to tensor<2xf64>
    %t = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%v : tensor<2xf64>) outs(%s : tensor<2xf64>) {
    ^bb0(%p: f64, %o: f64):
      %0 = arith.addf %p, %o : f64
      linalg.yield %0 : f64
    } -> tensor<2xf64>
    %e = tensor.extract %a[%i, %c1] : tensor<4x2xf64>
    %c = arith.addf %b, %e : f64
    %u = tensor.insert_slice %t into %a[%i, 0] [1, 2] [1, 1] : tensor<2xf64> into tensor<4x2xf64>
    scf.yield %u, %c : tensor<4x2xf64>, f64
  }
  return %r#0, %r#1 : tensor<4x2xf64>, f64
}

// -----

// What is written to another carried tensor is copied before that is written.
// CHECK-LABEL: func.func @swapped
func.func @swapped(%x: tensor<4xf64> {bufferization.writable = false}, %y: tensor<4xf64> {bufferization.writable = false}, %n: index) -> tensor<4xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: iter_args(%[[A:.*]] = %{{.*}}, %[[B:.*]] = %{{.*}})
  // CHECK-DAG: %[[B1:.*]] = bufferization.alloc_tensor() copy(%[[B]])
  // CHECK-DAG: %[[A1:.*]] = bufferization.alloc_tensor() copy(%[[A]])
  // CHECK: %[[A2:.*]] = tensor.insert_slice %[[B1]] into %[[A]][0] [4] [1]
  // CHECK: %[[B2:.*]] = tensor.insert_slice %[[A1]] into %[[B]][0] [4] [1]
  // CHECK: scf.yield %[[A2]], %[[B2]]
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x, %b = %y) -> (tensor<4xf64>, tensor<4xf64>) {
    scf.yield %b, %a : tensor<4xf64>, tensor<4xf64>
  }
  return %r#0 : tensor<4xf64>
}

// -----

#id = affine_map<(d0) -> (d0)>

// A stencil gets a buffer of its own, and what it reads is not copied.
// CHECK-LABEL: func.func @stencil
func.func @stencil(%x: tensor<6xf64> {bufferization.writable = false}, %n: index) -> tensor<6xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: scf.for
  // CHECK: %[[E:.*]] = bufferization.alloc_tensor()
  // CHECK: linalg.generic {{.*}} outs(%[[E]]
  // BUFFER-LABEL: func.func @stencil
  // BUFFER: scf.for
  // BUFFER: memref.alloc
  // BUFFER-NOT: memref.alloc
  // BUFFER-NOT: memref.copy
  // BUFFER: linalg.generic
  // BUFFER: memref.copy
  // BUFFER-NOT: memref.copy
  // BUFFER: return
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<6xf64> {
    %l = tensor.extract_slice %a[0] [4] [1] : tensor<6xf64> to tensor<4xf64>
    %m = tensor.extract_slice %a[2] [4] [1] : tensor<6xf64> to tensor<4xf64>
    %e = tensor.empty() : tensor<4xf64>
    %b = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%l, %m : tensor<4xf64>, tensor<4xf64>) outs(%e : tensor<4xf64>) {
    ^bb0(%p: f64, %q: f64, %o: f64):
      %0 = arith.addf %p, %q : f64
      linalg.yield %0 : f64
    } -> tensor<4xf64>
    %c = tensor.insert_slice %b into %a[1] [4] [1] : tensor<4xf64> into tensor<6xf64>
    scf.yield %c : tensor<6xf64>
  }
  return %r : tensor<6xf64>
}

// -----

// The condition of a while loop passes its tensors on in their places, and what
// it makes is carried, too.
// CHECK-LABEL: func.func @while
func.func @while(%x: tensor<4xf64> {bufferization.writable = false}, %y: tensor<3xf64> {bufferization.writable = false}) -> (tensor<3xf64>, f64) {
  // CHECK: %[[E:.*]] = tensor.empty() : tensor<3xf64>
  // CHECK: %[[R:.*]]:3 = scf.while (%[[A:.*]] = %{{.*}}, %[[B:.*]] = %[[E]]) : (tensor<4xf64>, tensor<3xf64>) -> (tensor<4xf64>, tensor<3xf64>, f64) {
  // CHECK: %[[C:.*]] = tensor.insert
  // CHECK: %[[D:.*]] = tensor.insert_slice %[[C]] into %[[B]]
  // CHECK: scf.condition(%{{.*}}) %[[A]], %[[D]], %{{.*}} : tensor<4xf64>, tensor<3xf64>, f64
  // CHECK: ^bb0(%[[F:.*]]: tensor<4xf64>, %[[G:.*]]: tensor<3xf64>, %{{.*}}: f64):
  // CHECK: %[[H:.*]] = tensor.insert_slice %{{.*}} into %[[F]]
  // CHECK: scf.yield %[[H]], %[[G]] : tensor<4xf64>, tensor<3xf64>
  // CHECK: return %[[R]]#1, %[[R]]#2
  %c0 = arith.constant 0 : index
  %z = arith.constant 0.0 : f64
  %r:2 = scf.while (%a = %x) : (tensor<4xf64>) -> (f64, tensor<3xf64>) {
    %e = tensor.extract %a[%c0] : tensor<4xf64>
    %c = tensor.insert %e into %y[%c0] : tensor<3xf64>
    %p = arith.cmpf olt, %e, %z : f64
    scf.condition(%p) %e, %c : f64, tensor<3xf64>
  } do {
  ^bb0(%s: f64, %w: tensor<3xf64>):
    %t = tensor.extract %w[%c0] : tensor<3xf64>
    %u = tensor.from_elements %s, %t, %s, %t : tensor<4xf64>
    scf.yield %u : tensor<4xf64>
  }
  return %r#1, %r#0 : tensor<3xf64>, f64
}

// -----

#id = affine_map<(d0) -> (d0)>

// A branch that updates what the loop carries does so in place, the other one
// leaves it alone.
// CHECK-LABEL: func.func @branch
func.func @branch(%x: tensor<4xf64> {bufferization.writable = false}, %n: index, %c: i1) -> tensor<4xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: scf.for {{.*}} iter_args(%[[A:.*]] = %{{.*}})
  // CHECK: %[[R:.*]] = scf.if
  // CHECK: %[[C:.*]] = linalg.generic {{.*}} outs(%[[A]] : tensor<4xf64>)
  // CHECK: scf.yield %[[C]]
  // CHECK: scf.yield %[[A]]
  // CHECK: scf.yield %[[R]]
  // BUFFER-LABEL: func.func @branch
  // BUFFER: scf.for
  // BUFFER-NOT: memref.copy
  // BUFFER: return
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<4xf64> {
    %s = scf.if %c -> tensor<4xf64> {
      %e = tensor.empty() : tensor<4xf64>
      %b = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%a : tensor<4xf64>) outs(%e : tensor<4xf64>) {
      ^bb0(%p: f64, %o: f64):
        %0 = math.tanh %p : f64
        linalg.yield %0 : f64
      } -> tensor<4xf64>
      scf.yield %b : tensor<4xf64>
    } else {
      scf.yield %a : tensor<4xf64>
    }
    scf.yield %s : tensor<4xf64>
  }
  return %r : tensor<4xf64>
}

// Outside of loops, both branches write to a tensor made for it.
// CHECK-LABEL: func.func @switch
func.func @switch(%x: tensor<4xf64> {bufferization.writable = false}, %y: tensor<4xf64> {bufferization.writable = false}, %k: index) -> tensor<4xf64> {
  // CHECK: %[[E:.*]] = tensor.empty()
  // CHECK: scf.index_switch
  // CHECK: tensor.insert_slice %{{.*}} into %[[E]]
  // CHECK: tensor.insert_slice %{{.*}} into %[[E]]
  %s = scf.index_switch %k -> tensor<4xf64>
  case 0 {
    scf.yield %x : tensor<4xf64>
  }
  default {
    scf.yield %y : tensor<4xf64>
  }
  return %s : tensor<4xf64>
}

// A choice in a loop is a branch.
// CHECK-LABEL: func.func @select
func.func @select(%x: tensor<4xf64> {bufferization.writable = false}, %n: index, %c: i1) -> tensor<4xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: scf.for
  // CHECK: scf.if
  // CHECK-NOT: arith.select
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<4xf64> {
    %s = arith.select %c, %a, %x : tensor<4xf64>
    scf.yield %s : tensor<4xf64>
  }
  return %r : tensor<4xf64>
}

// Loops that CSE gave one tensor to fill have one each.
// CHECK-LABEL: func.func @nested
func.func @nested(%x: tensor<4xf64> {bufferization.writable = false}, %k: index) -> (tensor<4xf64>, f64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant 0.0 : f64
  // CHECK: %[[OUTER:.*]] = tensor.empty()
  // CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[OUTER]],
  // CHECK: %[[INNER:.*]] = tensor.empty()
  // CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[INNER]])
  %e = tensor.empty() : tensor<4xf64>
  %r:2 = scf.for %i = %c0 to %c4 step %c1 iter_args(%a = %e, %s = %zero) -> (tensor<4xf64>, f64) {
    %inner = scf.for %j = %c0 to %c4 step %c1 iter_args(%b = %e) -> tensor<4xf64> {
      %v = tensor.extract %x[%j] : tensor<4xf64>
      %next = tensor.insert %v into %b[%j] : tensor<4xf64>
      scf.yield %next : tensor<4xf64>
    }
    %w = tensor.extract %inner[%k] : tensor<4xf64>
    %next = tensor.insert %w into %a[%i] : tensor<4xf64>
    %t = arith.addf %s, %w : f64
    scf.yield %next, %t : tensor<4xf64>, f64
  }
  return %r#0, %r#1 : tensor<4xf64>, f64
}

// Loops that CSE gave one filled tensor fill one each, instead of copying it.
// CHECK-LABEL: func.func @filled
// BUFFER-LABEL: func.func @filled
// BUFFER-NOT: memref.copy
// BUFFER: return
func.func @filled(%x: tensor<4xf64> {bufferization.writable = false}) -> (tensor<4xf64>, tensor<4xf64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant 0.0 : f64
  // CHECK: %[[A:.*]] = linalg.fill
  // CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[A]])
  // CHECK: %[[B:.*]] = linalg.fill
  // CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[B]])
  %e = tensor.empty() : tensor<4xf64>
  %zeros = linalg.fill ins(%zero : f64) outs(%e : tensor<4xf64>) -> tensor<4xf64>
  %a = scf.for %i = %c0 to %c4 step %c1 iter_args(%s = %zeros) -> tensor<4xf64> {
    %v = tensor.extract %x[%i] : tensor<4xf64>
    %next = tensor.insert %v into %s[%c1] : tensor<4xf64>
    scf.yield %next : tensor<4xf64>
  }
  %b = scf.for %i = %c0 to %c4 step %c1 iter_args(%s = %zeros) -> tensor<4xf64> {
    %v = tensor.extract %x[%i] : tensor<4xf64>
    %next = tensor.insert %v into %s[%c0] : tensor<4xf64>
    scf.yield %next : tensor<4xf64>
  }
  return %a, %b : tensor<4xf64>, tensor<4xf64>
}

// An insertion waits for the reads of what it overwrites.
// CHECK-LABEL: func.func @transposed
func.func @transposed(%x: tensor<4xf64> {bufferization.writable = false}, %n: index) -> tensor<4xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant dense<0.0> : tensor<1xf64>
  // CHECK: scf.for
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<4xf64> {
    // CHECK-NOT: tensor.insert_slice
    // CHECK: tensor.extract
    // CHECK-NEXT: math.sin
    // CHECK-NEXT: tensor.insert_slice
    // CHECK-NEXT: tensor.insert
    %cleared = tensor.insert_slice %zero into %a[%i] [1] [1] : tensor<1xf64> into tensor<4xf64>
    %taken = tensor.extract %a[%i] : tensor<4xf64>
    %sine = math.sin %taken : f64
    %next = tensor.insert %sine into %cleared[%c0] : tensor<4xf64>
    scf.yield %next : tensor<4xf64>
  }
  return %r : tensor<4xf64>
}

// -----

#id = affine_map<(d0) -> (d0)>

// A row is added to another one, which may be the same: each element is read no
// later than it is written.
// CHECK-LABEL: func.func @row_added_to_row
func.func @row_added_to_row(%x: tensor<4x2xf64> {bufferization.writable = false}, %p: tensor<4xindex>, %n: index) -> tensor<4x2xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: scf.for {{.*}} iter_args(%[[A:.*]] = %{{.*}})
  // CHECK: %[[J:.*]] = tensor.extract %
  // CHECK: %[[S:.*]] = tensor.extract_slice %[[A]][%[[J]], 0]
  // CHECK: linalg.generic {{.*}} ins(%[[S]] : tensor<2xf64>)
  // CHECK: %[[B:.*]] = tensor.insert_slice
  // CHECK: scf.yield %[[B]]
  // BUFFER-LABEL: func.func @row_added_to_row
  // BUFFER: scf.for
  // BUFFER-NOT: memref.copy
  // BUFFER: return
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<4x2xf64> {
    %j = tensor.extract %p[%i] : tensor<4xindex>
    %s = tensor.extract_slice %a[%j, 0] [1, 2] [1, 1] : tensor<4x2xf64> to tensor<2xf64>
    %t = tensor.extract_slice %a[%i, 0] [1, 2] [1, 1] : tensor<4x2xf64> to tensor<2xf64>
    %u = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%s : tensor<2xf64>) outs(%t : tensor<2xf64>) {
    ^bb0(%v: f64, %w: f64):
      %0 = arith.addf %v, %w : f64
      linalg.yield %0 : f64
    } -> tensor<2xf64>
    %b = tensor.insert_slice %u into %a[%i, 0] [1, 2] [1, 1] : tensor<2xf64> into tensor<4x2xf64>
    scf.yield %b : tensor<4x2xf64>
  }
  return %r : tensor<4x2xf64>
}

// -----

#id = affine_map<(d0) -> (d0)>

// What the first update leaves alone is read when the second one has overwritten
// it: a copy is read then.
// CHECK-LABEL: func.func @part_read_by_second_update
func.func @part_read_by_second_update(%x: tensor<4x3xf64> {bufferization.writable = false}) -> tensor<4x3xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  // CHECK: scf.for %[[I:.*]] = {{.*}} iter_args(%[[A:.*]] = %{{.*}})
  // CHECK: tensor.extract_slice %[[A]][%[[I]], 1]
  // CHECK: %[[S:.*]] = tensor.extract_slice %[[A]][%[[I]], 1]
  // CHECK-NEXT: bufferization.alloc_tensor() copy(%[[S]])
  // CHECK-NOT: bufferization.alloc_tensor
  // CHECK: scf.yield
  // BUFFER-LABEL: func.func @part_read_by_second_update
  // BUFFER: scf.for
  // BUFFER: memref.copy {{.*}} to memref<2xf64>
  // BUFFER-NOT: memref.copy
  // BUFFER: return
  %r = scf.for %i = %c0 to %c3 step %c1 iter_args(%a = %x) -> tensor<4x3xf64> {
    %j = arith.addi %i, %c1 : index
    %s = tensor.extract_slice %a[%i, 1] [1, 2] [1, 1] : tensor<4x3xf64> to tensor<2xf64>
    %t = tensor.extract_slice %a[%j, 0] [1, 2] [1, 1] : tensor<4x3xf64> to tensor<2xf64>
    %u = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%s : tensor<2xf64>) outs(%t : tensor<2xf64>) {
    ^bb0(%v: f64, %w: f64):
      %0 = arith.addf %v, %w : f64
      linalg.yield %0 : f64
    } -> tensor<2xf64>
    %b = tensor.insert_slice %u into %a[%j, 0] [1, 2] [1, 1] : tensor<2xf64> into tensor<4x3xf64>
    %again = tensor.extract_slice %a[%i, 1] [1, 2] [1, 1] : tensor<4x3xf64> to tensor<2xf64>
    %t2 = tensor.extract_slice %b[%i, 0] [1, 2] [1, 1] : tensor<4x3xf64> to tensor<2xf64>
    %u2 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%again : tensor<2xf64>) outs(%t2 : tensor<2xf64>) {
    ^bb0(%v: f64, %w: f64):
      %0 = arith.addf %v, %w : f64
      linalg.yield %0 : f64
    } -> tensor<2xf64>
    %c = tensor.insert_slice %u2 into %b[%i, 0] [1, 2] [1, 1] : tensor<2xf64> into tensor<4x3xf64>
    scf.yield %c : tensor<4x3xf64>
  }
  return %r : tensor<4x3xf64>
}

// -----

#id = affine_map<(d0) -> (d0)>

// Slices of different slices are not compared by their offsets.
// CHECK-LABEL: func.func @slices_of_slices
// CHECK: %[[T:.*]] = tensor.extract_slice %{{.*}}[0] [4] [1]
// CHECK-NEXT: %[[COPY:.*]] = bufferization.alloc_tensor() copy(%[[T]])
// CHECK: tensor.extract_slice %[[COPY]][2] [2] [1]
// BUFFER-LABEL: func.func @slices_of_slices
// BUFFER: memref.copy {{.*}} to memref<4xf64>
func.func @slices_of_slices(%V0: tensor<8xf64> {bufferization.writable = false}, %n: index) -> (tensor<8xf64>, f64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %z = arith.constant 0.0 : f64
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%V = %V0, %acc = %z) -> (tensor<8xf64>, f64) {
    %T = tensor.extract_slice %V[0] [4] [1] : tensor<8xf64> to tensor<4xf64>
    %p = tensor.extract_slice %T[2] [2] [1] : tensor<4xf64> to tensor<2xf64>
    %q = linalg.generic {indexing_maps = [#id], iterator_types = ["parallel"]} outs(%p : tensor<2xf64>) {
    ^bb0(%a: f64):
      %e = math.exp %a : f64
      linalg.yield %e : f64
    } -> tensor<2xf64>
    %T1 = tensor.insert_slice %q into %T[2] [2] [1] : tensor<2xf64> into tensor<4xf64>
    %V1 = tensor.insert_slice %T1 into %V[0] [4] [1] : tensor<4xf64> into tensor<8xf64>
    %s = tensor.extract %q[%c0] : tensor<2xf64>
    %T2 = tensor.extract_slice %V[2] [4] [1] : tensor<8xf64> to tensor<4xf64>
    %r0 = tensor.extract_slice %T2[0] [2] [1] : tensor<4xf64> to tensor<2xf64>
    %em = tensor.empty() : tensor<f64>
    %zf = linalg.fill ins(%s : f64) outs(%em : tensor<f64>) -> tensor<f64>
    %sum = linalg.generic {indexing_maps = [#id, affine_map<(d0) -> ()>], iterator_types = ["reduction"]} ins(%r0 : tensor<2xf64>) outs(%zf : tensor<f64>) {
    ^bb0(%a: f64, %b: f64):
      %e = arith.addf %a, %b : f64
      linalg.yield %e : f64
    } -> tensor<f64>
    %t = tensor.extract %sum[] : tensor<f64>
    scf.yield %V1, %t : tensor<8xf64>, f64
  }
  return %r#0, %r#1 : tensor<8xf64>, f64
}

// -----

#id = affine_map<(d0) -> (d0)>

// A part is read while another one is overwritten that may share elements with
// it: a copy of the part is read, and the rest is in place.
// CHECK-LABEL: func.func @part_read_by_update
func.func @part_read_by_update(%x: tensor<4x3xf64> {bufferization.writable = false}, %p: tensor<4xindex>, %n: index) -> tensor<4x3xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: scf.for {{.*}} iter_args(%[[A:.*]] = %{{.*}})
  // CHECK: %[[J:.*]] = tensor.extract %
  // CHECK: %[[S:.*]] = tensor.extract_slice %[[A]][%[[J]], 1]
  // CHECK: %[[COPY:.*]] = bufferization.alloc_tensor() copy(%[[S]])
  // CHECK: linalg.generic {{.*}} ins(%[[COPY]] : tensor<2xf64>)
  // CHECK: %[[B:.*]] = tensor.insert_slice
  // CHECK: scf.yield %[[B]]
  // BUFFER-LABEL: func.func @part_read_by_update
  // BUFFER: scf.for
  // BUFFER: memref.copy {{.*}} to memref<2xf64>
  // BUFFER-NOT: memref.copy {{.*}} to memref<4x3xf64>
  // BUFFER: return
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<4x3xf64> {
    %j = tensor.extract %p[%i] : tensor<4xindex>
    %s = tensor.extract_slice %a[%j, 1] [1, 2] [1, 1] : tensor<4x3xf64> to tensor<2xf64>
    %t = tensor.extract_slice %a[%i, 0] [1, 2] [1, 1] : tensor<4x3xf64> to tensor<2xf64>
    %u = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%s : tensor<2xf64>) outs(%t : tensor<2xf64>) {
    ^bb0(%v: f64, %w: f64):
      %0 = arith.addf %v, %w : f64
      linalg.yield %0 : f64
    } -> tensor<2xf64>
    %b = tensor.insert_slice %u into %a[%i, 0] [1, 2] [1, 1] : tensor<2xf64> into tensor<4x3xf64>
    scf.yield %b : tensor<4x3xf64>
  }
  return %r : tensor<4x3xf64>
}

// -----

#id = affine_map<(d0) -> (d0)>

// A loop begins with a row that is overwritten before: with a copy of the row.
// CHECK-LABEL: func.func @loop_begins_with_part
func.func @loop_begins_with_part(%x: tensor<4x2xf64> {bufferization.writable = false}, %n: index) -> (tensor<4x2xf64>, tensor<2xf64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<2xf64>
  %init = linalg.fill ins(%zero : f64) outs(%e : tensor<2xf64>) -> tensor<2xf64>
  // CHECK: scf.for {{.*}} iter_args(%[[A:[^ ]*]] = %
  // CHECK: %[[S:.*]] = tensor.extract_slice %[[A]]{{.*}} to tensor<2xf64>
  // CHECK: %[[COPY:.*]] = bufferization.alloc_tensor() copy(%[[S]])
  // CHECK: linalg.fill
  // CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[COPY]])
  // CHECK: %[[B:.*]] = tensor.insert_slice {{.*}} into %[[A]]
  // CHECK: scf.yield %[[B]],
  // BUFFER-LABEL: func.func @loop_begins_with_part
  // BUFFER: scf.for
  // BUFFER: memref.copy {{.*}} to memref<2xf64>
  // BUFFER-NOT: memref.copy {{.*}} to memref<4x2xf64>
  // BUFFER: return
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x, %s = %init) -> (tensor<4x2xf64>, tensor<2xf64>) {
    %old = tensor.extract_slice %a[%i, 0] [1, 2] [1, 1] : tensor<4x2xf64> to tensor<1x2xf64>
    %row = tensor.extract_slice %a[%i, 0] [1, 2] [1, 1] : tensor<4x2xf64> to tensor<2xf64>
    %zeros = linalg.fill ins(%zero : f64) outs(%old : tensor<1x2xf64>) -> tensor<1x2xf64>
    %b = tensor.insert_slice %zeros into %a[%i, 0] [1, 2] [1, 1] : tensor<1x2xf64> into tensor<4x2xf64>
    %w = scf.for %j = %c0 to %i step %c1 iter_args(%v = %row) -> tensor<2xf64> {
      %f = tensor.empty() : tensor<2xf64>
      %next = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%v : tensor<2xf64>) outs(%f : tensor<2xf64>) {
      ^bb0(%in: f64, %out: f64):
        %0 = arith.addf %in, %in : f64
        linalg.yield %0 : f64
      } -> tensor<2xf64>
      scf.yield %next : tensor<2xf64>
    }
    %t = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%w : tensor<2xf64>) outs(%s : tensor<2xf64>) {
    ^bb0(%in: f64, %out: f64):
      %0 = arith.addf %in, %out : f64
      linalg.yield %0 : f64
    } -> tensor<2xf64>
    scf.yield %b, %t : tensor<4x2xf64>, tensor<2xf64>
  }
  return %r#0, %r#1 : tensor<4x2xf64>, tensor<2xf64>
}

// -----

// Rows change places in a branch: of the one that is overwritten first there is
// a copy, made before.
// CHECK-LABEL: func.func @rows_change_places
func.func @rows_change_places(%x: tensor<4x2xf64> {bufferization.writable = false}, %c: i1, %n: index) -> tensor<4x2xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: scf.for {{.*}} iter_args(%[[A:.*]] = %{{.*}})
  // CHECK: scf.if
  // CHECK: tensor.extract_slice %[[A]][%{{.*}}, 0]
  // CHECK: bufferization.alloc_tensor() copy
  // CHECK: tensor.insert_slice
  // CHECK-NOT: tensor<4x2xf64> into tensor<4x2xf64>
  // CHECK: scf.yield
  // BUFFER-LABEL: func.func @rows_change_places
  // BUFFER: scf.for
  // BUFFER-NOT: memref.copy {{.*}} to memref<4x2xf64>
  // BUFFER: return
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<4x2xf64> {
    %b = scf.if %c -> tensor<4x2xf64> {
      %s = tensor.extract_slice %a[%i, 0] [1, 2] [1, 1] : tensor<4x2xf64> to tensor<1x2xf64>
      %d = tensor.insert_slice %s into %a[0, 0] [1, 2] [1, 1] : tensor<1x2xf64> into tensor<4x2xf64>
      %t = tensor.extract_slice %a[0, 0] [1, 2] [1, 1] : tensor<4x2xf64> to tensor<1x2xf64>
      %e = tensor.insert_slice %t into %d[%i, 0] [1, 2] [1, 1] : tensor<1x2xf64> into tensor<4x2xf64>
      scf.yield %e : tensor<4x2xf64>
    } else {
      scf.yield %a : tensor<4x2xf64>
    }
    scf.yield %b : tensor<4x2xf64>
  }
  return %r : tensor<4x2xf64>
}

// -----

// What a branch has overwritten is one of its results: that is copied, not what
// it updates.
// CHECK-LABEL: func.func @overwritten_in_branch
func.func @overwritten_in_branch(%x: tensor<4xf64> {bufferization.writable = false}, %c: i1, %n: index) -> (tensor<4xf64>, tensor<1xf64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %one = arith.constant 1.0 : f64
  %last = tensor.empty() : tensor<1xf64>
  // CHECK: scf.for {{.*}} iter_args(%[[A:[^ ]*]] = %
  // CHECK: scf.if
  // CHECK: %[[S:.*]] = tensor.extract_slice %[[A]][%{{.*}}] [1] [1]
  // CHECK: bufferization.alloc_tensor() copy(%[[S]])
  // CHECK: tensor.insert %{{.*}} into %[[A]]
  // BUFFER-LABEL: func.func @overwritten_in_branch
  // BUFFER: scf.for
  // BUFFER-NOT: memref.copy {{.*}} to memref<4xf64>
  // BUFFER: return
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x, %l = %last) -> (tensor<4xf64>, tensor<1xf64>) {
    %b:2 = scf.if %c -> (tensor<4xf64>, tensor<1xf64>) {
      %s = tensor.extract_slice %a[%i] [1] [1] : tensor<4xf64> to tensor<1xf64>
      %d = tensor.insert %one into %a[%i] : tensor<4xf64>
      scf.yield %d, %s : tensor<4xf64>, tensor<1xf64>
    } else {
      scf.yield %a, %l : tensor<4xf64>, tensor<1xf64>
    }
    scf.yield %b#0, %b#1 : tensor<4xf64>, tensor<1xf64>
  }
  return %r#0, %r#1 : tensor<4xf64>, tensor<1xf64>
}

// -----

#map = affine_map<(d0) -> (d0)>

// The next value is computed from an updated one, element by element: in it.
// CHECK-LABEL: func.func @computed_from_update
func.func @computed_from_update(%x: tensor<4xf64> {bufferization.writable = false}, %n: index) -> tensor<4xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %one = arith.constant 1.0 : f64
  // CHECK: scf.for {{.*}} iter_args(%[[A:.*]] = %{{.*}})
  // CHECK: %[[B:.*]] = tensor.insert %{{.*}} into %[[A]]
  // CHECK: %[[C:.*]] = linalg.generic {{.*}} ins(%[[B]] : {{.*}} outs(%[[B]] :
  // CHECK: scf.yield %[[C]]
  // BUFFER-LABEL: func.func @computed_from_update
  // BUFFER: scf.for
  // BUFFER-NOT: memref.copy
  // BUFFER: }
  // BUFFER: return
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<4xf64> {
    %b = tensor.insert %one into %a[%i] : tensor<4xf64>
    %empty = tensor.empty() : tensor<4xf64>
    %c = linalg.generic {indexing_maps = [#map, #map], iterator_types = ["parallel"]} ins(%b : tensor<4xf64>) outs(%empty : tensor<4xf64>) {
    ^bb0(%v: f64, %w: f64):
      %0 = math.exp %v : f64
      linalg.yield %0 : f64
    } -> tensor<4xf64>
    scf.yield %c : tensor<4xf64>
  }
  return %r : tensor<4xf64>
}

// -----

#whole = affine_map<(d0, d1) -> (d0, d1)>
#column = affine_map<(d0, d1) -> (d1)>

// So is one that is computed from a row, too, beside something else: from a copy
// of the row.
// CHECK-LABEL: func.func @computed_from_row
func.func @computed_from_row(%x: tensor<4x2xf64> {bufferization.writable = false}, %n: index) -> (tensor<4x2xf64>, tensor<4x2xf64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %init = tensor.empty() : tensor<4x2xf64>
  // CHECK: scf.for {{.*}} iter_args(%[[A:.*]] = %{{.*}}, %[[Y:.*]] = %{{.*}})
  // CHECK: %[[ROW:.*]] = tensor.extract_slice %[[A]]
  // CHECK: %[[COPY:.*]] = bufferization.alloc_tensor() copy(%[[ROW]])
  // CHECK: %[[B:.*]]:2 = linalg.generic {{.*}} ins(%[[A]], %[[COPY]] : {{.*}} outs(%[[A]], %[[Y]] :
  // CHECK: scf.yield %[[B]]#0, %[[B]]#1
  // BUFFER-LABEL: func.func @computed_from_row
  // BUFFER: scf.for
  // BUFFER: memref.copy {{.*}} to memref<2xf64>
  // BUFFER-NOT: memref.copy
  // BUFFER: }
  // BUFFER: return
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x, %y = %init) -> (tensor<4x2xf64>, tensor<4x2xf64>) {
    %row = tensor.extract_slice %a[%i, 0] [1, 2] [1, 1] : tensor<4x2xf64> to tensor<2xf64>
    %empty = tensor.empty() : tensor<4x2xf64>
    %other = tensor.empty() : tensor<4x2xf64>
    %b:2 = linalg.generic {indexing_maps = [#whole, #column, #whole, #whole], iterator_types = ["parallel", "parallel"]} ins(%a, %row : tensor<4x2xf64>, tensor<2xf64>) outs(%empty, %other : tensor<4x2xf64>, tensor<4x2xf64>) {
    ^bb0(%v: f64, %w: f64, %out: f64, %more: f64):
      %0 = arith.addf %v, %w : f64
      %1 = arith.mulf %v, %w : f64
      linalg.yield %0, %1 : f64, f64
    } -> (tensor<4x2xf64>, tensor<4x2xf64>)
    scf.yield %b#0, %b#1 : tensor<4x2xf64>, tensor<4x2xf64>
  }
  return %r#0, %r#1 : tensor<4x2xf64>, tensor<4x2xf64>
}

// -----

// Of many parts that are read, only those count that need a copy: here the one
// that is read behind the update of the rest.
// CHECK-LABEL: func.func @many_parts
func.func @many_parts(%x: tensor<6xf64> {bufferization.writable = false}, %n: index) -> tensor<6xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: scf.for {{.*}} iter_args(%[[A:.*]] = %{{.*}})
  // CHECK: bufferization.alloc_tensor() copy(%{{.*}}) : tensor<4xf64>
  // CHECK-NOT: bufferization.alloc_tensor() copy(%{{.*}}) : tensor<6xf64>
  // CHECK: scf.yield
  // BUFFER-LABEL: func.func @many_parts
  // BUFFER: scf.for
  // BUFFER-NOT: memref.copy {{.*}} to memref<6xf64>
  // BUFFER: }
  // BUFFER: return
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<6xf64> {
    %middle = tensor.extract_slice %a[1] [4] [1] : tensor<6xf64> to tensor<4xf64>
    %left = tensor.extract_slice %a[0] [4] [1] : tensor<6xf64> to tensor<4xf64>
    %b = linalg.exp ins(%middle : tensor<4xf64>) outs(%left : tensor<4xf64>) -> tensor<4xf64>
    %c = tensor.insert_slice %b into %a[0] [4] [1] : tensor<4xf64> into tensor<6xf64>
    %right = tensor.extract_slice %c[2] [4] [1] : tensor<6xf64> to tensor<4xf64>
    %d = linalg.add ins(%middle, %right : tensor<4xf64>, tensor<4xf64>) outs(%right : tensor<4xf64>) -> tensor<4xf64>
    %e = tensor.insert_slice %d into %c[2] [4] [1] : tensor<4xf64> into tensor<6xf64>
    scf.yield %e : tensor<6xf64>
  }
  return %r : tensor<6xf64>
}

// -----

// Insertions that wait for the same read keep their order.
// CHECK-LABEL: func.func @chain_that_waits
func.func @chain_that_waits(%x: tensor<6xf64>, %u: tensor<1xf64>, %n: index) -> tensor<6xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: scf.for {{.*}} iter_args(%[[A:.*]] = %{{.*}})
  // CHECK: %[[B:.*]] = tensor.insert_slice %{{.*}} into %{{.*}}[0] [1] [1]
  // CHECK: %[[C:.*]] = tensor.insert_slice %{{.*}} into %[[B]][3] [1] [1]
  // CHECK: linalg.add ins(%[[C]], %[[B]]
  // BUFFER-LABEL: func.func @chain_that_waits
  // BUFFER: scf.for
  // BUFFER: return
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<6xf64> {
    %b = tensor.insert_slice %u into %a[0] [1] [1] : tensor<1xf64> into tensor<6xf64>
    %c = tensor.insert_slice %u into %b[3] [1] [1] : tensor<1xf64> into tensor<6xf64>
    %empty = tensor.empty() : tensor<6xf64>
    %exp = linalg.exp ins(%a : tensor<6xf64>) outs(%empty : tensor<6xf64>) -> tensor<6xf64>
    %sum = linalg.add ins(%c, %b : tensor<6xf64>, tensor<6xf64>) outs(%empty : tensor<6xf64>) -> tensor<6xf64>
    %next = linalg.mul ins(%sum, %exp : tensor<6xf64>, tensor<6xf64>) outs(%empty : tensor<6xf64>) -> tensor<6xf64>
    scf.yield %next : tensor<6xf64>
  }
  return %r : tensor<6xf64>
}

// -----

// What a loop fills is filled where it is kept, in two loops, too.
// CHECK-LABEL: func.func @kept
// CHECK-SAME: %[[X:.*]]: tensor<6xf64>, %[[N:.*]]: index, %[[Y:.*]]: tensor<2xf64>
// CHECK: scf.for %[[I:.*]] = {{.*}} iter_args(%[[S:.*]] = %{{.*}}) -> (tensor<3x4x6xf64>)
// CHECK: scf.for %[[J:.*]] = {{.*}} iter_args(%[[T:.*]] = %[[S]]) -> (tensor<3x4x6xf64>)
// CHECK-NEXT: %[[U:.*]] = tensor.insert_slice %[[Y]] into %[[T]][%[[I]], %[[J]], 4] [1, 1, 2] [1, 1, 1]
// CHECK: %[[V:.*]] = scf.for %[[K:.*]] = {{.*}} iter_args(%[[W:.*]] = %[[U]]) -> (tensor<3x4x6xf64>)
// CHECK-NEXT: %[[E:.*]] = tensor.extract %[[X]][%[[K]]]
// CHECK-NEXT: %[[P:.*]] = tensor.insert %[[E]] into %[[W]][%[[I]], %[[J]], %[[K]]]
// CHECK-NEXT: scf.yield %[[P]]
// CHECK: scf.yield %[[V]]
// BUFFER-LABEL: func.func @kept
// BUFFER: memref.alloc() : memref<3x4x6xf64>
// BUFFER-NOT: memref.alloc
// BUFFER: memref.store %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}, %{{.*}}] : memref<3x4x6xf64>
// BUFFER-NOT: memref.copy
// BUFFER: return
func.func @kept(%x: tensor<6xf64>, %n: index, %y: tensor<2xf64>) -> tensor<3x4x6xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %c4 = arith.constant 4 : index
  %all = tensor.empty() : tensor<3x4x6xf64>
  %r = scf.for %i = %c0 to %c3 step %c1 iter_args(%s = %all) -> tensor<3x4x6xf64> {
    %e = tensor.empty() : tensor<4x6xf64>
    %0 = scf.for %j = %c0 to %c4 step %c1 iter_args(%t = %e) -> tensor<4x6xf64> {
      %4 = tensor.insert_slice %y into %t[%j, 4] [1, 2] [1, 1] : tensor<2xf64> into tensor<4x6xf64>
      %f = tensor.empty() : tensor<6xf64>
      %1 = scf.for %k = %c0 to %n step %c1 iter_args(%u = %f) -> tensor<6xf64> {
        %2 = tensor.extract %x[%k] : tensor<6xf64>
        %3 = tensor.insert %2 into %u[%k] : tensor<6xf64>
        scf.yield %3 : tensor<6xf64>
      }
      %5 = tensor.insert_slice %1 into %4[%j, 0] [1, 6] [1, 1] : tensor<6xf64> into tensor<4x6xf64>
      scf.yield %5 : tensor<4x6xf64>
    }
    %6 = tensor.insert_slice %0 into %s[%i, 0, 0] [1, 4, 6] [1, 1, 1] : tensor<4x6xf64> into tensor<3x4x6xf64>
    scf.yield %6 : tensor<3x4x6xf64>
  }
  return %r : tensor<3x4x6xf64>
}

// -----

// What the loop reads of the other tensor is not to be overwritten before.
// CHECK-LABEL: func.func @read
// CHECK: scf.for {{.*}} iter_args(%[[S:.*]] = %{{.*}}) -> (tensor<3x6xf64>)
// CHECK: scf.for {{.*}} -> (tensor<6xf64>)
func.func @read(%x: tensor<3x6xf64>, %n: index, %m: index) -> tensor<3x6xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %r = scf.for %i = %c0 to %c3 step %c1 iter_args(%s = %x) -> tensor<3x6xf64> {
    %e = tensor.empty() : tensor<6xf64>
    %0 = scf.for %k = %c0 to %n step %c1 iter_args(%u = %e) -> tensor<6xf64> {
      %2 = tensor.extract %s[%m, %k] : tensor<3x6xf64>
      %3 = tensor.insert %2 into %u[%k] : tensor<6xf64>
      scf.yield %3 : tensor<6xf64>
    }
    %1 = tensor.insert_slice %0 into %s[%i, 0] [1, 6] [1, 1] : tensor<6xf64> into tensor<3x6xf64>
    scf.yield %1 : tensor<3x6xf64>
  }
  return %r : tensor<3x6xf64>
}
