// RUN: gradopt %s --grad-resolve-open-sizes -split-input-file | FileCheck %s

// The number 1061851424 stands for how many rows there is room for.

// CHECK-LABEL: func.func @fill
// CHECK-SAME: %[[N:[a-z0-9]*]]: memref<i64>, %[[OUT:[a-z0-9]*]]: memref<1061851424x3xf64>
// CHECK: %[[LEAST:.*]] = arith.constant 64 : index
// CHECK: %[[WORD:.*]] = memref.load %[[N]][]
// CHECK: %[[ROWS:.*]] = arith.index_cast %[[WORD]]
// CHECK: %[[MOST:.*]] = arith.maxsi %[[LEAST]], %[[ROWS]]
// CHECK: %[[MORE:.*]] = arith.addi %[[MOST]], %c63
// CHECK: %[[STEPS:.*]] = arith.divui %[[MORE]], %c64
// CHECK: %[[ROOM:.*]] = arith.muli %[[STEPS]], %c64
// CHECK: scf.for %[[I:.*]] = %{{.*}} to %[[ROOM]] step %{{.*}} {
// CHECK:   %[[SOME:.*]] = memref.subview %[[OUT]][%[[I]], 0] [64, 3] [1, 1]
// CHECK:   linalg.fill ins(%{{.*}}) outs(%[[SOME]]
func.func @fill(%n: memref<i64>, %out: memref<1061851424x3xf64>)
    attributes {grad.open_sizes = array<i64: 0>} {
  %zero = arith.constant 0.0 : f64
  linalg.fill ins(%zero : f64) outs(%out : memref<1061851424x3xf64>)
  return
}

// -----

// Twice the room and one more, row by row; a 32nd of it.
// CHECK-LABEL: func.func @sizes
// CHECK: %[[ROOM:.*]] = arith.muli %{{.*}}, %c64
// CHECK-DAG: %[[PARTS:.*]] = arith.divui %[[ROOM]], %c32
// CHECK-DAG: %[[WORD:.*]] = arith.index_cast %[[PARTS]] : index to i64
// CHECK-DAG: %[[TWICE:.*]] = arith.muli %[[ROOM]], %c2
// CHECK-DAG: %[[MORE:.*]] = arith.addi %[[TWICE]], %c1
// CHECK: scf.for %{{.*}} = %{{.*}} to %[[MORE]] step %c1
// CHECK:   memref.copy {{.*}} memref<1xf64
// CHECK: memref.store %[[WORD]]
func.func @sizes(%n: memref<i64>, %x: memref<2123702849xf64>,
                 %out: memref<2123702849xf64>, %count: memref<i64>)
    attributes {grad.open_sizes = array<i64: 0>} {
  memref.copy %x, %out : memref<2123702849xf64> to memref<2123702849xf64>
  %parts = arith.constant 33182857 : i64
  memref.store %parts, %count[] : memref<i64>
  return
}

// -----

// Room for 100 rows at least; the second buffer is behind the first one, and
// both are behind 64 bytes.
// CHECK-LABEL: func.func @arena
// CHECK-SAME: %[[ARENA:[a-z0-9]*]]: memref<2112xi8>
// CHECK: arith.constant 128 : index
// CHECK: %[[ROOM:.*]] = arith.muli %{{.*}}, %c64
// CHECK: %[[BYTES:.*]] = arith.muli %[[ROOM]], %c8
// CHECK: %[[BEGIN:.*]] = arith.addi %[[BYTES]], %c64
// CHECK: memref.view %[[ARENA]][%{{.*}}][] : memref<2112xi8> to memref<1061851424xf64>
// CHECK: memref.view %[[ARENA]][%[[BEGIN]]][]
// CHECK-SAME: grad.bytes = array<i64: 2199023255616, 2207518067008>
func.func @arena(%n: memref<i64>, %out: memref<f64>, %arena: memref<4398046511168xi8>)
    attributes {grad.arena_bytes = 4398046511168 : i64, grad.least_room = 100 : i64,
                grad.open_sizes = array<i64: 0>} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %second = arith.constant 2199023255616 : index
  %a = memref.view %arena[%c64][] : memref<4398046511168xi8> to memref<1061851424xf64>
  %b = memref.view %arena[%second][] : memref<4398046511168xi8> to memref<1061851424xf64>
  %0 = memref.load %a[%c0] : memref<1061851424xf64>
  memref.store %0, %b[%c0] : memref<1061851424xf64>
  memref.store %0, %out[] : memref<f64>
  return
}

// -----

// Positions in bodies are those of rows.
// CHECK-LABEL: func.func @positions
// CHECK: scf.for %[[I:.*]] =
// CHECK: linalg.generic
// CHECK: %[[INDEX:.*]] = linalg.index 0
// CHECK: arith.addi %[[INDEX]], %[[I]]
func.func @positions(%n: memref<i64>, %out: memref<1061851424xindex>)
    attributes {grad.open_sizes = array<i64: 0>} {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
      outs(%out : memref<1061851424xindex>) {
  ^bb0(%old: index):
    %i = linalg.index 0 : index
    linalg.yield %i : index
  }
  return
}

// -----

// Where rows are columns, distances are computed: three times as many rows as
// there is room for and two more, times four.
// CHECK-LABEL: func.func @columns
// CHECK-SAME: %{{[a-z0-9]*}}: memref<i64>, %[[X:[a-z0-9]*]]: memref<5x3185554274x4xf64>
// CHECK: %[[ROOM:.*]] = arith.muli %{{.*}}, %c64
// CHECK: %[[THRICE:.*]] = arith.muli %[[ROOM]], %c3
// CHECK: %[[SIZE:.*]] = arith.addi %[[THRICE]], %c2
// CHECK: %[[STRIDE:.*]] = arith.muli %[[SIZE]], %c4
// CHECK: %[[COLUMNS:.*]] = memref.reinterpret_cast %[[X]]
// CHECK-SAME: sizes: [5, 3185554274, 4], strides: [%[[STRIDE]], 4, 1]
// CHECK: %[[PART:.*]] = memref.subview %[[COLUMNS]][1, 0, 0] [1, 1, 4] [1, 1, 1]
// CHECK-SAME: to memref<4xf64, strided<[1], offset: ?>>
// CHECK: memref.load %[[PART]]
func.func @columns(%n: memref<i64>, %x: memref<5x3185554274x4xf64>, %out: memref<f64>)
    attributes {grad.open_sizes = array<i64: 0>} {
  %c0 = arith.constant 0 : index
  %part = memref.subview %x[1, 0, 0] [1, 1, 4] [1, 1, 1]
      : memref<5x3185554274x4xf64> to memref<4xf64, strided<[1], offset: 12742217096>>
  %0 = memref.load %part[%c0] : memref<4xf64, strided<[1], offset: 12742217096>>
  memref.store %0, %out[] : memref<f64>
  return
}

// -----

// What sorts is given as many rows as there is room for.
// CHECK-LABEL: func.func @sort
// CHECK-SAME: %{{[a-z0-9]*}}: memref<i64>, %[[X:[a-z0-9]*]]: memref<1061851424x3xf64>
// CHECK: %[[ROOM:.*]] = arith.muli %{{.*}}, %c64
// CHECK: %[[ROWS:.*]] = memref.subview %[[X]][0, 0] [%[[ROOM]], 3] [1, 1] : {{.*}} to memref<?x3xf64>
// CHECK: grad.sort_into values(%[[ROWS]])
func.func @sort(%n: memref<i64>, %x: memref<1061851424x3xf64>,
                %out: memref<1061851424x3xf64>, %work: memref<3xi64>)
    attributes {grad.open_sizes = array<i64: 0>} {
  grad.sort_into values (%x) outs(%out, %work)
      : (memref<1061851424x3xf64>, memref<1061851424x3xf64>, memref<3xi64>) -> ()
  return
}

// -----

// Without the attribute it is a number like others.
// CHECK-LABEL: func.func @known
// CHECK: arith.constant 1061851424 : index
// CHECK-NOT: scf.for
// CHECK: linalg.fill
func.func @known(%n: memref<index>, %out: memref<1061851424xf64>) {
  %zero = arith.constant 0.0 : f64
  %size = arith.constant 1061851424 : index
  memref.store %size, %n[] : memref<index>
  linalg.fill ins(%zero : f64) outs(%out : memref<1061851424xf64>)
  return
}
