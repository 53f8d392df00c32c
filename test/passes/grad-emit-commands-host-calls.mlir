// RUN: gradopt %s --grad-emit-commands=remarks=1 -split-input-file -verify-diagnostics

// Calls of the host are commands of a device: the number of what is to be done, that of the inputs,
// then the address, dtype, rank and extents of each buffer. What is used by the call alone is
// memory to work in (256 more).

func.func @main(%x: memref<2x8xf64>, %y: memref<2x5xcomplex<f64>>, %arena: memref<2432xi8>)
    attributes {grad.arena_bytes = 2432 : i64, grad.command_frame = 0 : i64} {
  %c32 = arith.constant 32 : index
  %work = memref.view %arena[%c32][] : memref<2432xi8> to memref<300xf64>
  // expected-remark @below {{0: call fourier (196889, 1, buffer0, 6, 2, 2, 8, buffer1, 12, 2, 2, 5, arena + 32, 262, 1, 300)}}
  grad.fourier_into "rfft", dimensions = [0, 1], forward = true, norm = "root" (%x) outs(%y, %work)
      : (memref<2x8xf64>, memref<2x5xcomplex<f64>>, memref<300xf64>) -> ()
  // expected-remark @below {{end}}
  return
}

// -----

// What somebody else uses is copied back.

func.func @main(%a: memref<3x3xf64>, %b: memref<3x2xf64>, %arena: memref<64xi8>)
    attributes {grad.arena_bytes = 64 : i64, grad.command_frame = 0 : i64} {
  %c0 = arith.constant 0 : index
  %x = memref.view %arena[%c0][] : memref<64xi8> to memref<3x2xf64>
  // expected-remark @below {{call lapack (1539, 2, buffer0, 6, 2, 3, 3, buffer1, 6, 2, 3, 2, arena, 6, 2, 3, 2)}}
  grad.lapack_into "triangular_solve", flags = 6 (%a, %b) outs(%x)
      : (memref<3x3xf64>, memref<3x2xf64>, memref<3x2xf64>) -> ()
  // expected-remark @below {{copy (buffer1, arena, 48)}}
  memref.copy %x, %b : memref<3x2xf64> to memref<3x2xf64>
  // expected-remark @below {{end}}
  return
}

// -----

// Functions of the caller, on a row in each iteration of a loop; bools are bytes.

func.func @main(%m: memref<4x3xf64>, %flag: memref<i1>, %n: memref<3xi16>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  // expected-remark @below {{0: r0 = 0}}
  // expected-remark @below {{3: go to 13 if 0 < 4}}
  // expected-remark @below {{8: go to 55 if 0 == 0}}
  // expected-remark @below {{47: r0 = r0 + 1}}
  // expected-remark @below {{50: go to 13 if r0 < 4}}
  scf.for %i = %c0 to %c4 step %c1 {
    %row = memref.subview %m[%i, 0] [1, 3] [1, 1]
        : memref<4x3xf64> to memref<3xf64, strided<[1], offset: ?>>
    // expected-remark @below {{r1 = 0 + r0 * 24}}
    // expected-remark @below {{call target (7, 2, buffer0 + r1, 6, 1, 3, buffer2, 8, 1, 3, buffer1, 0, 0)}}
    grad.custom_call_into "f", target = 7 (%row, %n) outs(%flag) {are_unsigned = array<i1: false, true, false>}
        : (memref<3xf64, strided<[1], offset: ?>>, memref<3xi16>, memref<i1>) -> ()
  }
  // expected-remark @below {{end}}
  return
}
