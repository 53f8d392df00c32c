// RUN: gradopt %s --grad-kernels-to-gpu --canonicalize --cse -split-input-file | FileCheck %s

// Each element is combined with the one before: by two kernels for a long line, what each chunk has
// together, and the rest.

// CHECK-LABEL: func.func @long(
// CHECK: gpu.launch_func @kernels::@sum blocks in (%c245{{.*}}) threads in (%c256{{.*}}) args(%arg0 : memref<1000000xf32>, %arg1 : memref<1000000xf32>, %{{.*}} : memref<245x1xf32>)
// CHECK: gpu.launch_func @kernels::@sum_scan blocks in (%c245{{.*}}) threads in (%c256{{.*}}) args(%arg0 : memref<1000000xf32>, %arg1 : memref<1000000xf32>, %{{.*}} : memref<245x1xf32>)
// CHECK: gpu.func @sum({{.*}}%[[TOTALS:[a-z0-9]*]]: memref<245x1xf32>{{.*}} workgroup
// CHECK: scf.for
// CHECK: gpu.shuffle xor
// CHECK: gpu.barrier
// CHECK: memref.store %{{.*}}, %[[TOTALS]]
// CHECK-NEXT: }
// CHECK-NEXT: gpu.return
// CHECK: gpu.func @sum_scan({{.*}}%[[TOTALS:[a-z0-9]*]]: memref<245x1xf32>{{.*}} workgroup
// CHECK: memref.load %[[TOTALS]]
// CHECK: gpu.barrier
// CHECK: scf.for
// CHECK: gpu.shuffle up
// CHECK: gpu.barrier
// CHECK: gpu.return
func.func @long(%x: memref<1000000xf32>, %y: memref<1000000xf32>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @sum(%x, %y) : (memref<1000000xf32>, memref<1000000xf32>) -> ()
  return
}
func.func private @sum(%x: memref<1000000xf32> {llvm.noalias}, %y: memref<1000000xf32> {llvm.noalias}) {
  %c1 = arith.constant 1 : index
  %n = arith.constant 1000000 : index
  scf.for %i = %c1 to %n step %c1 {
    %j = arith.subi %i, %c1 : index
    %before = memref.load %y[%j] : memref<1000000xf32>
    %value = memref.load %x[%i] : memref<1000000xf32>
    %next = arith.addf %before, %value fastmath<reassoc> : f32
    memref.store %next, %y[%i] : memref<1000000xf32>
  }
  return
}

// -----

// Rows have a warp each, columns a thread: nothing is shared.

// CHECK-LABEL: func.func @rows(
// CHECK: gpu.launch_func @kernels::@row blocks in (%c5{{.*}}) threads in (%c256
// CHECK: gpu.launch_func @kernels::@column blocks in (%c1{{.*}}) threads in (%c256
// CHECK: gpu.func @row
// CHECK-NOT: workgroup
// CHECK: gpu.shuffle up
// CHECK-NOT: gpu.barrier
// CHECK: gpu.func @column
// CHECK-NOT: gpu.shuffle
// CHECK-NOT: gpu.barrier
func.func @rows(%x: memref<40x100xi32>, %y: memref<40x100xi32>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @row(%x, %y) : (memref<40x100xi32>, memref<40x100xi32>) -> ()
  call @column(%x, %y) : (memref<40x100xi32>, memref<40x100xi32>) -> ()
  return
}
func.func private @row(%x: memref<40x100xi32> {llvm.noalias}, %y: memref<40x100xi32> {llvm.noalias}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %m = arith.constant 40 : index
  %n = arith.constant 100 : index
  scf.for %k = %c0 to %m step %c1 {
    scf.for %i = %c1 to %n step %c1 {
      %j = arith.subi %i, %c1 : index
      %before = memref.load %y[%k, %j] : memref<40x100xi32>
      %value = memref.load %x[%k, %i] : memref<40x100xi32>
      %next = arith.maxsi %before, %value : i32
      memref.store %next, %y[%k, %i] : memref<40x100xi32>
    }
  }
  return
}
func.func private @column(%x: memref<40x100xi32> {llvm.noalias}, %y: memref<40x100xi32> {llvm.noalias}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %last = arith.constant 38 : index
  %m = arith.constant 39 : index
  %n = arith.constant 100 : index
  scf.for %i = %c0 to %m step %c1 {
    %here = arith.subi %last, %i : index
    %behind = arith.addi %here, %c1 : index
    scf.for %k = %c0 to %n step %c1 {
      %before = memref.load %y[%behind, %k] : memref<40x100xi32>
      %value = memref.load %x[%here, %k] : memref<40x100xi32>
      %next = arith.maxsi %before, %value : i32
      memref.store %next, %y[%here, %k] : memref<40x100xi32>
    }
  }
  return
}

// -----

// Floats are not added up in another order unless they may be, and elements further away are no
// scan: one thread does these.

// CHECK-LABEL: func.func @loops(
// CHECK: gpu.launch_func @kernels::@exact
// CHECK: gpu.launch_func @kernels::@far
// CHECK: gpu.module
// CHECK-NOT: gpu.shuffle
func.func @loops(%x: memref<1000xf32>, %y: memref<1000xf32>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @exact(%x, %y) : (memref<1000xf32>, memref<1000xf32>) -> ()
  call @far(%x, %y) : (memref<1000xf32>, memref<1000xf32>) -> ()
  return
}
func.func private @exact(%x: memref<1000xf32> {llvm.noalias}, %y: memref<1000xf32> {llvm.noalias}) {
  %c1 = arith.constant 1 : index
  %n = arith.constant 1000 : index
  scf.for %i = %c1 to %n step %c1 {
    %j = arith.subi %i, %c1 : index
    %before = memref.load %y[%j] : memref<1000xf32>
    %value = memref.load %x[%i] : memref<1000xf32>
    %next = arith.addf %before, %value : f32
    memref.store %next, %y[%i] : memref<1000xf32>
  }
  return
}
func.func private @far(%x: memref<1000xf32> {llvm.noalias}, %y: memref<1000xf32> {llvm.noalias}) {
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %n = arith.constant 1000 : index
  scf.for %i = %c2 to %n step %c1 {
    %j = arith.subi %i, %c2 : index
    %before = memref.load %y[%j] : memref<1000xf32>
    %value = memref.load %x[%i] : memref<1000xf32>
    %next = arith.maximumf %before, %value : f32
    memref.store %next, %y[%i] : memref<1000xf32>
  }
  return
}
