// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// RUN: gradopt %s --convert-math-to-gradopt | FileCheck %s

// CHECK-DAG: func.func private @gradopt_tanh_f64(f64) -> f64 attributes {llvm.readnone}
// CHECK-DAG: func.func private @gradopt_tanh_f32(f32) -> f32 attributes {llvm.readnone}
// CHECK-DAG: func.func private @gradopt_pow_f32(f32, f32) -> f32 attributes {llvm.readnone}
// CHECK-DAG: func.func private @gradopt_atan2_f64(f64, f64) -> f64 attributes {llvm.readnone}
// CHECK-DAG: func.func private @gradopt_ipow_i64(i64, i64) -> i64 attributes {llvm.readnone}

// CHECK-LABEL: func.func @calls_by_name_and_type
// CHECK-SAME: (%[[X:.*]]: f64, %[[Y:.*]]: f32)
func.func @calls_by_name_and_type(%x: f64, %y: f32) -> (f64, f32, f64) {
  // CHECK: %[[A:.*]] = call @gradopt_tanh_f64(%[[X]]) : (f64) -> f64
  %a = math.tanh %x : f64
  // CHECK: %[[B:.*]] = call @gradopt_tanh_f32(%[[Y]]) : (f32) -> f32
  %b = math.tanh %y : f32
  // CHECK: %[[C:.*]] = call @gradopt_tanh_f64(%[[A]]) : (f64) -> f64
  %c = math.tanh %a : f64
  // CHECK: return %[[A]], %[[B]], %[[C]]
  return %a, %b, %c : f64, f32, f64
}

// CHECK-LABEL: func.func @special_functions_of_numbers
// CHECK-SAME: (%[[X:.*]]: f64, %[[Y:.*]]: f32)
func.func @special_functions_of_numbers(%x: f64, %y: f32) -> (f64, f32) {
  // CHECK: call @gradopt_gammaln_f64(%[[X]]) : (f64) -> f64
  %0 = grad.gammaln %x : f64
  // CHECK: call @gradopt_gammainc_f32(%[[Y]], %[[Y]]) : (f32, f32) -> f32
  %1 = grad.gammainc %y, %y : f32
  return %0, %1 : f64, f32
}

// CHECK-LABEL: func.func @two_arguments
// CHECK-SAME: (%[[X:.*]]: f32, %[[Y:.*]]: f32, %[[U:.*]]: f64, %[[V:.*]]: f64)
func.func @two_arguments(%x: f32, %y: f32, %u: f64, %v: f64) -> (f32, f64) {
  // CHECK: call @gradopt_pow_f32(%[[X]], %[[Y]])
  %0 = math.powf %x, %y : f32
  // CHECK: call @gradopt_atan2_f64(%[[U]], %[[V]])
  %1 = math.atan2 %u, %v : f64
  return %0, %1 : f32, f64
}

// CHECK-LABEL: func.func @half_is_computed_in_single
// CHECK-SAME: (%[[X:.*]]: f16)
func.func @half_is_computed_in_single(%x: f16) -> f16 {
  // CHECK: %[[WIDE:.*]] = arith.extf %[[X]] : f16 to f32
  // CHECK: %[[EXP:.*]] = call @gradopt_exp_f32(%[[WIDE]])
  // CHECK: arith.truncf %[[EXP]] : f32 to f16
  %0 = math.exp %x : f16
  return %0 : f16
}

// CHECK-LABEL: func.func @integer_powers
// CHECK-SAME: (%[[X:.*]]: f64, %[[I:.*]]: i32, %[[J:.*]]: i64)
func.func @integer_powers(%x: f64, %i: i32, %j: i64) -> (f64, i32, i64) {
  // CHECK: %[[N:.*]] = arith.sitofp %[[I]] : i32 to f64
  // CHECK: call @gradopt_pow_f64(%[[X]], %[[N]])
  %0 = math.fpowi %x, %i : f64, i32
  // CHECK: %[[WIDE:.*]] = arith.extsi %[[I]] : i32 to i64
  // CHECK: %[[POWER:.*]] = call @gradopt_ipow_i64(%[[WIDE]],
  // CHECK: arith.trunci %[[POWER]] : i64 to i32
  %1 = math.ipowi %i, %i : i32
  // CHECK: call @gradopt_ipow_i64(%[[J]], %[[J]])
  %2 = math.ipowi %j, %j : i64
  return %0, %1, %2 : f64, i32, i64
}

// CHECK-LABEL: func.func @arithmetic_instead
// CHECK-SAME: (%[[X:.*]]: f64)
func.func @arithmetic_instead(%x: f64) -> (f64, i1, i1, i1) {
  // CHECK: %[[ROOT:.*]] = math.sqrt %[[X]]
  // CHECK: %[[ONE:.*]] = arith.constant 1.000000e+00
  // CHECK: arith.divf %[[ONE]], %[[ROOT]]
  %0 = math.rsqrt %x : f64
  // CHECK: arith.cmpf uno, %[[X]], %[[X]]
  %1 = math.isnan %x : f64
  // CHECK: arith.cmpf oeq, %{{.*}}, %{{.*}}
  %2 = math.isinf %x : f64
  // CHECK: arith.cmpf olt, %{{.*}}, %{{.*}}
  %3 = math.isfinite %x : f64
  return %0, %1, %2, %3 : f64, i1, i1, i1
}

// CHECK-LABEL: func.func @intrinsics_and_vectors_stay
func.func @intrinsics_and_vectors_stay(%x: f64, %v: vector<4xf64>) -> (f64, vector<4xf64>) {
  // CHECK: math.sqrt
  // CHECK: math.floor
  // CHECK: math.exp %{{.*}} : vector<4xf64>
  %0 = math.sqrt %x : f64
  %1 = math.floor %0 : f64
  %2 = math.exp %v : vector<4xf64>
  return %1, %2 : f64, vector<4xf64>
}

// CHECK-LABEL: func.func @between_bounds
// CHECK-SAME: %[[X:.*]]: f64, %[[LOW:.*]]: f64, %[[HIGH:.*]]: f64
func.func @between_bounds(%x: f64, %low: f64, %high: f64) -> f64 {
  // CHECK: %[[BELOW:.*]] = arith.minimumf %[[X]], %[[HIGH]]
  // CHECK: arith.maximumf %[[BELOW]], %[[LOW]]
  %0 = math.clampf %x to [%low, %high] : f64
  return %0 : f64
}
