// RUN: gradopt %s --grad-differentiate -split-input-file -verify-diagnostics

func.func private @f(%x: tensor<f64>) -> tensor<f64> {
  // expected-error @+1 {{'arith.addf' op has no derivative rule}}
  %0 = arith.addf %x, %x : tensor<f64>
  return %0 : tensor<f64>
}
func.func @missing_rule(%x: tensor<f64>) -> tensor<f64> {
  // expected-note @+1 {{differentiated from here}}
  %0:2 = grad.jvp @f(%x), tangents(%x), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1 : tensor<f64>
}

// -----

func.func private @g(%x: tensor<f64>) -> tensor<f64> {
  %0 = grad.call @h(%x) : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}
func.func private @h(%x: tensor<f64>) -> tensor<f64> {
  // expected-error @+1 {{expected no recursion, but @g calls itself}}
  %0 = grad.call @g(%x) : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}

// -----

// expected-note @+1 {{callee is here}}
func.func private @declared(tensor<f64>) -> tensor<f64>
func.func @no_body(%x: tensor<f64>) -> tensor<f64> {
  // expected-error @+1 {{expected a func.func with a body of one block, but got @declared}}
  %0 = grad.call @declared(%x) : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}

// -----

func.func @not_linear(%g: tensor<f64>) -> tensor<f64> {
  // expected-note @+1 {{transposed from here}}
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<f64>):
    // expected-error @+1 {{is not linear in its operands that depend on the region's arguments}}
    %1 = grad.multiply %t, %t : tensor<f64>
    grad.yield %1 : tensor<f64>
  } : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}
