// RUN: gradopt %s --grad-transpose -split-input-file | FileCheck %s

// A value of two uses sums their cotangents.
// CHECK-LABEL: func.func @two_uses
// CHECK-SAME: %[[G:.*]]: tensor<f64>, %[[A:.*]]: tensor<f64>
func.func @two_uses(%g: tensor<f64>, %a: tensor<f64>) -> tensor<f64> {
  // CHECK-DAG: %[[N:.*]] = grad.negative %[[G]]
  // CHECK-DAG: %[[M:.*]] = grad.multiply %[[G]], %[[A]]
  // CHECK: %[[S:.*]] = grad.add %[[M]], %[[N]]
  // CHECK: return %[[S]]
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<f64>):
    %1 = grad.negative %t : tensor<f64>
    %2 = grad.multiply %a, %t : tensor<f64>
    %3 = grad.add %2, %1 : tensor<f64>
    grad.yield %3 : tensor<f64>
  } : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}

// -----

// CHECK-LABEL: func.func @structure
// CHECK-SAME: %[[G:.*]]: tensor<2x3xf64>
func.func @structure(%g: tensor<2x3xf64>) -> (tensor<3xf64>, tensor<3x2xf64>) {
  // CHECK-DAG: grad.transpose %[[G]], permutation = [1, 0]
  // CHECK-DAG: grad.reduce_sum %[[G]], dimensions = [0]
  %0:2 = grad.transposed(%g) {
  ^bb0(%t: tensor<3xf64>, %u: tensor<3x2xf64>):
    %1 = grad.broadcast %t, shape = [2, 3], dimensions = [1] : tensor<3xf64> -> tensor<2x3xf64>
    %2 = grad.transpose %u, permutation = [1, 0] : tensor<3x2xf64> -> tensor<2x3xf64>
    %3 = grad.add %1, %2 : tensor<2x3xf64>
    grad.yield %3 : tensor<2x3xf64>
  } : (tensor<2x3xf64>) -> (tensor<3xf64>, tensor<3x2xf64>)
  return %0#0, %0#1 : tensor<3xf64>, tensor<3x2xf64>
}

// -----

// What a scatter overwrites has no cotangent, nor have updates that do not stay.
// CHECK-LABEL: func.func @scatter
// CHECK-SAME: %[[G:.*]]: tensor<5xf64>, %[[I:.*]]: tensor<3x1xi64>
func.func @scatter(%g: tensor<5xf64>, %i: tensor<3x1xi64>) -> (tensor<5xf64>, tensor<3xf64>) {
  // CHECK: %[[PART:.*]] = grad.gather %[[G]], %[[I]]
  // CHECK: %[[ROWS:.*]] = grad.iota dimension = 0, shape = [3], i64
  // CHECK: %[[WRITTEN:.*]] = grad.scatter %{{.*}}, %[[I]], %[[ROWS]] : tensor<5xi64>
  // CHECK: %[[THERE:.*]] = grad.gather %[[WRITTEN]], %[[I]]
  // CHECK: %[[LAST:.*]] = grad.equal %[[THERE]], %[[ROWS]]
  // CHECK: %[[GU:.*]] = grad.select %[[LAST]], %[[PART]], %{{.*}}
  // CHECK: %[[ZERO:.*]] = grad.constant dense<0.0{{.*}}> : tensor<3xf64>
  // CHECK: %[[GX:.*]] = grad.scatter %[[G]], %[[I]], %[[ZERO]] :
  // CHECK: return %[[GX]], %[[GU]]
  %0:2 = grad.transposed(%g) {
  ^bb0(%x: tensor<5xf64>, %u: tensor<3xf64>):
    %1 = grad.scatter %x, %i, %u : tensor<5xf64>, tensor<3x1xi64>, tensor<3xf64>
    grad.yield %1 : tensor<5xf64>
  } : (tensor<5xf64>) -> (tensor<5xf64>, tensor<3xf64>)
  return %0#0, %0#1 : tensor<5xf64>, tensor<3xf64>
}

// -----

// CHECK-LABEL: func.func @scatter_to_different_positions
// CHECK-SAME: %[[G:.*]]: tensor<5xf64>, %[[I:.*]]: tensor<3x1xi64>
func.func @scatter_to_different_positions(%g: tensor<5xf64>, %i: tensor<3x1xi64>) -> tensor<3xf64> {
  // CHECK-NEXT: %[[GU:.*]] = grad.gather %[[G]], %[[I]]
  // CHECK-NEXT: return %[[GU]]
  %0 = grad.transposed(%g) {
  ^bb0(%u: tensor<3xf64>):
    %x = grad.constant dense<0.0> : tensor<5xf64>
    %1 = grad.scatter %x, %i, %u unique : tensor<5xf64>, tensor<3x1xi64>, tensor<3xf64>
    grad.yield %1 : tensor<5xf64>
  } : (tensor<5xf64>) -> tensor<3xf64>
  return %0 : tensor<3xf64>
}

// -----

// Slices of one value add to parts of one cotangent.
// CHECK-LABEL: func.func @slices
// CHECK-SAME: %[[G:.*]]: tensor<2xf64>, %[[H:.*]]: tensor<3xf64>, %[[I:.*]]: tensor<i64>
func.func @slices(%g: tensor<2xf64>, %h: tensor<3xf64>, %i: tensor<i64>) -> tensor<7xf64> {
  // CHECK: %[[Z:.*]] = grad.constant dense<0.0{{.*}}> : tensor<7xf64>
  // CHECK: %[[A:.*]] = grad.dynamic_add_slice %[[Z]], %[[H]][%[[I]]]
  // CHECK: %[[B:.*]] = grad.add_slice %[[A]], %[[G]], offsets = [1], strides = [3]
  // CHECK: return %[[B]]
  %0 = grad.transposed(%g, %h) {
  ^bb0(%t: tensor<7xf64>):
    %1 = grad.slice %t, offsets = [1], sizes = [2], strides = [3] : tensor<7xf64> -> tensor<2xf64>
    %2 = grad.dynamic_slice %t[%i], sizes = [3] : tensor<7xf64> -> tensor<3xf64>
    grad.yield %1, %2 : tensor<2xf64>, tensor<3xf64>
  } : (tensor<2xf64>, tensor<3xf64>) -> tensor<7xf64>
  return %0 : tensor<7xf64>
}

// -----

// Rows of a table, after a use of the whole of it.
// CHECK-LABEL: func.func @rows
// CHECK-SAME: %[[G:.*]]: tensor<2x3xf64>, %[[H:.*]]: tensor<4x3xf64>, %[[I:.*]]: tensor<2x1xi64>
func.func @rows(%g: tensor<2x3xf64>, %h: tensor<4x3xf64>, %i: tensor<2x1xi64>) -> tensor<4x3xf64> {
  // CHECK: %[[N:.*]] = grad.negative %[[H]]
  // CHECK: %[[A:.*]] = grad.scatter_add %[[N]], %[[I]], %[[G]]
  // CHECK: return %[[A]]
  %0 = grad.transposed(%g, %h) {
  ^bb0(%t: tensor<4x3xf64>):
    %1 = grad.gather %t, %i : tensor<4x3xf64>, tensor<2x1xi64> -> tensor<2x3xf64>
    %2 = grad.negative %t : tensor<4x3xf64>
    grad.yield %1, %2 : tensor<2x3xf64>, tensor<4x3xf64>
  } : (tensor<2x3xf64>, tensor<4x3xf64>) -> tensor<4x3xf64>
  return %0 : tensor<4x3xf64>
}

// -----

// What does not depend on the region's arguments is a coefficient, wherever it
// is computed.
// CHECK-LABEL: func.func @coefficients
// CHECK-SAME: %[[G:.*]]: tensor<f64>, %[[A:.*]]: tensor<f64>
func.func @coefficients(%g: tensor<f64>, %a: tensor<f64>) -> tensor<f64> {
  // CHECK: %[[C:.*]] = grad.cos %[[A]]
  // CHECK: %[[M:.*]] = grad.multiply %[[G]], %[[C]]
  // CHECK: return %[[M]]
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<f64>):
    %1 = grad.cos %a : tensor<f64>
    %2 = grad.multiply %1, %t : tensor<f64>
    grad.yield %2 : tensor<f64>
  } : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}

// -----

// The transpose of a transpose is the function, which need not be linear; a
// cotangent of zeros is a symbolic one, and one that is missing becomes zeros.
// CHECK-LABEL: func.func @twice
// CHECK-SAME: %[[G:.*]]: tensor<f64>, %[[H:.*]]: tensor<f64>
func.func @twice(%g: tensor<f64>, %h: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  // CHECK-DAG: %[[Z:.*]] = grad.constant dense<0.0
  // CHECK-DAG: %[[T:.*]] = grad.tanh %[[G]]
  // CHECK-DAG: %[[P:.*]] = grad.power %[[T]], %[[Z]]
  // CHECK-NOT: grad.transposed
  // CHECK: return %[[P]], %{{.*}}
  %0:2 = grad.transposed(%g) {
  ^bb0(%t: tensor<f64>, %u: tensor<f64>):
    %1:2 = grad.transposed(%t, %u) {
    ^bb0(%c: tensor<f64>, %d: tensor<f64>):
      %zero = grad.constant dense<0.0> : tensor<f64>
      %2 = grad.tanh %c : tensor<f64>
      %3 = grad.power %2, %d : tensor<f64>
      grad.yield %3, %zero : tensor<f64>, tensor<f64>
    } : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
    grad.yield %1#0 : tensor<f64>
  } : (tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#0, %0#1 : tensor<f64>, tensor<f64>
}

// -----

// The cotangent of x[i] += f(x) is in place: what the update left is added to
// nothing, so that it stays where it is.
// CHECK-LABEL: func.func @added_to_itself
// CHECK-SAME: %[[G:.*]]: tensor<5xf64>, %[[A:.*]]: tensor<1xf64>, %[[I:.*]]: tensor<i64>, %[[J:.*]]: tensor<i64>
func.func @added_to_itself(%g: tensor<5xf64>, %a: tensor<1xf64>, %i: tensor<i64>, %j: tensor<i64>) -> tensor<5xf64> {
  // CHECK: %[[P:.*]] = grad.dynamic_slice %[[G]][%[[I]]]
  // CHECK: %[[Q:.*]] = grad.multiply %[[P]], %[[A]]
  // CHECK-NOT: grad.dynamic_update_slice
  // CHECK: %[[R:.*]] = grad.dynamic_add_slice %[[G]], %[[Q]][%[[J]]]
  // CHECK-NEXT: return %[[R]]
  %0 = grad.transposed(%g) {
  ^bb0(%x: tensor<5xf64>):
    %s = grad.dynamic_slice %x[%i], sizes = [1] : tensor<5xf64> -> tensor<1xf64>
    %t = grad.dynamic_slice %x[%j], sizes = [1] : tensor<5xf64> -> tensor<1xf64>
    %1 = grad.multiply %t, %a : tensor<1xf64>
    %2 = grad.add %s, %1 : tensor<1xf64>
    %3 = grad.dynamic_update_slice %x, %2[%i] : tensor<5xf64>, tensor<1xf64>
    grad.yield %3 : tensor<5xf64>
  } : (tensor<5xf64>) -> tensor<5xf64>
  return %0 : tensor<5xf64>
}

// -----

// In Re(cotangent * tangent): nothing is conjugated.

// CHECK-LABEL: func.func @complex_product
// CHECK-SAME: %[[G:.*]]: tensor<2xcomplex<f64>>, %[[W:.*]]: tensor<2xcomplex<f64>>
func.func @complex_product(%g: tensor<2xcomplex<f64>>, %w: tensor<2xcomplex<f64>>) -> tensor<2xcomplex<f64>> {
  // CHECK-NEXT: %[[P:.*]] = grad.multiply %[[G]], %[[W]]
  // CHECK-NEXT: return %[[P]]
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<2xcomplex<f64>>):
    %1 = grad.multiply %t, %w : tensor<2xcomplex<f64>>
    grad.yield %1 : tensor<2xcomplex<f64>>
  } : (tensor<2xcomplex<f64>>) -> tensor<2xcomplex<f64>>
  return %0 : tensor<2xcomplex<f64>>
}

// CHECK-LABEL: func.func @complex_parts
// CHECK-SAME: %[[G:.*]]: tensor<2xcomplex<f64>>
func.func @complex_parts(%g: tensor<2xcomplex<f64>>) -> (tensor<2xf64>, tensor<2xf64>) {
  // CHECK-DAG: %[[RE:.*]] = grad.convert %[[G]] to f64
  // CHECK-DAG: %[[IM:.*]] = grad.imag %[[G]]
  // CHECK-DAG: %[[MINUS:.*]] = grad.negative %[[IM]]
  // CHECK: return %[[RE]], %[[MINUS]]
  %0:2 = grad.transposed(%g) {
  ^bb0(%t: tensor<2xf64>, %u: tensor<2xf64>):
    %1 = grad.complex %t, %u : tensor<2xf64>
    grad.yield %1 : tensor<2xcomplex<f64>>
  } : (tensor<2xcomplex<f64>>) -> (tensor<2xf64>, tensor<2xf64>)
  return %0#0, %0#1 : tensor<2xf64>, tensor<2xf64>
}

// CHECK-LABEL: func.func @imaginary_part
// CHECK-SAME: %[[G:.*]]: tensor<2xf64>
func.func @imaginary_part(%g: tensor<2xf64>) -> tensor<2xcomplex<f64>> {
  // CHECK-DAG: %[[MINUS:.*]] = grad.negative %[[G]]
  // CHECK-DAG: %[[ZERO:.*]] = grad.constant dense<0.000000e+00> : tensor<2xf64>
  // CHECK: %[[Z:.*]] = grad.complex %[[ZERO]], %[[MINUS]]
  // CHECK: return %[[Z]]
  %0 = grad.transposed(%g) {
  ^bb0(%t: tensor<2xcomplex<f64>>):
    %1 = grad.imag %t : tensor<2xcomplex<f64>>
    grad.yield %1 : tensor<2xf64>
  } : (tensor<2xf64>) -> tensor<2xcomplex<f64>>
  return %0 : tensor<2xcomplex<f64>>
}
