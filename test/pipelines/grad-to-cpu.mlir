// RUN: gradopt %s --grad-to-cpu | FileCheck %s
// RUN: gradopt %s --grad-to-adjoint --grad-to-simplified --grad-to-linalg --grad-to-bufferized --grad-to-llvm | FileCheck %s
// RUN: gradopt --grad-to-cpu="fast-math=true blas-threshold=100" --dump-pass-pipeline %s 2>&1 >/dev/null | FileCheck %s --check-prefix=PASSES

func.func private @square(%x: tensor<4xf64>) -> tensor<f64> {
  %0 = grad.multiply %x, %x : tensor<4xf64>
  %1 = grad.reduce_sum %0, dimensions = [0] : tensor<4xf64> -> tensor<f64>
  return %1 : tensor<f64>
}
func.func @main(%x: tensor<4xf64>) -> (tensor<f64>, tensor<4xf64>) {
  %g = grad.constant dense<1.0> : tensor<f64>
  %y, %dx = grad.vjp @square(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<4xf64>, tensor<f64>) -> (tensor<f64>, tensor<4xf64>)
  return %y, %dx : tensor<f64>, tensor<4xf64>
}

// Arguments, results, arena.
// CHECK: llvm.func internal @main(%{{[^,]*}}: !llvm.ptr {{{[^}]*}}llvm.noalias}, %{{[^,]*}}: !llvm.ptr {{{[^}]*}}llvm.noalias}, %{{[^,]*}}: !llvm.ptr {{{[^}]*}}llvm.noalias}, %{{[^,]*}}: !llvm.ptr {{{[^}]*}}llvm.noalias})
// CHECK-SAME: grad.arena_bytes = 0
// CHECK: llvm.func @gradopt_main(%{{.*}}: !llvm.ptr) -> i32

// PASSES: builtin.module(
// PASSES: grad-expand-requests
// PASSES: cse
// PASSES: convert-grad-to-linalg
// PASSES: grad-fuse
// PASSES: grad-drop-barriers
// PASSES: grad-results-to-destinations
// PASSES: grad-bufferize
// PASSES: grad-block-loops
// PASSES: grad-plan-memory
// PASSES: grad-contractions-to-blas{{.*}}threshold=100
// PASSES: grad-buffers-to-loops
// PASSES: convert-math-to-gradopt
// PASSES: convert-buffers-to-llvm{fast-math=true}
// PASSES: grad-emit-entry
