// RUN: gradopt %s --grad-choose-layouts -split-input-file | FileCheck %s

// Columns of an array that is made here become rows; the result is brought back
// once.
// CHECK-LABEL: func.func @columns(
// CHECK-SAME: %[[X:.*]]: tensor<40x30xf64>
// CHECK-DAG: %[[ZEROS:.*]] = grad.constant dense<0.000000e+00> : tensor<30x40xf64>
// CHECK-DAG: %[[XT:.*]] = grad.transpose %[[X]], permutation = [1, 0]
// CHECK: %[[R:.*]] = scf.for {{.*}} iter_args(%[[A:.*]] = %[[ZEROS]]) -> (tensor<30x40xf64>)
// CHECK: grad.dynamic_slice %[[A]][%[[I:.*]], %[[O:.*]]], sizes = [1, 40]
// CHECK: grad.dynamic_slice %[[XT]][%[[J:[^ ]*]], %[[O]]], sizes = [1, 40]
// CHECK: %[[B:.*]] = grad.dynamic_update_slice %[[A]], %{{.*}}[%[[J]], %[[O]]] : tensor<30x40xf64>, tensor<1x40xf64>
// CHECK: %[[C:.*]] = grad.dynamic_add_slice %[[B]], %{{.*}}[%[[I]], %[[O]]] : tensor<30x40xf64>, tensor<1x40xf64>
// CHECK: scf.yield %[[C]]
// CHECK: %[[BACK:.*]] = grad.transpose %[[R]], permutation = [1, 0]
// CHECK: return %[[BACK]] : tensor<40x30xf64>
func.func @columns(%x: tensor<40x30xf64>) -> tensor<40x30xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c29 = arith.constant 29 : index
  %zero = grad.constant dense<0> : tensor<i64>
  %one = grad.constant dense<1> : tensor<i64>
  %zeros = grad.constant dense<0.0> : tensor<40x30xf64>
  %r = scf.for %n = %c0 to %c29 step %c1 iter_args(%a = %zeros) -> tensor<40x30xf64> {
    %number = arith.index_cast %n : index to i64
    %i = tensor.from_elements %number : tensor<i64>
    %j = grad.add %i, %one : tensor<i64>
    %old = grad.dynamic_slice %a[%zero, %i], sizes = [40, 1] : tensor<40x30xf64> -> tensor<40x1xf64>
    %in = grad.dynamic_slice %x[%zero, %j], sizes = [40, 1] : tensor<40x30xf64> -> tensor<40x1xf64>
    %in2 = grad.dynamic_slice %x[%zero, %i], sizes = [40, 1] : tensor<40x30xf64> -> tensor<40x1xf64>
    %in3 = grad.dynamic_slice %x[%zero, %zero], sizes = [40, 1] : tensor<40x30xf64> -> tensor<40x1xf64>
    %sum = grad.add %old, %in : tensor<40x1xf64>
    %sum1 = grad.add %sum, %in2 : tensor<40x1xf64>
    %sum2 = grad.add %sum1, %in3 : tensor<40x1xf64>
    %b = grad.dynamic_update_slice %a, %sum2[%zero, %j] : tensor<40x30xf64>, tensor<40x1xf64>
    %c = grad.dynamic_add_slice %b, %in[%zero, %i] : tensor<40x30xf64>, tensor<40x1xf64>
    scf.yield %c : tensor<40x30xf64>
  }
  return %r : tensor<40x30xf64>
}

// -----

// Stacks of arrays have their layout, too: what one loop keeps for another one
// is not brought back in between.
// CHECK-LABEL: func.func @stack(
// CHECK-NOT: grad.transpose
// CHECK: tensor.empty() : tensor<5x30x40xf64>
// CHECK: grad.dynamic_update_slice %{{.*}}, %{{.*}} : tensor<5x30x40xf64>, tensor<1x30x40xf64>
// CHECK: grad.dynamic_slice %{{.*}}, sizes = [1, 30, 40] : tensor<5x30x40xf64> -> tensor<1x30x40xf64>
// CHECK: grad.dynamic_slice %{{.*}}, sizes = [1, 40] : tensor<30x40xf64> -> tensor<1x40xf64>
// CHECK-NOT: grad.transpose
// CHECK: return
func.func @stack(%x: tensor<40xf64>) -> tensor<40xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %c30 = arith.constant 30 : index
  %zero = grad.constant dense<0> : tensor<i64>
  %column = grad.reshape %x, shape = [40, 1] : tensor<40xf64> -> tensor<40x1xf64>
  %zeros = grad.constant dense<0.0> : tensor<40x30xf64>
  %empty = tensor.empty() : tensor<5x40x30xf64>
  %kept:2 = scf.for %t = %c0 to %c5 step %c1 iter_args(%a = %zeros, %s = %empty) -> (tensor<40x30xf64>, tensor<5x40x30xf64>) {
    %made = scf.for %n = %c0 to %c30 step %c1 iter_args(%b = %a) -> tensor<40x30xf64> {
      %number = arith.index_cast %n : index to i64
      %i = tensor.from_elements %number : tensor<i64>
      %c = grad.dynamic_add_slice %b, %column[%zero, %i] : tensor<40x30xf64>, tensor<40x1xf64>
      scf.yield %c : tensor<40x30xf64>
    }
    %step = arith.index_cast %t : index to i64
    %k = tensor.from_elements %step : tensor<i64>
    %one = grad.reshape %made, shape = [1, 40, 30] : tensor<40x30xf64> -> tensor<1x40x30xf64>
    %next = grad.dynamic_update_slice %s, %one[%k, %zero, %zero] : tensor<5x40x30xf64>, tensor<1x40x30xf64>
    scf.yield %made, %next : tensor<40x30xf64>, tensor<5x40x30xf64>
  }
  %r = scf.for %t = %c0 to %c5 step %c1 iter_args(%sum = %x) -> tensor<40xf64> {
    %step = arith.index_cast %t : index to i64
    %k = tensor.from_elements %step : tensor<i64>
    %one = grad.dynamic_slice %kept#1[%k, %zero, %zero], sizes = [1, 40, 30] : tensor<5x40x30xf64> -> tensor<1x40x30xf64>
    %a = grad.reshape %one, shape = [40, 30] : tensor<1x40x30xf64> -> tensor<40x30xf64>
    %all = scf.for %n = %c0 to %c30 step %c1 iter_args(%s = %sum) -> tensor<40xf64> {
      %number = arith.index_cast %n : index to i64
      %i = tensor.from_elements %number : tensor<i64>
      %part = grad.dynamic_slice %a[%zero, %i], sizes = [40, 1] : tensor<40x30xf64> -> tensor<40x1xf64>
      %flat = grad.reshape %part, shape = [40] : tensor<40x1xf64> -> tensor<40xf64>
      %next = grad.add %s, %flat : tensor<40xf64>
      scf.yield %next : tensor<40xf64>
    }
    scf.yield %all : tensor<40xf64>
  }
  return %r : tensor<40xf64>
}

// -----

// The last dimension goes in front, so that planes have their elements in order.
// CHECK-LABEL: func.func @planes(
// CHECK: scf.for {{.*}} -> (tensor<9x10x8xf64>)
// CHECK: %[[PLANE:.*]] = grad.dynamic_slice %{{.*}}[%[[I:.*]], %[[O:.*]], %[[O]]], sizes = [1, 10, 8]
// CHECK: grad.reshape %[[PLANE]], shape = [10, 8, 1]
// CHECK: grad.transpose %{{.*}}, permutation = [1, 2, 0] : tensor<9x10x8xf64> -> tensor<10x8x9xf64>
func.func @planes(%x: tensor<10x8x1xf64>) -> tensor<10x8x9xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %c4 = arith.constant 4 : index
  %zero = grad.constant dense<0> : tensor<i64>
  %empty = tensor.empty() : tensor<10x8x9xf64>
  %r = scf.for %t = %c0 to %c4 step %c1 iter_args(%before = %empty) -> tensor<10x8x9xf64> {
    %all = scf.for %n = %c0 to %c9 step %c1 iter_args(%a = %before) -> tensor<10x8x9xf64> {
      %number = arith.index_cast %n : index to i64
      %i = tensor.from_elements %number : tensor<i64>
      %old = grad.dynamic_slice %a[%zero, %zero, %i], sizes = [10, 8, 1] : tensor<10x8x9xf64> -> tensor<10x8x1xf64>
      %new = grad.add %old, %x : tensor<10x8x1xf64>
      %b = grad.dynamic_update_slice %a, %new[%zero, %zero, %i] : tensor<10x8x9xf64>, tensor<10x8x1xf64>
      scf.yield %b : tensor<10x8x9xf64>
    }
    scf.yield %all : tensor<10x8x9xf64>
  }
  return %r : tensor<10x8x9xf64>
}

// -----

// As many rows as columns, few columns, and small arrays: nothing changes.
// CHECK-LABEL: func.func @as_it_is(
// CHECK-NOT: grad.transpose
// CHECK: return
func.func @as_it_is(%x: tensor<40x30xf64>, %y: tensor<8x8xf64>) -> (tensor<30x1xf64>, tensor<40x30xf64>, tensor<8x1xf64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c8 = arith.constant 8 : index
  %c29 = arith.constant 29 : index
  %zero = grad.constant dense<0> : tensor<i64>
  %start = grad.constant dense<0.0> : tensor<30x1xf64>
  %small = grad.constant dense<0.0> : tensor<8x1xf64>
  // Each row is read, and each column of the first 30 rows.
  %r = scf.for %n = %c0 to %c29 step %c1 iter_args(%s = %start) -> tensor<30x1xf64> {
    %number = arith.index_cast %n : index to i64
    %i = tensor.from_elements %number : tensor<i64>
    %column = grad.dynamic_slice %x[%zero, %i], sizes = [30, 1] : tensor<40x30xf64> -> tensor<30x1xf64>
    %row = grad.dynamic_slice %x[%i, %zero], sizes = [1, 30] : tensor<40x30xf64> -> tensor<1x30xf64>
    %turned = grad.reshape %row, shape = [30, 1] : tensor<1x30xf64> -> tensor<30x1xf64>
    %0 = grad.add %s, %column : tensor<30x1xf64>
    %1 = grad.add %0, %turned : tensor<30x1xf64>
    scf.yield %1 : tensor<30x1xf64>
  }
  %border = grad.constant dense<1.0> : tensor<40x1xf64>
  %once = scf.for %n = %c0 to %c1 step %c1 iter_args(%a = %x) -> tensor<40x30xf64> {
    %number = arith.index_cast %n : index to i64
    %i = tensor.from_elements %number : tensor<i64>
    %b = grad.dynamic_update_slice %a, %border[%zero, %i] : tensor<40x30xf64>, tensor<40x1xf64>
    scf.yield %b : tensor<40x30xf64>
  }
  %few = scf.for %n = %c0 to %c8 step %c1 iter_args(%s = %small) -> tensor<8x1xf64> {
    %number = arith.index_cast %n : index to i64
    %i = tensor.from_elements %number : tensor<i64>
    %column = grad.dynamic_slice %y[%zero, %i], sizes = [8, 1] : tensor<8x8xf64> -> tensor<8x1xf64>
    %0 = grad.add %s, %column : tensor<8x1xf64>
    scf.yield %0 : tensor<8x1xf64>
  }
  return %r, %once, %few : tensor<30x1xf64>, tensor<40x30xf64>, tensor<8x1xf64>
}

// -----

// A loop over the elements of a column, from the last one to the first, goes
// along a row as well; that the loop around it goes along rows counts less.
// CHECK-LABEL: func.func @elements(
// CHECK-SAME: %[[X:.*]]: tensor<40x30xf64>
// CHECK: %[[XT:.*]] = grad.transpose %[[X]], permutation = [1, 0]
// CHECK: scf.for %[[I:.*]] = %c0 to %c300
// CHECK: %[[J:.*]] = tensor.from_elements
// CHECK: scf.for
// CHECK: %[[K:.*]] = grad.subtract
// CHECK: grad.dynamic_slice %[[XT]][%[[J]], %[[K]]], sizes = [1, 1]
func.func @elements(%x: tensor<40x30xf64>, %last: tensor<i64>) -> tensor<f64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c300 = arith.constant 300 : index
  %zero = grad.constant dense<0.0> : tensor<f64>
  %r = scf.for %i = %c0 to %c300 step %c1 iter_args(%a = %zero) -> tensor<f64> {
    %outer = arith.index_cast %i : index to i64
    %j = tensor.from_elements %outer : tensor<i64>
    %n = arith.addi %i, %c1 : index
    %s = scf.for %m = %c0 to %n step %c1 iter_args(%b = %a) -> tensor<f64> {
      %inner = arith.index_cast %m : index to i64
      %number = tensor.from_elements %inner : tensor<i64>
      %k = grad.subtract %last, %number : tensor<i64>
      %0 = grad.dynamic_slice %x[%k, %j], sizes = [1, 1] : tensor<40x30xf64> -> tensor<1x1xf64>
      %1 = grad.reshape %0, shape = [] : tensor<1x1xf64> -> tensor<f64>
      %2 = grad.add %b, %1 : tensor<f64>
      scf.yield %2 : tensor<f64>
    }
    scf.yield %s : tensor<f64>
  }
  return %r : tensor<f64>
}

// -----

// Elements along rows stay where they are, and so do those of which the loop
// does not tell where they are.
// CHECK-LABEL: func.func @stay(
// CHECK-NOT: grad.transpose
// CHECK: return
func.func @stay(%x: tensor<40x30xf64>, %places: tensor<30xi64>, %at: tensor<i64>) -> tensor<f64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c30 = arith.constant 30 : index
  %zero = grad.constant dense<0.0> : tensor<f64>
  %r = scf.for %m = %c0 to %c30 step %c1 iter_args(%b = %zero) -> tensor<f64> {
    %inner = arith.index_cast %m : index to i64
    %k = tensor.from_elements %inner : tensor<i64>
    %0 = grad.dynamic_slice %x[%at, %k], sizes = [1, 1] : tensor<40x30xf64> -> tensor<1x1xf64>
    %1 = grad.dynamic_slice %places[%k], sizes = [1] : tensor<30xi64> -> tensor<1xi64>
    %place = grad.reshape %1, shape = [] : tensor<1xi64> -> tensor<i64>
    %2 = grad.dynamic_slice %x[%place, %at], sizes = [1, 1] : tensor<40x30xf64> -> tensor<1x1xf64>
    %3 = grad.add %0, %2 : tensor<1x1xf64>
    %4 = grad.reshape %3, shape = [] : tensor<1x1xf64> -> tensor<f64>
    %5 = grad.add %b, %4 : tensor<f64>
    scf.yield %5 : tensor<f64>
  }
  return %r : tensor<f64>
}

// -----

// Two elements of each row do not make use of a cache line, but eight do.
// CHECK-LABEL: func.func @two_of_a_row(
// CHECK: grad.transpose %{{.*}}, permutation = [1, 0]
func.func @two_of_a_row(%x: tensor<40x30xf64>) -> tensor<f64> {
  %i0 = arith.constant 0 : index
  %i1 = arith.constant 1 : index
  %i40 = arith.constant 40 : index
  %i300 = arith.constant 300 : index
  %zero = grad.constant dense<0.0> : tensor<f64>
  %c0 = grad.constant dense<0> : tensor<i64>
  %c1 = grad.constant dense<1> : tensor<i64>
  %r = scf.for %i = %i0 to %i300 step %i1 iter_args(%a = %zero) -> tensor<f64> {
    %s = scf.for %m = %i0 to %i40 step %i1 iter_args(%b = %a) -> tensor<f64> {
      %inner = arith.index_cast %m : index to i64
      %k = tensor.from_elements %inner : tensor<i64>
      %x0 = grad.dynamic_slice %x[%k, %c0], sizes = [1, 1] : tensor<40x30xf64> -> tensor<1x1xf64>
      %y0 = grad.reshape %x0, shape = [] : tensor<1x1xf64> -> tensor<f64>
      %z0 = grad.add %b, %y0 : tensor<f64>
      %x1 = grad.dynamic_slice %x[%k, %c1], sizes = [1, 1] : tensor<40x30xf64> -> tensor<1x1xf64>
      %y1 = grad.reshape %x1, shape = [] : tensor<1x1xf64> -> tensor<f64>
      %z1 = grad.add %z0, %y1 : tensor<f64>
      scf.yield %z1 : tensor<f64>
    }
    scf.yield %s : tensor<f64>
  }
  return %r : tensor<f64>
}

// CHECK-LABEL: func.func @eight_of_a_row(
// CHECK-NOT: grad.transpose
// CHECK: return
func.func @eight_of_a_row(%x: tensor<40x30xf64>) -> tensor<f64> {
  %i0 = arith.constant 0 : index
  %i1 = arith.constant 1 : index
  %i40 = arith.constant 40 : index
  %i300 = arith.constant 300 : index
  %zero = grad.constant dense<0.0> : tensor<f64>
  %c0 = grad.constant dense<0> : tensor<i64>
  %c1 = grad.constant dense<1> : tensor<i64>
  %c2 = grad.constant dense<2> : tensor<i64>
  %c3 = grad.constant dense<3> : tensor<i64>
  %c4 = grad.constant dense<4> : tensor<i64>
  %c5 = grad.constant dense<5> : tensor<i64>
  %c6 = grad.constant dense<6> : tensor<i64>
  %c7 = grad.constant dense<7> : tensor<i64>
  %r = scf.for %i = %i0 to %i300 step %i1 iter_args(%a = %zero) -> tensor<f64> {
    %s = scf.for %m = %i0 to %i40 step %i1 iter_args(%b = %a) -> tensor<f64> {
      %inner = arith.index_cast %m : index to i64
      %k = tensor.from_elements %inner : tensor<i64>
      %x0 = grad.dynamic_slice %x[%k, %c0], sizes = [1, 1] : tensor<40x30xf64> -> tensor<1x1xf64>
      %y0 = grad.reshape %x0, shape = [] : tensor<1x1xf64> -> tensor<f64>
      %z0 = grad.add %b, %y0 : tensor<f64>
      %x1 = grad.dynamic_slice %x[%k, %c1], sizes = [1, 1] : tensor<40x30xf64> -> tensor<1x1xf64>
      %y1 = grad.reshape %x1, shape = [] : tensor<1x1xf64> -> tensor<f64>
      %z1 = grad.add %z0, %y1 : tensor<f64>
      %x2 = grad.dynamic_slice %x[%k, %c2], sizes = [1, 1] : tensor<40x30xf64> -> tensor<1x1xf64>
      %y2 = grad.reshape %x2, shape = [] : tensor<1x1xf64> -> tensor<f64>
      %z2 = grad.add %z1, %y2 : tensor<f64>
      %x3 = grad.dynamic_slice %x[%k, %c3], sizes = [1, 1] : tensor<40x30xf64> -> tensor<1x1xf64>
      %y3 = grad.reshape %x3, shape = [] : tensor<1x1xf64> -> tensor<f64>
      %z3 = grad.add %z2, %y3 : tensor<f64>
      %x4 = grad.dynamic_slice %x[%k, %c4], sizes = [1, 1] : tensor<40x30xf64> -> tensor<1x1xf64>
      %y4 = grad.reshape %x4, shape = [] : tensor<1x1xf64> -> tensor<f64>
      %z4 = grad.add %z3, %y4 : tensor<f64>
      %x5 = grad.dynamic_slice %x[%k, %c5], sizes = [1, 1] : tensor<40x30xf64> -> tensor<1x1xf64>
      %y5 = grad.reshape %x5, shape = [] : tensor<1x1xf64> -> tensor<f64>
      %z5 = grad.add %z4, %y5 : tensor<f64>
      %x6 = grad.dynamic_slice %x[%k, %c6], sizes = [1, 1] : tensor<40x30xf64> -> tensor<1x1xf64>
      %y6 = grad.reshape %x6, shape = [] : tensor<1x1xf64> -> tensor<f64>
      %z6 = grad.add %z5, %y6 : tensor<f64>
      %x7 = grad.dynamic_slice %x[%k, %c7], sizes = [1, 1] : tensor<40x30xf64> -> tensor<1x1xf64>
      %y7 = grad.reshape %x7, shape = [] : tensor<1x1xf64> -> tensor<f64>
      %z7 = grad.add %z6, %y7 : tensor<f64>
      scf.yield %z7 : tensor<f64>
    }
    scf.yield %s : tensor<f64>
  }
  return %r : tensor<f64>
}
