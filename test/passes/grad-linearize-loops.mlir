// RUN: gradopt %s --grad-linearize --grad-store-residuals -split-input-file | FileCheck %s
// RUN: gradopt %s --grad-linearize -split-input-file | FileCheck %s --check-prefix=OPEN

// Forward: one loop carries values and tangents.
func.func private @power(%x: tensor<f64>) -> tensor<f64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %one = grad.constant dense<1.0> : tensor<f64>
  %r = scf.for %i = %c0 to %c5 step %c1 iter_args(%y = %one) -> (tensor<f64>) {
    %0 = grad.multiply %y, %x : tensor<f64>
    scf.yield %0 : tensor<f64>
  }
  return %r : tensor<f64>
}
// CHECK-LABEL: func.func @forward
// CHECK-SAME: %[[X:.*]]: tensor<f64>, %[[T:.*]]: tensor<f64>
func.func @forward(%x: tensor<f64>, %t: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  // CHECK: %[[L:.*]]:2 = scf.for {{.*}} iter_args(%[[Y:.*]] = %{{.*}}, %[[D:.*]] = %{{.*}})
  // CHECK: %[[NEXT:.*]] = grad.multiply %[[Y]], %[[X]]
  // CHECK: %[[A:.*]] = grad.multiply %[[D]], %[[X]]
  // CHECK: %[[B:.*]] = grad.multiply %[[T]], %[[Y]]
  // CHECK: %[[SUM:.*]] = grad.add %[[A]], %[[B]]
  // CHECK: scf.yield %[[NEXT]], %[[SUM]]
  // CHECK: return %[[L]]#0, %[[L]]#1
  %0:2 = grad.jvp @power(%x), tangents(%t), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#0, %0#1 : tensor<f64>, tensor<f64>
}
// Reverse: linear code says what it needs of the loop, which then stores that.
// OPEN-LABEL: func.func @reverse
// OPEN-SAME: %[[X:.*]]: tensor<f64>, %[[G:.*]]: tensor<f64>
// OPEN: scf.for {{.*}} iter_args(%[[Y:.*]] = %{{.*}})
// OPEN: grad.keep[distinct[[VALUE:.*]]<>] %[[Y]]
// OPEN: grad.linear_part = distinct[[LOOP:.*]]<>
// OPEN: grad.transposed(%[[G]])
// OPEN-NEXT: ^bb0(%[[T:.*]]: tensor<f64>):
// OPEN-NEXT: scf.for {{.*}} iter_args(%[[D:.*]] = %{{.*}})
// OPEN: %[[Y0:.*]] = grad.kept[distinct[[VALUE]]<>]
// OPEN: grad.multiply %[[D]], %[[X]]
// OPEN: grad.multiply %[[T]], %[[Y0]]
// OPEN: grad.part_of = distinct[[LOOP]]<>
// CHECK-LABEL: func.func @reverse
// CHECK-SAME: %[[X:.*]]: tensor<f64>, %[[G:.*]]: tensor<f64>
func.func @reverse(%x: tensor<f64>, %g: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  // CHECK: %[[EMPTY:.*]] = tensor.empty() : tensor<5xf64>
  // CHECK: %[[L:.*]]:2 = scf.for {{.*}} iter_args(%[[Y:.*]] = %{{.*}}, %[[S:.*]] = %[[EMPTY]])
  // CHECK: %[[V:.*]] = grad.reshape %[[Y]]
  // CHECK: %[[NEXT:.*]] = grad.dynamic_update_slice %[[S]], %[[V]]
  // CHECK: scf.yield %{{.*}}, %[[NEXT]]
  // CHECK: grad.transposed(%[[G]])
  // CHECK-NEXT: ^bb0(%[[T:.*]]: tensor<f64>):
  // CHECK-NEXT: scf.for {{.*}} iter_args(%[[D:.*]] = %{{.*}})
  // CHECK: %[[R:.*]] = grad.dynamic_slice %[[L]]#1
  // CHECK: %[[Y0:.*]] = grad.reshape %[[R]]
  // CHECK: grad.multiply %[[D]], %[[X]]
  // CHECK: grad.multiply %[[T]], %[[Y0]]
  %0:2 = grad.vjp @power(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#0, %0#1 : tensor<f64>, tensor<f64>
}

// -----

// Nothing is stored that follows from the counter and from values outside: here
// the row of a matrix.
func.func private @rows(%x: tensor<4x3xf64>, %h: tensor<3xf64>) -> tensor<3xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %zero = grad.constant dense<0> : tensor<i64>
  %r = scf.for %i = %c0 to %c4 step %c1 iter_args(%y = %h) -> (tensor<3xf64>) {
    %word = arith.index_cast %i : index to i64
    %n = tensor.from_elements %word : tensor<i64>
    %0 = grad.dynamic_slice %x[%n, %zero], sizes = [1, 3] : tensor<4x3xf64> -> tensor<1x3xf64>
    %1 = grad.reshape %0, shape = [3] : tensor<1x3xf64> -> tensor<3xf64>
    %2 = grad.multiply %y, %1 : tensor<3xf64>
    scf.yield %2 : tensor<3xf64>
  }
  return %r : tensor<3xf64>
}
// CHECK-LABEL: func.func @recomputed
func.func @recomputed(%x: tensor<4x3xf64>, %h: tensor<3xf64>, %g: tensor<3xf64>) -> tensor<3xf64> {
  // CHECK-NOT: tensor.empty
  // CHECK: grad.transposed
  // CHECK: scf.for
  // CHECK: grad.dynamic_slice
  // CHECK: return
  %0:2 = grad.vjp @rows(%x, %h), cotangents(%g), wrt = [1], of = [0] : (tensor<4x3xf64>, tensor<3xf64>, tensor<3xf64>) -> (tensor<3xf64>, tensor<3xf64>)
  return %0#1 : tensor<3xf64>
}

// -----

// A residual of one branch is undefined after the other one.
func.func private @branch(%x: tensor<f64>, %p: tensor<i1>) -> tensor<f64> {
  %c = tensor.extract %p[] : tensor<i1>
  %r = scf.if %c -> (tensor<f64>) {
    %0 = grad.sin %x : tensor<f64>
    scf.yield %0 : tensor<f64>
  } else {
    scf.yield %x : tensor<f64>
  }
  return %r : tensor<f64>
}
// CHECK-LABEL: func.func @one_branch
// CHECK-SAME: %[[X:.*]]: tensor<f64>, %[[P:.*]]: tensor<i1>, %[[G:.*]]: tensor<f64>
func.func @one_branch(%x: tensor<f64>, %p: tensor<i1>, %g: tensor<f64>) -> tensor<f64> {
  // CHECK: %[[C:.*]] = tensor.extract %[[P]]
  // CHECK: %[[B:.*]]:2 = scf.if %[[C]]
  // CHECK: %[[COS:.*]] = grad.cos %[[X]]
  // CHECK: scf.yield %{{.*}}, %[[COS]]
  // CHECK: else
  // CHECK: %[[EMPTY:.*]] = tensor.empty
  // CHECK: scf.yield %[[X]], %[[EMPTY]]
  // CHECK: grad.transposed(%[[G]])
  // CHECK-NEXT: ^bb0(%[[T:.*]]: tensor<f64>):
  // CHECK-NEXT: scf.if %[[C]]
  // CHECK-NEXT: %[[L:.*]] = grad.multiply %[[T]], %[[B]]#1
  // CHECK-NEXT: scf.yield %[[L]]
  // CHECK-NEXT: else
  // CHECK-NEXT: scf.yield %[[T]]
  %0:2 = grad.vjp @branch(%x, %p), cotangents(%g), wrt = [0], of = [0] : (tensor<f64>, tensor<i1>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1 : tensor<f64>
}

// -----

// Where the number of iterations is not known, states are stored in the loop,
// and residuals when parts of it run again.
func.func private @while(%x: tensor<3xf64>, %n: tensor<i64>) -> tensor<3xf64> {
  %one = grad.constant dense<1> : tensor<i64>
  %zero = grad.constant dense<0> : tensor<i64>
  %r:2 = scf.while (%y = %x, %k = %zero) : (tensor<3xf64>, tensor<i64>) -> (tensor<3xf64>, tensor<i64>) {
    %0 = grad.less %k, %n : tensor<i64>
    %p = tensor.extract %0[] : tensor<i1>
    scf.condition(%p) %y, %k : tensor<3xf64>, tensor<i64>
  } do {
  ^bb0(%y: tensor<3xf64>, %k: tensor<i64>):
    %0 = grad.sin %y : tensor<3xf64>
    %1 = grad.add %k, %one : tensor<i64>
    scf.yield %0, %1 : tensor<3xf64>, tensor<i64>
  }
  return %r#0 : tensor<3xf64>
}
// CHECK-LABEL: func.func @replayed
func.func @replayed(%x: tensor<3xf64>, %n: tensor<i64>, %g: tensor<3xf64>) -> tensor<3xf64> {
  // CHECK: tensor.empty() : tensor<[[S:.*]]x3xf64>
  // CHECK: scf.while
  // CHECK: do
  // CHECK: grad.dynamic_update_slice {{.*}} : tensor<[[S]]x3xf64>
  // CHECK: scf.while
  // CHECK-NOT: dynamic_update_slice
  // CHECK: grad.transposed
  // CHECK: scf.for
  // CHECK: grad.dynamic_slice {{.*}} : tensor<[[S]]x3xf64>
  // CHECK: scf.for
  // CHECK: %[[COS:.*]] = grad.cos
  // CHECK: %[[V:.*]] = grad.reshape %[[COS]]
  // CHECK: grad.dynamic_update_slice %{{.*}}, %[[V]]
  // CHECK: scf.for
  // CHECK: grad.dynamic_slice
  // CHECK: grad.multiply
  %0:2 = grad.vjp @while(%x, %n), cotangents(%g), wrt = [0], of = [0] : (tensor<3xf64>, tensor<i64>, tensor<3xf64>) -> (tensor<3xf64>, tensor<3xf64>)
  return %0#1 : tensor<3xf64>
}

// -----

// Of the states of a loop that is run again, those values are kept, and computed
// again, from which the derivative follows: not a sum.
func.func private @sum_of_sines(%x: tensor<4xf64>, %n: index) -> tensor<8xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zeros = grad.constant dense<0.0> : tensor<8xf64>
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x, %sum = %zeros) -> (tensor<4xf64>, tensor<8xf64>) {
    %0 = grad.sin %a : tensor<4xf64>
    %1 = grad.concatenate(%0, %a), dimension = 0 : tensor<4xf64>, tensor<4xf64> -> tensor<8xf64>
    %2 = grad.add %sum, %1 : tensor<8xf64>
    scf.yield %0, %2 : tensor<4xf64>, tensor<8xf64>
  }
  return %r#1 : tensor<8xf64>
}
// CHECK-LABEL: func.func @keeps_what_is_needed
// CHECK: %[[S:.*]] = tensor.empty() : tensor<4096x4xf64>
// CHECK: scf.for {{.*}} iter_args(%{{.*}}, %{{.*}}, %{{.*}} = %[[S]]) -> (tensor<4xf64>, tensor<8xf64>, tensor<4096x4xf64>)
// CHECK: grad.transposed
// CHECK-NOT: iter_args({{.*}}tensor<8xf64>, tensor<4xf64>
// CHECK: %[[T:.*]] = tensor.empty() : tensor<4096x4xf64>
// CHECK: scf.for {{.*}} -> (tensor<4xf64>, tensor<4096x4xf64>)
func.func @keeps_what_is_needed(%x: tensor<4xf64>, %n: index, %g: tensor<8xf64>) -> (tensor<8xf64>, tensor<4xf64>) {
  %0:2 = grad.vjp @sum_of_sines(%x, %n), cotangents(%g), wrt = [0], of = [0] : (tensor<4xf64>, index, tensor<8xf64>) -> (tensor<8xf64>, tensor<4xf64>)
  return %0#0, %0#1 : tensor<8xf64>, tensor<4xf64>
}

// -----

// The linear part of a loop with a condition goes on as long as the loop does.
func.func private @doubled(%x: f64, %limit: f64) -> f64 {
  %r = scf.while (%y = %x) : (f64) -> f64 {
    %go = arith.cmpf olt, %y, %limit : f64
    scf.condition(%go) %y : f64
  } do {
  ^bb0(%y: f64):
    %next = arith.mulf %y, %y : f64
    scf.yield %next : f64
  }
  return %r : f64
}
// OPEN-LABEL: func.func @while(
// OPEN: scf.while (%[[Y:.*]] = %{{.*}}, %[[GO:.*]] = %{{.*}})
// OPEN: grad.keep[distinct[[CONDITION:.*]]<>] %[[GO]]
// OPEN: grad.transposed
// OPEN: scf.while (%[[T:.*]] = %{{.*}}) : (f64) -> f64
// OPEN: %[[KEPT:.*]] = grad.kept[distinct[[CONDITION]]<>] : i1
// OPEN: scf.condition(%[[KEPT]]) %[[T]]
// CHECK-LABEL: func.func @while(
// CHECK-NOT: grad.kept
// CHECK: grad.transposed
// CHECK-NOT: scf.while
// CHECK: return
func.func @while(%x: f64, %limit: f64, %g: f64) -> f64 {
  %0:2 = grad.vjp @doubled(%x, %limit), cotangents(%g), wrt = [0], of = [0] : (f64, f64, f64) -> (f64, f64)
  return %0#1 : f64
}
