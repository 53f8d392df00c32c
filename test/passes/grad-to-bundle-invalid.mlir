// RUN: gradopt %s --grad-to-bundle="output=%t.bundle" -split-input-file -verify-diagnostics
// RUN: not ls %t.bundle

// expected-error @below {{'func.func' op expected argument #0 to be a number, or a tensor of static shape, of type i1, i8, i16, i32, i64, ui8, ui16, ui32, ui64, f16, bf16, f32, f64 or complex numbers of the last two, but got 'tensor<?xf64>'}}
func.func @main(%x: tensor<?xf64>) {
  return
}

// -----

// expected-error @below {{expected argument #1 to be a number, or a tensor of static shape, of type i1, i8, i16, i32, i64, ui8, ui16, ui32, ui64, f16, bf16, f32, f64 or complex numbers of the last two, but got 'f80'}}
func.func @main(%x: f32, %y: f80) {
  return
}

// -----

// expected-error @below {{expected argument #0 to be a number, or a tensor of static shape, of type i1, i8, i16, i32, i64, ui8, ui16, ui32, ui64, f16, bf16, f32, f64 or complex numbers of the last two, but got 'vector<4xf32>'}}
func.func @main(%x: vector<4xf32>) {
  return
}

// -----

// expected-error @below {{expected result #0 to be a number, or a tensor of static shape, of type i1, i8, i16, i32, i64, ui8, ui16, ui32, ui64, f16, bf16, f32, f64 or complex numbers of the last two, but got 'tensor<*xf32>'}}
func.func @main(%x: tensor<4xf32>) -> tensor<*xf32> {
  %y = tensor.cast %x : tensor<4xf32> to tensor<*xf32>
  return %y : tensor<*xf32>
}

// -----

// expected-error @below {{expected a function that calls nothing outside of the module by grad.custom_call}}
func.func @main(%x: tensor<3xf64>) -> tensor<3xf64> {
  %e = tensor.empty() : tensor<3xf64>
  %0 = grad.custom_call_into "f", target = 0 (%x) outs(%e) : (tensor<3xf64>, tensor<3xf64>) -> tensor<3xf64>
  return %0 : tensor<3xf64>
}

// -----

// expected-error @below {{expected argument #0 to be reused for a result of its type}}
func.func @main(%x: tensor<3xf64> {grad.reused_for = 7 : i64}) -> tensor<3xf64> {
  return %x : tensor<3xf64>
}

// -----

// expected-error @below {{'func.func' op expected grad.argument_sizes to be triples of the number of an array, a dimension, and the number of an i64 that is its size, but got array<i64: 0, 1, 1>}}
func.func @main(%x: tensor<4xf64>, %n: tensor<i64>) -> tensor<4xf64>
    attributes {grad.argument_sizes = array<i64: 0, 1, 1>} {
  return %x : tensor<4xf64>
}

// -----

// expected-error @below {{'func.func' op expected grad.result_sizes to be triples of the number of an array, a dimension, and the number of an i64 that is its size, but got array<i64: 0, 0>}}
func.func @main(%x: tensor<4xf64>, %n: tensor<i64>) -> tensor<4xf64>
    attributes {grad.result_sizes = array<i64: 0, 0>} {
  return %x : tensor<4xf64>
}

// -----

// expected-error @below {{'func.func' op expected grad.argument_sizes to state one size along dimension 0 of #0, but got #1 and #2}}
func.func @main(%x: tensor<4xf64>, %n: tensor<i64>, %m: i64) -> tensor<4xf64>
    attributes {grad.argument_sizes = array<i64: 0, 0, 1, 0, 0, 2>} {
  return %x : tensor<4xf64>
}

// -----

// The second one has a largest value.
// expected-error @below {{'func.func' op expected grad.open_sizes to name sizes that grad.argument_sizes states along dimension 0 of an argument with room for any number of rows, but got 3}}
func.func @main(%x: tensor<1061851424xf64>, %n: tensor<i64>, %y: tensor<4xf64>, %m: tensor<i64>) -> tensor<4xf64>
    attributes {grad.argument_sizes = array<i64: 0, 0, 1, 2, 0, 3>, grad.open_sizes = array<i64: 1, 3>} {
  return %y : tensor<4xf64>
}

// -----

// expected-error @below {{'func.func' op expected grad.open_sizes to name sizes that grad.argument_sizes states along dimension 0 of an argument with room for any number of rows, but got 1}}
func.func @main(%x: tensor<1061851424xf64>, %n: tensor<i64>) -> tensor<1061851424xf64>
    attributes {grad.open_sizes = array<i64: 1>, grad.least_room = 0} {
  return %x : tensor<1061851424xf64>
}

// -----

// expected-error @below {{'func.func' op expected grad.open_sizes beside grad.least_room}}
func.func @main(%x: tensor<4xf64>, %n: tensor<i64>) -> tensor<4xf64>
    attributes {grad.argument_sizes = array<i64: 0, 0, 1>, grad.least_room = 64} {
  return %x : tensor<4xf64>
}

// -----

// expected-error @below {{'func.func' op expected grad.least_room to be at least 0 and at most 281474976710656, but got -1}}
func.func @main(%x: tensor<1061851424xf64>, %n: tensor<i64>) -> tensor<1061851424xf64>
    attributes {grad.argument_sizes = array<i64: 0, 0, 1>, grad.open_sizes = array<i64: 1>,
                grad.least_room = -1} {
  return %x : tensor<1061851424xf64>
}
