//===- LLVMPasses.td - From bufferized to llvm -------------*- tablegen -*-===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef GRADOPT_PASSES_LLVMPASSES_TD
#define GRADOPT_PASSES_LLVMPASSES_TD

include "mlir/Pass/PassBase.td"

def GradBuffersToLoops : Pass<"grad-buffers-to-loops", "::mlir::func::FuncOp"> {
  let summary = "Lower linalg on buffers to loops of loads and stores";
  let description = [{
    Loops nest in the order of the iterators. A copy between buffers that are
    not contiguous becomes loops as well, a view becomes arithmetic on strides.

    ```mlir
    linalg.generic {...} ins(%x) outs(%y) { math.tanh }
    ```
    =>
    ```mlir
    scf.for %i = %c0 to %c4 step %c1 {
      %0 = memref.load %x[%i]
      %1 = math.tanh %0
      memref.store %1, %y[%i]
    }
    ```
    An innermost loop of few vectors and a rest, as of 23 elements, carries a
    `llvm.loop_annotation`: LLVM does the rest as a vector with a mask.
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::LLVM::LLVMDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect"
  ];
}

def ConvertMathToGradopt : Pass<"convert-math-to-gradopt"> {
  let summary = "Turn scalar elementary functions into calls";
  let description = [{
    The elementary functions of the math dialect, on scalars, become calls of
    the library that code generation links in as bitcode and inlines, and so do
    the special functions of this dialect:

    ```mlir
    %0 = math.tanh %x : f64
    ```
    =>
    ```mlir
    func.func private @gradopt_tanh_f64(f64) -> f64 attributes {llvm.readnone}
    %0 = call @gradopt_tanh_f64(%x) : (f64) -> f64
    ```
    Floats narrower than f32 are computed in f32. `rsqrt`, `isnan`, `isinf` and
    `isfinite` become arithmetic. What LLVM has an exact intrinsic for is left
    to `convert-math-to-llvm`, and so are operations on vectors.
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::func::FuncDialect",
    "::mlir::math::MathDialect"
  ];
}

def ConvertBuffersToLLVM : Pass<"convert-buffers-to-llvm", "ModuleOp"> {
  let summary = "Lower loops on buffers to the LLVM dialect";
  let description = [{
    One conversion for the scf, cf, affine, arith, math, memref and func
    dialects. Buffers become bare pointers; those of public functions are marked
    `noalias`, with size and alignment. Bools are bytes in memory.

    ```mlir
    func.func @main(%x: memref<4xf64>, %y: memref<4xf64>)
    ```
    =>
    ```mlir
    llvm.func @main(%x: !llvm.ptr {llvm.noalias, llvm.align = 8 : i64,
                                   llvm.dereferenceable = 32 : i64}, ...)
    ```
  }];
  let options = [
    Option<"fastMath", "fast-math", "bool", /*default=*/"false",
           "Calculate with floats as with real numbers">
  ];
  let dependentDialects = [
    "::mlir::LLVM::LLVMDialect", "::mlir::arith::ArithDialect",
    "::mlir::cf::ControlFlowDialect", "::mlir::memref::MemRefDialect",
    "::mlir::scf::SCFDialect"
  ];
}

def GradEmitCommands : Pass<"grad-emit-commands", "::mlir::ModuleOp"> {
  let summary = "Replace a list of commands by a table for the runtime";
  let description = [{
    A function that `grad-outline-kernels` made a list becomes constant data,
    which `gradopt_run_commands` goes through; no code is generated for it.
    `runtime/Commands.h` has the format. With `remarks`, each command is
    reported:

    ```mlir
    func.call @kernel(%a, %b)
    ```
    =>
    ```mlir
    // remark: 0: launch @kernel(buffer0, arena + 128)
    llvm.mlir.global external hidden constant @gradopt_commands(dense<...>)
        {grad.kernels = [@kernel]} : !llvm.array<13 x i64>
    ```
  }];
  let options = [
    Option<"function", "function", "std::string", /*default=*/"\"main\"",
           "The function to replace">,
    Option<"remarks", "remarks", "bool", /*default=*/"false",
           "report each command">
  ];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def GradEmitEntry : Pass<"grad-emit-entry", "ModuleOp"> {
  let summary = "Add the C entry point gradopt_main";
  let description = [{
    The entry point takes an array of pointers, arguments first, then results,
    then the arena, and returns a status, 0. The function that it calls becomes
    internal, and takes the array too if it has many parameters: each is loaded
    where it is used. For a table of commands, the entry point calls the runtime
    with it, and each kernel a function that evaluates its operands.
    Without such a function or table there is nothing to do.

    ```mlir
    llvm.func @gradopt_main(%buffers: !llvm.ptr) -> i32 {
      %x = llvm.load %buffers
      ...
      llvm.call @main(%x, ...)
      %ok = llvm.mlir.constant(0 : i32) : i32
      llvm.return %ok
    }
    ```
  }];
  let options = [
    Option<"function", "function", "std::string", /*default=*/"\"main\"",
           "The function to call">,
    Option<"entry", "entry", "std::string", /*default=*/"::gradopt::kEntryName",
           "The name of the entry point">,
    Option<"maxParameters", "max-parameters", "unsigned", /*default=*/"256",
           "Most pointers that the function gets as parameters">
  ];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect"];
}

def GradToBundle : Pass<"grad-to-bundle", "ModuleOp"> {
  let summary = "Compile functions, and write them to a bundle";
  let description = [{
    Each function goes through all stages of `--grad-to-cpu` and becomes object
    code for some levels of x86-64 CPUs; and if the option names chips, through
    those of `--grad-to-cuda`, for these GPUs. The module stays as it is. The bundle
    is opened by `gradopt_bundle_open` in C and by `gradopt.load` in Python, and
    its functions take their arrays by position.

    Arguments are called what their locations call them, else `arg0` and so on;
    the result is called `result`, or `result0` and so on. Numbers become arrays
    without dimensions. A result with a number in the attribute `grad.reused_for`
    of an argument is computed in the memory of this argument.

    ```mlir
    // --grad-to-bundle="output=f.bundle": the function `f` of `x` and `arg1`
    func.func @f(%x: tensor<4xf64> loc("x"), %n: f64) -> tensor<4xf64>
    ```
  }];
  let options = [
    Option<"output", "output", "std::string", /*default=*/"",
           "The file to write">,
    Option<"header", "header", "std::string", /*default=*/"",
           "A C header to write as well, with a function for each">,
    ListOption<"functions", "functions", "std::string",
               "The functions to compile; all public ones if left out">,
    ListOption<"levels", "levels", "std::string",
               "Levels of CPUs: x86-64-v2, x86-64-v3, x86-64-v4; all if neither "
               "they nor chips are named">,
    ListOption<"chips", "chips", "std::string",
               "GPUs: sm_80 (also for later ones), sm_90 and so on">,
    Option<"assembler", "assembler", "std::string", /*default=*/"",
           "CUDA's ptxas, to add machine code for the chips">,
    Option<"stageOptions", "options", "std::string", /*default=*/"",
           "Options of grad-to-cpu and grad-to-cuda">
  ];
}

#endif // GRADOPT_PASSES_LLVMPASSES_TD
