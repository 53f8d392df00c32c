// RUN: gradopt %s --grad-linearize --grad-store-residuals=remarks -split-input-file -verify-diagnostics | FileCheck %s

// How many iterations a loop has at most is known where each of them accesses a
// part of an array that is said to be there: it stores what it needs of each.

func.func private @up_to_n(%n: index, %start: tensor<100xf64>) -> tensor<100xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%x = %start) -> (tensor<100xf64>) {
    %word = arith.index_cast %i : index to i64
    %p = tensor.from_elements %word : tensor<i64>
    %0 = grad.dynamic_slice %x[%p], sizes = [2] {grad.in_bounds} : tensor<100xf64> -> tensor<2xf64>
    // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<2xf64>'}}
    %1 = grad.exp %0 : tensor<2xf64>
    %2 = grad.dynamic_update_slice %x, %1[%p] : tensor<100xf64>, tensor<2xf64>
    scf.yield %2 : tensor<100xf64>
  }
  return %r : tensor<100xf64>
}
// CHECK-LABEL: func.func @in_bounds(
// CHECK: scf.for {{.*}} -> (tensor<100xf64>, tensor<99x2xf64>)
// CHECK: {grad.max_trip_count = 99 : i64}
// CHECK: grad.transposed
// CHECK: scf.for
// CHECK: {grad.max_trip_count = 99 : i64}
func.func @in_bounds(%n: index, %x: tensor<100xf64>, %g: tensor<100xf64>) -> tensor<100xf64> {
  %0:2 = grad.vjp @up_to_n(%n, %x), cotangents(%g), wrt = [1], of = [0] : (index, tensor<100xf64>, tensor<100xf64>) -> (tensor<100xf64>, tensor<100xf64>)
  return %0#1 : tensor<100xf64>
}

// -----

// Otherwise positions are moved to where something is: there may be any number
// of iterations.
func.func private @up_to_n(%n: index, %start: tensor<100xf64>) -> tensor<100xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%x = %start) -> (tensor<100xf64>) {
    %word = arith.index_cast %i : index to i64
    %p = tensor.from_elements %word : tensor<i64>
    %0 = grad.dynamic_slice %x[%p], sizes = [2] : tensor<100xf64> -> tensor<2xf64>
    // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<2xf64>'}}
    %1 = grad.exp %0 : tensor<2xf64>
    %2 = grad.dynamic_update_slice %x, %1[%p] : tensor<100xf64>, tensor<2xf64>
    scf.yield %2 : tensor<100xf64>
  }
  return %r : tensor<100xf64>
}
// CHECK-LABEL: func.func @clamped(
// CHECK-NOT: grad.max_trip_count = 99
func.func @clamped(%n: index, %x: tensor<100xf64>, %g: tensor<100xf64>) -> tensor<100xf64> {
  %0:2 = grad.vjp @up_to_n(%n, %x), cotangents(%g), wrt = [1], of = [0] : (index, tensor<100xf64>, tensor<100xf64>) -> (tensor<100xf64>, tensor<100xf64>)
  return %0#1 : tensor<100xf64>
}

// -----

// Upstream's accesses are there in any case. The first iteration has a position
// that bounds the loop, too, and of a step of 3 there are a third as many.
func.func private @downwards(%n: index, %start: tensor<100xf64>) -> tensor<100xf64> {
  %c3 = arith.constant 3 : index
  %c5 = arith.constant 5 : index
  %r = scf.for %i = %c5 to %n step %c3 iter_args(%x = %start) -> (tensor<100xf64>) {
    %p = arith.subi %n, %i : index
    %0 = tensor.extract %x[%p] : tensor<100xf64>
    %1 = math.exp %0 : f64
    %2 = tensor.insert %1 into %x[%p] : tensor<100xf64>
    scf.yield %2 : tensor<100xf64>
  }
  return %r : tensor<100xf64>
}
// CHECK-LABEL: func.func @upstream(
// CHECK: {grad.max_trip_count = 33 : i64}
// CHECK: grad.transposed
// CHECK: {grad.backward = 1 : i64, grad.max_trip_count = 33 : i64}
func.func @upstream(%n: index, %x: tensor<100xf64>, %g: tensor<100xf64>) -> tensor<100xf64> {
  %0:2 = grad.vjp @downwards(%n, %x), cotangents(%g), wrt = [1], of = [0] : (index, tensor<100xf64>, tensor<100xf64>) -> (tensor<100xf64>, tensor<100xf64>)
  return %0#1 : tensor<100xf64>
}

// -----

// What a branch accesses need not be accessed in each iteration.
func.func private @sometimes(%n: index, %c: i1, %start: tensor<100xf64>) -> tensor<100xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%x = %start) -> (tensor<100xf64>) {
    // expected-remark @+1 {{stored for the derivative of scf.for: 'f64'}}
    %2 = scf.if %c -> (tensor<100xf64>) {
      %0 = tensor.extract %x[%i] : tensor<100xf64>
      // expected-remark @+1 {{stored for the derivative of scf.if: 'f64'}}
      %1 = math.exp %0 : f64
      %3 = tensor.insert %1 into %x[%i] : tensor<100xf64>
      scf.yield %3 : tensor<100xf64>
    } else {
      scf.yield %x : tensor<100xf64>
    }
    scf.yield %2 : tensor<100xf64>
  }
  return %r : tensor<100xf64>
}
// CHECK-LABEL: func.func @in_branch(
// CHECK-NOT: grad.max_trip_count = 100
func.func @in_branch(%n: index, %c: i1, %x: tensor<100xf64>, %g: tensor<100xf64>) -> tensor<100xf64> {
  %0:2 = grad.vjp @sometimes(%n, %c, %x), cotangents(%g), wrt = [2], of = [0] : (index, i1, tensor<100xf64>, tensor<100xf64>) -> (tensor<100xf64>, tensor<100xf64>)
  return %0#1 : tensor<100xf64>
}
