// RUN: gradopt %s --grad-request-derivative="function=f mode=reverse" --grad-expand-requests -split-input-file -verify-diagnostics

// expected-note @below {{differentiated from here}}
func.func @f(%x: f64) -> f64 {
  // expected-error @below {{'arith.truncf' op expected floats of 32 or 64 bits, or tensors of these of static shape, where it is differentiated, but got 'f16'}}
  %0 = arith.truncf %x : f64 to f16
  %1 = arith.mulf %0, %0 : f16
  %2 = arith.extf %1 : f16 to f64
  return %2 : f64
}

// -----

// expected-note @below {{differentiated from here}}
func.func @f(%x: tensor<4xf64>) -> tensor<4xf64> {
  // expected-error @below {{'tensor.cast' op expected floats of 32 or 64 bits, or tensors of these of static shape, where it is differentiated, but got 'tensor<?xf64>'}}
  %0 = tensor.cast %x : tensor<4xf64> to tensor<?xf64>
  %1 = math.sin %0 : tensor<?xf64>
  %2 = tensor.cast %1 : tensor<?xf64> to tensor<4xf64>
  return %2 : tensor<4xf64>
}

// -----

// expected-note @below {{differentiated from here}}
func.func @f(%x: f64) -> f64 {
  // expected-error @below {{'vector.broadcast' op has no derivative rule}}
  %0 = vector.broadcast %x : f64 to vector<4xf64>
  %1 = vector.reduction <add>, %0 : vector<4xf64> into f64
  return %1 : f64
}

// -----

// What a loop carries counts as what an op returns.
// expected-note @below {{differentiated from here}}
func.func @f(%x: f64, %n: index) -> f64 {
  %v = arith.constant dense<0.0> : vector<2xf64>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-error @below {{'scf.for' op expected floats of 32 or 64 bits, or tensors of these of static shape, where it is differentiated, but got 'vector<2xf64>'}}
  %0:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x, %b = %v) -> (f64, vector<2xf64>) {
    %1 = vector.insert %a, %b [0] : f64 into vector<2xf64>
    %2 = vector.extract %1[1] : f64 from vector<2xf64>
    scf.yield %2, %1 : f64, vector<2xf64>
  }
  return %0#0 : f64
}

// -----

// In the body of a structured op.
// expected-note @below {{differentiated from here}}
func.func @f(%x: tensor<4xf64>) -> tensor<4xf64> {
  %e = tensor.empty() : tensor<4xf64>
  %0 = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
    ins(%x : tensor<4xf64>) outs(%e : tensor<4xf64>) {
    ^bb0(%a: f64, %o: f64):
      // expected-error @below {{'arith.bitcast' op has no derivative rule}}
      %1 = arith.bitcast %a : f64 to f64
      linalg.yield %1 : f64
  } -> tensor<4xf64>
  return %0 : tensor<4xf64>
}

// -----

// The bits of a float depend on it.
// expected-note @below {{differentiated from here}}
func.func @f(%x: f64) -> f64 {
  %mask = arith.constant 0x7FFFFFFFFFFFFFFF : i64
  // expected-error @below {{'arith.bitcast' op has no derivative rule}}
  %0 = arith.bitcast %x : f64 to i64
  %1 = arith.andi %0, %mask : i64
  %2 = arith.bitcast %1 : i64 to f64
  return %2 : f64
}

// -----

// expected-note @below {{differentiated from here}}
func.func @f(%x: tensor<4xf64>) -> tensor<4xf64> {
  %e = tensor.empty() : tensor<4xf64>
  %0 = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]}
    ins(%x : tensor<4xf64>) outs(%e : tensor<4xf64>) {
    ^bb0(%a: f64, %o: f64):
      // expected-error @below {{'arith.bitcast' op has no derivative rule}}
      %1 = arith.bitcast %a : f64 to i64
      %2 = arith.sitofp %1 : i64 to f64
      %3 = arith.mulf %2, %a : f64
      linalg.yield %3 : f64
  } -> tensor<4xf64>
  return %0 : tensor<4xf64>
}

// -----

// Shapes that are known at run time only.
// expected-note @below {{differentiated from here}}
func.func @f(%x: f64, %n: index) -> f64 {
  // expected-error @below {{'tensor.splat' op expected floats of 32 or 64 bits, or tensors of these of static shape, where it is differentiated, but got 'tensor<?xf64>'}}
  %0 = tensor.splat %x[%n] : tensor<?xf64>
  %1 = tensor.extract %0[%n] : tensor<?xf64>
  return %1 : f64
}

// -----

// expected-error @below {{'grad.vjp' op expected a func.func with a body of one block that returns, but got @f}}
// expected-note @below {{callee is here}}
func.func @f(%x: f64, %p: i1) -> f64 {
  cf.cond_br %p, ^one, ^two
^one:
  return %x : f64
^two:
  %0 = math.sin %x : f64
  return %0 : f64
}

// -----

// A function without a body.
func.func private @g(f64) -> f64
// expected-note @below {{differentiated from here}}
func.func @f(%x: f64) -> f64 {
  // expected-error @below {{'func.call' op has no derivative rule}}
  %0 = func.call @g(%x) : (f64) -> f64
  return %0 : f64
}

// -----

// expected-note @below {{differentiated from here}}
func.func @f(%x: f64, %n: i64) -> f64 {
  %c0 = arith.constant 0 : i64
  %c1 = arith.constant 1 : i64
  %0 = arith.cmpi eq, %n, %c0 : i64
  %1 = scf.if %0 -> f64 {
    scf.yield %x : f64
  } else {
    %m = arith.subi %n, %c1 : i64
    // expected-error @below {{'func.call' op expected no recursion, but @f calls itself}}
    %2 = func.call @f(%x, %m) : (f64, i64) -> f64
    scf.yield %2 : f64
  }
  return %1 : f64
}

// -----

func.func @f(%p: f64, %n: index, %m: index) -> tensor<6xf64> {
  %e = tensor.empty(%n) : tensor<?xf64>
  // expected-error @below {{'tensor.pad' op expected a source of static shape and a padding that is the same value everywhere, where it is differentiated}}
  %0 = tensor.pad %e low[1] high[%m] {
  ^bb0(%i: index):
    tensor.yield %p : f64
  } : tensor<?xf64> to tensor<6xf64>
  return %0 : tensor<6xf64>
}

// -----

// What runs in parallel does not say where its results come from.
// expected-note @below {{differentiated from here}}
func.func @f(%x: tensor<4xf64>) -> tensor<4xf64> {
  %e = tensor.empty() : tensor<4xf64>
  // expected-error @below {{'scf.forall' op has no derivative rule}}
  %0 = scf.forall (%i) in (4) shared_outs(%o = %e) -> (tensor<4xf64>) {
    %1 = tensor.extract_slice %x[%i] [1] [1] : tensor<4xf64> to tensor<1xf64>
    %2 = math.sin %1 : tensor<1xf64>
    scf.forall.in_parallel {
      tensor.parallel_insert_slice %2 into %o[%i] [1] [1] : tensor<1xf64> into tensor<4xf64>
    }
  }
  return %0 : tensor<4xf64>
}

// -----

// expected-note @below {{differentiated from here}}
func.func @f(%x: tensor<4xf64>) -> f64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %zero = arith.constant 0.0 : f64
  // expected-error @below {{'scf.parallel' op has no derivative rule}}
  %0 = scf.parallel (%i) = (%c0) to (%c4) step (%c1) init (%zero) -> f64 {
    %1 = tensor.extract %x[%i] : tensor<4xf64>
    scf.reduce(%1 : f64) {
    ^bb0(%a: f64, %b: f64):
      %2 = arith.addf %a, %b : f64
      scf.reduce.return %2 : f64
    }
  }
  return %0 : f64
}

// -----

#id = affine_map<(i) -> (i)>
func.func @f(%x: tensor<4xf64>) -> tensor<4xf64> {
  %w = arith.constant dense<1.0> : tensor<10xf64>
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  // expected-error @below {{'scf.for' op expected numbers or tensors of static shape to store for its derivative, but got 'tensor<?xf64>'}}
  %r = scf.for %i = %c0 to %c5 step %c1 iter_args(%a = %x) -> tensor<4xf64> {
    %n = arith.addi %i, %c5 : index
    %part = tensor.extract_slice %w[0] [%n] [1] : tensor<10xf64> to tensor<?xf64>
    %s = math.absf %part : tensor<?xf64>
    %m = linalg.generic {indexing_maps = [#id], iterator_types = ["parallel"]} outs(%a : tensor<4xf64>) {
    ^bb0(%b: f64):
      %k = linalg.index 0 : index
      %q = tensor.extract %s[%k] : tensor<?xf64>
      %z = arith.mulf %q, %b : f64
      linalg.yield %z : f64
    } -> tensor<4xf64>
    scf.yield %m : tensor<4xf64>
  }
  return %r : tensor<4xf64>
}
