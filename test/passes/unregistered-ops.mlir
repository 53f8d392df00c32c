// Ops of dialects that nobody registered pass through every pass that can leave
// them alone.
// RUN: gradopt %s --allow-unregistered-dialect -convert-grad-to-linalg -grad-fuse -grad-block-loops \
// RUN:   -grad-buffers-to-loops -convert-math-to-gradopt | FileCheck %s
// RUN: not gradopt %s --allow-unregistered-dialect -convert-buffers-to-llvm 2>&1 | FileCheck %s --check-prefix=LLVM

// CHECK-LABEL: func.func @op
// CHECK: "other.op"
// LLVM: failed to legalize operation 'other.op'
func.func @op(%x: f64) -> f64 {
  %0 = "other.op"(%x) : (f64) -> f64
  return %0 : f64
}
