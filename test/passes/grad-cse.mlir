// RUN: gradopt %s --grad-cse -split-input-file | FileCheck %s

// Equal values are computed once, unused ones not at all.
// CHECK-LABEL: func.func @equal(
// CHECK-SAME: %[[X:.*]]: tensor<4xf64>
// CHECK-NEXT: %[[Y:.*]] = grad.sin %[[X]]
// CHECK-NEXT: %[[Z:.*]] = grad.multiply %[[Y]], %[[Y]]
// CHECK-NEXT: return %[[Z]]
func.func @equal(%x: tensor<4xf64>) -> tensor<4xf64> {
  %0 = grad.sin %x : tensor<4xf64>
  %1 = grad.cos %x : tensor<4xf64>
  %2 = grad.sin %x : tensor<4xf64>
  %3 = grad.multiply %0, %2 : tensor<4xf64>
  return %3 : tensor<4xf64>
}

// -----

// Gathers that differ in what their bodies read stay; equal ones are one.
// CHECK-LABEL: func.func @bodies(
// CHECK-SAME: %[[X:.*]]: tensor<9xf64>, %[[I:.*]]: tensor<4xindex>, %[[J:.*]]: tensor<4xindex>
// CHECK: %[[A:.*]] = linalg.generic
// CHECK: tensor.extract %[[I]]
// CHECK: %[[B:.*]] = linalg.generic
// CHECK: tensor.extract %[[J]]
// CHECK-NOT: linalg.generic
// CHECK: return %[[A]], %[[B]], %[[A]]
#id = affine_map<(d0) -> (d0)>
func.func @bodies(%x: tensor<9xf64>, %i: tensor<4xindex>, %j: tensor<4xindex>) -> (tensor<4xf64>, tensor<4xf64>, tensor<4xf64>) {
  %e = tensor.empty() : tensor<4xf64>
  %a = linalg.generic {indexing_maps = [#id], iterator_types = ["parallel"]} outs(%e : tensor<4xf64>) {
  ^bb0(%out: f64):
    %at = linalg.index 0 : index
    %place = tensor.extract %i[%at] : tensor<4xindex>
    %element = tensor.extract %x[%place] : tensor<9xf64>
    linalg.yield %element : f64
  } -> tensor<4xf64>
  %b = linalg.generic {indexing_maps = [#id], iterator_types = ["parallel"]} outs(%e : tensor<4xf64>) {
  ^bb0(%out: f64):
    %at = linalg.index 0 : index
    %place = tensor.extract %j[%at] : tensor<4xindex>
    %element = tensor.extract %x[%place] : tensor<9xf64>
    linalg.yield %element : f64
  } -> tensor<4xf64>
  %c = linalg.generic {indexing_maps = [#id], iterator_types = ["parallel"]} outs(%e : tensor<4xf64>) {
  ^bb0(%out: f64):
    %at = linalg.index 0 : index
    %place = tensor.extract %i[%at] : tensor<4xindex>
    %element = tensor.extract %x[%place] : tensor<9xf64>
    linalg.yield %element : f64
  } -> tensor<4xf64>
  return %a, %b, %c : tensor<4xf64>, tensor<4xf64>, tensor<4xf64>
}

// -----

// What is known around a body is known in it, not the other way round; what
// one branch computes is unknown in the other.
// CHECK-LABEL: func.func @nested(
// CHECK-SAME: %[[X:.*]]: tensor<f64>, %[[C:.*]]: i1
// CHECK: %[[S:.*]] = grad.sin %[[X]]
// CHECK: scf.if %[[C]]
// CHECK-NEXT: %[[T:.*]] = grad.tanh %[[X]]
// CHECK-NEXT: %[[SUM:.*]] = grad.add %[[S]], %[[T]]
// CHECK-NEXT: scf.yield %[[SUM]]
// CHECK: else
// CHECK-NEXT: %[[U:.*]] = grad.tanh %[[X]]
// CHECK-NEXT: scf.yield %[[U]]
// CHECK: grad.tanh %[[X]]
func.func @nested(%x: tensor<f64>, %c: i1) -> (tensor<f64>, tensor<f64>) {
  %s = grad.sin %x : tensor<f64>
  %r = scf.if %c -> tensor<f64> {
    %s2 = grad.sin %x : tensor<f64>
    %t = grad.tanh %x : tensor<f64>
    %sum = grad.add %s2, %t : tensor<f64>
    scf.yield %sum : tensor<f64>
  } else {
    %t = grad.tanh %x : tensor<f64>
    scf.yield %t : tensor<f64>
  }
  %t = grad.tanh %x : tensor<f64>
  %p = grad.multiply %s, %t : tensor<f64>
  return %r, %p : tensor<f64>, tensor<f64>
}

// -----

// Loops that do the same are one, with names of their own inside.
// CHECK-LABEL: func.func @loops(
// CHECK: %[[A:.*]] = scf.for
// CHECK: %[[B:.*]] = scf.for
// CHECK-NOT: scf.for
// CHECK: return %[[A]], %[[A]], %[[B]]
func.func @loops(%x: tensor<f64>, %y: tensor<f64>, %n: index) -> (tensor<f64>, tensor<f64>, tensor<f64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %a = scf.for %i = %c0 to %n step %c1 iter_args(%s = %x) -> tensor<f64> {
    %t = grad.multiply %s, %y : tensor<f64>
    scf.yield %t : tensor<f64>
  }
  %b = scf.for %j = %c0 to %n step %c1 iter_args(%u = %x) -> tensor<f64> {
    %t = grad.multiply %u, %y : tensor<f64>
    scf.yield %t : tensor<f64>
  }
  %c = scf.for %j = %c0 to %n step %c1 iter_args(%u = %x) -> tensor<f64> {
    %t = grad.multiply %u, %x : tensor<f64>
    scf.yield %t : tensor<f64>
  }
  return %a, %b, %c : tensor<f64>, tensor<f64>, tensor<f64>
}

// -----

// What has effects is done as often as the program says.
// CHECK-LABEL: func.func @effects(
// CHECK-COUNT-2: call @foreign(%arg0)
func.func private @foreign(tensor<f64>) -> tensor<f64>
func.func @effects(%x: tensor<f64>) -> tensor<f64> {
  %a = func.call @foreign(%x) : (tensor<f64>) -> tensor<f64>
  %b = func.call @foreign(%x) : (tensor<f64>) -> tensor<f64>
  %c = grad.add %a, %b : tensor<f64>
  return %c : tensor<f64>
}
