// RUN: gradopt %s --grad-emulate-kernels -split-input-file | FileCheck %s

// Kernels become functions, which ask the emulator who they are. Shared memory is
// a part of what a block shares, each at a multiple of 16 bytes.

// CHECK-NOT: gpu.container_module
// CHECK-DAG: func.func private @gradopt_emulated_thread() -> i32
// CHECK-DAG: func.func private @gradopt_emulated_block() -> i32
// CHECK-DAG: func.func private @gradopt_emulated_barrier()
// CHECK-DAG: func.func private @gradopt_emulated_multiply(f64, f64, f64, f64) -> (f64, f64)
// CHECK-NOT: gpu.
// CHECK: func.func private @sum(%[[X:.*]]: memref<8xf64> {llvm.noalias}, %[[N:.*]]: index, %[[SHARED:.*]]: memref<2064xi8>)
// CHECK-SAME: grad.shared_bytes = 2064 : i64
// CHECK-DAG: %[[C0:.*]] = arith.constant 0 : index
// CHECK-DAG: %[[C16:.*]] = arith.constant 16 : index
// CHECK-DAG: %[[A:.*]] = memref.view %[[SHARED]][%[[C0]]][] : memref<2064xi8> to memref<3xf32>
// CHECK-DAG: %[[B:.*]] = memref.view %[[SHARED]][%[[C16]]][] : memref<2064xi8> to memref<256xf64>
// CHECK: %[[T:.*]] = call @gradopt_emulated_thread() : () -> i32
// CHECK-NEXT: %[[THREAD:.*]] = arith.index_cast %[[T]] : i32 to index
// CHECK: %[[K:.*]] = call @gradopt_emulated_block() : () -> i32
// CHECK-NEXT: %[[BLOCK:.*]] = arith.index_cast %[[K]] : i32 to index
// CHECK: memref.store %{{.*}}, %[[B]][%[[THREAD]]] : memref<256xf64>
// CHECK: memref.store %{{.*}}, %[[A]][%{{.*}}] : memref<3xf32>
// CHECK: call @gradopt_emulated_barrier()
// CHECK: memref.load %[[B]][%[[BLOCK]]]
// CHECK: return
// CHECK: func.func private @nothing(%{{.*}}: memref<0xi8>)
// CHECK-SAME: grad.shared_bytes = 0 : i64
// CHECK: func.func private @product(%[[X:.*]]: memref<f64>
// CHECK: %[[A:.*]] = memref.load %[[X]]
// CHECK: %[[SUMS:.*]]:2 = call @gradopt_emulated_multiply(%[[A]], %[[A]], %[[A]], %[[A]])
// CHECK: memref.store %[[SUMS]]#1, %[[X]]
// CHECK-NOT: gpu.
module attributes {gpu.container_module} {
  gpu.module @kernels {
    gpu.func @sum(%x: memref<8xf64> {llvm.noalias}, %n: index)
        workgroup(%a: memref<3xf32, #gpu.address_space<workgroup>>, %b: memref<256xf64, #gpu.address_space<workgroup>>)
        kernel attributes {known_block_size = array<i32: 256, 1, 1>} {
      %t = gpu.thread_id x upper_bound 256
      %k = gpu.block_id x
      %c0 = arith.constant 0 : index
      %zero = arith.constant 0.0 : f32
      %0 = memref.load %x[%n] : memref<8xf64>
      memref.store %0, %b[%t] : memref<256xf64, #gpu.address_space<workgroup>>
      memref.store %zero, %a[%c0] : memref<3xf32, #gpu.address_space<workgroup>>
      gpu.barrier
      %1 = memref.load %b[%k] : memref<256xf64, #gpu.address_space<workgroup>>
      memref.store %1, %x[%n] : memref<8xf64>
      gpu.return
    }
    gpu.func @nothing() kernel {
      gpu.return
    }
    gpu.func @product(%x: memref<f64>) kernel {
      %0 = memref.load %x[] : memref<f64>
      %1 = nvvm.mma.sync A[%0] B[%0] C[%0, %0]
          {layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, shape = #nvvm.shape<m = 8, n = 8, k = 4>}
          : (f64, f64, f64) -> !llvm.struct<(f64, f64)>
      %2 = llvm.extractvalue %1[1] : !llvm.struct<(f64, f64)>
      memref.store %2, %x[] : memref<f64>
      gpu.return
    }
  }
}

// -----

// What another lane has is asked for as a word, with a number for the way.
// CHECK-LABEL: func.func private @exchange
// CHECK: %[[WORD:.*]] = arith.extui %{{.*}} : i32 to i64
// CHECK: call @gradopt_emulated_shuffle(%[[WORD]], %{{.*}}, %c0_i32{{.*}}) : (i64, i32, i32) -> i64
// CHECK: call @gradopt_emulated_shuffle({{.*}}, %c1_i32{{.*}})
// CHECK: call @gradopt_emulated_shuffle({{.*}}, %c2_i32{{.*}})
// CHECK: %[[LAST:.*]] = call @gradopt_emulated_shuffle({{.*}}, %c3_i32{{.*}})
// CHECK: arith.trunci %[[LAST]] : i64 to i32
gpu.module @kernels {
  gpu.func @exchange(%x: memref<i32>) kernel {
    %0 = memref.load %x[] : memref<i32>
    %four = arith.constant 4 : i32
    %width = arith.constant 32 : i32
    %1, %v1 = gpu.shuffle xor %0, %four, %width : i32
    %2, %v2 = gpu.shuffle down %1, %four, %width : i32
    %3, %v3 = gpu.shuffle up %2, %four, %width : i32
    %4, %v4 = gpu.shuffle idx %3, %four, %width : i32
    memref.store %4, %x[] : memref<i32>
    gpu.return
  }
}

// -----

// Of narrow floats, registers go and come by two. Views of shared memory lose
// its space.
// CHECK-LABEL: func.func private @narrow
// CHECK: %[[SHARED:.*]] = memref.view %{{.*}} : memref<64xi8> to memref<64xi8>
// CHECK: memref.view %[[SHARED]]{{.*}} : memref<64xi8> to memref<16xi32>
// CHECK: %[[A:.*]] = llvm.bitcast %{{.*}} : vector<2xf16> to i32
// CHECK: %[[LOW:.*]] = arith.extui %{{.*}} : i32 to i64
// CHECK: %[[UPPER:.*]] = arith.shli %[[LOW]], %c32
// CHECK: arith.ori %{{.*}}, %[[UPPER]]
// CHECK: %[[SUMS:.*]]:2 = call @gradopt_emulated_multiply_narrow(%{{.*}}, %c0_i32{{.*}}) : (i64, i64, i64, i64, i64, i32) -> (i64, i64)
// CHECK: %[[HIGH:.*]] = arith.shrui %[[SUMS]]#1, %c32
// CHECK: %[[BITS:.*]] = arith.trunci %[[HIGH]] : i64 to i32
// CHECK: %[[LAST:.*]] = arith.bitcast %[[BITS]] : i32 to f32
// CHECK: memref.store %[[LAST]]
// CHECK: call @gradopt_emulated_multiply_narrow(%{{.*}}, %c1_i32{{.*}})
gpu.module @kernels {
  gpu.func @narrow(%x: memref<f32>) workgroup(%all: memref<64xi8, #gpu.address_space<workgroup>>) kernel {
    %c0 = arith.constant 0 : index
    %words = memref.view %all[%c0][] : memref<64xi8, #gpu.address_space<workgroup>> to memref<16xi32, #gpu.address_space<workgroup>>
    %b = memref.load %words[%c0] : memref<16xi32, #gpu.address_space<workgroup>>
    %a = llvm.bitcast %b : i32 to vector<2xf16>
    %c = memref.load %x[] : memref<f32>
    %0 = nvvm.mma.sync A[%a, %a, %a, %a] B[%a, %a] C[%c, %c, %c, %c]
        {layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, shape = #nvvm.shape<m = 16, n = 8, k = 16>}
        : (vector<2xf16>, vector<2xf16>, f32) -> !llvm.struct<(f32, f32, f32, f32)>
    %1 = llvm.extractvalue %0[3] : !llvm.struct<(f32, f32, f32, f32)>
    memref.store %1, %x[] : memref<f32>
    %2 = nvvm.mma.sync A[%b, %b, %b, %b] B[%b, %b] C[%c, %c, %c, %c]
        {layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, multiplicandAPtxType = #nvvm.mma_type<bf16>,
         multiplicandBPtxType = #nvvm.mma_type<bf16>, shape = #nvvm.shape<m = 16, n = 8, k = 16>}
        : (i32, i32, f32) -> !llvm.struct<(f32, f32, f32, f32)>
    %3 = llvm.extractvalue %2[0] : !llvm.struct<(f32, f32, f32, f32)>
    memref.store %3, %x[] : memref<f32>
    gpu.return
  }
}
