// RUN: gradopt %s --grad-kernels-to-gpu --canonicalize --cse -split-input-file | FileCheck %s

// Of a matrix of 5 rows, 8 threads are for these: 16 matrices are of one block. After each column, the
// threads wait for each other, and nobody waits for another block.

// CHECK-LABEL: func.func @factors(
// CHECK: gpu.launch_func @kernels::@factor blocks in (%c7{{.*}}) threads in (%c128
// CHECK: gpu.func @factor(%[[A:.*]]: memref<100x5x5xf64>{{.*}}, %[[L:.*]]: memref<100x5x5xf64>{{.*}}, %[[STATUS:.*]]: memref<100xi32>
// CHECK: %[[FOUND:.*]] = scf.for %[[J:.*]] = %c0 to %c5
// CHECK: %[[SUMS:.*]]:2 = scf.for %{{.*}} = %c0 to %[[J]]
// CHECK: %[[ROOT:.*]] = math.sqrt %[[SUMS]]#0
// CHECK: arith.divf %[[SUMS]]#1, %[[ROOT]]
// CHECK: memref.store %{{.*}}, %[[L]]
// CHECK: gpu.barrier
// CHECK: scf.yield
// CHECK: memref.store %[[FOUND]], %[[STATUS]]
// CHECK-NOT: gpu.barrier
// CHECK: gpu.return
func.func @factors(%a: memref<100x5x5xf64>, %l: memref<100x5x5xf64>, %status: memref<100xi32>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @factor(%a, %l, %status) : (memref<100x5x5xf64>, memref<100x5x5xf64>, memref<100xi32>) -> ()
  return
}
func.func private @factor(%a: memref<100x5x5xf64> {llvm.noalias}, %l: memref<100x5x5xf64> {llvm.noalias}, %status: memref<100xi32> {llvm.noalias}) {
  grad.lapack_into "cholesky", flags = 0 (%a) outs(%l, %status) : (memref<100x5x5xf64>, memref<100x5x5xf64>, memref<100xi32>) -> ()
  return
}

// -----

// Columns of solutions depend on no other ones. A matrix on the right is one on the left, transposed.

// CHECK-LABEL: func.func @solutions(
// CHECK: gpu.launch_func @kernels::@left blocks in (%c2{{.*}}) threads in (%c128
// CHECK: gpu.launch_func @kernels::@right blocks in (%c1{{.*}}) threads in (%c128
// CHECK: gpu.func @left(%[[A:.*]]: memref<4x4xf32>{{.*}}, %[[B:.*]]: memref<4x200xf32>{{.*}}, %[[X:.*]]: memref<4x200xf32>
// CHECK-NOT: gpu.barrier
// CHECK: scf.for %[[I:.*]] = %c0 to %c4
// CHECK: %[[SUM:.*]] = scf.for %[[K:.*]] = %c0 to %[[I]]
// CHECK: memref.load %[[A]][%[[I]], %[[K]]]
// CHECK: arith.divf %[[SUM]]
// CHECK: gpu.func @right(%[[A:.*]]: memref<4x4xf32>{{.*}}, %[[B:.*]]: memref<6x4xf32>{{.*}}, %[[X:.*]]: memref<6x4xf32>
// CHECK-NOT: gpu.barrier
// CHECK: scf.for %[[STEP:.*]] = %c0 to %c4
// CHECK: %[[I:.*]] = arith.subi %c3, %[[STEP]]
// CHECK: %[[SUM:.*]] = scf.for %[[BEFORE:.*]] = %c0 to %[[STEP]]
// CHECK: %[[K:.*]] = arith.subi %c3, %[[BEFORE]]
// CHECK: memref.load %[[A]][%[[K]], %[[I]]]
// CHECK-NOT: arith.divf
// CHECK: gpu.return
func.func @solutions(%a: memref<4x4xf32>, %b: memref<4x200xf32>, %x: memref<4x200xf32>, %c: memref<6x4xf32>, %y: memref<6x4xf32>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @left(%a, %b, %x) : (memref<4x4xf32>, memref<4x200xf32>, memref<4x200xf32>) -> ()
  call @right(%a, %c, %y) : (memref<4x4xf32>, memref<6x4xf32>, memref<6x4xf32>) -> ()
  return
}
func.func private @left(%a: memref<4x4xf32> {llvm.noalias}, %b: memref<4x200xf32> {llvm.noalias}, %x: memref<4x200xf32> {llvm.noalias}) {
  grad.lapack_into "triangular_solve", flags = 6 (%a, %b) outs(%x) : (memref<4x4xf32>, memref<4x200xf32>, memref<4x200xf32>) -> ()
  return
}
func.func private @right(%a: memref<4x4xf32> {llvm.noalias}, %b: memref<6x4xf32> {llvm.noalias}, %x: memref<6x4xf32> {llvm.noalias}) {
  grad.lapack_into "triangular_solve", flags = 12 (%a, %b) outs(%x) : (memref<4x4xf32>, memref<6x4xf32>, memref<6x4xf32>) -> ()
  return
}
