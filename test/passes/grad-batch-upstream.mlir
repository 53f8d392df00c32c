// RUN: gradopt %s --grad-batch --canonicalize -split-input-file -verify-diagnostics | FileCheck %s

// A structured op gets a loop in front. What is the same for the whole batch is
// not repeated, and nor is memory that is only written.
// CHECK-DAG: #[[$X:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG: #[[$W:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-DAG: #[[$Y:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
func.func private @layer(%w: tensor<4x3xf64>, %x: tensor<3xf64>, %y: tensor<4xf64>) -> tensor<4xf64> {
  %0 = linalg.matvec ins(%w, %x : tensor<4x3xf64>, tensor<3xf64>) outs(%y : tensor<4xf64>) -> tensor<4xf64>
  %e = tensor.empty() : tensor<4xf64>
  %1 = linalg.exp ins(%0 : tensor<4xf64>) outs(%e : tensor<4xf64>) -> tensor<4xf64>
  return %1 : tensor<4xf64>
}
// CHECK-LABEL: func.func @layers(
// CHECK-SAME: %[[M:.*]]: tensor<4x3xf64>, %[[V:.*]]: tensor<8x3xf64>, %[[B:.*]]: tensor<4xf64>)
func.func @layers(%w: tensor<4x3xf64>, %x: tensor<8x3xf64>, %y: tensor<4xf64>) -> tensor<8x4xf64> {
  // CHECK-DAG: %[[ALL:.*]] = grad.broadcast %[[B]], shape = [8, 4]
  // CHECK: %[[P:.*]] = linalg.generic {indexing_maps = [#[[$W]], #[[$X]], #[[$Y]]], iterator_types = ["parallel", "parallel", "reduction"]}
  // CHECK-SAME: ins(%[[M]], %[[V]] : {{.*}}) outs(%[[ALL]] : tensor<8x4xf64>)
  // CHECK: %[[E:.*]] = tensor.empty() : tensor<8x4xf64>
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]} ins(%[[P]] : {{.*}}) outs(%[[E]]
  %0 = grad.vmap @layer(%w, %x, %y), in_axes = [none, 0, none], out_axes = [0], size = 8
    : (tensor<4x3xf64>, tensor<8x3xf64>, tensor<4xf64>) -> tensor<8x4xf64>
  return %0 : tensor<8x4xf64>
}

// -----

// A body finds what it uses from outside by the number of the element.
#id = affine_map<(i) -> (i)>
func.func private @body(%x: tensor<4xf64>, %t: tensor<4xf64>, %s: f64) -> tensor<4xf64> {
  %e = tensor.empty() : tensor<4xf64>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
    ins(%x : tensor<4xf64>) outs(%e : tensor<4xf64>) {
    ^bb0(%a: f64, %o: f64):
      %i = linalg.index 0 : index
      %1 = tensor.extract %t[%i] : tensor<4xf64>
      %2 = arith.mulf %1, %s : f64
      linalg.yield %2 : f64
  } -> tensor<4xf64>
  return %0 : tensor<4xf64>
}
// CHECK-LABEL: func.func @bodies(
// CHECK-SAME: %{{.*}}: tensor<4xf64>, %[[T:.*]]: tensor<8x4xf64>, %[[S:.*]]: tensor<8xf64>)
func.func @bodies(%x: tensor<4xf64>, %t: tensor<8x4xf64>, %s: tensor<8xf64>) -> tensor<8x4xf64> {
  // CHECK: linalg.generic
  // CHECK: %[[N:.*]] = linalg.index 0
  // CHECK-DAG: %[[ROW:.*]] = tensor.extract_slice %[[T]][%[[N]], 0] [1, 4] [1, 1]
  // CHECK-DAG: %[[FACTOR:.*]] = tensor.extract %[[S]][%[[N]]]
  // CHECK-DAG: %[[I:.*]] = linalg.index 1
  // CHECK: %[[A:.*]] = tensor.extract %[[ROW]][%[[I]]]
  // CHECK: arith.mulf %[[A]], %[[FACTOR]]
  %0 = grad.vmap @body(%x, %t, %s), in_axes = [none, 0, 0], out_axes = [0], size = 8
    : (tensor<4xf64>, tensor<8x4xf64>, tensor<8xf64>) -> tensor<8x4xf64>
  return %0 : tensor<8x4xf64>
}

// -----

// Elements at one place are a slice; at places that differ they are gathered.
func.func private @element(%x: tensor<4x5xf64>, %i: index, %j: index) -> f64 {
  %0 = tensor.extract %x[%i, %j] : tensor<4x5xf64>
  return %0 : f64
}
// CHECK-LABEL: func.func @elements(
// CHECK-SAME: %[[X:.*]]: tensor<8x4x5xf64>, %[[I:.*]]: index, %[[J:.*]]: tensor<8xi64>, %[[K:.*]]: index)
func.func @elements(%x: tensor<8x4x5xf64>, %i: index, %j: tensor<8xi64>, %k: index) -> (tensor<8xf64>, tensor<8xf64>) {
  // CHECK: %[[SAME:.*]] = tensor.extract_slice %[[X]][0, %[[I]], %[[K]]] [8, 1, 1] [1, 1, 1] : tensor<8x4x5xf64> to tensor<8xf64>
  // CHECK: %[[PLACES:.*]] = grad.concatenate
  // CHECK: %[[OWN:.*]] = grad.gather %[[X]], %[[PLACES]] batch 1 : tensor<8x4x5xf64>, tensor<8x2xi64> -> tensor<8xf64>
  // CHECK: return %[[SAME]], %[[OWN]]
  %0 = grad.vmap @element(%x, %i, %k), in_axes = [0, none, none], out_axes = [0], size = 8
    : (tensor<8x4x5xf64>, index, index) -> tensor<8xf64>
  %1 = grad.vmap @element(%x, %i, %j), in_axes = [0, none, 0], out_axes = [0], size = 8
    : (tensor<8x4x5xf64>, index, tensor<8xi64>) -> tensor<8xf64>
  return %0, %1 : tensor<8xf64>, tensor<8xf64>
}

// -----

func.func private @window(%x: tensor<4x5xf64>, %y: tensor<2xf64>, %i: index) -> tensor<4x5xf64> {
  %0 = tensor.extract_slice %x[%i, 0] [1, 2] [1, 2] : tensor<4x5xf64> to tensor<2xf64>
  %1 = arith.addf %0, %y : tensor<2xf64>
  %2 = tensor.insert_slice %1 into %x[1, %i] [2, 1] [1, 1] : tensor<2xf64> into tensor<4x5xf64>
  return %2 : tensor<4x5xf64>
}
// CHECK-LABEL: func.func @windows(
// CHECK-SAME: %[[X:.*]]: tensor<8x4x5xf64>, %[[Y:.*]]: tensor<2xf64>, %[[I:.*]]: index)
func.func @windows(%x: tensor<8x4x5xf64>, %y: tensor<2xf64>, %i: index) -> tensor<8x4x5xf64> {
  // CHECK: %[[PART:.*]] = tensor.extract_slice %[[X]][0, %[[I]], 0] [8, 1, 2] [1, 1, 2] : tensor<8x4x5xf64> to tensor<8x2xf64>
  // CHECK: %[[ALL:.*]] = grad.broadcast %[[Y]]
  // CHECK: %[[SUM:.*]] = arith.addf %[[PART]], %[[ALL]] : tensor<8x2xf64>
  // CHECK: tensor.insert_slice %[[SUM]] into %[[X]][0, 1, %[[I]]] [8, 2, 1] [1, 1, 1]
  %0 = grad.vmap @window(%x, %y, %i), in_axes = [0, none, none], out_axes = [0], size = 8
    : (tensor<8x4x5xf64>, tensor<2xf64>, index) -> tensor<8x4x5xf64>
  return %0 : tensor<8x4x5xf64>
}

// -----

// A padding that is the same for all stays one.
func.func private @pad(%x: tensor<4xf64>, %p: f64) -> tensor<6xf64> {
  %0 = tensor.pad %x low[2] high[0] {
  ^bb0(%i: index):
    tensor.yield %p : f64
  } : tensor<4xf64> to tensor<6xf64>
  return %0 : tensor<6xf64>
}
// CHECK-LABEL: func.func @pads(
// CHECK-SAME: %[[X:.*]]: tensor<8x4xf64>, %[[P:.*]]: f64)
func.func @pads(%x: tensor<8x4xf64>, %p: f64) -> tensor<8x6xf64> {
  // CHECK: tensor.pad %[[X]] low[0, 2] high[0, 0]
  // CHECK: tensor.yield %[[P]]
  %0 = grad.vmap @pad(%x, %p), in_axes = [0, none], out_axes = [0], size = 8 : (tensor<8x4xf64>, f64) -> tensor<8x6xf64>
  return %0 : tensor<8x6xf64>
}

// -----

func.func private @recursive(%x: f64) -> f64 {
  // expected-error @below {{'func.call' op expected no recursion, but @recursive calls itself}}
  %0 = func.call @recursive(%x) : (f64) -> f64
  return %0 : f64
}
func.func @recursion(%x: tensor<8xf64>) -> tensor<8xf64> {
  // expected-note @below {{mapped from here}}
  %0 = grad.vmap @recursive(%x), in_axes = [0], out_axes = [0], size = 8 : (tensor<8xf64>) -> tensor<8xf64>
  return %0 : tensor<8xf64>
}

// -----

func.func private @memory(%x: f64, %m: memref<4xf64>) -> f64 {
  return %x : f64
}
func.func @mapped_memory(%x: tensor<8xf64>, %m: memref<4xf64>) -> tensor<8xf64> {
  // expected-error @below {{'grad.vmap' op operand #1 must be variadic of value that is no memory, but got 'memref<4xf64>'}}
  %0 = grad.vmap @memory(%x, %m), in_axes = [0, none], out_axes = [0], size = 8 : (tensor<8xf64>, memref<4xf64>) -> tensor<8xf64>
  return %0 : tensor<8xf64>
}
