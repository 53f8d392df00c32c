// RUN: gradopt %s --convert-grad-to-linalg=for-device=1 | FileCheck %s

// A library for a device has no factors: they are elementwise, of the parts of complex numbers.
// CHECK-LABEL: func.func @factors
func.func @factors(%x: tensor<2x4xcomplex<f64>>) -> tensor<2x4xcomplex<f64>> {
  // CHECK: %[[Y:.*]]:2 = grad.fourier_into "fft", dimensions = [0, 1], forward = false, norm = "none"
  // CHECK: arith.constant 1.250000e-01 : f64
  // CHECK: linalg.generic
  // CHECK-COUNT-2: arith.mulf
  %y = grad.fft %x, dimensions = [0, 1], forward = false, norm = "size" : tensor<2x4xcomplex<f64>>
  return %y : tensor<2x4xcomplex<f64>>
}

// Nor has it real numbers in the other direction: their spectrum is the conjugate one.
// CHECK-LABEL: func.func @turned
func.func @turned(%x: tensor<8xf64>, %z: tensor<5xcomplex<f64>>) -> (tensor<5xcomplex<f64>>, tensor<8xf64>) {
  // CHECK: grad.fourier_into "rfft", dimensions = [0], forward = true, norm = "none"
  // CHECK: arith.negf
  // CHECK: complex.create
  %y = grad.rfft %x, dimensions = [0], forward = false, norm = "none" : tensor<8xf64> -> tensor<5xcomplex<f64>>
  // CHECK: arith.negf
  // CHECK: %[[TURNED:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<5xcomplex<f64>>)
  // CHECK: complex.create
  // CHECK: grad.fourier_into "irfft", dimensions = [0], forward = false, norm = "none" (%[[TURNED]])
  // CHECK: arith.constant 0.35355339059327373 : f64
  // CHECK: arith.mulf
  %w = grad.irfft %z, dimensions = [0], size = 8, forward = true, norm = "root" : tensor<5xcomplex<f64>> -> tensor<8xf64>
  return %y, %w : tensor<5xcomplex<f64>>, tensor<8xf64>
}

// What a library has stays as it is.
// CHECK-LABEL: func.func @plain
// CHECK: grad.fourier_into "rfft", dimensions = [0], forward = true, norm = "none" (%arg0)
// CHECK-NEXT: return
func.func @plain(%x: tensor<8xf64>) -> tensor<5xcomplex<f64>> {
  %y = grad.rfft %x, dimensions = [0], forward = true, norm = "none" : tensor<8xf64> -> tensor<5xcomplex<f64>>
  return %y : tensor<5xcomplex<f64>>
}
