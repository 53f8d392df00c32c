// RUN: gradopt %s --grad-outline-kernels=min-commands=2 -split-input-file | FileCheck %s

// A list of commands: nests become kernels, products and copies of blocks stay.
// The interpreter has its words behind what is planned.

#id = affine_map<(d0) -> (d0)>

func.func private @gradopt_gemm_f64(i64, i64, i64, i64, i64, index, i64, index, i64, index, i64, f64)

// CHECK-LABEL: func.func @commands(
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<4x4xf64>, %[[Y:[a-z0-9]+]]: memref<16xf64> {grad.result}, %[[ARENA:[a-z0-9]+]]: memref<[[BYTES:[0-9]+]]xi8>
// CHECK-SAME: grad.arena_bytes = [[BYTES]] : i64, grad.command_frame = 192 : i64
// CHECK: %[[A:.*]] = memref.view %[[ARENA]]
// CHECK: call @[[KERNEL:kernel[_0-9]*]](%[[A]])
// CHECK-NOT: kernel
// CHECK: %[[TO:.*]] = memref.extract_aligned_pointer_as_index %[[A]]
// CHECK: call @gradopt_gemm_f64({{.*}}%[[TO]]
// CHECK-NOT: kernel
// CHECK: memref.copy
// CHECK: call @[[STRIDED:kernel[_0-9]*]](
// CHECK-NEXT: return
func.func @commands(%x: memref<4x4xf64>, %y: memref<16xf64> {grad.result}, %arena: memref<129xi8>)
    attributes {grad.arena_bytes = 129 : i64} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0 : i64
  %four = arith.constant 4 : i64
  %beta = arith.constant 0.0 : f64
  %a = memref.view %arena[%c0][] : memref<129xi8> to memref<16xf64>
  linalg.fill ins(%beta : f64) outs(%a : memref<16xf64>)
  %from = memref.extract_aligned_pointer_as_index %x : memref<4x4xf64> -> index
  %to = memref.extract_aligned_pointer_as_index %a : memref<16xf64> -> index
  func.call @gradopt_gemm_f64(%zero, %zero, %four, %four, %four, %from, %four, %from, %four, %to, %four, %beta)
      : (i64, i64, i64, i64, i64, index, i64, index, i64, index, i64, f64) -> ()
  memref.copy %a, %y : memref<16xf64> to memref<16xf64>
  %column = memref.subview %x[0, 1] [4, 1] [1, 1] : memref<4x4xf64> to memref<4xf64, strided<[4], offset: 1>>
  %row = memref.subview %x[1, 0] [1, 4] [1, 1] : memref<4x4xf64> to memref<4xf64, strided<[1], offset: 4>>
  memref.copy %column, %row : memref<4xf64, strided<[4], offset: 1>> to memref<4xf64, strided<[1], offset: 4>>
  return
}
// CHECK: func.func private @[[KERNEL]](
// CHECK-NEXT: constant
// CHECK-NEXT: linalg.fill
// CHECK: func.func private @[[STRIDED]](
// CHECK: memref.copy

// -----

// Numbers are calculated in kernels, and where buffers are by the interpreter.
// A loop with much work is a list, another one a kernel.

// CHECK-LABEL: func.func @loops(
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<8x16xf64>, %[[N:[a-z0-9]+]]: memref<index>
// CHECK: %[[R:.*]]:2 = call @[[NUMBERS:kernel[_0-9]*]](%[[N]]) : (memref<index>) -> (index, i1)
// CHECK: scf.for %[[I:.*]] = %{{.*}} to %[[R]]#0
// CHECK-NEXT: %[[J:.*]] = arith.addi %[[I]]
// CHECK-NEXT: %[[ROW:.*]] = memref.subview %[[X]][%[[J]], 0]
// CHECK-NEXT: %{{.*}}, %[[AT:.*]], %{{.*}}, %{{.*}} = memref.extract_strided_metadata %[[ROW]]
// CHECK-NEXT: call @[[EXP:kernel[_0-9]*]](%[[X]], %[[AT]])
// CHECK: call @[[EXP]](%[[X]],
// CHECK-NEXT: }
// CHECK: call @[[IF:kernel[_0-9]*]](%[[X]], %[[R]]#1)
// CHECK-NEXT: return
func.func @loops(%x: memref<8x16xf64>, %n: memref<index>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %m = memref.load %n[] : memref<index>
  %few = arith.cmpi slt, %m, %c1 : index
  scf.for %i = %c0 to %m step %c1 {
    %j = arith.addi %i, %c1 : index
    %row = memref.subview %x[%j, 0] [1, 16] [1, 1] : memref<8x16xf64> to memref<16xf64, strided<[1], offset: ?>>
    linalg.exp ins(%row : memref<16xf64, strided<[1], offset: ?>>) outs(%row : memref<16xf64, strided<[1], offset: ?>>)
    linalg.exp ins(%row : memref<16xf64, strided<[1], offset: ?>>) outs(%row : memref<16xf64, strided<[1], offset: ?>>)
  }
  scf.if %few {
    linalg.exp ins(%x : memref<8x16xf64>) outs(%x : memref<8x16xf64>)
  }
  return
}
// CHECK: func.func private @[[NUMBERS]](%[[P:.*]]: memref<index>
// CHECK: memref.load %[[P]]
// CHECK: arith.cmpi
// CHECK: func.func private @[[EXP]](
// CHECK: linalg.exp
// CHECK: func.func private @[[IF]](
// CHECK: scf.if
// CHECK-NEXT: linalg.exp

// -----

// A part of an operand that depends on a number is calculated by those who need
// the number in the same kernel, too.

// CHECK-LABEL: func.func @indices(
// CHECK: %[[R:.*]]:2 = call @[[LOADS:kernel[_0-9]*]](
// CHECK-NEXT: %[[J:.*]] = arith.addi %[[R]]#0
// CHECK-NEXT: memref.subview %{{.*}}[%[[J]]]
// CHECK: call @[[EXP:kernel[_0-9]*]](
// CHECK-NEXT: %[[END:.*]] = memref.subview %{{.*}}[%[[R]]#1]
// CHECK-NEXT: %{{.*}}, %[[AT:.*]], %{{.*}}, %{{.*}} = memref.extract_strided_metadata %[[END]]
// CHECK-NEXT: call @[[EXP]](%{{.*}}, %[[AT]])
// CHECK-NEXT: return
func.func @indices(%x: memref<16xf64>, %n: memref<16xindex>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64} {
  %c1 = arith.constant 1 : index
  %i = memref.load %n[%c1] : memref<16xindex>
  %j = arith.addi %i, %c1 : index
  %k = memref.load %n[%j] : memref<16xindex>
  %part = memref.subview %x[%j] [1] [1] : memref<16xf64> to memref<1xf64, strided<[1], offset: ?>>
  linalg.exp ins(%part : memref<1xf64, strided<[1], offset: ?>>) outs(%part : memref<1xf64, strided<[1], offset: ?>>)
  %end = memref.subview %x[%k] [1] [1] : memref<16xf64> to memref<1xf64, strided<[1], offset: ?>>
  linalg.exp ins(%end : memref<1xf64, strided<[1], offset: ?>>) outs(%end : memref<1xf64, strided<[1], offset: ?>>)
  return
}
// CHECK: func.func private @[[LOADS]](
// CHECK: memref.load
// CHECK: arith.addi
// CHECK: memref.load

// -----

// What a loop carries and returns: numbers and buffers.

// CHECK-LABEL: func.func @results(
// CHECK: %[[R:.*]]:2 = call @{{.*}} -> (memref<16xf64>, f64)
// CHECK: call @{{.*}}(%[[R]]#0, %[[R]]#1)
// CHECK-NEXT: call @{{.*}}(%[[R]]#0)
// CHECK-NEXT: return
func.func @results(%x: memref<16xf64>, %y: memref<16xf64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %one = arith.constant 1.0 : f64
  %r:3 = scf.for %i = %c0 to %c3 step %c1 iter_args(%a = %x, %b = %y, %s = %one) -> (memref<16xf64>, memref<16xf64>, f64) {
    linalg.exp ins(%a : memref<16xf64>) outs(%b : memref<16xf64>)
    %t = arith.addf %s, %s : f64
    scf.yield %b, %a, %t : memref<16xf64>, memref<16xf64>, f64
  }
  memref.store %r#2, %r#0[%c0] : memref<16xf64>
  linalg.exp ins(%r#0 : memref<16xf64>) outs(%r#0 : memref<16xf64>)
  return
}

// -----

// Views of the arena leave their loops, and a kernel that gets all of it gets
// what was planned.

// CHECK-LABEL: func.func @views(
// CHECK-SAME: %[[ARENA:[a-z0-9]+]]: memref<
// CHECK: %[[PLANNED:.*]] = memref.view %[[ARENA]][%{{.*}}][] : memref<{{.*}}> to memref<256xi8>
// CHECK: %[[A:.*]] = memref.view %[[ARENA]][%{{.*}}][] : memref<{{.*}}> to memref<16xf64>
// CHECK: call @{{.*}}(%[[A]])
// CHECK: call @{{.*}}(%[[PLANNED]])
func.func @views(%arena: memref<256xi8>) attributes {grad.arena_bytes = 256 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %c64 = arith.constant 64 : index
  scf.for %i = %c0 to %c3 step %c1 {
    %a = memref.view %arena[%c64][] : memref<256xi8> to memref<16xf64>
    linalg.exp ins(%a : memref<16xf64>) outs(%a : memref<16xf64>)
  }
  scf.for %i = %c0 to %c3 step %c1 {
    %a = memref.view %arena[%i][] : memref<256xi8> to memref<1xf64>
    linalg.exp ins(%a : memref<1xf64>) outs(%a : memref<1xf64>)
  }
  return
}

// -----

// What cannot be a list is left to code generation.

// CHECK-LABEL: func.func @dynamic(
// CHECK-NOT: grad.command_frame
// CHECK: linalg.exp
func.func @dynamic(%x: memref<?xf64>, %y: memref<f64>, %arena: memref<0xi8>) attributes {grad.arena_bytes = 0 : i64} {
  linalg.exp ins(%x : memref<?xf64>) outs(%x : memref<?xf64>)
  linalg.exp ins(%y : memref<f64>) outs(%y : memref<f64>)
  return
}
