// RUN: gradopt %s --grad-block-loops="for-device=1" -split-input-file | FileCheck %s

// Loops over as many rows as a call has. Where iterations have rows of their
// own, they may run at once; what they allocate is shared memory of a block.

// CHECK-LABEL: func.func @rows(
// CHECK: scf.for
// CHECK: memref.alloc() : memref<64xf64, #gpu.address_space<workgroup>>
// CHECK: } {grad.most_iterations = 4096 : i64, grad.parallel}
func.func @rows(%x: memref<4096x64xf64>, %n: memref<i64>, %y: memref<4096x64xf64>)
    attributes {grad.argument_sizes = array<i64: 0, 0, 1>} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0 : i64
  %last = arith.constant 4095 : i64
  %size = memref.load %n[] : memref<i64>
  %end = arith.index_cast %size : i64 to index
  scf.for %i = %c0 to %end step %c1 {
    %0 = arith.index_cast %i : index to i64
    %1 = arith.maxsi %0, %zero : i64
    %2 = arith.minsi %1, %last : i64
    %row = arith.index_cast %2 : i64 to index
    %from = memref.subview %x[%row, 0] [1, 64] [1, 1] : memref<4096x64xf64> to memref<64xf64, strided<[1], offset: ?>>
    %to = memref.subview %y[%row, 0] [1, 64] [1, 1] : memref<4096x64xf64> to memref<64xf64, strided<[1], offset: ?>>
    %t = memref.alloc() : memref<64xf64>
    linalg.exp ins(%from : memref<64xf64, strided<[1], offset: ?>>) outs(%t : memref<64xf64>)
    linalg.tanh ins(%t : memref<64xf64>) outs(%to : memref<64xf64, strided<[1], offset: ?>>)
  }
  return
}

// -----

// From the last row to the first one.

// CHECK-LABEL: func.func @backwards(
// CHECK: } {grad.max_trip_count = 4096 : i64, grad.most_iterations = 4096 : i64, grad.parallel}
func.func @backwards(%end: index, %y: memref<4096x64xf64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %last = arith.constant 4095 : index
  %most = arith.subi %end, %c1 : index
  scf.for %i = %c0 to %end step %c1 {
    %0 = arith.subi %most, %i : index
    %1 = arith.maxsi %0, %c0 : index
    %row = arith.minsi %1, %last : index
    %to = memref.subview %y[%row, 0] [1, 64] [1, 1] : memref<4096x64xf64> to memref<64xf64, strided<[1], offset: ?>>
    linalg.exp ins(%to : memref<64xf64, strided<[1], offset: ?>>) outs(%to : memref<64xf64, strided<[1], offset: ?>>)
  } {grad.max_trip_count = 4096 : i64}
  return
}

// -----

// Tiles of rows.

// CHECK-LABEL: func.func @tiles(
// CHECK: } {grad.max_trip_count = 128 : i64, grad.most_iterations = 128 : i64, grad.parallel}
// Those of one iteration are also those of the next one.
// CHECK: scf.for
// CHECK-NOT: grad.parallel
// CHECK: return
func.func @tiles(%end: index, %y: memref<4096x64xf64>, %z: memref<4096x64xf64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c32 = arith.constant 32 : index
  scf.for %i = %c0 to %end step %c1 {
    %row = arith.muli %i, %c32 : index
    %to = memref.subview %y[%row, 0] [32, 64] [1, 1] : memref<4096x64xf64> to memref<32x64xf64, strided<[64, 1], offset: ?>>
    linalg.exp ins(%to : memref<32x64xf64, strided<[64, 1], offset: ?>>) outs(%to : memref<32x64xf64, strided<[64, 1], offset: ?>>)
  } {grad.max_trip_count = 128 : i64}
  scf.for %i = %c0 to %end step %c1 {
    %row = arith.muli %i, %c32 : index
    %to = memref.subview %z[%row, 0] [33, 64] [1, 1] : memref<4096x64xf64> to memref<33x64xf64, strided<[64, 1], offset: ?>>
    linalg.exp ins(%to : memref<33x64xf64, strided<[64, 1], offset: ?>>) outs(%to : memref<33x64xf64, strided<[64, 1], offset: ?>>)
  } {grad.max_trip_count = 127 : i64}
  return
}

// -----

// What reads the row before the one that it writes, what may write the last row
// more than once, sums, and what is little work, stay in order.

// CHECK-LABEL: func.func @in_order(
// CHECK-NOT: grad.parallel
func.func @in_order(%end: index, %y: memref<4096x64xf64>, %sum: memref<64xf64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %less = arith.constant 4000 : index
  scf.for %i = %c0 to %end step %c1 {
    %next = arith.addi %i, %c1 : index
    %from = memref.subview %y[%i, 0] [1, 64] [1, 1] : memref<4096x64xf64> to memref<64xf64, strided<[1], offset: ?>>
    %to = memref.subview %y[%next, 0] [1, 64] [1, 1] : memref<4096x64xf64> to memref<64xf64, strided<[1], offset: ?>>
    linalg.exp ins(%from : memref<64xf64, strided<[1], offset: ?>>) outs(%to : memref<64xf64, strided<[1], offset: ?>>)
  } {grad.max_trip_count = 4095 : i64}
  scf.for %i = %c0 to %end step %c1 {
    %row = arith.minsi %i, %less : index
    %to = memref.subview %y[%row, 0] [1, 64] [1, 1] : memref<4096x64xf64> to memref<64xf64, strided<[1], offset: ?>>
    linalg.exp ins(%to : memref<64xf64, strided<[1], offset: ?>>) outs(%to : memref<64xf64, strided<[1], offset: ?>>)
  } {grad.max_trip_count = 4096 : i64}
  scf.for %i = %c0 to %end step %c1 {
    %from = memref.subview %y[%i, 0] [1, 64] [1, 1] : memref<4096x64xf64> to memref<64xf64, strided<[1], offset: ?>>
    linalg.add ins(%from, %sum : memref<64xf64, strided<[1], offset: ?>>, memref<64xf64>) outs(%sum : memref<64xf64>)
  } {grad.max_trip_count = 4096 : i64}
  scf.for %i = %c0 to %end step %c1 {
    %to = memref.subview %y[%i, 0] [1, 64] [1, 1] : memref<4096x64xf64> to memref<64xf64, strided<[1], offset: ?>>
    linalg.exp ins(%to : memref<64xf64, strided<[1], offset: ?>>) outs(%to : memref<64xf64, strided<[1], offset: ?>>)
  } {grad.max_trip_count = 50 : i64}
  return
}

// -----

// Sums become those of chunks: a number that a loop carries, and a buffer that
// one op adds to. What is there before is added in the end.

// CHECK-LABEL: func.func @sums(
// CHECK-SAME: %[[END:.*]]: index, %[[X:.*]]: memref<4096x64xf64>, %[[SUM:.*]]: memref<64xf64>, %[[OUT:.*]]: memref<f64>
// CHECK-DAG: %[[START:.*]] = arith.constant 5.0
// CHECK-DAG: %[[PARTS:.*]] = memref.alloc() : memref<128x64xf64>
// CHECK-DAG: %[[NUMBERS:.*]] = memref.alloc() : memref<128xf64>
// CHECK: linalg.fill {{.*}} outs(%[[PARTS]]
// CHECK: scf.for %[[CHUNK:.*]] = %c0{{.*}} to %c128{{.*}} step %c1
// CHECK: %[[PART:.*]] = memref.subview %[[PARTS]][%[[CHUNK]], 0] [1, 64] [1, 1]
// CHECK: %[[FOUND:.*]] = scf.for {{.*}} iter_args(%{{.*}} = %cst{{.*}}) -> (f64)
// CHECK: linalg.generic {{.*}} outs(%[[PART]] :
// CHECK: memref.store %[[FOUND]], %[[NUMBERS]][%[[CHUNK]]]
// CHECK-NEXT: } {grad.parallel}
// CHECK: linalg.generic {{.*}} iterator_types = ["reduction", "parallel"]} ins(%[[PARTS]] : {{.*}}) outs(%[[SUM]] :
// CHECK: linalg.generic {{.*}} iterator_types = ["reduction"]} ins(%[[NUMBERS]] : {{.*}}) outs(%[[TOTAL:.*]] :
// CHECK: %[[NUMBER:.*]] = memref.load %[[TOTAL]]
// CHECK: %[[ALL:.*]] = arith.addf %[[START]], %[[NUMBER]]
// CHECK: memref.store %[[ALL]], %[[OUT]]
func.func @sums(%end: index, %x: memref<4096x64xf64>, %sum: memref<64xf64>, %out: memref<f64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %start = arith.constant 5.0 : f64
  %total = scf.for %i = %c0 to %end step %c1 iter_args(%before = %start) -> (f64) {
    %row = memref.subview %x[%i, 0] [1, 64] [1, 1] : memref<4096x64xf64> to memref<64xf64, strided<[1], offset: ?>>
    linalg.generic {indexing_maps = [affine_map<(d) -> (d)>, affine_map<(d) -> (d)>], iterator_types = ["parallel"]}
        ins(%row : memref<64xf64, strided<[1], offset: ?>>) outs(%sum : memref<64xf64>) {
    ^bb0(%a: f64, %b: f64):
      %0 = arith.addf %b, %a fastmath<reassoc> : f64
      linalg.yield %0 : f64
    }
    %first = memref.load %x[%i, %c0] : memref<4096x64xf64>
    %next = arith.addf %before, %first fastmath<reassoc> : f64
    scf.yield %next : f64
  } {grad.max_trip_count = 4096 : i64}
  memref.store %total, %out[] : memref<f64>
  return
}
