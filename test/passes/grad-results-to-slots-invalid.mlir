// RUN: gradopt %s --grad-results-to-slots -split-input-file -verify-diagnostics

func.func @main(%a: memref<4xf64>, %b: memref<4xf64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  // expected-error @below {{expected a kernel to return numbers, but got 'memref<4xf64>'}}
  %c = func.call @either(%a, %b) : (memref<4xf64>, memref<4xf64>) -> memref<4xf64>
  return
}
func.func private @either(%a: memref<4xf64>, %b: memref<4xf64>) -> memref<4xf64> {
  return %a : memref<4xf64>
}
