// RUN: gradopt %s --grad-plan-memory -split-input-file | FileCheck %s
// RUN: gradopt %s --grad-plan-memory=in-place=false -split-input-file | FileCheck %s --check-prefix=APART
// RUN: gradopt %s --grad-plan-memory=alignment=8 -split-input-file | FileCheck %s --check-prefix=TIGHT

// The second buffer is live together with the first, the third one is not.
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:[^:]+]]: memref<100xf64>, %[[R:[^:]+]]: memref<f64>, %[[ARENA:[^:]+]]: memref<1632xi8>
// CHECK-SAME: attributes {grad.arena_bytes = 1632 : i64}
// CHECK-DAG: %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG: %[[C832:.*]] = arith.constant 832 : index
// CHECK: %[[A:.*]] = memref.view %[[ARENA]][%[[C0]]][] : memref<1632xi8> to memref<100xf64>
// CHECK: %[[B:.*]] = memref.view %[[ARENA]][%[[C832]]][] : memref<1632xi8> to memref<100xf64>
// CHECK: memref.view %[[ARENA]][%[[C0]]][] : memref<1632xi8> to memref<10x10xf64>
// TIGHT-LABEL: func.func @main
// TIGHT-SAME: grad.arena_bytes = 1600 : i64
func.func @main(%x: memref<100xf64>, %r: memref<f64>) {
  %cst = arith.constant 1.0 : f64
  %a = memref.alloc() : memref<100xf64>
  linalg.fill ins(%cst : f64) outs(%a : memref<100xf64>)
  %b = memref.alloc() : memref<100xf64>
  linalg.fill ins(%cst : f64) outs(%b : memref<100xf64>)
  linalg.dot ins(%a, %b : memref<100xf64>, memref<100xf64>) outs(%r : memref<f64>)
  linalg.dot ins(%b, %x : memref<100xf64>, memref<100xf64>) outs(%r : memref<f64>)
  %c = memref.alloc() : memref<10x10xf64>
  linalg.fill ins(%cst : f64) outs(%c : memref<10x10xf64>)
  %flat = memref.collapse_shape %c [[0, 1]] : memref<10x10xf64> into memref<100xf64>
  linalg.dot ins(%flat, %x : memref<100xf64>, memref<100xf64>) outs(%r : memref<f64>)
  memref.dealloc %a : memref<100xf64>
  return
}

// -----

// Without temporaries there is an arena all the same.
// CHECK-LABEL: func.func @main
// CHECK-SAME: memref<0xi8>) attributes {grad.arena_bytes = 0 : i64}
func.func @main(%x: memref<4xf64>, %r: memref<4xf64>) {
  memref.copy %x, %r : memref<4xf64> to memref<4xf64>
  return
}

// -----

// A chain of elementwise operations runs in place, in the memory of the result.
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:[^:]+]]: memref<4x4xf64>, %[[R:[^:]+]]: memref<4x4xf64>, %{{.*}}: memref<0xi8>
// CHECK: linalg.exp ins(%[[X]] : memref<4x4xf64>) outs(%[[R]] : memref<4x4xf64>)
// CHECK: linalg.add ins(%[[R]], %[[X]] : {{.*}}) outs(%[[R]] :
// CHECK: linalg.mul ins(%[[R]], %[[R]] : {{.*}}) outs(%[[R]] :
// APART-LABEL: func.func @main
// APART: grad.arena_bytes = 256 : i64
func.func @main(%x: memref<4x4xf64>, %r: memref<4x4xf64>) {
  %a = memref.alloc() : memref<4x4xf64>
  linalg.exp ins(%x : memref<4x4xf64>) outs(%a : memref<4x4xf64>)
  %b = memref.alloc() : memref<4x4xf64>
  linalg.add ins(%a, %x : memref<4x4xf64>, memref<4x4xf64>) outs(%b : memref<4x4xf64>)
  linalg.mul ins(%b, %b : memref<4x4xf64>, memref<4x4xf64>) outs(%r : memref<4x4xf64>)
  return
}

// -----

// An operation that reads elsewhere than it writes is not run in place.
// CHECK-LABEL: func.func @main
// CHECK-SAME: grad.arena_bytes = 256 : i64
func.func @main(%x: memref<4x4xf64>, %r: memref<4x4xf64>) {
  %a = memref.alloc() : memref<4x4xf64>
  linalg.exp ins(%x : memref<4x4xf64>) outs(%a : memref<4x4xf64>)
  %b = memref.alloc() : memref<4x4xf64>
  linalg.transpose ins(%a : memref<4x4xf64>) outs(%b : memref<4x4xf64>) permutation = [1, 0]
  linalg.matmul ins(%b, %x : memref<4x4xf64>, memref<4x4xf64>) outs(%r : memref<4x4xf64>)
  return
}

// -----

// A buffer copied to a result, under another shape, is the result.
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:[^:]+]]: memref<6xf64>, %[[R:[^:]+]]: memref<2x3xf64>, %{{.*}}: memref<0xi8>
// CHECK: %[[VIEW:.*]] = memref.reinterpret_cast %[[R]] to offset: [0], sizes: [6], strides: [1]
// CHECK: linalg.exp ins(%[[X]] : memref<6xf64>) outs(%[[VIEW]] : memref<6xf64>)
// CHECK-NOT: memref.copy
func.func @main(%x: memref<6xf64>, %r: memref<2x3xf64>) {
  %a = memref.alloc() : memref<6xf64>
  linalg.exp ins(%x : memref<6xf64>) outs(%a : memref<6xf64>)
  %b = memref.expand_shape %a [[0, 1]] output_shape [2, 3] : memref<6xf64> into memref<2x3xf64>
  memref.copy %b, %r : memref<2x3xf64> to memref<2x3xf64>
  return
}

// -----

// Not if the result is written, or the buffer changed, in between.
// CHECK-LABEL: func.func @main
// CHECK-SAME: grad.arena_bytes = 112 : i64
// CHECK-COUNT-2: memref.copy
func.func @main(%x: memref<6xf64>, %r: memref<6xf64>, %q: memref<6xf64>) {
  %a = memref.alloc() : memref<6xf64>
  linalg.exp ins(%x : memref<6xf64>) outs(%a : memref<6xf64>)
  linalg.exp ins(%x : memref<6xf64>) outs(%r : memref<6xf64>)
  memref.copy %a, %r : memref<6xf64> to memref<6xf64>
  %b = memref.alloc() : memref<6xf64>
  linalg.exp ins(%x : memref<6xf64>) outs(%b : memref<6xf64>)
  memref.copy %b, %q : memref<6xf64> to memref<6xf64>
  linalg.add ins(%a, %x : memref<6xf64>, memref<6xf64>) outs(%b : memref<6xf64>)
  linalg.add ins(%b, %r : memref<6xf64>, memref<6xf64>) outs(%r : memref<6xf64>)
  return
}

// -----

// What a loop reads of a buffer from outside is live during the whole loop; a
// buffer of its body only during an iteration.
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[ARENA:[^:]+]]: memref<448xi8>
// CHECK-DAG: %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG: %[[C128:.*]] = arith.constant 128 : index
// CHECK-DAG: %[[C256:.*]] = arith.constant 256 : index
// CHECK: memref.view %[[ARENA]][%[[C0]]][] : memref<448xi8> to memref<4x4xf64>
// CHECK: scf.for
// CHECK: memref.view %[[ARENA]][%[[C128]]][]
// CHECK: memref.view %[[ARENA]][%[[C256]]][]
// CHECK: }
// CHECK: memref.view %[[ARENA]][%[[C0]]][] : memref<448xi8> to memref<56xf64>
func.func @main(%x: memref<4x4xf64>, %r: memref<4x4xf64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %cst = arith.constant 1.0 : f64
  %a = memref.alloc() : memref<4x4xf64>
  linalg.exp ins(%x : memref<4x4xf64>) outs(%a : memref<4x4xf64>)
  scf.for %i = %c0 to %c9 step %c1 {
    %b = memref.alloc() : memref<4x4xf64>
    linalg.exp ins(%a : memref<4x4xf64>) outs(%b : memref<4x4xf64>)
    %c = memref.alloca() : memref<4x4xf64>
    linalg.transpose ins(%b : memref<4x4xf64>) outs(%c : memref<4x4xf64>) permutation = [1, 0]
    linalg.matmul ins(%c, %c : memref<4x4xf64>, memref<4x4xf64>) outs(%r : memref<4x4xf64>)
  }
  %big = memref.alloc() : memref<56xf64>
  linalg.fill ins(%cst : f64) outs(%big : memref<56xf64>)
  return
}

// -----

// bool takes a byte, a size of zero takes none.
// CHECK-LABEL: func.func @main
// CHECK-SAME: grad.arena_bytes = 5 : i64
func.func @main(%r: memref<5xi1>) {
  %true = arith.constant true
  %a = memref.alloc() : memref<5xi1>
  linalg.fill ins(%true : i1) outs(%a : memref<5xi1>)
  linalg.fill ins(%true : i1) outs(%r : memref<5xi1>)
  %none = memref.alloc() : memref<0x3xi1>
  linalg.fill ins(%true : i1) outs(%none : memref<0x3xi1>)
  memref.copy %a, %r : memref<5xi1> to memref<5xi1>
  return
}

// -----

// A tensor made of a buffer may be read at any time: nothing takes its place.
// CHECK-LABEL: func.func @main
// CHECK-SAME: grad.arena_bytes = 128 : i64
func.func @main(%r: memref<8xf64>) -> tensor<8xf64> {
  %cst = arith.constant 1.0 : f64
  %a = memref.alloc() : memref<8xf64>
  linalg.fill ins(%cst : f64) outs(%a : memref<8xf64>)
  %t = bufferization.to_tensor %a restrict : memref<8xf64> to tensor<8xf64>
  %b = memref.alloc() : memref<8xf64>
  linalg.transpose ins(%r : memref<8xf64>) outs(%b : memref<8xf64>) permutation = [0]
  linalg.add ins(%b, %r : memref<8xf64>, memref<8xf64>) outs(%b : memref<8xf64>)
  linalg.mul ins(%b, %b : memref<8xf64>, memref<8xf64>) outs(%r : memref<8xf64>)
  return %t : tensor<8xf64>
}

// -----

// CHECK-LABEL: func.func @main
// CHECK: memref.copy
func.func @main(%x: memref<*xf64>, %y: memref<*xf64>) {
  memref.copy %x, %y : memref<*xf64> to memref<*xf64>
  return
}
