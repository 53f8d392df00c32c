// Ops of dialects that nobody registered pass through every pass that can leave
// them alone.
// RUN: gradopt %s --allow-unregistered-dialect -grad-inline-calls -grad-linearize -grad-store-residuals -grad-transpose \
// RUN:   -grad-differentiate -grad-share-pads -convert-grad-to-linalg -grad-fuse -grad-block-loops \
// RUN:   -grad-plan-memory -grad-contractions-to-blas -grad-outline-kernels=min-nests=1 \
// RUN:   -grad-buffers-to-loops -convert-math-to-gradopt | FileCheck %s
// RUN: gradopt %s --allow-unregistered-dialect -grad-to-adjoint -grad-to-simplified -grad-to-linalg | FileCheck %s
// RUN: not gradopt %s --allow-unregistered-dialect -convert-buffers-to-llvm 2>&1 | FileCheck %s --check-prefix=LLVM

// CHECK-LABEL: func.func @op
// CHECK: "other.op"
// LLVM: failed to legalize operation 'other.op'
func.func @op(%x: f64) -> f64 {
  %0 = "other.op"(%x) : (f64) -> f64
  return %0 : f64
}

// CHECK-LABEL: func.func @region
// CHECK: "other.op"
// CHECK: "other.end"
func.func @region(%x: f64) {
  "other.op"() ({
    %0 = "other.compute"(%x) : (f64) -> f64
    "other.end"(%0) : (f64) -> ()
  }) : () -> ()
  return
}
