// RUN: gradopt %s --grad-linearize --grad-store-residuals --cse -split-input-file | FileCheck %s

// Scalars: the partial derivatives of the grad ops, in their scalar forms.
func.func private @scalar(%x: f64, %n: index) -> f64 {
  %0 = math.tanh %x : f64
  return %0 : f64
}
// CHECK-LABEL: func.func @tangent_of_a_scalar
// CHECK-SAME: %[[X:.*]]: f64, %[[N:.*]]: index, %[[T:.*]]: f64)
// CHECK: %[[Y:.*]] = math.tanh %[[X]] : f64
// CHECK: %[[YY:.*]] = arith.mulf %[[Y]], %[[Y]] : f64
// CHECK: %[[ONE:.*]] = arith.constant 1.000000e+00 : f64
// CHECK: %[[D:.*]] = arith.subf %[[ONE]], %[[YY]] : f64
// CHECK: %[[DY:.*]] = arith.mulf %[[T]], %[[D]] : f64
// CHECK: return %[[DY]]
func.func @tangent_of_a_scalar(%x: f64, %n: index, %t: f64) -> f64 {
  %0:2 = grad.jvp @scalar(%x, %n), tangents(%t), wrt = [0], of = [0] : (f64, index, f64) -> (f64, f64)
  return %0#1 : f64
}

// -----

// The linear part of a body, with the result where it is a coefficient.
#id = affine_map<(i, j) -> (i, j)>
#turned = affine_map<(i, j) -> (j, i)>
func.func private @body(%x: tensor<2x3xf64>, %c: tensor<3x2xf64>) -> tensor<2x3xf64> {
  %e = tensor.empty() : tensor<2x3xf64>
  %0 = linalg.generic {indexing_maps = [#id, #turned, #id], iterator_types = ["parallel", "parallel"]}
    ins(%x, %c : tensor<2x3xf64>, tensor<3x2xf64>) outs(%e : tensor<2x3xf64>) {
    ^bb0(%a: f64, %b: f64, %o: f64):
      %1 = arith.mulf %a, %b : f64
      %2 = math.exp %1 : f64
      linalg.yield %2 : f64
  } -> tensor<2x3xf64>
  return %0 : tensor<2x3xf64>
}
// CHECK-DAG: #[[$ID:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG: #[[$TURNED:.*]] = affine_map<(d0, d1) -> (d1, d0)>
// CHECK-LABEL: func.func @linear_part_of_a_body
// CHECK-SAME: %[[X:.*]]: tensor<2x3xf64>, %[[C:.*]]: tensor<3x2xf64>, %[[G:.*]]: tensor<2x3xf64>)
// CHECK: %[[Y:.*]] = linalg.generic
// CHECK: math.exp
// CHECK: grad.transposed(%[[G]]) {
// CHECK: ^bb0(%[[T:.*]]: tensor<2x3xf64>):
// CHECK: linalg.generic {indexing_maps = [#[[$ID]], #[[$TURNED]], #[[$ID]], #[[$ID]]], iterator_types = ["parallel", "parallel"]}
// CHECK-SAME: ins(%[[T]], %[[C]], %[[Y]] : {{.*}})
// CHECK: ^bb0(%[[A:.*]]: f64, %[[B:.*]]: f64, %[[V:.*]]: f64, %{{.*}}: f64):
// CHECK-NEXT: %[[P:.*]] = arith.mulf %[[A]], %[[B]] : f64
// CHECK-NEXT: %[[Q:.*]] = arith.mulf %[[P]], %[[V]] : f64
// CHECK-NEXT: linalg.yield %[[Q]]
func.func @linear_part_of_a_body(%x: tensor<2x3xf64>, %c: tensor<3x2xf64>, %g: tensor<2x3xf64>) -> tensor<2x3xf64> {
  %0:2 = grad.vjp @body(%x, %c), cotangents(%g), wrt = [0], of = [0] : (tensor<2x3xf64>, tensor<3x2xf64>, tensor<2x3xf64>) -> (tensor<2x3xf64>, tensor<2x3xf64>)
  return %0#1 : tensor<2x3xf64>
}

// -----

// The tangent of a product is two products, one added to the other.
func.func private @product(%a: tensor<4x3xf64>, %b: tensor<3x5xf64>, %c: tensor<4x5xf64>) -> tensor<4x5xf64> {
  %0 = linalg.matmul ins(%a, %b : tensor<4x3xf64>, tensor<3x5xf64>) outs(%c : tensor<4x5xf64>) -> tensor<4x5xf64>
  return %0 : tensor<4x5xf64>
}
// CHECK-LABEL: func.func @products_stay_products
// CHECK-SAME: %[[A:.*]]: tensor<4x3xf64>, %[[B:.*]]: tensor<3x5xf64>, %[[C:.*]]: tensor<4x5xf64>, %[[TA:.*]]: tensor<4x3xf64>, %[[TB:.*]]: tensor<3x5xf64>, %[[TC:.*]]: tensor<4x5xf64>)
// CHECK: %[[ONE:.*]] = linalg.generic {{.*}} ins(%[[TA]], %[[B]] : {{.*}}) outs(%[[TC]] :
// CHECK-COUNT-1: arith.mulf
// CHECK: %[[TWO:.*]] = linalg.generic {{.*}} ins(%[[A]], %[[TB]] : {{.*}}) outs(%[[ONE]] :
// CHECK-COUNT-1: arith.mulf
// CHECK: return %[[TWO]]
func.func @products_stay_products(%a: tensor<4x3xf64>, %b: tensor<3x5xf64>, %c: tensor<4x5xf64>,
    %ta: tensor<4x3xf64>, %tb: tensor<3x5xf64>, %tc: tensor<4x5xf64>) -> tensor<4x5xf64> {
  %0:2 = grad.jvp @product(%a, %b, %c), tangents(%ta, %tb, %tc), wrt = [0, 1, 2], of = [0]
    : (tensor<4x3xf64>, tensor<3x5xf64>, tensor<4x5xf64>, tensor<4x3xf64>, tensor<3x5xf64>, tensor<4x5xf64>) -> (tensor<4x5xf64>, tensor<4x5xf64>)
  return %0#1 : tensor<4x5xf64>
}

// -----

// A maximum becomes the reduction that knows its derivative, a recurrence a loop.
#in = affine_map<(i, j) -> (i, j)>
#out = affine_map<(i, j) -> (j)>
func.func private @no_sums(%x: tensor<2x3xf64>) -> (tensor<3xf64>, tensor<3xf64>) {
  %low = arith.constant dense<0xFFF0000000000000> : tensor<3xf64>
  %0 = linalg.reduce { arith.maximumf } ins(%x : tensor<2x3xf64>) outs(%low : tensor<3xf64>) dimensions = [0]
  %1 = linalg.generic {indexing_maps = [#in, #out], iterator_types = ["reduction", "parallel"]}
    ins(%x : tensor<2x3xf64>) outs(%0 : tensor<3xf64>) {
    ^bb0(%a: f64, %o: f64):
      %2 = arith.mulf %o, %o : f64
      %3 = arith.addf %2, %a : f64
      linalg.yield %3 : f64
  } -> tensor<3xf64>
  return %0, %1 : tensor<3xf64>, tensor<3xf64>
}
// CHECK-LABEL: func.func @reductions_that_are_no_sums
// CHECK-SAME: %[[X:.*]]: tensor<2x3xf64>
// CHECK: grad.reduce_max %[[X]], dimensions = [0]
// CHECK: scf.for
// CHECK: scf.for
// CHECK: tensor.extract
// CHECK: tensor.insert
func.func @reductions_that_are_no_sums(%x: tensor<2x3xf64>, %g: tensor<3xf64>) -> tensor<2x3xf64> {
  %0:3 = grad.vjp @no_sums(%x), cotangents(%g), wrt = [0], of = [1] : (tensor<2x3xf64>, tensor<3xf64>) -> (tensor<3xf64>, tensor<3xf64>, tensor<2x3xf64>)
  return %0#2 : tensor<2x3xf64>
}

// -----

// A number from outside is an operand.
#id = affine_map<(i) -> (i)>
func.func private @scaled(%s: f64, %x: tensor<3xf64>) -> tensor<3xf64> {
  %e = tensor.empty() : tensor<3xf64>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
    ins(%x : tensor<3xf64>) outs(%e : tensor<3xf64>) {
    ^bb0(%a: f64, %o: f64):
      %1 = arith.mulf %a, %s : f64
      linalg.yield %1 : f64
  } -> tensor<3xf64>
  return %0 : tensor<3xf64>
}
// CHECK-LABEL: func.func @number_from_outside
// CHECK-SAME: %[[S:.*]]: f64, %[[X:.*]]: tensor<3xf64>, %[[T:.*]]: f64)
// CHECK: linalg.generic {{.*}} ins(%[[X]], %[[S]] : tensor<3xf64>, f64)
// CHECK: linalg.generic {{.*}} ins(%[[X]], %[[T]] : tensor<3xf64>, f64)
func.func @number_from_outside(%s: f64, %x: tensor<3xf64>, %t: f64) -> (tensor<3xf64>, tensor<3xf64>) {
  %0:2 = grad.jvp @scaled(%s, %x), tangents(%t), wrt = [0], of = [0] : (f64, tensor<3xf64>, f64) -> (tensor<3xf64>, tensor<3xf64>)
  return %0#0, %0#1 : tensor<3xf64>, tensor<3xf64>
}

// -----

// A call is the body of its callee.
func.func private @inner(%x: f64) -> f64 {
  %0 = math.sin %x : f64
  return %0 : f64
}
func.func private @outer(%x: f64) -> f64 {
  %0 = func.call @inner(%x) : (f64) -> f64
  return %0 : f64
}
// CHECK-LABEL: func.func @through_a_call
// CHECK-NOT: call
// CHECK: math.cos
func.func @through_a_call(%x: f64, %t: f64) -> f64 {
  %0:2 = grad.jvp @outer(%x), tangents(%t), wrt = [0], of = [0] : (f64, f64) -> (f64, f64)
  return %0#1 : f64
}
