// RUN: gradopt %s -grad-emit-entry=max-parameters=1 | FileCheck %s

// Many pointers are not kept at hand: each is loaded where it is used.
// CHECK-LABEL: llvm.func internal @main
// CHECK-SAME: (%[[BUFFERS:.*]]: !llvm.ptr) attributes {no_inline}
// CHECK: %[[SLOT:.*]] = llvm.getelementptr %[[BUFFERS]][0]
// CHECK-NEXT: %[[X:.*]] = llvm.load %[[SLOT]]
// CHECK-NEXT: %[[SLOT:.*]] = llvm.getelementptr %[[BUFFERS]][1]
// CHECK-NEXT: %[[Y:.*]] = llvm.load %[[SLOT]]
// CHECK-NEXT: llvm.call @kernel(%[[X]], %[[Y]])
// CHECK: llvm.func @gradopt_main(%[[ALL:.*]]: !llvm.ptr) -> i32
// CHECK-NEXT: llvm.call @main(%[[ALL]])
llvm.func @kernel(!llvm.ptr, !llvm.ptr)
llvm.func @main(%x: !llvm.ptr {llvm.noalias}, %y: !llvm.ptr) {
  llvm.call @kernel(%x, %y) : (!llvm.ptr, !llvm.ptr) -> ()
  llvm.return
}
