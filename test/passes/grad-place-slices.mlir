// RUN: gradopt %s --grad-place-slices -split-input-file | FileCheck %s

// Slices that make up the whole value, in any order, replace nothing.
// CHECK-LABEL: func.func @rows(
// CHECK-SAME: %[[A:.*]]: tensor<1x3xf64>, %[[B:.*]]: tensor<2x3xf64>, %[[C:.*]]: tensor<1x3xf64>
// CHECK: %[[E:.*]] = tensor.empty() : tensor<4x3xf64>
// CHECK: %[[R0:.*]] = grad.update_slice %[[E]], %[[C]], offsets = [3, 0]
// CHECK: %[[R1:.*]] = grad.update_slice %[[R0]], %[[A]], offsets = [0, 0]
// CHECK: %[[R2:.*]] = grad.update_slice %[[R1]], %[[B]], offsets = [1, 0]
// CHECK: return %[[R2]]
func.func @rows(%a: tensor<1x3xf64>, %b: tensor<2x3xf64>, %c: tensor<1x3xf64>) -> tensor<4x3xf64> {
  %zero = grad.constant dense<0.0> : tensor<4x3xf64>
  %0 = grad.add_slice %zero, %c, offsets = [3, 0], strides = [1, 1] : tensor<4x3xf64>, tensor<1x3xf64>
  %1 = grad.add_slice %0, %a, offsets = [0, 0], strides = [1, 1] : tensor<4x3xf64>, tensor<1x3xf64>
  %2 = grad.add_slice %1, %b, offsets = [1, 0], strides = [1, 1] : tensor<4x3xf64>, tensor<2x3xf64>
  return %2 : tensor<4x3xf64>
}

// -----

// Disjoint in one dimension or another: each takes the place of zeros.
// CHECK-LABEL: func.func @corners(
// CHECK: grad.constant
// CHECK-NOT: grad.add_slice
// CHECK-COUNT-3: grad.update_slice
func.func @corners(%a: tensor<1x1xf64>, %b: tensor<1x1xf64>, %c: tensor<1x1xf64>) -> tensor<2x2xf64> {
  %zero = grad.constant dense<0.0> : tensor<2x2xf64>
  %0 = grad.add_slice %zero, %a, offsets = [1, 1], strides = [1, 1] : tensor<2x2xf64>, tensor<1x1xf64>
  %1 = grad.add_slice %0, %b, offsets = [0, 1], strides = [1, 1] : tensor<2x2xf64>, tensor<1x1xf64>
  %2 = grad.add_slice %1, %c, offsets = [0, 0], strides = [1, 1] : tensor<2x2xf64>, tensor<1x1xf64>
  return %2 : tensor<2x2xf64>
}

// -----

// Even and odd elements do not meet.
// CHECK-LABEL: func.func @interleaved(
// CHECK-NOT: grad.add_slice
// CHECK: grad.update_slice %{{.*}}, offsets = [1], strides = [2]
// CHECK: grad.update_slice %{{.*}}, offsets = [0], strides = [2]
func.func @interleaved(%a: tensor<3xf64>, %b: tensor<3xf64>) -> tensor<6xf64> {
  %zero = grad.constant dense<0.0> : tensor<6xf64>
  %0 = grad.add_slice %zero, %b, offsets = [1], strides = [2] : tensor<6xf64>, tensor<3xf64>
  %1 = grad.add_slice %0, %a, offsets = [0], strides = [2] : tensor<6xf64>, tensor<3xf64>
  return %1 : tensor<6xf64>
}

// -----

// With different strides they may: elements 0 and 3 of the first are 0 and 1
// of the second.
// CHECK-LABEL: func.func @strides(
// CHECK: grad.update_slice
// CHECK: grad.add_slice
func.func @strides(%a: tensor<6xf64>, %b: tensor<2xf64>) -> tensor<16xf64> {
  %zero = grad.constant dense<0.0> : tensor<16xf64>
  %0 = grad.add_slice %zero, %a, offsets = [0], strides = [1] : tensor<16xf64>, tensor<6xf64>
  %1 = grad.add_slice %0, %b, offsets = [0], strides = [3] : tensor<16xf64>, tensor<2xf64>
  return %1 : tensor<16xf64>
}

// -----

// Windows that overlap: the first takes the place of zeros.
// CHECK-LABEL: func.func @windows(
// CHECK: grad.update_slice %{{.*}}, offsets = [0]
// CHECK: grad.add_slice %{{.*}}, offsets = [2]
// CHECK: grad.add_slice %{{.*}}, offsets = [4]
func.func @windows(%a: tensor<3xf64>, %b: tensor<3xf64>, %c: tensor<3xf64>) -> tensor<9xf64> {
  %zero = grad.constant dense<0.0> : tensor<9xf64>
  %0 = grad.add_slice %zero, %a, offsets = [0], strides = [1] : tensor<9xf64>, tensor<3xf64>
  %1 = grad.add_slice %0, %b, offsets = [2], strides = [1] : tensor<9xf64>, tensor<3xf64>
  %2 = grad.add_slice %1, %c, offsets = [4], strides = [1] : tensor<9xf64>, tensor<3xf64>
  return %2 : tensor<9xf64>
}

// -----

// A stencil: few slices of most of the value are one loop over pads.
// CHECK-LABEL: func.func @stencil(
// CHECK: %[[A:.*]] = grad.pad %{{.*}}, low = [0], high = [2]
// CHECK: %[[B:.*]] = grad.pad %{{.*}}, low = [2], high = [0]
// CHECK: grad.add %[[A]], %[[B]]
func.func @stencil(%a: tensor<8xf64>) -> tensor<10xf64> {
  %zero = grad.constant dense<0.0> : tensor<10xf64>
  %0 = grad.add_slice %zero, %a, offsets = [0], strides = [1] : tensor<10xf64>, tensor<8xf64>
  %1 = grad.add_slice %0, %a, offsets = [2], strides = [1] : tensor<10xf64>, tensor<8xf64>
  return %1 : tensor<10xf64>
}

// -----

// CHECK-LABEL: func.func @single(
// CHECK: grad.pad %{{.*}}, low = [1], high = [2], interior = [2]
func.func @single(%a: tensor<2xf64>) -> tensor<7xf64> {
  %zero = grad.constant dense<0.0> : tensor<7xf64>
  %0 = grad.add_slice %zero, %a, offsets = [1], strides = [3] : tensor<7xf64>, tensor<2xf64>
  return %0 : tensor<7xf64>
}

// -----

// CHECK-LABEL: func.func @at_run_time(
// CHECK: grad.dynamic_update_slice
// CHECK: grad.dynamic_add_slice
func.func @at_run_time(%a: tensor<2xf64>, %i: tensor<i64>) -> tensor<7xf64> {
  %zero = grad.constant dense<0.0> : tensor<7xf64>
  %0 = grad.dynamic_add_slice %zero, %a[%i] : tensor<7xf64>, tensor<2xf64>
  %1 = grad.dynamic_add_slice %0, %a[%i] : tensor<7xf64>, tensor<2xf64>
  return %1 : tensor<7xf64>
}

// -----

// Few slices of what does not begin with zeros, and a sum that somebody else
// reads, stay.
// CHECK-LABEL: func.func @others(
// CHECK-COUNT-3: grad.add_slice
func.func @others(%x: tensor<7xf64>, %a: tensor<2xf64>) -> (tensor<7xf64>, tensor<7xf64>, tensor<7xf64>) {
  %0 = grad.add_slice %x, %a, offsets = [1], strides = [1] : tensor<7xf64>, tensor<2xf64>
  %1 = grad.add_slice %0, %a, offsets = [3], strides = [1] : tensor<7xf64>, tensor<2xf64>
  %2 = grad.add_slice %0, %a, offsets = [5], strides = [1] : tensor<7xf64>, tensor<2xf64>
  return %0, %1, %2 : tensor<7xf64>, tensor<7xf64>, tensor<7xf64>
}

// -----

// A stencil of one value, up to factors, is added as a sum of its pads.
// CHECK-LABEL: func.func @stencil_in_an_array(
// CHECK-SAME: %[[X:.*]]: tensor<7xf64>, %[[A:.*]]: tensor<5xf64>
// CHECK: %[[SCALED:.*]] = grad.multiply %[[A]]
// CHECK: %[[P:.*]] = grad.pad %[[A]], {{.*}} low = [0], high = [2]
// CHECK: %[[Q:.*]] = grad.pad %[[SCALED]], {{.*}} low = [1], high = [1]
// CHECK: %[[PQ:.*]] = grad.add %[[P]], %[[Q]]
// CHECK: %[[R:.*]] = grad.pad %[[A]], {{.*}} low = [2], high = [0]
// CHECK: %[[PQR:.*]] = grad.add %[[PQ]], %[[R]]
// CHECK: %[[SUM:.*]] = grad.add %[[X]], %[[PQR]]
// CHECK: return %[[SUM]]
func.func @stencil_in_an_array(%x: tensor<7xf64>, %a: tensor<5xf64>) -> tensor<7xf64> {
  %c = grad.constant dense<-2.0> : tensor<5xf64>
  %b = grad.multiply %a, %c : tensor<5xf64>
  %0 = grad.add_slice %x, %a, offsets = [0], strides = [1] : tensor<7xf64>, tensor<5xf64>
  %1 = grad.add_slice %0, %b, offsets = [1], strides = [1] : tensor<7xf64>, tensor<5xf64>
  %2 = grad.add_slice %1, %a, offsets = [2], strides = [1] : tensor<7xf64>, tensor<5xf64>
  return %2 : tensor<7xf64>
}

// -----

// Slices of several values are added one after the other, and so are small ones.
// CHECK-LABEL: func.func @several(
// CHECK-COUNT-6: grad.add_slice
func.func @several(%x: tensor<7xf64>, %a: tensor<5xf64>, %b: tensor<5xf64>, %c: tensor<2xf64>) -> (tensor<7xf64>, tensor<7xf64>) {
  %0 = grad.add_slice %x, %a, offsets = [0], strides = [1] : tensor<7xf64>, tensor<5xf64>
  %1 = grad.add_slice %0, %b, offsets = [1], strides = [1] : tensor<7xf64>, tensor<5xf64>
  %2 = grad.add_slice %1, %a, offsets = [2], strides = [1] : tensor<7xf64>, tensor<5xf64>
  %3 = grad.add_slice %x, %c, offsets = [0], strides = [1] : tensor<7xf64>, tensor<2xf64>
  %4 = grad.add_slice %3, %c, offsets = [1], strides = [1] : tensor<7xf64>, tensor<2xf64>
  %5 = grad.add_slice %4, %c, offsets = [2], strides = [1] : tensor<7xf64>, tensor<2xf64>
  return %2, %5 : tensor<7xf64>, tensor<7xf64>
}

// -----

// What a slice is replaced by waits until what is made of the slice was added to
// another one; not where the two may be the same.
// CHECK-LABEL: func.func @recurrence(
// CHECK: scf.for %{{.*}} iter_args(%[[X:.*]] = %{{.*}})
// CHECK: %[[A:.*]] = grad.dynamic_slice %[[X]]
// CHECK: %[[ADDED:.*]] = grad.dynamic_add_slice %[[X]], %{{.*}}[%[[J:.*]]]
// CHECK: %[[ZEROED:.*]] = grad.dynamic_update_slice %[[ADDED]], %{{.*}}[%[[I:.*]]]
// CHECK: scf.yield %[[ZEROED]]
// CHECK: scf.for %{{.*}} iter_args(%[[X:.*]] = %{{.*}})
// CHECK: %[[ZEROED:.*]] = grad.dynamic_update_slice %[[X]]
// CHECK: %[[ADDED:.*]] = grad.dynamic_add_slice %[[ZEROED]]
// CHECK: scf.yield %[[ADDED]]
func.func @recurrence(%x: tensor<9xf64>, %k: tensor<i64>) -> (tensor<9xf64>, tensor<9xf64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %one = grad.constant dense<1> : tensor<i64>
  %zeros = grad.constant dense<0.0> : tensor<1xf64>
  %0 = scf.for %n = %c0 to %c8 step %c1 iter_args(%y = %x) -> tensor<9xf64> {
    %number = arith.index_cast %n : index to i64
    %i = tensor.from_elements %number : tensor<i64>
    %j = grad.add %i, %one : tensor<i64>
    %a = grad.dynamic_slice %y[%i], sizes = [1] : tensor<9xf64> -> tensor<1xf64>
    %b = grad.sin %a : tensor<1xf64>
    %zeroed = grad.dynamic_update_slice %y, %zeros[%i] : tensor<9xf64>, tensor<1xf64>
    %added = grad.dynamic_add_slice %zeroed, %b[%j] : tensor<9xf64>, tensor<1xf64>
    scf.yield %added : tensor<9xf64>
  }
  %1 = scf.for %n = %c0 to %c8 step %c1 iter_args(%y = %x) -> tensor<9xf64> {
    %number = arith.index_cast %n : index to i64
    %i = tensor.from_elements %number : tensor<i64>
    %a = grad.dynamic_slice %y[%i], sizes = [1] : tensor<9xf64> -> tensor<1xf64>
    %b = grad.sin %a : tensor<1xf64>
    %zeroed = grad.dynamic_update_slice %y, %zeros[%i] : tensor<9xf64>, tensor<1xf64>
    %added = grad.dynamic_add_slice %zeroed, %b[%k] : tensor<9xf64>, tensor<1xf64>
    scf.yield %added : tensor<9xf64>
  }
  return %0, %1 : tensor<9xf64>, tensor<9xf64>
}
