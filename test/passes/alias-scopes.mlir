// RUN: gradopt %s --convert-buffers-to-llvm -split-input-file | FileCheck %s

// Buffers that lie apart in the arena are told apart in the loops that use both.
// CHECK-LABEL: llvm.func @apart
// CHECK: llvm.load {{.*}}alias_scopes = [#[[FIRST:.*]]], noalias_scopes = [#[[SECOND:.*]]]
// CHECK: llvm.store {{.*}}alias_scopes = [#[[SECOND]]], noalias_scopes = [#[[FIRST]]]
func.func @apart(%arena: memref<128xi8>) attributes {grad.arena_bytes = 128 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %c64 = arith.constant 64 : index
  %a = memref.view %arena[%c0][] : memref<128xi8> to memref<8xf64>
  %b = memref.view %arena[%c64][] : memref<128xi8> to memref<f64>
  scf.for %i = %c0 to %c8 step %c1 {
    %0 = memref.load %a[%i] : memref<8xf64>
    memref.store %0, %b[] : memref<f64>
  }
  return
}

// -----

// Buffers that share bytes may alias, and so may arguments as far as this goes.
// CHECK-LABEL: llvm.func @shared
// CHECK: llvm.load {{.*}}alias_scopes = [{{[^,]*}}], noalias_scopes = []
// CHECK: llvm.store {{.*}}alias_scopes = [{{[^,]*}}], noalias_scopes = []
// CHECK: llvm.store
// CHECK-NOT: alias_scopes
func.func @shared(%r: memref<8xf64>, %arena: memref<72xi8>) attributes {grad.arena_bytes = 72 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %a = memref.view %arena[%c0][] : memref<72xi8> to memref<8xf64>
  %b = memref.view %arena[%c8][] : memref<72xi8> to memref<8xf64>
  scf.for %i = %c0 to %c8 step %c1 {
    %0 = memref.load %a[%i] : memref<8xf64>
    memref.store %0, %b[%i] : memref<8xf64>
    memref.store %0, %r[%i] : memref<8xf64>
  }
  return
}
