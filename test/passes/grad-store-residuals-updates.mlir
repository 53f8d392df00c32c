// RUN: gradopt %s --grad-linearize --grad-store-residuals=remarks -split-input-file -verify-diagnostics | FileCheck %s
// RUN: gradopt %s --grad-linearize --grad-store-residuals=remarks --grad-transpose --canonicalize -split-input-file -verify-diagnostics | FileCheck %s --check-prefix=REVERSE

// Arrays that loops update in place: what is overwritten is stored, and put back
// in the direction of the transpose.

// What has been put there is read from the array.
func.func private @substitution(%l: tensor<100x100xf64>, %b: tensor<100xf64>, %places: tensor<100xi64>) -> tensor<100xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c100 = arith.constant 100 : index
  %zero = grad.constant dense<0> : tensor<i64>
  %start = grad.constant dense<0.0> : tensor<100xf64>
  %r = scf.for %i = %c0 to %c100 step %c1 iter_args(%x = %start) -> (tensor<100xf64>) {
    %word = arith.index_cast %i : index to i64
    %n = tensor.from_elements %word : tensor<i64>
    %row = grad.dynamic_slice %l[%n, %zero], sizes = [1, 100] : tensor<100x100xf64> -> tensor<1x100xf64>
    %0 = grad.dot_general %row, %x, batch = [] x [], contract = [1] x [0] : tensor<1x100xf64>, tensor<100xf64> -> tensor<1xf64>
    %1 = grad.dynamic_slice %b[%n], sizes = [1] : tensor<100xf64> -> tensor<1xf64>
    %2 = grad.subtract %1, %0 : tensor<1xf64>
    %3 = grad.tanh %2 : tensor<1xf64>
    %4 = grad.dynamic_slice %places[%n], sizes = [1] : tensor<100xi64> -> tensor<1xi64>
    %p = grad.reshape %4, shape = [] : tensor<1xi64> -> tensor<i64>
    // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<1xf64>'}}
    %5 = grad.dynamic_update_slice %x, %3[%p] : tensor<100xf64>, tensor<1xf64>
    scf.yield %5 : tensor<100xf64>
  }
  return %r : tensor<100xf64>
}
// CHECK-LABEL: func.func @overwritten(
// CHECK: %[[L:.*]]:2 = scf.for {{.*}} iter_args(%[[X:.*]] = %{{.*}}, %[[S:.*]] = %{{.*}}) -> (tensor<100xf64>, tensor<100x1xf64>)
// CHECK: %[[OLD:.*]] = grad.dynamic_slice %[[X]]
// CHECK: grad.dynamic_update_slice %[[X]]
// CHECK: %[[V:.*]] = grad.reshape %[[OLD]]
// CHECK: grad.dynamic_update_slice %[[S]], %[[V]]
// CHECK: grad.transposed
// CHECK: scf.for {{.*}} iter_args({{.*}}, %[[AFTER:.*]] = %[[L]]#0)
// CHECK: grad.dynamic_slice %[[L]]#1
// CHECK: %[[OLD:.*]] = grad.reshape
// CHECK: %[[Y:.*]] = grad.dynamic_slice %[[AFTER]]
// CHECK: %[[BEFORE:.*]] = grad.dynamic_update_slice %[[AFTER]], %[[OLD]]
// CHECK: grad.dot_general %{{.*}}, %[[BEFORE]]
// CHECK: grad.multiply %[[Y]], %[[Y]]
// CHECK: scf.yield %{{.*}}, %[[BEFORE]]
// CHECK: {grad.backward = 1 : i64}
// REVERSE-LABEL: func.func @overwritten(
// REVERSE: %[[L:.*]]:2 = scf.for
// REVERSE: scf.for {{.*}} iter_args({{.*}}, %[[AFTER:.*]] = %[[L]]#0)
// REVERSE: %[[BEFORE:.*]] = grad.dynamic_update_slice %[[AFTER]]
// REVERSE: scf.yield {{.*}}, %[[BEFORE]] :
// REVERSE-NOT: grad.backward
// REVERSE-NOT: grad.restored
func.func @overwritten(%l: tensor<100x100xf64>, %b: tensor<100xf64>, %places: tensor<100xi64>, %g: tensor<100xf64>) -> (tensor<100x100xf64>, tensor<100xf64>) {
  %0:3 = grad.vjp @substitution(%l, %b, %places), cotangents(%g), wrt = [0, 1], of = [0] : (tensor<100x100xf64>, tensor<100xf64>, tensor<100xi64>, tensor<100xf64>) -> (tensor<100xf64>, tensor<100x100xf64>, tensor<100xf64>)
  return %0#1, %0#2 : tensor<100x100xf64>, tensor<100xf64>
}

// -----

// The loop that undoes an inner loop is that of its transpose: there is one loop
// in the transpose of the outer loop. A branch is undone by a branch.
func.func private @sweeps(%a: tensor<100x100xf64>, %start: tensor<100xf64>, %c: tensor<5xi1>) -> tensor<100xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %c10 = arith.constant 10 : index
  %zero = grad.constant dense<0> : tensor<i64>
  %r = scf.for %k = %c0 to %c5 step %c1 iter_args(%y = %start) -> (tensor<100xf64>) {
    // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<10x1xf64>'}}
    %s = scf.for %i = %c0 to %c10 step %c1 iter_args(%x = %y) -> (tensor<100xf64>) {
      %word = arith.index_cast %i : index to i64
      %n = tensor.from_elements %word : tensor<i64>
      %row = grad.dynamic_slice %a[%n, %zero], sizes = [1, 100] : tensor<100x100xf64> -> tensor<1x100xf64>
      %0 = grad.dot_general %row, %x, batch = [] x [], contract = [1] x [0] : tensor<1x100xf64>, tensor<100xf64> -> tensor<1xf64>
      // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<1xf64>'}}
      %1 = grad.dynamic_update_slice %x, %0[%n] : tensor<100xf64>, tensor<1xf64>
      scf.yield %1 : tensor<100xf64>
    }
    %flag = tensor.extract %c[%k] : tensor<5xi1>
    // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<3xf64>'}}
    %t = scf.if %flag -> (tensor<100xf64>) {
      %2 = grad.slice %s, offsets = [7], sizes = [3], strides = [1] : tensor<100xf64> -> tensor<3xf64>
      // expected-remark @+1 {{stored for the derivative of scf.if: 'tensor<3xf64>'}}
      %3 = grad.update_slice %s, %2, offsets = [4], strides = [2] : tensor<100xf64>, tensor<3xf64>
      scf.yield %3 : tensor<100xf64>
    } else {
      scf.yield %s : tensor<100xf64>
    }
    scf.yield %t : tensor<100xf64>
  }
  return %r : tensor<100xf64>
}
// CHECK-LABEL: func.func @nested(
// CHECK: grad.transposed
// CHECK: scf.for {{.*}} iter_args({{.*}}, %[[AFTER:.*]] = %{{.*}})
// CHECK: %[[MIDDLE:.*]] = scf.if
// CHECK: %[[UNDONE:.*]] = grad.update_slice %[[AFTER]], {{.*}}, offsets = [4], strides = [2]
// CHECK: scf.yield %[[UNDONE]]
// CHECK: scf.yield %[[AFTER]]
// CHECK: %[[BEFORE:.*]] = scf.for {{.*}} iter_args(%{{.*}} = %[[MIDDLE]])
// CHECK: scf.for {{.*}} iter_args({{.*}}, %{{.*}} = %[[MIDDLE]])
// CHECK: {grad.backward = 1 : i64}
// CHECK: scf.yield {{.*}}, %[[BEFORE]] :
// CHECK: {grad.backward = 1 : i64}
// REVERSE-LABEL: func.func @nested(
// REVERSE: scf.for
// REVERSE: scf.for
// REVERSE: scf.for {{.*}} iter_args({{.*}}, %[[AFTER:.*]] = %{{.*}})
// REVERSE: %[[MIDDLE:.*]]:2 = scf.if
// REVERSE: grad.update_slice %[[AFTER]]
// REVERSE-NOT: scf.for
// REVERSE: %[[R:.*]]:3 = scf.for {{.*}} iter_args({{.*}}, %{{.*}} = %[[MIDDLE]]#0)
// REVERSE-NOT: scf.for
// REVERSE: scf.yield {{.*}}, %[[R]]#2 :
func.func @nested(%a: tensor<100x100xf64>, %start: tensor<100xf64>, %c: tensor<5xi1>, %g: tensor<100xf64>) -> (tensor<100x100xf64>, tensor<100xf64>) {
  %0:3 = grad.vjp @sweeps(%a, %start, %c), cotangents(%g), wrt = [0, 1], of = [0] : (tensor<100x100xf64>, tensor<100xf64>, tensor<5xi1>, tensor<100xf64>) -> (tensor<100xf64>, tensor<100x100xf64>, tensor<100xf64>)
  return %0#1, %0#2 : tensor<100x100xf64>, tensor<100xf64>
}

// -----

// A place that is found in the array itself is stored: the array cannot be
// restored without it.
func.func private @pointer(%start: tensor<100xf64>) -> tensor<100xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %r = scf.for %i = %c0 to %c5 step %c1 iter_args(%x = %start) -> (tensor<100xf64>) {
    %0 = grad.slice %x, offsets = [0], sizes = [1], strides = [1] : tensor<100xf64> -> tensor<1xf64>
    %1 = grad.convert %0 to i64 : tensor<1xf64>
    // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<i64>'}}
    %n = grad.reshape %1, shape = [] : tensor<1xi64> -> tensor<i64>
    %2 = grad.dot_general %x, %x, batch = [] x [], contract = [0] x [0] : tensor<100xf64>, tensor<100xf64> -> tensor<f64>
    %3 = grad.reshape %2, shape = [1] : tensor<f64> -> tensor<1xf64>
    // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<1xf64>'}}
    %4 = grad.dynamic_update_slice %x, %3[%n] : tensor<100xf64>, tensor<1xf64>
    scf.yield %4 : tensor<100xf64>
  }
  return %r : tensor<100xf64>
}
func.func @place(%start: tensor<100xf64>, %g: tensor<100xf64>) -> tensor<100xf64> {
  %0:2 = grad.vjp @pointer(%start), cotangents(%g), wrt = [0], of = [0] : (tensor<100xf64>, tensor<100xf64>) -> (tensor<100xf64>, tensor<100xf64>)
  return %0#1 : tensor<100xf64>
}

// -----

// An array of which another loop would have to store all, in each of its
// iterations, is not worth the element that it saves.
func.func private @replaced(%start: tensor<100xf64>) -> tensor<100xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %r = scf.for %k = %c0 to %c5 step %c1 iter_args(%y = %start) -> (tensor<100xf64>) {
    // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<100xf64>'}}
    %e = grad.exp %y : tensor<100xf64>
    // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<5x2xf64>'}}
    %s = scf.for %i = %c0 to %c5 step %c1 iter_args(%x = %e) -> (tensor<100xf64>) {
      %word = arith.index_cast %i : index to i64
      %n = tensor.from_elements %word : tensor<i64>
      // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<2xf64>'}}
      %0 = grad.slice %x, offsets = [0], sizes = [2], strides = [1] : tensor<100xf64> -> tensor<2xf64>
      %1 = grad.dot_general %0, %0, batch = [] x [], contract = [0] x [0] : tensor<2xf64>, tensor<2xf64> -> tensor<f64>
      %2 = grad.reshape %1, shape = [1] : tensor<f64> -> tensor<1xf64>
      %3 = grad.dynamic_update_slice %x, %2[%n] : tensor<100xf64>, tensor<1xf64>
      scf.yield %3 : tensor<100xf64>
    }
    scf.yield %s : tensor<100xf64>
  }
  return %r : tensor<100xf64>
}
func.func @not_worth_it(%start: tensor<100xf64>, %g: tensor<100xf64>) -> tensor<100xf64> {
  %0:2 = grad.vjp @replaced(%start), cotangents(%g), wrt = [0], of = [0] : (tensor<100xf64>, tensor<100xf64>) -> (tensor<100xf64>, tensor<100xf64>)
  return %0#1 : tensor<100xf64>
}

// -----

// What an inner loop keeps to restore an array serves the outer loop, too: that
// stores nothing else, though the inner loop overwrites as much as the array.
func.func private @whole_sweeps(%a: tensor<100x100xf64>, %start: tensor<100xf64>) -> tensor<100xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %c100 = arith.constant 100 : index
  %zero = grad.constant dense<0> : tensor<i64>
  %r = scf.for %k = %c0 to %c5 step %c1 iter_args(%y = %start) -> (tensor<100xf64>) {
    // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<100x1xf64>'}}
    %s = scf.for %i = %c0 to %c100 step %c1 iter_args(%x = %y) -> (tensor<100xf64>) {
      %word = arith.index_cast %i : index to i64
      %n = tensor.from_elements %word : tensor<i64>
      %row = grad.dynamic_slice %a[%n, %zero], sizes = [1, 100] : tensor<100x100xf64> -> tensor<1x100xf64>
      %0 = grad.dot_general %row, %x, batch = [] x [], contract = [1] x [0] : tensor<1x100xf64>, tensor<100xf64> -> tensor<1xf64>
      // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<1xf64>'}}
      %1 = grad.dynamic_update_slice %x, %0[%n] : tensor<100xf64>, tensor<1xf64>
      scf.yield %1 : tensor<100xf64>
    }
    scf.yield %s : tensor<100xf64>
  }
  return %r : tensor<100xf64>
}
// REVERSE-LABEL: func.func @restored_by_both(
// REVERSE: scf.for
// REVERSE: scf.for
// REVERSE: scf.for {{.*}} iter_args({{.*}}, %[[AFTER:.*]] = %{{.*}})
// REVERSE: %[[R:.*]]:3 = scf.for {{.*}} iter_args({{.*}}, %{{.*}} = %[[AFTER]])
// REVERSE-NOT: scf.for
// REVERSE: scf.yield {{.*}}, %[[R]]#2 :
func.func @restored_by_both(%a: tensor<100x100xf64>, %start: tensor<100xf64>, %g: tensor<100xf64>) -> (tensor<100x100xf64>, tensor<100xf64>) {
  %0:3 = grad.vjp @whole_sweeps(%a, %start), cotangents(%g), wrt = [0, 1], of = [0] : (tensor<100x100xf64>, tensor<100xf64>, tensor<100xf64>) -> (tensor<100xf64>, tensor<100x100xf64>, tensor<100xf64>)
  return %0#1, %0#2 : tensor<100x100xf64>, tensor<100xf64>
}
