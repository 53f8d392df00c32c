// RUN: gradopt %s --grad-kernels-to-gpu --canonicalize --cse -split-input-file | FileCheck %s

// One block goes through loops and branches together. Nests are divided among
// its threads, one of them stores numbers, and all wait for each other before and
// after what is written.

// CHECK: gpu.launch_func @kernels::@loop blocks in (%[[ONE:.*]], %[[ONE]], %[[ONE]]) threads in (%{{.*}}, %[[ONE]], %[[ONE]])
// CHECK: gpu.func @loop(%[[X:.*]]: memref<100xf64> {{{[^}]*}}}, %[[Y:.*]]: memref<8xf64> {{{[^}]*}}}, %[[N:.*]]: memref<index> {{{[^}]*}}})
// CHECK-SAME: known_block_size = array<i32: 128, 1, 1>, known_grid_size = array<i32: 1, 1, 1>
// CHECK-NOT: gpu.block_id
// CHECK: %[[THREAD:.*]] = gpu.thread_id x upper_bound 128
// CHECK: %[[END:.*]] = memref.load %[[N]][]
// CHECK: scf.for %[[I:.*]] = %{{.*}} to %[[END]] step
// CHECK: gpu.barrier
// CHECK: %[[INSIDE:.*]] = arith.cmpi ult, %[[THREAD]], %{{.*}}100
// CHECK-NEXT: scf.if %[[INSIDE]] {
// CHECK-NEXT: memref.load %[[X]][%[[THREAD]]]
// CHECK-NEXT: math.exp
// CHECK-NEXT: memref.store %{{.*}}, %[[X]][%[[THREAD]]]
// CHECK-NEXT: }
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: %[[A:.*]] = memref.load %[[X]][%[[I]]]
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: %[[FIRST:.*]] = arith.cmpi eq, %[[THREAD]], %{{.*}}0
// CHECK-NEXT: scf.if %[[FIRST]] {
// CHECK-NEXT: memref.store %[[A]], %[[Y]]
// CHECK-NEXT: }
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: %[[B:.*]] = memref.load %[[Y]]
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: scf.if %[[FIRST]] {
// CHECK-NEXT: memref.store %[[B]], %[[X]][%[[I]]]
// CHECK-NEXT: }
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: }
// CHECK-NEXT: gpu.return
func.func @main(%x: memref<100xf64>, %y: memref<8xf64>, %n: memref<index>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @loop(%x, %y, %n) : (memref<100xf64>, memref<8xf64>, memref<index>) -> ()
  return
}
func.func private @loop(%x: memref<100xf64> {llvm.noalias}, %y: memref<8xf64> {llvm.noalias}, %n: memref<index> {llvm.noalias}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %m = memref.load %n[] : memref<index>
  scf.for %i = %c0 to %m step %c1 {
    linalg.exp ins(%x : memref<100xf64>) outs(%x : memref<100xf64>)
    %a = memref.load %x[%i] : memref<100xf64>
    memref.store %a, %y[%c1] : memref<8xf64>
    %b = memref.load %y[%c1] : memref<8xf64>
    memref.store %b, %x[%i] : memref<100xf64>
  }
  return
}

// -----

// Only numbers: one thread, which waits for nobody.

// CHECK-LABEL: gpu.func @number(
// CHECK-SAME: known_block_size = array<i32: 1, 1, 1>, known_grid_size = array<i32: 1, 1, 1>
// CHECK-NOT: gpu.barrier
// CHECK-NOT: scf.if
// CHECK: memref.store
// CHECK-NOT: gpu.barrier
// CHECK: gpu.return
func.func @main(%n: memref<index>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @number(%n) : (memref<index>) -> ()
  return
}
func.func private @number(%n: memref<index> {llvm.noalias}) {
  %c1 = arith.constant 1 : index
  %a = memref.load %n[] : memref<index>
  %b = arith.addi %a, %c1 : index
  memref.store %b, %n[] : memref<index>
  return
}

// -----

// All threads take the same branch. A barrier is where all of them come by: in
// the branches of the program, not in those of threads.

// CHECK-LABEL: gpu.func @branches(
// CHECK: %[[C:.*]] = arith.cmpi slt
// CHECK: scf.if %[[C]] {
// CHECK-NEXT: gpu.barrier
// CHECK: scf.if
// CHECK-NOT: gpu.barrier
// CHECK: math.exp
// CHECK-NOT: gpu.barrier
// CHECK: }
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: } else {
// CHECK-NEXT: gpu.barrier
// CHECK: memref.store
// CHECK-NEXT: }
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: }
// CHECK: %[[R:.*]] = scf.while
// CHECK: scf.condition
// CHECK: gpu.barrier
// CHECK: math.log
// CHECK: gpu.barrier
// CHECK-NEXT: memref.load
// CHECK: scf.yield
// CHECK: gpu.barrier
// CHECK: memref.store %[[R]]
// CHECK: gpu.return
func.func @main(%x: memref<100xf64>, %n: memref<index>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @branches(%x, %n) : (memref<100xf64>, memref<index>) -> ()
  return
}
func.func private @branches(%x: memref<100xf64> {llvm.noalias}, %n: memref<index> {llvm.noalias}) {
  %c1 = arith.constant 1 : index
  %a = memref.load %n[] : memref<index>
  %c = arith.cmpi slt, %a, %c1 : index
  scf.if %c {
    linalg.exp ins(%x : memref<100xf64>) outs(%x : memref<100xf64>)
  } else {
    memref.store %c1, %n[] : memref<index>
  }
  %r = scf.while (%i = %a) : (index) -> index {
    %d = arith.cmpi slt, %i, %c1 : index
    scf.condition(%d) %i : index
  } do {
  ^bb0(%i: index):
    linalg.log ins(%x : memref<100xf64>) outs(%x : memref<100xf64>)
    %j = memref.load %n[] : memref<index>
    %k = arith.addi %i, %j : index
    scf.yield %k : index
  }
  memref.store %r, %n[] : memref<index>
  return
}

// -----

// Two nests: one block, which goes through a larger one in steps, and through a
// reduction with shared memory, that is not written again before all have read.

// CHECK-LABEL: gpu.func @nests(
// CHECK-SAME: %[[R:[a-z0-9]*]]: memref<100xf64>
// CHECK-SAME: workgroup(%[[SHARED:.*]] : memref<256xf64, #gpu.address_space<workgroup>>)
// CHECK-SAME: known_block_size = array<i32: 256, 1, 1>, known_grid_size = array<i32: 1, 1, 1>
// CHECK: scf.for %{{.*}} = %{{.*}}0 to %{{.*}}10000 step %{{.*}}256
// CHECK: math.exp
// CHECK: gpu.barrier
// CHECK: scf.for
// CHECK: memref.store %{{.*}}, %[[SHARED]]
// CHECK-NEXT: gpu.barrier
// CHECK-COUNT-7: memref.load %[[SHARED]]
// CHECK: memref.store %{{.*}}, %[[R]]
// CHECK-NEXT: }
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: }
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: gpu.return
func.func @main(%x: memref<100x100xf64>, %r: memref<100xf64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @nests(%x, %r) : (memref<100x100xf64>, memref<100xf64>) -> ()
  return
}
func.func private @nests(%x: memref<100x100xf64> {llvm.noalias}, %r: memref<100xf64> {llvm.noalias}) {
  linalg.exp ins(%x : memref<100x100xf64>) outs(%x : memref<100x100xf64>)
  linalg.reduce { arith.addf } ins(%x : memref<100x100xf64>) outs(%r : memref<100xf64>) dimensions = [0]
  return
}

// -----

// Rows of 100 elements have a warp each: nobody waits for others but before what they write.

// CHECK-LABEL: gpu.func @warps(
// CHECK-NOT: workgroup
// CHECK: math.exp
// CHECK: gpu.barrier
// CHECK: scf.for
// CHECK-NOT: gpu.barrier
// CHECK-COUNT-5: gpu.shuffle xor
// CHECK-NOT: gpu.barrier
// CHECK: memref.store
// CHECK-NEXT: }
// CHECK-NEXT: }
// CHECK-NEXT: gpu.barrier
// CHECK-NEXT: gpu.return
func.func @main(%x: memref<100x100xf64>, %r: memref<100xf64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @warps(%x, %r) : (memref<100x100xf64>, memref<100xf64>) -> ()
  return
}
func.func private @warps(%x: memref<100x100xf64> {llvm.noalias}, %r: memref<100xf64> {llvm.noalias}) {
  linalg.exp ins(%x : memref<100x100xf64>) outs(%x : memref<100x100xf64>)
  linalg.reduce { arith.addf } ins(%x : memref<100x100xf64>) outs(%r : memref<100xf64>) dimensions = [1]
  return
}

// -----

// What a block allocates is shared by its threads.

// CHECK-LABEL: gpu.func @shared(
// CHECK-SAME: workgroup(%[[ROW:.*]] : memref<1x100xf64, #gpu.address_space<workgroup>>)
// CHECK-SAME: known_grid_size = array<i32: 40, 1, 1>
// CHECK: math.exp
// CHECK-NEXT: memref.store %{{.*}}, %[[ROW]]
// CHECK: gpu.barrier
// CHECK: memref.load %[[ROW]]
// CHECK: math.log
func.func @main(%x: memref<40x100xf64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @shared(%x) : (memref<40x100xf64>) -> ()
  return
}
func.func private @shared(%x: memref<40x100xf64> {llvm.noalias}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = arith.constant 40 : index
  scf.for %i = %c0 to %n step %c1 {
    %row = memref.subview %x[%i, 0] [1, 100] [1, 1] : memref<40x100xf64> to memref<1x100xf64, strided<[100, 1], offset: ?>>
    %y = memref.alloc() : memref<1x100xf64, #gpu.address_space<workgroup>>
    linalg.exp ins(%row : memref<1x100xf64, strided<[100, 1], offset: ?>>) outs(%y : memref<1x100xf64, #gpu.address_space<workgroup>>)
    linalg.log ins(%y : memref<1x100xf64, #gpu.address_space<workgroup>>) outs(%row : memref<1x100xf64, strided<[100, 1], offset: ?>>)
  } {grad.parallel}
  return
}

// -----

// Nests without iterations are nothing, copies of strided memory nests.

// CHECK-LABEL: gpu.func @nothing(
// CHECK-SAME: known_block_size = array<i32: 1, 1, 1>, known_grid_size = array<i32: 1, 1, 1>
// CHECK-NEXT: gpu.return
// CHECK-LABEL: gpu.func @column(
// CHECK: memref.load %{{.*}} : memref<100xf64, strided<[8]>>
// CHECK-NEXT: memref.store %{{.*}} : memref<100xf64>
func.func @main(%x: memref<0x4xf64>, %y: memref<800xf64>, %z: memref<100xf64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @nothing(%x) : (memref<0x4xf64>) -> ()
  call @column(%y, %z) : (memref<800xf64>, memref<100xf64>) -> ()
  return
}
func.func private @nothing(%x: memref<0x4xf64>) {
  linalg.exp ins(%x : memref<0x4xf64>) outs(%x : memref<0x4xf64>)
  return
}
func.func private @column(%y: memref<800xf64>, %z: memref<100xf64>) {
  %a = memref.subview %y[0] [100] [8] : memref<800xf64> to memref<100xf64, strided<[8]>>
  memref.copy %a, %z : memref<100xf64, strided<[8]>> to memref<100xf64>
  return
}

// -----

// Loops that scatter: a thread for each element, which looks at all updates in
// their order.

// CHECK-LABEL: gpu.func @scatter(
// CHECK-SAME: %[[X:.*]]: memref<1000xf64> {{{[^}]*}}}, %[[AT:.*]]: memref<300xindex> {{{[^}]*}}}, %[[U:.*]]: memref<300xf64> {{{[^}]*}}})
// CHECK-SAME: known_block_size = array<i32: 256, 1, 1>, known_grid_size = array<i32: 4, 1, 1>
// CHECK: %[[MINE:.*]] = arith.remui
// CHECK: scf.for %[[I:.*]] = %{{.*}}0 to %{{.*}}300 step
// CHECK: %[[PLACE:.*]] = memref.load %[[AT]][%[[I]]]
// CHECK: %[[IS_MINE:.*]] = arith.cmpi eq, %[[PLACE]], %[[MINE]]
// CHECK-NEXT: scf.if %[[IS_MINE]] {
// CHECK: memref.store %{{.*}}, %[[X]][%[[PLACE]]]
// CHECK-NOT: gpu.barrier
// CHECK: gpu.return
// CHECK-LABEL: gpu.func @scatter_rows(
// CHECK-SAME: known_grid_size = array<i32: 32, 1, 1>
// CHECK-NOT: arith.cmpi eq
// CHECK: gpu.return
func.func @main(%x: memref<1000xf64>, %at: memref<300xindex>, %u: memref<300xf64>, %m: memref<10x8192xf64>, %v: memref<300x8192xf64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @scatter(%x, %at, %u) : (memref<1000xf64>, memref<300xindex>, memref<300xf64>) -> ()
  call @scatter_rows(%m, %at, %v) : (memref<10x8192xf64>, memref<300xindex>, memref<300x8192xf64>) -> ()
  return
}
func.func private @scatter(%x: memref<1000xf64> {llvm.noalias}, %at: memref<300xindex> {llvm.noalias}, %u: memref<300xf64> {llvm.noalias}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c300 = arith.constant 300 : index
  scf.for %i = %c0 to %c300 step %c1 {
    %k = memref.load %at[%i] : memref<300xindex>
    %a = memref.load %u[%i] : memref<300xf64>
    %b = memref.load %x[%k] : memref<1000xf64>
    %c = arith.addf %a, %b : f64
    memref.store %c, %x[%k] : memref<1000xf64>
  }
  return
}
func.func private @scatter_rows(%x: memref<10x8192xf64> {llvm.noalias}, %at: memref<300xindex> {llvm.noalias}, %u: memref<300x8192xf64> {llvm.noalias}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c300 = arith.constant 300 : index
  %c8192 = arith.constant 8192 : index
  scf.for %i = %c0 to %c300 step %c1 {
    scf.for %j = %c0 to %c8192 step %c1 {
      %k = memref.load %at[%i] : memref<300xindex>
      %a = memref.load %u[%i, %j] : memref<300x8192xf64>
      %b = memref.load %x[%k, %j] : memref<10x8192xf64>
      %c = arith.addf %a, %b : f64
      memref.store %c, %x[%k, %j] : memref<10x8192xf64>
    }
  }
  return
}

// -----

// Where threads wait for each other, what they write may be what others read: it
// is not `noalias`, also where a loop chooses the buffer.

// CHECK-LABEL: gpu.func @exchange(
// CHECK-SAME: %{{[a-z0-9]*}}: memref<100xf64> {llvm.align = 16 : i64, llvm.noalias}, %{{[a-z0-9]*}}: memref<100xf64> {llvm.align = 16 : i64}, %{{[a-z0-9]*}}: memref<100xf64> {llvm.align = 16 : i64})
// CHECK-LABEL: gpu.func @swap(
// CHECK-SAME: %{{[a-z0-9]*}}: memref<100xf64> {llvm.align = 16 : i64}, %{{[a-z0-9]*}}: memref<100xf64> {llvm.align = 16 : i64})
// CHECK-LABEL: gpu.func @alone(
// CHECK-SAME: %{{[a-z0-9]*}}: memref<100xf64> {llvm.align = 16 : i64, llvm.noalias})
func.func @main(%x: memref<100xf64>, %y: memref<100xf64>, %z: memref<100xf64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @exchange(%x, %y, %z) : (memref<100xf64>, memref<100xf64>, memref<100xf64>) -> ()
  call @swap(%x, %y) : (memref<100xf64>, memref<100xf64>) -> ()
  call @alone(%x) : (memref<100xf64>) -> ()
  return
}
func.func private @exchange(%x: memref<100xf64> {llvm.noalias}, %y: memref<100xf64> {llvm.noalias}, %z: memref<100xf64> {llvm.noalias}) {
  %c0 = arith.constant 0 : index
  linalg.exp ins(%x : memref<100xf64>) outs(%y : memref<100xf64>)
  %0 = memref.load %y[%c0] : memref<100xf64>
  %part = memref.subview %z[10] [80] [1] : memref<100xf64> to memref<80xf64, strided<[1], offset: 10>>
  memref.store %0, %part[%c0] : memref<80xf64, strided<[1], offset: 10>>
  return
}
func.func private @swap(%x: memref<100xf64> {llvm.noalias}, %y: memref<100xf64> {llvm.noalias}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %r:2 = scf.for %i = %c0 to %c9 step %c1 iter_args(%a = %x, %b = %y) -> (memref<100xf64>, memref<100xf64>) {
    linalg.exp ins(%a : memref<100xf64>) outs(%b : memref<100xf64>)
    scf.yield %b, %a : memref<100xf64>, memref<100xf64>
  }
  return
}
func.func private @alone(%x: memref<100xf64> {llvm.noalias}) {
  linalg.exp ins(%x : memref<100xf64>) outs(%x : memref<100xf64>)
  return
}

// -----

// A loop whose iterations are for blocks.

// CHECK: gpu.launch_func @kernels::@softmax blocks in (%[[ROWS:[a-z0-9_]*]],
// CHECK-LABEL: gpu.func @softmax(
// CHECK-SAME: known_grid_size = array<i32: 128, 1, 1>
// CHECK: %[[ROW:.*]] = gpu.block_id x
// CHECK-NOT: scf.for %{{.*}} to %{{.*}}128 step
// CHECK: memref.subview %{{.*}}[%[[ROW]], 0]
// CHECK: math.exp
// CHECK: gpu.barrier
// CHECK: gpu.return
func.func @main(%x: memref<128x100xf64>, %s: memref<128xf64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @softmax(%x, %s) : (memref<128x100xf64>, memref<128xf64>) -> ()
  return
}
func.func private @softmax(%x: memref<128x100xf64> {llvm.noalias}, %s: memref<128xf64> {llvm.noalias}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c128 = arith.constant 128 : index
  scf.for %i = %c0 to %c128 step %c1 {
    %row = memref.subview %x[%i, 0] [1, 100] [1, 1] : memref<128x100xf64> to memref<100xf64, strided<[1], offset: ?>>
    %sum = memref.subview %s[%i] [1] [1] : memref<128xf64> to memref<f64, strided<[], offset: ?>>
    linalg.exp ins(%row : memref<100xf64, strided<[1], offset: ?>>) outs(%row : memref<100xf64, strided<[1], offset: ?>>)
    linalg.reduce { arith.addf } ins(%row : memref<100xf64, strided<[1], offset: ?>>) outs(%sum : memref<f64, strided<[], offset: ?>>) dimensions = [0]
  } {grad.parallel}
  return
}
