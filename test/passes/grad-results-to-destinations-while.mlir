// RUN: gradopt %s --grad-results-to-destinations | FileCheck %s

// A condition passes on what it likes: more than the loop carries.
// CHECK-LABEL: func.func @passed
// CHECK: bufferization.materialize_in_destination
// CHECK: return
func.func @passed(%x: tensor<4xf64> {grad.reused_for = 1}, %n: tensor<i64>) -> (tensor<4xf64>, tensor<4xf64>) {
  %c = arith.constant 0.5 : f64
  %c0 = arith.constant 0 : index
  %r:2 = scf.while (%a = %x) : (tensor<4xf64>) -> (tensor<4xf64>, tensor<4xf64>) {
    %s = tensor.extract %a[%c0] : tensor<4xf64>
    %go = arith.cmpf olt, %s, %c : f64
    %e = tensor.empty() : tensor<4xf64>
    %z = linalg.generic {indexing_maps=[affine_map<(d0) -> (d0)>,affine_map<(d0) -> (d0)>], iterator_types=["parallel"]} ins(%a: tensor<4xf64>) outs(%e: tensor<4xf64>) {
    ^bb0(%i: f64, %o: f64):
      %m = arith.mulf %i, %c : f64
      linalg.yield %m : f64
    } -> tensor<4xf64>
    scf.condition(%go) %a, %z : tensor<4xf64>, tensor<4xf64>
  } do {
  ^bb0(%a: tensor<4xf64>, %z: tensor<4xf64>):
    scf.yield %z : tensor<4xf64>
  }
  return %r#0, %r#1 : tensor<4xf64>, tensor<4xf64>
}
