// RUN: gradopt %s --grad-linearize --grad-store-residuals --canonicalize | FileCheck %s

func.func private @solution(%a: tensor<3x3xf64>, %b: tensor<3x2xf64>) -> tensor<3x2xf64> {
  %lu, %pivots, %order, %status = grad.lu %a : tensor<3x3xf64> -> tensor<3x3xf64>, tensor<3xi32>, tensor<3xi64>, tensor<i32>
  %x = grad.lu_solve %a, %lu, %pivots, %b, transpose = false : tensor<3x3xf64>, tensor<3x3xf64>, tensor<3xi32>, tensor<3x2xf64>
  return %x : tensor<3x2xf64>
}

// The factors serve the derivative, and have none themselves.
// CHECK-LABEL: func.func @reverse
// CHECK: %[[LU:[^,]*]], %[[PIVOTS:[^,]*]], %{{.*}} = grad.lu %[[A:[^ ]*]] :
// CHECK-NOT: grad.lu %
// CHECK: %[[X:.*]] = grad.lu_solve %[[A]], %[[LU]], %[[PIVOTS]], %{{.*}}, transpose = false
// CHECK: grad.transposed
// CHECK-NEXT: ^{{.*}}(%[[DA:.*]]: tensor<3x3xf64>, %[[DB:.*]]: tensor<3x2xf64>):
// CHECK-DAG: %[[PRODUCT:.*]] = grad.dot_general %[[DA]], %[[X]]
// CHECK: %[[REST:.*]] = grad.subtract %[[DB]], %[[PRODUCT]]
// CHECK: grad.lu_solve %[[A]], %[[LU]], %[[PIVOTS]], %[[REST]], transpose = false
// CHECK-NOT: grad.triangular_solve
func.func @reverse(%a: tensor<3x3xf64>, %b: tensor<3x2xf64>, %c: tensor<3x2xf64>) -> (tensor<3x3xf64>, tensor<3x2xf64>) {
  %0:3 = grad.vjp @solution(%a, %b), cotangents(%c), wrt = [0, 1], of = [0]
      : (tensor<3x3xf64>, tensor<3x2xf64>, tensor<3x2xf64>) -> (tensor<3x2xf64>, tensor<3x3xf64>, tensor<3x2xf64>)
  return %0#1, %0#2 : tensor<3x3xf64>, tensor<3x2xf64>
}
