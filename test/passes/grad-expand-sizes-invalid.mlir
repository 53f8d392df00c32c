// RUN: gradopt %s --split-input-file --verify-diagnostics --pass-pipeline='builtin.module(func.func(grad-expand-sizes))'

func.func @returned(%n: tensor<i64>) -> tensor<?xf64> {
  %x = grad.sized_iota %n, bound = 7, f64 : tensor<?xf64>
  // expected-error @below {{'func.return' op expected tensors of known size}}
  return %x : tensor<?xf64>
}

// -----

func.func @argument(%x: tensor<?xf64>) -> tensor<f64> {
  // expected-error @below {{expected tensors whose sizes are stated by ops of this dialect in the same function}}
  %s = grad.reduce_sum %x, dimensions = [0] : tensor<?xf64> -> tensor<f64>
  return %s : tensor<f64>
}
