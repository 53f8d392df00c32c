// RUN: gradopt %s --grad-stack-products -split-input-file | FileCheck %s

// CHECK-LABEL: func.func @outer(
// CHECK-SAME: %[[A:.*]]: tensor<3xf64>, %[[B:.*]]: tensor<3xf64>, %[[U:.*]]: tensor<2xf64>, %[[V:.*]]: tensor<2xf64>, %[[X:.*]]: tensor<3x2xf64>
// CHECK-DAG: %[[L:.*]] = grad.concatenate({{.*}}), dimension = 0 : {{.*}} -> tensor<4x3xf64>
// CHECK-DAG: %[[R:.*]] = grad.concatenate({{.*}}), dimension = 0 : {{.*}} -> tensor<4x2xf64>
// CHECK: %[[P:.*]] = grad.dot_general %[[L]], %[[R]], batch = [] x [], contract = [0] x [0] : tensor<4x3xf64>, tensor<4x2xf64> -> tensor<3x2xf64>
// CHECK-NOT: grad.dot_general
// CHECK: %[[S:.*]] = grad.add %[[X]], %[[P]]
// CHECK-NEXT: return %[[S]]
func.func @outer(%a: tensor<3xf64>, %b: tensor<3xf64>, %u: tensor<2xf64>, %v: tensor<2xf64>, %x: tensor<3x2xf64>) -> tensor<3x2xf64> {
  %0 = grad.dot_general %a, %u, batch = [] x [], contract = [] x [] : tensor<3xf64>, tensor<2xf64> -> tensor<3x2xf64>
  %1 = grad.dot_general %b, %u, batch = [] x [], contract = [] x [] : tensor<3xf64>, tensor<2xf64> -> tensor<3x2xf64>
  %2 = grad.dot_general %a, %v, batch = [] x [], contract = [] x [] : tensor<3xf64>, tensor<2xf64> -> tensor<3x2xf64>
  %3 = grad.dot_general %b, %v, batch = [] x [], contract = [] x [] : tensor<3xf64>, tensor<2xf64> -> tensor<3x2xf64>
  %4 = grad.add %0, %1 : tensor<3x2xf64>
  %5 = grad.add %4, %x : tensor<3x2xf64>
  %6 = grad.add %5, %2 : tensor<3x2xf64>
  %7 = grad.add %6, %3 : tensor<3x2xf64>
  return %7 : tensor<3x2xf64>
}

// -----

// Along the contracted dimension where there is one, of any sizes.
// CHECK-LABEL: func.func @thin(
// CHECK: grad.concatenate({{.*}}), dimension = 0 : {{.*}} -> tensor<6x3xf64>
// CHECK: grad.concatenate({{.*}}), dimension = 1 : {{.*}} -> tensor<5x6xf64>
// CHECK: grad.dot_general {{.*}}, contract = [0] x [1] : tensor<6x3xf64>, tensor<5x6xf64> -> tensor<3x5xf64>
func.func @thin(%a: tensor<1x3xf64>, %b: tensor<2x3xf64>, %u: tensor<5x1xf64>, %v: tensor<5x2xf64>) -> tensor<3x5xf64> {
  %0 = grad.dot_general %a, %u, batch = [] x [], contract = [0] x [1] : tensor<1x3xf64>, tensor<5x1xf64> -> tensor<3x5xf64>
  %1 = grad.dot_general %b, %v, batch = [] x [], contract = [0] x [1] : tensor<2x3xf64>, tensor<5x2xf64> -> tensor<3x5xf64>
  %2 = grad.dot_general %a, %u, batch = [] x [], contract = [0] x [1] : tensor<1x3xf64>, tensor<5x1xf64> -> tensor<3x5xf64>
  %3 = grad.dot_general %b, %v, batch = [] x [], contract = [0] x [1] : tensor<2x3xf64>, tensor<5x2xf64> -> tensor<3x5xf64>
  %4 = grad.add %0, %1 : tensor<3x5xf64>
  %5 = grad.add %2, %3 : tensor<3x5xf64>
  %6 = grad.add %4, %5 : tensor<3x5xf64>
  return %6 : tensor<3x5xf64>
}

// -----

// Products with factors of other ranks are a sum of their own.
// CHECK-LABEL: func.func @ranks(
// CHECK: grad.concatenate({{.*}}), dimension = 0 : tensor<2x3xf64>, tensor<2x3xf64>, tensor<2x3xf64>, tensor<2x3xf64> -> tensor<8x3xf64>
// CHECK: grad.concatenate({{.*}}), dimension = 0 : tensor<2xf64>, tensor<2xf64>, tensor<2xf64>, tensor<2xf64> -> tensor<8xf64>
func.func @ranks(%m: tensor<2x3xf64>, %v: tensor<2xf64>) -> tensor<3xf64> {
  %0 = grad.dot_general %m, %v, batch = [] x [], contract = [0] x [0] : tensor<2x3xf64>, tensor<2xf64> -> tensor<3xf64>
  %1 = grad.dot_general %m, %v, batch = [] x [], contract = [0] x [0] : tensor<2x3xf64>, tensor<2xf64> -> tensor<3xf64>
  %2 = grad.dot_general %v, %m, batch = [] x [], contract = [0] x [0] : tensor<2xf64>, tensor<2x3xf64> -> tensor<3xf64>
  %3 = grad.dot_general %m, %v, batch = [] x [], contract = [0] x [0] : tensor<2x3xf64>, tensor<2xf64> -> tensor<3xf64>
  %4 = grad.dot_general %m, %v, batch = [] x [], contract = [0] x [0] : tensor<2x3xf64>, tensor<2xf64> -> tensor<3xf64>
  %5 = grad.add %0, %1 : tensor<3xf64>
  %6 = grad.add %5, %2 : tensor<3xf64>
  %7 = grad.add %6, %3 : tensor<3xf64>
  %8 = grad.add %7, %4 : tensor<3xf64>
  return %8 : tensor<3xf64>
}

// -----

// Not where a product has another use, and not for few of them.
// CHECK-LABEL: func.func @others(
// CHECK-NOT: grad.concatenate
func.func @others(%a: tensor<3xf64>, %u: tensor<2xf64>) -> (tensor<3x2xf64>, tensor<3x2xf64>) {
  %0 = grad.dot_general %a, %u, batch = [] x [], contract = [] x [] : tensor<3xf64>, tensor<2xf64> -> tensor<3x2xf64>
  %1 = grad.dot_general %a, %u, batch = [] x [], contract = [] x [] : tensor<3xf64>, tensor<2xf64> -> tensor<3x2xf64>
  %2 = grad.dot_general %a, %u, batch = [] x [], contract = [] x [] : tensor<3xf64>, tensor<2xf64> -> tensor<3x2xf64>
  %3 = grad.dot_general %a, %u, batch = [] x [], contract = [] x [] : tensor<3xf64>, tensor<2xf64> -> tensor<3x2xf64>
  %4 = grad.add %0, %1 : tensor<3x2xf64>
  %5 = grad.add %4, %2 : tensor<3x2xf64>
  %6 = grad.add %5, %3 : tensor<3x2xf64>
  return %6, %3 : tensor<3x2xf64>, tensor<3x2xf64>
}
