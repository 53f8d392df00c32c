// RUN: gradopt %s --canonicalize -split-input-file | FileCheck %s

// CHECK-LABEL: func.func @exact_identities
// CHECK-SAME: %[[X:.*]]: tensor<3xf64>
func.func @exact_identities(%x: tensor<3xf64>) -> (tensor<3xf64>, tensor<3xf64>, tensor<3xf64>, tensor<3xf64>, tensor<3xf64>) {
  // CHECK-NEXT: return %[[X]], %[[X]], %[[X]], %[[X]], %[[X]]
  %one = grad.constant dense<1.0> : tensor<3xf64>
  %zero = grad.constant dense<0.0> : tensor<3xf64>
  %minus_zero = grad.constant dense<-0.0> : tensor<3xf64>
  %0 = grad.multiply %one, %x : tensor<3xf64>
  %1 = grad.divide %x, %one : tensor<3xf64>
  %2 = grad.subtract %x, %zero : tensor<3xf64>
  %3 = grad.add %x, %minus_zero : tensor<3xf64>
  %4 = grad.negative %x : tensor<3xf64>
  %5 = grad.negative %4 : tensor<3xf64>
  return %0, %1, %2, %3, %5 : tensor<3xf64>, tensor<3xf64>, tensor<3xf64>, tensor<3xf64>, tensor<3xf64>
}

// -----

// -0 + 0 is 0, and NaN * 0 is NaN.
// CHECK-LABEL: func.func @not_identities_of_floats
func.func @not_identities_of_floats(%x: tensor<3xf64>) -> (tensor<3xf64>, tensor<3xf64>) {
  // CHECK: grad.add
  // CHECK: grad.multiply
  %zero = grad.constant dense<0.0> : tensor<3xf64>
  %0 = grad.add %x, %zero : tensor<3xf64>
  %1 = grad.multiply %x, %zero : tensor<3xf64>
  return %0, %1 : tensor<3xf64>, tensor<3xf64>
}

// -----

// CHECK-LABEL: func.func @negatives
// CHECK-SAME: %[[X:.*]]: tensor<f64>, %[[V:.*]]: tensor<f64>
func.func @negatives(%x: tensor<f64>, %v: tensor<f64>) -> (tensor<f64>, tensor<f64>, tensor<f64>) {
  // CHECK-DAG: %[[A:.*]] = grad.subtract %[[X]], %[[V]]
  // CHECK-DAG: %[[B:.*]] = grad.add %[[X]], %[[V]]
  // CHECK-DAG: %[[N:.*]] = grad.negative %[[X]]
  // CHECK: return %[[A]], %[[B]], %[[N]]
  %minus_one = grad.constant dense<-1.0> : tensor<f64>
  %0 = grad.negative %v : tensor<f64>
  %1 = grad.add %0, %x : tensor<f64>
  %2 = grad.subtract %x, %0 : tensor<f64>
  %3 = grad.multiply %x, %minus_one : tensor<f64>
  return %1, %2, %3 : tensor<f64>, tensor<f64>, tensor<f64>
}

// -----

// CHECK-LABEL: func.func @powers
// CHECK-SAME: %[[X:.*]]: tensor<2xf64>
func.func @powers(%x: tensor<2xf64>) -> (tensor<2xf64>, tensor<2xf64>, tensor<2xf64>) {
  // CHECK-DAG: %[[S:.*]] = grad.square %[[X]]
  // CHECK-DAG: %[[R:.*]] = grad.reciprocal %[[X]]
  // CHECK: return %[[X]], %[[S]], %[[R]]
  %one = grad.constant dense<1.0> : tensor<2xf64>
  %two = grad.constant dense<2.0> : tensor<2xf64>
  %minus_one = grad.constant dense<-1.0> : tensor<2xf64>
  %0 = grad.power %x, %one : tensor<2xf64>
  %1 = grad.power %x, %two : tensor<2xf64>
  %2 = grad.power %x, %minus_one : tensor<2xf64>
  return %0, %1, %2 : tensor<2xf64>, tensor<2xf64>, tensor<2xf64>
}

// -----

// CHECK-LABEL: func.func @constants
func.func @constants() -> (tensor<2xf64>, tensor<2xi64>, tensor<2xf32>) {
  // CHECK-DAG: %[[A:.*]] = grad.constant dense<[4.000000e+00, 6.000000e+00]> : tensor<2xf64>
  // CHECK-DAG: %[[I:.*]] = grad.constant dense<-12> : tensor<2xi64>
  // CHECK-DAG: %[[C:.*]] = grad.constant dense<3.000000e+00> : tensor<2xf32>
  // CHECK: return %[[A]], %[[I]], %[[C]]
  %0 = grad.constant dense<[1.0, 2.0]> : tensor<2xf64>
  %1 = grad.constant dense<[3.0, 4.0]> : tensor<2xf64>
  %2 = grad.add %0, %1 : tensor<2xf64>
  %3 = grad.constant dense<3> : tensor<2xi64>
  %4 = grad.constant dense<-4> : tensor<2xi64>
  %5 = grad.multiply %3, %4 : tensor<2xi64>
  %6 = grad.convert %3 to f32 : tensor<2xi64>
  return %2, %5, %6 : tensor<2xf64>, tensor<2xi64>, tensor<2xf32>
}

// -----

// As the lowering does: what is out of range becomes the smallest integer, of 32
// bits for narrower types.
// CHECK-LABEL: func.func @conversions_of_constants
func.func @conversions_of_constants() -> (tensor<2xi64>, tensor<2xi32>, tensor<2xi8>, tensor<2xi8>, tensor<2xi1>, tensor<2xi1>) {
  // CHECK-DAG: %[[A:.*]] = grad.constant dense<-9223372036854775808> : tensor<2xi64>
  // CHECK-DAG: %[[B:.*]] = grad.constant dense<-2147483648> : tensor<2xi32>
  // CHECK-DAG: %[[C:.*]] = grad.constant dense<44> : tensor<2xi8>
  // CHECK-DAG: %[[D:.*]] = grad.constant dense<0> : tensor<2xi8>
  // CHECK-DAG: %[[E:.*]] = grad.constant dense<true> : tensor<2xi1>
  // CHECK-DAG: %[[F:.*]] = grad.constant dense<false> : tensor<2xi1>
  // CHECK: return %[[A]], %[[B]], %[[C]], %[[D]], %[[E]], %[[F]]
  %nan = grad.constant dense<0x7FF8000000000000> : tensor<2xf64>
  %infinity = grad.constant dense<0x7FF0000000000000> : tensor<2xf64>
  %wide = grad.constant dense<300.7> : tensor<2xf64>
  %zero = grad.constant dense<-0.0> : tensor<2xf64>
  %0 = grad.convert %nan to i64 : tensor<2xf64>
  %1 = grad.convert %infinity to i32 : tensor<2xf64>
  %2 = grad.convert %wide to i8 : tensor<2xf64>
  %3 = grad.convert %infinity to i8 : tensor<2xf64>
  %4 = grad.convert %nan to i1 : tensor<2xf64>
  %5 = grad.convert %zero to i1 : tensor<2xf64>
  return %0, %1, %2, %3, %4, %5 : tensor<2xi64>, tensor<2xi32>, tensor<2xi8>, tensor<2xi8>, tensor<2xi1>, tensor<2xi1>
}

// -----

// CHECK-LABEL: func.func @shapes_compose
// CHECK-SAME: %[[X:.*]]: tensor<2x3xf64>
func.func @shapes_compose(%x: tensor<2x3xf64>) -> (tensor<2x3xf64>, tensor<6xf64>, tensor<5x4x2x3xf64>, tensor<2x3xf64>) {
  // CHECK-DAG: %[[R:.*]] = grad.reshape %[[X]], shape = [6]
  // CHECK-DAG: %[[B:.*]] = grad.broadcast %[[X]], shape = [5, 4, 2, 3], dimensions = [2, 3]
  // CHECK: return %[[X]], %[[R]], %[[B]], %[[X]]
  %0 = grad.transpose %x, permutation = [1, 0] : tensor<2x3xf64> -> tensor<3x2xf64>
  %1 = grad.transpose %0, permutation = [1, 0] : tensor<3x2xf64> -> tensor<2x3xf64>
  %2 = grad.reshape %x, shape = [3, 2] : tensor<2x3xf64> -> tensor<3x2xf64>
  %3 = grad.reshape %2, shape = [6] : tensor<3x2xf64> -> tensor<6xf64>
  %4 = grad.broadcast %x, shape = [4, 2, 3], dimensions = [1, 2] : tensor<2x3xf64> -> tensor<4x2x3xf64>
  %5 = grad.broadcast %4, shape = [5, 4, 2, 3], dimensions = [1, 2, 3] : tensor<4x2x3xf64> -> tensor<5x4x2x3xf64>
  %6 = grad.reverse %x, dimensions = [1] : tensor<2x3xf64> -> tensor<2x3xf64>
  %7 = grad.reverse %6, dimensions = [1] : tensor<2x3xf64> -> tensor<2x3xf64>
  return %1, %3, %5, %7 : tensor<2x3xf64>, tensor<6xf64>, tensor<5x4x2x3xf64>, tensor<2x3xf64>
}

// -----

// CHECK-LABEL: func.func @sum_of_repetition
// CHECK-SAME: %[[X:.*]]: tensor<3xf64>
func.func @sum_of_repetition(%x: tensor<3xf64>) -> tensor<3xf64> {
  // CHECK: %[[N:.*]] = grad.constant dense<4.000000e+00>
  // CHECK: %[[S:.*]] = grad.multiply %[[X]], %[[N]]
  // CHECK: return %[[S]]
  %0 = grad.broadcast %x, shape = [4, 3], dimensions = [1] : tensor<3xf64> -> tensor<4x3xf64>
  %1 = grad.reduce_sum %0, dimensions = [0] : tensor<4x3xf64> -> tensor<3xf64>
  return %1 : tensor<3xf64>
}

// -----

// As in the derivative of softmax: the sum of the terms without their common
// factor is there.
// CHECK-LABEL: func.func @sum_with_a_common_factor
// CHECK-SAME: %[[X:.*]]: tensor<5x3xf64>, %[[Y:.*]]: tensor<5x4x3xf64>
func.func @sum_with_a_common_factor(%x: tensor<5x3xf64>, %y: tensor<5x4x3xf64>) -> (tensor<5x3xf64>, tensor<5x3xf64>) {
  // CHECK: %[[S:.*]] = grad.reduce_sum %[[Y]], dimensions = [1]
  // CHECK: %[[SAME:.*]] = grad.reduce_sum %[[Y]], dimensions = [1]
  // CHECK: %[[P:.*]] = grad.multiply %[[X]], %[[SAME]]
  // CHECK: %[[N:.*]] = grad.negative %[[P]]
  // CHECK: return %[[S]], %[[N]]
  %0 = grad.reduce_sum %y, dimensions = [1] : tensor<5x4x3xf64> -> tensor<5x3xf64>
  %1 = grad.broadcast %x, shape = [5, 4, 3], dimensions = [0, 2] : tensor<5x3xf64> -> tensor<5x4x3xf64>
  %2 = grad.multiply %1, %y : tensor<5x4x3xf64>
  %3 = grad.negative %2 : tensor<5x4x3xf64>
  %4 = grad.reduce_sum %3, dimensions = [1] : tensor<5x4x3xf64> -> tensor<5x3xf64>
  return %0, %4 : tensor<5x3xf64>, tensor<5x3xf64>
}

// -----

// A sum of its own could overflow; and a factor that differs is no common one.
// CHECK-LABEL: func.func @sums_that_stay
func.func @sums_that_stay(%x: tensor<5x4xf64>, %y: tensor<5x4x3xf64>, %z: tensor<5x4x3xf64>) -> (tensor<5x3xf64>, tensor<5x3xf64>, tensor<5x4xf64>) {
  // CHECK: %[[B:.*]] = grad.broadcast
  // CHECK: %[[P:.*]] = grad.multiply %[[B]], %{{.*}} : tensor<5x4x3xf64>
  // CHECK: grad.reduce_sum %[[P]], dimensions = [1]
  // CHECK: %[[Q:.*]] = grad.multiply %[[B]], %{{.*}} : tensor<5x4x3xf64>
  // CHECK: grad.reduce_sum %[[Q]], dimensions = [2]
  %0 = grad.reduce_sum %y, dimensions = [1] : tensor<5x4x3xf64> -> tensor<5x3xf64>
  %1 = grad.broadcast %x, shape = [5, 4, 3], dimensions = [0, 1] : tensor<5x4xf64> -> tensor<5x4x3xf64>
  %2 = grad.multiply %1, %y : tensor<5x4x3xf64>
  %3 = grad.reduce_sum %2, dimensions = [1] : tensor<5x4x3xf64> -> tensor<5x3xf64>
  %4 = grad.multiply %1, %z : tensor<5x4x3xf64>
  %5 = grad.reduce_sum %4, dimensions = [2] : tensor<5x4x3xf64> -> tensor<5x4xf64>
  return %0, %3, %5 : tensor<5x3xf64>, tensor<5x3xf64>, tensor<5x4xf64>
}

// -----

// CHECK-LABEL: func.func @transposes_of_a_product
// CHECK-SAME: %[[A:.*]]: tensor<3x2xf64>, %[[C:.*]]: tensor<4x3xf64>
func.func @transposes_of_a_product(%a: tensor<3x2xf64>, %c: tensor<4x3xf64>) -> tensor<4x2xf64> {
  // CHECK-NEXT: %[[P:.*]] = grad.dot_general %[[C]], %[[A]], batch = [] x [], contract = [1] x [0] : tensor<4x3xf64>, tensor<3x2xf64> -> tensor<4x2xf64>
  // CHECK-NEXT: return %[[P]]
  %0 = grad.transpose %a, permutation = [1, 0] : tensor<3x2xf64> -> tensor<2x3xf64>
  %1 = grad.transpose %c, permutation = [1, 0] : tensor<4x3xf64> -> tensor<3x4xf64>
  %2 = grad.dot_general %0, %1, batch = [] x [], contract = [1] x [0] : tensor<2x3xf64>, tensor<3x4xf64> -> tensor<2x4xf64>
  %3 = grad.transpose %2, permutation = [1, 0] : tensor<2x4xf64> -> tensor<4x2xf64>
  return %3 : tensor<4x2xf64>
}

// -----

// CHECK-LABEL: func.func @comparisons
func.func @comparisons() -> (tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>) {
  // CHECK-DAG: %[[T:.*]] = grad.constant dense<true> : tensor<2xi1>
  // CHECK-DAG: %[[F:.*]] = grad.constant dense<false> : tensor<2xi1>
  // CHECK: return %[[F]], %[[T]], %[[T]], %[[T]], %[[F]]
  %nan = grad.constant dense<0x7FF8000000000000> : tensor<2xf64>
  %zero = grad.constant dense<0.0> : tensor<2xf64>
  %minus_zero = grad.constant dense<-0.0> : tensor<2xf64>
  %one = grad.constant dense<1> : tensor<2xi8>
  %minus_one = grad.constant dense<-1> : tensor<2xi8>
  %true = grad.constant dense<true> : tensor<2xi1>
  %false = grad.constant dense<false> : tensor<2xi1>
  %0 = grad.less_equal %nan, %zero : tensor<2xf64>
  %1 = grad.not_equal %nan, %nan : tensor<2xf64>
  %2 = grad.equal %zero, %minus_zero : tensor<2xf64>
  %3 = grad.greater %one, %minus_one : tensor<2xi8>
  // Bools compare as 0 and 1.
  %4 = grad.less %true, %false : tensor<2xi1>
  return %0, %1, %2, %3, %4 : tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>, tensor<2xi1>
}

// -----

// CHECK-LABEL: func.func @slices
// CHECK-SAME: %[[X:.*]]: tensor<9x8xf64>, %[[U:.*]]: tensor<9x8xf64>, %[[E:.*]]: tensor<0x8xf64>
func.func @slices(%x: tensor<9x8xf64>, %u: tensor<9x8xf64>, %e: tensor<0x8xf64>, %i: tensor<i64>) -> (tensor<2x2xf64>, tensor<9x8xf64>, tensor<9x8xf64>, tensor<9x8xf64>) {
  // CHECK-DAG: %[[S:.*]] = grad.slice %[[X]], offsets = [3, 2], sizes = [2, 2], strides = [4, 3] : tensor<9x8xf64> -> tensor<2x2xf64>
  // CHECK-DAG: %[[A:.*]] = grad.add %[[X]], %[[U]]
  // CHECK: return %[[S]], %[[A]], %[[X]], %[[X]]
  %0 = grad.slice %x, offsets = [1, 2], sizes = [4, 6], strides = [2, 1] : tensor<9x8xf64> -> tensor<4x6xf64>
  %1 = grad.slice %0, offsets = [1, 0], sizes = [2, 2], strides = [2, 3] : tensor<4x6xf64> -> tensor<2x2xf64>
  %2 = grad.add_slice %x, %u, offsets = [0, 0], strides = [1, 1] : tensor<9x8xf64>, tensor<9x8xf64>
  %3 = grad.add_slice %x, %e, offsets = [4, 0], strides = [1, 1] : tensor<9x8xf64>, tensor<0x8xf64>
  %4 = grad.dynamic_add_slice %x, %e[%i, %i] : tensor<9x8xf64>, tensor<0x8xf64>
  return %1, %2, %3, %4 : tensor<2x2xf64>, tensor<9x8xf64>, tensor<9x8xf64>, tensor<9x8xf64>
}

// -----

// A product with a constant of one value is a sum; its terms stay as they are.
// CHECK-LABEL: func.func @dot_of_uniform
// CHECK-SAME: %[[A:.*]]: tensor<2x3x4xf64>
func.func @dot_of_uniform(%a: tensor<2x3x4xf64>) -> (tensor<3x5x2xf64>, tensor<5x4xf64>) {
  // CHECK-DAG: %[[C:.*]] = grad.constant dense<2.0{{.*}}> : tensor<2x3x4xf64>
  // CHECK-DAG: %[[M:.*]] = grad.multiply %[[A]], %[[C]]
  // CHECK-DAG: %[[S:.*]] = grad.reduce_sum %[[M]], dimensions = [2]
  // CHECK-DAG: %[[T:.*]] = grad.transpose %[[S]], permutation = [1, 0]
  // CHECK-DAG: %[[P:.*]] = grad.broadcast %[[T]], shape = [3, 5, 2], dimensions = [0, 2]
  // CHECK-DAG: %[[S1:.*]] = grad.reduce_sum %[[A]], dimensions = [0, 1]
  // CHECK-DAG: %[[Q:.*]] = grad.broadcast %[[S1]], shape = [5, 4], dimensions = [1]
  // CHECK: return %[[P]], %[[Q]]
  %two = grad.constant dense<2.0> : tensor<5x3x4xf64>
  %0 = grad.dot_general %two, %a, batch = [1] x [1], contract = [2] x [2] : tensor<5x3x4xf64>, tensor<2x3x4xf64> -> tensor<3x5x2xf64>
  %one = grad.constant dense<1.0> : tensor<3x5x2xf64>
  %1 = grad.dot_general %one, %a, batch = [] x [], contract = [0, 2] x [1, 0] : tensor<3x5x2xf64>, tensor<2x3x4xf64> -> tensor<5x4xf64>
  return %0, %1 : tensor<3x5x2xf64>, tensor<5x4xf64>
}

// -----

// Rows that are all the same are multiplied once.
// CHECK-LABEL: func.func @dot_of_broadcast
// CHECK-SAME: %[[V:.*]]: tensor<3xf64>, %[[B:.*]]: tensor<3x4xf64>
func.func @dot_of_broadcast(%v: tensor<3xf64>, %b: tensor<3x4xf64>) -> (tensor<5x4xf64>, tensor<4x5xf64>) {
  // CHECK-DAG: %[[P:.*]] = grad.dot_general %[[V]], %[[B]], batch = [] x [], contract = [0] x [0] : tensor<3xf64>, tensor<3x4xf64> -> tensor<4xf64>
  // CHECK-DAG: %[[X:.*]] = grad.broadcast %[[P]], shape = [5, 4], dimensions = [1]
  // CHECK-DAG: %[[Q:.*]] = grad.dot_general %[[B]], %[[V]], batch = [] x [], contract = [0] x [0] : tensor<3x4xf64>, tensor<3xf64> -> tensor<4xf64>
  // CHECK-DAG: %[[Y:.*]] = grad.broadcast %[[Q]], shape = [4, 5], dimensions = [0]
  // CHECK: return %[[X]], %[[Y]]
  %a = grad.broadcast %v, shape = [5, 3], dimensions = [1] : tensor<3xf64> -> tensor<5x3xf64>
  %0 = grad.dot_general %a, %b, batch = [] x [], contract = [1] x [0] : tensor<5x3xf64>, tensor<3x4xf64> -> tensor<5x4xf64>
  %1 = grad.dot_general %b, %a, batch = [] x [], contract = [0] x [1] : tensor<3x4xf64>, tensor<5x3xf64> -> tensor<4x5xf64>
  return %0, %1 : tensor<5x4xf64>, tensor<4x5xf64>
}

// CHECK-LABEL: func @product_with_a_basis
// CHECK-SAME: %[[W:.*]]: tensor<4x3xf64>
func.func @product_with_a_basis(%w: tensor<4x3xf64>) -> (tensor<3x4xf64>, tensor<4x3xf64>) {
  // CHECK: %[[T:.*]] = grad.transpose %[[W]], permutation = [1, 0]
  // CHECK: return %[[T]], %[[W]]
  %e = grad.identity shape = [3], f64 : tensor<3x3xf64>
  %0 = grad.dot_general %e, %w, batch = [] x [], contract = [1] x [1] : tensor<3x3xf64>, tensor<4x3xf64> -> tensor<3x4xf64>
  %1 = grad.dot_general %w, %e, batch = [] x [], contract = [1] x [1] : tensor<4x3xf64>, tensor<3x3xf64> -> tensor<4x3xf64>
  return %0, %1 : tensor<3x4xf64>, tensor<4x3xf64>
}

// Rows of a matrix times another: those of the other, where the rows are the same.
// CHECK-LABEL: func @product_with_a_basis_of_matrices
// CHECK-SAME: %[[W:.*]]: tensor<3x4xf64>
func.func @product_with_a_basis_of_matrices(%w: tensor<3x4xf64>) -> tensor<6x2x4xf64> {
  // CHECK-DAG: %[[ZEROS:.*]] = grad.constant dense<0.000000e+00> : tensor<2x3x2x4xf64>
  // CHECK-DAG: %[[ROWS:.*]] = grad.broadcast %[[W]], shape = [2, 3, 2, 4], dimensions = [1, 3]
  // CHECK-DAG: %[[E:.*]] = grad.identity shape = [2], i1 : tensor<2x2xi1>
  // CHECK: %[[SAME:.*]] = grad.broadcast %[[E]], shape = [2, 3, 2, 4], dimensions = [0, 2]
  // CHECK: %[[R:.*]] = grad.select %[[SAME]], %[[ROWS]], %[[ZEROS]]
  // CHECK: grad.reshape %[[R]], shape = [6, 2, 4]
  // CHECK-NOT: grad.dot_general
  %i = grad.identity shape = [2, 3], f64 : tensor<2x3x2x3xf64>
  %e = grad.reshape %i, shape = [6, 2, 3] : tensor<2x3x2x3xf64> -> tensor<6x2x3xf64>
  %0 = grad.dot_general %e, %w, batch = [] x [], contract = [2] x [0] : tensor<6x2x3xf64>, tensor<3x4xf64> -> tensor<6x2x4xf64>
  return %0 : tensor<6x2x4xf64>
}

// CHECK-LABEL: func @product_with_a_scaled_basis
// CHECK-SAME: %[[W:.*]]: tensor<4x3xf64>, %[[D:.*]]: tensor<3xf64>
func.func @product_with_a_scaled_basis(%w: tensor<4x3xf64>, %d: tensor<3xf64>) -> tensor<4x3xf64> {
  // CHECK: %[[S:.*]] = grad.broadcast %[[D]], shape = [4, 3], dimensions = [1]
  // CHECK: %[[P:.*]] = grad.multiply %[[W]], %[[S]]
  // CHECK: return %[[P]]
  %e = grad.identity shape = [3], f64 : tensor<3x3xf64>
  %s = grad.broadcast %d, shape = [3, 3], dimensions = [1] : tensor<3xf64> -> tensor<3x3xf64>
  %p = grad.multiply %e, %s : tensor<3x3xf64>
  %0 = grad.dot_general %w, %p, batch = [] x [], contract = [1] x [1] : tensor<4x3xf64>, tensor<3x3xf64> -> tensor<4x3xf64>
  return %0 : tensor<4x3xf64>
}

// CHECK-LABEL: func @sum_of_a_basis
func.func @sum_of_a_basis() -> tensor<6xf64> {
  // CHECK: %[[ONES:.*]] = grad.constant dense<1.000000e+00> : tensor<6xf64>
  // CHECK: return %[[ONES]]
  %i = grad.identity shape = [2, 3], f64 : tensor<2x3x2x3xf64>
  %e = grad.reshape %i, shape = [6, 2, 3] : tensor<2x3x2x3xf64> -> tensor<6x2x3xf64>
  %0 = grad.reduce_sum %e, dimensions = [1, 2] : tensor<6x2x3xf64> -> tensor<6xf64>
  return %0 : tensor<6xf64>
}

// A matrix that was not made as a basis may meet infinities: it stays a factor.
// CHECK-LABEL: func @product_with_equal_indices
func.func @product_with_equal_indices(%w: tensor<4x3xf64>) -> tensor<3x4xf64> {
  // CHECK: grad.dot_general
  %i = grad.iota dimension = 0, shape = [3, 3], i64 : tensor<3x3xi64>
  %j = grad.iota dimension = 1, shape = [3, 3], i64 : tensor<3x3xi64>
  %p = grad.equal %i, %j : tensor<3x3xi64>
  %e = grad.convert %p to f64 : tensor<3x3xi1>
  %0 = grad.dot_general %e, %w, batch = [] x [], contract = [1] x [1] : tensor<3x3xf64>, tensor<4x3xf64> -> tensor<3x4xf64>
  return %0 : tensor<3x4xf64>
}

// -----

// Constants of unsigned integers are compared and converted as what they are.

// CHECK-LABEL: func.func @unsigned_constants
func.func @unsigned_constants() -> (tensor<i1>, tensor<f32>, tensor<ui16>, tensor<i16>, tensor<ui32>) {
  %big = grad.constant dense<200> : tensor<ui8>
  %small = grad.constant dense<1> : tensor<ui8>
  %minus = grad.constant dense<-1> : tensor<i8>
  %huge = grad.constant dense<3.0e9> : tensor<f64>
  // CHECK-DAG: grad.constant dense<true> : tensor<i1>
  %0 = grad.greater %big, %small : tensor<ui8>
  // CHECK-DAG: grad.constant dense<2.000000e+02> : tensor<f32>
  %1 = grad.convert %big to f32 : tensor<ui8>
  // CHECK-DAG: grad.constant dense<65535> : tensor<ui16>
  %2 = grad.convert %minus to ui16 : tensor<i8>
  // CHECK-DAG: grad.constant dense<200> : tensor<i16>
  %3 = grad.convert %big to i16 : tensor<ui8>
  // CHECK-DAG: grad.constant dense<3000000000> : tensor<ui32>
  %4 = grad.convert %huge to ui32 : tensor<f64>
  return %0, %1, %2, %3, %4 : tensor<i1>, tensor<f32>, tensor<ui16>, tensor<i16>, tensor<ui32>
}

// -----

// CHECK-LABEL: func.func @parts_of_complex_numbers
// CHECK-SAME: %[[X:.*]]: tensor<3xf64>, %[[Y:.*]]: tensor<3xf64>
func.func @parts_of_complex_numbers(%x: tensor<3xf64>, %y: tensor<3xf64>) -> (tensor<3xf64>, tensor<3xf64>) {
  // CHECK-NEXT: return %[[X]], %[[Y]]
  %0 = grad.complex %x, %y : tensor<3xf64>
  %1 = grad.convert %0 to f64 : tensor<3xcomplex<f64>>
  %2 = grad.imag %0 : tensor<3xcomplex<f64>>
  return %1, %2 : tensor<3xf64>, tensor<3xf64>
}

// -----

// A product with 1 + 0i may change an infinity or the sign of a zero.

// CHECK-LABEL: func.func @complex_constants_stay
func.func @complex_constants_stay(%x: tensor<3xcomplex<f64>>) -> (tensor<3xcomplex<f64>>, tensor<3xcomplex<f64>>) {
  %one = grad.constant dense<(1.0, 0.0)> : tensor<3xcomplex<f64>>
  // CHECK: grad.multiply
  %0 = grad.multiply %x, %one : tensor<3xcomplex<f64>>
  // CHECK: grad.add
  %1 = grad.add %one, %one : tensor<3xcomplex<f64>>
  return %0, %1 : tensor<3xcomplex<f64>>, tensor<3xcomplex<f64>>
}

// -----

// CHECK-LABEL: func.func @sorts_of_one_element
// CHECK-SAME: %[[X:.*]]: tensor<3x1xf64>, %[[Y:.*]]: tensor<2x0xi8>
func.func @sorts_of_one_element(%x: tensor<3x1xf64>, %y: tensor<2x0xi8>) -> (tensor<3x1xf64>, tensor<3x1xi64>, tensor<2x0xi8>, tensor<2x0xi64>) {
  // CHECK-DAG: %[[ZEROS:.*]] = grad.constant dense<0> : tensor<3x1xi64>
  // CHECK-DAG: %[[NONE:.*]] = grad.constant dense<0> : tensor<2x0xi64>
  // CHECK-NOT: grad.sort
  // CHECK: return %[[X]], %[[ZEROS]], %[[Y]], %[[NONE]]
  %0, %i = grad.sort %x : tensor<3x1xf64> -> tensor<3x1xf64>, tensor<3x1xi64>
  %1, %j = grad.sort %y : tensor<2x0xi8> -> tensor<2x0xi8>, tensor<2x0xi64>
  return %0, %i, %1, %j : tensor<3x1xf64>, tensor<3x1xi64>, tensor<2x0xi8>, tensor<2x0xi64>
}

// -----

// CHECK-LABEL: func.func @sort_of_sorted
func.func @sort_of_sorted(%x: tensor<3x5xf64>) -> (tensor<3x5xf64>, tensor<3x5xi64>) {
  // CHECK-DAG: %[[V:.*]], %{{.*}} = grad.sort
  // CHECK-DAG: %[[I:.*]] = grad.iota dimension = 1, shape = [3, 5], i64
  // CHECK-NOT: grad.sort
  // CHECK: return %[[V]], %[[I]]
  %0, %i = grad.sort %x : tensor<3x5xf64> -> tensor<3x5xf64>, tensor<3x5xi64>
  %1, %j = grad.sort %0 : tensor<3x5xf64> -> tensor<3x5xf64>, tensor<3x5xi64>
  return %1, %j : tensor<3x5xf64>, tensor<3x5xi64>
}

// -----

// One number is its own transform.
// CHECK-LABEL: func.func @fft_of_one_number
// CHECK-SAME: %[[X:.*]]: tensor<3x1xcomplex<f64>>, %[[Z:.*]]: tensor
func.func @fft_of_one_number(%x: tensor<3x1xcomplex<f64>>, %z: tensor<3x2xcomplex<f64>>) -> (tensor<3x1xcomplex<f64>>, tensor<3x2xcomplex<f64>>, tensor<3x2xcomplex<f64>>) {
  // CHECK: %[[Y:.*]] = grad.fft %[[Z]]
  // CHECK: return %[[X]], %[[Y]], %[[Z]]
  %0 = grad.fft %x, dimensions = [1], forward = true, norm = "size" : tensor<3x1xcomplex<f64>>
  %1 = grad.fft %z, dimensions = [1], forward = true, norm = "none" : tensor<3x2xcomplex<f64>>
  %2 = grad.fft %z, dimensions = [], forward = true, norm = "root" : tensor<3x2xcomplex<f64>>
  return %0, %1, %2 : tensor<3x1xcomplex<f64>>, tensor<3x2xcomplex<f64>>, tensor<3x2xcomplex<f64>>
}

// -----

// Fewer rows of rows are rows at once, and so are what is added to them.

// CHECK-LABEL: func.func @gathers_of_gathers
// CHECK-SAME: %[[X:.*]]: tensor<2x9xf64>, %[[I:.*]]: tensor<2x9x1xi64>, %[[J:.*]]: tensor<2x3x1xi64>, %[[U:.*]]: tensor<2x3xf64>
func.func @gathers_of_gathers(%x: tensor<2x9xf64>, %i: tensor<2x9x1xi64>, %j: tensor<2x3x1xi64>, %u: tensor<2x3xf64>) -> (tensor<2x3xf64>, tensor<2x9xf64>) {
  // CHECK-DAG: %[[ZERO:.*]] = grad.constant dense<0.000000e+00>
  // CHECK: %[[IJ:.*]] = grad.gather %[[I]], %[[J]] batch 1 : tensor<2x9x1xi64>, tensor<2x3x1xi64> -> tensor<2x3x1xi64>
  // CHECK: %[[G:.*]] = grad.gather %[[X]], %[[IJ]] batch 1
  // CHECK: %[[KL:.*]] = grad.gather %[[I]], %[[J]] batch 1
  // CHECK: %[[S:.*]] = grad.scatter_add %[[ZERO]], %[[KL]], %[[U]] batch 1
  // CHECK: return %[[G]], %[[S]]
  %0 = grad.gather %x, %i batch 1 : tensor<2x9xf64>, tensor<2x9x1xi64> -> tensor<2x9xf64>
  %1 = grad.gather %0, %j batch 1 : tensor<2x9xf64>, tensor<2x3x1xi64> -> tensor<2x3xf64>
  %zero = grad.constant dense<0.0> : tensor<2x9xf64>
  %2 = grad.scatter_add %zero, %j, %u batch 1 : tensor<2x9xf64>, tensor<2x3x1xi64>, tensor<2x3xf64>
  %3 = grad.scatter_add %zero, %i, %2 batch 1 : tensor<2x9xf64>, tensor<2x9x1xi64>, tensor<2x9xf64>
  return %1, %3 : tensor<2x3xf64>, tensor<2x9xf64>
}

// -----

// A zero that is added may change the sign of one.

// CHECK-LABEL: func.func @scatters_that_stay
func.func @scatters_that_stay(%x: tensor<9xf64>, %i: tensor<9x1xi64>, %j: tensor<9x1xi64>, %k: tensor<3x1xi64>, %u: tensor<3xf64>) -> (tensor<9xf64>, tensor<9xf64>) {
  // CHECK-COUNT-2: grad.scatter_add
  %zero = grad.constant dense<0.0> : tensor<9xf64>
  %0 = grad.scatter_add %zero, %k, %u : tensor<9xf64>, tensor<3x1xi64>, tensor<3xf64>
  %1 = grad.scatter_add %x, %i, %0 : tensor<9xf64>, tensor<9x1xi64>, tensor<9xf64>
  // CHECK-COUNT-2: grad.gather
  %2 = grad.gather %1, %i : tensor<9xf64>, tensor<9x1xi64> -> tensor<9xf64>
  %3 = grad.gather %2, %j : tensor<9xf64>, tensor<9x1xi64> -> tensor<9xf64>
  return %1, %3 : tensor<9xf64>, tensor<9xf64>
}
