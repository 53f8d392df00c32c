// RUN: gradopt %s --grad-swap-buffers -split-input-file | FileCheck %s

// CHECK-LABEL: func.func @whole
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<4096xf64>
func.func @whole(%x: memref<4096xf64>, %n: index, %z: f64) -> f64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: %[[Y:.*]] = memref.alloc() : memref<4096xf64>
  // CHECK-NEXT: %[[R:.*]]:3 = scf.for {{.*}} iter_args(%[[S:.*]] = %{{.*}}, %[[P:.*]] = %[[X]], %[[Q:.*]] = %[[Y]]) -> (f64, memref<4096xf64>, memref<4096xf64>)
  // CHECK-NEXT: linalg.transpose ins(%[[P]] : {{.*}}) outs(%[[Q]] :
  // CHECK-NEXT: scf.yield %[[S]], %[[Q]], %[[P]]
  // CHECK: memref.copy %[[R]]#1, %[[X]]
  // CHECK: return %[[R]]#0
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%s = %z) -> f64 {
    %t = memref.alloc() : memref<4096xf64>
    linalg.transpose ins(%x : memref<4096xf64>) outs(%t : memref<4096xf64>) permutation = [0]
    memref.copy %t, %x : memref<4096xf64> to memref<4096xf64>
    scf.yield %s : f64
  }
  return %r : f64
}

// -----

// Where a part is copied, the rest is in both buffers.
// CHECK-LABEL: func.func @part
func.func @part(%out: memref<4096xf64>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %z = arith.constant 0.0 : f64
  // CHECK: %[[X:.*]] = memref.alloc()
  // CHECK: linalg.fill {{.*}} outs(%[[X]]
  // CHECK: %[[Y:.*]] = memref.alloc()
  // CHECK: memref.copy %[[X]], %[[Y]]
  // CHECK: scf.for {{.*}} iter_args(%[[P:.*]] = %[[X]], %[[Q:.*]] = %[[Y]])
  // CHECK-DAG: %[[T:.*]] = memref.subview %[[Q]][1] [4094] [1]
  // CHECK-DAG: %[[L:.*]] = memref.subview %[[P]][0] [4094] [1]
  // CHECK: linalg.transpose ins(%[[L]] : {{.*}}) outs(%[[T]] :
  // CHECK-NOT: memref.copy
  // CHECK: scf.yield %[[Q]], %[[P]]
  %x = memref.alloc() : memref<4096xf64>
  linalg.fill ins(%z : f64) outs(%x : memref<4096xf64>)
  scf.for %i = %c0 to %n step %c1 {
    %l = memref.subview %x[0] [4094] [1] : memref<4096xf64> to memref<4094xf64, strided<[1]>>
    %t = memref.alloc() : memref<4094xf64>
    linalg.transpose ins(%l : memref<4094xf64, strided<[1]>>) outs(%t : memref<4094xf64>) permutation = [0]
    %m = memref.subview %x[1] [4094] [1] : memref<4096xf64> to memref<4094xf64, strided<[1], offset: 1>>
    memref.copy %t, %m : memref<4094xf64> to memref<4094xf64, strided<[1], offset: 1>>
  }
  memref.copy %x, %out : memref<4096xf64> to memref<4096xf64>
  return
}

// -----

// The condition of a while loop reads the buffer of its iteration.
// CHECK-LABEL: func.func @while
func.func @while(%x: memref<4096xf64>) {
  // CHECK: scf.while (%[[P:.*]] = %{{.*}}, %[[Q:.*]] = %{{.*}})
  // CHECK: memref.load %[[P]]
  // CHECK: scf.condition(%{{.*}}) %[[P]], %[[Q]]
  // CHECK: ^bb0(%[[A:.*]]: memref<4096xf64>, %[[B:.*]]: memref<4096xf64>):
  // CHECK: linalg.transpose ins(%[[A]] : {{.*}}) outs(%[[B]] :
  // CHECK: scf.yield %[[B]], %[[A]]
  %c0 = arith.constant 0 : index
  %z = arith.constant 0.0 : f64
  scf.while : () -> () {
    %e = memref.load %x[%c0] : memref<4096xf64>
    %p = arith.cmpf olt, %e, %z : f64
    scf.condition(%p)
  } do {
    %t = memref.alloc() : memref<4096xf64>
    linalg.transpose ins(%x : memref<4096xf64>) outs(%t : memref<4096xf64>) permutation = [0]
    memref.copy %t, %x : memref<4096xf64> to memref<4096xf64>
    scf.yield
  }
  return
}

// -----

// CHECK-LABEL: func.func @copied
// CHECK-NOT: iter_args
func.func @copied(%small: memref<4xf64>, %x: memref<4096xf64>, %y: memref<4096xf64>, %w: memref<4096xf64>, %n: index, %z: f64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %v = memref.subview %w[0] [1] [1] : memref<4096xf64> to memref<1xf64, strided<[1]>>
  scf.for %i = %c0 to %n step %c1 {
    // Too small.
    %s = memref.alloc() : memref<4xf64>
    linalg.transpose ins(%small : memref<4xf64>) outs(%s : memref<4xf64>) permutation = [0]
    memref.copy %s, %small : memref<4xf64> to memref<4xf64>
    // Written elsewhere.
    %t = memref.alloc() : memref<4096xf64>
    linalg.transpose ins(%x : memref<4096xf64>) outs(%t : memref<4096xf64>) permutation = [0]
    memref.store %z, %x[%i] : memref<4096xf64>
    memref.copy %t, %x : memref<4096xf64> to memref<4096xf64>
    // Read behind the copy.
    %u = memref.alloc() : memref<4096xf64>
    linalg.transpose ins(%y : memref<4096xf64>) outs(%u : memref<4096xf64>) permutation = [0]
    memref.copy %u, %y : memref<4096xf64> to memref<4096xf64>
    %e = memref.load %y[%i] : memref<4096xf64>
    memref.store %e, %small[%c0] : memref<4xf64>
    // Seen through a view from outside.
    %r = memref.alloc() : memref<4096xf64>
    linalg.transpose ins(%w : memref<4096xf64>) outs(%r : memref<4096xf64>) permutation = [0]
    memref.copy %r, %w : memref<4096xf64> to memref<4096xf64>
    %f = memref.load %v[%c0] : memref<1xf64, strided<[1]>>
    memref.store %f, %small[%c1] : memref<4xf64>
  }
  return
}

// -----

// A loop in a loop swaps its buffers, and leaves the result where it was.
// CHECK-LABEL: func.func @nested
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<4096xf64>
// CHECK: scf.for
// CHECK: %[[R:.*]]:2 = scf.for
// CHECK: memref.copy %[[R]]#0, %[[X]]
// CHECK-NEXT: }
func.func @nested(%x: memref<4096xf64>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    scf.for %j = %c0 to %n step %c1 {
      %t = memref.alloc() : memref<4096xf64>
      linalg.transpose ins(%x : memref<4096xf64>) outs(%t : memref<4096xf64>) permutation = [0]
      memref.copy %t, %x : memref<4096xf64> to memref<4096xf64>
    }
  }
  return
}
