// RUN: gradopt %s --grad-store-residuals -split-input-file -verify-diagnostics

func.func @no_value(%g: f64) -> f64 {
  %0 = grad.transposed(%g) {
  ^bb0(%t: f64):
    // expected-error @+1 {{expected a grad.keep of the same key and type}}
    %c = grad.kept[distinct[0]<>] : f64
    %1 = arith.mulf %t, %c : f64
    grad.yield %1 : f64
  } : (f64) -> f64
  return %0 : f64
}

// -----

func.func @other_type(%x: f32, %g: f64) -> f64 {
  grad.keep[distinct[0]<>] %x : f32
  %0 = grad.transposed(%g) {
  ^bb0(%t: f64):
    // expected-error @+1 {{expected a grad.keep of the same key and type}}
    %c = grad.kept[distinct[0]<>] : f64
    %1 = arith.mulf %t, %c : f64
    grad.yield %1 : f64
  } : (f64) -> f64
  return %0 : f64
}

// -----

func.func @other_kind(%x: f64, %c: i1, %g: f64) -> f64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-error @+1 {{expected a linear part as grad-linearize leaves it}}
  %r = scf.for %i = %c0 to %c1 step %c1 iter_args(%a = %x) -> (f64) {
    scf.yield %a : f64
  } {grad.linear_part = distinct[0]<>}
  %0 = grad.transposed(%g) {
  ^bb0(%t: f64):
    // expected-note @+1 {{this is the linear part}}
    %1 = scf.if %c -> (f64) {
      scf.yield %t : f64
    } else {
      scf.yield %t : f64
    } {grad.part_of = distinct[0]<>}
    grad.yield %1 : f64
  } : (f64) -> f64
  return %0 : f64
}
