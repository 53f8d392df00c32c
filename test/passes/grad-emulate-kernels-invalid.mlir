// RUN: gradopt %s --grad-emulate-kernels -split-input-file -verify-diagnostics

gpu.module @kernels {
  gpu.func @unknown(%x: memref<f32>) kernel {
    %0 = memref.load %x[] : memref<f32>
    // expected-error @below {{expected an op that the emulator knows}}
    %1 = gpu.subgroup_reduce add %0 : (f32) -> f32
    gpu.return
  }
}

// -----

gpu.module @kernels {
  // expected-error @below {{expected no private memory}}
  gpu.func @registers() private(%a: memref<4xf32, #gpu.address_space<private>>) kernel {
    gpu.return
  }
}

// -----

gpu.module @kernels {
  // expected-error @below {{expected shared memory of known size}}
  gpu.func @dynamic() workgroup(%a: memref<?xf32, #gpu.address_space<workgroup>>) kernel {
    gpu.return
  }
}

// -----

gpu.module @kernels {
  gpu.func @wide(%x: memref<i64>) kernel {
    %0 = memref.load %x[] : memref<i64>
    %one = arith.constant 1 : i32
    %width = arith.constant 32 : i32
    // expected-error @below {{expected an exchange of 32 bits, but got 'i64'}}
    %1, %valid = gpu.shuffle xor %0, %one, %width : i64
    gpu.return
  }
}

// -----

gpu.module @kernels {
  gpu.func @valid(%x: memref<i32>, %y: memref<i1>) kernel {
    %0 = memref.load %x[] : memref<i32>
    %one = arith.constant 1 : i32
    %width = arith.constant 32 : i32
    // expected-error @below {{expected no use of whether there is another lane}}
    %1, %valid = gpu.shuffle up %0, %one, %width : i32
    memref.store %valid, %y[] : memref<i1>
    gpu.return
  }
}

// -----

gpu.module @kernels {
  gpu.func @integers(%x: memref<i32>) kernel {
    %0 = memref.load %x[] : memref<i32>
    // expected-error @below {{expected matrices of f64, or of 16 x 8 x 16 f16 or bf16}}
    %1 = nvvm.mma.sync A[%0] B[%0] C[%0, %0]
        {intOverflowBehavior = #nvvm.mma_int_overflow<wrapped>, layoutA = #nvvm.mma_layout<row>,
         layoutB = #nvvm.mma_layout<col>, multiplicandAPtxType = #nvvm.mma_type<s8>,
         multiplicandBPtxType = #nvvm.mma_type<s8>, shape = #nvvm.shape<m = 8, n = 8, k = 16>}
        : (i32, i32, i32) -> !llvm.struct<(i32, i32)>
    gpu.return
  }
}

// -----

gpu.module @kernels {
  gpu.func @whole(%x: memref<f64>, %y: !llvm.ptr) kernel {
    %0 = memref.load %x[] : memref<f64>
    %1 = nvvm.mma.sync A[%0] B[%0] C[%0, %0]
        {layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, shape = #nvvm.shape<m = 8, n = 8, k = 4>}
        : (f64, f64, f64) -> !llvm.struct<(f64, f64)>
    // expected-error @below {{expected a part of a product}}
    llvm.store %1, %y : !llvm.struct<(f64, f64)>, !llvm.ptr
    gpu.return
  }
}
