// RUN: gradopt %s --split-input-file --verify-diagnostics --grad-bufferize

func.func @shared(%b: memref<4xf64>) -> tensor<4xf64> {
  // expected-error @+1 {{op expected 'restrict', without which any other tensor may share the buffer}}
  %0 = bufferization.to_tensor %b : memref<4xf64> to tensor<4xf64>
  return %0 : tensor<4xf64>
}

// -----

func.func @read_later(%x: tensor<4xf64>, %y: tensor<4xf64>) -> (tensor<4xf64>, tensor<4xf64>) {
  // expected-error @+1 {{op expected operand #1 to be writable in place, but its buffer is read-only or read later}}
  %0 = bufferization.materialize_in_destination %x in %y : (tensor<4xf64>, tensor<4xf64>) -> tensor<4xf64>
  return %0, %y : tensor<4xf64>, tensor<4xf64>
}

// -----

func.func @unknown(%x: tensor<4xf64>) -> tensor<4xf64> {
  // expected-error @+1 {{op was not bufferized}}
  %0 = builtin.unrealized_conversion_cast %x : tensor<4xf64> to tensor<4xf64>
  return %0 : tensor<4xf64>
}
