// RUN: gradopt %s -convert-grad-to-linalg -split-input-file -verify-diagnostics

func.func private @f(%x: tensor<f64>) -> tensor<f64> {
  return %x : tensor<f64>
}
func.func @requests_must_be_gone(%x: tensor<f64>, %g: tensor<f64>) -> tensor<f64> {
  // expected-error @below {{'grad.vjp' op has no lowering to linalg; run grad-differentiate first}}
  %y, %dx = grad.vjp @f(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %dx : tensor<f64>
}

// -----

func.func private @f(%x: tensor<f64>) -> tensor<f64> {
  return %x : tensor<f64>
}
func.func @calls_must_be_gone(%x: tensor<f64>) -> tensor<f64> {
  // expected-error @below {{'grad.call' op has no lowering to linalg; run grad-differentiate first}}
  %y = grad.call @f(%x) : (tensor<f64>) -> tensor<f64>
  return %y : tensor<f64>
}
