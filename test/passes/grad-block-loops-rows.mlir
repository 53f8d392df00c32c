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
