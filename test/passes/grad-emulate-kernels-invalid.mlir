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
