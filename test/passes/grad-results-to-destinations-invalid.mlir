// RUN: gradopt %s --grad-results-to-destinations -split-input-file -verify-diagnostics

// expected-error@+1 {{expected results that are tensors of static shape, but got 'f64'}}
func.func @main(%x: f64) -> f64 {
  return %x : f64
}

// -----

// expected-error@+1 {{expected results that are tensors of static shape, but got 'tensor<?xf64>'}}
func.func @main(%x: tensor<?xf64>) -> tensor<?xf64> {
  return %x : tensor<?xf64>
}

// -----

// expected-error@+1 {{expected no uses of a public function}}
func.func @main(%x: tensor<f64>) -> tensor<f64> {
  return %x : tensor<f64>
}
func.func private @caller(%x: tensor<f64>) -> tensor<f64> {
  %0 = call @main(%x) : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}

// -----

// expected-error@+1 {{expected a body of one block that returns}}
func.func @main(%x: tensor<4xf64>) -> tensor<4xf64> {
  llvm.unreachable
}

// -----

// expected-error@+1 {{expected a body of one block that returns}}
func.func @main(%x: tensor<4xf64>) -> tensor<4xf64> {
  cf.br ^next
^next:
  return %x : tensor<4xf64>
}

// -----

// expected-error@+1 {{expected argument #0 to be reused for a result of its type, one for each, but got 1}}
func.func @main(%x: tensor<4xf64> {grad.reused_for = 1}) -> tensor<4xf64> {
  return %x : tensor<4xf64>
}

// -----

// expected-error@+1 {{expected argument #0 to be reused for a result of its type, one for each, but got 0}}
func.func @main(%x: tensor<4xf64> {grad.reused_for = 0}, %y: tensor<5xf64>) -> tensor<5xf64> {
  return %y : tensor<5xf64>
}

// -----

// expected-error@+1 {{expected argument #1 to be reused for a result of its type, one for each, but got 0}}
func.func @main(%x: tensor<4xf64> {grad.reused_for = 0}, %y: tensor<4xf64> {grad.reused_for = 0}) -> tensor<4xf64> {
  return %y : tensor<4xf64>
}
