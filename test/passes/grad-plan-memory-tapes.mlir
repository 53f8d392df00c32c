// RUN: gradopt %s --grad-plan-memory -split-input-file -verify-diagnostics | FileCheck %s

// Tapes have addresses before all other buffers, the same ones if they are used
// one after the other. 24 bytes are written in an iteration.
// CHECK-LABEL: func.func @main
// CHECK-SAME: grad.arena_bytes = 2199023255584 : i64
// CHECK-SAME: grad.tape_bytes = 24 : i64
// CHECK-DAG: arith.constant 1099511627776 : index
// CHECK-DAG: arith.constant 2199023255552 : index
func.func @main(%x: memref<4xf64>, %r: memref<1xf64>, %i: index) {
  %a = memref.alloc() : memref<137438953472xf64>
  %b = memref.alloc() : memref<68719476736x2xf64>
  %t = memref.alloc() : memref<4xf64>
  linalg.transpose ins(%x : memref<4xf64>) outs(%t : memref<4xf64>) permutation = [0]
  %s = memref.subview %a[%i] [1] [1] : memref<137438953472xf64> to memref<1xf64, strided<[1], offset: ?>>
  %u = memref.subview %b[%i, 0] [1, 1] [1, 1] : memref<68719476736x2xf64> to memref<1xf64, strided<[1], offset: ?>>
  memref.copy %s, %u : memref<1xf64, strided<[1], offset: ?>> to memref<1xf64, strided<[1], offset: ?>>
  linalg.transpose ins(%t : memref<4xf64>) outs(%x : memref<4xf64>) permutation = [0]
  %c = memref.alloc() : memref<137438953472xf64>
  %v = memref.subview %c[%i] [1] [1] : memref<137438953472xf64> to memref<1xf64, strided<[1], offset: ?>>
  memref.copy %v, %r : memref<1xf64, strided<[1], offset: ?>> to memref<1xf64>
  return
}

// -----

func.func @main(%i: index) {
  %zero = arith.constant 0.0 : f64
  %a = memref.alloc() : memref<137438953472xf64>
  // expected-error@+1 {{would go over all places of what a loop with checkpoint="all" and an unknown number of iterations keeps}}
  linalg.fill ins(%zero : f64) outs(%a : memref<137438953472xf64>)
  return
}
