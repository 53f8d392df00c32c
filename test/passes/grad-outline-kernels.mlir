// RUN: gradopt %s --grad-outline-kernels -split-input-file | FileCheck %s
// RUN: gradopt %s --grad-outline-kernels=min-nests=1 -split-input-file | FileCheck %s --check-prefix=ALL

// Equal nests on different buffers are one function.

#id = affine_map<(d0) -> (d0)>

// CHECK-LABEL: func.func @steps(
// CHECK-SAME: %[[X:.*]]: memref<16xf64>, %[[Y:.*]]: memref<16xf64> {grad.result}, %[[ARENA:.*]]: memref<
func.func @steps(%x: memref<16xf64>, %y: memref<16xf64> {grad.result}, %arena: memref<256xi8>)
    attributes {grad.arena_bytes = 256 : i64} {
  %c0 = arith.constant 0 : index
  %c128 = arith.constant 128 : index
  // CHECK: %[[A:.*]] = memref.view %[[ARENA]]
  // CHECK-NEXT: call @[[KERNEL:.*]](%[[X]], %[[A]])
  // CHECK-NEXT: %[[B:.*]] = memref.view %[[ARENA]]
  // CHECK-NEXT: call @[[KERNEL]](%[[A]], %[[B]])
  // CHECK-NEXT: call @[[KERNEL]](%[[B]], %[[Y]])
  // CHECK-NEXT: return
  %a = memref.view %arena[%c0][] : memref<256xi8> to memref<16xf64>
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : memref<16xf64>) outs(%a : memref<16xf64>) {
  ^bb0(%in: f64, %out: f64):
    %0 = math.tanh %in : f64
    linalg.yield %0 : f64
  }
  %b = memref.view %arena[%c128][] : memref<256xi8> to memref<16xf64>
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%a : memref<16xf64>) outs(%b : memref<16xf64>) {
  ^bb0(%in: f64, %out: f64):
    %0 = math.tanh %in : f64
    linalg.yield %0 : f64
  }
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%b : memref<16xf64>) outs(%y : memref<16xf64>) {
  ^bb0(%in: f64, %out: f64):
    %0 = math.tanh %in : f64
    linalg.yield %0 : f64
  }
  return
}
// CHECK: func.func private @[[KERNEL]](%{{.*}}: memref<16xf64> {llvm.noalias}, %{{.*}}: memref<16xf64> {llvm.noalias})
// CHECK-SAME: passthrough = ["noinline"]
// CHECK: linalg.generic
// CHECK-NOT: func.func

// -----

// A function gets the buffer of a view and where the view begins. What has to be
// filled is filled by the function.

#row = affine_map<(d0) -> (d0)>
#sum = affine_map<(d0) -> ()>

// CHECK-LABEL: func.func @rows(
// CHECK-SAME: %[[X:.*]]: memref<3x16xf64>, %[[Y:.*]]: memref<f64> {grad.result}, %[[Z:.*]]: memref<f64> {grad.result}
func.func @rows(%x: memref<3x16xf64>, %y: memref<f64> {grad.result}, %z: memref<f64> {grad.result},
                %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64} {
  %zero = arith.constant 0.0 : f64
  // CHECK: %[[AT16:.*]] = arith.constant 16 : index
  // CHECK: call @[[KERNEL:.*]](%[[Y]], %[[X]], %[[AT16]])
  // CHECK: %[[AT32:.*]] = arith.constant 32 : index
  // CHECK: call @[[KERNEL]](%[[Z]], %[[X]], %[[AT32]])
  %row1 = memref.subview %x[1, 0] [1, 16] [1, 1]
      : memref<3x16xf64> to memref<16xf64, strided<[1], offset: 16>>
  linalg.fill ins(%zero : f64) outs(%y : memref<f64>)
  linalg.generic {indexing_maps = [#row, #sum], iterator_types = ["reduction"]}
      ins(%row1 : memref<16xf64, strided<[1], offset: 16>>) outs(%y : memref<f64>) {
  ^bb0(%in: f64, %out: f64):
    %0 = arith.addf %in, %out : f64
    linalg.yield %0 : f64
  }
  %row2 = memref.subview %x[2, 0] [1, 16] [1, 1]
      : memref<3x16xf64> to memref<16xf64, strided<[1], offset: 32>>
  linalg.fill ins(%zero : f64) outs(%z : memref<f64>)
  linalg.generic {indexing_maps = [#row, #sum], iterator_types = ["reduction"]}
      ins(%row2 : memref<16xf64, strided<[1], offset: 32>>) outs(%z : memref<f64>) {
  ^bb0(%in: f64, %out: f64):
    %0 = arith.addf %in, %out : f64
    linalg.yield %0 : f64
  }
  return
}
// CHECK: func.func private @[[KERNEL]](%[[OUT:.*]]: memref<f64> {llvm.noalias}, %[[IN:.*]]: memref<3x16xf64> {llvm.noalias}, %[[OFFSET:.*]]: index)
// CHECK: %[[ROW:.*]] = memref.reinterpret_cast %[[IN]] to offset: [%[[OFFSET]]], sizes: [16], strides: [1]
// CHECK: linalg.fill ins(%{{.*}}) outs(%[[OUT]]
// CHECK: linalg.generic {{.*}} ins(%[[ROW]]

// -----

// Where a view begins may be known at run time only.

#row = affine_map<(d0) -> (d0)>

// CHECK-LABEL: func.func @dynamic_rows(
// CHECK-SAME: %[[X:.*]]: memref<3x16xf64>, %[[I:.*]]: index, %[[Y:.*]]: memref<16xf64>
// CHECK: %[[ROW:.*]] = memref.subview %[[X]][%[[I]], 0]
// CHECK: %{{.*}}, %[[AT:.*]], %{{.*}}, %{{.*}} = memref.extract_strided_metadata %[[ROW]]
// CHECK: call @[[KERNEL:.*]](%[[X]], %[[Y]], %[[AT]])
// CHECK: %[[FIRST:.*]] = arith.constant 16 : index
// CHECK: call @[[KERNEL]](%[[X]], %[[Y]], %[[FIRST]])
func.func @dynamic_rows(%x: memref<3x16xf64>, %i: index, %y: memref<16xf64> {grad.result}, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64} {
  %row = memref.subview %x[%i, 0] [1, 16] [1, 1]
      : memref<3x16xf64> to memref<16xf64, strided<[1], offset: ?>>
  linalg.generic {indexing_maps = [#row, #row], iterator_types = ["parallel"]}
      ins(%row : memref<16xf64, strided<[1], offset: ?>>) outs(%y : memref<16xf64>) {
  ^bb0(%in: f64, %out: f64):
    %0 = arith.addf %in, %out : f64
    linalg.yield %0 : f64
  }
  %row1 = memref.subview %x[1, 0] [1, 16] [1, 1]
      : memref<3x16xf64> to memref<16xf64, strided<[1], offset: 16>>
  linalg.generic {indexing_maps = [#row, #row], iterator_types = ["parallel"]}
      ins(%row1 : memref<16xf64, strided<[1], offset: 16>>) outs(%y : memref<16xf64>) {
  ^bb0(%in: f64, %out: f64):
    %0 = arith.addf %in, %out : f64
    linalg.yield %0 : f64
  }
  return
}

// -----

// A short program of different nests stays as it is, unless asked.

#id = affine_map<(d0) -> (d0)>

// CHECK-LABEL: func.func @short(
// CHECK: linalg.generic
// CHECK-NOT: call
// CHECK-LABEL: func.func @in_place(
// ALL-LABEL: func.func @short(
// ALL: call @kernel
// ALL-NOT: linalg.generic
// ALL: func.func private @kernel
func.func @short(%x: memref<16xf64>, %y: memref<16xf64> {grad.result}, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64} {
  linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : memref<16xf64>) outs(%y : memref<16xf64>) {
  ^bb0(%in: f64, %out: f64):
    %0 = math.tanh %in : f64
    linalg.yield %0 : f64
  }
  return
}

// -----

// Buffers in the same bytes of the arena may not be told apart, others may.

#id = affine_map<(d0) -> (d0)>

// ALL-LABEL: func.func @in_place(
// ALL: func.func private @kernel(%{{.*}}: memref<16xf64>, %{{.*}}: memref<16xf64> {llvm.noalias}, %{{.*}}: memref<16xf64>) attributes
func.func @in_place(%x: memref<16xf64>, %y: memref<16xf64> {grad.result}, %arena: memref<128xi8>)
    attributes {grad.arena_bytes = 128 : i64} {
  %c0 = arith.constant 0 : index
  %a = memref.view %arena[%c0][] : memref<128xi8> to memref<16xf64>
  %b = memref.view %arena[%c0][] : memref<128xi8> to memref<16xf64>
  linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%a, %x : memref<16xf64>, memref<16xf64>) outs(%b : memref<16xf64>) {
  ^bb0(%in: f64, %other: f64, %out: f64):
    %0 = arith.addf %in, %other : f64
    linalg.yield %0 : f64
  }
  return
}

// -----

// Loops that call a BLAS stay where they are.

// ALL-LABEL: func.func @batches(
// ALL: scf.for
// ALL-NOT: @kernel
func.func private @gemm(index)
func.func @batches(%x: memref<16xf64>, %arena: memref<0xi8>) attributes {grad.arena_bytes = 0 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  scf.for %i = %c0 to %c4 step %c1 {
    func.call @gemm(%i) : (index) -> ()
  }
  return
}

// -----

// A loop whose results are used, and buffers that a value selects: no function
// returns the former, and nothing is known about the latter.
// CHECK-LABEL: func.func @results_and_choices
// ALL-LABEL: func.func @results_and_choices
// ALL: scf.for
// ALL: call @kernel(
// ALL: func.func private @kernel(%{{[^:]*}}: memref<16xf64>, %{{[^:]*}}: memref<16xf64>)
func.func @results_and_choices(%x: memref<16xf64>, %y: memref<16xf64>, %c: i1, %arena: memref<256xi8>)
    attributes {grad.arena_bytes = 256 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %zero = arith.constant 0.0 : f64
  %sum = scf.for %i = %c0 to %c16 step %c1 iter_args(%s = %zero) -> f64 {
    %v = memref.load %x[%i] : memref<16xf64>
    %t = arith.addf %s, %v : f64
    scf.yield %t : f64
  }
  memref.store %sum, %x[%c0] : memref<16xf64>
  %0 = arith.select %c, %x, %y : memref<16xf64>
  linalg.exp ins(%x : memref<16xf64>) outs(%0 : memref<16xf64>)
  return
}

// -----

// A fill does not move behind another one, which may write the same memory.

// ALL-LABEL: func.func @fills_in_order(
// ALL-SAME: %[[X:.*]]: memref<16xf64>, %[[Y:.*]]: memref<16xf64> {grad.result}, %[[S:.*]]: memref<f64> {grad.result}
// ALL: call @{{.*}}(%[[Y]])
// ALL-NEXT: call @{{.*}}(%[[S]], %[[X]])
// ALL-NEXT: call @{{.*}}(%[[S]])
// ALL-NEXT: call @{{.*}}(%[[Y]])
// ALL-NEXT: call @{{.*}}(%[[X]], %[[S]])
// ALL-NEXT: return
func.func @fills_in_order(%x: memref<16xf64>, %y: memref<16xf64> {grad.result}, %s: memref<f64> {grad.result}, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64} {
  %zero = arith.constant 0.0 : f64
  %one = arith.constant 1.0 : f64
  linalg.fill ins(%one : f64) outs(%y : memref<16xf64>)
  linalg.fill ins(%zero : f64) outs(%s : memref<f64>)
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>], iterator_types = ["reduction"]}
      ins(%x : memref<16xf64>) outs(%s : memref<f64>) {
  ^bb0(%in: f64, %out: f64):
    %0 = arith.addf %in, %out : f64
    linalg.yield %0 : f64
  }
  linalg.fill ins(%zero : f64) outs(%s : memref<f64>)
  linalg.fill ins(%zero : f64) outs(%y : memref<16xf64>)
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>], iterator_types = ["reduction"]}
      ins(%x : memref<16xf64>) outs(%s : memref<f64>) {
  ^bb0(%in: f64, %out: f64):
    %0 = arith.mulf %in, %out : f64
    linalg.yield %0 : f64
  }
  return
}

// -----

// Handles on one global are one buffer; a chosen buffer may be any.

#id = affine_map<(d0) -> (d0)>
#rv = affine_map<(d0) -> (15 - d0)>

memref.global "private" @g : memref<16xf64> = uninitialized

// ALL-LABEL: func.func @places(
func.func @places(%x: memref<16xf64>, %c: i1, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64} {
  %g1 = memref.get_global @g : memref<16xf64>
  %g2 = memref.get_global @g : memref<16xf64>
  // ALL: call @[[GLOBAL:[a-z0-9_]+]](
  linalg.generic {indexing_maps = [#rv, #id, #id], iterator_types = ["parallel"]}
      ins(%g1, %x : memref<16xf64>, memref<16xf64>) outs(%g2 : memref<16xf64>) {
  ^bb0(%a: f64, %b: f64, %out: f64):
    %0 = arith.addf %a, %b : f64
    linalg.yield %0 : f64
  }
  %s = arith.select %c, %x, %g1 : memref<16xf64>
  // ALL: call @[[CHOSEN:[a-z0-9_]+]](
  linalg.generic {indexing_maps = [#rv, #id, #id], iterator_types = ["parallel"]}
      ins(%s, %g1 : memref<16xf64>, memref<16xf64>) outs(%x : memref<16xf64>) {
  ^bb0(%a: f64, %b: f64, %out: f64):
    %0 = arith.subf %a, %b : f64
    linalg.yield %0 : f64
  }
  return
}
// ALL: func.func private @[[GLOBAL]](%{{[a-z0-9]*}}: memref<16xf64>, %{{[a-z0-9]*}}: memref<16xf64> {llvm.noalias}, %{{[a-z0-9]*}}: memref<16xf64>)
// ALL: func.func private @[[CHOSEN]](%{{[a-z0-9]*}}: memref<16xf64>, %{{[a-z0-9]*}}: memref<16xf64>, %{{[a-z0-9]*}}: memref<16xf64>)
