// RUN: gradopt %s --grad-outline-kernels=for-device=1 -split-input-file | FileCheck %s
// RUN: gradopt %s --grad-outline-kernels="for-device=1 min-commands=100" -split-input-file | FileCheck %s

// Each program becomes a list, however short. Nests and loops that one block of
// threads can do are one kernel, with their fills; copies of blocks stay.

// CHECK-LABEL: func.func @small(
// CHECK-SAME: grad.command_frame = 0
// CHECK-NOT: linalg
// CHECK-NOT: scf
// CHECK: call @[[KERNEL:kernel[_0-9]*]](
// CHECK-NEXT: memref.copy
// CHECK-NEXT: return
func.func @small(%x: memref<16xf64>, %y: memref<64x64xf64>, %z: memref<64x64xf64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %zero = arith.constant 0.0 : f64
  linalg.fill ins(%zero : f64) outs(%x : memref<16xf64>)
  linalg.exp ins(%x : memref<16xf64>) outs(%x : memref<16xf64>)
  scf.for %i = %c0 to %c9 step %c1 {
    linalg.exp ins(%y : memref<64x64xf64>) outs(%y : memref<64x64xf64>)
  }
  memref.copy %y, %z : memref<64x64xf64> to memref<64x64xf64>
  return
}
// CHECK: func.func private @[[KERNEL]](
// CHECK: linalg.fill
// CHECK-NEXT: linalg.exp
// CHECK-NEXT: scf.for
// CHECK-NEXT: linalg.exp

// -----

// A nest of more iterations is a kernel of its own, with its fills, and a loop
// around it a list. Small ones beside it are together.

// CHECK-LABEL: func.func @large(
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<16xf64>, %[[Y:[a-z0-9]+]]: memref<8192xf64>, %[[N:[a-z0-9]+]]: memref<index>
// CHECK: %[[M:.*]] = call @[[FIRST:kernel[_0-9]*]](%[[N]], %[[X]]) : (memref<index>, memref<16xf64>) -> index
// CHECK-NEXT: call @[[FILLED:kernel[_0-9]*]](%[[Y]])
// CHECK-NEXT: scf.for {{.*}} to %[[M]]
// CHECK-NEXT: call @[[LARGE:kernel[_0-9]*]](%[[Y]])
// CHECK-NEXT: call @[[SMALL:kernel[_0-9]*]](%[[X]])
// CHECK-NEXT: }
// CHECK-NEXT: call @[[SMALL]](%[[X]])
// CHECK-NEXT: memref.extract_aligned_pointer_as_index
// CHECK-NEXT: call @gradopt_gemm_f64
// CHECK-NEXT: call @[[FILL:kernel[_0-9]*]](%[[X]])
// CHECK-NEXT: return
func.func private @gradopt_gemm_f64(i64, i64, i64, i64, i64, index, i64, index, i64, index, i64, f64)
func.func @large(%x: memref<16xf64>, %y: memref<8192xf64>, %n: memref<index>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f64
  %one = arith.constant 1 : i64
  %m = memref.load %n[] : memref<index>
  linalg.exp ins(%x : memref<16xf64>) outs(%x : memref<16xf64>)
  linalg.fill ins(%zero : f64) outs(%y : memref<8192xf64>)
  linalg.exp ins(%y : memref<8192xf64>) outs(%y : memref<8192xf64>)
  scf.for %i = %c0 to %m step %c1 {
    linalg.exp ins(%y : memref<8192xf64>) outs(%y : memref<8192xf64>)
    linalg.exp ins(%x : memref<16xf64>) outs(%x : memref<16xf64>)
    linalg.log ins(%x : memref<16xf64>) outs(%x : memref<16xf64>)
  }
  linalg.exp ins(%x : memref<16xf64>) outs(%x : memref<16xf64>)
  linalg.log ins(%x : memref<16xf64>) outs(%x : memref<16xf64>)
  %from = memref.extract_aligned_pointer_as_index %x : memref<16xf64> -> index
  func.call @gradopt_gemm_f64(%one, %one, %one, %one, %one, %from, %one, %from, %one, %from, %one, %zero)
      : (i64, i64, i64, i64, i64, index, i64, index, i64, index, i64, f64) -> ()
  linalg.fill ins(%zero : f64) outs(%x : memref<16xf64>)
  return
}
// CHECK: func.func private @[[FIRST]](
// CHECK-NEXT: memref.load
// CHECK-NEXT: linalg.exp
// CHECK-NEXT: return %{{.*}} : index
// CHECK: func.func private @[[FILLED]](
// CHECK: linalg.fill
// CHECK-NEXT: linalg.exp
// CHECK-NEXT: return
// CHECK: func.func private @[[LARGE]](
// CHECK-NEXT: linalg.exp
// CHECK-NEXT: return
// CHECK: func.func private @[[SMALL]](
// CHECK-NEXT: linalg.exp
// CHECK-NEXT: linalg.log
// CHECK-NEXT: return
// CHECK: func.func private @[[FILL]](

// -----

// Large fills are not for the block that does what follows: they are divided
// themselves, or together with what they are for.

// CHECK-LABEL: func.func @large_fills(
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<16xf64>, %[[Y:[a-z0-9]+]]: memref<8192xf64>, %[[Z:[a-z0-9]+]]: memref<8192xf64>
// CHECK: call @[[FILL:kernel[_0-9]*]](%[[Y]])
// CHECK-NEXT: call @[[EXP:kernel[_0-9]*]](%[[X]])
// CHECK-NEXT: call @[[BOTH:kernel[_0-9]*]](%[[Y]], %[[Z]])
// CHECK-NEXT: return
func.func @large_fills(%x: memref<16xf64>, %y: memref<8192xf64>, %z: memref<8192xf64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64} {
  %zero = arith.constant 0.0 : f64
  linalg.fill ins(%zero : f64) outs(%y : memref<8192xf64>)
  linalg.exp ins(%x : memref<16xf64>) outs(%x : memref<16xf64>)
  linalg.fill ins(%zero : f64) outs(%y : memref<8192xf64>)
  linalg.fill ins(%zero : f64) outs(%z : memref<8192xf64>)
  linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]}
      outs(%y, %z : memref<8192xf64>, memref<8192xf64>) {
  ^bb0(%a: f64, %b: f64):
    linalg.yield %b, %a : f64, f64
  }
  return
}
// CHECK: func.func private @[[FILL]](
// CHECK: linalg.fill
// CHECK-NEXT: return
// CHECK: func.func private @[[EXP]](
// CHECK-NEXT: linalg.exp
// CHECK-NEXT: return
// CHECK: func.func private @[[BOTH]](
// CHECK: linalg.fill
// CHECK-NEXT: linalg.fill
// CHECK-NEXT: linalg.generic

// -----

// The views of a loop are buffers of its kernel, where they do not depend on
// the iteration.

// CHECK-LABEL: func.func @views(
// CHECK-SAME: %[[X:[a-z0-9]+]]: memref<16xf64>, %[[N:[a-z0-9]+]]: memref<index>, %[[ARENA:[a-z0-9]+]]: memref<256xi8>
// CHECK: %[[VIEW:.*]] = memref.view %[[ARENA]]
// CHECK-NEXT: call @[[KERNEL:kernel[_0-9]*]](%[[N]], %[[X]], %[[VIEW]])
// CHECK-NEXT: return
// CHECK: func.func private @[[KERNEL]](%{{.*}}: memref<index> {llvm.noalias}, %[[P:.*]]: memref<16xf64> {llvm.noalias}, %[[Q:.*]]: memref<16xf64> {llvm.noalias})
// CHECK: scf.for
// CHECK-NEXT: linalg.exp ins(%[[P]] : memref<16xf64>) outs(%[[Q]] : memref<16xf64>)
func.func @views(%x: memref<16xf64>, %n: memref<index>, %arena: memref<256xi8>) attributes {grad.arena_bytes = 256 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %m = memref.load %n[] : memref<index>
  scf.for %i = %c0 to %m step %c1 {
    %c64 = arith.constant 64 : index
    %v = memref.view %arena[%c64][] : memref<256xi8> to memref<16xf64>
    linalg.exp ins(%x : memref<16xf64>) outs(%v : memref<16xf64>)
    linalg.exp ins(%v : memref<16xf64>) outs(%x : memref<16xf64>)
  }
  return
}

// -----

// Buffers of one kernel that share memory say so.

// CHECK-LABEL: func.func @overlap(
// CHECK: call @[[KERNEL:kernel[_0-9]*]](
// CHECK: func.func private @[[KERNEL]](%{{.*}}: memref<16xf64> {llvm.noalias}, %{{[a-z0-9]*}}: memref<16xf64>, %{{[a-z0-9]*}}: memref<8xf64>)
func.func @overlap(%x: memref<16xf64>, %arena: memref<256xi8>) attributes {grad.arena_bytes = 256 : i64} {
  %c64 = arith.constant 64 : index
  %c128 = arith.constant 128 : index
  %v = memref.view %arena[%c64][] : memref<256xi8> to memref<16xf64>
  %w = memref.view %arena[%c128][] : memref<256xi8> to memref<8xf64>
  linalg.exp ins(%x : memref<16xf64>) outs(%v : memref<16xf64>)
  linalg.log ins(%w : memref<8xf64>) outs(%w : memref<8xf64>)
  return
}

// -----

// Branches are kernels or lists as loops are. A number that a list needs comes
// from a kernel, and so does a condition.

// CHECK-LABEL: func.func @branches(
// CHECK: %[[FLAG:.*]] = call @{{kernel[_0-9]*}}(
// CHECK-NEXT: scf.if %[[FLAG]] {
// CHECK-NEXT: call
// CHECK-NEXT: }
// CHECK-NEXT: call @[[SMALL:kernel[_0-9]*]](%{{.*}}, %[[FLAG]])
// CHECK-NEXT: return
// CHECK: func.func private @[[SMALL]](
// CHECK: scf.if
func.func @branches(%x: memref<16xf64>, %y: memref<8192xf64>, %flag: memref<i1>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64} {
  %c = memref.load %flag[] : memref<i1>
  scf.if %c {
    linalg.exp ins(%y : memref<8192xf64>) outs(%y : memref<8192xf64>)
  }
  scf.if %c {
    linalg.exp ins(%x : memref<16xf64>) outs(%x : memref<16xf64>)
  }
  return
}

// -----

// A call of the host is a command, between kernels; a loop with one is a list.

// CHECK-LABEL: func.func @host_calls(
// CHECK: call @kernel
// CHECK: scf.for
// CHECK-NEXT: grad.custom_call_into
// CHECK-NEXT: call @kernel
// CHECK: return
func.func @host_calls(%x: memref<16xf64>, %y: memref<16xf64>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  linalg.exp ins(%x : memref<16xf64>) outs(%x : memref<16xf64>)
  scf.for %i = %c0 to %c9 step %c1 {
    grad.custom_call_into "f", target = 0 (%x) outs(%y) : (memref<16xf64>, memref<16xf64>) -> ()
    linalg.exp ins(%y : memref<16xf64>) outs(%x : memref<16xf64>)
  }
  return
}

// -----

#mk = affine_map<(m, n, k) -> (m, k)>
#kn = affine_map<(m, n, k) -> (k, n)>
#mn = affine_map<(m, n, k) -> (m, n)>

// A product, what it begins with and its epilogue are one kernel; the question
// for a library is a command.

// CHECK-LABEL: func.func @epilogue(
// CHECK-SAME: %[[A:.*]]: memref<128x128xf32>, %[[C:.*]]: memref<128x128xf32>
// CHECK: %[[LIBRARY:.*]] = call @gradopt_has_library() : () -> i1
// CHECK-NEXT: scf.if %[[LIBRARY]] {
// CHECK-NEXT: func.call @[[ALONE:.*]](%[[C]])
// CHECK-NEXT: } else {
// CHECK-NEXT: func.call @[[BOTH:.*]](%[[C]], %[[A]])
// CHECK-NEXT: }
// CHECK-NEXT: return
// CHECK: func private @[[ALONE]](
// CHECK-NEXT: linalg.exp
// CHECK-NEXT: return
// CHECK: func private @[[BOTH]](
// CHECK: linalg.fill
// CHECK-NEXT: linalg.generic
// CHECK: linalg.exp {grad.epilogue}
func.func private @gradopt_has_library() -> i1
func.func @epilogue(%a: memref<128x128xf32>, %c: memref<128x128xf32>, %arena: memref<0xi8>)
    attributes {grad.arena_bytes = 0 : i64} {
  %zero = arith.constant 0.0 : f32
  %library = call @gradopt_has_library() : () -> i1
  scf.if %library {
    linalg.exp ins(%c : memref<128x128xf32>) outs(%c : memref<128x128xf32>)
  } else {
    linalg.fill ins(%zero : f32) outs(%c : memref<128x128xf32>)
    linalg.generic {indexing_maps = [#mk, #kn, #mn], iterator_types = ["parallel", "parallel", "reduction"]}
        ins(%a, %a : memref<128x128xf32>, memref<128x128xf32>) outs(%c : memref<128x128xf32>) {
    ^bb0(%x: f32, %y: f32, %z: f32):
      %0 = arith.mulf %x, %y : f32
      %1 = arith.addf %z, %0 : f32
      linalg.yield %1 : f32
    }
    linalg.exp {grad.epilogue} ins(%c : memref<128x128xf32>) outs(%c : memref<128x128xf32>)
  }
  return
}
