// RUN: gradopt %s --grad-transpose --cse -split-input-file | FileCheck %s

// CHECK-LABEL: func.func @scalars
// CHECK-SAME: %[[G:.*]]: f64, %[[C:.*]]: f64)
// CHECK-DAG: arith.divf %[[G]], %[[C]] : f64
// CHECK-DAG: arith.negf %[[G]] : f64
// CHECK-DAG: arith.mulf %[[G]], %[[C]] : f64
// CHECK-COUNT-1: arith.addf
// CHECK-NOT: grad.
func.func @scalars(%g: f64, %c: f64) -> f64 {
  %0 = grad.transposed(%g) {
  ^bb0(%t: f64):
    %1 = arith.mulf %t, %c : f64
    %2 = arith.divf %t, %c : f64
    %3 = arith.subf %1, %t : f64
    %4 = arith.addf %3, %2 : f64
    grad.yield %4 : f64
  } : (f64) -> f64
  return %0 : f64
}

// -----

// What an operand is not indexed by is reduced; the result's map is that of the
// operand.
// CHECK-DAG: #[[$AC:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG: #[[$CB:.*]] = affine_map<(d0, d1, d2) -> (d2, d1)>
// CHECK-DAG: #[[$AB:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-LABEL: func.func @product
// CHECK-SAME: %[[G:.*]]: tensor<4x5xf64>, %[[B:.*]]: tensor<3x5xf64>)
// CHECK: %[[ZERO:.*]] = grad.constant dense<0.0{{.*}}> : tensor<4x3xf64>
// CHECK: linalg.generic {indexing_maps = [#[[$CB]], #[[$AB]], #[[$AC]]], iterator_types = ["parallel", "reduction", "parallel"]}
// CHECK-SAME: ins(%[[B]], %[[G]] : {{.*}}) outs(%[[ZERO]]
func.func @product(%g: tensor<4x5xf64>, %b: tensor<3x5xf64>) -> tensor<4x3xf64> {
  %zero = grad.constant dense<0.0> : tensor<4x5xf64>
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<4x3xf64>):
    %1 = linalg.matmul ins(%t, %b : tensor<4x3xf64>, tensor<3x5xf64>) outs(%zero : tensor<4x5xf64>) -> tensor<4x5xf64>
    grad.yield %1 : tensor<4x5xf64>
  } : (tensor<4x5xf64>) -> tensor<4x3xf64>
  return %0 : tensor<4x3xf64>
}

// -----

// Iterations that read the same element add to it.
// CHECK-DAG: #[[$SUM:.*]] = affine_map<(d0, d1) -> (d0 + d1)>
// CHECK-LABEL: func.func @windows
// CHECK: linalg.generic {indexing_maps = [{{.*}}, #[[$SUM]]], iterator_types = ["reduction", "reduction"]}
// CHECK: arith.addf
func.func @windows(%g: tensor<5xf64>, %w: tensor<3xf64>) -> tensor<7xf64> {
  %zero = grad.constant dense<0.0> : tensor<5xf64>
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<7xf64>):
    %1 = linalg.conv_1d ins(%t, %w : tensor<7xf64>, tensor<3xf64>) outs(%zero : tensor<5xf64>) -> tensor<5xf64>
    grad.yield %1 : tensor<5xf64>
  } : (tensor<5xf64>) -> tensor<7xf64>
  return %0 : tensor<7xf64>
}

// -----

// Operands that are indexed in the same way get their cotangents together.
#id = affine_map<(i) -> (i)>
// CHECK-LABEL: func.func @two_operands
// CHECK: linalg.generic {{.*}} outs(%{{.*}}, %{{.*}} : tensor<3xf64>, tensor<3xf64>)
// CHECK-NOT: linalg.generic
func.func @two_operands(%g: tensor<3xf64>, %c: tensor<3xf64>) -> (tensor<3xf64>, tensor<3xf64>) {
  %e = tensor.empty() : tensor<3xf64>
  %0:2 = grad.transposed(%g) {
  ^bb0(%s: tensor<3xf64>, %t: tensor<3xf64>):
    %1 = linalg.generic {indexing_maps = [#id, #id, #id, #id], iterator_types = ["parallel"]}
      ins(%s, %t, %c : tensor<3xf64>, tensor<3xf64>, tensor<3xf64>) outs(%e : tensor<3xf64>) {
      ^bb0(%a: f64, %b: f64, %d: f64, %o: f64):
        %2 = arith.mulf %a, %d : f64
        %3 = arith.subf %2, %b : f64
        linalg.yield %3 : f64
    } -> tensor<3xf64>
    grad.yield %1 : tensor<3xf64>
  } : (tensor<3xf64>) -> (tensor<3xf64>, tensor<3xf64>)
  return %0#0, %0#1 : tensor<3xf64>, tensor<3xf64>
}

// -----

// What reads a part adds to a part, what writes one takes it out.
// CHECK-LABEL: func.func @parts
// CHECK-SAME: %[[G:.*]]: tensor<4xf64>, %[[I:.*]]: index)
// CHECK: tensor.extract_slice %[[G]][%[[I]]] [2] [1]
// CHECK: tensor.insert_slice %{{.*}} into %[[G]][%[[I]]] [2] [1]
// CHECK: tensor.extract_slice %{{.*}}[0] [2] [2]
// CHECK: grad.add
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[0] [2] [2]
func.func @parts(%g: tensor<4xf64>, %i: index) -> tensor<4xf64> {
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<4xf64>):
    %1 = tensor.extract_slice %t[0] [2] [2] : tensor<4xf64> to tensor<2xf64>
    %2 = tensor.insert_slice %1 into %t[%i] [2] [1] : tensor<2xf64> into tensor<4xf64>
    grad.yield %2 : tensor<4xf64>
  } : (tensor<4xf64>) -> tensor<4xf64>
  return %0 : tensor<4xf64>
}

// -----

// Elements of a slice that may be one element add to it one after the other.
// CHECK-LABEL: func.func @overlapping_parts
// CHECK-SAME: %{{.*}}: tensor<3xf64>, %[[S:.*]]: index)
// CHECK: scf.for %[[I:.*]] = %{{.*}} iter_args(%[[SUM:.*]] = %{{.*}}) -> (tensor<8xf64>)
// CHECK: %[[D:.*]] = arith.muli %[[I]], %[[S]]
// CHECK: %[[AT:.*]] = arith.addi %{{.*}}, %[[D]]
// CHECK-DAG: %[[OLD:.*]] = tensor.extract_slice %[[SUM]][%[[AT]]] [1] [1]
// CHECK-DAG: %[[NEW:.*]] = tensor.extract_slice %{{.*}}[%[[I]]] [1] [1]
// CHECK: grad.add %[[OLD]], %[[NEW]]
// CHECK: tensor.insert_slice %{{.*}} into %[[SUM]][%[[AT]]] [1] [1]
func.func @overlapping_parts(%g: tensor<3xf64>, %s: index) -> tensor<8xf64> {
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<8xf64>):
    %1 = tensor.extract_slice %t[1] [3] [%s] : tensor<8xf64> to tensor<3xf64>
    grad.yield %1 : tensor<3xf64>
  } : (tensor<3xf64>) -> tensor<8xf64>
  return %0 : tensor<8xf64>
}

// -----

// CHECK-LABEL: func.func @padding
// CHECK: %[[ZERO:.*]] = arith.constant 0.0
// CHECK: tensor.pad %{{.*}} low[-1, 2] high[0, -3]
// CHECK: tensor.yield %[[ZERO]]
func.func @padding(%g: tensor<4x5xf64>) -> tensor<3x4xf64> {
  %zero = arith.constant 0.0 : f64
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<3x4xf64>):
    %1 = tensor.pad %t low[1, -2] high[0, 3] {
    ^bb0(%i: index, %j: index):
      tensor.yield %zero : f64
    } : tensor<3x4xf64> to tensor<4x5xf64>
    grad.yield %1 : tensor<4x5xf64>
  } : (tensor<4x5xf64>) -> tensor<3x4xf64>
  return %0 : tensor<3x4xf64>
}
