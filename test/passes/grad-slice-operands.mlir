// RUN: gradopt %s --grad-slice-operands --cse -split-input-file | FileCheck %s

// A stencil of a stencil: the inner one is computed where it is read, the slices
// of its slices are slices of the argument.
// CHECK-LABEL: func.func @laplacian(
// CHECK-SAME: %[[X:.*]]: tensor<200002xf64>
// CHECK-DAG: %[[A:.*]] = grad.slice %[[X]], offsets = [2], sizes = [199999]
// CHECK-DAG: %[[B:.*]] = grad.slice %[[X]], offsets = [1], sizes = [199999]
// CHECK-DAG: %[[C:.*]] = grad.slice %[[X]], offsets = [0], sizes = [199999]
// CHECK-DAG: %[[AB:.*]] = grad.subtract %[[A]], %[[B]]
// CHECK-DAG: %[[BC:.*]] = grad.subtract %[[B]], %[[C]]
// CHECK: %[[D:.*]] = grad.multiply %[[AB]], %[[BC]]
// CHECK: return %[[D]]
func.func @laplacian(%x: tensor<200002xf64>) -> tensor<199999xf64> {
  %0 = grad.slice %x, offsets = [1], sizes = [200000], strides = [1] : tensor<200002xf64> -> tensor<200000xf64>
  %1 = grad.slice %x, offsets = [0], sizes = [200000], strides = [1] : tensor<200002xf64> -> tensor<200000xf64>
  %2 = grad.subtract %0, %1 : tensor<200000xf64>
  %3 = grad.slice %2, offsets = [1], sizes = [199999], strides = [1] : tensor<200000xf64> -> tensor<199999xf64>
  %4 = grad.slice %2, offsets = [0], sizes = [199999], strides = [1] : tensor<200000xf64> -> tensor<199999xf64>
  %5 = grad.multiply %3, %4 : tensor<199999xf64>
  return %5 : tensor<199999xf64>
}

// -----

// What is broadcast is sliced in its own dimensions, and a value of several ops
// is taken as one.
// CHECK-LABEL: func.func @broadcast(
// CHECK-SAME: %[[X:.*]]: tensor<500x400xf64>, %[[ROW:.*]]: tensor<400xf64>
// CHECK-DAG: %[[XA:.*]] = grad.slice %[[X]], offsets = [1, 1], sizes = [499, 399]
// CHECK-DAG: %[[PART:.*]] = grad.slice %[[ROW]], offsets = [1], sizes = [399]
// CHECK-DAG: %[[ROWA:.*]] = grad.broadcast %[[PART]], shape = [499, 399], dimensions = [1]
// CHECK: %[[PA:.*]] = grad.multiply %[[XA]], %[[ROWA]]
// CHECK: grad.negative %[[PA]]
// CHECK-NOT: grad.{{multiply|negative}} {{.*}} tensor<500x400xf64>{{$}}
// CHECK: return
func.func @broadcast(%x: tensor<500x400xf64>, %row: tensor<400xf64>) -> tensor<499x399xf64> {
  %0 = grad.broadcast %row, shape = [500, 400], dimensions = [1] : tensor<400xf64> -> tensor<500x400xf64>
  %1 = grad.multiply %x, %0 : tensor<500x400xf64>
  %2 = grad.negative %1 : tensor<500x400xf64>
  %3 = grad.slice %2, offsets = [1, 1], sizes = [499, 399], strides = [1, 1] : tensor<500x400xf64> -> tensor<499x399xf64>
  %4 = grad.slice %2, offsets = [0, 1], sizes = [499, 399], strides = [1, 1] : tensor<500x400xf64> -> tensor<499x399xf64>
  %5 = grad.add %3, %4 : tensor<499x399xf64>
  return %5 : tensor<499x399xf64>
}

// -----

// What is small, dear, needed whole, or read by products stays in memory.
// CHECK-LABEL: func.func @others(
// CHECK: %[[SMALL:.*]] = grad.negative %{{.*}} : tensor<1000xf64>
// CHECK: grad.slice %[[SMALL]]
// CHECK: %[[DEAR:.*]] = grad.exp
// CHECK: grad.slice %[[DEAR]]
// CHECK: %[[WHOLE:.*]] = grad.negative %{{.*}} : tensor<400x500xf64>
// CHECK: grad.slice %[[WHOLE]]
// CHECK: %[[READ:.*]] = grad.absolute %{{.*}} : tensor<400x500xf64>
// CHECK: grad.slice %[[READ]]
func.func @others(%s: tensor<1000xf64>, %x: tensor<400x500xf64>) -> (tensor<999xf64>, tensor<399x500xf64>, tensor<400x500xf64>, tensor<399x500xf64>, tensor<399x399xf64>) {
  %0 = grad.negative %s : tensor<1000xf64>
  %1 = grad.slice %0, offsets = [1], sizes = [999], strides = [1] : tensor<1000xf64> -> tensor<999xf64>
  %2 = grad.negative %1 : tensor<999xf64>
  %3 = grad.exp %x : tensor<400x500xf64>
  %4 = grad.slice %3, offsets = [1, 0], sizes = [399, 500], strides = [1, 1] : tensor<400x500xf64> -> tensor<399x500xf64>
  %5 = grad.negative %4 : tensor<399x500xf64>
  %6 = grad.negative %x : tensor<400x500xf64>
  %7 = grad.slice %6, offsets = [1, 0], sizes = [399, 500], strides = [1, 1] : tensor<400x500xf64> -> tensor<399x500xf64>
  %8 = grad.multiply %7, %5 : tensor<399x500xf64>
  %9 = grad.absolute %x : tensor<400x500xf64>
  %10 = grad.slice %9, offsets = [1, 0], sizes = [399, 500], strides = [1, 1] : tensor<400x500xf64> -> tensor<399x500xf64>
  %11 = grad.dot_general %10, %5, batch = [] x [], contract = [1] x [1] : tensor<399x500xf64>, tensor<399x500xf64> -> tensor<399x399xf64>
  return %2, %5, %6, %8, %11 : tensor<999xf64>, tensor<399x500xf64>, tensor<400x500xf64>, tensor<399x500xf64>, tensor<399x399xf64>
}
