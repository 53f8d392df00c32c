// RUN: gradopt %s -split-input-file -verify-diagnostics

func.func @dynamic_shape(%x: tensor<?xf64>) {
  // expected-error @+1 {{operand #0 must be statically shaped tensor}}
  %0 = grad.cumsum %x, dimension = 0 : tensor<?xf64>
  return
}

// -----

func.func @float_function_of_integers(%x: tensor<2xi64>) {
  // expected-error @+1 {{operand #0 must be ranked tensor of floats or complex numbers}}
  %0 = grad.exp %x : tensor<2xi64>
  return
}

// -----

func.func @no_implicit_broadcast(%x: tensor<2xf64>, %s: tensor<f64>) {
  // expected-error @+1 {{requires the same type for all operands and results}}
  %0 = "grad.add"(%x, %s) : (tensor<2xf64>, tensor<f64>) -> tensor<2xf64>
  return
}

// -----

func.func @iota_dimension() {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected dimension in [0, 1), but got 1}}
  %0 = grad.iota dimension = 1, shape = [5], i64 : tensor<5xi64>
  return
}

// -----

func.func @random_bits_of_three_words(%key: tensor<3xi32>, %first: tensor<i64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected keys of two words in the last dimension, but got 'tensor<3xi32>'}}
  %0 = grad.random_bits %key, %first, bits = 64, shape = [5], i64 : tensor<3xi32>, tensor<i64> -> tensor<5xi64>
  return
}

// -----

func.func @random_bits_of_too_many_counters(%key: tensor<2xi32>, %first: tensor<2xi64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected one counter for each key of 'tensor<2xi32>', but got 'tensor<2xi64>'}}
  %0 = grad.random_bits %key, %first, bits = 64, shape = [5], i64 : tensor<2xi32>, tensor<2xi64> -> tensor<2x5xi64>
  return
}

// -----

func.func @random_bits_beyond_the_width(%key: tensor<2xi32>, %first: tensor<i64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected bits in [1, 32], but got 33}}
  %0 = grad.random_bits %key, %first, bits = 33, shape = [5], i32 : tensor<2xi32>, tensor<i64> -> tensor<5xi32>
  return
}

// -----

func.func @random_bits_of_a_negative_size(%key: tensor<2xi32>, %first: tensor<i64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected sizes of at least 0, but got -1}}
  %0 = grad.random_bits %key, %first, bits = 64, shape = [-1], i64 : tensor<2xi32>, tensor<i64> -> tensor<5xi64>
  return
}

// -----

func.func @random_bits_of_floats(%key: tensor<2xi32>, %first: tensor<i64>) {
  // expected-error @+1 {{attribute 'dtype' failed to satisfy constraint: type attribute of 32-bit signless integer or 64-bit signless integer}}
  %0 = grad.random_bits %key, %first, bits = 24, shape = [5], f64 : tensor<2xi32>, tensor<i64> -> tensor<5xf64>
  return
}

// -----

func.func @broadcast_order(%x: tensor<2x3xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected strictly increasing dimensions, but got [1, 0]}}
  %0 = grad.broadcast %x, shape = [3, 2], dimensions = [1, 0] : tensor<2x3xf64> -> tensor<3x2xf64>
  return
}

// -----

func.func @broadcast_size(%x: tensor<3xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected dimension 0 of the result to have size 3, as dimension 0 of the operand, but got 4}}
  %0 = grad.broadcast %x, shape = [4], dimensions = [0] : tensor<3xf64> -> tensor<4xf64>
  return
}

// -----

func.func @broadcast_count(%x: tensor<3xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected 1 dimensions, one for each dimension, but got 2}}
  %0 = grad.broadcast %x, shape = [4, 3], dimensions = [0, 1] : tensor<3xf64> -> tensor<4x3xf64>
  return
}

// -----

func.func @negative_size(%x: tensor<3xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected sizes of at least 0, but got -1}}
  %0 = grad.reshape %x, shape = [-1] : tensor<3xf64> -> tensor<3xf64>
  return
}

// -----

func.func @reshape_elements(%x: tensor<3xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected a shape of 3 elements, but got 4}}
  %0 = grad.reshape %x, shape = [2, 2] : tensor<3xf64> -> tensor<2x2xf64>
  return
}

// -----

func.func @transpose_permutation(%x: tensor<2x3xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected distinct dimensions, but got [0, 0]}}
  %0 = grad.transpose %x, permutation = [0, 0] : tensor<2x3xf64> -> tensor<2x2xf64>
  return
}

// -----

func.func @wrong_written_type(%x: tensor<2x3xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{inferred type(s) 'tensor<3x2xf64>' are incompatible with return type(s) of operation 'tensor<2x3xf64>'}}
  %0 = grad.transpose %x, permutation = [1, 0] : tensor<2x3xf64> -> tensor<2x3xf64>
  return
}

// -----

func.func @slice_bounds(%x: tensor<5xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected a slice within dimension 0 of size 5, but got elements 2 to 7}}
  %0 = grad.slice %x, offsets = [2], sizes = [3], strides = [2] : tensor<5xf64> -> tensor<3xf64>
  return
}

// -----

func.func @slice_stride(%x: tensor<5xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected strides of at least 1, but got 0 in dimension 0}}
  %0 = grad.slice %x, offsets = [0], sizes = [3], strides = [0] : tensor<5xf64> -> tensor<3xf64>
  return
}

// -----

func.func @dynamic_slice_indices(%x: tensor<5x5xf64>, %i: tensor<i64>) {
  // expected-error @+1 {{expected 2 indices, one for each dimension, but got 1}}
  %0 = grad.dynamic_slice %x[%i], sizes = [1, 1] : tensor<5x5xf64> -> tensor<1x1xf64>
  return
}

// -----

func.func @update_element_type(%x: tensor<5xf64>, %u: tensor<2xf32>) {
  // expected-error @+1 {{expected update to have element type 'f64', but got 'f32'}}
  %0 = grad.update_slice %x, %u, offsets = [0], strides = [1] : tensor<5xf64>, tensor<2xf32>
  return
}

// -----

func.func @add_slice_bounds(%x: tensor<5xf64>, %u: tensor<2xf64>) {
  // expected-error @+1 {{'grad.add_slice' op expected a slice within dimension 0 of size 5, but got elements 4 to 6}}
  %0 = grad.add_slice %x, %u, offsets = [4], strides = [1] : tensor<5xf64>, tensor<2xf64>
  return
}

// -----

func.func @dynamic_add_slice_indices(%x: tensor<5x5xf64>, %u: tensor<1x1xf64>, %i: tensor<i64>) {
  // expected-error @+1 {{'grad.dynamic_add_slice' op expected 2 indices, one for each dimension, but got 1}}
  %0 = grad.dynamic_add_slice %x, %u[%i] : tensor<5x5xf64>, tensor<1x1xf64>
  return
}

// -----

func.func @pad_value(%x: tensor<5xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected a scalar value, but got rank 1}}
  %0 = grad.pad %x, %x, low = [0], high = [0], interior = [0] : tensor<5xf64>, tensor<5xf64> -> tensor<5xf64>
  return
}

// -----

func.func @pad_negative(%x: tensor<5xf64>, %s: tensor<f64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected padding of at least 0, but got -1 in dimension 0}}
  %0 = grad.pad %x, %s, low = [-1], high = [0], interior = [0] : tensor<5xf64>, tensor<f64> -> tensor<4xf64>
  return
}

// -----

func.func @concatenate_shapes(%x: tensor<5x2xf64>, %v: tensor<5x3xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected input 1 to be like 'tensor<5x2xf64>' outside dimension 0, but got 'tensor<5x3xf64>'}}
  %0 = grad.concatenate(%x, %v), dimension = 0 : tensor<5x2xf64>, tensor<5x3xf64> -> tensor<10x2xf64>
  return
}

// -----

func.func @max_of_nothing(%x: tensor<0x2xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected a dimension that is not empty, but dimension 0 has size 0}}
  %0 = grad.reduce_max %x, dimensions = [0] : tensor<0x2xf64> -> tensor<2xf64>
  return
}

// -----

func.func @argmax_of_nothing(%x: tensor<0x2xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected a dimension that is not empty, but dimension 0 has size 0}}
  %0 = grad.argmax %x, dimension = 0 : tensor<0x2xf64> -> tensor<2xi64>
  return
}

// -----

func.func @contracting_size(%a: tensor<2x3xf64>, %c: tensor<4x5xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected dimension 0 of rhs to have size 3, as dimension 1 of lhs, but got 4}}
  %0 = grad.dot_general %a, %c, batch = [] x [], contract = [1] x [0] : tensor<2x3xf64>, tensor<4x5xf64> -> tensor<2x5xf64>
  return
}

// -----

func.func @contracting_count(%a: tensor<2x3xf64>, %c: tensor<3x5xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected as many batch and contracting dimensions of lhs as of rhs}}
  %0 = grad.dot_general %a, %c, batch = [] x [], contract = [1] x [] : tensor<2x3xf64>, tensor<3x5xf64> -> tensor<2x5xf64>
  return
}

// -----

func.func @correlate_shapes(%x: tensor<3xf64>, %w: tensor<4xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected vectors and kernels of at least one and at most as many elements, but got 'tensor<3xf64>' and 'tensor<4xf64>'}}
  %0 = grad.correlate %x, %w, low = 0, high = 0 : tensor<3xf64>, tensor<4xf64> -> tensor<0xf64>
  return
}

// -----

func.func @correlate_overhang(%x: tensor<5xf64>, %w: tensor<3xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected low and high to be at least 0 and less than 3, but got 3 and 0}}
  %0 = grad.correlate %x, %w, low = 3, high = 0 : tensor<5xf64>, tensor<3xf64> -> tensor<6xf64>
  return
}

// -----

func.func @correlate_types(%x: tensor<5xf64>, %w: tensor<3xf32>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected kernel to have element type}}
  %0 = grad.correlate %x, %w, low = 0, high = 0 : tensor<5xf64>, tensor<3xf32> -> tensor<3xf64>
  return
}

// -----

func.func @convolution_types(%x: tensor<1x2x3x5xf64>, %w: tensor<1x4x3x2xf32>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected kernel to have element type 'f64', but got 'f32'}}
  %0 = grad.convolution %x, %w, strides = [1], low = [0], high = [0], dilation = [1] x [1] : tensor<1x2x3x5xf64>, tensor<1x4x3x2xf32> -> tensor<1x2x4x4xf64>
  return
}

// -----

func.func @convolution_ranks(%x: tensor<1x2x3x5xf64>, %w: tensor<1x4x3xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected x and a kernel of one rank of at least 3, but got 'tensor<1x2x3x5xf64>' and 'tensor<1x4x3xf64>'}}
  %0 = grad.convolution %x, %w, strides = [1], low = [0], high = [0], dilation = [1] x [1] : tensor<1x2x3x5xf64>, tensor<1x4x3xf64> -> tensor<1x2x4x4xf64>
  return
}

// -----

func.func @convolution_groups(%x: tensor<1x2x3x5xf64>, %w: tensor<2x4x3x2xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected kernel to have 1 groups, as x, but got 2}}
  %0 = grad.convolution %x, %w, strides = [1], low = [0], high = [0], dilation = [1] x [1] : tensor<1x2x3x5xf64>, tensor<2x4x3x2xf64> -> tensor<1x2x4x4xf64>
  return
}

// -----

func.func @convolution_features(%x: tensor<1x2x3x5xf64>, %w: tensor<1x4x2x2xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected kernel to have 3 features, as x, but got 2}}
  %0 = grad.convolution %x, %w, strides = [1], low = [0], high = [0], dilation = [1] x [1] : tensor<1x2x3x5xf64>, tensor<1x4x2x2xf64> -> tensor<1x2x4x4xf64>
  return
}

// -----

func.func @convolution_lengths(%x: tensor<1x2x3x5xf64>, %w: tensor<1x4x3x2xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected 1 kernel dilations, one for each spatial dimension, but got 2}}
  %0 = grad.convolution %x, %w, strides = [1], low = [0], high = [0], dilation = [1] x [1, 1] : tensor<1x2x3x5xf64>, tensor<1x4x3x2xf64> -> tensor<1x2x4x4xf64>
  return
}

// -----

func.func @convolution_strides(%x: tensor<1x2x3x5xf64>, %w: tensor<1x4x3x2xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected strides from 1 to 2^60, but got 0}}
  %0 = grad.convolution %x, %w, strides = [0], low = [0], high = [0], dilation = [1] x [1] : tensor<1x2x3x5xf64>, tensor<1x4x3x2xf64> -> tensor<1x2x4x4xf64>
  return
}

// -----

func.func @convolution_padding(%x: tensor<1x2x3x5xf64>, %w: tensor<1x4x3x2xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected sizes of high padding from -2^60 to 2^60, but got -9223372036854775808}}
  %0 = grad.convolution %x, %w, strides = [1], low = [0], high = [-9223372036854775808], dilation = [1] x [1] : tensor<1x2x3x5xf64>, tensor<1x4x3x2xf64> -> tensor<1x2x4x4xf64>
  return
}

// -----

func.func @convolution_empty_window(%x: tensor<1x2x3x5xf64>, %w: tensor<1x4x3x0xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected a kernel with elements in each spatial dimension, but got 'tensor<1x4x3x0xf64>'}}
  %0 = grad.convolution %x, %w, strides = [1], low = [0], high = [0], dilation = [1] x [1] : tensor<1x2x3x5xf64>, tensor<1x4x3x0xf64> -> tensor<1x2x4x4xf64>
  return
}

// -----

func.func @convolution_extent(%x: tensor<1x2x3x5xf64>, %w: tensor<1x4x3x9xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected dilated sizes of at most 2^60, but got 9223372036854775807 in spatial dimension 0}}
  %0 = grad.convolution %x, %w, strides = [1], low = [0], high = [0], dilation = [1] x [1152921504606846976] : tensor<1x2x3x5xf64>, tensor<1x4x3x9xf64> -> tensor<1x2x4x4xf64>
  return
}

// -----

func.func @convolution_result(%x: tensor<1x2x3x5xf64>, %w: tensor<1x4x3x2xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{inferred type(s) 'tensor<1x2x4x4xf64>' are incompatible with return type(s) of operation 'tensor<1x2x4x5xf64>'}}
  %0 = grad.convolution %x, %w, strides = [1], low = [0], high = [0], dilation = [1] x [1] : tensor<1x2x3x5xf64>, tensor<1x4x3x2xf64> -> tensor<1x2x4x5xf64>
  return
}

// -----

func.func @gather_indices(%x: tensor<7xf64>, %i: tensor<5x2xi64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected indices whose last dimension has at most size 1, but got 'tensor<5x2xi64>'}}
  %0 = grad.gather %x, %i : tensor<7xf64>, tensor<5x2xi64> -> tensor<5xf64>
  return
}

// -----

func.func @scatter_element_types(%x: tensor<7xf64>, %i: tensor<5x1xi64>, %u: tensor<5xf32>) {
  // expected-error @+1 {{'grad.scatter' op expected updates to have element type 'f64', but got 'f32'}}
  %0 = grad.scatter %x, %i, %u : tensor<7xf64>, tensor<5x1xi64>, tensor<5xf32>
  return
}

// -----

func.func @scatter_rows(%x: tensor<7xf64>, %i: tensor<5x2xi64>, %u: tensor<5xf64>) {
  // expected-error @+1 {{expected indices whose last dimension has at most size 1, but got 'tensor<5x2xi64>'}}
  %0 = grad.scatter %x, %i, %u : tensor<7xf64>, tensor<5x2xi64>, tensor<5xf64>
  return
}

// -----

func.func @scatter_updates(%x: tensor<7x2xf64>, %i: tensor<5x1xi64>, %u: tensor<5xf64>) {
  // expected-error @+1 {{'grad.scatter' op expected updates of type 'tensor<5x2xf64>', but got 'tensor<5xf64>'}}
  %0 = grad.scatter %x, %i, %u : tensor<7x2xf64>, tensor<5x1xi64>, tensor<5xf64>
  return
}

// -----

func.func @scatter_add_updates(%x: tensor<7x2xf64>, %i: tensor<5x1xi64>, %u: tensor<5xf64>) {
  // expected-error @+1 {{expected updates of type 'tensor<5x2xf64>', but got 'tensor<5xf64>'}}
  %0 = grad.scatter_add %x, %i, %u : tensor<7x2xf64>, tensor<5x1xi64>, tensor<5xf64>
  return
}

// -----

func.func @unknown_callee(%x: tensor<3xf64>) {
  // expected-error @+1 {{expected the symbol of a function, but got @f}}
  %0 = grad.call @f(%x) : (tensor<3xf64>) -> tensor<f64>
  return
}

// -----

// expected-note @+1 {{callee is here}}
func.func private @f(tensor<4xf64>) -> tensor<f64>
func.func @input_types(%x: tensor<3xf64>) {
  // expected-error @+1 {{expected inputs of types ('tensor<4xf64>'), but got ('tensor<3xf64>')}}
  %0 = grad.call @f(%x) : (tensor<3xf64>) -> tensor<f64>
  return
}

// -----

func.func private @f(tensor<3xf64>) -> tensor<f64>
func.func @missing_gradient(%x: tensor<3xf64>, %g: tensor<f64>) {
  // expected-error @+1 {{expected results of types ('tensor<f64>', 'tensor<3xf64>'), but got ('tensor<f64>')}}
  %0 = grad.vjp @f(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<3xf64>, tensor<f64>) -> tensor<f64>
  return
}

// -----

func.func private @f(tensor<3xi64>) -> tensor<f64>
func.func @gradient_of_integers(%x: tensor<3xi64>, %g: tensor<f64>) {
  // expected-error @+1 {{expected entries of `wrt` to name tensors of floats, but 0 has type 'tensor<3xi64>'}}
  %0 = grad.vjp @f(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<3xi64>, tensor<f64>) -> tensor<f64>
  return
}

// -----

func.func private @f(tensor<3xf64>) -> tensor<f64>
func.func @wrt_range(%x: tensor<3xf64>, %g: tensor<f64>) {
  // expected-error @+1 {{expected entries of `wrt` in [0, 1), but got 1}}
  %0 = grad.vjp @f(%x), cotangents(%g), wrt = [1], of = [0] : (tensor<3xf64>, tensor<f64>) -> tensor<f64>
  return
}

// -----

func.func private @f(tensor<3xf64>) -> tensor<f64>
func.func @wrt_twice(%x: tensor<3xf64>) {
  // expected-error @+1 {{expected distinct entries of `wrt`, but got 0 twice}}
  %0:2 = grad.jvp @f(%x), tangents(%x, %x), wrt = [0, 0], of = [0] : (tensor<3xf64>, tensor<3xf64>, tensor<3xf64>) -> (tensor<f64>, tensor<f64>)
  return
}

// -----

func.func private @f(tensor<3xf64>) -> tensor<f64>
func.func @cotangent_type(%x: tensor<3xf64>) {
  // expected-error @+1 {{expected cotangents of types ('tensor<f64>'), but got ('tensor<3xf64>')}}
  %0:2 = grad.vjp @f(%x), cotangents(%x), wrt = [0], of = [0] : (tensor<3xf64>, tensor<3xf64>) -> (tensor<f64>, tensor<3xf64>)
  return
}

// -----

func.func @transposed_results(%g: tensor<f64>) {
  // expected-error @+1 {{expected results of the types of the region's arguments, ('tensor<f64>'), but got ('tensor<2xf64>')}}
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<f64>):
    grad.yield %t : tensor<f64>
  } : (tensor<f64>) -> tensor<2xf64>
  return
}

// -----

func.func @transposed_cotangents(%g: tensor<2xf64>) {
  // expected-error @+1 {{expected cotangents of the types that the region yields, ('tensor<f64>'), but got ('tensor<2xf64>')}}
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<f64>):
    grad.yield %t : tensor<f64>
  } : (tensor<2xf64>) -> tensor<f64>
  return
}

// -----

func.func @encoded(%x: tensor<4xf64, "rows">) {
  // expected-error @+1 {{operand #0 must be ranked tensor of floats or complex numbers, without encoding, of at most 2^48 elements}}
  %0 = grad.tanh %x : tensor<4xf64, "rows">
  return
}

// -----

// The number of elements is 2^64, which is 0 in 64 bits.
func.func @more_than_memory_holds(%x: tensor<0xf64>) {
  // expected-error @+1 {{result #0 must be statically shaped tensor}}
  %0 = grad.reshape %x, shape = [4294967296, 4294967296] : tensor<0xf64> -> tensor<4294967296x4294967296xf64>
  return
}

// -----

// 4 * 2^62 is 0 in 64 bits.
func.func @slice_overflow(%x: tensor<3xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected a slice within dimension 0 of size 3, but got elements 0 to 9223372036854775807}}
  %0 = grad.slice %x, offsets = [0], sizes = [5], strides = [4611686018427387904] : tensor<3xf64> -> tensor<5xf64>
  return
}

// -----

func.func @slice_offset(%x: tensor<3xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected offsets of at least 0, but got -1 in dimension 0}}
  %0 = grad.slice %x, offsets = [-1], sizes = [1], strides = [1] : tensor<3xf64> -> tensor<1xf64>
  return
}

// -----

// 2^63 - 1 + 3 + 2^63 - 1 is 1 in 64 bits.
func.func @pad_overflow(%x: tensor<3xf64>, %s: tensor<f64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{inferred type(s) 'tensor<9223372036854775807xf64>' are incompatible}}
  %0 = grad.pad %x, %s, low = [9223372036854775807], high = [9223372036854775807], interior = [0] : tensor<3xf64>, tensor<f64> -> tensor<1xf64>
  return
}

// -----

func.func @concatenate_nothing() {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected at least one input}}
  %0 = "grad.concatenate"() {dimension = 0 : i64} : () -> tensor<0xf64>
  return
}

// -----

func.func @gather_of_nothing(%x: tensor<0xf64>, %i: tensor<5x1xi64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected a dimension that is not empty to index, but dimension 0 has size 0}}
  %0 = grad.gather %x, %i : tensor<0xf64>, tensor<5x1xi64> -> tensor<5xf64>
  return
}

// -----

func.func @transposed_end() {
  // expected-error @+1 {{expected a region that ends with grad.yield}}
  "grad.transposed"() ({
    func.return
  }) : () -> ()
  return
}

// -----

func.func private @f(tensor<3xf64>, tensor<i64>, tensor<f64>) -> (tensor<f64>, tensor<i1>)
func.func @rule_symbol(%x: tensor<3xf64>, %n: tensor<i64>, %c: tensor<f64>) {
  // expected-error @+1 {{expected `jvp` to be the symbol of a function, but got @rule}}
  %0:2 = grad.custom @f(%x, %n) captures(%c) jvp = @rule : (tensor<3xf64>, tensor<i64>, tensor<f64>) -> (tensor<f64>, tensor<i1>)
  return
}

// -----

func.func private @f(tensor<3xf64>, tensor<i64>, tensor<f64>) -> (tensor<f64>, tensor<i1>)
// expected-note @+1 {{rule is here}}
func.func private @fwd(tensor<3xf64>, tensor<i64>) -> (tensor<f64>, tensor<i1>, tensor<2xf64>)
func.func private @bwd(tensor<2xf64>, tensor<f64>, tensor<f64>) -> tensor<3xf64>
func.func @fwd_takes(%x: tensor<3xf64>, %n: tensor<i64>, %c: tensor<f64>) {
  // expected-error @+1 {{expected `fwd` to take ('tensor<3xf64>', 'tensor<i64>', 'tensor<f64>'), but it takes ('tensor<3xf64>', 'tensor<i64>')}}
  %0:2 = grad.custom @f(%x, %n) captures(%c) vjp = [@fwd, @bwd] : (tensor<3xf64>, tensor<i64>, tensor<f64>) -> (tensor<f64>, tensor<i1>)
  return
}

// -----

func.func private @f(tensor<3xf64>, tensor<i64>, tensor<f64>) -> (tensor<f64>, tensor<i1>)
// expected-note @+1 {{rule is here}}
func.func private @fwd(tensor<3xf64>, tensor<i64>, tensor<f64>) -> (tensor<f64>, tensor<2xf64>)
func.func private @bwd(tensor<2xf64>, tensor<f64>, tensor<f64>) -> tensor<3xf64>
func.func @fwd_returns(%x: tensor<3xf64>, %n: tensor<i64>, %c: tensor<f64>) {
  // expected-error @+1 {{expected `fwd` to return ('tensor<f64>', 'tensor<i1>', residuals), but it returns ('tensor<f64>', 'tensor<2xf64>')}}
  %0:2 = grad.custom @f(%x, %n) captures(%c) vjp = [@fwd, @bwd] : (tensor<3xf64>, tensor<i64>, tensor<f64>) -> (tensor<f64>, tensor<i1>)
  return
}

// -----

func.func private @f(tensor<3xf64>, tensor<i64>, tensor<f64>) -> (tensor<f64>, tensor<i1>)
func.func private @fwd(tensor<3xf64>, tensor<i64>, tensor<f64>) -> (tensor<f64>, tensor<i1>, tensor<2xf64>)
// expected-note @+1 {{rule is here}}
func.func private @bwd(tensor<2xf64>, tensor<f64>, tensor<i1>, tensor<f64>) -> tensor<3xf64>
func.func @bwd_takes(%x: tensor<3xf64>, %n: tensor<i64>, %c: tensor<f64>) {
  // expected-error @+1 {{expected `bwd` to take ('tensor<2xf64>', 'tensor<f64>', 'tensor<f64>'), but it takes ('tensor<2xf64>', 'tensor<f64>', 'tensor<i1>', 'tensor<f64>')}}
  %0:2 = grad.custom @f(%x, %n) captures(%c) vjp = [@fwd, @bwd] : (tensor<3xf64>, tensor<i64>, tensor<f64>) -> (tensor<f64>, tensor<i1>)
  return
}

// -----

func.func private @f(tensor<3xf64>, tensor<i64>, tensor<f64>) -> (tensor<f64>, tensor<i1>)
func.func private @fwd(tensor<3xf64>, tensor<i64>, tensor<f64>) -> (tensor<f64>, tensor<i1>, tensor<2xf64>)
// expected-note @+1 {{rule is here}}
func.func private @bwd(tensor<2xf64>, tensor<f64>, tensor<f64>) -> (tensor<3xf64>, tensor<i64>)
func.func @bwd_returns(%x: tensor<3xf64>, %n: tensor<i64>, %c: tensor<f64>) {
  // expected-error @+1 {{expected `bwd` to return ('tensor<3xf64>'), but it returns ('tensor<3xf64>', 'tensor<i64>')}}
  %0:2 = grad.custom @f(%x, %n) captures(%c) vjp = [@fwd, @bwd] : (tensor<3xf64>, tensor<i64>, tensor<f64>) -> (tensor<f64>, tensor<i1>)
  return
}

// -----

func.func private @f(tensor<3xf64>, tensor<i64>, tensor<f64>) -> (tensor<f64>, tensor<i1>)
// expected-note @+1 {{rule is here}}
func.func private @rule(tensor<3xf64>, tensor<3xf64>, tensor<f64>) -> (tensor<f64>, tensor<i1>, tensor<f64>)
func.func @jvp_takes(%x: tensor<3xf64>, %n: tensor<i64>, %c: tensor<f64>) {
  // expected-error @+1 {{expected `jvp` to take ('tensor<3xf64>', 'tensor<i64>', 'tensor<3xf64>', 'tensor<f64>'), but it takes ('tensor<3xf64>', 'tensor<3xf64>', 'tensor<f64>')}}
  %0:2 = grad.custom @f(%x, %n) captures(%c) jvp = @rule : (tensor<3xf64>, tensor<i64>, tensor<f64>) -> (tensor<f64>, tensor<i1>)
  return
}

// -----

func.func private @f(tensor<3xf64>, tensor<i64>, tensor<f64>) -> (tensor<f64>, tensor<i1>)
// expected-note @+1 {{rule is here}}
func.func private @rule(tensor<3xf64>, tensor<i64>, tensor<3xf64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
func.func @jvp_returns(%x: tensor<3xf64>, %n: tensor<i64>, %c: tensor<f64>) {
  // expected-error @+1 {{expected `jvp` to return ('tensor<f64>', 'tensor<i1>', 'tensor<f64>'), but it returns ('tensor<f64>', 'tensor<f64>')}}
  %0:2 = grad.custom @f(%x, %n) captures(%c) jvp = @rule : (tensor<3xf64>, tensor<i64>, tensor<f64>) -> (tensor<f64>, tensor<i1>)
  return
}

// -----

func.func private @f(tensor<3xf64>) -> tensor<f64>
func.func @fwd_alone(%x: tensor<3xf64>) {
  // expected-error @+1 {{expected `fwd` and `bwd` together, but got `fwd` alone}}
  %0 = "grad.custom"(%x) {callee = @f, fwd = @f, operandSegmentSizes = array<i32: 1, 0>} : (tensor<3xf64>) -> tensor<f64>
  return
}

// -----

func.func private @f(tensor<3xf64>) -> tensor<f64>
func.func @custom_results(%x: tensor<3xf64>) {
  // expected-error @+1 {{expected results of types ('tensor<f64>'), but got ('tensor<3xf64>')}}
  %0 = grad.custom @f(%x) : (tensor<3xf64>) -> tensor<3xf64>
  return
}

// -----

func.func @correlate_batches(%x: tensor<2x9xf64>, %w: tensor<3x3xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{'grad.correlate' op expected as many vectors as kernels, but got 'tensor<2x9xf64>' and 'tensor<3x3xf64>'}}
  %0 = grad.correlate %x, %w, low = 0, high = 0 : tensor<2x9xf64>, tensor<3x3xf64> -> tensor<2x7xf64>
  return
}

// -----

func.func @gather_batches(%x: tensor<2x9xf64>, %i: tensor<3x5x1xi64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{'grad.gather' op expected 1 batch dimensions that 'tensor<2x9xf64>' and 'tensor<3x5x1xi64>' have in common}}
  %0 = grad.gather %x, %i batch 1 : tensor<2x9xf64>, tensor<3x5x1xi64> -> tensor<2x5xf64>
  return
}

// -----

func.func @gather_negative_batch(%x: tensor<2x9xf64>, %i: tensor<2x5x1xi64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{'grad.gather' op expected -1 batch dimensions that 'tensor<2x9xf64>' and 'tensor<2x5x1xi64>' have in common}}
  %0 = grad.gather %x, %i batch -1 : tensor<2x9xf64>, tensor<2x5x1xi64> -> tensor<2x5xf64>
  return
}

// -----

func.func @gather_batch_of_rows(%x: tensor<5xf64>, %i: tensor<5xi64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{'grad.gather' op expected 1 batch dimensions that 'tensor<5xf64>' and 'tensor<5xi64>' have in common}}
  %0 = grad.gather %x, %i batch 1 : tensor<5xf64>, tensor<5xi64> -> tensor<5xf64>
  return
}

// -----

func.func @gather_indices_behind_a_batch(%x: tensor<5x2xf64>, %i: tensor<5x2xi64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{'grad.gather' op expected indices whose last dimension has at most size 1, but got 'tensor<5x2xi64>'}}
  %0 = grad.gather %x, %i batch 1 : tensor<5x2xf64>, tensor<5x2xi64> -> tensor<5xf64>
  return
}

// -----

func.func @vmap_of_nothing(%x: tensor<8xf64>) {
  // expected-error @+1 {{'grad.vmap' op expected the symbol of a function, but got @f}}
  %0 = grad.vmap @f(%x), in_axes = [0], out_axes = [0], size = 8 : (tensor<8xf64>) -> tensor<8xf64>
  return
}

// -----

func.func private @f(tensor<3xf64>) -> tensor<f64>
func.func @vmap_axes(%x: tensor<3x8xf64>) {
  // expected-error @+1 {{'grad.vmap' op expected an entry of `in_axes` for each of 1 inputs, but got 2}}
  %0 = grad.vmap @f(%x), in_axes = [1, 0], out_axes = [0], size = 8 : (tensor<3x8xf64>) -> tensor<8xf64>
  return
}

// -----

func.func private @f(tensor<3xf64>) -> tensor<f64>
func.func @vmap_axis_out_of_range(%x: tensor<3x8xf64>) {
  // expected-error @+1 {{'grad.vmap' op expected entry 0 of `in_axes` to be `none` or in [0, 2), but got 2}}
  %0 = grad.vmap @f(%x), in_axes = [2], out_axes = [0], size = 8 : (tensor<3x8xf64>) -> tensor<8xf64>
  return
}

// -----

func.func private @f(tensor<3xf64>) -> tensor<f64>
func.func @vmap_result_axis_out_of_range(%x: tensor<3x8xf64>) {
  // expected-error @+1 {{'grad.vmap' op expected entry 0 of `out_axes` to be `none` or in [0, 1), but got 1}}
  %0 = grad.vmap @f(%x), in_axes = [1], out_axes = [1], size = 8 : (tensor<3x8xf64>) -> tensor<8xf64>
  return
}

// -----

func.func private @f(%x: f64, %n: index) -> vector<2xf64> {
  %0 = vector.broadcast %x : f64 to vector<2xf64>
  return %0 : vector<2xf64>
}
func.func @vmap_of_vectors(%x: tensor<8xf64>, %n: tensor<8xi64>) {
  // expected-error @+1 {{'grad.vmap' op expected entry 0 of `out_axes` to be `none`, as there are no tensors of many 'vector<2xf64>'}}
  %0 = grad.vmap @f(%x, %n), in_axes = [0, 0], out_axes = [0], size = 8 : (tensor<8xf64>, tensor<8xi64>) -> tensor<8xf64>
  return
}

// -----

// expected-note @+1 {{callee is here}}
func.func private @f(f64) -> f64
func.func @vmap_of_scalars(%x: tensor<8xf32>) {
  // expected-error @+1 {{'grad.vmap' op expected slices of types ('f64'), but got ('tensor<f32>')}}
  %0 = grad.vmap @f(%x), in_axes = [0], out_axes = [0], size = 8 : (tensor<8xf32>) -> tensor<8xf64>
  return
}

// -----

func.func private @f(tensor<3xf64>) -> tensor<f64>
func.func @vmap_size(%x: tensor<3x8xf64>) {
  // expected-error @+1 {{'grad.vmap' op expected dimension 1 of input 0 to have size 7, but got 'tensor<3x8xf64>'}}
  %0 = grad.vmap @f(%x), in_axes = [1], out_axes = [0], size = 7 : (tensor<3x8xf64>) -> tensor<7xf64>
  return
}

// -----

func.func private @f(tensor<f64>) -> tensor<f64>
func.func @vmap_negative_size(%x: tensor<f64>) {
  // expected-error @+1 {{'grad.vmap' op expected a size of at least 0, but got -1}}
  %0 = grad.vmap @f(%x), in_axes = [none], out_axes = [none], size = -1 : (tensor<f64>) -> tensor<f64>
  return
}

// -----

// expected-note @+1 {{callee is here}}
func.func private @f(tensor<3xf64>) -> tensor<f64>
func.func @vmap_slices(%x: tensor<8x4xf64>) {
  // expected-error @+1 {{'grad.vmap' op expected slices of types ('tensor<3xf64>'), but got ('tensor<4xf64>')}}
  %0 = grad.vmap @f(%x), in_axes = [0], out_axes = [0], size = 8 : (tensor<8x4xf64>) -> tensor<8xf64>
  return
}

// -----

func.func private @f(tensor<3xf64>) -> tensor<f64>
func.func @vmap_results(%x: tensor<3x8xf64>) {
  // expected-error @+1 {{'grad.vmap' op expected results of types ('tensor<8xf64>'), but got ('tensor<f64>')}}
  %0 = grad.vmap @f(%x), in_axes = [1], out_axes = [0], size = 8 : (tensor<3x8xf64>) -> tensor<f64>
  return
}

// -----

func.func @identity_sizes() {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{'grad.identity' op expected sizes of at least 0, but got -1}}
  %0 = grad.identity shape = [-1], f64 : tensor<1x1xf64>
  return
}

// -----

func.func @target_below_zero(%x: tensor<3xf64>) {
  // expected-error @+1 {{expected a target that is not negative, but got -1}}
  %0 = grad.custom_call "f", target = -1, batching = "sequential" (%x) : (tensor<3xf64>) -> tensor<3xf64>
  return
}

// -----

func.func @unknown_batching(%x: tensor<3xf64>) {
  // expected-error @+1 {{expected batching to be "sequential", "expand_dims" or "broadcast_all", but got "fast"}}
  %0 = grad.custom_call "f", target = 0, batching = "fast" (%x) : (tensor<3xf64>) -> tensor<3xf64>
  return
}

// -----

func.func @destination_of_another_type(%x: tensor<3xf64>) {
  // expected-error @+1 {{expected type of operand #1 ('tensor<3xf64>') to match type of corresponding result ('tensor<4xf64>')}}
  %0 = grad.custom_call_into "f", target = 0 (%x) outs(%x) : (tensor<3xf64>, tensor<3xf64>) -> tensor<4xf64>
  return
}

// -----

func.func @barrier_types(%x: tensor<4xf64>, %g: tensor<3xf64>) {
  // expected-error @+1 {{'grad.barrier' op expected results of the types of the values, but got 'tensor<3xf64>'}}
  %0 = grad.barrier %x after %g : (tensor<4xf64>, tensor<3xf64>) -> tensor<3xf64>
  return
}

// -----

func.func @sizes_without_extents(%x: tensor<4x4xf64>, %i: tensor<i64>) {
  // expected-error @+1 {{'grad.sized_slice' op expected 1 extents, one for each dimension of unknown size, but got 0}}
  %0 = grad.sized_slice %x[%i, %i], shape = [?], dimensions = [1] sizes() : tensor<4x4xf64> -> tensor<?xf64>
  return
}

// -----

func.func @position_for_each_dimension(%x: tensor<4x4xf64>, %i: tensor<i64>) {
  // expected-error @+1 {{'grad.sized_slice' op expected 2 indices, one for each dimension, but got 1}}
  %0 = grad.sized_slice %x[%i], shape = [?], dimensions = [1] sizes(%i) : tensor<4x4xf64> -> tensor<?xf64>
  return
}

// -----

func.func @slice_that_is_too_large(%x: tensor<4x4xf64>, %i: tensor<i64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{'grad.sized_slice' op expected a slice within dimension 0 of size 4, but got 5 elements}}
  %0 = grad.sized_slice %x[%i, %i], shape = [5, ?], dimensions = [0, 1] sizes(%i) : tensor<4x4xf64> -> tensor<5x?xf64>
  return
}

// -----

func.func @known_part_of_unknown_size(%x: tensor<4xf64>, %i: tensor<i64>) {
  %0 = grad.sized_slice %x[%i], shape = [?], dimensions = [0] sizes(%i) : tensor<4xf64> -> tensor<?xf64>
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{'grad.sized_slice' op expected a size that is known at run time along dimension 0, as that of the operand is, but got 2}}
  %1 = grad.sized_slice %0[%i], shape = [2], dimensions = [0] sizes() : tensor<?xf64> -> tensor<2xf64>
  return
}

// -----

func.func @update_of_another_type(%x: tensor<4xf64>, %n: tensor<i64>) {
  %0 = grad.sized_iota %n, bound = 4, f32 : tensor<?xf32>
  // expected-error @+1 {{'grad.sized_update' op expected update to have element type 'f64', but got 'f32'}}
  %1 = grad.sized_update %x, %0[%n], dimensions = [0] : tensor<4xf64>, tensor<?xf32>
  return
}

// -----

func.func @update_that_is_too_large(%x: tensor<4xf64>, %u: tensor<5xf64>, %n: tensor<i64>) {
  // expected-error @+1 {{'grad.sized_update' op expected a slice within dimension 0 of size 4, but got 5 elements}}
  %1 = grad.sized_update %x, %u[%n], dimensions = [0] : tensor<4xf64>, tensor<5xf64>
  return
}

// -----

func.func @repetition_of_another_size(%x: tensor<4xf64>, %n: tensor<i64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{'grad.sized_broadcast' op expected dimension 1 of the result to have the size of dimension 0 of the operand}}
  %0 = grad.sized_broadcast %x, shape = [?, 3], dimensions = [1], bounds = [8] sizes(%n) : tensor<4xf64> -> tensor<?x3xf64>
  return
}

// -----

func.func @repetition_without_bound(%x: tensor<3xf64>, %n: tensor<i64>) {
  // expected-error @+1 {{'grad.sized_broadcast' op expected 1 bounds, one for each dimension of unknown size, but got 0}}
  %0 = grad.sized_broadcast %x, shape = [?, 3], dimensions = [1], bounds = [] sizes(%n) : tensor<3xf64> -> tensor<?x3xf64>
  return
}

// -----

func.func @negative_bound(%n: tensor<i64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{'grad.sized_iota' op expected sizes of at least 0, but got -1}}
  %0 = grad.sized_iota %n, bound = -1, f64 : tensor<?xf64>
  return
}

// -----

func.func @bits_of_floats(%x: tensor<2xf64>) -> tensor<2xf64> {
  // expected-error @+1 {{operand #0 must be ranked tensor of integers}}
  %0 = grad.bitwise_and %x, %x : tensor<2xf64>
  return %0 : tensor<2xf64>
}

// -----

func.func @signs_differ(%x: tensor<2xui8>, %y: tensor<2xi8>) {
  // expected-note @-1 {{prior use here}}
  // expected-error @+1 {{use of value '%y' expects different type than prior uses: 'tensor<2xui8>' vs 'tensor<2xi8>'}}
  %0 = grad.add %x, %y : tensor<2xui8>
  return
}

// -----

func.func @order_of_complex_numbers(%x: tensor<2xcomplex<f64>>) -> tensor<2xcomplex<f64>> {
  // expected-error @+1 {{operand #0 must be ranked tensor of floats or integers}}
  %0 = grad.maximum %x, %x : tensor<2xcomplex<f64>>
  return %0 : tensor<2xcomplex<f64>>
}

// -----

func.func @complex_of_integers(%x: tensor<2xcomplex<i32>>) {
  // expected-error @+1 {{operand #0 must be ranked tensor of floats, complex numbers or integers}}
  %0 = grad.add %x, %x : tensor<2xcomplex<i32>>
  return
}

// -----

func.func @parts_of_integers(%x: tensor<2xi32>) {
  // expected-error @+1 {{operand #0 must be ranked tensor of f32 or f64}}
  %0 = grad.complex %x, %x : tensor<2xi32>
  return
}

// -----

func.func @narrow_factorization(%a: tensor<2x2xf16>) {
  // expected-error @+1 {{operand #0 must be statically shaped tensor of f32, f64 or complex numbers}}
  %l, %s = grad.cholesky %a : tensor<2x2xf16> -> tensor<2x2xf16>, tensor<i32>
  return
}

// -----

func.func @cholesky_of_a_vector(%a: tensor<3xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected a to be matrices, but got 'tensor<3xf64>'}}
  %l, %s = grad.cholesky %a : tensor<3xf64> -> tensor<3xf64>, tensor<i32>
  return
}

// -----

func.func @cholesky_of_no_square(%a: tensor<3x2xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected square matrices, but got 'tensor<3x2xf64>'}}
  %l, %s = grad.cholesky %a : tensor<3x2xf64> -> tensor<3x2xf64>, tensor<i32>
  return
}

// -----

func.func @complex_values_of_a_hermitian_matrix(%a: tensor<2x2xcomplex<f64>>) {
  // expected-error @+1 {{result #0 must be statically shaped tensor of f32 or f64}}
  %w, %v, %s = grad.eigh %a : tensor<2x2xcomplex<f64>> -> tensor<2xcomplex<f64>>, tensor<2x2xcomplex<f64>>, tensor<i32>
  return
}

// -----

func.func @eig_of_no_square(%a: tensor<3x2xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected square matrices, but got 'tensor<3x2xf64>'}}
  %w, %v, %s = grad.eig %a : tensor<3x2xf64> -> tensor<3xcomplex<f64>>, tensor<3x2xcomplex<f64>>, tensor<i32>
  return
}

// -----

func.func @sylvester_of_other_columns(%a: tensor<3x3xf64>, %b: tensor<2x2xf64>) {
  // expected-error @+1 {{expected right-hand sides of size 2, but got 3}}
  %x = grad.triangular_sylvester %a, %b, %a, transpose = false, below = false : tensor<3x3xf64>, tensor<2x2xf64>, tensor<3x3xf64>
  return
}

// -----

func.func @below_what(%a: tensor<3x3xf64>, %b: tensor<2x2xf64>, %c: tensor<3x2xf64>) {
  // expected-error @+1 {{expected a and b of one type, as it is about what is below, but got 'tensor<3x3xf64>' and 'tensor<2x2xf64>'}}
  %x = grad.triangular_sylvester %a, %b, %c, transpose = false, below = true : tensor<3x3xf64>, tensor<2x2xf64>, tensor<3x2xf64>
  return
}

// -----

func.func @lu_of_a_vector(%a: tensor<3xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected a to be matrices, but got 'tensor<3xf64>'}}
  %l, %p, %o, %s = grad.lu %a : tensor<3xf64> -> tensor<3xf64>, tensor<3xi32>, tensor<3xi64>, tensor<i32>
  return
}

// -----

func.func @triangular_solve_of_another_size(%a: tensor<3x3xf64>, %b: tensor<2x3xf64>) {
  // expected-error @+1 {{expected right-hand sides of size 3, but got 2}}
  %x = grad.triangular_solve %a, %b, left = true, lower = true, transpose = false, unit = false : tensor<3x3xf64>, tensor<2x3xf64>
  return
}

// -----

func.func @triangular_solve_of_another_type(%a: tensor<3x3xf64>, %b: tensor<3x3xf32>) {
  // expected-error @+1 {{expected rhs to have element type 'f64', but got 'f32'}}
  %x = grad.triangular_solve %a, %b, left = true, lower = true, transpose = false, unit = false : tensor<3x3xf64>, tensor<3x3xf32>
  return
}

// -----

func.func @triangular_solve_of_another_batch(%a: tensor<2x3x3xf64>, %b: tensor<3x3xf64>) {
  // expected-error @+1 {{expected a right-hand side for each matrix, but got 'tensor<2x3x3xf64>' and 'tensor<3x3xf64>'}}
  %x = grad.triangular_solve %a, %b, left = true, lower = true, transpose = false, unit = false : tensor<2x3x3xf64>, tensor<3x3xf64>
  return
}

// -----

func.func @lu_solve_with_other_factors(%a: tensor<3x3xf64>, %f: tensor<2x2xf64>, %p: tensor<3xi32>) {
  // expected-error @+1 {{expected factors of type 'tensor<3x3xf64>', but got 'tensor<2x2xf64>'}}
  %x = grad.lu_solve %a, %f, %p, %a, transpose = false : tensor<3x3xf64>, tensor<2x2xf64>, tensor<3xi32>, tensor<3x3xf64>
  return
}

// -----

func.func @lu_solve_with_other_pivots(%a: tensor<3x3xf64>, %p: tensor<2xi32>) {
  // expected-error @+1 {{expected pivots of type 'tensor<3xi32>', but got 'tensor<2xi32>'}}
  %x = grad.lu_solve %a, %a, %p, %a, transpose = false : tensor<3x3xf64>, tensor<3x3xf64>, tensor<2xi32>, tensor<3x3xf64>
  return
}

// -----

func.func @eigh_of_no_square(%a: tensor<3x2xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected square matrices, but got 'tensor<3x2xf64>'}}
  %w, %v, %s = grad.eigh %a : tensor<3x2xf64> -> tensor<3xf64>, tensor<3x2xf64>, tensor<i32>
  return
}

// -----

func.func @svd_of_a_vector(%a: tensor<3xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected a to be matrices, but got 'tensor<3xf64>'}}
  %u, %s, %v, %t = grad.svd %a, full = false : tensor<3xf64> -> tensor<3xf64>, tensor<3xf64>, tensor<3xf64>, tensor<i32>
  return
}

// -----

func.func @lapack_without_such_a_routine(%a: tensor<3x3xf64>) {
  // expected-error @+1 {{expected a routine that the runtime has, but got "jordan"}}
  %0 = grad.lapack_into "jordan", flags = 0 (%a) outs(%a) : (tensor<3x3xf64>, tensor<3x3xf64>) -> tensor<3x3xf64>
  return
}

// -----

func.func @lapack_without_a_status(%a: tensor<3x3xf64>) {
  // expected-error @+1 {{expected 1 inputs and 2 outs, but got 1 and 1}}
  %0 = grad.lapack_into "cholesky", flags = 0 (%a) outs(%a) : (tensor<3x3xf64>, tensor<3x3xf64>) -> tensor<3x3xf64>
  return
}

// -----

func.func @sort_of_a_number(%x: tensor<f64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected at least one dimension, but got 'tensor<f64>'}}
  %0, %i = grad.sort %x : tensor<f64> -> tensor<f64>, tensor<i64>
  return
}

// -----

func.func @sort_into_nothing(%x: tensor<3xf64>) {
  // expected-error @+1 {{expected 2 outs, but got 1}}
  %0 = grad.sort_into values(%x) outs(%x) : (tensor<3xf64>, tensor<3xf64>) -> tensor<3xf64>
  return
}

// -----

func.func @sort_into_of_two(%x: tensor<3xf64>, %work: tensor<3xi64>) {
  // expected-error @+1 {{expected one input, but got 2}}
  %0:2 = grad.sort_into values(%x, %x) outs(%x, %work) : (tensor<3xf64>, tensor<3xf64>, tensor<3xf64>, tensor<3xi64>) -> (tensor<3xf64>, tensor<3xi64>)
  return
}

// -----

func.func @fft_along_a_dimension_twice(%x: tensor<2x4xcomplex<f64>>) {
  // expected-error @+1 {{expected distinct dimensions, but got [1, 1]}}
  %0 = grad.fft %x, dimensions = [1, 1], forward = true, norm = "none" : tensor<2x4xcomplex<f64>>
  return
}

// -----

func.func @fft_of_nothing(%x: tensor<2x0xcomplex<f64>>) {
  // expected-error @+1 {{expected a dimension that is not empty, but dimension 1 has size 0}}
  %0 = grad.fft %x, dimensions = [1], forward = true, norm = "none" : tensor<2x0xcomplex<f64>>
  return
}

// -----

func.func @fft_with_another_norm(%x: tensor<4xcomplex<f64>>) {
  // expected-error @+1 {{expected norm to be "none", "size" or "root", but got "ortho"}}
  %0 = grad.fft %x, dimensions = [0], forward = true, norm = "ortho" : tensor<4xcomplex<f64>>
  return
}

// -----

func.func @fft_of_real_numbers(%x: tensor<4xf64>) {
  // expected-error @+1 {{operand #0 must be statically shaped tensor of complex numbers}}
  %0 = grad.fft %x, dimensions = [0], forward = true, norm = "none" : tensor<4xf64>
  return
}

// -----

func.func @rfft_along_no_dimension(%x: tensor<4xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected at least one dimension}}
  %0 = grad.rfft %x, dimensions = [], forward = true, norm = "none" : tensor<4xf64> -> tensor<4xcomplex<f64>>
  return
}

// -----

func.func @irfft_of_another_size(%x: tensor<5xcomplex<f64>>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected size 8 or 9 for a dimension of size 5, but got 10}}
  %0 = grad.irfft %x, dimensions = [0], size = 10, forward = false, norm = "none" : tensor<5xcomplex<f64>> -> tensor<10xf64>
  return
}

// -----

func.func @fourier_without_such_a_transform(%x: tensor<4xcomplex<f64>>) {
  // expected-error @+1 {{expected a transform that the runtime has, but got "dct"}}
  %0 = grad.fourier_into "dct", dimensions = [0], forward = true, norm = "none" (%x) outs(%x) : (tensor<4xcomplex<f64>>, tensor<4xcomplex<f64>>) -> tensor<4xcomplex<f64>>
  return
}

// -----

func.func @fourier_without_memory(%x: tensor<4xcomplex<f64>>) {
  // expected-error @+1 {{expected 1 input and 2 outs, but got 1 and 1}}
  %0 = grad.fourier_into "fft", dimensions = [0], forward = true, norm = "none" (%x) outs(%x) : (tensor<4xcomplex<f64>>, tensor<4xcomplex<f64>>) -> tensor<4xcomplex<f64>>
  return
}

// -----

func.func @sparse_without_a_pointer(%d: tensor<7xf64>, %i: tensor<7xi32>, %p: tensor<0xi32>, %x: tensor<5xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected pointers to be a vector of at least one element, but got 'tensor<0xi32>'}}
  %0 = grad.sparse_dot %d, %i, %p, %x, columns = 5, transpose = false : tensor<7xf64>, tensor<7xi32>, tensor<0xi32>, tensor<5xf64> -> tensor<0xf64>
  return
}

// -----

func.func @sparse_indices(%d: tensor<7xf64>, %i: tensor<6xi32>, %p: tensor<4xi32>, %x: tensor<5xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected a vector of data and as many indices, but got 'tensor<7xf64>' and 'tensor<6xi32>'}}
  %0 = grad.sparse_dot %d, %i, %p, %x, columns = 5, transpose = false : tensor<7xf64>, tensor<6xi32>, tensor<4xi32>, tensor<5xf64> -> tensor<3xf64>
  return
}

// -----

func.func @sparse_columns(%d: tensor<7xf64>, %i: tensor<7xi32>, %p: tensor<4xi32>, %x: tensor<5xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected columns to be at least 0, but got -1}}
  %0 = grad.sparse_dot %d, %i, %p, %x, columns = -1, transpose = false : tensor<7xf64>, tensor<7xi32>, tensor<4xi32>, tensor<5xf64> -> tensor<3xf64>
  return
}

// -----

func.func @sparse_rows(%d: tensor<7xf64>, %i: tensor<7xi32>, %p: tensor<4xi32>, %x: tensor<5xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected x to be a vector or matrix of 3 rows, but got 'tensor<5xf64>'}}
  %0 = grad.sparse_dot %d, %i, %p, %x, columns = 5, transpose = true : tensor<7xf64>, tensor<7xi32>, tensor<4xi32>, tensor<5xf64> -> tensor<5xf64>
  return
}

// -----

func.func @sampled_widths(%i: tensor<7xi32>, %p: tensor<4xi32>, %x: tensor<3x2xf64>, %z: tensor<5x3xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected lhs and rhs to differ in the number of rows alone, but got 'tensor<3x2xf64>' and 'tensor<5x3xf64>'}}
  %0 = grad.sampled_dot %x, %z, %i, %p : tensor<3x2xf64>, tensor<5x3xf64>, tensor<7xi32>, tensor<4xi32> -> tensor<7xf64>
  return
}

// -----

func.func @sampled_indices(%i: tensor<7x1xi32>, %p: tensor<4xi32>, %x: tensor<3xf64>, %z: tensor<5xf64>) {
  // expected-error @+2 {{failed to infer returned types}}
  // expected-error @+1 {{expected a vector of indices, but got 'tensor<7x1xi32>'}}
  %0 = grad.sampled_dot %x, %z, %i, %p : tensor<3xf64>, tensor<5xf64>, tensor<7x1xi32>, tensor<4xi32> -> tensor<7xf64>
  return
}
