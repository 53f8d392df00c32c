// RUN: gradopt %s --grad-kernels-to-gpu --canonicalize --cse -split-input-file | FileCheck %s

// One nest: a thread for each element, neighbours beside each other.

// CHECK-LABEL: gpu.container_module
// CHECK-LABEL: func.func @main(
// CHECK-SAME: %[[A:[a-z0-9]+]]: memref<10x100xf64>
// CHECK-DAG: %[[BLOCKS:.*]] = arith.constant 4 : index
// CHECK-DAG: %[[THREADS:.*]] = arith.constant 256 : index
// CHECK-DAG: %[[ONE:.*]] = arith.constant 1 : index
// CHECK: gpu.launch_func @kernels::@elementwise blocks in (%[[BLOCKS]], %[[ONE]], %[[ONE]]) threads in (%[[THREADS]], %[[ONE]], %[[ONE]]) args(%[[A]] : memref<10x100xf64>)
// CHECK-NEXT: return
// CHECK: gpu.module @kernels {
// CHECK: gpu.func @elementwise(%[[P:.*]]: memref<10x100xf64> {{{[^}]*}}}) kernel
// CHECK-SAME: known_block_size = array<i32: 256, 1, 1>, known_grid_size = array<i32: 4, 1, 1>
// CHECK-DAG: %[[THREAD:.*]] = gpu.thread_id x upper_bound 256
// CHECK-DAG: %[[BLOCK:.*]] = gpu.block_id x upper_bound 4
// CHECK: %[[FIRST:.*]] = arith.muli %[[BLOCK]], %{{.*}}256
// CHECK: %[[AT:.*]] = arith.addi %[[FIRST]], %[[THREAD]]
// CHECK: %[[INSIDE:.*]] = arith.cmpi ult, %[[AT]], %{{.*}}1000
// CHECK-NEXT: scf.if %[[INSIDE]] {
// CHECK-DAG: %[[COLUMN:.*]] = arith.remui %[[AT]], %{{.*}}100
// CHECK-DAG: %[[ROW:.*]] = arith.divui %[[AT]], %{{.*}}100
// CHECK: %[[X:.*]] = memref.load %[[P]][%[[ROW]], %[[COLUMN]]]
// CHECK: %[[Y:.*]] = math.exp %[[X]]
// CHECK: memref.store %[[Y]], %[[P]][%[[ROW]], %[[COLUMN]]]
// CHECK-NEXT: }
// CHECK-NEXT: gpu.return
// CHECK-NOT: func.func private @elementwise
func.func @main(%a: memref<10x100xf64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @elementwise(%a) : (memref<10x100xf64>) -> ()
  return
}
func.func private @elementwise(%a: memref<10x100xf64> {llvm.noalias}) {
  linalg.exp ins(%a : memref<10x100xf64>) outs(%a : memref<10x100xf64>)
  return
}

// -----

// Large nests: 16 bytes of the widest operand for each thread, in a row.

// CHECK-LABEL: gpu.func @large(
// CHECK-SAME: known_block_size = array<i32: 256, 1, 1>, known_grid_size = array<i32: 128, 1, 1>
// CHECK: %[[UNIT:.*]] = arith.addi
// CHECK: arith.cmpi ult, %[[UNIT]], %{{.*}}32768
// CHECK: %[[FIRST:.*]] = arith.muli %[[UNIT]], %{{.*}}4
// CHECK-NOT: scf.for
// CHECK: memref.load %{{.*}}[%[[FIRST]]] : memref<131072xf32>
// CHECK: %[[AT:.*]] = arith.addi %[[FIRST]], %{{.*}}3
// CHECK: memref.load %{{.*}}[%[[AT]]] : memref<131072xf32>
// CHECK: memref.store %{{.*}}[%[[AT]]] : memref<131072xf32>
// CHECK-LABEL: gpu.func @wide(
// CHECK-SAME: known_grid_size = array<i32: 256, 1, 1>
// CHECK-COUNT-2: memref.store %{{.*}} : memref<131072xf64>
// CHECK-NOT: memref.store
// Every other element, or a size that leaves a rest: single elements.
// CHECK-LABEL: gpu.func @odd(
// CHECK: memref.store
// CHECK-NOT: memref.store
// CHECK-LABEL: gpu.func @strided(
// CHECK: memref.store
// CHECK-NOT: memref.store
// CHECK: gpu.return
func.func @main(%a: memref<131072xf32>, %b: memref<131072xf64>, %c: memref<300x333xf32>, %d: memref<262144xf32>, %e: memref<131072xf32>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @large(%a) : (memref<131072xf32>) -> ()
  call @wide(%a, %b) : (memref<131072xf32>, memref<131072xf64>) -> ()
  call @odd(%c) : (memref<300x333xf32>) -> ()
  call @strided(%d, %e) : (memref<262144xf32>, memref<131072xf32>) -> ()
  return
}
func.func private @large(%a: memref<131072xf32> {llvm.noalias}) {
  linalg.exp ins(%a : memref<131072xf32>) outs(%a : memref<131072xf32>)
  return
}
func.func private @wide(%a: memref<131072xf32> {llvm.noalias}, %b: memref<131072xf64> {llvm.noalias}) {
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%a : memref<131072xf32>) outs(%b : memref<131072xf64>) {
  ^bb0(%x: f32, %old: f64):
    %y = arith.extf %x : f32 to f64
    linalg.yield %y : f64
  }
  return
}
func.func private @odd(%a: memref<300x333xf32> {llvm.noalias}) {
  linalg.exp ins(%a : memref<300x333xf32>) outs(%a : memref<300x333xf32>)
  return
}
func.func private @strided(%a: memref<262144xf32> {llvm.noalias}, %b: memref<131072xf32> {llvm.noalias}) {
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0 * 2)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%a : memref<262144xf32>) outs(%b : memref<131072xf32>) {
  ^bb0(%x: f32, %old: f32):
    linalg.yield %x : f32
  }
  return
}

// -----

// The sums of rows: neighbouring threads add up neighbouring elements, several at
// a time, then what they have found: those of a warp by exchanging it, two warps
// in shared memory. The fill is a number to begin with.

// CHECK-LABEL: gpu.func @rows(
// CHECK-SAME: %[[X:.*]]: memref<4096x1000xf32> {{{[^}]*}}}, %[[R:.*]]: memref<4096xf32>
// CHECK-SAME: workgroup(%[[SHARED:.*]] : memref<256xf32, #gpu.address_space<workgroup>>)
// CHECK-NOT: linalg
// CHECK: %[[LANE:.*]] = arith.remui %{{.*}}thread_id
// CHECK: %[[SUM:.*]] = scf.if
// CHECK: scf.for %[[J:.*]] = %[[LANE]] to %{{.*}} step %{{.*}}256 iter_args(
// CHECK-NEXT: memref.load %[[X]][%{{.*}}, %[[J]]]
// CHECK-COUNT-3: memref.load %[[X]]
// CHECK: scf.for %[[J:.*]] = %{{.*}} to %{{.*}}1000 step %{{.*}}64 iter_args(
// CHECK-NEXT: memref.load %[[X]][%{{.*}}, %[[J]]]
// CHECK-NOT: memref.load
// CHECK-COUNT-5: gpu.shuffle xor
// CHECK-NOT: gpu.shuffle
// CHECK: memref.store %{{.*}}, %[[SHARED]]
// CHECK-NEXT: gpu.barrier
// CHECK: memref.load %[[SHARED]]
// CHECK: memref.load %[[R]]
// CHECK-NEXT: arith.addf
// CHECK-NEXT: memref.store %{{.*}}, %[[R]]
// CHECK-NOT: memref.store
// CHECK: gpu.return
// CHECK-LABEL: gpu.func @filled_rows(
// CHECK-SAME: %{{.*}}: memref<4096x1000xf32> {{{[^}]*}}}, %[[R:.*]]: memref<4096xf32>
// CHECK-NOT: linalg.fill
// CHECK-NOT: memref.load %[[R]]
// CHECK: memref.store %{{.*}}, %[[R]]
// CHECK-NOT: memref.store
// CHECK: gpu.return
func.func @main(%x: memref<4096x1000xf32>, %r: memref<4096xf32>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @rows(%x, %r) : (memref<4096x1000xf32>, memref<4096xf32>) -> ()
  call @filled_rows(%x, %r) : (memref<4096x1000xf32>, memref<4096xf32>) -> ()
  return
}
func.func private @rows(%x: memref<4096x1000xf32> {llvm.noalias}, %r: memref<4096xf32> {llvm.noalias}) {
  linalg.reduce { arith.addf } ins(%x : memref<4096x1000xf32>) outs(%r : memref<4096xf32>) dimensions = [1]
  return
}
func.func private @filled_rows(%x: memref<4096x1000xf32> {llvm.noalias}, %r: memref<4096xf32> {llvm.noalias}) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%r : memref<4096xf32>)
  linalg.reduce { arith.addf } ins(%x : memref<4096x1000xf32>) outs(%r : memref<4096xf32>) dimensions = [1]
  return
}

// -----

// Columns: neighbouring threads have neighbouring columns. Where these are few,
// the reduction is divided into chunks; a second kernel adds up what they found,
// which is in the arena.

// CHECK-LABEL: func.func @main(
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<4096x64xf32>, %[[C:[a-z0-9]+]]: memref<64xf32>, %[[ARENA:[a-z0-9]+]]: memref<[[BYTES:[0-9]+]]xi8>
// CHECK-SAME: grad.arena_bytes = [[BYTES]]
// CHECK: %[[CHUNKS:.*]] = memref.view %[[ARENA]][%{{.*}}128][] : memref<[[BYTES]]xi8> to memref<[[N:[0-9]+]]x64xf32>
// CHECK-NEXT: gpu.launch_func @kernels::@columns blocks in {{.*}} args(%[[X]] : memref<4096x64xf32>, %[[C]] : memref<64xf32>, %[[CHUNKS]] : memref<[[N]]x64xf32>)
// CHECK-NEXT: gpu.launch_func @kernels::@columns_sum blocks in {{.*}} args(%[[X]] : memref<4096x64xf32>, %[[C]] : memref<64xf32>, %[[CHUNKS]] : memref<[[N]]x64xf32>)
// CHECK-NEXT: return
// CHECK: gpu.func @columns(%[[X:.*]]: memref<4096x64xf32> {{{[^}]*}}}, %[[C:.*]]: memref<64xf32> {{{[^}]*}}}, %[[CHUNKS:.*]]: memref<[[N]]x64xf32> {{{[^}]*}}})
// CHECK: %[[COLUMN:.*]] = arith.remui %{{.*}}thread_id
// CHECK-NOT: %[[C]][
// CHECK: arith.minsi
// CHECK: memref.load %[[X]]
// CHECK-NEXT: arith.maximumf
// CHECK: memref.store %{{.*}}, %[[CHUNKS]]
// CHECK-NOT: memref.store
// CHECK: gpu.return
// CHECK: gpu.func @columns_sum(%[[X:.*]]: memref<4096x64xf32> {{{[^}]*}}}, %[[C:.*]]: memref<64xf32> {{{[^}]*}}}, %[[CHUNKS:.*]]: memref<[[N]]x64xf32> {{{[^}]*}}})
// CHECK-NOT: memref.load %[[X]]
// CHECK: memref.load %[[CHUNKS]]
// CHECK-NEXT: arith.maximumf
// CHECK: memref.store %{{.*}}, %[[C]]
// CHECK-NOT: memref.store
// CHECK: gpu.return
func.func @main(%x: memref<4096x64xf32>, %c: memref<64xf32>, %arena: memref<100xi8>)
    attributes {grad.arena_bytes = 100 : i64, grad.command_frame = 0 : i64} {
  call @columns(%x, %c) : (memref<4096x64xf32>, memref<64xf32>) -> ()
  return
}
func.func private @columns(%x: memref<4096x64xf32> {llvm.noalias}, %c: memref<64xf32> {llvm.noalias}) {
  linalg.reduce { arith.maximumf } ins(%x : memref<4096x64xf32>) outs(%c : memref<64xf32>) dimensions = [0]
  return
}

// -----

// Two sums of all elements; kernels that are called one after the other share
// the memory of their chunks.

// CHECK-LABEL: func.func @main(
// CHECK-COUNT-2: memref.view %{{.*}}[%{{.*}}] : memref<[[BYTES:[0-9]+]]xi8> to memref<[[N:[0-9]+]]xf32>
// CHECK: gpu.launch_func @kernels::@full
// CHECK: gpu.launch_func @kernels::@full_sum
// CHECK-NOT: memref.view
// CHECK: gpu.launch_func @kernels::@full
// CHECK: gpu.launch_func @kernels::@full_sum
// CHECK-NEXT: return
// CHECK: gpu.func @full(
// CHECK-SAME: memref<[[N]]xf32> {{{[^}]*}}}, %{{[a-z0-9]*}}: memref<[[N]]xf32> {{{[^}]*}}})
func.func @main(%x: memref<1000x1000xf32>, %s: memref<f32>, %t: memref<f32>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @full(%x, %s, %t) : (memref<1000x1000xf32>, memref<f32>, memref<f32>) -> ()
  call @full(%x, %t, %s) : (memref<1000x1000xf32>, memref<f32>, memref<f32>) -> ()
  return
}
func.func private @full(%x: memref<1000x1000xf32> {llvm.noalias}, %s: memref<f32> {llvm.noalias}, %t: memref<f32> {llvm.noalias}) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%s : memref<f32>)
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> ()>, affine_map<(d0, d1) -> ()>],
                  iterator_types = ["reduction", "reduction"]}
      ins(%x : memref<1000x1000xf32>) outs(%s, %t : memref<f32>, memref<f32>) {
  ^bb0(%e: f32, %sum: f32, %product: f32):
    %a = arith.addf %sum, %e : f32
    %b = arith.mulf %product, %e : f32
    linalg.yield %a, %b : f32, f32
  }
  return
}

// -----

// A reduction that is no single op has one thread for all of it, in order.

// CHECK-LABEL: gpu.func @recurrence(
// CHECK-NOT: gpu.barrier
// CHECK: %[[OLD:.*]] = memref.load
// CHECK: scf.for %{{.*}} = %{{.*}}0 to %{{.*}}1000 step %{{.*}}1 iter_args(%{{.*}} = %[[OLD]])
// CHECK: gpu.return
func.func @main(%x: memref<64x1000xf32>, %r: memref<64xf32>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @recurrence(%x, %r) : (memref<64x1000xf32>, memref<64xf32>) -> ()
  return
}
func.func private @recurrence(%x: memref<64x1000xf32> {llvm.noalias}, %r: memref<64xf32> {llvm.noalias}) {
  linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>],
                  iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<64x1000xf32>) outs(%r : memref<64xf32>) {
  ^bb0(%e: f32, %last: f32):
    %a = arith.mulf %last, %last : f32
    %b = arith.addf %a, %e : f32
    linalg.yield %b : f32
  }
  return
}

// -----

// A number that nobody writes may be loaded by all threads of all blocks.

// CHECK-LABEL: gpu.func @scale(
// CHECK-SAME: known_block_size = array<i32: 256, 1, 1>, known_grid_size = array<i32: 32, 1, 1>
// CHECK: memref.load %{{.*}}[] : memref<f64>
// CHECK-NOT: gpu.barrier
// CHECK: gpu.return
// CHECK-LABEL: gpu.func @unknown(
// CHECK-SAME: known_grid_size = array<i32: 1, 1, 1>
// CHECK: memref.load %{{.*}}[] : memref<f64>
// CHECK-NEXT: gpu.barrier
func.func @main(%a: memref<8192xf64>, %s: memref<f64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @scale(%a, %s) : (memref<8192xf64>, memref<f64>) -> ()
  call @unknown(%a, %s) : (memref<8192xf64>, memref<f64>) -> ()
  return
}
func.func private @scale(%a: memref<8192xf64> {llvm.noalias}, %s: memref<f64> {llvm.noalias}) {
  %x = memref.load %s[] : memref<f64>
  linalg.generic {indexing_maps = [affine_map<(d0) -> ()>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%x : f64) outs(%a : memref<8192xf64>) {
  ^bb0(%b: f64, %c: f64):
    %d = arith.mulf %b, %c : f64
    linalg.yield %d : f64
  }
  return
}
func.func private @unknown(%a: memref<8192xf64>, %s: memref<f64>) {
  %x = memref.load %s[] : memref<f64>
  linalg.generic {indexing_maps = [affine_map<(d0) -> ()>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      ins(%x : f64) outs(%a : memref<8192xf64>) {
  ^bb0(%b: f64, %c: f64):
    %d = arith.mulf %b, %c : f64
    linalg.yield %d : f64
  }
  return
}

// -----

// Arguments, results, constants and most of the arena begin at multiples of 16
// bytes: what all calls of a kernel say of an argument.

// CHECK-LABEL: gpu.func @align(
// CHECK-SAME: %{{[a-z0-9]*}}: memref<4xf64> {llvm.align = 16 : i64}, %{{[a-z0-9]*}}: memref<4xf64>)
func.func @main(%x: memref<4xf64>, %arena: memref<256xi8>)
    attributes {grad.arena_bytes = 256 : i64, grad.command_frame = 0 : i64} {
  %c64 = arith.constant 64 : index
  %c136 = arith.constant 136 : index
  %a = memref.view %arena[%c64][] : memref<256xi8> to memref<4xf64>
  %b = memref.view %arena[%c136][] : memref<256xi8> to memref<4xf64>
  call @align(%x, %x) : (memref<4xf64>, memref<4xf64>) -> ()
  call @align(%a, %b) : (memref<4xf64>, memref<4xf64>) -> ()
  return
}
func.func private @align(%x: memref<4xf64>, %y: memref<4xf64>) {
  linalg.exp ins(%x : memref<4xf64>) outs(%y : memref<4xf64>)
  return
}

// -----

// What many chunks have found is added up by one more kernel, not by two.

// CHECK-LABEL: func.func @main(
// CHECK: gpu.launch_func @kernels::@long_columns
// CHECK-NEXT: gpu.launch_func @kernels::@long_columns_sum
// CHECK-NEXT: return
// CHECK: gpu.func @long_columns_sum(%{{[a-z0-9]*}}: memref<100000x64xf32> {{{[^}]*}}}, %[[C:[a-z0-9]*]]: memref<64xf32>
// CHECK: memref.store %{{.*}}, %[[C]]
// CHECK: gpu.return
func.func @main(%x: memref<100000x64xf32>, %c: memref<64xf32>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64, grad.command_frame = 0 : i64} {
  call @long_columns(%x, %c) : (memref<100000x64xf32>, memref<64xf32>) -> ()
  return
}
func.func private @long_columns(%x: memref<100000x64xf32> {llvm.noalias}, %c: memref<64xf32> {llvm.noalias}) {
  linalg.reduce { arith.addf } ins(%x : memref<100000x64xf32>) outs(%c : memref<64xf32>) dimensions = [0]
  return
}
