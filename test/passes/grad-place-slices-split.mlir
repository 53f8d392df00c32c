// RUN: gradopt %s --grad-place-slices -split-input-file | FileCheck %s

// What is added backwards becomes a loop of its own, which reads what the other
// one has not overwritten yet. The sum of the products stays with the first.
// CHECK-LABEL: func.func @both(
// CHECK-SAME: %[[S:.*]]: tensor<9xf64>, %[[G:.*]]: tensor<9xf64>
// CHECK: %[[Q:.*]] = scf.for %[[I:.*]] = {{.*}} iter_args(%[[A:.*]] = %[[S]]) -> (tensor<9xf64>)
// CHECK: %[[WORD:.*]] = arith.index_cast %[[I]]
// CHECK: %[[AT:.*]] = tensor.from_elements %[[WORD]]
// CHECK: %[[BACK:.*]] = grad.subtract %{{.*}}, %[[AT]]
// CHECK: %[[ROW:.*]] = grad.dynamic_slice %[[G]][%[[AT]]]
// CHECK: %[[SCALED:.*]] = grad.multiply %[[ROW]], %{{.*}}
// CHECK: %[[NEXT:.*]] = grad.dynamic_add_slice %[[A]], %[[SCALED]][%[[BACK]]]
// CHECK: scf.yield %[[NEXT]]
// CHECK: grad.max_trip_count = 9
// CHECK: scf.for {{.*}} iter_args(%[[B:.*]] = %[[Q]], %[[H:.*]] = %[[G]], %{{.*}} = %{{.*}})
// CHECK: %[[OWN:.*]] = grad.dynamic_slice %[[H]]
// CHECK: %[[SUM:.*]] = grad.dynamic_add_slice %[[B]], %[[OWN]]
// CHECK: %[[ZERO:.*]] = grad.dynamic_update_slice %[[H]]
// CHECK-NOT: grad.dynamic_add_slice
// CHECK: scf.yield %[[SUM]], %[[ZERO]]
func.func @both(%s: tensor<9xf64>, %g: tensor<9xf64>, %n: index, %last: tensor<i64>,
                %c: tensor<1xf64>) -> (tensor<9xf64>, tensor<9xf64>, tensor<1xf64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = grad.constant dense<0.0> : tensor<1xf64>
  %r:3 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %s, %h = %g, %d = %zero) -> (tensor<9xf64>, tensor<9xf64>, tensor<1xf64>) {
    %word = arith.index_cast %i : index to i64
    %at = tensor.from_elements %word : tensor<i64>
    %back = grad.subtract %last, %at : tensor<i64>
    %own = grad.dynamic_slice %h[%at], sizes = [1] {grad.in_bounds} : tensor<9xf64> -> tensor<1xf64>
    %scaled = grad.multiply %own, %c : tensor<1xf64>
    %e = grad.add %d, %own : tensor<1xf64>
    %a1 = grad.dynamic_add_slice %a, %own[%at] : tensor<9xf64>, tensor<1xf64>
    %a2 = grad.dynamic_add_slice %a1, %scaled[%back] : tensor<9xf64>, tensor<1xf64>
    %h1 = grad.dynamic_update_slice %h, %zero[%at] : tensor<9xf64>, tensor<1xf64>
    scf.yield %a2, %h1, %e : tensor<9xf64>, tensor<9xf64>, tensor<1xf64>
  } {grad.max_trip_count = 9 : i64}
  return %r#0, %r#1, %r#2 : tensor<9xf64>, tensor<9xf64>, tensor<1xf64>
}

// -----

// Iterations overwrite what others read; and a slice that is moved into the
// array may be one that another iteration has read, too.
// CHECK-LABEL: func.func @others(
// CHECK: scf.for
// CHECK-NOT: scf.for
func.func @others(%s: tensor<9xf64>, %g: tensor<9xf64>, %n: index, %last: tensor<i64>)
    -> (tensor<9xf64>, tensor<9xf64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = grad.constant dense<0.0> : tensor<1xf64>
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %s, %h = %g) -> (tensor<9xf64>, tensor<9xf64>) {
    %word = arith.index_cast %i : index to i64
    %at = tensor.from_elements %word : tensor<i64>
    %back = grad.subtract %last, %at : tensor<i64>
    %own = grad.dynamic_slice %h[%back], sizes = [1] {grad.in_bounds} : tensor<9xf64> -> tensor<1xf64>
    %a1 = grad.dynamic_add_slice %a, %zero[%at] : tensor<9xf64>, tensor<1xf64>
    %a2 = grad.dynamic_add_slice %a1, %own[%back] : tensor<9xf64>, tensor<1xf64>
    %h1 = grad.dynamic_update_slice %h, %zero[%at] : tensor<9xf64>, tensor<1xf64>
    scf.yield %a2, %h1 : tensor<9xf64>, tensor<9xf64>
  }
  return %r#0, %r#1 : tensor<9xf64>, tensor<9xf64>
}

// -----

// CHECK-LABEL: func.func @moved(
// CHECK: scf.for
// CHECK-NOT: scf.for
func.func @moved(%s: tensor<9xf64>, %g: tensor<9xf64>, %n: index, %last: tensor<i64>)
    -> (tensor<9xf64>, tensor<9xf64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = grad.constant dense<0.0> : tensor<1xf64>
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %s, %h = %g) -> (tensor<9xf64>, tensor<9xf64>) {
    %word = arith.index_cast %i : index to i64
    %at = tensor.from_elements %word : tensor<i64>
    %back = grad.subtract %last, %at : tensor<i64>
    %own = grad.dynamic_slice %h[%at], sizes = [1] : tensor<9xf64> -> tensor<1xf64>
    %a1 = grad.dynamic_add_slice %a, %zero[%at] : tensor<9xf64>, tensor<1xf64>
    %a2 = grad.dynamic_add_slice %a1, %own[%back] : tensor<9xf64>, tensor<1xf64>
    %h1 = grad.dynamic_update_slice %h, %zero[%at] : tensor<9xf64>, tensor<1xf64>
    scf.yield %a2, %h1 : tensor<9xf64>, tensor<9xf64>
  }
  return %r#0, %r#1 : tensor<9xf64>, tensor<9xf64>
}

// -----

// In one direction, one loop is enough.
// CHECK-LABEL: func.func @same(
// CHECK: scf.for
// CHECK-NOT: scf.for
func.func @same(%s: tensor<9xf64>, %g: tensor<9xf64>, %n: index) -> tensor<9xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %one = grad.constant dense<1> : tensor<i64>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %s) -> (tensor<9xf64>) {
    %word = arith.index_cast %i : index to i64
    %at = tensor.from_elements %word : tensor<i64>
    %next = grad.add %at, %one : tensor<i64>
    %own = grad.dynamic_slice %g[%at], sizes = [1] : tensor<9xf64> -> tensor<1xf64>
    %a1 = grad.dynamic_add_slice %a, %own[%at] : tensor<9xf64>, tensor<1xf64>
    %a2 = grad.dynamic_add_slice %a1, %own[%next] : tensor<9xf64>, tensor<1xf64>
    scf.yield %a2 : tensor<9xf64>
  }
  return %r : tensor<9xf64>
}
