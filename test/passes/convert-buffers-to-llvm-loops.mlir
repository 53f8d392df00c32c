// RUN: gradopt %s -convert-buffers-to-llvm -split-input-file | FileCheck %s
// RUN: gradopt %s -grad-buffers-to-loops -convert-buffers-to-llvm -split-input-file | FileCheck %s

// Loops of every kind become blocks, whichever dialects the input mentions.
// CHECK-LABEL: llvm.func @affine_for
func.func @affine_for(%x: memref<4xf64>, %z: f64) -> f64 {
  // CHECK: llvm.cond_br
  %0 = affine.for %i = 0 to 4 iter_args(%s = %z) -> f64 {
    %1 = affine.load %x[%i] : memref<4xf64>
    affine.yield %1 : f64
  }
  return %0 : f64
}

// -----

// CHECK-LABEL: llvm.func @affine_parallel
func.func @affine_parallel(%x: memref<4xf64>) -> f64 {
  // CHECK: llvm.cond_br
  // CHECK: llvm.fadd
  %0 = affine.parallel (%i) = (0) to (4) reduce ("addf") -> f64 {
    %1 = affine.load %x[%i] : memref<4xf64>
    affine.yield %1 : f64
  }
  return %0 : f64
}

// -----

// CHECK-LABEL: llvm.func @affine_if
func.func @affine_if(%x: memref<4xf64>, %i: index) {
  // CHECK: llvm.cond_br
  // CHECK: llvm.store
  affine.if affine_set<(i) : (i - 2 >= 0)>(%i) {
    affine.parallel (%j) = (0) to (3) {
      %0 = affine.load %x[%j] : memref<4xf64>
      affine.store %0, %x[%j + 1] : memref<4xf64>
    }
  }
  return
}

// -----

// CHECK-LABEL: llvm.func @scf_parallel
func.func @scf_parallel(%x: memref<4xf64>, %n: index) -> f64 {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %z = arith.constant 0.0 : f64
  // CHECK: llvm.cond_br
  // CHECK: llvm.fadd
  %r = scf.parallel (%i) = (%c0) to (%n) step (%c1) init (%z) -> f64 {
    %0 = memref.load %x[%i] : memref<4xf64>
    scf.reduce(%0 : f64) {
    ^bb0(%a: f64, %b: f64):
      %s = arith.addf %a, %b : f64
      scf.reduce.return %s : f64
    }
  }
  return %r : f64
}

// -----

// Regions of loops and branches hold loops and branches.
// CHECK-LABEL: llvm.func @nested
// CHECK-NOT: scf.
func.func @nested(%x: memref<4xf64>, %k: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %one = arith.constant 1.0 : f64
  scf.while : () -> () {
    %s = scf.for %i = %c0 to %c4 step %c1 iter_args(%a = %one) -> f64 {
      %v = memref.load %x[%i] : memref<4xf64>
      %t = arith.addf %a, %v : f64
      scf.yield %t : f64
    }
    %u = scf.while (%a = %s) : (f64) -> f64 {
      %p = arith.cmpf olt, %a, %one : f64
      scf.condition(%p) %a : f64
    } do {
    ^bb0(%a: f64):
      %p = arith.cmpf olt, %a, %s : f64
      %b = scf.if %p -> f64 {
        %e = scf.execute_region -> f64 {
          %f = scf.for %i = %c0 to %c4 step %c1 iter_args(%z = %a) -> f64 {
            %y = arith.mulf %z, %z : f64
            scf.yield %y : f64
          }
          scf.yield %f : f64
        }
        scf.yield %e : f64
      } else {
        scf.yield %a : f64
      }
      scf.yield %b : f64
    }
    %p = arith.cmpf olt, %u, %one : f64
    scf.condition(%p)
  } do {
    %s = scf.index_switch %k -> f64
    case 0 {
      %f = scf.for %i = %c0 to %c4 step %c1 iter_args(%a = %one) -> f64 {
        %v = memref.load %x[%i] : memref<4xf64>
        %t = arith.addf %a, %v : f64
        scf.yield %t : f64
      }
      scf.yield %f : f64
    }
    default {
      %r = scf.parallel (%i, %j) = (%c0, %c0) to (%c4, %c4) step (%c1, %c1) init (%one) -> f64 {
        %w = scf.while (%a = %one) : (f64) -> f64 {
          %p = arith.cmpf olt, %a, %one : f64
          scf.condition(%p) %a : f64
        } do {
        ^bb0(%a: f64):
          scf.for %l = %c0 to %c4 step %c1 {
            memref.store %a, %x[%l] : memref<4xf64>
          }
          scf.yield %a : f64
        }
        scf.reduce(%w : f64) {
        ^bb0(%a: f64, %b: f64):
          %t = arith.addf %a, %b : f64
          scf.reduce.return %t : f64
        }
      }
      scf.yield %r : f64
    }
    memref.store %s, %x[%c0] : memref<4xf64>
    scf.yield
  }
  return
}

// -----

// A loop that is dead goes away with the loops in it.
// CHECK-LABEL: llvm.func @dead
// CHECK-NEXT: llvm.return
func.func @dead(%z: f64, %n: index) {
  %0 = scf.for %i = %n to %n step %n iter_args(%a = %z) -> f64 {
    %1 = scf.for %j = %n to %n step %n iter_args(%b = %a) -> f64 {
      %2 = scf.for %k = %n to %n step %n iter_args(%c = %b) -> f64 {
        scf.yield %c : f64
      }
      scf.yield %2 : f64
    }
    scf.yield %1 : f64
  }
  return
}

// -----

// All bits of the index are compared.

// CHECK-LABEL: llvm.func @cases_beyond_32_bits
func.func @cases_beyond_32_bits(%k: index) -> f64 {
  %one = arith.constant 1.0 : f64
  %two = arith.constant 2.0 : f64
  // CHECK: llvm.switch %{{.*}} : i64, ^[[OTHER:.*]] [
  // CHECK-NEXT: 4294967297: ^[[CASE:.*]]
  // CHECK-NEXT: ]
  %r = scf.index_switch %k -> f64
  case 4294967297 {
    scf.yield %one : f64
  }
  default {
    scf.yield %two : f64
  }
  return %r : f64
}

// -----

// What is said of a loop is said by the branch back to where it begins.
// CHECK: #[[$LOOP:.*]] = #llvm.loop_annotation<vectorize = #{{.*}}>
// CHECK-LABEL: llvm.func @annotation
func.func @annotation(%x: memref<23xf64>, %z: f64) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c23 = arith.constant 23 : index
  scf.for %i = %c0 to %c23 step %c1 {
    // CHECK: llvm.br ^{{.*}} {loop_annotation = #[[$LOOP]]}
    memref.store %z, %x[%i] : memref<23xf64>
  } {llvm.loop_annotation = #llvm.loop_annotation<vectorize = <disable = false, predicateEnable = true>>}
  return
}
