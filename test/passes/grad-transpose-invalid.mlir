// RUN: gradopt %s --grad-transpose -verify-diagnostics

func.func @open(%x: f64, %g: f64) -> f64 {
  grad.keep[distinct[0]<>] %x : f64
  %0 = grad.transposed(%g) {
  ^bb0(%t: f64):
    // expected-error @+1 {{has to be stored before linear code is transposed: run grad-store-residuals first}}
    %c = grad.kept[distinct[0]<>] : f64
    %1 = arith.mulf %t, %c : f64
    grad.yield %1 : f64
  } : (f64) -> f64
  return %0 : f64
}
