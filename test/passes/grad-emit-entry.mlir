// RUN: gradopt %s -grad-emit-entry -split-input-file -verify-diagnostics | FileCheck %s

// CHECK-LABEL: llvm.func internal @main
// CHECK-SAME: no_inline
llvm.func @main(%x: !llvm.ptr, %y: !llvm.ptr) {
  llvm.return
}
// CHECK: llvm.func @gradopt_main(%[[BUFFERS:.*]]: !llvm.ptr) -> i32
// CHECK: %[[X:.*]] = llvm.load
// CHECK: %[[SLOT:.*]] = llvm.getelementptr %[[BUFFERS]][1]
// CHECK: %[[Y:.*]] = llvm.load %[[SLOT]]
// CHECK: llvm.call @main(%[[X]], %[[Y]])
// CHECK: %[[OK:.*]] = llvm.mlir.constant(0 : i32)
// CHECK: llvm.return %[[OK]]

// -----

// CHECK-LABEL: llvm.func @no_program
llvm.func @no_program() {
  llvm.return
}
// CHECK-NOT: gradopt_main

// -----

// expected-error @below {{expected buffers only, arguments and results, but got '!llvm.func<f64 (ptr)>'}}
llvm.func @main(%x: !llvm.ptr) -> f64 {
  %0 = llvm.load %x : !llvm.ptr -> f64
  llvm.return %0 : f64
}

// -----

llvm.func @gradopt_main()
// expected-error @below {{has an entry point already: gradopt_main}}
llvm.func @main() {
  llvm.return
}

// -----

// A program has a body.
// CHECK-LABEL: llvm.func @main
llvm.func @main(!llvm.ptr)
// CHECK-NOT: gradopt_main

// -----

// expected-error @below {{expected buffers only, arguments and results, but got '!llvm.func<void (ptr, ...)>'}}
llvm.func @main(%x: !llvm.ptr, ...) {
  llvm.return
}

// -----

// A list of commands goes to the runtime. Functions load the values of operands,
// numbers and addresses, then the addresses of results, and call the kernels.

// CHECK: llvm.mlir.global internal constant @gradopt_commands(dense<0>
// CHECK-NOT: grad.kernels
llvm.mlir.global internal constant @gradopt_commands(dense<0> : tensor<5xi64>) {grad.kernels = [@nothing, @numbers]} : !llvm.array<5 x i64>
llvm.mlir.global internal constant @gradopt_constants(dense<0> : tensor<64xi8>) : !llvm.array<64 x i8>
// CHECK: llvm.func @nothing({{.*}} attributes {always_inline} {
llvm.func @nothing(%x: !llvm.ptr) attributes {passthrough = ["noinline"]} {
  llvm.return
}
llvm.func @numbers(%b: i1, %f: f32) -> !llvm.struct<(f32, i1)> {
  %0 = llvm.mlir.poison : !llvm.struct<(f32, i1)>
  llvm.return %0 : !llvm.struct<(f32, i1)>
}
// CHECK: llvm.func internal @nothing_command(%[[VALUES:.*]]: !llvm.ptr) {
// CHECK: %[[AT:.*]] = llvm.getelementptr %[[VALUES]][0]
// CHECK: %[[ADDRESS:.*]] = llvm.load %[[AT]] : !llvm.ptr -> i64
// CHECK: %[[X:.*]] = llvm.inttoptr %[[ADDRESS]]
// CHECK: llvm.call @nothing(%[[X]])
// CHECK: llvm.func internal @numbers_command(%[[VALUES:.*]]: !llvm.ptr) {
// CHECK: %[[B:.*]] = llvm.trunc %{{.*}} : i64 to i1
// CHECK: llvm.getelementptr %[[VALUES]][1]
// CHECK: %[[HALF:.*]] = llvm.trunc %{{.*}} : i64 to i32
// CHECK: %[[F:.*]] = llvm.bitcast %[[HALF]] : i32 to f32
// CHECK: %[[R:.*]] = llvm.call @numbers(%[[B]], %[[F]])
// CHECK: %[[R0:.*]] = llvm.extractvalue %[[R]][0]
// CHECK: %[[R1:.*]] = llvm.extractvalue %[[R]][1]
// CHECK: %[[TO0:.*]] = llvm.inttoptr
// CHECK: %[[BITS:.*]] = llvm.bitcast %[[R0]] : f32 to i32
// CHECK: %[[WORD0:.*]] = llvm.zext %[[BITS]] : i32 to i64
// CHECK: llvm.store %[[WORD0]], %[[TO0]]
// CHECK: %[[WORD1:.*]] = llvm.zext %[[R1]] : i1 to i64
// CHECK: llvm.store %[[WORD1]]
// CHECK: llvm.mlir.global external hidden constant @gradopt_kernels([@nothing_command, @numbers_command])
// CHECK: llvm.func @gradopt_main(%[[BUFFERS:.*]]: !llvm.ptr) -> i32
// CHECK: %[[COMMANDS:.*]] = llvm.mlir.addressof @gradopt_commands
// CHECK: %[[KERNELS:.*]] = llvm.mlir.addressof @gradopt_kernels
// CHECK: %[[CONSTANTS:.*]] = llvm.mlir.addressof @gradopt_constants
// CHECK: %[[STATUS:.*]] = llvm.call tail @gradopt_run_commands(%[[COMMANDS]], %[[KERNELS]], %[[CONSTANTS]], %[[BUFFERS]])
// CHECK: llvm.return %[[STATUS]]

// -----

// expected-error @below {{expected attribute grad.kernels}}
llvm.mlir.global internal constant @gradopt_commands(dense<0> : tensor<5xi64>) : !llvm.array<5 x i64>

// -----

// expected-error @below {{expected kernels to be functions, but got @gradopt_commands}}
llvm.mlir.global internal constant @gradopt_commands(dense<0> : tensor<5xi64>) {grad.kernels = [@gradopt_commands]} : !llvm.array<5 x i64>

// -----

llvm.func @gradopt_main()
// expected-error @below {{has an entry point already: gradopt_main}}
llvm.mlir.global internal constant @gradopt_commands(dense<0> : tensor<5xi64>) {grad.kernels = []} : !llvm.array<5 x i64>
