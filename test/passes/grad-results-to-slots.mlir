// RUN: gradopt %s --grad-results-to-slots -split-input-file | FileCheck %s

// What kernels return gets a place in the arena. Kernels that use it load it; the
// list loads what it needs itself.

// CHECK-LABEL: func.func @main(
// CHECK-SAME: %[[A:[a-z0-9]+]]: memref<4xf64>, %[[ARENA:[a-z0-9]+]]: memref<[[BYTES:[0-9]+]]xi8>
// CHECK-SAME: grad.arena_bytes = [[BYTES]] : i64
// CHECK-DAG: %[[N:.*]] = memref.view %[[ARENA]][%{{.*}}][] : memref<[[BYTES]]xi8> to memref<index>
// CHECK-DAG: %[[X:.*]] = memref.view %[[ARENA]][%{{.*}}][] : memref<[[BYTES]]xi8> to memref<f64>
// CHECK: call @numbers(%[[A]], %[[N]], %[[X]]) : (memref<4xf64>, memref<index>, memref<f64>) -> ()
// CHECK-NEXT: %[[END:.*]] = memref.load %[[N]][]
// CHECK-NEXT: scf.for {{.*}} to %[[END]]
// CHECK-NEXT: call @[[USE:use[_0-9]*]](%[[A]], %[[X]]) : (memref<4xf64>, memref<f64>) -> ()
func.func @main(%a: memref<4xf64>, %arena: memref<512xi8>)
    attributes {grad.arena_bytes = 512 : i64, grad.command_frame = 0 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n, %x = func.call @numbers(%a) : (memref<4xf64>) -> (index, f64)
  scf.for %i = %c0 to %n step %c1 {
    func.call @use(%a, %x) : (memref<4xf64>, f64) -> ()
  }
  return
}
// CHECK: func.func private @numbers(%[[A:.*]]: memref<4xf64> {llvm.noalias}, %[[N:.*]]: memref<index> {llvm.noalias}, %[[X:.*]]: memref<f64> {llvm.noalias}) {
// CHECK-DAG: memref.store %{{.*}}, %[[X]][] : memref<f64>
// CHECK-DAG: memref.store %{{.*}}, %[[N]][] : memref<index>
// CHECK: return
// CHECK-NEXT: }
func.func private @numbers(%a: memref<4xf64> {llvm.noalias}) -> (index, f64) {
  %c3 = arith.constant 3 : index
  %x = memref.load %a[%c3] : memref<4xf64>
  return %c3, %x : index, f64
}
// CHECK-NOT: func.func private @use(%{{.*}}: memref<4xf64>, %{{.*}}: f64)
// CHECK: func.func private @[[USE]](%[[A:.*]]: memref<4xf64>, %[[SLOT:.*]]: memref<f64> {llvm.noalias}) {
// CHECK-NEXT: %[[X:.*]] = memref.load %[[SLOT]][]
// CHECK: memref.store %[[X]], %[[A]]
func.func private @use(%a: memref<4xf64>, %x: f64) {
  %c0 = arith.constant 0 : index
  memref.store %x, %a[%c0] : memref<4xf64>
  return
}

// -----

// Who calls a kernel with a number that is not in memory calls it as it was.
// Each call that returns something has places of its own.

// CHECK-LABEL: func.func @main(
// CHECK: call @double(%{{.*}}, %[[P:.*]]) : (f64, memref<f64>) -> ()
// CHECK-NEXT: call @[[DOUBLE:double_[0-9]+]](%[[P]], %[[Q:.*]]) : (memref<f64>, memref<f64>) -> ()
// CHECK-NEXT: call @[[STORE:.*]](%{{.*}}, %[[Q]])
// CHECK-NEXT: return
func.func @main(%a: memref<f64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  %one = arith.constant 1.0 : f64
  %x = func.call @double(%one) : (f64) -> f64
  %y = func.call @double(%x) : (f64) -> f64
  func.call @store(%a, %y) : (memref<f64>, f64) -> ()
  return
}
// CHECK: func.func private @double(%[[X:.*]]: f64, %[[TO:.*]]: memref<f64> {llvm.noalias})
// CHECK-NEXT: %[[Y:.*]] = arith.addf %[[X]], %[[X]]
// CHECK-NEXT: memref.store %[[Y]], %[[TO]][]
func.func private @double(%x: f64) -> f64 {
  %y = arith.addf %x, %x : f64
  return %y : f64
}
func.func private @store(%a: memref<f64>, %x: f64) {
  memref.store %x, %a[] : memref<f64>
  return
}
// CHECK-DAG: func.func private @[[DOUBLE]](%{{.*}}: memref<f64> {llvm.noalias}, %{{.*}}: memref<f64> {llvm.noalias})

// -----

// What a loop carries is read, as the next iteration has another number in its
// place; and so are conditions.

// CHECK-LABEL: func.func @main(
// CHECK: scf.while (%[[X:.*]] = %{{.*}})
// CHECK-NEXT: call @test(%[[X]], %[[C:.*]]) : (f64, memref<i1>) -> ()
// CHECK-NEXT: %[[GOES_ON:.*]] = memref.load %[[C]][]
// CHECK-NEXT: scf.condition(%[[GOES_ON]]) %[[X]]
// CHECK: call @step(%{{.*}}, %[[PLACE:.*]]) : (f64, memref<f64>) -> ()
// CHECK-NEXT: %[[NEXT:.*]] = memref.load %[[PLACE]][]
// CHECK-NEXT: scf.yield %[[NEXT]]
func.func @main(%arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  %one = arith.constant 1.0 : f64
  %r = scf.while (%x = %one) : (f64) -> f64 {
    %c = func.call @test(%x) : (f64) -> i1
    scf.condition(%c) %x : f64
  } do {
  ^bb0(%x: f64):
    %next = func.call @step(%x) : (f64) -> f64
    scf.yield %next : f64
  }
  return
}
func.func private @test(%x: f64) -> i1 {
  %ten = arith.constant 10.0 : f64
  %c = arith.cmpf olt, %x, %ten : f64
  return %c : i1
}
func.func private @step(%x: f64) -> f64 {
  %y = arith.addf %x, %x : f64
  return %y : f64
}

// -----

// Nothing is returned: nothing changes. Functions that are no lists are left
// alone.

// CHECK-LABEL: func.func @main(
// CHECK-SAME: memref<16xi8>
// CHECK-SAME: grad.arena_bytes = 16
// CHECK-NEXT: call @nothing() : () -> ()
func.func @main(%arena: memref<16xi8>)
    attributes {grad.arena_bytes = 16 : i64, grad.command_frame = 0 : i64} {
  func.call @nothing() : () -> ()
  return
}
func.func private @nothing() {
  return
}
// CHECK: call @number() : () -> f64
func.func @no_list(%arena: memref<16xi8>) -> f64 {
  %x = func.call @number() : () -> f64
  return %x : f64
}
// CHECK: func.func private @number() -> f64
func.func private @number() -> f64 {
  %x = arith.constant 1.0 : f64
  return %x : f64
}

// -----

// A complex number has a slot of 16 bytes, at a multiple of them, which kernels load.

// CHECK-LABEL: func.func @main(
// CHECK-SAME: memref<96xi8>
// CHECK-DAG: %[[N:.*]] = memref.view %{{.*}}[%c64][] : memref<96xi8> to memref<f32>
// CHECK-DAG: %[[X:.*]] = memref.view %{{.*}}[%c80][] : memref<96xi8> to memref<complex<f64>>
// CHECK: call @number(%[[N]], %[[X]])
// CHECK: call @[[USER:use[_0-9]*]](%[[X]]) : (memref<complex<f64>>) -> ()
func.func @main(%arena: memref<16xi8>)
    attributes {grad.arena_bytes = 16 : i64, grad.command_frame = 0 : i64} {
  %n, %x = func.call @number() : () -> (f32, complex<f64>)
  func.call @use(%x) : (complex<f64>) -> ()
  return
}
func.func private @number() -> (f32, complex<f64>) {
  %x = complex.constant [1.0, 2.0] : complex<f64>
  %n = arith.constant 1.0 : f32
  return %n, %x : f32, complex<f64>
}
// CHECK: func.func private @[[USER]](%[[SLOT:.*]]: memref<complex<f64>>
// CHECK-NEXT: memref.load %[[SLOT]][]
func.func private @use(%x: complex<f64>) {
  %re = complex.re %x : complex<f64>
  return
}

// -----

// What nobody needs is not read back.

// CHECK-LABEL: func.func @main(
// CHECK: call @number(
// CHECK-NEXT: return
func.func @main(%a: memref<4xf64>, %arena: memref<512xi8>)
    attributes {grad.arena_bytes = 512 : i64, grad.command_frame = 0 : i64} {
  %n = func.call @number(%a) : (memref<4xf64>) -> i64
  %m = arith.index_cast %n : i64 to index
  return
}
func.func private @number(%a: memref<4xf64>) -> i64 {
  %c3 = arith.constant 3 : i64
  return %c3 : i64
}
