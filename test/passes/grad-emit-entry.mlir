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
