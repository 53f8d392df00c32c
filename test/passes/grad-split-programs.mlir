// RUN: gradopt %s --grad-split-programs=part-size=2 -split-input-file | FileCheck %s
// RUN: gradopt %s --grad-split-programs -split-input-file | FileCheck %s --check-prefix=SHORT

// A part makes the views and constants that it needs, gets the buffers and
// numbers, and returns the numbers that others need.

// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:[^:]+]]: memref<4xf64>, %[[Y:[^:]+]]: memref<4xf64>, %[[ARENA:[^:]+]]: memref<64xi8>)
// CHECK-NEXT: %[[N:.*]] = call @part(%{{.*}}, %{{.*}}) : ({{.*}}) -> f64
// CHECK-NEXT: call @part_0(%{{.*}}) : (
// CHECK-NEXT: return
// CHECK-LABEL: func.func private @part(
// CHECK-SAME: attributes {passthrough = ["noinline"]}
// CHECK: %[[V:.*]] = memref.view
// CHECK: call @kernel(%{{.*}}, %[[V]])
// CHECK: %[[N:.*]] = memref.load %[[V]]
// CHECK: return %[[N]] : f64
// CHECK-LABEL: func.func private @part_0(
// CHECK: %[[V:.*]] = memref.view
// CHECK-NOT: memref.view
// CHECK: call @scale(%[[V]], %{{.*}})
// CHECK: call @kernel(%[[V]], %{{.*}})
// CHECK: return

// SHORT-LABEL: func.func @main
// SHORT: call @kernel
// SHORT-NOT: @part
func.func @main(%x: memref<4xf64>, %y: memref<4xf64>, %arena: memref<64xi8>) attributes {grad.arena_bytes = 64 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = memref.view %arena[%c0][] : memref<64xi8> to memref<4xf64>
  func.call @kernel(%x, %a) : (memref<4xf64>, memref<4xf64>) -> ()
  %n = memref.load %a[%c1] : memref<4xf64>
  func.call @scale(%a, %n) : (memref<4xf64>, f64) -> ()
  func.call @kernel(%a, %y) : (memref<4xf64>, memref<4xf64>) -> ()
  return
}
func.func private @kernel(memref<4xf64>, memref<4xf64>)
func.func private @scale(memref<4xf64>, f64)

// -----

// A view may begin where a number of the same part, or of one before, says.

// CHECK-LABEL: func.func @dynamic
// CHECK-NEXT: %[[N:.*]] = call @part(%{{.*}}) : ({{.*}}) -> index
// CHECK-NEXT: call @part_0(
// CHECK-NEXT: return
// CHECK-LABEL: func.func private @part(
// CHECK: %[[I:.*]] = memref.load
// CHECK: %[[V:.*]] = memref.subview %{{.*}}[%[[I]]]
// CHECK: memref.load %[[V]]
// CHECK: return %[[I]] : index
// CHECK-LABEL: func.func private @part_0(
// CHECK: %[[V:.*]] = memref.subview
// CHECK: memref.store %{{.*}}, %[[V]]
func.func @dynamic(%x: memref<4xindex>, %arena: memref<64xi8>) attributes {grad.arena_bytes = 64 : i64} {
  %c0 = arith.constant 0 : index
  %i = memref.load %x[%c0] : memref<4xindex>
  %v = memref.subview %x[%i] [1] [1] : memref<4xindex> to memref<1xindex, strided<[1], offset: ?>>
  %j = memref.load %v[%c0] : memref<1xindex, strided<[1], offset: ?>>
  memref.store %c0, %v[%c0] : memref<1xindex, strided<[1], offset: ?>>
  memref.store %c0, %x[%c0] : memref<4xindex>
  return
}

// -----

// Loops stay in the program; a part ends where one stands.

// CHECK-LABEL: func.func @loops
// CHECK: call @part(
// CHECK: scf.for
// CHECK: call @part_0(
// CHECK: return
func.func @loops(%x: memref<4xf64>, %arena: memref<64xi8>) attributes {grad.arena_bytes = 64 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %a = memref.load %x[%c0] : memref<4xf64>
  memref.store %a, %x[%c1] : memref<4xf64>
  scf.for %i = %c0 to %c4 step %c1 {
    memref.store %a, %x[%i] : memref<4xf64>
  }
  memref.store %a, %x[%c0] : memref<4xf64>
  memref.store %a, %x[%c1] : memref<4xf64>
  return
}

// -----

// Not a program: its memory is not planned.

// CHECK-LABEL: func.func @unplanned
// CHECK-NOT: call
func.func @unplanned(%x: memref<4xf64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = memref.load %x[%c0] : memref<4xf64>
  memref.store %a, %x[%c1] : memref<4xf64>
  memref.store %a, %x[%c0] : memref<4xf64>
  return
}
