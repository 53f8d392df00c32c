// RUN: gradopt %s --split-input-file --pass-pipeline='builtin.module(func.func(grad-expand-sizes,canonicalize,cse))' | FileCheck %s

// One loop reads, multiplies and sums; nothing of unknown size is left.
// CHECK-LABEL: func @dot
// CHECK-SAME: %[[A:.*]]: tensor<9x9xf64>, %[[I:.*]]: tensor<i64>, %[[N:.*]]: tensor<i64>
// CHECK-NOT: ?
// CHECK: %[[EXTENT:.*]] = tensor.extract %[[N]][]
// CHECK: %[[END:.*]] = arith.index_cast %[[EXTENT]] : i64 to index
// CHECK: %[[DOT:.*]] = scf.for %[[K:.*]] = %c0 to %[[END]] step %c1 iter_args(%[[SUM:.*]] = %{{.*}}) -> (tensor<f64>) {
// CHECK: %[[AT:.*]] = tensor.from_elements
// CHECK: %[[X0:.*]] = grad.dynamic_slice %[[A]][%[[I]], %[[AT]]], sizes = [1, 1] {grad.in_bounds}
// CHECK: %[[X:.*]] = grad.reshape %[[X0]], shape = []
// CHECK: %[[Y0:.*]] = grad.dynamic_slice %[[A]][%[[AT]], %[[I]]], sizes = [1, 1] : tensor
// CHECK: %[[Y:.*]] = grad.reshape %[[Y0]], shape = []
// CHECK: %[[PRODUCT:.*]] = grad.multiply %[[X]], %[[Y]]
// CHECK: %[[NEXT:.*]] = grad.add %[[SUM]], %[[PRODUCT]]
// CHECK: scf.yield %[[NEXT]]
// CHECK-NOT: ?
// CHECK: return %[[DOT]]
func.func @dot(%a: tensor<9x9xf64>, %i: tensor<i64>, %n: tensor<i64>) -> tensor<f64> {
  %zero = grad.constant dense<0> : tensor<i64>
  %row = grad.sized_slice %a[%i, %zero], shape = [?], dimensions = [1] sizes(%n) {grad.in_bounds}
      : tensor<9x9xf64> -> tensor<?xf64>
  %column = grad.sized_slice %a[%zero, %i], shape = [?], dimensions = [0] sizes(%n)
      : tensor<9x9xf64> -> tensor<?xf64>
  %dot = grad.dot_general %row, %column, batch = [] x [], contract = [0] x [0]
      : tensor<?xf64>, tensor<?xf64> -> tensor<f64>
  return %dot : tensor<f64>
}

// -----

// What is written where it was read stays in place: the loop reads what it
// carries.
// CHECK-LABEL: func @scale
// CHECK-SAME: %[[A:[a-z0-9]+]]: tensor<9x9xf64>
// CHECK: scf.for {{.*}} iter_args(%[[NOW:.*]] = %[[A]]) -> (tensor<9x9xf64>) {
// CHECK: %[[PART:.*]] = grad.dynamic_slice %[[NOW]][%{{.*}}, %{{.*}}], sizes = [1, 1]
// CHECK: grad.multiply
// CHECK: grad.dynamic_update_slice %[[NOW]]
// CHECK-NOT: scf.for
func.func @scale(%a: tensor<9x9xf64>, %i: tensor<i64>, %n: tensor<i64>, %beta: tensor<f64>) -> tensor<9x9xf64> {
  %zero = grad.constant dense<0> : tensor<i64>
  %row = grad.sized_slice %a[%i, %zero], shape = [?], dimensions = [1] sizes(%n)
      : tensor<9x9xf64> -> tensor<?xf64>
  %factor = grad.sized_broadcast %beta, shape = [?], dimensions = [], bounds = [9] sizes(%n)
      : tensor<f64> -> tensor<?xf64>
  %scaled = grad.multiply %row, %factor : tensor<?xf64>
  %r = grad.sized_update %a, %scaled[%i, %zero], dimensions = [1]
      : tensor<9x9xf64>, tensor<?xf64>
  return %r : tensor<9x9xf64>
}

// -----

// What is read elsewhere is computed before anything is written.
// CHECK-LABEL: func @add_reversed
// CHECK-SAME: %[[Y:[a-z0-9]+]]: tensor<9xf64>, %[[N:[a-z0-9]+]]: tensor<i64>
// CHECK: %[[EMPTY:.*]] = tensor.empty() : tensor<9xf64>
// CHECK: %[[SUMS:.*]] = scf.for {{.*}} iter_args(%[[KEPT:.*]] = %[[EMPTY]]) -> (tensor<9xf64>) {
// CHECK: %[[LAST:.*]] = grad.subtract %[[N]], %{{.*}}
// CHECK: %[[MIRRORED:.*]] = grad.subtract %[[LAST]], %[[AT:.*]] : tensor<i64>
// CHECK: grad.dynamic_slice %[[Y]][%[[MIRRORED]]]
// CHECK: grad.dynamic_update_slice %[[KEPT]], %{{.*}}[%{{.*}}] {grad.in_bounds}
// CHECK: scf.for {{.*}} iter_args(%[[NOW:.*]] = %[[Y]]) -> (tensor<9xf64>) {
// CHECK: grad.dynamic_slice %[[SUMS]]
// CHECK: grad.dynamic_update_slice %[[NOW]]
func.func @add_reversed(%y: tensor<9xf64>, %n: tensor<i64>) -> tensor<9xf64> {
  %zero = grad.constant dense<0> : tensor<i64>
  %x = grad.sized_slice %y[%zero], shape = [?], dimensions = [0] sizes(%n)
      : tensor<9xf64> -> tensor<?xf64>
  %back = grad.reverse %x, dimensions = [0] : tensor<?xf64> -> tensor<?xf64>
  %sum = grad.add %x, %back : tensor<?xf64>
  %r = grad.sized_update %y, %sum[%zero], dimensions = [0] : tensor<9xf64>, tensor<?xf64>
  return %r : tensor<9xf64>
}

// -----

// Dimensions of known size stay: the loop is over the rows alone. The vector is
// computed once, not for each of them.
// CHECK-LABEL: func @rows_times_vector
// CHECK: %[[V:.*]] = grad.exp %{{.*}} : tensor<5xf64>
// CHECK: scf.for
// CHECK: %[[ROW:.*]] = grad.reshape %{{.*}}, shape = [5]
// CHECK: grad.dot_general %[[ROW]], %[[V]], batch = [] x [], contract = [0] x [0]
// CHECK-NOT: scf.for
func.func @rows_times_vector(%v: tensor<5xf64>, %a: tensor<9x5xf64>, %y: tensor<9xf64>, %n: tensor<i64>) -> tensor<9xf64> {
  %zero = grad.constant dense<0> : tensor<i64>
  %e = grad.exp %v : tensor<5xf64>
  %m = grad.sized_slice %a[%zero, %zero], shape = [?, 5], dimensions = [0, 1] sizes(%n)
      : tensor<9x5xf64> -> tensor<?x5xf64>
  %p = grad.dot_general %m, %e, batch = [] x [], contract = [1] x [0]
      : tensor<?x5xf64>, tensor<5xf64> -> tensor<?xf64>
  %r = grad.sized_update %y, %p[%zero], dimensions = [0] : tensor<9xf64>, tensor<?xf64>
  return %r : tensor<9xf64>
}

// -----

// Columns: rows are added up, so that memory is read as it lies.
// CHECK-LABEL: func @vector_times_columns
// CHECK-SAME: %[[V:[a-z0-9]+]]: tensor<5xf64>, %[[A:[a-z0-9]+]]: tensor<5x9xf64>, %[[Y:[a-z0-9]+]]: tensor<9xf64>, %[[N:[a-z0-9]+]]: tensor<i64>
// CHECK: %[[ZEROS:.*]] = grad.constant dense<0.000000e+00> : tensor<9xf64>
// CHECK: %[[SUMS:.*]] = scf.for {{.*}} to %c5 {{.*}} iter_args(%[[OUTER:.*]] = %[[ZEROS]]) -> (tensor<9xf64>) {
// CHECK: %[[ROW:.*]] = tensor.from_elements
// CHECK: %[[END:.*]] = arith.index_cast %{{.*}} : i64 to index
// CHECK: scf.for {{.*}} to %[[END]] {{.*}} iter_args(%[[NOW:.*]] = %[[OUTER]]) -> (tensor<9xf64>) {
// CHECK: %[[COLUMN:.*]] = tensor.from_elements
// CHECK: grad.dynamic_slice %[[NOW]][%[[COLUMN]]]
// CHECK: grad.dynamic_slice %[[V]][%[[ROW]]]
// CHECK: grad.dynamic_slice %[[A]][%[[ROW]], %[[COLUMN]]], sizes = [1, 1]
// CHECK: grad.multiply %{{.*}}, %{{.*}} {grad.any_order}
// CHECK: grad.add %{{.*}}, %{{.*}} {grad.any_order}
// CHECK: grad.dynamic_update_slice %[[NOW]]
// CHECK: scf.for
// CHECK: grad.dynamic_slice %[[SUMS]]
func.func @vector_times_columns(%v: tensor<5xf64>, %a: tensor<5x9xf64>, %y: tensor<9xf64>, %n: tensor<i64>) -> tensor<9xf64> {
  %zero = grad.constant dense<0> : tensor<i64>
  %m = grad.sized_slice %a[%zero, %zero], shape = [5, ?], dimensions = [0, 1] sizes(%n)
      : tensor<5x9xf64> -> tensor<5x?xf64>
  %p = grad.dot_general %v, %m, batch = [] x [], contract = [0] x [0]
      : tensor<5xf64>, tensor<5x?xf64> -> tensor<?xf64>
  %r = grad.sized_update %y, %p[%zero], dimensions = [0] : tensor<9xf64>, tensor<?xf64>
  return %r : tensor<9xf64>
}

// -----

// A value with two uses is computed once, in a tensor of the size of its bound.
// CHECK-LABEL: func @used_twice
// CHECK: tensor.empty() : tensor<7xf64>
// CHECK: scf.for
// CHECK: grad.exp
// CHECK: scf.for
// CHECK-NOT: grad.exp
// CHECK: scf.for
// CHECK-NOT: grad.exp
// CHECK: return
func.func @used_twice(%n: tensor<i64>) -> (tensor<f64>, tensor<f64>) {
  %i = grad.sized_iota %n, bound = 7, f64 : tensor<?xf64>
  %e = grad.exp %i : tensor<?xf64>
  %s = grad.reduce_sum %e, dimensions = [0] : tensor<?xf64> -> tensor<f64>
  %p = grad.reduce_prod %e, dimensions = [0] : tensor<?xf64> -> tensor<f64>
  return %s, %p : tensor<f64>, tensor<f64>
}

// -----

// Elements at indices: one place for each.
// CHECK-LABEL: func @sparse_row
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<9xf64>, %[[C:[a-z0-9]+]]: tensor<20x1xi64>
// CHECK: %[[SUM:.*]] = scf.for
// CHECK: %[[ROW:.*]] = grad.dynamic_slice %[[C]]
// CHECK: %[[INDEX:.*]] = grad.reshape %{{.*}} : tensor<1xi64> -> tensor<i64>
// CHECK: grad.dynamic_slice %[[X]][%[[INDEX]]], sizes = [1]
// CHECK: grad.add {{.*}} {grad.any_order}
// CHECK-NOT: scf.for
// CHECK: return %[[SUM]]
func.func @sparse_row(%x: tensor<9xf64>, %c: tensor<20x1xi64>, %start: tensor<i64>, %n: tensor<i64>) -> tensor<f64> {
  %zero = grad.constant dense<0> : tensor<i64>
  %i = grad.sized_slice %c[%start, %zero], shape = [?, 1], dimensions = [0, 1] sizes(%n)
      : tensor<20x1xi64> -> tensor<?x1xi64>
  %g = grad.gather %x, %i : tensor<9xf64>, tensor<?x1xi64> -> tensor<?xf64>
  %s = grad.reduce_sum %g, dimensions = [0] : tensor<?xf64> -> tensor<f64>
  return %s : tensor<f64>
}

// -----

// Elements of what is computed, in any order: that is computed before.
// CHECK-LABEL: func @elements_of_computed
// CHECK: scf.for
// CHECK: grad.exp
// CHECK: scf.for
// CHECK-NOT: grad.exp
// CHECK: return
func.func @elements_of_computed(%x: tensor<9x3xf64>, %i: tensor<5x1xi64>, %n: tensor<i64>) -> tensor<3xf64> {
  %zero = grad.constant dense<0> : tensor<i64>
  %p = grad.sized_slice %x[%zero, %zero], shape = [?, 3], dimensions = [0, 1] sizes(%n)
      : tensor<9x3xf64> -> tensor<?x3xf64>
  %e = grad.exp %p : tensor<?x3xf64>
  %j = grad.sized_slice %i[%zero, %zero], shape = [?, 1], dimensions = [0, 1] sizes(%n)
      : tensor<5x1xi64> -> tensor<?x1xi64>
  %g = grad.gather %e, %j : tensor<?x3xf64>, tensor<?x1xi64> -> tensor<?x3xf64>
  %s = grad.reduce_sum %g, dimensions = [0] : tensor<?x3xf64> -> tensor<3xf64>
  return %s : tensor<3xf64>
}

// -----

// CHECK-LABEL: func @rows_added
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<9x3xf64>
// CHECK: scf.for {{.*}} iter_args(%[[NOW:.*]] = %[[X]])
// CHECK: %[[OLD:.*]] = grad.dynamic_slice %[[NOW]][%[[AT:.*]], %{{.*}}], sizes = [1, 3]
// CHECK: %[[NEW:.*]] = grad.add %[[OLD]]
// CHECK: grad.dynamic_update_slice %[[NOW]], %[[NEW]][%[[AT]]
func.func @rows_added(%x: tensor<9x3xf64>, %u: tensor<5x3xf64>, %i: tensor<5x1xi64>, %n: tensor<i64>) -> tensor<9x3xf64> {
  %zero = grad.constant dense<0> : tensor<i64>
  %p = grad.sized_slice %u[%zero, %zero], shape = [?, 3], dimensions = [0, 1] sizes(%n)
      : tensor<5x3xf64> -> tensor<?x3xf64>
  %j = grad.sized_slice %i[%zero, %zero], shape = [?, 1], dimensions = [0, 1] sizes(%n)
      : tensor<5x1xi64> -> tensor<?x1xi64>
  %r = grad.scatter_add %x, %j, %p : tensor<9x3xf64>, tensor<?x1xi64>, tensor<?x3xf64>
  return %r : tensor<9x3xf64>
}

// -----

// CHECK-LABEL: func @extremes
// CHECK-DAG: %[[LEAST:.*]] = grad.constant dense<0xFFF0000000000000> : tensor<f64>
// CHECK-DAG: %[[MOST:.*]] = grad.constant dense<127> : tensor<i8>
// CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[LEAST]])
// CHECK: grad.maximum
// CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[MOST]])
// CHECK: grad.minimum
func.func @extremes(%x: tensor<9xf64>, %y: tensor<9xi8>, %n: tensor<i64>) -> (tensor<f64>, tensor<i8>) {
  %zero = grad.constant dense<0> : tensor<i64>
  %p = grad.sized_slice %x[%zero], shape = [?], dimensions = [0] sizes(%n)
      : tensor<9xf64> -> tensor<?xf64>
  %q = grad.sized_slice %y[%zero], shape = [?], dimensions = [0] sizes(%n)
      : tensor<9xi8> -> tensor<?xi8>
  %s = grad.stop_gradient %p : tensor<?xf64>
  %max = grad.reduce_max %s, dimensions = [0] : tensor<?xf64> -> tensor<f64>
  %min = grad.reduce_min %q, dimensions = [0] : tensor<?xi8> -> tensor<i8>
  return %max, %min : tensor<f64>, tensor<i8>
}

// -----

// Indices that few ops make are made each time that they are used.
// CHECK-LABEL: func @shallow_indices
// CHECK-NOT: tensor<20xi64>
// CHECK: scf.for
// CHECK: grad.convert
// CHECK: grad.minimum
// CHECK: scf.for
// CHECK: grad.convert
// CHECK: grad.maximum
// CHECK: return
func.func @shallow_indices(%c: tensor<20xi32>, %n: tensor<i64>) -> (tensor<i64>, tensor<i64>) {
  %zero = grad.constant dense<0> : tensor<i64>
  %i = grad.sized_slice %c[%zero], shape = [?], dimensions = [0] sizes(%n)
      : tensor<20xi32> -> tensor<?xi32>
  %j = grad.convert %i to i64 : tensor<?xi32>
  %min = grad.reduce_min %j, dimensions = [0] : tensor<?xi64> -> tensor<i64>
  %max = grad.reduce_max %j, dimensions = [0] : tensor<?xi64> -> tensor<i64>
  return %min, %max : tensor<i64>, tensor<i64>
}

// Products of matrices: 32 rows at once, and the rest one by one.
// CHECK-LABEL: func @tiles_of_rows
// CHECK: %[[LAST:.*]] = arith.muli %[[COUNT:.*]], %{{.*}} : index
// CHECK: %[[MOST:.*]] = scf.for %{{.*}} = %{{.*}} to %[[COUNT]]
// CHECK: grad.dynamic_slice %arg0[{{.*}}], sizes = [32, 4] {grad.in_bounds}
// CHECK: grad.dot_general {{.*}} : tensor<32x4xf64>, tensor<4x5xf64> -> tensor<32x5xf64>
// CHECK: grad.tanh {{.*}} : tensor<32x5xf64>
// CHECK: grad.dynamic_update_slice {{.*}} : tensor<100x5xf64>, tensor<32x5xf64>
// CHECK: {grad.max_trip_count = 3 : i64}
// CHECK: scf.for %{{.*}} = %[[LAST]] to %{{.*}} iter_args({{.*}} = %[[MOST]])
// CHECK: grad.dot_general {{.*}} : tensor<1x4xf64>, tensor<4x5xf64> -> tensor<1x5xf64>
// CHECK: {grad.max_trip_count = 31 : i64}
// CHECK: scf.for
// CHECK: grad.dot_general {{.*}} contract = [0] x [0] : tensor<32x4xf64>, tensor<32x5xf64> -> tensor<4x5xf64>
// CHECK: scf.for
// CHECK: grad.dot_general {{.*}} contract = [0] x [0] : tensor<1x4xf64>, tensor<1x5xf64> -> tensor<4x5xf64>
func.func @tiles_of_rows(%x: tensor<100x4xf64>, %w: tensor<4x5xf64>, %n: tensor<i64>) -> tensor<4x5xf64> {
  %zero = grad.constant dense<0> : tensor<i64>
  %0 = grad.sized_slice %x[%zero, %zero], shape = [?, 4], dimensions = [0, 1] sizes(%n) {grad.in_bounds}
      : tensor<100x4xf64> -> tensor<?x4xf64>
  %1 = grad.dot_general %0, %w, batch = [] x [], contract = [1] x [0]
      : tensor<?x4xf64>, tensor<4x5xf64> -> tensor<?x5xf64>
  %2 = grad.tanh %1 : tensor<?x5xf64>
  %3 = grad.dot_general %0, %2, batch = [] x [], contract = [0] x [0]
      : tensor<?x4xf64>, tensor<?x5xf64> -> tensor<4x5xf64>
  return %3 : tensor<4x5xf64>
}

// From an array without elements nothing is read, and nothing is written to it.
// CHECK-LABEL: func @of_no_elements
// CHECK-NOT: grad.dynamic_slice
// CHECK: %[[Y:.*]] = scf.for
// CHECK: grad.dynamic_update_slice
// CHECK: return %[[Y]], %arg1 : tensor<4xf64>, tensor<0xf64>
func.func @of_no_elements(%x: tensor<4xf64>, %none: tensor<0xf64>, %i: tensor<i64>, %n: tensor<i64>)
    -> (tensor<4xf64>, tensor<0xf64>) {
  %0 = grad.sized_slice %none[%i], shape = [?], dimensions = [0] sizes(%n) : tensor<0xf64> -> tensor<?xf64>
  %1 = grad.sized_update %x, %0[%i], dimensions = [0] : tensor<4xf64>, tensor<?xf64>
  %2 = grad.sized_slice %x[%i], shape = [?], dimensions = [0] sizes(%n) : tensor<4xf64> -> tensor<?xf64>
  %3 = grad.sized_update %none, %2[%i], dimensions = [0] : tensor<0xf64>, tensor<?xf64>
  return %1, %3 : tensor<4xf64>, tensor<0xf64>
}
