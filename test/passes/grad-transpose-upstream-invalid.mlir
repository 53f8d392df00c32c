// RUN: gradopt %s --grad-transpose -split-input-file -verify-diagnostics

// A product of what is linear is not linear.
func.func @square(%g: f64) -> f64 {
  // expected-note @below {{transposed from here}}
  %0 = grad.transposed(%g) {
  ^bb0(%t: f64):
    // expected-error @below {{'arith.mulf' op is not linear in its operands that depend on the region's arguments}}
    %1 = arith.mulf %t, %t : f64
    grad.yield %1 : f64
  } : (f64) -> f64
  return %0 : f64
}

// -----

func.func @constant_term(%g: f64) -> f64 {
  %one = arith.constant 1.0 : f64
  // expected-note @below {{transposed from here}}
  %0 = grad.transposed(%g) {
  ^bb0(%t: f64):
    // expected-error @below {{'arith.addf' op is not linear in its operands}}
    %1 = arith.addf %t, %one : f64
    grad.yield %1 : f64
  } : (f64) -> f64
  return %0 : f64
}

// -----

func.func @constant_beginning(%g: tensor<4x5xf64>, %b: tensor<3x5xf64>, %c: tensor<4x5xf64>) -> tensor<4x3xf64> {
  // expected-note @below {{transposed from here}}
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<4x3xf64>):
    // expected-error @below {{'linalg.matmul' op expected a sum that begins with zeros or with what is transposed in, for result #0}}
    %1 = linalg.matmul ins(%t, %b : tensor<4x3xf64>, tensor<3x5xf64>) outs(%c : tensor<4x5xf64>) -> tensor<4x5xf64>
    grad.yield %1 : tensor<4x5xf64>
  } : (tensor<4x5xf64>) -> tensor<4x3xf64>
  return %0 : tensor<4x3xf64>
}

// -----

func.func @number_beside(%g: tensor<3xf64>) -> tensor<3xf64> {
  %one = arith.constant 1.0 : f64
  %c0 = arith.constant 0 : index
  // expected-note @below {{transposed from here}}
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<3xf64>):
    // expected-error @below {{'tensor.insert' op is not linear in its operands}}
    %1 = tensor.insert %one into %t[%c0] : tensor<3xf64>
    grad.yield %1 : tensor<3xf64>
  } : (tensor<3xf64>) -> tensor<3xf64>
  return %0 : tensor<3xf64>
}

// -----

#id = affine_map<(i) -> (i)>
func.func @number_in_a_body(%g: tensor<3xf64>, %c: tensor<3xf64>) -> (tensor<3xf64>, tensor<3xf64>) {
  %e = tensor.empty() : tensor<3xf64>
  // expected-note @below {{transposed from here}}
  %0:2 = grad.transposed(%g) {
  ^bb0(%s: tensor<3xf64>, %t: tensor<3xf64>):
    %1 = linalg.generic {indexing_maps = [#id, #id, #id, #id], iterator_types = ["parallel"]}
      ins(%s, %t, %c : tensor<3xf64>, tensor<3xf64>, tensor<3xf64>) outs(%e : tensor<3xf64>) {
      ^bb0(%a: f64, %o: f64, %d: f64, %b: f64):
        %2 = arith.mulf %a, %d : f64
        // expected-error @below {{'arith.subf' op is not linear in its operands}}
        %3 = arith.subf %2, %b : f64
        linalg.yield %3 : f64
    } -> tensor<3xf64>
    grad.yield %1 : tensor<3xf64>
  } : (tensor<3xf64>) -> (tensor<3xf64>, tensor<3xf64>)
  return %0#0, %0#1 : tensor<3xf64>, tensor<3xf64>
}

// -----

// One error: the reason.
func.func @padding_by_position(%g: tensor<6xf64>) -> tensor<4xf64> {
  // expected-note @below {{transposed from here}}
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<4xf64>):
    // expected-error @below {{'tensor.pad' op expected a padding that is the same value everywhere}}
    %1 = tensor.pad %t low[1] high[1] {
    ^bb0(%i: index):
      %n = arith.index_cast %i : index to i64
      %p = arith.sitofp %n : i64 to f64
      tensor.yield %p : f64
    } : tensor<4xf64> to tensor<6xf64>
    grad.yield %1 : tensor<6xf64>
  } : (tensor<6xf64>) -> tensor<4xf64>
  return %0 : tensor<4xf64>
}
