// RUN: gradopt %s --grad-results-to-destinations | FileCheck %s
// RUN: gradopt %s --grad-results-to-destinations --grad-bufferize \
// RUN:   | FileCheck %s --check-prefix=BUFFERS

// Results of any kind: computed, an argument, a constant, the same one twice.
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[X:[^:]+]]: tensor<4xf64> {bufferization.writable = false}
// CHECK-SAME: %[[R0:[^:]+]]: memref<4xf64> {grad.result}
// CHECK-SAME: %[[R1:[^:]+]]: memref<4xf64> {grad.result}
// CHECK-SAME: %[[R2:[^:]+]]: memref<4xf64> {grad.result}
// CHECK-SAME: %[[R3:[^:]+]]: memref<4xf64> {grad.result}) {
// CHECK: %[[Y:.*]] = linalg.exp
// CHECK: bufferization.materialize_in_destination %[[Y]] in restrict writable %[[R0]]
// CHECK: bufferization.materialize_in_destination %[[X]] in restrict writable %[[R1]]
// CHECK: bufferization.materialize_in_destination %{{.*}} in restrict writable %[[R2]]
// CHECK: bufferization.materialize_in_destination %[[Y]] in restrict writable %[[R3]]
// CHECK: return

// BUFFERS-LABEL: func.func @main
// BUFFERS-SAME: %[[X:[^:]+]]: memref<4xf64>, %[[R0:[^:]+]]: memref<4xf64> {grad.result}, %[[R1:[^:]+]]: memref<4xf64>
// BUFFERS-SAME: %[[R2:[^:]+]]: memref<4xf64> {grad.result}, %[[R3:[^:]+]]: memref<4xf64>
// BUFFERS: %[[C:.*]] = memref.get_global
// BUFFERS-NOT: memref.alloc
// BUFFERS: linalg.exp ins(%[[X]] : memref<4xf64>) outs(%[[R0]] : memref<4xf64>)
// BUFFERS: memref.copy %[[X]], %[[R1]]
// BUFFERS: memref.copy %[[C]], %[[R2]]
// BUFFERS: memref.copy %[[R0]], %[[R3]]
func.func @main(%x: tensor<4xf64>) -> (tensor<4xf64>, tensor<4xf64>, tensor<4xf64>, tensor<4xf64>) {
  %c = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf64>
  %e = tensor.empty() : tensor<4xf64>
  %y = linalg.exp ins(%x : tensor<4xf64>) outs(%e : tensor<4xf64>) -> tensor<4xf64>
  return %y, %x, %c, %y : tensor<4xf64>, tensor<4xf64>, tensor<4xf64>, tensor<4xf64>
}

// An argument is never written, even where its value dies in an update.
// BUFFERS-LABEL: func.func @update
// BUFFERS-SAME: %[[X:[^:]+]]: memref<4xf64>, %[[V:[^:]+]]: memref<1xf64>, %[[R:[^:]+]]: memref<4xf64>
// BUFFERS: memref.copy %[[X]],
// BUFFERS-NOT: memref.copy {{.*}}, %[[X]]
func.func @update(%x: tensor<4xf64>, %v: tensor<1xf64>) -> tensor<4xf64> {
  %y = tensor.insert_slice %v into %x[2] [1] [1] : tensor<1xf64> into tensor<4xf64>
  return %y : tensor<4xf64>
}

// CHECK-LABEL: func.func private @helper(%{{.*}}: tensor<4xf64>) -> tensor<4xf64> {
func.func private @helper(%x: tensor<4xf64>) -> tensor<4xf64> {
  return %x : tensor<4xf64>
}

// A value that is read after the update made from it is not made where the
// result of the update goes.
// CHECK-LABEL: func.func @shared
// CHECK: bufferization.materialize_in_destination %{{.*}} in writable
// CHECK: bufferization.materialize_in_destination %{{.*}} in restrict writable
// BUFFERS-LABEL: func.func @shared
// BUFFERS-SAME: %[[V:[^:]+]]: memref<1xf64>, %[[UPDATED:[^:]+]]: memref<4xf64> {grad.result}, %[[ZEROS:[^:]+]]: memref<4xf64>
// BUFFERS: linalg.fill ins(%{{.*}} : f64) outs(%[[ZEROS]] : memref<4xf64>)
// BUFFERS-NOT: memref.copy %[[UPDATED]]
// BUFFERS: return
func.func @shared(%v: tensor<1xf64>) -> (tensor<4xf64>, tensor<4xf64>) {
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<4xf64>
  %zeros = linalg.fill ins(%zero : f64) outs(%e : tensor<4xf64>) -> tensor<4xf64>
  %updated = tensor.insert_slice %v into %zeros[2] [1] [1] : tensor<1xf64> into tensor<4xf64>
  return %updated, %zeros : tensor<4xf64>, tensor<4xf64>
}

// An argument that is reused is updated in place, where nothing reads its old
// value later.
// CHECK-LABEL: func.func @reused
// CHECK-SAME: %[[X:[^:]+]]: tensor<4xf64> {bufferization.writable = true}
// CHECK-SAME: %[[R:[^:]+]]: memref<4xf64> {grad.result}) {
// CHECK: %[[BUFFER:.*]] = bufferization.to_buffer %[[X]] read_only
// CHECK: bufferization.materialize_in_destination %{{.*}} in {{.*}}writable %[[R]]
// CHECK: %[[W:.*]] = bufferization.materialize_in_destination %{{.*}} in %[[X]]
// CHECK: bufferization.materialize_in_destination %[[W]] in writable %[[BUFFER]]
// BUFFERS-LABEL: func.func @reused
// BUFFERS-SAME: %[[X:[^:]+]]: memref<4xf64>, %[[R:[^:]+]]: memref<4xf64> {grad.result}
// BUFFERS-NOT: memref.alloc
// BUFFERS: memref.copy %[[X]], %[[R]]
// BUFFERS: linalg.exp ins(%[[X]] : memref<4xf64>) outs(%[[X]] : memref<4xf64>)
// BUFFERS: return
func.func @reused(%x: tensor<4xf64> {grad.reused_for = 1}) -> (tensor<4xf64>, tensor<4xf64>) {
  %e = tensor.empty() : tensor<4xf64>
  %old = bufferization.materialize_in_destination %x in %e : (tensor<4xf64>, tensor<4xf64>) -> tensor<4xf64>
  %y = linalg.exp ins(%x : tensor<4xf64>) outs(%e : tensor<4xf64>) -> tensor<4xf64>
  return %old, %y : tensor<4xf64>, tensor<4xf64>
}

// So is one in a loop that also sums up what it had: each iteration reads the
// element that it writes. Where another one reads it too, nothing is in place.
// BUFFERS-LABEL: func.func @reused_and_summed
// BUFFERS-SAME: %[[X:[^:]+]]: memref<4x3xf64>, %[[SUM:[^:]+]]: memref<f64> {grad.result}
// BUFFERS-NOT: memref.alloc
// BUFFERS: linalg.generic {{.*}} ins(%[[X]] : memref<4x3xf64>) outs(%[[SUM]], %[[X]] : memref<f64>, memref<4x3xf64>)
// BUFFERS: return
#sum = affine_map<(i, j) -> ()>
#all = affine_map<(i, j) -> (i, j)>
func.func @reused_and_summed(%x: tensor<4x3xf64> {grad.reused_for = 1}) -> (tensor<f64>, tensor<4x3xf64>) {
  %zero = arith.constant 0.0 : f64
  %s = tensor.empty() : tensor<f64>
  %e = tensor.empty() : tensor<4x3xf64>
  %start = linalg.fill ins(%zero : f64) outs(%s : tensor<f64>) -> tensor<f64>
  %r:2 = linalg.generic {indexing_maps = [#all, #sum, #all], iterator_types = ["reduction", "reduction"]}
      ins(%x : tensor<4x3xf64>) outs(%start, %e : tensor<f64>, tensor<4x3xf64>) {
  ^bb0(%a: f64, %sum: f64, %out: f64):
    %next = arith.addf %sum, %a : f64
    %half = arith.divf %a, %sum : f64
    linalg.yield %next, %half : f64, f64
  } -> (tensor<f64>, tensor<4x3xf64>)
  return %r#0, %r#1 : tensor<f64>, tensor<4x3xf64>
}

// BUFFERS-LABEL: func.func @reused_transposed
// BUFFERS-SAME: %[[X:[^:]+]]: memref<4x4xf64>, %[[SUM:[^:]+]]: memref<f64> {grad.result}
// BUFFERS: %[[NEW:.*]] = memref.alloc
// BUFFERS: linalg.generic {{.*}} outs(%[[SUM]], %[[NEW]] :
// BUFFERS: memref.copy %[[NEW]], %[[X]]
#turned = affine_map<(i, j) -> (j, i)>
func.func @reused_transposed(%x: tensor<4x4xf64> {grad.reused_for = 1}) -> (tensor<f64>, tensor<4x4xf64>) {
  %zero = arith.constant 0.0 : f64
  %s = tensor.empty() : tensor<f64>
  %e = tensor.empty() : tensor<4x4xf64>
  %start = linalg.fill ins(%zero : f64) outs(%s : tensor<f64>) -> tensor<f64>
  %r:2 = linalg.generic {indexing_maps = [#all, #turned, #sum, #all], iterator_types = ["reduction", "reduction"]}
      ins(%x, %x : tensor<4x4xf64>, tensor<4x4xf64>) outs(%start, %e : tensor<f64>, tensor<4x4xf64>) {
  ^bb0(%a: f64, %b: f64, %sum: f64, %out: f64):
    %next = arith.addf %sum, %a : f64
    %difference = arith.subf %a, %b : f64
    linalg.yield %next, %difference : f64, f64
  } -> (tensor<f64>, tensor<4x4xf64>)
  return %r#0, %r#1 : tensor<f64>, tensor<4x4xf64>
}

// Two arguments that change places need memory for one of them.
// CHECK-LABEL: func.func @swapped
// CHECK-SAME: %[[X:[^:]+]]: tensor<4xf64> {bufferization.writable = true}, %[[Y:[^:]+]]: tensor<4xf64>
// CHECK: bufferization.alloc_tensor() copy(%[[Y]])
// CHECK: bufferization.alloc_tensor() copy(%[[X]])
func.func @swapped(%x: tensor<4xf64> {grad.reused_for = 0}, %y: tensor<4xf64> {grad.reused_for = 1}) -> (tensor<4xf64>, tensor<4xf64>) {
  return %y, %x : tensor<4xf64>, tensor<4xf64>
}

// Bufferization takes what is chosen from for one buffer: neither argument has
// to be updated in place.
// CHECK-LABEL: func.func @chosen
// CHECK-SAME: %[[X:[^:]+]]: tensor<4xf64> {bufferization.writable = true}, %[[Y:[^:]+]]: tensor<4xf64>
// CHECK: tensor.insert_slice %{{.*}} into %[[X]][0] [4] [1]
// CHECK: tensor.insert_slice %{{.*}} into %[[Y]][0] [4] [1]
// BUFFERS-LABEL: func.func @chosen
func.func @chosen(%x: tensor<4xf64> {grad.reused_for = 0}, %y: tensor<4xf64> {grad.reused_for = 1}, %c: i1) -> (tensor<4xf64>, tensor<4xf64>) {
  %0 = arith.select %c, %x, %y : tensor<4xf64>
  return %0, %x : tensor<4xf64>, tensor<4xf64>
}
