// RUN: gradopt %s --grad-outline-kernels=for-device=1 -split-input-file -verify-diagnostics

// A device has no other way to run a program.

// expected-error @below {{expected what a list of commands can have}}
func.func @dynamic(%x: memref<?xf64>, %arena: memref<0xi8>) attributes {grad.arena_bytes = 0 : i64} {
  linalg.exp ins(%x : memref<?xf64>) outs(%x : memref<?xf64>)
  return
}
