// RUN: gradopt %s --grad-plan-memory -split-input-file -verify-diagnostics | FileCheck %s

// 1061851424 stands for how many rows there is room for, 33182857 for a 32nd of
// it: of these an arena has 2^33 = 8589934592 bytes for each that it takes.

// Behind what is known, %c is beside %b, which takes 8 * 32 bytes for each part,
// and takes 4; %a is gone before.
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[ARENA:[a-z0-9]*]]: memref<2233382993984xi8>
// CHECK-SAME: grad.arena_bytes = 2233382993984 : i64
// CHECK-DAG: %[[SECOND:.*]] = arith.constant 2199023255616 : index
// CHECK-DAG: %[[FIRST:.*]] = arith.constant 64 : index
// CHECK-DAG: %[[KNOWN:.*]] = arith.constant 0 : index
// CHECK: memref.view %[[ARENA]][%[[KNOWN]]][] : {{.*}} to memref<8xf64>
// CHECK: memref.view %[[ARENA]][%[[FIRST]]][] : {{.*}} to memref<1061851424xf64>
// CHECK: memref.view %[[ARENA]][%[[FIRST]]][] : {{.*}} to memref<1061851424xf64>
// CHECK: memref.view %[[ARENA]][%[[SECOND]]][] : {{.*}} to memref<33182857xi32>
func.func @main(%n: memref<i64>, %i: index, %out: memref<f64>, %count: memref<i32>)
    attributes {grad.open_sizes = array<i64: 0>} {
  %d = memref.alloc() : memref<8xf64>
  %a = memref.alloc() : memref<1061851424xf64>
  %b = memref.alloc() : memref<1061851424xf64>
  %0 = memref.load %a[%i] : memref<1061851424xf64>
  memref.store %0, %d[%i] : memref<8xf64>
  memref.store %0, %b[%i] : memref<1061851424xf64>
  %c = memref.alloc() : memref<33182857xi32>
  %1 = memref.load %c[%i] : memref<33182857xi32>
  memref.store %1, %count[] : memref<i32>
  %2 = memref.load %b[%i] : memref<1061851424xf64>
  %3 = memref.load %d[%i] : memref<8xf64>
  %4 = arith.addf %2, %3 : f64
  memref.store %4, %out[] : memref<f64>
  return
}

// -----

// Three quarters of the room and 100 more.
func.func @quarters(%n: memref<i64>, %i: index, %out: memref<f64>)
    attributes {grad.open_sizes = array<i64: 0>} {
  // expected-error@+1 {{expected one open size, of as many rows as there is room for, but got 'memref<796388668xf64>'}}
  %a = memref.alloc() : memref<796388668xf64>
  %0 = memref.load %a[%i] : memref<796388668xf64>
  memref.store %0, %out[] : memref<f64>
  return
}

// -----

func.func @tape(%n: memref<i64>, %i: index, %out: memref<f64>)
    attributes {grad.open_sizes = array<i64: 0>} {
  // expected-error@-2 {{expected no tapes beside open sizes}}
  %a = memref.alloc() : memref<137438953472xf64>
  %0 = memref.load %a[%i] : memref<137438953472xf64>
  memref.store %0, %out[] : memref<f64>
  return
}
