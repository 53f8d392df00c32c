// RUN: gradopt %s --grad-find-sparsity | FileCheck %s
// RUN: gradopt %s --grad-find-sparsity="coloring=jacobian" | FileCheck %s --check-prefix=COLORS

// Each result depends on two neighbors.
// CHECK-LABEL: func.func @neighbors(
// CHECK-SAME: grad.sparsity = {indices = array<i32: 0, 1, 1, 2, 2, 3>,
// CHECK-SAME: offsets = array<i64: 0, 2, 4, 6>, shape = array<i64: 3, 4>}
// Two products are enough: the columns of one have no row in common.
// COLORS-LABEL: func.func @neighbors(
// COLORS-SAME: column_colors = array<i32: 1, 0, 1, 0>
// COLORS-SAME: sources = array<i64: 3, 0, 1, 4, 5, 2>
func.func @neighbors(%x: tensor<4xf64>) -> tensor<3xf64> {
  %a = grad.slice %x, offsets = [0], sizes = [3], strides = [1] : tensor<4xf64> -> tensor<3xf64>
  %b = grad.slice %x, offsets = [1], sizes = [3], strides = [1] : tensor<4xf64> -> tensor<3xf64>
  %y = grad.multiply %a, %b : tensor<3xf64>
  return %y : tensor<3xf64>
}

// One row takes as many columns as it has elements, but it is one product.
// CHECK-LABEL: func.func @sum(
// CHECK-SAME: indices = array<i32: 0, 1, 2, 3>, offsets = array<i64: 0, 4>
// COLORS-LABEL: func.func @sum(
// COLORS-SAME: row_colors = array<i32: 0>, shape = array<i64: 1, 4>, sources = array<i64: 0, 1, 2, 3>
func.func @sum(%x: tensor<2x2xf64>) -> tensor<f64> {
  %y = grad.reduce_prod %x, dimensions = [0, 1] : tensor<2x2xf64> -> tensor<f64>
  return %y : tensor<f64>
}

// What is moved is followed element by element.
// CHECK-LABEL: func.func @moved(
// CHECK-SAME: indices = array<i32: 5, 2, 4, 1, 3, 0>, offsets = array<i64: 0, 1, 2, 3, 4, 5, 6, 6>
func.func @moved(%x: tensor<2x3xf64>) -> tensor<7xf64> {
  %zero = grad.constant dense<0.0> : tensor<f64>
  %t = grad.transpose %x, permutation = [1, 0] : tensor<2x3xf64> -> tensor<3x2xf64>
  %r = grad.reverse %t, dimensions = [0, 1] : tensor<3x2xf64> -> tensor<3x2xf64>
  %v = grad.reshape %r, shape = [6] : tensor<3x2xf64> -> tensor<6xf64>
  %p = grad.pad %v, %zero, low = [0], high = [1], interior = [0] : tensor<6xf64>, tensor<f64> -> tensor<7xf64>
  return %p : tensor<7xf64>
}

// Of two arguments, the second one behind the first; a scalar for all rows.
// CHECK-LABEL: func.func @two(
// CHECK-SAME: indices = array<i32: 0, 3, 1, 3, 2, 3>, offsets = array<i64: 0, 2, 4, 6>, shape = array<i64: 3, 4>
func.func @two(%x: tensor<3xf64>, %s: tensor<f64>) -> tensor<3xf64> {
  %b = grad.broadcast %s, shape = [3], dimensions = [] : tensor<f64> -> tensor<3xf64>
  %y = grad.divide %x, %b : tensor<3xf64>
  return %y : tensor<3xf64>
}

// Comparisons, rounding and what is stopped depend on nothing; a choice that is known is followed.
// CHECK-LABEL: func.func @constants(
// CHECK-SAME: indices = array<i32: 1>, offsets = array<i64: 0, 0, 1>
func.func @constants(%x: tensor<2xf64>) -> tensor<2xf64> {
  %mask = grad.constant dense<[false, true]> : tensor<2xi1>
  %f = grad.floor %x : tensor<2xf64>
  %s = grad.stop_gradient %x : tensor<2xf64>
  %g = grad.multiply %f, %s : tensor<2xf64>
  %y = grad.select %mask, %x, %g : tensor<2xi1>, tensor<2xf64>
  return %y : tensor<2xf64>
}

// Indices that are known lead to single elements, others to all of them.
// CHECK-LABEL: func.func @indices(
// CHECK-SAME: indices = array<i32: 2, 0, 0, 1, 2>, offsets = array<i64: 0, 1, 2, 5>
func.func @indices(%x: tensor<3xf64>, %i: tensor<1x1xi64>) -> tensor<3xf64> {
  %k = grad.constant dense<[[2], [0]]> : tensor<2x1xi64>
  %a = grad.gather %x, %k : tensor<3xf64>, tensor<2x1xi64> -> tensor<2xf64>
  %b = grad.gather %x, %i : tensor<3xf64>, tensor<1x1xi64> -> tensor<1xf64>
  %y = grad.concatenate(%a, %b), dimension = 0 : tensor<2xf64>, tensor<1xf64> -> tensor<3xf64>
  return %y : tensor<3xf64>
}

// Updates add up where they meet; those at unknown places may be anywhere.
// CHECK-LABEL: func.func @updates(
// CHECK-SAME: indices = array<i32: 0, 2, 1, 0, 1, 0, 1>, offsets = array<i64: 0, 2, 3, 5, 7>
func.func @updates(%x: tensor<3xf64>, %i: tensor<1x1xi64>) -> (tensor<2xf64>, tensor<2xf64>) {
  %k = grad.constant dense<[[0], [1], [0]]> : tensor<3x1xi64>
  %zero = grad.constant dense<0.0> : tensor<2xf64>
  %y = grad.scatter_add %zero, %k, %x : tensor<2xf64>, tensor<3x1xi64>, tensor<3xf64>
  %two = grad.slice %x, offsets = [0], sizes = [2], strides = [1] : tensor<3xf64> -> tensor<2xf64>
  %u = grad.reduce_sum %two, dimensions = [0] : tensor<2xf64> -> tensor<f64>
  %v = grad.reshape %u, shape = [1] : tensor<f64> -> tensor<1xf64>
  %z = grad.scatter_add %zero, %i, %v : tensor<2xf64>, tensor<1x1xi64>, tensor<1xf64>
  return %y, %z : tensor<2xf64>, tensor<2xf64>
}

// Rows of a product depend on rows of the left factor and on columns of the right one.
// CHECK-LABEL: func.func @product(
// CHECK-SAME: indices = array<i32: 0, 1, 4, 6, 0, 1, 5, 7, 2, 3, 4, 6, 2, 3, 5, 7>
func.func @product(%a: tensor<2x2xf64>, %b: tensor<2x2xf64>) -> tensor<2x2xf64> {
  %y = grad.dot_general %a, %b, batch = [] x [], contract = [1] x [0]
      : tensor<2x2xf64>, tensor<2x2xf64> -> tensor<2x2xf64>
  return %y : tensor<2x2xf64>
}

// CHECK-LABEL: func.func @running(
// CHECK-SAME: indices = array<i32: 0, 0, 1, 0, 1, 2>, offsets = array<i64: 0, 1, 3, 6>
func.func @running(%x: tensor<3xf64>) -> tensor<3xf64> {
  %y = grad.cumsum %x, dimension = 0 : tensor<3xf64>
  return %y : tensor<3xf64>
}

// A factorization mixes a matrix, but not those of a stack.
// CHECK-LABEL: func.func @stack(
// CHECK-SAME: offsets = array<i64: 0, 1, 2>
func.func @stack(%x: tensor<2x1x1xf64>) -> tensor<2x1x1xf64> {
  %y, %status = grad.cholesky %x : tensor<2x1x1xf64> -> tensor<2x1x1xf64>, tensor<2xi32>
  return %y : tensor<2x1x1xf64>
}

// A loop whose iterations are known is followed through them.
// CHECK-LABEL: func.func @recurrence(
// CHECK-SAME: indices = array<i32: 0, 0, 1, 0, 1, 2, 3>, offsets = array<i64: 0, 1, 3, 6, 7>
func.func @recurrence(%x: tensor<4xf64>) -> tensor<4xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %y = scf.for %i = %c1 to %c3 step %c1 iter_args(%a = %x) -> (tensor<4xf64>) {
    %j = arith.index_cast %i : index to i64
    %here = tensor.from_elements %j : tensor<i64>
    %one = grad.constant dense<1> : tensor<i64>
    %before = grad.subtract %here, %one : tensor<i64>
    %u = grad.dynamic_slice %a[%here], sizes = [1] : tensor<4xf64> -> tensor<1xf64>
    %v = grad.dynamic_slice %a[%before], sizes = [1] : tensor<4xf64> -> tensor<1xf64>
    %w = grad.multiply %u, %v : tensor<1xf64>
    %next = grad.dynamic_update_slice %a, %w[%here] : tensor<4xf64>, tensor<1xf64>
    scf.yield %next : tensor<4xf64>
  }
  return %y : tensor<4xf64>
}

// Of one with any number of iterations, all that may come of it is.
// CHECK-LABEL: func.func @any_number(
// CHECK-SAME: indices = array<i32: 0, 1, 0, 1, 2>, offsets = array<i64: 0, 2, 4, 5>
func.func @any_number(%x: tensor<3xf64>, %n: tensor<i64>) -> tensor<3xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %number = tensor.extract %n[] : tensor<i64>
  %end = arith.index_cast %number : i64 to index
  %y = scf.for %i = %c0 to %end step %c1 iter_args(%a = %x) -> (tensor<3xf64>) {
    %u = grad.slice %a, offsets = [0], sizes = [2], strides = [1] : tensor<3xf64> -> tensor<2xf64>
    %v = grad.reverse %u, dimensions = [0] : tensor<2xf64> -> tensor<2xf64>
    %next = grad.update_slice %a, %v, offsets = [0], strides = [1] : tensor<3xf64>, tensor<2xf64>
    scf.yield %next : tensor<3xf64>
  }
  return %y : tensor<3xf64>
}

// CHECK-LABEL: func.func @while(
// CHECK-SAME: indices = array<i32: 0, 1, 1>, offsets = array<i64: 0, 2, 3>
func.func @while(%x: tensor<2xf64>) -> tensor<2xf64> {
  %limit = arith.constant 1.0 : f64
  %c0 = arith.constant 0 : index
  %y = scf.while (%a = %x) : (tensor<2xf64>) -> tensor<2xf64> {
    %v = tensor.extract %a[%c0] : tensor<2xf64>
    %more = arith.cmpf olt, %v, %limit : f64
    scf.condition(%more) %a : tensor<2xf64>
  } do {
  ^bb0(%a: tensor<2xf64>):
    %u = grad.slice %a, offsets = [1], sizes = [1], strides = [1] : tensor<2xf64> -> tensor<1xf64>
    %next = grad.update_slice %a, %u, offsets = [0], strides = [1] : tensor<2xf64>, tensor<1xf64>
    scf.yield %next : tensor<2xf64>
  }
  return %y : tensor<2xf64>
}

// Either branch may run, unless it is known which one.
// CHECK-LABEL: func.func @branches(
// CHECK-SAME: indices = array<i32: 0, 1, 0>, offsets = array<i64: 0, 2, 3>
func.func @branches(%x: tensor<2xf64>, %p: i1) -> (tensor<1xf64>, tensor<1xf64>) {
  %a = grad.slice %x, offsets = [0], sizes = [1], strides = [1] : tensor<2xf64> -> tensor<1xf64>
  %b = grad.slice %x, offsets = [1], sizes = [1], strides = [1] : tensor<2xf64> -> tensor<1xf64>
  %true = arith.constant true
  %y = scf.if %p -> (tensor<1xf64>) {
    scf.yield %a : tensor<1xf64>
  } else {
    scf.yield %b : tensor<1xf64>
  }
  %z = scf.if %true -> (tensor<1xf64>) {
    scf.yield %a : tensor<1xf64>
  } else {
    scf.yield %b : tensor<1xf64>
  }
  return %y, %z : tensor<1xf64>, tensor<1xf64>
}

// Nothing is known of what has no rule: a tensor of unknown values is mixed.
// CHECK-LABEL: func.func @foreign(
// CHECK-SAME: indices = array<i32: 0, 1, 0, 1>, offsets = array<i64: 0, 2, 4>
func.func @foreign(%x: tensor<2xf64>) -> tensor<2xf64> {
  %y = tensor.generate {
  ^bb0(%i: index):
    %v = tensor.extract %x[%i] : tensor<2xf64>
    tensor.yield %v : f64
  } : tensor<2xf64>
  return %y : tensor<2xf64>
}

// A matrix without columns has no elements, whatever its numbers say: the
// product is zero.
// CHECK-LABEL: func.func @no_columns(
// CHECK-SAME: indices = array<i32>, offsets = array<i64: 0, 0, 0, 0, 0>
func.func @no_columns(%x: tensor<3xf64>) -> (tensor<2xf64>, tensor<2xf64>) {
  %indices = grad.constant dense<[0, -1]> : tensor<2xi32>
  %pointers = grad.constant dense<[0, 1, 2]> : tensor<3xi32>
  %data = grad.slice %x, offsets = [0], sizes = [2], strides = [1] : tensor<3xf64> -> tensor<2xf64>
  %none = grad.slice %x, offsets = [0], sizes = [0], strides = [1] : tensor<3xf64> -> tensor<0xf64>
  %y = grad.sparse_dot %data, %indices, %pointers, %none, columns = 0, transpose = false : tensor<2xf64>, tensor<2xi32>, tensor<3xi32>, tensor<0xf64> -> tensor<2xf64>
  %z = grad.sampled_dot %data, %none, %indices, %pointers : tensor<2xf64>, tensor<0xf64>, tensor<2xi32>, tensor<3xi32> -> tensor<2xf64>
  return %y, %z : tensor<2xf64>, tensor<2xf64>
}
