// RUN: gradopt %s --grad-differentiate="function=f wrt=0" | FileCheck %s --implicit-check-not=grad.
// RUN: gradopt %s --grad-differentiate="function=f wrt=0" \
// RUN:   | gradopt --grad-differentiate="function=f_gradient wrt=0 of=1 mode=forward" \
// RUN:   | FileCheck %s --check-prefix=SECOND --implicit-check-not=grad.
// RUN: gradopt %s --grad-differentiate | FileCheck %s --check-prefix=ALONE
// RUN: gradopt %s --grad-differentiate="function=f mode=reverse" --dump-pass-pipeline 2>&1 >/dev/null | FileCheck %s --check-prefix=PASSES
// RUN: gradopt %s --grad-differentiate="function=others wrt=0 of=0 mode=reverse" | FileCheck %s --check-prefix=OTHERS --implicit-check-not=grad.
// RUN: not gradopt %s --grad-differentiate="wrt=0" 2>&1 | FileCheck %s --check-prefix=NAMELESS

// CHECK-LABEL: func.func @f(
// ALONE-LABEL: func.func @f(
// ALONE-NOT: func.func @f_
func.func @f(%x: f64, %n: i64) -> f64 {
  %0 = math.exp %x : f64
  %1 = arith.mulf %0, %x : f64
  return %1 : f64
}
// CHECK-LABEL: func.func @f_gradient(
// CHECK-SAME: %[[X:.*]]: f64, %{{.*}}: i64) -> (f64, f64)
// CHECK: %[[Y:.*]] = math.exp %[[X]] : f64
// CHECK: %[[V:.*]] = arith.mulf %[[Y]], %[[X]] : f64
// CHECK: %[[B:.*]] = arith.addf %[[Y]], %[[V]] : f64
// CHECK: return %[[V]], %[[B]] : f64, f64

// SECOND-LABEL: func.func @f_gradient_forward(
// SECOND-SAME: %{{.*}}: f64, %{{.*}}: i64, %{{.*}}: f64) -> (f64, f64, f64)

// PASSES: grad-request-derivative{function=f mode=reverse
// PASSES: grad-expand-requests
// PASSES: convert-grad-to-linalg

// NAMELESS: error: 'builtin.module' op expected `function` to name a func.func, but got ''

// What is not differentiated may be of any type but memory.
// OTHERS-LABEL: func.func @others_reverse(
// OTHERS-SAME: %[[X:.*]]: f64, %[[H:.*]]: f16, %[[V:.*]]: vector<2xf32>, %[[T:.*]]: tensor<?xf64>, %[[C:.*]]: complex<f64>, %{{.*}}: ui8, %[[I:.*]]: index, %[[G:.*]]: f64)
// OTHERS-SAME: -> (f64, vector<2xf32>, f64)
// OTHERS-DAG: %[[A:.*]] = arith.extf %[[H]] : f16 to f64
// OTHERS-DAG: %[[B:.*]] = tensor.extract %[[T]][%[[I]]]
// OTHERS: %[[GB:.*]] = arith.mulf %[[G]], %[[B]]
// OTHERS: %[[GX:.*]] = arith.mulf %[[GB]], %[[A]]
// OTHERS: return %{{.*}}, %[[V]], %[[GX]]
func.func @others(%x: f64, %h: f16, %v: vector<2xf32>, %t: tensor<?xf64>, %c: complex<f64>, %u: ui8, %i: index) -> (f64, vector<2xf32>) {
  %0 = arith.extf %h : f16 to f64
  %1 = tensor.extract %t[%i] : tensor<?xf64>
  %2 = arith.mulf %x, %0 : f64
  %3 = arith.mulf %2, %1 : f64
  return %3, %v : f64, vector<2xf32>
}
