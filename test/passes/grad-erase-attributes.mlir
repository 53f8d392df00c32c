// RUN: gradopt %s --grad-erase-attributes | FileCheck %s

// CHECK-LABEL: func.func @loop
// CHECK-NOT: grad.
// CHECK: {note}
// CHECK-NOT: grad.
func.func @loop(%n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
  } {grad.max_trip_count = 8 : i64, note}
  return
}
