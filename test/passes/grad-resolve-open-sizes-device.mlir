// RUN: gradopt %s --grad-resolve-open-sizes=for-device=1 -split-input-file -verify-diagnostics | FileCheck %s

// The caller of what runs on a device says of how many parts the room is, and rows are gone through
// at once.

// CHECK-LABEL: func.func @fill
// CHECK-SAME: %{{[a-z0-9]*}}: memref<i64>, %[[OUT:[a-z0-9]*]]: memref<1061851424x3xf64>, %[[COUNT:[a-z0-9]*]]: memref<i64>, %[[PARTS:[a-z0-9]*]]: index)
// CHECK-DAG: %[[ROOM:.*]] = arith.muli %[[PARTS]], %c32
// CHECK-DAG: %[[WORD:.*]] = arith.index_cast %[[PARTS]] : index to i64
// CHECK: scf.for %[[I:.*]] = %{{.*}} to %[[ROOM]] step %{{.*}} {
// CHECK:   %[[SOME:.*]] = memref.subview %[[OUT]][%[[I]], 0] [64, 3] [1, 1]
// CHECK:   linalg.fill ins(%{{.*}}) outs(%[[SOME]]
// CHECK: } {grad.most_iterations = 16591429 : i64, grad.parallel}
// CHECK: memref.store %[[WORD]], %[[COUNT]]
func.func @fill(%n: memref<i64>, %out: memref<1061851424x3xf64>, %count: memref<i64>)
    attributes {grad.open_sizes = array<i64: 0>} {
  %zero = arith.constant 0.0 : f64
  linalg.fill ins(%zero : f64) outs(%out : memref<1061851424x3xf64>)
  %parts = arith.constant 33182857 : i64
  memref.store %parts, %count[] : memref<i64>
  return
}

// -----

// The arena stays last.
// CHECK-LABEL: func.func @arena
// CHECK-SAME: %[[PARTS:[a-z0-9]*]]: index, %[[ARENA:[a-z0-9]*]]: memref<576xi8>)
// CHECK: %[[ROOM:.*]] = arith.muli %[[PARTS]], %c32
// CHECK: memref.view %[[ARENA]]
func.func @arena(%n: memref<i64>, %out: memref<f64>, %arena: memref<2199023255616xi8>)
    attributes {grad.arena_bytes = 2199023255616 : i64, grad.open_sizes = array<i64: 0>} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %a = memref.view %arena[%c64][] : memref<2199023255616xi8> to memref<1061851424xf64>
  %0 = memref.load %a[%c0] : memref<1061851424xf64>
  memref.store %0, %out[] : memref<f64>
  return
}

// -----

// Sums write the same number in each iteration, and loops in others are not divided again.
// CHECK-LABEL: func.func @sums
// CHECK: linalg.yield
// CHECK-NEXT: }
// CHECK-NEXT: }
// CHECK-NEXT: arith.constant
// CHECK: scf.for
// CHECK: scf.for
// CHECK: memref.copy
// CHECK-NEXT: }
// CHECK-NEXT: } {grad.parallel}
// CHECK-NEXT: return
func.func @sums(%n: memref<i64>, %x: memref<1061851424xf64>, %y: memref<1061851424xf64>,
                %out: memref<f64>)
    attributes {grad.open_sizes = array<i64: 0>} {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>],
                  iterator_types = ["reduction"]}
      ins(%x : memref<1061851424xf64>) outs(%out : memref<f64>) {
  ^bb0(%a: f64, %sum: f64):
    %next = arith.addf %sum, %a : f64
    linalg.yield %next : f64
  }
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %c1 step %c1 {
    memref.copy %x, %y : memref<1061851424xf64> to memref<1061851424xf64>
  } {grad.parallel}
  return
}

// -----

// The host sorts, which calls have no numbers of rows for.
func.func @sort(%n: memref<i64>, %x: memref<1061851424x3xf64>,
                %out: memref<1061851424x3xf64>, %work: memref<3xi64>)
    attributes {grad.open_sizes = array<i64: 0>} {
  // expected-error@+1 {{expected what works on some rows of an array, but got 'memref<1061851424x3xf64>'}}
  grad.sort_into values (%x) outs(%out, %work)
      : (memref<1061851424x3xf64>, memref<1061851424x3xf64>, memref<3xi64>) -> ()
  return
}
