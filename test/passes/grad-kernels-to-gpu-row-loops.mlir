// RUN: gradopt %s --grad-kernels-to-gpu --canonicalize --cse | FileCheck %s

// Iterations of a loop, of which the call tells how many there are, are divided
// among as many blocks as there is work for where there are most; short ones
// among threads, each of which does alone what is in the loop.

// CHECK: gpu.launch_func @kernels::@long blocks in (%c1056{{.*}}) threads in (%c64
// CHECK: gpu.launch_func @kernels::@short blocks in (%c16{{.*}}) threads in (%c256

// CHECK: gpu.func @long(%[[X:.*]]: memref<4096x64xf64> {{.*}}, %[[N:.*]]: index)
// CHECK: %[[BLOCK:.*]] = gpu.block_id x
// CHECK: scf.for %{{.*}} = %[[BLOCK]] to %[[N]] step %c1056
// CHECK: %[[ROW:.*]] = memref.subview %[[X]]
// CHECK: memref.load %[[ROW]][%thread_id_x]
// CHECK: gpu.barrier
// CHECK: gpu.return

// CHECK: gpu.func @short(%[[X:.*]]: memref<4096xf64> {{.*}}, %[[N:.*]]: index)
// CHECK: %[[THREAD:.*]] = gpu.thread_id x
// CHECK: %[[BLOCK:.*]] = gpu.block_id x
// CHECK: %[[BEGIN:.*]] = arith.muli %[[BLOCK]], %c256
// CHECK: %[[FIRST:.*]] = arith.addi %[[BEGIN]], %[[THREAD]]
// CHECK: scf.for %[[I:.*]] = %[[FIRST]] to %[[N]] step %c4096
// CHECK-NOT: gpu.barrier
// CHECK: memref.load %[[X]][%[[I]]]
// CHECK: memref.store %{{.*}}, %[[X]][%[[I]]]
// CHECK-NOT: gpu.barrier
// CHECK: gpu.return
func.func private @long(%x: memref<4096x64xf64> {llvm.noalias}, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    %row = memref.subview %x[%i, 0] [1, 64] [1, 1] : memref<4096x64xf64> to memref<64xf64, strided<[1], offset: ?>>
    linalg.exp ins(%row : memref<64xf64, strided<[1], offset: ?>>) outs(%row : memref<64xf64, strided<[1], offset: ?>>)
  } {grad.most_iterations = 4096 : i64, grad.parallel}
  return
}

func.func private @short(%x: memref<4096xf64> {llvm.noalias}, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    %a = memref.load %x[%i] : memref<4096xf64>
    %b = math.exp %a : f64
    memref.store %b, %x[%i] : memref<4096xf64>
  } {grad.most_iterations = 4096 : i64, grad.parallel}
  return
}

func.func @main(%x: memref<4096x64xf64>, %y: memref<4096xf64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  %n = arith.constant 7 : index
  call @long(%x, %n) : (memref<4096x64xf64>, index) -> ()
  call @short(%y, %n) : (memref<4096xf64>, index) -> ()
  return
}
