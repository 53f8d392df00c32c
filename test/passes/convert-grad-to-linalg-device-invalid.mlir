// RUN: gradopt %s -convert-grad-to-linalg=for-device=1 -split-input-file -verify-diagnostics

func.func @complex_numbers(%x: tensor<4xcomplex<f64>>) -> tensor<4xcomplex<f64>> {
  // expected-error @below {{'grad.exp' op complex numbers are not supported on devices}}
  %0 = grad.exp %x : tensor<4xcomplex<f64>>
  return %0 : tensor<4xcomplex<f64>>
}

// -----

func.func @transform(%a: tensor<8xf64>) -> tensor<8xf64> {
  // expected-error @+1 {{is a Fourier transform, which runs on the host: it is not supported on devices}}
  %0 = grad.rfft %a, dimensions = [0], forward = true, norm = "none" : tensor<8xf64> -> tensor<5xcomplex<f64>>
  return %a : tensor<8xf64>
}

// -----

func.func @factorization(%a: tensor<3x3xf64>) -> tensor<3x3xf64> {
  // expected-error @+1 {{is a routine of LAPACK, which runs on the host: it is not supported on devices}}
  %l, %s = grad.cholesky %a : tensor<3x3xf64> -> tensor<3x3xf64>, tensor<i32>
  return %l : tensor<3x3xf64>
}

// -----

func.func @eigenvalues(%a: tensor<3x3xf64>) -> tensor<3x3xf64> {
  // expected-error @+1 {{is a routine of LAPACK, which runs on the host: it is not supported on devices}}
  %t, %z, %s = grad.schur %a : tensor<3x3xf64> -> tensor<3x3xf64>, tensor<3x3xf64>, tensor<i32>
  return %t : tensor<3x3xf64>
}
