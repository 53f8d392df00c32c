//===- BufferizedPasses.td - From linalg to bufferized -----*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_BUFFERIZED_PASSES_TD
#define GRADOPT_PASSES_BUFFERIZED_PASSES_TD

include "mlir/Pass/PassBase.td"

def GradResultsToDestinations : Pass<"grad-results-to-destinations", "::mlir::ModuleOp"> {
  let summary = "Write the results of public functions to caller-provided buffers";
  let description = [{
    Turns each tensor result of a public function into a trailing `memref`
    argument, marked `grad.result`, that the function writes, and marks the
    other arguments as read-only. Run before bufferization, this lets
    `grad-bufferize` compute results in place; a result that is an
    argument, a constant, or the same value as another result becomes a copy.

    ```mlir
    func.func @main(%x: tensor<4xf64>) -> tensor<4xf64> {
      ...
      return %y : tensor<4xf64>
    }
    // becomes
    func.func @main(%x: tensor<4xf64> {bufferization.writable = false},
                    %out: memref<4xf64> {grad.result}) {
      ...
      bufferization.materialize_in_destination %y in restrict writable %out
      return
    }
    ```

    An argument with the attribute `grad.reused_for = n` is overwritten with
    result number `n`, of its type, which is no argument of its own then. The
    result is computed in it where nothing reads the old value afterwards.
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect",
                           "::mlir::memref::MemRefDialect",
                           "::mlir::tensor::TensorDialect"];
}

def GradCarryInPlace : Pass<"grad-carry-in-place", "::mlir::func::FuncOp"> {
  let summary = "Let loops on tensors write each next value to the one before";
  let description = [{
    Bufferization wants what a loop carries to stay in one buffer. A value that
    is computed anew is computed there:

    ```mlir
    scf.for ... iter_args(%x = %x0) -> tensor<4xf64> {
      %0 = linalg.generic {...} ins(%x) outs(%empty) { math.tanh }
      scf.yield %0 : tensor<4xf64>
    }
    // becomes
    scf.for ... iter_args(%x = %x0) -> tensor<4xf64> {
      %0 = linalg.generic {...} ins(%x) outs(%x) { math.tanh }
      scf.yield %0 : tensor<4xf64>
    }
    ```
    Where somebody else reads the old value meanwhile, `%empty` becomes an
    allocation, and a `tensor.insert_slice` at the end of the iteration writes
    the new value over the old one. Branches write to one tensor, and while
    loops pass on their tensors in the same places.

    A loop that fills a tensor which is inserted into another one behind it, and
    is of no other use, writes to the other one:

    ```mlir
    %e = tensor.empty() : tensor<4xf64>
    %r = scf.for %j ... iter_args(%t = %e) -> tensor<4xf64> {
      %0 = tensor.insert %x into %t[%j] : tensor<4xf64>
      scf.yield %0 : tensor<4xf64>
    }
    %u = tensor.insert_slice %r into %s[%i, 0] [1, 4] [1, 1]
    // becomes
    %u = scf.for %j ... iter_args(%t = %s) -> tensor<9x4xf64> {
      %0 = tensor.insert %x into %t[%i, %j] : tensor<9x4xf64>
      scf.yield %0 : tensor<9x4xf64>
    }
    ```
    Only what it fills is written then, which may be less than all of it.
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect",
                           "::mlir::scf::SCFDialect",
                           "::mlir::tensor::TensorDialect"];
}

def GradBufferize : Pass<"grad-bufferize", "::mlir::ModuleOp"> {
  let summary = "Turn tensors into buffers, updated in place where their values die";
  let description = [{
    Upstream's `eliminate-empty-tensors` and `one-shot-bufferize`, with function
    boundaries and identity layouts, but with an analysis that takes time in
    proportion to the length of a function: in program order, an operation
    updates an operand in place if nothing reads a value of the same buffer
    later. Inside of loops and branches, and in programs with calls, upstream's
    analysis decides.

    ```mlir
    %e = tensor.empty() : tensor<4xf64>
    %0 = linalg.fill ins(%zero : f64) outs(%e : tensor<4xf64>) -> tensor<4xf64>
    %1 = tensor.insert_slice %x into %0[1] [2] [1] : tensor<2xf64> into tensor<4xf64>
    ```
    =>
    ```mlir
    %0 = memref.alloc() : memref<4xf64>
    linalg.fill ins(%zero : f64) outs(%0 : memref<4xf64>)
    %1 = memref.subview %0[1] [2] [1] : memref<4xf64> to memref<2xf64, strided<[1], offset: 1>>
    memref.copy %x, %1 : memref<2xf64> to memref<2xf64, strided<[1], offset: 1>>
    ```
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect",
                           "::mlir::memref::MemRefDialect",
                           "::mlir::tensor::TensorDialect"];
}

def GradSwapBuffers : Pass<"grad-swap-buffers", "::mlir::func::FuncOp"> {
  let summary = "Let loops swap two buffers where they would copy one to the other";
  let description = [{
    A loop whose next value is computed beside the one before, and copied, takes
    turns with two buffers:

    ```mlir
    scf.for ... {
      %t = memref.alloc() : memref<4096xf64>
      linalg.generic {...} ins(%x) outs(%t) { ... }
      memref.copy %t, %x
    }
    // becomes
    %y = memref.alloc() : memref<4096xf64>
    %r:2 = scf.for ... iter_args(%p = %x, %q = %y) {
      linalg.generic {...} ins(%p) outs(%q) { ... }
      scf.yield %q, %p
    }
    memref.copy %r#0, %x
    ```
    Buffers of less than 16 KiB are copied.
  }];
  let statistics = [
    Statistic<"numSwaps", "num-swaps", "Copies that became swaps">
  ];
  let dependentDialects = ["::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"];
}

def GradBlockLoops : Pass<"grad-block-loops", "::mlir::func::FuncOp"> {
  let summary = "Run linalg ops over large buffers block by block";
  let description = [{
    Ops that follow each other with an outermost loop of the same size share one
    loop over blocks of it, so that an op finds in the cache what the one before
    left there. Temporaries shrink to one block.

    ```mlir
    linalg.generic ins(%x) outs(%max) { maximumf }
    linalg.generic ins(%x, %max) outs(%y) { subf, exp }
    ```
    =>
    ```mlir
    scf.for %i = %c0 to %c1000 step %c8 {
      %xi = memref.subview %x[%i, 0] [8, 1000] [1, 1]
      ...
      linalg.generic ins(%xi) outs(%maxi) { maximumf }
      linalg.generic ins(%xi, %maxi) outs(%yi) { subf, exp }
    }
    ```
    Matrix products stay whole.

    With `for-device`, blocks are small and run at once, `grad.parallel`. There,
    as many of the outermost loops as `grad.row_loops` says become this one loop,
    and loops over a number of rows that the call tells run at once, too, if each
    iteration writes rows of its own or adds to sums.
  }];
  let options = [
    Option<"forDevice", "for-device", "bool", /*default=*/"false",
           "make loops whose blocks run at once, on a GPU">
  ];
  let statistics = [
    Statistic<"numGroups", "num-groups", "Number of loops over blocks made">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect",
    "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect"
  ];
}

def GradPlanMemory : Pass<"grad-plan-memory", "::mlir::ModuleOp"> {
  let summary = "Put all temporaries of a function into one statically sized arena";
  let description = [{
    Replaces every allocation of a public function on memrefs by a view of one
    arena, `memref<Nxi8>`, which becomes the last argument (also if N is 0). N is
    recorded as the function attribute `grad.arena_bytes`. Buffers that are not
    live at the same time share memory; a buffer that dies in the elementwise
    operation that writes another may be overwritten in place; temporaries that
    end in a result are computed in the memory of the result.

    ```mlir
    func.func @main(%x: memref<4xf64>, %out: memref<f64>) {
      %t = memref.alloc() : memref<4xf64>
      ...
    }
    // becomes
    func.func @main(%x: memref<4xf64>, %out: memref<f64>, %arena: memref<32xi8>)
        attributes {grad.arena_bytes = 32 : i64} {
      %c0 = arith.constant 0 : index
      %t = memref.view %arena[%c0][] : memref<32xi8> to memref<4xf64>
      ...
    }
    ```

    The arena has to be aligned to `alignment` bytes.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect"];
  let options = [
    Option<"alignment", "alignment", "int64_t", /*default=*/"::gradopt::kArenaAlignment",
           "Alignment of every buffer in bytes, a power of two">,
    Option<"inPlace", "in-place", "bool", /*default=*/"true",
           "Let an elementwise operation overwrite an operand that dies in it">,
    Option<"remarks", "remarks", "bool", /*default=*/"false",
           "Print the plan: a remark at each allocation">
  ];
  let statistics = [
    Statistic<"numForwarded", "num-forwarded", "Allocations moved into another buffer">,
    Statistic<"temporaryBytes", "temporary-bytes", "Bytes of all temporaries">,
    Statistic<"arenaBytes", "arena-bytes", "Bytes of the arenas">
  ];
}

def GradResolveOpenSizes : Pass<"grad-resolve-open-sizes", "::mlir::func::FuncOp"> {
  let summary = "Replace the number that stands for open sizes by those of the call";
  let description = [{
    A function with the attribute `grad.open_sizes` was compiled for arrays with
    any number of rows: a number, 1061851424, stands for how many there is room
    for. The attribute names arguments, integers that are numbers of rows. The
    room is the largest of them, and `grad.least_room`, as a multiple of 64. What
    was computed of the number is now computed of the room, with the same result
    as if that had been the number:

    ```mlir
    func.func @main(%n: memref<i64>, %arena: memref<4398046511104xi8>)
        attributes {grad.arena_bytes = 4398046511104, grad.open_sizes = array<i64: 0>} {
      %c2199023255552 = arith.constant 2199023255552 : index
      %a = memref.view %arena[%c2199023255552][] : memref<4398046511104xi8> to memref<1061851424xf64>
      linalg.fill ins(%zero : f64) outs(%a : memref<1061851424xf64>)
    }
    // becomes
    func.func @main(%n: memref<i64>, %arena: memref<1024xi8>) {
      %room = ...
      %begin = arith.muli %room, %c8 : index
      %a = memref.view %arena[%begin][] : memref<1024xi8> to memref<1061851424xf64>
      scf.for %i = %c0 to %room step %c64 {
        %rows = memref.subview %a[%i] [64] [1]
        linalg.fill ins(%zero : f64) outs(%rows)
      }
    }
    ```

    One dimension of a buffer can be open. If that is not the outermost one, strides
    are computed (`memref.reinterpret_cast`). Anything else, and calls on such
    buffers but `grad.sort_into`, are errors.

    For a device, the caller says how much room there is, in an argument before
    the arena, and loops over rows that write others in each iteration are marked
    `grad.parallel`: the numbers of rows need not be read by the host.
  }];
  let options = [
    Option<"forDevice", "for-device", "bool", /*default=*/"false",
           "The caller says how much room there is, and a GPU goes through rows at once">
  ];
  let statistics = [
    Statistic<"numLoops", "num-loops", "Loops over all rows of a buffer made">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect"
  ];
}

def GradContractionsToBlas : Pass<"grad-contractions-to-blas", "ModuleOp"> {
  let summary = "Turn matrix products on buffers into BLAS calls";
  let description = [{
    A contraction of f32 or f64 buffers whose loops group into a matrix product
    that a leading dimension and a transposition flag for each operand can
    describe becomes a call, inside a loop for each batch dimension:

    ```mlir
    linalg.fill ins(%zero) outs(%c)
    linalg.generic {... (m, n, k) ...} ins(%a, %b) outs(%c) { mulf, addf }
    ```
    =>
    ```mlir
    func.call @gradopt_gemm_f64(%ta, %tb, %m, %n, %k, %pa, %lda, %pb, %ldb, %pc, %ldc, %beta)
    ```
    Buffers are passed as addresses; a zero fill becomes `beta = 0`. Products
    of fewer than `threshold` multiplications and products of a matrix and a
    vector stay loops.

    For a device, the call is one of `gradopt_gemm_batched_f64`, with the number
    of products, and the distances between the elements of one and the next, for
    the batch dimensions that are one dimension of each operand. Where an
    elementwise op follows and alone reads the product, the run tells which of
    two forms it is: the call and the op where a library is loaded, one kernel
    of both where there is none.
  }];
  let options = [
    Option<"threshold", "threshold", "int64_t", /*default=*/"1024",
           "fewest scalar multiplications, per matrix product, worth a call">,
    Option<"forDevice", "for-device", "bool", /*default=*/"false",
           "batches are parts of calls">
  ];
  let statistics = [
    Statistic<"numCalls", "num-calls", "Number of BLAS calls made">
  ];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"
  ];
}

def GradOutlineKernels : Pass<"grad-outline-kernels", "::mlir::ModuleOp"> {
  let summary = "Make functions of parts of long programs, equal ones once";
  let description = [{
    Code generation takes more than linear time in the length of a function, and
    an unrolled loop is the same code again and again. In a public function with
    planned memory, each loop nest (`linalg` op, loop, copy) becomes a call if
    there are at least `min-nests` of them, or half as many different ones:

    ```mlir
    %a = memref.view %arena[%c0][] : memref<256xi8> to memref<16xf64>
    %b = memref.view %arena[%c128][] : memref<256xi8> to memref<16xf64>
    linalg.generic {...} ins(%x) outs(%a) { math.tanh }
    linalg.generic {...} ins(%a) outs(%b) { math.tanh }
    // becomes
    func.call @kernel(%x, %a)
    func.call @kernel(%a, %b)

    func.func private @kernel(%arg0: memref<16xf64> {llvm.noalias},
                              %arg1: memref<16xf64> {llvm.noalias}) {
      linalg.generic {...} ins(%arg0) outs(%arg1) { math.tanh }
      return
    }
    ```
    Of a view with static strides, the function gets the buffer and the offset.

    With at least `min-commands` nests and calls, in loops and branches too, a
    function becomes a list of commands: what is left of it, and of loops and
    branches that are as long themselves, are calls of kernels, matrix products,
    copies, and where buffers are. All else is in kernels, which may return
    numbers and buffers:

    ```mlir
    func.func @main(...) attributes {grad.arena_bytes = 640 : i64,
                                     grad.command_frame = 512 : i64} {
      %n = func.call @kernel(%x) : (memref<index>) -> index
      scf.for %i = %c0 to %n step %c1 {
        func.call @kernel_0(%x, %i)
        ...
      }
    }
    ```
    The arena has a place for the numbers at `grad.command_frame`, behind what
    was planned.

    With `for-device`, each program becomes a list. A loop or branch becomes a
    kernel if one block of threads is enough for all that is in it, and a list
    otherwise. The numbers of a list are not in the arena, but on the host.
  }];
  let options = [
    Option<"minNests", "min-nests", "int64_t", /*default=*/"32",
           "fewest loop nests of a function that is taken apart in any case">,
    Option<"minCommands", "min-commands", "int64_t", /*default=*/"32",
           "fewest loop nests and calls of what becomes a list of commands">,
    Option<"forDevice", "for-device", "bool", /*default=*/"false",
           "make lists whose kernels the threads of a GPU can share">
  ];
  let statistics = [
    Statistic<"numCalls", "num-calls", "Parts of programs that became calls">,
    Statistic<"numKernels", "num-kernels", "Different functions made">
  ];
  let dependentDialects = [
    "::mlir::LLVM::LLVMDialect", "::mlir::arith::ArithDialect",
    "::mlir::func::FuncDialect", "::mlir::memref::MemRefDialect"
  ];
}

#endif // GRADOPT_PASSES_BUFFERIZED_PASSES_TD
