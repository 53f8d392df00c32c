// RUN: gradopt %s --grad-kernels-to-gpu -split-input-file -verify-diagnostics

// Code of the host cannot be called from a kernel.

func.func @main(%x: memref<4xf64>, %y: memref<4xf64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @foreign(%x, %y) : (memref<4xf64>, memref<4xf64>) -> ()
  return
}
func.func private @foreign(%x: memref<4xf64>, %y: memref<4xf64>) {
  // expected-error @below {{calls code of the host, which the kernel of a GPU cannot do}}
  grad.custom_call_into "f", target = 7 (%x) outs(%y) : (memref<4xf64>, memref<4xf64>) -> ()
  return
}

// -----

func.func @main(%x: memref<4xf64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  %n = call @number(%x) : (memref<4xf64>) -> f64
  return
}
// expected-error @below {{expected a kernel of one block, without results}}
func.func private @number(%x: memref<4xf64>) -> f64 {
  %c0 = arith.constant 0 : index
  %a = memref.load %x[%c0] : memref<4xf64>
  return %a : f64
}

// -----

func.func @main(%x: memref<4xf64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @blocks(%x) : (memref<4xf64>) -> ()
  return
}
// expected-error @below {{expected a kernel of one block, without results}}
func.func private @blocks(%x: memref<4xf64>) {
  cf.br ^next
^next:
  return
}

// -----

func.func @main(%x: memref<4xf64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @allocates(%x) : (memref<4xf64>) -> ()
  return
}
func.func private @allocates(%x: memref<4xf64>) {
  // expected-error @below {{expected an op that the kernel of a GPU can have}}
  %y = memref.alloc() : memref<4xf64>
  memref.copy %y, %x : memref<4xf64> to memref<4xf64>
  return
}
