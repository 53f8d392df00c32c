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
