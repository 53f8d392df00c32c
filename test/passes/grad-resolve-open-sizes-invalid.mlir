// RUN: gradopt %s --grad-resolve-open-sizes -split-input-file -verify-diagnostics

func.func @square(%n: memref<i64>, %x: memref<33182857x33182857xf64>, %out: memref<f64>)
    attributes {grad.open_sizes = array<i64: 0>} {
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{expected what works on some rows of an array, but got 'memref<33182857x33182857xf64>'}}
  %0 = memref.load %x[%c0, %c0] : memref<33182857x33182857xf64>
  memref.store %0, %out[] : memref<f64>
  return
}

// -----

// Which dimensions of columns are joined is not known.
func.func @joined(%n: memref<i64>, %x: memref<3x1061851424xf64>, %out: memref<f64>)
    attributes {grad.open_sizes = array<i64: 0>} {
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{expected what works on some rows of an array, but got 'memref<3x1061851424xf64>'}}
  %all = memref.collapse_shape %x [[0, 1]] : memref<3x1061851424xf64> into memref<3185554272xf64>
  %0 = memref.load %all[%c0] : memref<3185554272xf64>
  memref.store %0, %out[] : memref<f64>
  return
}

// -----

func.func private @all(memref<1061851424xf64>)
func.func @call(%n: memref<i64>, %x: memref<1061851424xf64>)
    attributes {grad.open_sizes = array<i64: 0>} {
  // expected-error@+1 {{expected what works on some rows of an array}}
  func.call @all(%x) : (memref<1061851424xf64>) -> ()
  return
}

// -----

// Three quarters of the room, and some more.
func.func @third(%n: memref<i64>, %y: memref<796388668xf64>)
    attributes {grad.open_sizes = array<i64: 0>} {
  %zero = arith.constant 0.0 : f64
  // expected-error@+1 {{expected sizes that are known or made of the room, but got 796388668}}
  linalg.fill ins(%zero : f64) outs(%y : memref<796388668xf64>)
  return
}

// -----

// A part that there may be no room for.
func.func @part(%n: memref<i64>, %x: memref<1061851424xf64>, %out: memref<65xf64>)
    attributes {grad.open_sizes = array<i64: 0>} {
  // expected-error@+1 {{expected what works on some rows of an array, but got 'memref<65xf64}}
  %part = memref.subview %x[0] [65] [1] : memref<1061851424xf64> to memref<65xf64>
  memref.copy %part, %out : memref<65xf64> to memref<65xf64>
  return
}

// -----

// expected-error@+1 {{expected grad.open_sizes to name arguments that are integers, but got 1}}
func.func @argument(%n: memref<i64>, %x: memref<f64>)
    attributes {grad.open_sizes = array<i64: 1>} {
  return
}
