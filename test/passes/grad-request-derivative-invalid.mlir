// RUN: gradopt %s --grad-request-derivative="function=f wrt=1" -split-input-file -verify-diagnostics
// RUN: not gradopt %s --grad-request-derivative="function=f mode=both" -split-input-file 2>&1 | FileCheck %s --check-prefix=MODE
// RUN: not gradopt %s --grad-request-derivative="function=f wrt=0,0" -split-input-file 2>&1 | FileCheck %s --check-prefix=TWICE

// MODE: expected `mode` to be gradient, reverse or forward, but got 'both'
// TWICE: 'func.func' op expected distinct entries of `wrt`, but got 0 twice

// expected-error @below {{expected `wrt` to name arguments that are floats of 32 or 64 bits, or tensors of these of static shape, but argument #1 has type 'tensor<3xi64>'}}
func.func @f(%x: tensor<3xf64>, %n: tensor<3xi64>) -> tensor<3xf64> {
  return %x : tensor<3xf64>
}

// -----

// expected-error @below {{expected `wrt` in [0, 1), but got 1}}
func.func @f(%x: f64) -> f64 {
  return %x : f64
}

// -----

// expected-error @below {{expected `function` to name a func.func, but got 'f'}}
module {
  func.func @g(%x: f64) -> f64 {
    return %x : f64
  }
}

// -----

// expected-error @below {{expected a name that is not taken for the new function, but got 'f_gradient'; choose another one by `name`}}
module {
  func.func @f(%x: f64, %z: f64) -> f64 {
    return %x : f64
  }
  func.func @f_gradient(%x: f64) -> f64 {
    return %x : f64
  }
}

// -----

// expected-error @below {{expected results that are no memory, but result #1 has type 'memref<4xf64>'}}
func.func @f(%x: f64, %z: f64) -> (f64, memref<4xf64>) {
  %m = memref.alloc() : memref<4xf64>
  return %z, %m : f64, memref<4xf64>
}

// -----

// expected-error @below {{expected `wrt` to name arguments that are floats of 32 or 64 bits, or tensors of these of static shape, but argument #1 has type 'tensor<?xf64>'}}
func.func @f(%x: f64, %z: tensor<?xf64>) -> f64 {
  return %x : f64
}

// -----

// expected-error @below {{expected arguments that are no memory, but argument #0 has type 'memref<4xf64>'; differentiate before bufferization}}
func.func @f(%x: memref<4xf64>, %z: f64) -> f64 {
  return %z : f64
}

// -----

// expected-error @below {{expected one result to differentiate, a float or a tensor without dimensions, but got ('f64', 'tensor<3xf64>'); name one by `of`, or choose mode=reverse}}
func.func @f(%x: f64, %z: tensor<3xf64>) -> (f64, tensor<3xf64>) {
  return %x, %z : f64, tensor<3xf64>
}

// -----

// expected-error @below {{expected results that are floats of 32 or 64 bits, or tensors of these of static shape, but got ('i64', 'f16')}}
func.func @f(%n: i64, %z: f64) -> (i64, f16) {
  %0 = arith.truncf %z : f64 to f16
  return %n, %0 : i64, f16
}
