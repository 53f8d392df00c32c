// RUN: gradopt %s --convert-grad-to-linalg=for-device=1 | FileCheck %s

// A library writes one triangle, and need not say that a factor is no number.
// CHECK-LABEL: func.func @large
// CHECK: grad.lapack_into "cholesky"
// CHECK: arith.cmpi sge
// CHECK: arith.select
// CHECK: arith.addf
// CHECK: arith.cmpf oeq
// CHECK: arith.andi
// CHECK: 0x7FF8000000000000
func.func @large(%a: tensor<33x33xf64>) -> (tensor<33x33xf64>, tensor<i32>) {
  %l, %status = grad.cholesky %a : tensor<33x33xf64> -> tensor<33x33xf64>, tensor<i32>
  return %l, %status : tensor<33x33xf64>, tensor<i32>
}

// A kernel of ours does, and so does the host, for complex numbers.
// CHECK-LABEL: func.func @small
// CHECK: grad.lapack_into "cholesky"
// CHECK-NEXT: return
func.func @small(%a: tensor<32x32xf64>) -> (tensor<32x32xf64>, tensor<i32>) {
  %l, %status = grad.cholesky %a : tensor<32x32xf64> -> tensor<32x32xf64>, tensor<i32>
  return %l, %status : tensor<32x32xf64>, tensor<i32>
}
