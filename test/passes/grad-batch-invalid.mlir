// RUN: gradopt %s --grad-batch -split-input-file -verify-diagnostics

func.func private @f(%x: tensor<3xf64>) -> tensor<3xf64> {
  // expected-error @+1 {{'tensor.cast' op expected results that are numbers or tensors of static shape, where they differ between the elements of a batch, but got 'tensor<?xf64>'}}
  %0 = tensor.cast %x : tensor<3xf64> to tensor<?xf64>
  %1 = tensor.cast %0 : tensor<?xf64> to tensor<3xf64>
  return %1 : tensor<3xf64>
}
func.func @op_without_a_rule(%x: tensor<8x3xf64>) -> tensor<8x3xf64> {
  // expected-note @+1 {{mapped from here}}
  %0 = grad.vmap @f(%x), in_axes = [0], out_axes = [0], size = 8 : (tensor<8x3xf64>) -> tensor<8x3xf64>
  return %0 : tensor<8x3xf64>
}

// -----

func.func private @f(%x: tensor<f64>, %y: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  %0 = grad.tanh %x : tensor<f64>
  return %y, %0 : tensor<f64>, tensor<f64>
}
func.func @result_that_depends_on_a_mapped_input(%x: tensor<8xf64>, %y: tensor<f64>) -> tensor<f64> {
  // expected-error @+1 {{'grad.vmap' op expected result 1, whose axis is `none`, to be the same for the whole batch, but it depends on a mapped input}}
  %0:2 = grad.vmap @f(%x, %y), in_axes = [0, none], out_axes = [none, none], size = 8 : (tensor<8xf64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1 : tensor<f64>
}

// -----

// expected-note @+1 {{callee is here}}
func.func private @f(tensor<f64>) -> tensor<f64>
func.func @no_body(%x: tensor<8xf64>) -> tensor<8xf64> {
  // expected-error @+1 {{'grad.vmap' op expected a func.func with a body of one block that returns, but got @f}}
  %0 = grad.vmap @f(%x), in_axes = [0], out_axes = [0], size = 8 : (tensor<8xf64>) -> tensor<8xf64>
  return %0 : tensor<8xf64>
}

// -----

func.func @itself(%x: tensor<f64>) -> tensor<f64> {
  // expected-error @+1 {{'grad.vmap' op expected no recursion, but @itself calls itself}}
  %0 = grad.vmap @itself(%x), in_axes = [none], out_axes = [none], size = 8 : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}

// -----

func.func private @effect()
func.func private @f(%x: tensor<f64>, %p: tensor<i1>) -> tensor<f64> {
  %flag = tensor.extract %p[] : tensor<i1>
  // expected-error @+1 {{'scf.if' op could not be batched}}
  scf.if %flag {
    func.call @effect() : () -> ()
  }
  return %x : tensor<f64>
}
func.func @effects_of_a_part_of_the_batch(%x: tensor<8xf64>, %p: tensor<8xi1>) -> tensor<8xf64> {
  // expected-note @+1 {{mapped from here}}
  %0 = grad.vmap @f(%x, %p), in_axes = [0, 0], out_axes = [0], size = 8 : (tensor<8xf64>, tensor<8xi1>) -> tensor<8xf64>
  return %0 : tensor<8xf64>
}
