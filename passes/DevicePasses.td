//===- DevicePasses.td - From bufferized to a GPU ----------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_DEVICEPASSES_TD
#define GRADOPT_PASSES_DEVICEPASSES_TD

include "mlir/Pass/PassBase.td"

def GradSplitComplexProducts
    : Pass<"grad-split-complex-products", "::mlir::func::FuncOp"> {
  let summary = "Multiply large complex matrices by products of their parts";
  let description = [{
    For a GPU, which has libraries, and kernels with tiles in shared memory, for
    products of real numbers:

    ```mlir
    %c = grad.dot_general %a, %b, batch = [] x [], contract = [1] x [0]
        : tensor<128x128xcomplex<f64>>, tensor<128x128xcomplex<f64>> -> tensor<128x128xcomplex<f64>>
    ```
    =>
    ```mlir
    %ar = grad.convert %a to f64 : tensor<128x128xcomplex<f64>>
    %ai = grad.imag %a : tensor<128x128xcomplex<f64>> -> tensor<128x128xf64>
    ...
    %re = grad.add %ar_br, %minus_ai_bi : tensor<128x128xf64>
    %im = grad.add %ar_bi, %ai_br : tensor<128x128xf64>
    %c = grad.complex %re, %im : tensor<128x128xf64>
    ```
    Smaller products stay what they are, loops of one kernel: their parts would
    be several.
  }];
  let dependentDialects = ["::mlir::grad::GradDialect"];
  let options = [
    Option<"threshold", "threshold", "int64_t", /*default=*/"1 << 20",
           "Fewest multiplications of complex numbers that are divided">
  ];
  let statistics = [
    Statistic<"numSplit", "num-split", "Products that were divided">
  ];
}

def GradResultsToSlots : Pass<"grad-results-to-slots", "::mlir::ModuleOp"> {
  let summary = "Let kernels return numbers through memory";
  let description = [{
    A kernel on a GPU returns nothing. In a list of commands, what kernels return
    gets a place in the arena. A kernel that uses such a number loads it; where
    the list uses it, for a branch or an address, it is loaded by the list, which
    waits for the device:

    ```mlir
    %n, %x = func.call @kernel(%a) : (memref<4xf64>) -> (index, f64)
    scf.for %i = %c0 to %n step %c1 {
      func.call @kernel_0(%b, %x) : (memref<4xf64>, f64) -> ()
    }
    ```
    =>
    ```mlir
    %slot = memref.view %arena[%c512][] : memref<528xi8> to memref<index>
    %slot_0 = memref.view %arena[%c520][] : memref<528xi8> to memref<f64>
    func.call @kernel(%a, %slot, %slot_0)
    %n = memref.load %slot[] : memref<index>
    scf.for %i = %c0 to %n step %c1 {
      func.call @kernel_0(%b, %slot_0) : (memref<4xf64>, memref<f64>) -> ()
    }
    ```
  }];
  let statistics = [
    Statistic<"numSlots", "num-slots", "Numbers that got a place">,
    Statistic<"numReads", "num-reads", "Numbers that lists read back">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::memref::MemRefDialect"
  ];
}

def GradKernelsToGpu : Pass<"grad-kernels-to-gpu", "::mlir::ModuleOp"> {
  let summary = "Make the kernels of lists of commands kernels of a GPU";
  let description = [{
    Each function that a list of commands calls becomes a `gpu.func`, with a
    number of blocks and threads of its own:

      * A nest of loops by itself is divided among all threads. Neighbours access
        neighbouring elements; large elementwise nests several each. The threads
        that share a reduction add up in a fixed order.
      * Of a loop whose iterations may run at once, each is for a block. Where it
        has nests over rows (`grad.row_loops`), a thread keeps the same columns
        of a row in all nests, in registers.
      * Of a product, each block calculates a tile, and then the epilogue that
        follows in the same kernel.
      * Of small matrices that are factored, each row is for a thread.
      * Of other kernels, one block goes through the ops together, divides each
        nest, and waits after each; a kernel without nests is for one thread.

    ```mlir
    func.call @kernel(%a, %b) : (memref<1024xf32>, memref<1024xf32>) -> ()
    ```
    =>
    ```mlir
    gpu.launch_func @kernels::@kernel blocks in (%c4, %c1, %c1)
        threads in (%c256, %c1, %c1)
        args(%a : memref<1024xf32>, %b : memref<1024xf32>)
    ```
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::gpu::GPUDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::LLVM::LLVMDialect", "::mlir::memref::MemRefDialect",
    "::mlir::NVVM::NVVMDialect", "::mlir::scf::SCFDialect"
  ];
}

def GradEmulateKernels : Pass<"grad-emulate-kernels", "::mlir::ModuleOp"> {
  let summary = "Make the kernels of a GPU functions of this machine";
  let description = [{
    Each `gpu.func` becomes a function that one thread of the GPU goes through,
    which asks who it is and waits for the others by calls of an emulator:

    ```mlir
    gpu.func @kernel(%a: memref<4xf64>) kernel {
      %0 = gpu.thread_id x
      gpu.barrier
    ```
    =>
    ```mlir
    func.func @kernel(%a: memref<4xf64>, %shared: memref<0xi8>) {
      %0 = func.call @gradopt_emulated_thread() : () -> i32
      func.call @gradopt_emulated_barrier() : () -> ()
    ```
    The last parameter is the memory that the threads of a block share. So is
    `nvvm.mma.sync` of f64, or of narrow floats, a call of all threads of a warp.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::memref::MemRefDialect"
  ];
}

def ConvertKernelsToNvvm
    : Pass<"convert-kernels-to-nvvm", "::mlir::gpu::GPUModuleOp"> {
  let summary = "Lower kernels of a GPU to the LLVM dialect with NVVM";
  let description = [{
    One conversion for the gpu, scf, cf, affine, arith, math, memref and func
    dialects in a `gpu.module`. Buffers become bare pointers. What LLVM has an
    exact intrinsic for becomes one.

    ```mlir
    gpu.func @kernel(%x: memref<4xf64>) kernel {
      %0 = gpu.thread_id x
    ```
    =>
    ```mlir
    llvm.func @kernel(%x: !llvm.ptr) attributes {gpu.kernel, nvvm.kernel} {
      %0 = nvvm.read.ptx.sreg.tid.x : i32
    ```
  }];
  let dependentDialects = [
    "::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect",
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::cf::ControlFlowDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect"
  ];
}

def GradFinishKernels : Pass<"grad-finish-kernels"> {
  let summary = "Give kernels parameters of 64 bits, as commands pass them";
  let description = [{
    In a `gpu.module` in the LLVM dialect, each parameter of a kernel that is
    neither a pointer nor 64 bits wide becomes so, and bools in memory become
    bytes. In a module of emulated kernels, each gets an entry that takes the
    array of parameters, and tells the emulator of each access to memory.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

#endif // GRADOPT_PASSES_DEVICEPASSES_TD
