// RUN: gradopt %s --grad-transpose --canonicalize -split-input-file -verify-diagnostics | FileCheck %s

// Backwards, with coefficients of the mirrored counter; the cotangent of a value
// from outside is summed up in the loop, in whatever order.
// CHECK-LABEL: func.func @loop
// CHECK-SAME: %[[X:.*]]: tensor<f64>, %[[S:.*]]: tensor<5xf64>, %[[G:.*]]: tensor<f64>
func.func @loop(%x: tensor<f64>, %s: tensor<5xf64>, %g: tensor<f64>) -> tensor<f64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %zero = grad.constant dense<0.0> : tensor<f64>
  // CHECK-DAG: %[[C4:.*]] = arith.constant 4 : index
  // CHECK: %[[R:.*]]:2 = scf.for %[[I:.*]] = {{.*}} iter_args(%[[CT:.*]] = %[[G]], %[[SUM:.*]] = %{{.*}})
  // CHECK: %[[J:.*]] = arith.subi %[[C4]], %[[I]]
  // CHECK: %[[W:.*]] = arith.index_cast %[[J]]
  // CHECK: %[[N:.*]] = tensor.from_elements %[[W]]
  // CHECK: %[[V:.*]] = grad.dynamic_slice %[[S]][%[[N]]]
  // CHECK: %[[Y:.*]] = grad.reshape %[[V]]
  // CHECK: %[[P:.*]] = grad.multiply %[[CT]], %[[Y]]
  // CHECK: %[[NEXT:.*]] = grad.add %[[SUM]], %[[P]] {grad.any_order}
  // CHECK: %[[Q:.*]] = grad.multiply %[[CT]], %[[X]]
  // CHECK: scf.yield %[[Q]], %[[NEXT]]
  // CHECK: return %[[R]]#1
  %r = grad.transposed(%g) {
  ^bb0(%t: tensor<f64>):
    %0 = scf.for %i = %c0 to %c5 step %c1 iter_args(%d = %zero) -> (tensor<f64>) {
      %word = arith.index_cast %i : index to i64
      %n = tensor.from_elements %word : tensor<i64>
      %1 = grad.dynamic_slice %s[%n], sizes = [1] : tensor<5xf64> -> tensor<1xf64>
      %y = grad.reshape %1, shape = [] : tensor<1xf64> -> tensor<f64>
      %2 = grad.multiply %d, %x : tensor<f64>
      %3 = grad.multiply %t, %y : tensor<f64>
      %4 = grad.add %2, %3 : tensor<f64>
      scf.yield %4 : tensor<f64>
    }
    grad.yield %0 : tensor<f64>
  } : (tensor<f64>) -> tensor<f64>
  return %r : tensor<f64>
}

// -----

// CHECK-LABEL: func.func @branch
// CHECK-SAME: %[[C:.*]]: i1, %[[A:.*]]: tensor<f64>, %[[G:.*]]: tensor<f64>
func.func @branch(%c: i1, %a: tensor<f64>, %g: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  // CHECK: %[[R:.*]]:2 = scf.if %[[C]]
  // CHECK: %[[P:.*]] = grad.multiply %[[G]], %[[A]]
  // CHECK: scf.yield %[[P]], %[[ZERO:.*]] :
  // CHECK: else
  // CHECK: %[[Q:.*]] = grad.sin %[[A]]
  // CHECK: %[[S:.*]] = grad.multiply %[[G]], %[[Q]]
  // CHECK: scf.yield %[[ZERO]], %[[S]]
  // CHECK: return %[[R]]#0, %[[R]]#1
  %r:2 = grad.transposed(%g) {
  ^bb0(%t: tensor<f64>, %u: tensor<f64>):
    %0 = scf.if %c -> (tensor<f64>) {
      %1 = grad.multiply %t, %a : tensor<f64>
      scf.yield %1 : tensor<f64>
    } else {
      %1 = grad.sin %a : tensor<f64>
      %2 = grad.multiply %u, %1 : tensor<f64>
      scf.yield %2 : tensor<f64>
    }
    grad.yield %0 : tensor<f64>
  } : (tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %r#0, %r#1 : tensor<f64>, tensor<f64>
}

// -----

// A loop that carries what is not linear cannot run backwards.
func.func @counter(%n: tensor<i64>, %g: tensor<f64>) -> tensor<f64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  // expected-note @below {{transposed from here}}
  %r = grad.transposed(%g) {
  ^bb0(%t: tensor<f64>):
    // expected-error @below {{expected a linear loop to carry floats, but it carries 'tensor<i64>'}}
    %0:2 = scf.for %i = %c0 to %c5 step %c1 iter_args(%d = %t, %k = %n) -> (tensor<f64>, tensor<i64>) {
      %1 = grad.convert %k to f64 : tensor<i64>
      %2 = grad.multiply %d, %1 : tensor<f64>
      scf.yield %2, %k : tensor<f64>, tensor<i64>
    }
    grad.yield %0#0 : tensor<f64>
  } : (tensor<f64>) -> tensor<f64>
  return %r : tensor<f64>
}

// -----

// What an element was before it is overwritten is used before that: the array
// can be updated in place.
// CHECK-LABEL: func.func @element(
// CHECK: scf.for {{.*}} iter_args(%[[A:.*]] = %{{.*}}, %[[B:.*]] = %{{.*}})
// CHECK: %[[E:.*]] = grad.dynamic_slice %[[A]]
// CHECK: grad.dynamic_add_slice %[[B]], %[[E]]
// CHECK: grad.dynamic_update_slice %[[A]]
func.func @element(%g: tensor<8xf64>) -> tensor<8xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c7 = arith.constant 7 : index
  %one = grad.constant dense<1> : tensor<i64>
  %zeros = grad.constant dense<0.0> : tensor<8xf64>
  %r = grad.transposed(%g) {
  ^bb0(%t: tensor<8xf64>):
    %0 = scf.for %i = %c0 to %c7 step %c1 iter_args(%x = %zeros) -> (tensor<8xf64>) {
      %word = arith.index_cast %i : index to i64
      %n = tensor.from_elements %word : tensor<i64>
      %next = grad.add %n, %one : tensor<i64>
      %1 = grad.dynamic_slice %x[%n], sizes = [1] : tensor<8xf64> -> tensor<1xf64>
      %2 = grad.dynamic_slice %t[%n], sizes = [1] : tensor<8xf64> -> tensor<1xf64>
      %3 = grad.add %1, %2 : tensor<1xf64>
      %4 = grad.dynamic_update_slice %x, %3[%next] : tensor<8xf64>, tensor<1xf64>
      scf.yield %4 : tensor<8xf64>
    }
    grad.yield %0 : tensor<8xf64>
  } : (tensor<8xf64>) -> tensor<8xf64>
  return %r : tensor<8xf64>
}

// -----

// What replaces an element that was read is written with what is added to it:
// here to zeros.
// CHECK-LABEL: func.func @replaced(
// CHECK: scf.for {{.*}} iter_args(%[[A:.*]] = %{{.*}})
// CHECK: %[[E:.*]] = grad.dynamic_slice %[[A]]
// CHECK: %[[P:.*]] = grad.multiply %[[E]]
// CHECK-NOT: grad.add
// CHECK: %[[U:.*]] = grad.dynamic_update_slice %[[A]], %[[P]]
// CHECK-NOT: grad.dynamic_add_slice
// CHECK: scf.yield %[[U]]
func.func @replaced(%g: tensor<8xf64>, %c: tensor<1xf64>) -> tensor<8xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %r = grad.transposed(%g) {
  ^bb0(%t: tensor<8xf64>):
    %0 = scf.for %i = %c0 to %c8 step %c1 iter_args(%x = %t) -> (tensor<8xf64>) {
      %word = arith.index_cast %i : index to i64
      %n = tensor.from_elements %word : tensor<i64>
      %1 = grad.dynamic_slice %x[%n], sizes = [1] : tensor<8xf64> -> tensor<1xf64>
      %2 = grad.multiply %1, %c : tensor<1xf64>
      %3 = grad.dynamic_update_slice %x, %2[%n] : tensor<8xf64>, tensor<1xf64>
      scf.yield %3 : tensor<8xf64>
    }
    grad.yield %0 : tensor<8xf64>
  } : (tensor<8xf64>) -> tensor<8xf64>
  return %r : tensor<8xf64>
}
