// RUN: gradopt %s -grad-buffers-to-loops -verify-diagnostics

func.func @tensors(%x: tensor<4xf64>, %c: f64) -> tensor<4xf64> {
  // expected-error @below {{'linalg.fill' op expected operands that are buffers of static shape}}
  %0 = linalg.fill ins(%c : f64) outs(%x : tensor<4xf64>) -> tensor<4xf64>
  return %0 : tensor<4xf64>
}
