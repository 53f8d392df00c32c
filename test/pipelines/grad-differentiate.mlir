// RUN: gradopt %s --grad-differentiate="function=f wrt=0" | FileCheck %s --implicit-check-not=grad.
// RUN: gradopt %s --grad-differentiate="function=f wrt=0" \
// RUN:   | gradopt --grad-differentiate="function=f_gradient wrt=0 of=1 mode=forward" \
// RUN:   | FileCheck %s --check-prefix=SECOND --implicit-check-not=grad.
// RUN: gradopt %s --grad-differentiate | FileCheck %s --check-prefix=ALONE
// RUN: gradopt %s --grad-differentiate="function=f mode=reverse" --dump-pass-pipeline 2>&1 >/dev/null | FileCheck %s --check-prefix=PASSES
// RUN: not gradopt %s --grad-differentiate="wrt=0" 2>&1 | FileCheck %s --check-prefix=NAMELESS

// CHECK-LABEL: func.func @f(
// ALONE-LABEL: func.func @f(
// ALONE-NOT: func.func
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
