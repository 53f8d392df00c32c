// RUN: gradopt %s --convert-grad-to-linalg | FileCheck %s

// What a routine works in is a tensor, too.
// CHECK-LABEL: func.func @lu
func.func @lu(%a: tensor<2x4x3xf64>) -> (tensor<2x4x3xf64>, tensor<2x3xi32>) {
  // CHECK-DAG: %[[LU:.*]] = tensor.empty() : tensor<2x4x3xf64>
  // CHECK-DAG: %[[PIVOTS:.*]] = tensor.empty() : tensor<2x3xi32>
  // CHECK-DAG: %[[ORDER:.*]] = tensor.empty() : tensor<2x4xi64>
  // CHECK-DAG: %[[STATUS:.*]] = tensor.empty() : tensor<2xi32>
  // CHECK-DAG: %[[WORK:.*]] = tensor.empty() : tensor<12xf64>
  // CHECK: %[[R:.*]]:5 = grad.lapack_into "lu", flags = 0 (%{{.*}}) outs(%[[LU]], %[[PIVOTS]], %[[ORDER]], %[[STATUS]], %[[WORK]])
  // CHECK: return %[[R]]#0, %[[R]]#1
  %lu, %pivots, %order, %status = grad.lu %a : tensor<2x4x3xf64> -> tensor<2x4x3xf64>, tensor<2x3xi32>, tensor<2x4xi64>, tensor<2xi32>
  return %lu, %pivots : tensor<2x4x3xf64>, tensor<2x3xi32>
}

// CHECK-LABEL: func.func @triangular
func.func @triangular(%a: tensor<3x3xf32>, %b: tensor<3x2xf32>) -> tensor<3x2xf32> {
  // CHECK: grad.lapack_into "triangular_solve", flags = 15
  %x = grad.triangular_solve %a, %b, left = true, lower = true, transpose = true, unit = true : tensor<3x3xf32>, tensor<3x2xf32>
  return %x : tensor<3x2xf32>
}

// Vectors that nobody uses are not calculated.
// CHECK-LABEL: func.func @values_alone
func.func @values_alone(%a: tensor<3x3xf64>) -> (tensor<3xf64>, tensor<3xf64>) {
  // CHECK: grad.lapack_into "eigh", flags = 0
  %w, %v, %s = grad.eigh %a : tensor<3x3xf64> -> tensor<3xf64>, tensor<3x3xf64>, tensor<i32>
  // CHECK: grad.lapack_into "svd", flags = 0
  %u, %d, %vh, %t = grad.svd %a, full = false : tensor<3x3xf64> -> tensor<3x3xf64>, tensor<3xf64>, tensor<3x3xf64>, tensor<i32>
  return %w, %d : tensor<3xf64>, tensor<3xf64>
}

// CHECK-LABEL: func.func @vectors
func.func @vectors(%a: tensor<3x3xf64>) -> (tensor<3x3xf64>, tensor<3x3xf64>) {
  // CHECK: grad.lapack_into "eigh", flags = 16
  %w, %v, %s = grad.eigh %a : tensor<3x3xf64> -> tensor<3xf64>, tensor<3x3xf64>, tensor<i32>
  // CHECK: grad.lapack_into "svd", flags = 16
  %u, %d, %vh, %t = grad.svd %a, full = false : tensor<3x3xf64> -> tensor<3x3xf64>, tensor<3xf64>, tensor<3x3xf64>, tensor<i32>
  return %v, %vh : tensor<3x3xf64>, tensor<3x3xf64>
}

// Complex matrices need more to work in; the values of a Hermitian one are real.
// CHECK-LABEL: func.func @hermitian
func.func @hermitian(%a: tensor<2x2xcomplex<f64>>) -> tensor<2xf64> {
  // CHECK: grad.lapack_into "eigh", flags = 0 (%{{.*}}) outs(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}) : {{.*}} -> (tensor<2xf64>, tensor<2x2xcomplex<f64>>, tensor<i32>, tensor<82xcomplex<f64>>, tensor<13xi32>)
  %w, %v, %s = grad.eigh %a : tensor<2x2xcomplex<f64>> -> tensor<2xf64>, tensor<2x2xcomplex<f64>>, tensor<i32>
  return %w : tensor<2xf64>
}

// CHECK-LABEL: func.func @spectra
func.func @spectra(%a: tensor<3x3xf64>) -> (tensor<3xcomplex<f64>>, tensor<3x3xf64>) {
  // CHECK: grad.lapack_into "eig", flags = 0
  %w, %v, %s = grad.eig %a : tensor<3x3xf64> -> tensor<3xcomplex<f64>>, tensor<3x3xcomplex<f64>>, tensor<i32>
  // CHECK: %[[SCHUR:.*]]:4 = grad.lapack_into "schur", flags = 0
  %t, %z, %u = grad.schur %a : tensor<3x3xf64> -> tensor<3x3xf64>, tensor<3x3xf64>, tensor<i32>
  // CHECK: %[[ROOT:.*]] = grad.lapack_into "triangular_sqrt", flags = 0 (%[[SCHUR]]#0)
  %r = grad.triangular_sqrt %t : tensor<3x3xf64>
  // CHECK: grad.lapack_into "triangular_sylvester", flags = 33 (%[[ROOT]], %[[ROOT]], %{{.*}})
  %x = grad.triangular_sylvester %r, %r, %a, transpose = true, below = true : tensor<3x3xf64>, tensor<3x3xf64>, tensor<3x3xf64>
  return %w, %x : tensor<3xcomplex<f64>>, tensor<3x3xf64>
}

// Factors that only systems are solved with stay as LAPACK makes them.
// CHECK-LABEL: func.func @system
func.func @system(%a: tensor<40x40xf64>, %b: tensor<40x2xf64>) -> (tensor<40x2xf64>, tensor<40x2xf64>) {
  // CHECK: %[[LU:.*]]:5 = grad.lapack_into "lu", flags = 64 {{.*}} tensor<1xf64>)
  // CHECK: grad.lapack_into "lu_solve", flags = 64 (%[[LU]]#0,
  // CHECK: grad.lapack_into "lu_solve", flags = 65 (%[[LU]]#0,
  %lu, %pivots, %order, %status = grad.lu %a : tensor<40x40xf64> -> tensor<40x40xf64>, tensor<40xi32>, tensor<40xi64>, tensor<i32>
  %x = grad.lu_solve %a, %lu, %pivots, %b, transpose = false : tensor<40x40xf64>, tensor<40x40xf64>, tensor<40xi32>, tensor<40x2xf64>
  %y = grad.lu_solve %a, %lu, %pivots, %x, transpose = true : tensor<40x40xf64>, tensor<40x40xf64>, tensor<40xi32>, tensor<40x2xf64>
  return %x, %y : tensor<40x2xf64>, tensor<40x2xf64>
}

// CHECK-LABEL: func.func @system_and_factors
func.func @system_and_factors(%a: tensor<40x40xf64>, %b: tensor<40x2xf64>) -> (tensor<40x2xf64>, tensor<40x40xf64>) {
  // CHECK: grad.lapack_into "lu", flags = 0 {{.*}} tensor<1600xf64>)
  // CHECK: grad.lapack_into "lu_solve", flags = 0
  %lu, %pivots, %order, %status = grad.lu %a : tensor<40x40xf64> -> tensor<40x40xf64>, tensor<40xi32>, tensor<40xi64>, tensor<i32>
  %x = grad.lu_solve %a, %lu, %pivots, %b, transpose = false : tensor<40x40xf64>, tensor<40x40xf64>, tensor<40xi32>, tensor<40x2xf64>
  return %x, %lu : tensor<40x2xf64>, tensor<40x40xf64>
}

// Factors as a right side are read as they are.
// CHECK-LABEL: func.func @system_of_factors
func.func @system_of_factors(%a: tensor<40x40xf64>) -> tensor<40x40xf64> {
  // CHECK: grad.lapack_into "lu", flags = 0
  // CHECK: grad.lapack_into "lu_solve", flags = 0
  %lu, %pivots, %order, %status = grad.lu %a : tensor<40x40xf64> -> tensor<40x40xf64>, tensor<40xi32>, tensor<40xi64>, tensor<i32>
  %x = grad.lu_solve %a, %lu, %pivots, %lu, transpose = false : tensor<40x40xf64>, tensor<40x40xf64>, tensor<40xi32>, tensor<40x40xf64>
  return %x : tensor<40x40xf64>
}
