// RUN: gradopt %s --grad-emit-commands=remarks=1 -verify-diagnostics | FileCheck %s

// Kernels of a device are known with their blocks and threads. What the list needs of a number
// that one of them has stored is read back; sums, minima and maxima are on the host. A number of
// the call has the place of a buffer; what the arena has where sizes are open, the table does not
// tell.

// CHECK-NOT: @main
// CHECK: @gradopt_commands
// CHECK-SAME: grad.arena_bytes = 8589934656 : i64, grad.kernels = {{\[}}["first", 1, 32], ["gemm_f64_nn", 4, 256], ["second", 8, 256]], grad.least_room = 100 : i64
module attributes {gpu.container_module} {
  func.func private @gradopt_has_library() -> i1
  func.func private @gradopt_gemm_batched_f64(i64, i64, i64, i64, i64, index, i64, index, i64, index, i64, f64, i64, i64, i64, i64)
  func.func @main(%x: memref<4x4xf64>, %y: memref<4x4xf64>, %parts: index, %arena: memref<64xi8>)
      attributes {grad.arena_bytes = 8589934656 : i64, grad.command_frame = 0 : i64,
                  grad.least_room = 100 : i64, grad.open_sizes = array<i64>} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c4 = arith.constant 4 : index
    %c8 = arith.constant 8 : index
    %c32 = arith.constant 32 : index
    %c256 = arith.constant 256 : index
    %zero = arith.constant 0 : i64
    %one = arith.constant 1 : i64
    %four = arith.constant 4 : i64
    %beta = arith.constant 0.0 : f64
    %slot = memref.view %arena[%c8][] : memref<64xi8> to memref<index>
    // expected-remark @below {{0: launch @first<1 x 32>(buffer0, arena + 8)}}
    gpu.launch_func @kernels::@first blocks in (%c1, %c1, %c1) threads in (%c32, %c1, %c1)
        args(%x : memref<4x4xf64>, %slot : memref<index>)
    // expected-remark @below {{r0 = read (arena + 8, 8)}}
    %n = memref.load %slot[] : memref<index>
    // expected-remark @below {{r1 = minimum (r0, 4)}}
    %least = arith.minsi %n, %c4 : index
    // expected-remark @below {{r2 = maximum (r1, 0)}}
    %most = arith.maxsi %least, %c0 : index
    %from = memref.extract_aligned_pointer_as_index %x : memref<4x4xf64> -> index
    %to = memref.extract_aligned_pointer_as_index %y : memref<4x4xf64> -> index
    // expected-remark @below {{gemm f64 or @gemm_f64_nn<4 x 256>(0, 0, 4, 4, 4, buffer0, 4, buffer0, 4, buffer1, 4, 0, 1, 0, 4, 0)}}
    func.call @gradopt_gemm_batched_f64(%zero, %zero, %four, %four, %four, %from, %four, %from, %four, %to, %four, %beta, %one, %zero, %four, %zero)
        {grad.kernel = ["gemm_f64_nn", 4, 256]}
        : (i64, i64, i64, i64, i64, index, i64, index, i64, index, i64, f64, i64, i64, i64, i64) -> ()
    // expected-remark @below {{r3 = has library}}
    %library = func.call @gradopt_has_library() : () -> i1
    // expected-remark @below {{r4 = maximum (buffer2, r2)}}
    %more = arith.maxsi %parts, %most : index
    // expected-remark @below {{launch @second<8 x 256>(buffer1, r4)}}
    gpu.launch_func @kernels::@second blocks in (%c8, %c1, %c1) threads in (%c256, %c1, %c1)
        args(%y : memref<4x4xf64>, %more : index)
    // expected-remark @below {{end}}
    return
  }
  gpu.module @kernels {
    gpu.func @first(%x: memref<4x4xf64>, %n: memref<index>) kernel {
      gpu.return
    }
    gpu.func @second(%y: memref<4x4xf64>, %n: index) kernel {
      gpu.return
    }
  }
}
