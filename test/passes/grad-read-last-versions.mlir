// RUN: gradopt %s --grad-read-last-versions -split-input-file | FileCheck %s

// The first rows are read where the loop has written to those behind them.
// CHECK-LABEL: func.func @rows_before(
// CHECK-SAME: %{{.*}}: tensor<9xf64>, %[[M:.*]]: index, %[[N:.*]]: index
// CHECK: %[[X:.*]] = grad.negative
// CHECK: %[[LATER:.*]] = scf.for %{{.*}} = %[[M]] to %[[N]] step %{{.*}} iter_args(%{{.*}} = %[[X]])
// CHECK: scf.for
// CHECK: grad.dynamic_slice %[[LATER]][
func.func @rows_before(%a: tensor<9xf64>, %m: index, %n: index) -> (tensor<9xf64>, tensor<1xf64>) {
  %x = grad.negative %a : tensor<9xf64>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %one = grad.constant dense<1.0> : tensor<1xf64>
  %later = scf.for %i = %m to %n step %c1 iter_args(%b = %x) -> (tensor<9xf64>) {
    %w = arith.index_cast %i : index to i64
    %p = tensor.from_elements %w : tensor<i64>
    %u = grad.dynamic_update_slice %b, %one[%p] {grad.in_bounds} : tensor<9xf64>, tensor<1xf64>
    scf.yield %u : tensor<9xf64>
  }
  // A position that is clamped, but lies before one that is not.
  %sum = scf.for %j = %c0 to %m step %c1 iter_args(%s = %one) -> (tensor<1xf64>) {
    %w = arith.index_cast %j : index to i64
    %p = tensor.from_elements %w : tensor<i64>
    %e = grad.dynamic_slice %x[%p], sizes = [1] : tensor<9xf64> -> tensor<1xf64>
    %t = grad.add %s, %e : tensor<1xf64>
    scf.yield %t : tensor<1xf64>
  }
  return %later, %sum : tensor<9xf64>, tensor<1xf64>
}

// -----

// One of the elements may be written to, and then both arrays are needed.
// CHECK-LABEL: func.func @same_rows(
// CHECK: %[[X:.*]] = grad.negative
// CHECK: scf.for
// CHECK: grad.dynamic_slice %[[X]][
// CHECK: grad.dynamic_slice %[[X]][
func.func @same_rows(%a: tensor<9xf64>, %m: tensor<i64>, %n: index) -> (tensor<9xf64>, tensor<1xf64>, tensor<1xf64>) {
  %x = grad.negative %a : tensor<9xf64>
  %c1 = arith.constant 1 : index
  %zero = grad.constant dense<0> : tensor<i64>
  %one = grad.constant dense<1.0> : tensor<1xf64>
  %later = scf.for %i = %c1 to %n step %c1 iter_args(%b = %x) -> (tensor<9xf64>) {
    %w = arith.index_cast %i : index to i64
    %p = tensor.from_elements %w : tensor<i64>
    %u = grad.dynamic_update_slice %b, %one[%p] {grad.in_bounds} : tensor<9xf64>, tensor<1xf64>
    scf.yield %u : tensor<9xf64>
  }
  %apart = grad.dynamic_slice %x[%zero], sizes = [1] {grad.in_bounds} : tensor<9xf64> -> tensor<1xf64>
  %other = grad.dynamic_slice %x[%m], sizes = [1] {grad.in_bounds} : tensor<9xf64> -> tensor<1xf64>
  return %later, %apart, %other : tensor<9xf64>, tensor<1xf64>, tensor<1xf64>
}

// -----

// What the loop makes is updated again, so that it would be copied for the read.
// CHECK-LABEL: func.func @updated_later(
// CHECK: %[[X:.*]] = grad.negative
// CHECK: grad.dynamic_slice %[[X]][
func.func @updated_later(%a: tensor<9xf64>, %n: index) -> (tensor<9xf64>, tensor<1xf64>) {
  %x = grad.negative %a : tensor<9xf64>
  %c1 = arith.constant 1 : index
  %zero = grad.constant dense<0> : tensor<i64>
  %one = grad.constant dense<1.0> : tensor<1xf64>
  %later = scf.for %i = %c1 to %n step %c1 iter_args(%b = %x) -> (tensor<9xf64>) {
    %w = arith.index_cast %i : index to i64
    %p = tensor.from_elements %w : tensor<i64>
    %u = grad.dynamic_update_slice %b, %one[%p] {grad.in_bounds} : tensor<9xf64>, tensor<1xf64>
    scf.yield %u : tensor<9xf64>
  }
  %last = grad.dynamic_update_slice %later, %one[%zero] : tensor<9xf64>, tensor<1xf64>
  %apart = grad.dynamic_slice %x[%zero], sizes = [1] {grad.in_bounds} : tensor<9xf64> -> tensor<1xf64>
  return %last, %apart : tensor<9xf64>, tensor<1xf64>
}
