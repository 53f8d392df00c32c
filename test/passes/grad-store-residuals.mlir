// RUN: gradopt %s --grad-store-residuals=remarks -split-input-file -verify-diagnostics | FileCheck %s
// RUN: gradopt %s --grad-store-residuals=remarks --grad-transpose -split-input-file -verify-diagnostics | FileCheck %s --check-prefix=ADJOINT

// What grad-linearize leaves, also after other passes. Of the values that lead
// to what linear code uses, the ones of least bytes are stored: not the product,
// but the number that it follows from.
// CHECK-LABEL: func.func @loop(
// CHECK-SAME: %[[X:.*]]: tensor<100xf64>, %[[S:.*]]: tensor<f64>, %[[G:.*]]: tensor<100xf64>
// CHECK-NOT: grad.keep
// CHECK: %[[STACK:.*]] = tensor.empty() : tensor<5xf64>
// CHECK: %[[L:.*]]:2 = scf.for {{.*}} iter_args(%[[A:.*]] = %[[S]], %[[C:.*]] = %[[STACK]])
// CHECK: %[[E:.*]] = grad.exp %[[A]]
// CHECK: %[[ONE:.*]] = grad.reshape %[[E]], shape = [1]
// CHECK: %[[NEXT:.*]] = grad.dynamic_update_slice %[[C]], %[[ONE]]
// CHECK: scf.yield %{{.*}}, %[[NEXT]]
// CHECK-NOT: grad.linear_part
// CHECK: grad.transposed
// CHECK: scf.for
// CHECK: %[[READ:.*]] = grad.dynamic_slice %[[L]]#1
// CHECK: %[[VALUE:.*]] = grad.reshape %[[READ]], shape = []
// CHECK: %[[WIDE:.*]] = grad.broadcast %[[VALUE]]
// CHECK: %[[PRODUCT:.*]] = grad.multiply %[[X]], %[[WIDE]]
// CHECK-NOT: grad.kept
// CHECK: grad.multiply %{{.*}}, %[[PRODUCT]]
// CHECK-NOT: grad.part_of
// CHECK: return
// ADJOINT-LABEL: func.func @loop(
// ADJOINT-NOT: grad.transposed
// ADJOINT: return
func.func @loop(%x: tensor<100xf64>, %s: tensor<f64>, %g: tensor<100xf64>) -> tensor<100xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %r = scf.for %i = %c0 to %c5 step %c1 iter_args(%a = %s) -> (tensor<f64>) {
    // expected-remark @+1 {{stored for the derivative of scf.for: 'tensor<f64>'}}
    %e = grad.exp %a : tensor<f64>
    %wide = grad.broadcast %e, shape = [100], dimensions = [] : tensor<f64> -> tensor<100xf64>
    %product = grad.multiply %x, %wide : tensor<100xf64>
    grad.keep[distinct[0]<>] %product : tensor<100xf64>
    %b = grad.negative %e : tensor<f64>
    scf.yield %b : tensor<f64>
  } {grad.linear_part = distinct[1]<>}
  %dx = grad.transposed(%g) {
  ^bb0(%t: tensor<100xf64>):
    %0 = scf.for %i = %c0 to %c5 step %c1 iter_args(%d = %t) -> (tensor<100xf64>) {
      %product = grad.kept[distinct[0]<>] : tensor<100xf64>
      %1 = grad.multiply %d, %product : tensor<100xf64>
      scf.yield %1 : tensor<100xf64>
    } {grad.part_of = distinct[1]<>}
    grad.yield %0 : tensor<100xf64>
  } : (tensor<100xf64>) -> tensor<100xf64>
  return %dx : tensor<100xf64>
}

// -----

// The primal branch has lost its results, and the second block with them.
// CHECK-LABEL: func.func @branch(
// CHECK: %[[R:.*]] = scf.if
// CHECK: %[[E:.*]] = grad.exp
// CHECK: scf.yield %[[E]]
// CHECK: } else {
// CHECK: %[[NOTHING:.*]] = tensor.empty
// CHECK: scf.yield %[[NOTHING]]
// CHECK: grad.transposed
// CHECK: grad.multiply %{{.*}}, %[[R]]
// ADJOINT-LABEL: func.func @branch(
// ADJOINT-NOT: grad.transposed
// ADJOINT: return
func.func @branch(%x: tensor<4xf64>, %c: i1, %g: tensor<4xf64>) -> tensor<4xf64> {
  scf.if %c {
    // expected-remark @+1 {{stored for the derivative of scf.if: 'tensor<4xf64>'}}
    %e = grad.exp %x : tensor<4xf64>
    grad.keep[distinct[0]<>] %e : tensor<4xf64>
  } {grad.linear_part = distinct[1]<>}
  %dx = grad.transposed(%g) {
  ^bb0(%t: tensor<4xf64>):
    %0 = scf.if %c -> (tensor<4xf64>) {
      %e = grad.kept[distinct[0]<>] : tensor<4xf64>
      %1 = grad.multiply %t, %e : tensor<4xf64>
      scf.yield %1 : tensor<4xf64>
    } else {
      scf.yield %t : tensor<4xf64>
    } {grad.part_of = distinct[1]<>}
    grad.yield %0 : tensor<4xf64>
  } : (tensor<4xf64>) -> tensor<4xf64>
  return %dx : tensor<4xf64>
}

// -----

// A loop with any number of iterations whose linear part needs the counter and
// what is outside alone: nothing is stored, and nothing runs again.
// CHECK-LABEL: func.func @nothing(
// CHECK: scf.for
// CHECK: grad.transposed
// CHECK: scf.for
// CHECK-NOT: scf.for
// CHECK: return
func.func @nothing(%x: tensor<100xf64>, %n: index, %g: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = grad.constant dense<0.0> : tensor<f64>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %zero) -> (tensor<f64>) {
    %word = arith.index_cast %i : index to i64
    %at = tensor.from_elements %word : tensor<i64>
    %part = grad.dynamic_slice %x[%at], sizes = [1] : tensor<100xf64> -> tensor<1xf64>
    %element = grad.reshape %part, shape = [] : tensor<1xf64> -> tensor<f64>
    grad.keep[distinct[0]<>] %element : tensor<f64>
    %b = grad.add %a, %element : tensor<f64>
    scf.yield %b : tensor<f64>
  } {grad.linear_part = distinct[1]<>}
  %dx = grad.transposed(%g) {
  ^bb0(%t: tensor<f64>):
    %0 = scf.for %i = %c0 to %n step %c1 iter_args(%d = %zero) -> (tensor<f64>) {
      %element = grad.kept[distinct[0]<>] : tensor<f64>
      %1 = grad.multiply %t, %element : tensor<f64>
      %2 = grad.add %d, %1 : tensor<f64>
      scf.yield %2 : tensor<f64>
    } {grad.part_of = distinct[1]<>}
    grad.yield %0 : tensor<f64>
  } : (tensor<f64>) -> tensor<f64>
  return %r, %dx : tensor<f64>, tensor<f64>
}
