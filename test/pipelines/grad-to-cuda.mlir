// RUN: gradopt %s --grad-to-cuda | FileCheck %s
// RUN: gradopt %s --grad-to-cuda=chip=sm_90 | FileCheck %s
// RUN: gradopt %s --grad-to-adjoint --grad-to-simplified --grad-to-linalg --grad-to-bufferized=chip=sm_90 --grad-to-gpu=chip=sm_90 --grad-to-nvvm=chip=sm_90 | FileCheck %s
// RUN: gradopt %s --grad-to-cuda=chip=emulated | FileCheck %s --check-prefix=EMULATED
// RUN: gradopt --grad-to-cuda="chip=sm_90 blas-threshold=100" --dump-pass-pipeline %s 2>&1 >/dev/null | FileCheck %s --check-prefix=PASSES
// RUN: not gradopt %s --grad-to-cuda=chip=sm_x 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not gradopt %s --grad-to-gpu=chip=sm_10 2>&1 | FileCheck %s --check-prefix=OLD

// UNKNOWN: expected a GPU, as sm_90, but got 'sm_x'
// OLD: expected a GPU, as sm_90, but got 'sm_10'

func.func private @square(%x: tensor<10000xf64>) -> tensor<f64> {
  %0 = grad.multiply %x, %x : tensor<10000xf64>
  %1 = grad.sqrt %0 : tensor<10000xf64>
  %2 = grad.tanh %1 : tensor<10000xf64>
  %3 = grad.reduce_sum %2, dimensions = [0] : tensor<10000xf64> -> tensor<f64>
  return %3 : tensor<f64>
}
func.func @main(%x: tensor<10000xf64>) -> (tensor<f64>, tensor<10000xf64>) {
  %g = grad.constant dense<1.0> : tensor<f64>
  %y, %dx = grad.vjp @square(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<10000xf64>, tensor<f64>) -> (tensor<f64>, tensor<10000xf64>)
  return %y, %dx : tensor<f64>, tensor<10000xf64>
}

// A table of commands, and kernels that it launches. All parameters are words;
// nothing of other dialects is left, and CUDA's library is not called.
// CHECK: module attributes {{.*}}gpu.container_module
// CHECK: llvm.mlir.global external hidden constant @gradopt_commands
// CHECK-SAME: grad.kernels = {{\[}}["[[KERNEL:kernel[_0-9a-z]*]]", [[BLOCKS:[0-9]+]], [[THREADS:[0-9]+]]]
// CHECK-NOT: func.func
// CHECK-NOT: __nv_
// CHECK: gpu.module @kernels {
// CHECK: llvm.func @gradopt_tanh_f64(f64) -> f64
// CHECK: llvm.func @[[KERNEL]]({{((%[a-z0-9]+: (i64|!llvm.ptr \{llvm.align = 16 : i64(, llvm.noalias)?\})(, )?))+}})
// CHECK-SAME: nvvm.kernel
// CHECK-DAG: nvvm.read.ptx.sreg.tid.x
// CHECK-DAG: nvvm.read.ptx.sreg.ctaid.x
// CHECK-DAG: llvm.intr.sqrt
// CHECK-DAG: nvvm.barrier
// CHECK-NOT: gpu.{{(thread_id|barrier|func)}}

// EMULATED-NOT: gpu.module
// EMULATED: llvm.mlir.global external hidden constant @gradopt_commands
// EMULATED-SAME: grad.kernels = {{\[}}["[[KERNEL:kernel[_0-9a-z]*]]",
// EMULATED: llvm.func @[[KERNEL]](%{{.*}}: !llvm.ptr)
// EMULATED: llvm.call @[[KERNEL]]_thread
// EMULATED: llvm.call @gradopt_emulated_load

// PASSES: builtin.module(
// PASSES: grad-expand-requests
// PASSES: convert-grad-to-linalg
// PASSES: grad-fuse
// PASSES: grad-bufferize
// PASSES: grad-plan-memory
// PASSES: grad-contractions-to-blas{{.*}}threshold=100
// PASSES: grad-outline-kernels{for-device=true
// PASSES: grad-results-to-slots
// PASSES: grad-kernels-to-gpu
// PASSES: grad-emit-commands
// PASSES: gpu.module(
// PASSES: convert-math-to-gradopt
// PASSES: convert-kernels-to-nvvm
// PASSES: grad-finish-kernels
// PASSES-NOT: grad-emit-entry
