// RUN: gradopt %s --grad-expand-requests -split-input-file -verify-diagnostics

func.func private @f(%x: tensor<f64>) -> tensor<f64> {
  // expected-error @+1 {{'tensor.bitcast' op has no derivative rule}}
  %0 = tensor.bitcast %x : tensor<f64> to tensor<f64>
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
  // expected-error @+1 {{expected a func.func with a body of one block that returns, but got @declared}}
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

// -----

// expected-note @+1 {{callee is here}}
func.func private @stuck(%x: tensor<f64>) -> tensor<f64> {
  llvm.unreachable
}
func.func @no_return(%x: tensor<f64>) -> tensor<f64> {
  // expected-error @+1 {{expected a func.func with a body of one block that returns, but got @stuck}}
  %0 = grad.call @stuck(%x) : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}

// -----

// What an op uses in its regions counts: the derivative is not zero.
func.func private @captures(%x: tensor<2xf64>) -> tensor<2xf64> {
  %n = arith.constant 2 : index
  // expected-error @+1 {{'tensor.generate' op has no derivative rule}}
  %0 = tensor.generate %n {
  ^bb0(%i: index):
    %1 = tensor.extract %x[%i] : tensor<2xf64>
    tensor.yield %1 : f64
  } : tensor<?xf64>
  %2 = tensor.cast %0 : tensor<?xf64> to tensor<2xf64>
  return %2 : tensor<2xf64>
}
func.func @through_a_region(%x: tensor<2xf64>) -> tensor<2xf64> {
  // expected-note @+1 {{differentiated from here}}
  %0:2 = grad.jvp @captures(%x), tangents(%x), wrt = [0], of = [0] : (tensor<2xf64>, tensor<2xf64>) -> (tensor<2xf64>, tensor<2xf64>)
  return %0#1 : tensor<2xf64>
}

// -----

func.func private @scalars(%x: tensor<f64>) -> tensor<f64> {
  %0 = tensor.extract %x[] : tensor<f64>
  // expected-error @+1 {{'arith.bitcast' op has no derivative rule}}
  %1 = arith.bitcast %0 : f64 to f64
  %2 = tensor.from_elements %1 : tensor<f64>
  return %2 : tensor<f64>
}
func.func @through_a_scalar(%x: tensor<f64>) -> tensor<f64> {
  // expected-note @+1 {{differentiated from here}}
  %0:2 = grad.jvp @scalars(%x), tangents(%x), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1 : tensor<f64>
}

// -----

func.func private @unranked(%x: tensor<2xf64>) -> tensor<2xf64> {
  // expected-error @+1 {{'tensor.cast' op expected floats of 32 or 64 bits, or tensors of these of static shape, where it is differentiated, but got 'tensor<*xf64>'}}
  %0 = tensor.cast %x : tensor<2xf64> to tensor<*xf64>
  %1 = tensor.cast %0 : tensor<*xf64> to tensor<2xf64>
  return %1 : tensor<2xf64>
}
func.func @through_an_unranked_tensor(%x: tensor<2xf64>) -> tensor<2xf64> {
  // expected-note @+1 {{differentiated from here}}
  %0:2 = grad.jvp @unranked(%x), tangents(%x), wrt = [0], of = [0] : (tensor<2xf64>, tensor<2xf64>) -> (tensor<2xf64>, tensor<2xf64>)
  return %0#1 : tensor<2xf64>
}

// -----

func.func private @memory(%x: tensor<2xf64>) -> tensor<2xf64> {
  %0 = memref.alloc() : memref<2xf64>
  // expected-error @+1 {{'bufferization.materialize_in_destination' op has no derivative rule}}
  bufferization.materialize_in_destination %x in writable %0 : (tensor<2xf64>, memref<2xf64>) -> ()
  %1 = bufferization.to_tensor %0 restrict : memref<2xf64> to tensor<2xf64>
  return %1 : tensor<2xf64>
}
func.func @through_memory(%x: tensor<2xf64>) -> tensor<2xf64> {
  // expected-note @+1 {{differentiated from here}}
  %0:2 = grad.jvp @memory(%x), tangents(%x), wrt = [0], of = [0] : (tensor<2xf64>, tensor<2xf64>) -> (tensor<2xf64>, tensor<2xf64>)
  return %0#1 : tensor<2xf64>
}

// -----

func.func @captured_argument(%g: tensor<2xf64>) -> tensor<2xf64> {
  // expected-note @+1 {{transposed from here}}
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<2xf64>):
    // expected-error @+1 {{'tensor.generate' op is not linear in its operands}}
    %1 = tensor.generate {
    ^bb0(%i: index):
      %2 = tensor.extract %t[%i] : tensor<2xf64>
      tensor.yield %2 : f64
    } : tensor<2xf64>
    grad.yield %1 : tensor<2xf64>
  } : (tensor<2xf64>) -> tensor<2xf64>
  return %0 : tensor<2xf64>
}

// -----

func.func @rounding(%g: tensor<3xf64>) -> tensor<3xf64> {
  // expected-note @+1 {{transposed from here}}
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<3xf64>):
    %1 = grad.convert %t to i64 : tensor<3xf64>
    // expected-error @+1 {{'grad.convert' op is not linear in its operands}}
    %2 = grad.convert %1 to f64 : tensor<3xi64>
    grad.yield %2 : tensor<3xf64>
  } : (tensor<3xf64>) -> tensor<3xf64>
  return %0 : tensor<3xf64>
}

// -----

func.func @positions(%g: tensor<3xf64>, %x: tensor<3xf64>) -> tensor<3xf64> {
  // expected-note @+1 {{transposed from here}}
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<3xf64>):
    %1 = grad.convert %t to i64 : tensor<3xf64>
    %2 = grad.reshape %1, shape = [3, 1] : tensor<3xi64> -> tensor<3x1xi64>
    // expected-error @+1 {{'grad.gather' op is not linear in its operands}}
    %3 = grad.gather %x, %2 : tensor<3xf64>, tensor<3x1xi64> -> tensor<3xf64>
    grad.yield %3 : tensor<3xf64>
  } : (tensor<3xf64>) -> tensor<3xf64>
  return %0 : tensor<3xf64>
}

// -----

func.func @positions_of_a_sum(%g: tensor<3xf64>, %x: tensor<3xf64>) -> tensor<3xf64> {
  // expected-note @+1 {{transposed from here}}
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<3xf64>):
    %1 = grad.convert %t to i64 : tensor<3xf64>
    %2 = grad.reshape %1, shape = [3, 1] : tensor<3xi64> -> tensor<3x1xi64>
    // expected-error @+1 {{'grad.scatter_add' op is not linear in its operands}}
    %3 = grad.scatter_add %x, %2, %x : tensor<3xf64>, tensor<3x1xi64>, tensor<3xf64>
    grad.yield %3 : tensor<3xf64>
  } : (tensor<3xf64>) -> tensor<3xf64>
  return %0 : tensor<3xf64>
}

// -----

func.func @positions_of_an_update(%g: tensor<3xf64>, %x: tensor<3xf64>) -> tensor<f64> {
  // expected-note @+1 {{transposed from here}}
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<f64>):
    %1 = grad.convert %t to i64 : tensor<f64>
    // expected-error @+1 {{'grad.dynamic_update_slice' op is not linear in its operands}}
    %2 = grad.dynamic_update_slice %x, %x[%1] : tensor<3xf64>, tensor<3xf64>
    grad.yield %2 : tensor<3xf64>
  } : (tensor<3xf64>) -> tensor<f64>
  return %0 : tensor<f64>
}

// -----

// The value that varies reaches the one that is used in the second iteration.
func.func private @round_the_loop(%x: tensor<f64>, %v: tensor<f64>) -> tensor<f64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %0:3 = scf.for %i = %c0 to %c9 step %c1 iter_args(%a = %x, %b = %v, %c = %v) -> (tensor<f64>, tensor<f64>, tensor<f64>) {
    // expected-error @+1 {{'tensor.bitcast' op has no derivative rule}}
    %1 = tensor.bitcast %b : tensor<f64> to tensor<f64>
    scf.yield %a, %a, %1 : tensor<f64>, tensor<f64>, tensor<f64>
  }
  return %0#2 : tensor<f64>
}
func.func @through_a_loop(%x: tensor<f64>, %v: tensor<f64>) -> tensor<f64> {
  // expected-note @+1 {{differentiated from here}}
  %0:2 = grad.jvp @round_the_loop(%x, %v), tangents(%x), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1 : tensor<f64>
}

// -----

// An inner function that was not given rules must not be differentiated.
func.func private @f(%x: tensor<f64>) -> tensor<f64> {
  return %x : tensor<f64>
}
func.func private @uses_f(%x: tensor<f64>) -> tensor<f64> {
  // expected-error @+1 {{'grad.custom' op has no derivative rule for @f}}
  %0 = grad.custom @f(%x) : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}
func.func @without_rules(%x: tensor<f64>) -> tensor<f64> {
  %0:2 = grad.jvp @uses_f(%x), tangents(%x), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1 : tensor<f64>
}

// -----

// The derivative in what a rule captures is not known, and not zero.
func.func private @f(%x: tensor<f64>, %c: tensor<f64>) -> tensor<f64> {
  %0 = grad.multiply %x, %c : tensor<f64>
  return %0 : tensor<f64>
}
func.func private @rule(%x: tensor<f64>, %t: tensor<f64>, %c: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  %0 = grad.multiply %x, %c : tensor<f64>
  %1 = grad.multiply %t, %c : tensor<f64>
  return %0, %1 : tensor<f64>, tensor<f64>
}
// expected-note @+1 {{captured value is here}}
func.func private @uses_f(%x: tensor<f64>, %c: tensor<f64>) -> tensor<f64> {
  // expected-error @+1 {{expected captures of @f that do not depend on what is differentiated with respect to, but capture #0 does; make it an input}}
  %0 = grad.custom @f(%x) captures(%c) jvp = @rule : (tensor<f64>, tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}
func.func @captured(%x: tensor<f64>) -> tensor<f64> {
  %0:2 = grad.jvp @uses_f(%x, %x), tangents(%x), wrt = [1], of = [0] : (tensor<f64>, tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1 : tensor<f64>
}

// -----

func.func private @f(%x: tensor<f64>) -> tensor<f64> {
  return %x : tensor<f64>
}
func.func private @rule(%x: tensor<f64>, %t: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  return %t, %t : tensor<f64>, tensor<f64>
}
func.func private @uses_f(%x: tensor<f64>) -> tensor<f64> {
  // expected-error @+1 {{expected results of the rule that do not depend on tangents, but result #0 does}}
  %0 = grad.custom @f(%x) jvp = @rule : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}
func.func @result_of_a_tangent(%x: tensor<f64>) -> tensor<f64> {
  %0:2 = grad.jvp @uses_f(%x), tangents(%x), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1 : tensor<f64>
}

// -----

func.func private @f(%x: tensor<f64>) -> tensor<f64> {
  return %x : tensor<f64>
}
func.func private @rule(%x: tensor<f64>, %t: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  return %x, %x : tensor<f64>, tensor<f64>
}
func.func private @uses_f(%x: tensor<f64>) -> tensor<f64> {
  // expected-error @+1 {{expected tangents that are linear in those of the inputs, but result #1 of the rule does not depend on them}}
  %0 = grad.custom @f(%x) jvp = @rule : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}
func.func @constant_tangent(%x: tensor<f64>) -> tensor<f64> {
  %0:2 = grad.jvp @uses_f(%x), tangents(%x), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1 : tensor<f64>
}

// -----

// Reverse mode of a rule that is not linear in the tangents.
func.func private @f(%x: tensor<f64>) -> tensor<f64> {
  return %x : tensor<f64>
}
func.func private @rule(%x: tensor<f64>, %t: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  // expected-error @+1 {{'grad.tanh' op is not linear in its operands that depend on the region's arguments}}
  %0 = grad.tanh %t : tensor<f64>
  return %x, %0 : tensor<f64>, tensor<f64>
}
func.func private @uses_f(%x: tensor<f64>) -> tensor<f64> {
  %0 = grad.custom @f(%x) jvp = @rule : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}
func.func @tangents_not_linear(%x: tensor<f64>) -> tensor<f64> {
  // expected-note @+1 {{transposed from here}}
  %0:2 = grad.vjp @uses_f(%x), cotangents(%x), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1 : tensor<f64>
}

// -----

// Forward mode of a pullback that is not linear in the cotangents.
func.func private @f(%x: tensor<f64>) -> tensor<f64> {
  return %x : tensor<f64>
}
func.func private @bwd(%g: tensor<f64>) -> tensor<f64> {
  // expected-error @+1 {{'grad.tanh' op is not linear in its operands that depend on the region's arguments}}
  %0 = grad.tanh %g : tensor<f64>
  return %0 : tensor<f64>
}
func.func private @uses_f(%x: tensor<f64>) -> tensor<f64> {
  // expected-note @+1 {{transposed from here: forward mode transposes the bwd rule of @f, which has no jvp rule}}
  %0 = grad.custom @f(%x) vjp = [@f, @bwd] : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}
func.func @cotangents_not_linear(%x: tensor<f64>) -> tensor<f64> {
  %0:2 = grad.jvp @uses_f(%x), tangents(%x), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1 : tensor<f64>
}

// -----

func.func @constant_term(%g: tensor<f64>, %c: tensor<f64>) -> tensor<f64> {
  // expected-note @+1 {{transposed from here}}
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<f64>):
    // expected-error @+1 {{expected values that are linear in the region's arguments, but value #0 does not depend on them}}
    grad.yield %c : tensor<f64>
  } : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}

// -----

// A rule that needs the derivative that it is the rule of.
func.func private @f(%x: tensor<f64>) -> tensor<f64> {
  return %x : tensor<f64>
}
func.func private @rule(%x: tensor<f64>, %t: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  %0:2 = grad.jvp @uses_f(%x), tangents(%t), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %x, %0#1 : tensor<f64>, tensor<f64>
}
func.func private @uses_f(%x: tensor<f64>) -> tensor<f64> {
  // expected-error @+1 {{expected no recursion, but @rule calls itself}}
  %0 = grad.custom @f(%x) jvp = @rule : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}
func.func @recursive_rule(%x: tensor<f64>) -> tensor<f64> {
  %0:2 = grad.jvp @uses_f(%x), tangents(%x), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1 : tensor<f64>
}

// -----

// A choice between a cotangent and a number is not linear; nor is a number
// beside cotangents, around or below them.
func.func @chosen_number(%g: tensor<2xf64>, %p: tensor<2xi1>, %c: tensor<2xf64>) -> tensor<2xf64> {
  // expected-note @+1 {{transposed from here}}
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<2xf64>):
    // expected-error @+1 {{'grad.select' op is not linear in its operands}}
    %1 = grad.select %p, %t, %c : tensor<2xi1>, tensor<2xf64>
    grad.yield %1 : tensor<2xf64>
  } : (tensor<2xf64>) -> tensor<2xf64>
  return %0 : tensor<2xf64>
}

// -----

func.func @number_beside(%g: tensor<4xf64>, %c: tensor<2xf64>) -> tensor<2xf64> {
  // expected-note @+1 {{transposed from here}}
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<2xf64>):
    // expected-error @+1 {{'grad.concatenate' op is not linear in its operands}}
    %1 = grad.concatenate(%c, %t), dimension = 0 : tensor<2xf64>, tensor<2xf64> -> tensor<4xf64>
    grad.yield %1 : tensor<4xf64>
  } : (tensor<4xf64>) -> tensor<2xf64>
  return %0 : tensor<2xf64>
}

// -----

func.func @number_around(%g: tensor<4xf64>) -> tensor<2xf64> {
  %one = grad.constant dense<1.0> : tensor<f64>
  // expected-note @+1 {{transposed from here}}
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<2xf64>):
    // expected-error @+1 {{'grad.pad' op is not linear in its operands}}
    %1 = grad.pad %t, %one, low = [1], high = [1], interior = [0] : tensor<2xf64>, tensor<f64> -> tensor<4xf64>
    grad.yield %1 : tensor<4xf64>
  } : (tensor<4xf64>) -> tensor<2xf64>
  return %0 : tensor<2xf64>
}

// -----

func.func @number_below(%g: tensor<4xf64>, %c: tensor<4xf64>) -> tensor<2xf64> {
  // expected-note @+1 {{transposed from here}}
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<2xf64>):
    // expected-error @+1 {{'grad.update_slice' op is not linear in its operands}}
    %1 = grad.update_slice %c, %t, offsets = [1], strides = [1] : tensor<4xf64>, tensor<2xf64>
    grad.yield %1 : tensor<4xf64>
  } : (tensor<4xf64>) -> tensor<2xf64>
  return %0 : tensor<2xf64>
}

// -----

func.func @number_added_to(%g: tensor<4xf64>, %c: tensor<4xf64>, %i: tensor<2x1xi64>) -> tensor<2xf64> {
  // expected-note @+1 {{transposed from here}}
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<2xf64>):
    // expected-error @+1 {{'grad.scatter_add' op is not linear in its operands}}
    %1 = grad.scatter_add %c, %i, %t : tensor<4xf64>, tensor<2x1xi64>, tensor<2xf64>
    grad.yield %1 : tensor<4xf64>
  } : (tensor<4xf64>) -> tensor<2xf64>
  return %0 : tensor<2xf64>
}

// -----

func.func @transposed_of_a_coefficient(%g: tensor<f64>, %c: tensor<f64>) -> tensor<f64> {
  // expected-note @below {{transposed from here}}
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<f64>):
    // expected-error @+1 {{expected operands that depend on what is transposed in, but operand #1 does not}}
    %1 = grad.transposed(%t, %c) {
    ^bb1(%u: tensor<f64>):
      grad.yield %u, %u : tensor<f64>, tensor<f64>
    } : (tensor<f64>, tensor<f64>) -> tensor<f64>
    grad.yield %1 : tensor<f64>
  } : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}

// -----

func.func private @foreign(%x: tensor<3xf64>) -> tensor<3xf64> {
  // expected-error@+1 {{of "f" has no derivative: call it in a function with derivative rules (custom_vjp, custom_jvp)}}
  %0 = grad.custom_call "f", target = 0, batching = "sequential" (%x) : (tensor<3xf64>) -> tensor<3xf64>
  return %0 : tensor<3xf64>
}
func.func @derivative_of_foreign_code(%x: tensor<3xf64>, %g: tensor<3xf64>) -> tensor<3xf64> {
  %0:2 = grad.vjp @foreign(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<3xf64>, tensor<3xf64>) -> (tensor<3xf64>, tensor<3xf64>)
  return %0#1 : tensor<3xf64>
}

// -----

func.func private @blocks(%x: tensor<4xf64>) -> tensor<4xf64> {
  // expected-error @+1 {{'scf.execute_region' op expected a region of one block to differentiate, but it has 2}}
  %0 = scf.execute_region -> tensor<4xf64> {
    cf.br ^next
  ^next:
    %1 = grad.sin %x : tensor<4xf64>
    scf.yield %1 : tensor<4xf64>
  }
  return %0 : tensor<4xf64>
}
func.func @two_blocks(%x: tensor<4xf64>, %g: tensor<4xf64>) -> tensor<4xf64> {
  %0:2 = grad.vjp @blocks(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<4xf64>, tensor<4xf64>) -> (tensor<4xf64>, tensor<4xf64>)
  return %0#1 : tensor<4xf64>
}
