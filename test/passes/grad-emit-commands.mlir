// RUN: gradopt %s --grad-emit-commands=remarks=1 -split-input-file -verify-diagnostics | FileCheck %s

// Each command is data. Operands are sums of words: buffers, the arena, numbers.

// CHECK-NOT: @main
// CHECK: llvm.mlir.global external hidden constant @gradopt_commands(dense<{{.*}}> : tensor<{{.*}}xi64>)
// CHECK-SAME: grad.kernels = [@kernel]
// CHECK: llvm.mlir.global external hidden constant @gradopt_constants(dense<[1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]> : tensor<12xi8>) {{.*}}alignment = 64
// CHECK-NOT: @main
func.func private @gradopt_gemm_f32(i64, i64, i64, i64, i64, index, i64, index, i64, index, i64, f32)
memref.global "private" constant @c : memref<3xi32> = dense<[1, 2, 3]>
func.func @main(%x: memref<4x4xf32>, %y: memref<4x4xf32>, %arena: memref<256xi8>)
    attributes {grad.arena_bytes = 256 : i64, grad.command_frame = 128 : i64} {
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %one = arith.constant 1 : i64
  %half = arith.constant 0.5 : f32
  %true = arith.constant true
  %a = memref.view %arena[%c64][] : memref<256xi8> to memref<4x4xf32>
  %c = memref.get_global @c : memref<3xi32>
  %from = memref.extract_aligned_pointer_as_index %x : memref<4x4xf32> -> index
  %to = memref.extract_aligned_pointer_as_index %a : memref<4x4xf32> -> index
  %next = arith.addi %from, %c64 : index
  // expected-remark @below {{0: launch @kernel(buffer0, arena + 64, constants, 64, 1056964608, 1)}}
  call @kernel(%x, %a, %c, %c64, %half, %true) : (memref<4x4xf32>, memref<4x4xf32>, memref<3xi32>, index, f32, i1) -> ()
  // expected-remark @below {{13: gemm f32 (1, 1, 1, 1, 1, buffer0, 1, buffer0 + 64, 1, arena + 64, 1, 1056964608, 1, 0, 0, 0)}}
  call @gradopt_gemm_f32(%one, %one, %one, %one, %one, %from, %one, %next, %one, %to, %one, %half)
      : (i64, i64, i64, i64, i64, index, i64, index, i64, index, i64, f32) -> ()
  %row = memref.subview %y[1, 0] [1, 4] [1, 1] : memref<4x4xf32> to memref<4xf32, strided<[1], offset: 4>>
  %last = memref.subview %a[3, 0] [1, 4] [1, 1] : memref<4x4xf32> to memref<4xf32, strided<[1], offset: 12>>
  // expected-remark @below {{46: copy (buffer1 + 16, arena + 112, 16)}}
  memref.copy %last, %row : memref<4xf32, strided<[1], offset: 12>> to memref<4xf32, strided<[1], offset: 4>>
  // expected-remark @below {{53: end}}
  return
}
func.func private @kernel(%x: memref<4x4xf32>, %a: memref<4x4xf32>, %c: memref<3xi32>, %n: index, %h: f32, %b: i1) {
  return
}

// -----

// A loop carries numbers and buffers in registers. A view at a position that is
// known at run time is a multiple of a register, calculated once for a block.

func.func @main(%x: memref<8x4xf64>, %y: memref<4xf64>, %arena: memref<256xi8>)
    attributes {grad.arena_bytes = 256 : i64, grad.command_frame = 0 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  // expected-remark @below {{0: launch @number(&r0)}}
  %n = call @number() : () -> index
  %m = arith.addi %n, %c1 : index
  %a = memref.view %arena[%c0][] : memref<256xi8> to memref<4xf64>
  // expected-remark @below {{3: r1, ... = 0, buffer1, arena}}
  // expected-remark @below {{10: go to 20 if 0 < r0 + 1}}
  // expected-remark @below {{15: go to 63 if 0 == 0}}
  // expected-remark @below {{51: r1, ... = r1 + 2, r3, r2}}
  // expected-remark @below {{58: go to 20 if r1 < r0 + 1}}
  %r:2 = scf.for %i = %c0 to %m step %c2 iter_args(%b = %y, %c = %a) -> (memref<4xf64>, memref<4xf64>) {
    %row = memref.subview %x[%i, 0] [1, 4] [1, 1] : memref<8x4xf64> to memref<4xf64, strided<[1], offset: ?>>
    %base, %at, %size, %stride = memref.extract_strided_metadata %row : memref<4xf64, strided<[1], offset: ?>> -> memref<f64>, index, index, index
    // expected-remark @below {{20: r4 = 0 + r1 * 4}}
    // expected-remark @below {{27: launch @row(buffer0, r2, r4)}}
    func.call @row(%x, %b, %at) : (memref<8x4xf64>, memref<4xf64>, index) -> ()
    %j = arith.subi %at, %c1 : index
    // expected-remark @below {{34: launch @row(buffer0, r3, r4 + -1)}}
    func.call @row(%x, %c, %j) : (memref<8x4xf64>, memref<4xf64>, index) -> ()
    %k = arith.addi %at, %n : index
    %d = memref.view %arena[%k][] : memref<256xi8> to memref<4xf64>
    // expected-remark @below {{41: r5 = r0 + r4}}
    // expected-remark @below {{44: launch @row(buffer0, arena + r5, 0)}}
    func.call @row(%x, %d, %c0) : (memref<8x4xf64>, memref<4xf64>, index) -> ()
    scf.yield %c, %b : memref<4xf64>, memref<4xf64>
  }
  // expected-remark @below {{63: launch @row(buffer0, r2, 1)}}
  call @row(%x, %r#0, %c1) : (memref<8x4xf64>, memref<4xf64>, index) -> ()
  // expected-remark @below {{70: end}}
  return
}
func.func private @number() -> index {
  %c1 = arith.constant 1 : index
  return %c1 : index
}
func.func private @row(%x: memref<8x4xf64>, %y: memref<4xf64>, %n: index) {
  return
}

// -----

// While something holds; the results are in registers of their own.

func.func @main(%arena: memref<256xi8>)
    attributes {grad.arena_bytes = 256 : i64, grad.command_frame = 0 : i64} {
  %c0 = arith.constant 0 : index
  // expected-remark @below {{r0 = 0}}
  // expected-remark @below {{r1 = r0}}
  // expected-remark @below {{go to 29 if r2 == 0}}
  // expected-remark @below {{r0 = r3}}
  // expected-remark @below {{go to 3 if 0 == 0}}
  %r = scf.while (%i = %c0) : (index) -> index {
    // expected-remark @below {{3: launch @test(r0, &r2)}}
    %c = func.call @test(%i) : (index) -> i1
    scf.condition(%c) %i : index
  } do {
  ^bb0(%i: index):
    // expected-remark @below {{16: launch @step(r1, &r3)}}
    %next = func.call @step(%i) : (index) -> index
    scf.yield %next : index
  }
  // expected-remark @below {{29: launch @step(r1, &r4)}}
  %unused = func.call @step(%r) : (index) -> index
  // expected-remark @below {{34: end}}
  return
}
func.func private @test(%i: index) -> i1 {
  %true = arith.constant true
  return %true : i1
}
func.func private @step(%i: index) -> index {
  return %i : index
}

// -----

// Branches leave their results in the same registers.

func.func @main(%arena: memref<256xi8>)
    attributes {grad.arena_bytes = 256 : i64, grad.command_frame = 0 : i64} {
  %c5 = arith.constant 5 : index
  %c6 = arith.constant 6 : index
  // expected-remark @below {{0: launch @number(&r0)}}
  %n = func.call @number() : () -> index
  // expected-remark @below {{3: launch @flag(&r1)}}
  %c = func.call @flag() : () -> i1
  // expected-remark @below {{6: go to 19 if r1 == 0}}
  // expected-remark @below {{14: go to 22 if 0 == 0}}
  %r = scf.if %c -> index {
    // expected-remark @below {{11: r2 = r0}}
    scf.yield %n : index
  } else {
    // expected-remark @below {{19: r2 = 5}}
    scf.yield %c5 : index
  }
  // expected-remark @below {{22: go to 30 if r1 == 0}}
  scf.if %c {
    // expected-remark @below {{27: launch @number(&r3)}}
    %unused = func.call @number() : () -> index
  }
  // expected-remark @below {{30: go to 48 if r2 == 7}}
  // expected-remark @below {{35: go to 56 if r2 == -1}}
  // expected-remark @below {{43: go to 59 if 0 == 0}}
  // expected-remark @below {{51: go to 59 if 0 == 0}}
  %s = scf.index_switch %r -> index
  case 7 {
    // expected-remark @below {{48: r4 = r0}}
    scf.yield %n : index
  }
  case -1 {
    // expected-remark @below {{56: r4 = 6}}
    scf.yield %c6 : index
  }
  default {
    // expected-remark @below {{40: r4 = 5}}
    scf.yield %c5 : index
  }
  // expected-remark @below {{59: launch @use(r4)}}
  func.call @use(%s) : (index) -> ()
  // expected-remark @below {{62: end}}
  return
}
func.func private @flag() -> i1 {
  %true = arith.constant true
  return %true : i1
}
func.func private @number() -> index {
  %c1 = arith.constant 1 : index
  return %c1 : index
}
func.func private @use(%i: index) {
  return
}

// -----

// expected-error @below {{expected a list of commands}}
func.func @main(%x: memref<4xf64>, %arena: memref<256xi8>)
    attributes {grad.arena_bytes = 256 : i64, grad.command_frame = 0 : i64} {
  linalg.exp ins(%x : memref<4xf64>) outs(%x : memref<4xf64>)
  return
}
