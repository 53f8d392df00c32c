// RUN: gradopt %s --grad-linearize --grad-store-residuals=remarks --canonicalize -split-input-file -verify-diagnostics | FileCheck %s

// What an iteration reads of an array that the loop updates may be there before
// the loop or behind it: then it is not stored.

// Each element is written after the one that it is computed from, which stays.
func.func private @recurrence(%b: tensor<100xf64>, %start: tensor<100xf64>) -> tensor<100xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c99 = arith.constant 99 : index
  %one = grad.constant dense<1> : tensor<i64>
  %r = scf.for %i = %c0 to %c99 step %c1 iter_args(%x = %start) -> (tensor<100xf64>) {
    %word = arith.index_cast %i : index to i64
    %n = tensor.from_elements %word : tensor<i64>
    %next = grad.add %n, %one : tensor<i64>
    %0 = grad.dynamic_slice %x[%n], sizes = [1] : tensor<100xf64> -> tensor<1xf64>
    %1 = grad.dynamic_slice %b[%next], sizes = [1] : tensor<100xf64> -> tensor<1xf64>
    %2 = grad.multiply %0, %1 : tensor<1xf64>
    %3 = grad.multiply %2, %0 : tensor<1xf64>
    %4 = grad.dynamic_update_slice %x, %3[%next] : tensor<100xf64>, tensor<1xf64>
    scf.yield %4 : tensor<100xf64>
  }
  return %r : tensor<100xf64>
}
// CHECK-LABEL: func.func @behind(
// CHECK: %[[X:.*]] = scf.for {{.*}} -> (tensor<100xf64>)
// CHECK: grad.transposed
// CHECK: scf.for
// CHECK: %[[I:.*]] = tensor.from_elements
// CHECK: grad.dynamic_slice %[[X]][%[[I]]]
func.func @behind(%b: tensor<100xf64>, %x: tensor<100xf64>, %g: tensor<100xf64>) -> tensor<100xf64> {
  %0:2 = grad.vjp @recurrence(%b, %x), cotangents(%g), wrt = [1], of = [0] : (tensor<100xf64>, tensor<100xf64>, tensor<100xf64>) -> (tensor<100xf64>, tensor<100xf64>)
  return %0#1 : tensor<100xf64>
}

// -----

// So is the result of an expensive op which has been put there.
func.func private @exponentials(%start: tensor<100xf64>) -> tensor<100xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c99 = arith.constant 99 : index
  %one = grad.constant dense<1> : tensor<i64>
  %r = scf.for %i = %c0 to %c99 step %c1 iter_args(%x = %start) -> (tensor<100xf64>) {
    %word = arith.index_cast %i : index to i64
    %n = tensor.from_elements %word : tensor<i64>
    %0 = grad.dynamic_slice %x[%n], sizes = [1] : tensor<100xf64> -> tensor<1xf64>
    %1 = grad.exp %0 : tensor<1xf64>
    %next = grad.add %n, %one : tensor<i64>
    %2 = grad.dynamic_update_slice %x, %1[%next] : tensor<100xf64>, tensor<1xf64>
    scf.yield %2 : tensor<100xf64>
  }
  return %r : tensor<100xf64>
}
// CHECK-LABEL: func.func @written(
// CHECK: %[[X:.*]] = scf.for {{.*}} -> (tensor<100xf64>)
// CHECK: grad.transposed
// CHECK: scf.for
// CHECK: %[[NEXT:.*]] = grad.add
// CHECK: %[[E:.*]] = grad.dynamic_slice %[[X]][%[[NEXT]]]
// CHECK: grad.multiply %{{.*}}, %[[E]]
func.func @written(%x: tensor<100xf64>, %g: tensor<100xf64>) -> tensor<100xf64> {
  %0:2 = grad.vjp @exponentials(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<100xf64>, tensor<100xf64>) -> (tensor<100xf64>, tensor<100xf64>)
  return %0#1 : tensor<100xf64>
}

// -----

// An element that is read before it is overwritten is that of the argument.
func.func private @squares(%start: tensor<100xf64>) -> tensor<100xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c100 = arith.constant 100 : index
  %r = scf.for %i = %c0 to %c100 step %c1 iter_args(%x = %start) -> (tensor<100xf64>) {
    %word = arith.index_cast %i : index to i64
    %n = tensor.from_elements %word : tensor<i64>
    %0 = grad.dynamic_slice %x[%n], sizes = [1] : tensor<100xf64> -> tensor<1xf64>
    %1 = grad.multiply %0, %0 : tensor<1xf64>
    %2 = grad.dynamic_update_slice %x, %1[%n] : tensor<100xf64>, tensor<1xf64>
    scf.yield %2 : tensor<100xf64>
  }
  return %r : tensor<100xf64>
}
// CHECK-LABEL: func.func @before(
// CHECK-SAME: %[[X:.*]]: tensor<100xf64>, %
// CHECK: scf.for {{.*}} -> (tensor<100xf64>)
// CHECK: grad.transposed
// CHECK: scf.for
// CHECK: grad.dynamic_slice %[[X]][
func.func @before(%x: tensor<100xf64>, %g: tensor<100xf64>) -> (tensor<100xf64>, tensor<100xf64>) {
  %0:2 = grad.vjp @squares(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<100xf64>, tensor<100xf64>) -> (tensor<100xf64>, tensor<100xf64>)
  return %0#0, %0#1 : tensor<100xf64>, tensor<100xf64>
}

// -----

// The rows of the upper triangle are final when they are used: the first element
// of each row is all that is stored, for as many rows as there can be.
func.func private @eliminate(%a: tensor<10x10xf64>) -> tensor<10x10xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %c10 = arith.constant 10 : index
  %zero = grad.constant dense<0> : tensor<i64>
  %r = scf.for %k = %c0 to %c9 step %c1 iter_args(%x = %a) -> (tensor<10x10xf64>) {
    %word = arith.index_cast %k : index to i64
    %n = tensor.from_elements %word : tensor<i64>
    %next = arith.addi %k, %c1 : index
    // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<9x1x1xf64>'}}
    %s = scf.for %i = %next to %c10 step %c1 iter_args(%y = %x) -> (tensor<10x10xf64>) {
      %other = arith.index_cast %i : index to i64
      %m = tensor.from_elements %other : tensor<i64>
      %pivot = grad.dynamic_slice %y[%n, %n], sizes = [1, 1] : tensor<10x10xf64> -> tensor<1x1xf64>
      // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<1x1xf64>'}}
      %first = grad.dynamic_slice %y[%m, %n], sizes = [1, 1] : tensor<10x10xf64> -> tensor<1x1xf64>
      %factor = grad.multiply %first, %pivot : tensor<1x1xf64>
      %0 = grad.reshape %factor, shape = [] : tensor<1x1xf64> -> tensor<f64>
      %1 = grad.broadcast %0, shape = [1, 10], dimensions = [] : tensor<f64> -> tensor<1x10xf64>
      %2 = grad.dynamic_slice %y[%n, %zero], sizes = [1, 10] : tensor<10x10xf64> -> tensor<1x10xf64>
      %3 = grad.multiply %1, %2 : tensor<1x10xf64>
      %4 = grad.dynamic_slice %y[%m, %zero], sizes = [1, 10] : tensor<10x10xf64> -> tensor<1x10xf64>
      %5 = grad.subtract %4, %3 : tensor<1x10xf64>
      %6 = grad.dynamic_update_slice %y, %5[%m, %zero] : tensor<10x10xf64>, tensor<1x10xf64>
      scf.yield %6 : tensor<10x10xf64>
    }
    scf.yield %s : tensor<10x10xf64>
  }
  return %r : tensor<10x10xf64>
}
// CHECK-LABEL: func.func @triangle(
// CHECK: %[[A:.*]]:2 = scf.for {{.*}} -> (tensor<10x10xf64>, tensor<9x9x1x1xf64>)
// CHECK: grad.transposed
// CHECK: scf.for
// CHECK: scf.for
// CHECK-DAG: grad.dynamic_slice %[[A]]#0[%[[N:.*]], %[[N]]], sizes = [1, 1]
// CHECK-DAG: grad.dynamic_slice %[[A]]#0[%{{.*}}, %{{.*}}], sizes = [1, 10]
func.func @triangle(%a: tensor<10x10xf64>, %g: tensor<10x10xf64>) -> tensor<10x10xf64> {
  %0:2 = grad.vjp @eliminate(%a), cotangents(%g), wrt = [0], of = [0] : (tensor<10x10xf64>, tensor<10x10xf64>) -> (tensor<10x10xf64>, tensor<10x10xf64>)
  return %0#1 : tensor<10x10xf64>
}

// -----

// An index that may be out of range is clamped, so that nothing is known of it.
func.func private @overlaps(%y: tensor<100xf64>) -> tensor<100xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c100 = arith.constant 100 : index
  %one = grad.constant dense<1> : tensor<i64>
  %start = grad.sin %y : tensor<100xf64>
  %r = scf.for %i = %c0 to %c100 step %c1 iter_args(%x = %start) -> (tensor<100xf64>) {
    %word = arith.index_cast %i : index to i64
    %n = tensor.from_elements %word : tensor<i64>
    %next = grad.add %n, %one : tensor<i64>
    // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<1xf64>'}}
    %0 = grad.dynamic_slice %x[%n], sizes = [1] : tensor<100xf64> -> tensor<1xf64>
    %1 = grad.multiply %0, %0 : tensor<1xf64>
    %2 = grad.dynamic_update_slice %x, %1[%next] : tensor<100xf64>, tensor<1xf64>
    scf.yield %2 : tensor<100xf64>
  }
  return %r : tensor<100xf64>
}
func.func @clamped(%x: tensor<100xf64>, %g: tensor<100xf64>) -> tensor<100xf64> {
  %0:2 = grad.vjp @overlaps(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<100xf64>, tensor<100xf64>) -> (tensor<100xf64>, tensor<100xf64>)
  return %0#1 : tensor<100xf64>
}

// -----

// A few elements of a large array are stored: otherwise all of it would be.
func.func private @few(%y: tensor<1000xf64>) -> tensor<1000xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c10 = arith.constant 10 : index
  %one = grad.constant dense<1> : tensor<i64>
  %start = grad.sin %y : tensor<1000xf64>
  %r = scf.for %i = %c0 to %c10 step %c1 iter_args(%x = %start) -> (tensor<1000xf64>) {
    %word = arith.index_cast %i : index to i64
    %n = tensor.from_elements %word : tensor<i64>
    %next = grad.add %n, %one : tensor<i64>
    // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<1xf64>'}}
    %0 = grad.dynamic_slice %x[%n], sizes = [1] : tensor<1000xf64> -> tensor<1xf64>
    %1 = grad.multiply %0, %0 : tensor<1xf64>
    %2 = grad.dynamic_update_slice %x, %1[%next] : tensor<1000xf64>, tensor<1xf64>
    scf.yield %2 : tensor<1000xf64>
  }
  return %r : tensor<1000xf64>
}
func.func @large(%x: tensor<1000xf64>, %g: tensor<1000xf64>) -> tensor<1000xf64> {
  %0:2 = grad.vjp @few(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<1000xf64>, tensor<1000xf64>) -> (tensor<1000xf64>, tensor<1000xf64>)
  return %0#1 : tensor<1000xf64>
}

// -----

// What comes behind an array may be written by any iteration of an inner loop,
// also where that reads the array as it was before all of them.
func.func private @inner(%start: tensor<10xf64>) -> tensor<10xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c9 = arith.constant 9 : index
  %one = grad.constant dense<1> : tensor<i64>
  %r = scf.for %k = %c0 to %c2 step %c1 iter_args(%x = %start) -> (tensor<10xf64>) {
    // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<9x1xf64>'}}
    %s = scf.for %i = %c0 to %c9 step %c1 iter_args(%y = %x) -> (tensor<10xf64>) {
      %word = arith.index_cast %i : index to i64
      %n = tensor.from_elements %word : tensor<i64>
      %0 = grad.dynamic_slice %x[%n], sizes = [1] : tensor<10xf64> -> tensor<1xf64>
      %1 = grad.multiply %0, %0 : tensor<1xf64>
      %next = grad.add %n, %one : tensor<i64>
      // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<1xf64>'}}
      %2 = grad.dynamic_update_slice %y, %1[%next] : tensor<10xf64>, tensor<1xf64>
      scf.yield %2 : tensor<10xf64>
    }
    scf.yield %s : tensor<10xf64>
  }
  return %r : tensor<10xf64>
}
func.func @twice(%x: tensor<10xf64>, %g: tensor<10xf64>) -> tensor<10xf64> {
  %0:2 = grad.vjp @inner(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<10xf64>, tensor<10xf64>) -> (tensor<10xf64>, tensor<10xf64>)
  return %0#1 : tensor<10xf64>
}

// -----

// A position that is written where it says would have to be known to be read.
func.func private @positions(%start: tensor<10xf64>, %numbers: tensor<10xi64>) -> (tensor<10xf64>, tensor<10xi64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c10 = arith.constant 10 : index
  %r:2 = scf.for %i = %c0 to %c10 step %c1 iter_args(%x = %start, %k = %numbers) -> (tensor<10xf64>, tensor<10xi64>) {
    %word = arith.index_cast %i : index to i64
    %n = tensor.from_elements %word : tensor<i64>
    %0 = grad.dynamic_slice %start[%n], sizes = [1] : tensor<10xf64> -> tensor<1xf64>
    %1 = grad.dynamic_update_slice %x, %0[%n] : tensor<10xf64>, tensor<1xf64>
    %2 = grad.reshape %n, shape = [1] : tensor<i64> -> tensor<1xi64>
    %3 = grad.dynamic_update_slice %k, %2[%n] : tensor<10xi64>, tensor<1xi64>
    scf.yield %1, %3 : tensor<10xf64>, tensor<10xi64>
  }
  return %r#0, %r#1 : tensor<10xf64>, tensor<10xi64>
}
// CHECK-LABEL: func.func @counter(
// CHECK: grad.transposed
// CHECK: scf.for %[[I:[a-z0-9]+]] =
// CHECK: %[[WORD:.*]] = arith.index_cast %[[I]]
// CHECK: tensor.from_elements %[[WORD]]
func.func @counter(%x: tensor<10xf64>, %k: tensor<10xi64>, %g: tensor<10xf64>) -> tensor<10xf64> {
  %0:3 = grad.vjp @positions(%x, %k), cotangents(%g), wrt = [0], of = [0] : (tensor<10xf64>, tensor<10xi64>, tensor<10xf64>) -> (tensor<10xf64>, tensor<10xi64>, tensor<10xf64>)
  return %0#2 : tensor<10xf64>
}
