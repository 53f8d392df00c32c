// RUN: gradopt %s --grad-expand-requests --canonicalize --cse -split-input-file | FileCheck %s

// Loops and branches whose results have no tangents, whatever the reason, have
// none behind them either: they are coefficients.

// CHECK-LABEL: func.func @branch(
// CHECK-SAME: %[[X:.*]]: tensor<4xf64>, %[[C:.*]]: i1, %[[G:.*]]: tensor<4xf64>
// CHECK: %[[R:.*]] = scf.if %[[C]]
// CHECK: %[[D:.*]] = grad.multiply %[[G]], %[[R]]
// CHECK: return %[[D]]
func.func private @rounded(%x: tensor<4xf64>, %c: i1) -> tensor<4xf64> {
  %r = scf.if %c -> (tensor<4xf64>) {
    %0 = math.floor %x : tensor<4xf64>
    scf.yield %0 : tensor<4xf64>
  } else {
    %1 = math.ceil %x : tensor<4xf64>
    scf.yield %1 : tensor<4xf64>
  }
  %2 = grad.multiply %r, %x : tensor<4xf64>
  return %2 : tensor<4xf64>
}
func.func @branch(%x: tensor<4xf64>, %c: i1, %g: tensor<4xf64>) -> tensor<4xf64> {
  %0:2 = grad.vjp @rounded(%x, %c), cotangents(%g), wrt = [0], of = [0] : (tensor<4xf64>, i1, tensor<4xf64>) -> (tensor<4xf64>, tensor<4xf64>)
  return %0#1 : tensor<4xf64>
}

// -----

// One result of two, and one block of two.
// CHECK-LABEL: func.func @mixed(
// CHECK-SAME: %[[X:.*]]: tensor<4xf64>, %[[C:.*]]: i1, %[[G:.*]]: tensor<4xf64>
// CHECK: %[[R:.*]] = scf.if %[[C]]
// CHECK: grad.multiply %[[G]], %[[R]]
// CHECK: arith.select %[[C]]
func.func private @both(%x: tensor<4xf64>, %c: i1) -> tensor<4xf64> {
  %r:2 = scf.if %c -> (tensor<4xf64>, tensor<4xf64>) {
    %0 = math.floor %x : tensor<4xf64>
    scf.yield %0, %x : tensor<4xf64>, tensor<4xf64>
  } else {
    %1 = math.ceil %x : tensor<4xf64>
    scf.yield %1, %1 : tensor<4xf64>, tensor<4xf64>
  }
  %2 = grad.multiply %r#0, %r#1 : tensor<4xf64>
  return %2 : tensor<4xf64>
}
func.func @mixed(%x: tensor<4xf64>, %c: i1, %g: tensor<4xf64>) -> tensor<4xf64> {
  %0:2 = grad.vjp @both(%x, %c), cotangents(%g), wrt = [0], of = [0] : (tensor<4xf64>, i1, tensor<4xf64>) -> (tensor<4xf64>, tensor<4xf64>)
  return %0#1 : tensor<4xf64>
}

// -----

// CHECK-LABEL: func.func @counted(
// CHECK-SAME: %[[X:.*]]: tensor<4xf64>, %[[G:.*]]: tensor<4xf64>
// CHECK: %[[R:.*]] = scf.for
// CHECK-NOT: scf.for
// CHECK: grad.multiply %[[G]], %[[R]]
func.func private @sum(%x: tensor<4xf64>) -> tensor<4xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %z = arith.constant dense<0.0> : tensor<4xf64>
  %r = scf.for %i = %c0 to %c4 step %c1 iter_args(%a = %z) -> (tensor<4xf64>) {
    %0 = math.floor %x : tensor<4xf64>
    %1 = arith.addf %0, %a : tensor<4xf64>
    scf.yield %1 : tensor<4xf64>
  }
  %2 = grad.multiply %r, %x : tensor<4xf64>
  return %2 : tensor<4xf64>
}
func.func @counted(%x: tensor<4xf64>, %g: tensor<4xf64>) -> tensor<4xf64> {
  %0:2 = grad.vjp @sum(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<4xf64>, tensor<4xf64>) -> (tensor<4xf64>, tensor<4xf64>)
  return %0#1 : tensor<4xf64>
}

// -----

// The same with a number of iterations that is known at run time.
// CHECK-LABEL: func.func @replayed(
// CHECK-SAME: %[[X:.*]]: tensor<4xf64>, %{{.*}}: index, %[[G:.*]]: tensor<4xf64>
// CHECK: %[[R:.*]] = scf.for
// CHECK: %[[D:.*]] = grad.multiply %[[G]], %[[R]]
// CHECK-NEXT: return %[[D]]
func.func private @some(%x: tensor<4xf64>, %n: index) -> tensor<4xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %z = arith.constant dense<0.0> : tensor<4xf64>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %z) -> (tensor<4xf64>) {
    %0 = math.floor %x : tensor<4xf64>
    %1 = arith.addf %0, %a : tensor<4xf64>
    scf.yield %1 : tensor<4xf64>
  }
  %2 = grad.multiply %r, %x : tensor<4xf64>
  return %2 : tensor<4xf64>
}
func.func @replayed(%x: tensor<4xf64>, %n: index, %g: tensor<4xf64>) -> tensor<4xf64> {
  %0:2 = grad.vjp @some(%x, %n), cotangents(%g), wrt = [0], of = [0] : (tensor<4xf64>, index, tensor<4xf64>) -> (tensor<4xf64>, tensor<4xf64>)
  return %0#1 : tensor<4xf64>
}

// -----

// CHECK-LABEL: func.func @region(
// CHECK-SAME: %[[X:.*]]: tensor<4xf64>, %[[G:.*]]: tensor<4xf64>
// CHECK: %[[R:.*]] = math.floor %[[X]]
// CHECK: grad.multiply %[[G]], %[[R]]
func.func private @kept(%x: tensor<4xf64>) -> tensor<4xf64> {
  %r = scf.execute_region -> tensor<4xf64> no_inline {
    %0 = math.floor %x : tensor<4xf64>
    scf.yield %0 : tensor<4xf64>
  } {grad.checkpoint = "nothing"}
  %2 = grad.multiply %r, %x : tensor<4xf64>
  return %2 : tensor<4xf64>
}
func.func @region(%x: tensor<4xf64>, %g: tensor<4xf64>) -> tensor<4xf64> {
  %0:2 = grad.vjp @kept(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<4xf64>, tensor<4xf64>) -> (tensor<4xf64>, tensor<4xf64>)
  return %0#1 : tensor<4xf64>
}
