// RUN: gradopt %s --grad-fill-accessed -split-input-file | FileCheck %s

// Rows in front of a position that goes down from the last one.
// CHECK-LABEL: func.func @backwards(
// CHECK: %[[ROOM:.*]] = tensor.empty() : tensor<1000x3xf64>
// CHECK: %[[SIZE:.*]] = arith.constant 1000 : index
// CHECK: %[[END:.*]] = arith.minsi %{{.*}}, %[[SIZE]]
// CHECK: %[[ZEROS:.*]] = scf.for %[[I:.*]] = %{{.*}} to %[[END]] step %{{.*}} iter_args(%[[A:.*]] = %[[ROOM]])
// CHECK: %[[ROW:.*]] = grad.constant dense<0.000000e+00> : tensor<1x3xf64>
// CHECK: grad.dynamic_update_slice %[[A]], %[[ROW]][%{{.*}}] {grad.in_bounds}
// CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[ZEROS]],
func.func @backwards(%count: tensor<i64>, %row: tensor<1x3xf64>) -> tensor<1x3xf64> {
  %zeros = grad.constant dense<0.0> : tensor<1000x3xf64>
  %zero = grad.constant dense<0> : tensor<i64>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %word = tensor.extract %count[] : tensor<i64>
  %n = arith.index_cast %word : i64 to index
  %last = arith.subi %n, %c1 : index
  %0:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %zeros, %s = %row) -> (tensor<1000x3xf64>, tensor<1x3xf64>) {
    %j = arith.subi %last, %i : index
    %w = arith.index_cast %j : index to i64
    %p = tensor.from_elements %w : tensor<i64>
    %e = grad.dynamic_slice %a[%p, %zero], sizes = [1, 3] : tensor<1000x3xf64> -> tensor<1x3xf64>
    %t = grad.add %s, %e : tensor<1x3xf64>
    %u = grad.dynamic_add_slice %a, %t[%p, %zero] : tensor<1000x3xf64>, tensor<1x3xf64>
    scf.yield %u, %t : tensor<1000x3xf64>, tensor<1x3xf64>
  }
  return %0#1 : tensor<1x3xf64>
}

// -----

// A result of which another one says how many columns there are.
// CHECK-LABEL: func.func @result(
// CHECK: tensor.empty() : tensor<4x1000xf64>
// CHECK: %[[FOUR:.*]] = arith.constant 4 : index
// CHECK: %[[END:.*]] = arith.minsi
// CHECK: %[[ONES:.*]] = scf.for %{{.*}} = %{{.*}} to %[[FOUR]]
// CHECK: scf.for %{{.*}} = %{{.*}} to %[[END]]
// CHECK: grad.dynamic_update_slice {{.*}} : tensor<4x1000xf64>, tensor<1x1xf64>
// CHECK: grad.dynamic_update_slice %[[ONES]], %{{.*}} : tensor<4x1000xf64>, tensor<4x1xf64>
func.func @result(%n: tensor<i64>, %column: tensor<4x1xf64>) -> (tensor<4x1000xf64>, tensor<i64>)
    attributes {grad.result_sizes = array<i64: 0, 1, 1>} {
  %ones = grad.constant dense<1.0> : tensor<4x1000xf64>
  %zero = grad.constant dense<0> : tensor<i64>
  %0 = grad.dynamic_update_slice %ones, %column[%zero, %zero] : tensor<4x1000xf64>, tensor<4x1xf64>
  return %0, %n : tensor<4x1000xf64>, tensor<i64>
}

// -----

// The whole result is looked at, an op goes over all of it, a position is not
// known before, an iteration reads what the one before has filled, and one
// element of zeros is read.
// CHECK-LABEL: func.func @whole(
// CHECK-NOT: tensor.empty
// CHECK: return
func.func @whole(%n: index, %row: tensor<1xf64>, %at: tensor<i64>)
    -> (tensor<1000xf64>, tensor<1000xf64>, tensor<1xf64>, tensor<1xf64>) {
  %zeros = grad.constant dense<0.0> : tensor<1000xf64>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %0 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %zeros) -> (tensor<1000xf64>) {
    %w = arith.index_cast %i : index to i64
    %p = tensor.from_elements %w : tensor<i64>
    %u = grad.dynamic_update_slice %a, %row[%p] : tensor<1000xf64>, tensor<1xf64>
    scf.yield %u : tensor<1000xf64>
  }
  %1 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %zeros) -> (tensor<1000xf64>) {
    %w = arith.index_cast %i : index to i64
    %p = tensor.from_elements %w : tensor<i64>
    %u = grad.dynamic_update_slice %a, %row[%p] : tensor<1000xf64>, tensor<1xf64>
    scf.yield %u : tensor<1000xf64>
  }
  %2 = grad.negative %1 : tensor<1000xf64>
  %3:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %zeros, %s = %at) -> (tensor<1000xf64>, tensor<i64>) {
    %u = grad.dynamic_update_slice %a, %row[%s] : tensor<1000xf64>, tensor<1xf64>
    %t = grad.multiply %s, %s : tensor<i64>
    scf.yield %u, %t : tensor<1000xf64>, tensor<i64>
  }
  %4 = grad.dynamic_slice %3#0[%at], sizes = [1] : tensor<1000xf64> -> tensor<1xf64>
  %5:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %2, %s = %row) -> (tensor<1000xf64>, tensor<1xf64>) {
    %w = arith.index_cast %i : index to i64
    %p = tensor.from_elements %w : tensor<i64>
    %e = grad.dynamic_slice %a[%p], sizes = [1] : tensor<1000xf64> -> tensor<1xf64>
    %u = grad.dynamic_update_slice %zeros, %e[%p] : tensor<1000xf64>, tensor<1xf64>
    scf.yield %u, %e : tensor<1000xf64>, tensor<1xf64>
  }
  %6 = grad.dynamic_slice %zeros[%at], sizes = [1] : tensor<1000xf64> -> tensor<1xf64>
  %7 = grad.add %4, %6 : tensor<1xf64>
  return %0, %2, %7, %5#1 : tensor<1000xf64>, tensor<1000xf64>, tensor<1xf64>, tensor<1xf64>
}
