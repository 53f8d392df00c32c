// RUN: gradopt %s --grad-results-to-destinations | FileCheck %s

// The results of a while loop are not its initial values, updated; there may
// be more of them.
// CHECK-LABEL: func.func @while
func.func @while(%n: tensor<i64>) -> tensor<4xf64> {
  %z = arith.constant dense<0.0> : tensor<4xf64>
  %r:2 = scf.while (%i = %n) : (tensor<i64>) -> (tensor<i64>, tensor<4xf64>) {
    %more = arith.constant false
    scf.condition(%more) %i, %z : tensor<i64>, tensor<4xf64>
  } do {
  ^bb0(%i: tensor<i64>, %v: tensor<4xf64>):
    scf.yield %i : tensor<i64>
  }
  // CHECK: bufferization.materialize_in_destination %{{.*}}#1 in writable
  return %r#1 : tensor<4xf64>
}
