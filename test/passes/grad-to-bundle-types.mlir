// RUN: gradopt %s --grad-to-bundle="output=%t.bundle header=%t.h" -o /dev/null
// RUN: FileCheck %s < %t.h

// Unsigned integers and complex numbers have types in C.

// CHECK: static inline gradopt_status main(
// CHECK: const gradopt_complex128 *arg0 /* arg0, shape (3) */,
// CHECK-NEXT: const gradopt_complex64 *arg1 /* arg1, shape () */,
// CHECK-NEXT: const uint16_t *arg2 /* arg2, shape (2) */,
// CHECK-NEXT: double *result0 /* result0, shape (3) */,
// CHECK-NEXT: float *result1 /* result1, shape () */,
// CHECK-NEXT: uint64_t *result2 /* result2, shape (2) */) {
func.func @main(%z: tensor<3xcomplex<f64>>, %w: tensor<complex<f32>>, %n: tensor<2xui16>) -> (tensor<3xf64>, tensor<f32>, tensor<2xui64>) {
  %0 = grad.imag %z : tensor<3xcomplex<f64>>
  %1 = grad.convert %w to f32 : tensor<complex<f32>>
  %2 = grad.convert %n to ui64 : tensor<2xui16>
  return %0, %1, %2 : tensor<3xf64>, tensor<f32>, tensor<2xui64>
}
