// RUN: gradopt %s --grad-to-bundle="output=%t.bundle header=%t.h" -o %t.mlir
// RUN: FileCheck %s --check-prefix=HEADER < %t.h
// RUN: FileCheck %s --check-prefix=SAME < %t.mlir
// RUN: gradopt %s --grad-to-bundle="output=%t.one functions=numbers levels=x86-64-v3 header=%t.one.h options={fast-math=1 command-threshold=0}" -o /dev/null
// RUN: FileCheck %s --check-prefix=ONE < %t.one.h
// RUN: gradopt %s --grad-to-bundle="output=%t.gpu functions=main,reused chips=sm_80,sm_90 header=%t.gpu.h options={fast-math=1}" -o /dev/null
// RUN: FileCheck %s --check-prefix=GPU < %t.gpu.h
// RUN: FileCheck %s --check-prefix=PTX --implicit-check-not=ELF < %t.gpu
// RUN: gradopt %s --grad-to-bundle="output=%t.both functions=main chips=sm_80 levels=x86-64-v2" -o /dev/null
// RUN: FileCheck %s --check-prefix=BOTH < %t.both

// Public functions are in the bundle, under their names, with parameters that
// are called as their locations say. The module does not change.

// HEADER: static inline gradopt_status main(
// HEADER-NEXT: gradopt_bundle *bundle,
// HEADER-NEXT: const double *p_w /* p['w'], shape (2, 3) */,
// HEADER-NEXT: const double *arg1 /* arg1, shape (3) */,
// HEADER-NEXT: double *result /* result, shape (2) */) {
// HEADER-NEXT: void *arguments[] = {(void *)p_w, (void *)arg1};
// HEADER-NEXT: void *results[] = {result};
// HEADER-NEXT: return gradopt_program_call(gradopt_bundle_program(bundle, 0), arguments,
// HEADER-NEXT: results);
// HEADER: static inline gradopt_status numbers(
// HEADER-NEXT: gradopt_bundle *bundle,
// HEADER-NEXT: const float *arg0 /* arg0, shape () */,
// HEADER-NEXT: const int64_t *arg1 /* arg1, shape () */,
// HEADER-NEXT: float *result0 /* result0, shape () */,
// HEADER-NEXT: uint8_t *result1 /* result1, shape () */) {
// HEADER: gradopt_bundle_program(bundle, 1)
// HEADER: /* Results in the memory of arguments:
// HEADER-NEXT: result0 is written to arg0
// HEADER-NEXT: */
// HEADER-NEXT: static inline gradopt_status reused(
// HEADER-NEXT: gradopt_bundle *bundle,
// HEADER-NEXT: int32_t *arg0 /* arg0, shape (4) */,
// HEADER-NEXT: int32_t *result1 /* result1, shape () */) {
// HEADER-NEXT: void *arguments[] = {(void *)arg0};
// HEADER-NEXT: void *results[] = {arg0, result1};
// HEADER-NOT: static inline

// ONE-NOT: gradopt_status main(
// ONE: gradopt_status numbers(
// ONE: gradopt_bundle_program(bundle, 0)
// ONE-NOT: gradopt_status reused(

// Code for GPUs takes its arrays on one. It is alone in the bundle, unless levels
// of CPUs are named as well.

// GPU: #include "gradopt_cuda.h"
// GPU: static inline gradopt_status main(
// GPU: gradopt_program_call(gradopt_bundle_program(bundle, 0)
// GPU: static inline gradopt_status main_cuda(
// GPU-NEXT: gradopt_bundle *bundle,
// GPU-NEXT: const double *p_w /* p['w'], shape (2, 3) */,
// GPU-NEXT: const double *arg1 /* arg1, shape (3) */,
// GPU-NEXT: double *result /* result, shape (2) */,
// GPU-NEXT: int32_t device, void *stream) {
// GPU-NEXT: void *arguments[] = {(void *)p_w, (void *)arg1};
// GPU-NEXT: void *results[] = {result};
// GPU-NEXT: return gradopt_program_call_cuda(gradopt_bundle_program(bundle, 0), device,
// GPU-NEXT: arguments, results, stream);
// GPU: result0 is written to arg0
// GPU: static inline gradopt_status reused_cuda(
// GPU: void *results[] = {arg0, result1};

// PTX: .target sm_80
// PTX: .target sm_90
// PTX: .target sm_80
// PTX: .target sm_90

// BOTH: ELF
// BOTH: .target sm_80

// SAME: func.func @main
func.func @main(%w: tensor<2x3xf64> loc("p['w']"), %x: tensor<3xf64>) -> tensor<2xf64> {
  // SAME: call @helper
  %y = call @helper(%x) : (tensor<3xf64>) -> tensor<3xf64>
  %init = tensor.empty() : tensor<2xf64>
  %c0 = arith.constant 0.0 : f64
  %zeros = linalg.fill ins(%c0 : f64) outs(%init : tensor<2xf64>) -> tensor<2xf64>
  %r = linalg.matvec ins(%w, %y : tensor<2x3xf64>, tensor<3xf64>) outs(%zeros : tensor<2xf64>) -> tensor<2xf64>
  return %r : tensor<2xf64>
}

// SAME: func.func private @helper
func.func private @helper(%x: tensor<3xf64>) -> tensor<3xf64> {
  %y = grad.tanh %x : tensor<3xf64>
  return %y : tensor<3xf64>
}

// SAME: func.func @numbers(%{{.*}}: f32, %{{.*}}: index) -> (f32, i1)
func.func @numbers(%x: f32, %n: index) -> (f32, i1) {
  %m = arith.index_cast %n : index to i64
  %f = arith.sitofp %m : i64 to f32
  %y = arith.mulf %x, %f : f32
  %b = arith.cmpf olt, %y, %x : f32
  return %y, %b : f32, i1
}

// SAME: func.func @reused(%{{.*}}: tensor<4xi32> {grad.reused_for = 0 : i64})
func.func @reused(%x: tensor<4xi32> {grad.reused_for = 0 : i64}) -> (tensor<4xi32>, tensor<i32>) {
  %y = grad.multiply %x, %x : tensor<4xi32>
  %s = grad.reduce_sum %x, dimensions = [0] : tensor<4xi32> -> tensor<i32>
  return %y, %s : tensor<4xi32>, tensor<i32>
}

// Not compiled: nobody asks for it, and no other function does.
func.func private @dynamic(%x: tensor<?xf64>) -> tensor<?xf64>
