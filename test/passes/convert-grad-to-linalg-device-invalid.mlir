// RUN: gradopt %s -convert-grad-to-linalg=for-device=1 -split-input-file -verify-diagnostics

func.func @complex_numbers(%x: tensor<4xcomplex<f64>>) -> tensor<4xcomplex<f64>> {
  // expected-error @below {{'grad.exp' op complex numbers are not supported on devices}}
  %0 = grad.exp %x : tensor<4xcomplex<f64>>
  return %0 : tensor<4xcomplex<f64>>
}
