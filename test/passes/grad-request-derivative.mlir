// RUN: gradopt %s --grad-request-derivative="function=f wrt=0 of=0" | FileCheck %s
// RUN: gradopt %s --grad-request-derivative="function=f of=0 mode=gradient name=df" | FileCheck %s --check-prefix=ALL
// RUN: gradopt %s --grad-request-derivative="function=f wrt=2,0 of=1,0 mode=reverse" | FileCheck %s --check-prefix=REVERSE
// RUN: gradopt %s --grad-request-derivative="function=f wrt=2 mode=forward" | FileCheck %s --check-prefix=FORWARD

// CHECK-LABEL: func.func @f(
func.func @f(%x: tensor<3xf64>, %n: index, %s: f64) -> (f64, tensor<3xf64>, i1) {
  %0 = tensor.extract %x[%n] : tensor<3xf64>
  %1 = arith.mulf %0, %s : f64
  %2 = arith.cmpf olt, %1, %s : f64
  return %1, %x, %2 : f64, tensor<3xf64>, i1
}
// CHECK-LABEL: func.func @f_gradient(
// CHECK-SAME: %[[X:.*]]: tensor<3xf64>, %[[N:.*]]: index, %[[S:.*]]: f64) -> (f64, tensor<3xf64>, i1, tensor<3xf64>) {
// CHECK: %[[ONE:.*]] = arith.constant 1.000000e+00 : f64
// CHECK: %[[R:.*]]:4 = grad.vjp @f(%[[X]], %[[N]], %[[S]]), cotangents(%[[ONE]]), wrt = [0], of = [0]
// CHECK: return %[[R]]#0, %[[R]]#1, %[[R]]#2, %[[R]]#3

// ALL-LABEL: func.func @df(
// ALL: grad.vjp @f({{.*}}), cotangents({{.*}}), wrt = [0, 2], of = [0]

// REVERSE-LABEL: func.func @f_reverse(
// REVERSE-SAME: %{{[^,]*}}: tensor<3xf64>, %{{[^,]*}}: index, %{{[^,]*}}: f64, %[[G:.*]]: tensor<3xf64>, %[[H:.*]]: f64) -> (f64, tensor<3xf64>, i1, f64, tensor<3xf64>)
// REVERSE: grad.vjp @f({{.*}}), cotangents(%[[G]], %[[H]]), wrt = [2, 0], of = [1, 0]

// FORWARD-LABEL: func.func @f_forward(
// FORWARD-SAME: %[[T:[^:]*]]: f64) -> (f64, tensor<3xf64>, i1, f64, tensor<3xf64>)
// FORWARD: grad.jvp @f({{.*}}), tangents(%[[T]]), wrt = [2], of = [0, 1]
