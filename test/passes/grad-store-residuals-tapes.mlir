// RUN: gradopt %s --grad-linearize --grad-store-residuals -split-input-file | FileCheck %s

// A loop whose number of iterations is not known keeps its residuals on tapes if
// that is asked for: tensors for which there are addresses only. Each iteration
// writes one place of them, and the linear part reads it.
func.func private @while(%x: tensor<4xf64>) -> tensor<4xf64> {
  %r = scf.while (%y = %x) : (tensor<4xf64>) -> tensor<4xf64> {
    %i = arith.constant 0 : index
    %z = tensor.extract %y[%i] : tensor<4xf64>
    %one = arith.constant 1.0 : f64
    %go = arith.cmpf olt, %z, %one : f64
    scf.condition(%go) %y : tensor<4xf64>
  } do {
  ^bb0(%y: tensor<4xf64>):
    %0 = grad.exp %y : tensor<4xf64>
    scf.yield %0 : tensor<4xf64>
  } attributes {grad.checkpoint = "all"}
  return %r : tensor<4xf64>
}
// CHECK-LABEL: func.func @of_while(
// CHECK: %[[TAPE:.*]] = tensor.empty() : tensor<34359738368x4xf64>
// CHECK: %[[PRIMAL:.*]]:3 = scf.while (%{{.*}} = %{{.*}}, %{{.*}} = %{{.*}}, %{{.*}} = %{{.*}}, %{{.*}} = %[[TAPE]])
// CHECK: scf.condition
// CHECK: ^bb0(%{{.*}}: tensor<4xf64>, %[[N:.*]]: index, %[[KEPT:.*]]: tensor<34359738368x4xf64>):
// CHECK: grad.dynamic_update_slice
// CHECK: arith.addi %[[N]]
// CHECK: attributes {grad.checkpoint = "all"}
// CHECK: grad.transposed
// CHECK: scf.for %[[I:.*]] = %{{.*}} to %[[PRIMAL]]#1
// CHECK: grad.dynamic_slice %[[PRIMAL]]#2
// CHECK: grad.multiply
// CHECK: } {grad.checkpoint = "all"}
func.func @of_while(%x: tensor<4xf64>, %g: tensor<4xf64>) -> tensor<4xf64> {
  %0:2 = grad.vjp @while(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<4xf64>, tensor<4xf64>) -> (tensor<4xf64>, tensor<4xf64>)
  return %0#1 : tensor<4xf64>
}

// -----

func.func private @for(%x: tensor<f32>, %n: index) -> tensor<f32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%y = %x) -> (tensor<f32>) {
    %0 = grad.sin %y : tensor<f32>
    scf.yield %0 : tensor<f32>
  } {grad.checkpoint = "all"}
  return %r : tensor<f32>
}
// CHECK-LABEL: func.func @of_for(
// CHECK: tensor.empty() : tensor<274877906944xf32>
// CHECK: scf.for
// CHECK: grad.transposed
// CHECK: scf.for
// CHECK-NOT: scf.for
// CHECK: return
func.func @of_for(%x: tensor<f32>, %n: index, %g: tensor<f32>) -> tensor<f32> {
  %0:2 = grad.vjp @for(%x, %n), cotangents(%g), wrt = [0], of = [0] : (tensor<f32>, index, tensor<f32>) -> (tensor<f32>, tensor<f32>)
  return %0#1 : tensor<f32>
}

// -----

// In another loop, each run goes on where the last one ended: the place where it
// does is kept for each of them.
func.func private @inside(%x: tensor<f32>, %n: index) -> tensor<f32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %r = scf.for %i = %c0 to %c5 step %c1 iter_args(%y = %x) -> (tensor<f32>) {
    %s = scf.for %j = %c0 to %n step %c1 iter_args(%z = %y) -> (tensor<f32>) {
      %0 = grad.sin %z : tensor<f32>
      scf.yield %0 : tensor<f32>
    } {grad.checkpoint = "all"}
    scf.yield %s : tensor<f32>
  }
  return %r : tensor<f32>
}
// CHECK-LABEL: func.func @of_inside(
// CHECK: %[[EMPTY:.*]] = tensor.empty() : tensor<274877906944xf32>
// CHECK: %[[OUTER:.*]]:4 = scf.for {{.*}} iter_args({{.*}}, %[[T:[a-z0-9]+]] = %[[EMPTY]], %[[PLACE:[a-z0-9]+]] = %{{.*}}, {{.*}})
// CHECK: %[[INNER:.*]]:2 = scf.for {{.*}} iter_args({{.*}}, %[[FILLED:[a-z0-9]+]] = %[[T]])
// CHECK: %[[AT:.*]] = arith.addi %[[PLACE]], %{{.*}} : index
// CHECK: %[[WORD:.*]] = arith.index_cast %[[AT]]
// CHECK: %[[INDEX:.*]] = tensor.from_elements %[[WORD]]
// CHECK: %[[PUSHED:.*]] = grad.dynamic_update_slice %[[FILLED]], %{{.*}}[%[[INDEX]]]
// CHECK: scf.yield %{{.*}}, %[[PUSHED]]
// CHECK: %[[NEXT:.*]] = arith.addi %[[PLACE]], %{{.*}} : index
// CHECK: scf.yield %[[INNER]]#0, %[[INNER]]#1, %[[NEXT]], %{{.*}}
// CHECK: grad.transposed
// CHECK: %[[PLACES:.*]] = grad.dynamic_slice %[[OUTER]]#3
// CHECK: scf.for
// CHECK: grad.dynamic_slice %[[OUTER]]#1
func.func @of_inside(%x: tensor<f32>, %n: index, %g: tensor<f32>) -> tensor<f32> {
  %0:2 = grad.vjp @inside(%x, %n), cotangents(%g), wrt = [0], of = [0] : (tensor<f32>, index, tensor<f32>) -> (tensor<f32>, tensor<f32>)
  return %0#1 : tensor<f32>
}
