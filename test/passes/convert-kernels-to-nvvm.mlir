// RUN: gradopt %s --pass-pipeline='builtin.module(gpu.module(convert-kernels-to-nvvm))' | FileCheck %s

// Buffers are bare pointers, numbers of threads special registers.

// CHECK-LABEL: gpu.module @kernels
// Shared memory lies in the module.
// CHECK: llvm.mlir.global internal @[[SHARED:.*]]() {{.*}}addr_space = 3
// CHECK: llvm.func @kernel(%{{.*}}: !llvm.ptr {llvm.align = 16 : i64, llvm.noalias}, %{{.*}}: i64, %{{.*}}: f32)
// CHECK-SAME: gpu.kernel
// CHECK-SAME: nvvm.kernel
// CHECK-DAG: nvvm.read.ptx.sreg.tid.x
// CHECK-DAG: nvvm.read.ptx.sreg.ctaid.x
// CHECK-DAG: llvm.mlir.addressof @[[SHARED]] : !llvm.ptr<3>
// CHECK: llvm.getelementptr
// CHECK: llvm.load
// CHECK: nvvm.barrier
// CHECK: llvm.return
gpu.module @kernels {
  gpu.func @kernel(%x: memref<8xf64> {llvm.align = 16 : i64, llvm.noalias}, %n: index, %a: f32)
      workgroup(%s: memref<256xf64, #gpu.address_space<workgroup>>)
      kernel attributes {known_block_size = array<i32: 256, 1, 1>, known_grid_size = array<i32: 4, 1, 1>} {
    %t = gpu.thread_id x upper_bound 256
    %k = gpu.block_id x
    %0 = memref.load %x[%n] : memref<8xf64>
    memref.store %0, %s[%t] : memref<256xf64, #gpu.address_space<workgroup>>
    gpu.barrier
    %1 = memref.load %s[%k] : memref<256xf64, #gpu.address_space<workgroup>>
    memref.store %1, %x[%n] : memref<8xf64>
    gpu.return
  }

  // What LLVM has an intrinsic for needs none of CUDA's library.
  // CHECK-LABEL: llvm.func @math(
  // CHECK-NOT: __nv_
  // CHECK-DAG: llvm.intr.fabs
  // CHECK-DAG: llvm.intr.sqrt
  // CHECK-DAG: llvm.intr.floor
  // CHECK-DAG: llvm.intr.ceil
  // CHECK-DAG: llvm.intr.roundeven
  // CHECK-DAG: llvm.intr.maximum
  // CHECK-NOT: __nv_
  // CHECK: llvm.return
  gpu.func @math(%x: memref<8xf32>) kernel {
    %c0 = arith.constant 0 : index
    %0 = memref.load %x[%c0] : memref<8xf32>
    %1 = math.absf %0 : f32
    %2 = math.sqrt %1 : f32
    %3 = math.floor %2 : f32
    %4 = math.ceil %3 : f32
    %5 = math.roundeven %4 : f32
    %6 = arith.maximumf %5, %0 : f32
    memref.store %6, %x[%c0] : memref<8xf32>
    gpu.return
  }

  // Loops and branches become blocks.
  // CHECK-LABEL: llvm.func @loops(
  // CHECK: llvm.cond_br
  // CHECK: llvm.switch %{{.*}} : i64
  // CHECK: llvm.return
  gpu.func @loops(%x: memref<8xf32>, %n: index) kernel {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %one = arith.constant 1.0 : f32
    scf.for %i = %c0 to %n step %c1 {
      scf.index_switch %i
      case 3 {
        memref.store %one, %x[%i] : memref<8xf32>
        scf.yield
      }
      default {
        scf.yield
      }
    }
    gpu.return
  }
}
