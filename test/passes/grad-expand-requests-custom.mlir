// RUN: gradopt %s --grad-expand-requests --canonicalize -split-input-file | FileCheck %s

// In reverse mode @f_fwd takes the place of the op, and @f_bwd that of its derivative.
func.func private @f(%x: tensor<3xf64>, %n: tensor<i64>) -> tensor<3xf64> {
  %0 = grad.sin %x : tensor<3xf64>
  return %0 : tensor<3xf64>
}
func.func private @f_fwd(%x: tensor<3xf64>, %n: tensor<i64>) -> (tensor<3xf64>, tensor<3xf64>) {
  %0 = grad.sin %x : tensor<3xf64>
  %1 = grad.exp %x : tensor<3xf64>
  return %0, %1 : tensor<3xf64>, tensor<3xf64>
}
func.func private @f_bwd(%r: tensor<3xf64>, %g: tensor<3xf64>) -> tensor<3xf64> {
  %0 = grad.multiply %g, %r : tensor<3xf64>
  %1 = grad.tanh %0 : tensor<3xf64>
  return %1 : tensor<3xf64>
}
func.func private @f_jvp(%x: tensor<3xf64>, %n: tensor<i64>, %t: tensor<3xf64>) -> (tensor<3xf64>, tensor<3xf64>) {
  %0 = grad.sin %x : tensor<3xf64>
  %1 = grad.arctan %t : tensor<3xf64>
  return %0, %1 : tensor<3xf64>, tensor<3xf64>
}
func.func private @uses_f(%x: tensor<3xf64>, %n: tensor<i64>) -> tensor<3xf64> {
  %0 = grad.negative %x : tensor<3xf64>
  %1 = grad.custom @f(%0, %n) vjp = [@f_fwd, @f_bwd] jvp = @f_jvp : (tensor<3xf64>, tensor<i64>) -> tensor<3xf64>
  %2 = grad.sqrt %1 : tensor<3xf64>
  return %2 : tensor<3xf64>
}

// CHECK-LABEL: func.func @reverse
// CHECK-SAME: %[[X:.*]]: tensor<3xf64>, %{{.*}}: tensor<i64>, %[[G:.*]]: tensor<3xf64>
func.func @reverse(%x: tensor<3xf64>, %n: tensor<i64>, %g: tensor<3xf64>) -> (tensor<3xf64>, tensor<3xf64>) {
  // CHECK: %[[Z:.*]] = grad.negative %[[X]]
  // CHECK: %[[F:.*]] = grad.sin %[[Z]]
  // CHECK: %[[R:.*]] = grad.exp %[[Z]]
  // CHECK: %[[V:.*]] = grad.sqrt %[[F]]
  // CHECK: %[[A:.*]] = grad.multiply %[[G]], %{{.*}}
  // CHECK: %[[B:.*]] = grad.multiply %[[A]], %[[R]]
  // CHECK: %[[C:.*]] = grad.tanh %[[B]]
  // CHECK: %[[D:.*]] = grad.negative %[[C]]
  // CHECK: return %[[V]], %[[D]]
  %0:2 = grad.vjp @uses_f(%x, %n), cotangents(%g), wrt = [0], of = [0] : (tensor<3xf64>, tensor<i64>, tensor<3xf64>) -> (tensor<3xf64>, tensor<3xf64>)
  return %0#0, %0#1 : tensor<3xf64>, tensor<3xf64>
}

// Forward mode takes the rule of forward mode.
// CHECK-LABEL: func.func @forward
// CHECK-SAME: %[[X:.*]]: tensor<3xf64>, %{{.*}}: tensor<i64>, %[[T:.*]]: tensor<3xf64>
func.func @forward(%x: tensor<3xf64>, %n: tensor<i64>, %t: tensor<3xf64>) -> (tensor<3xf64>, tensor<3xf64>) {
  // CHECK: %[[TZ:.*]] = grad.negative %[[T]]
  // CHECK: %[[TF:.*]] = grad.arctan %[[TZ]]
  // CHECK: grad.multiply %[[TF]]
  // CHECK-NOT: grad.tanh
  %0:2 = grad.jvp @uses_f(%x, %n), tangents(%t), wrt = [0], of = [0] : (tensor<3xf64>, tensor<i64>, tensor<3xf64>) -> (tensor<3xf64>, tensor<3xf64>)
  return %0#0, %0#1 : tensor<3xf64>, tensor<3xf64>
}

// What nobody differentiates is a call of the function.
// CHECK-LABEL: func.func @neither
func.func @neither(%x: tensor<3xf64>, %n: tensor<i64>) -> tensor<3xf64> {
  // CHECK-NEXT: grad.sin
  // CHECK-NEXT: return
  %0 = grad.custom @f(%x, %n) vjp = [@f_fwd, @f_bwd] jvp = @f_jvp : (tensor<3xf64>, tensor<i64>) -> tensor<3xf64>
  return %0 : tensor<3xf64>
}
// CHECK-NOT: func.func

// -----

// Forward mode by the transpose of @bwd: of a product with a factor, and of a
// slice that is put in a place.
func.func private @part(%x: tensor<4xf64>, %k: tensor<2xf64>) -> tensor<2xf64> {
  %0 = grad.slice %x, offsets = [0], sizes = [2], strides = [1] : tensor<4xf64> -> tensor<2xf64>
  return %0 : tensor<2xf64>
}
func.func private @part_fwd(%x: tensor<4xf64>, %k: tensor<2xf64>) -> (tensor<2xf64>, tensor<2xf64>) {
  %0 = grad.slice %x, offsets = [0], sizes = [2], strides = [1] : tensor<4xf64> -> tensor<2xf64>
  return %0, %k : tensor<2xf64>, tensor<2xf64>
}
func.func private @part_bwd(%r: tensor<2xf64>, %g: tensor<2xf64>) -> (tensor<4xf64>, tensor<2xf64>) {
  %zeros = grad.constant dense<0.0> : tensor<4xf64>
  %none = grad.constant dense<0.0> : tensor<2xf64>
  %0 = grad.multiply %r, %g : tensor<2xf64>
  %1 = grad.update_slice %zeros, %0, offsets = [1], strides = [1] : tensor<4xf64>, tensor<2xf64>
  return %1, %none : tensor<4xf64>, tensor<2xf64>
}
func.func private @uses_part(%x: tensor<4xf64>, %k: tensor<2xf64>) -> tensor<2xf64> {
  %0 = grad.custom @part(%x, %k) vjp = [@part_fwd, @part_bwd] : (tensor<4xf64>, tensor<2xf64>) -> tensor<2xf64>
  return %0 : tensor<2xf64>
}
// CHECK-LABEL: func.func @forward_by_vjp
// CHECK-SAME: %[[X:.*]]: tensor<4xf64>, %[[K:.*]]: tensor<2xf64>, %[[T:.*]]: tensor<4xf64>
func.func @forward_by_vjp(%x: tensor<4xf64>, %k: tensor<2xf64>, %t: tensor<4xf64>) -> tensor<2xf64> {
  // CHECK: %[[S:.*]] = grad.slice %[[T]], offsets = [1], sizes = [2]
  // CHECK: %[[D:.*]] = grad.multiply %[[S]], %[[K]]
  // CHECK: return %[[D]]
  %0:2 = grad.jvp @uses_part(%x, %k), tangents(%t, %k), wrt = [0, 1], of = [0] : (tensor<4xf64>, tensor<2xf64>, tensor<4xf64>, tensor<2xf64>) -> (tensor<2xf64>, tensor<2xf64>)
  return %0#1 : tensor<2xf64>
}

// A cotangent of zeros is a symbolic one.
// CHECK-LABEL: func.func @reverse_zero
// CHECK-SAME: %[[X:.*]]: tensor<4xf64>, %[[K:.*]]: tensor<2xf64>
func.func @reverse_zero(%x: tensor<4xf64>, %k: tensor<2xf64>) -> tensor<2xf64> {
  // CHECK-NEXT: %[[Z:.*]] = grad.constant dense<0.0
  // CHECK-NEXT: return %[[Z]]
  %0:2 = grad.vjp @uses_part(%x, %k), cotangents(%k), wrt = [1], of = [0] : (tensor<4xf64>, tensor<2xf64>, tensor<2xf64>) -> (tensor<2xf64>, tensor<2xf64>)
  return %0#1 : tensor<2xf64>
}

// -----

// Reverse mode by the transpose of @rule: what does not depend on tangents is
// primal code, and a tangent that is zero costs nothing.
func.func private @scale(%x: tensor<f64>, %k: tensor<f64>) -> tensor<f64> {
  %0 = grad.multiply %x, %k : tensor<f64>
  return %0 : tensor<f64>
}
func.func private @scale_jvp(%x: tensor<f64>, %k: tensor<f64>, %tx: tensor<f64>, %tk: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  %0 = grad.multiply %x, %k : tensor<f64>
  %1 = grad.exp %k : tensor<f64>
  %2 = grad.multiply %1, %tx : tensor<f64>
  %3 = grad.cosh %x : tensor<f64>
  %4 = grad.multiply %tk, %3 : tensor<f64>
  %5 = grad.subtract %4, %2 : tensor<f64>
  return %0, %5 : tensor<f64>, tensor<f64>
}
func.func private @uses_scale(%x: tensor<f64>, %k: tensor<f64>) -> tensor<f64> {
  %0 = grad.custom @scale(%x, %k) jvp = @scale_jvp : (tensor<f64>, tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}
// CHECK-LABEL: func.func @reverse_by_jvp
// CHECK-SAME: %[[X:.*]]: tensor<f64>, %[[K:.*]]: tensor<f64>, %[[G:.*]]: tensor<f64>
func.func @reverse_by_jvp(%x: tensor<f64>, %k: tensor<f64>, %g: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  // CHECK-DAG: %[[V:.*]] = grad.multiply %[[X]], %[[K]]
  // CHECK-DAG: %[[E:.*]] = grad.exp %[[K]]
  // CHECK-NOT: grad.cosh
  // CHECK: %[[N:.*]] = grad.negative %[[G]]
  // CHECK: %[[D:.*]] = grad.multiply %[[N]], %[[E]]
  // CHECK-NEXT: return %[[V]], %[[D]]
  %0:2 = grad.vjp @uses_scale(%x, %k), cotangents(%g), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#0, %0#1 : tensor<f64>, tensor<f64>
}

// -----

// The rules are differentiated themselves, and a rule may call its function.
func.func private @g(%x: tensor<f64>) -> tensor<f64> {
  %0 = grad.sin %x : tensor<f64>
  return %0 : tensor<f64>
}
func.func private @g_fwd0(%x: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  %0 = grad.custom @g(%x) : (tensor<f64>) -> tensor<f64>
  return %0, %x : tensor<f64>, tensor<f64>
}
func.func private @g_bwd(%r: tensor<f64>, %g: tensor<f64>) -> tensor<f64> {
  %0 = grad.exp %r : tensor<f64>
  %1 = grad.multiply %0, %g : tensor<f64>
  return %1 : tensor<f64>
}
func.func private @uses_g(%x: tensor<f64>) -> tensor<f64> {
  %0 = grad.custom @g(%x) vjp = [@g_fwd0, @g_bwd] : (tensor<f64>) -> tensor<f64>
  return %0 : tensor<f64>
}
func.func private @dg(%x: tensor<f64>) -> tensor<f64> {
  %one = grad.constant dense<1.0> : tensor<f64>
  %0:2 = grad.vjp @uses_g(%x), cotangents(%one), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1 : tensor<f64>
}
// CHECK-LABEL: func.func @second_order
// CHECK-SAME: %[[X:.*]]: tensor<f64>, %[[T:.*]]: tensor<f64>
func.func @second_order(%x: tensor<f64>, %t: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  // CHECK-NEXT: %[[E:.*]] = grad.exp %[[X]]
  // CHECK-NEXT: %[[D:.*]] = grad.multiply %[[T]], %[[E]]
  // CHECK-NEXT: return %[[E]], %[[D]]
  %0:2 = grad.jvp @dg(%x), tangents(%t), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#0, %0#1 : tensor<f64>, tensor<f64>
}

// -----

// The result is the input, and the tangent of it is not.
func.func private @id(%x: tensor<f64>) -> tensor<f64> {
  return %x : tensor<f64>
}
func.func private @id_bwd(%g: tensor<f64>) -> tensor<f64> {
  %0 = grad.negative %g : tensor<f64>
  return %0 : tensor<f64>
}
func.func private @both(%x: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  %0 = grad.custom @id(%x) vjp = [@id, @id_bwd] : (tensor<f64>) -> tensor<f64>
  %1 = grad.sin %x : tensor<f64>
  return %0, %1 : tensor<f64>, tensor<f64>
}
// CHECK-LABEL: func.func @reversed_gradient
// CHECK-SAME: %[[X:.*]]: tensor<f64>, %[[A:.*]]: tensor<f64>, %[[B:.*]]: tensor<f64>
func.func @reversed_gradient(%x: tensor<f64>, %a: tensor<f64>, %b: tensor<f64>) -> tensor<f64> {
  // CHECK-DAG: %[[C:.*]] = grad.cos %[[X]]
  // CHECK-DAG: %[[S:.*]] = grad.multiply %[[B]], %[[C]]
  // CHECK: %[[D:.*]] = grad.subtract %[[S]], %[[A]]
  // CHECK: return %[[D]]
  %0:3 = grad.vjp @both(%x), cotangents(%a, %b), wrt = [0], of = [0, 1] : (tensor<f64>, tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>, tensor<f64>)
  return %0#2 : tensor<f64>
}

// -----

// A loop may compute results and tangents beside each other, in forward mode.
func.func private @f(%x: tensor<f64>) -> tensor<f64> {
  return %x : tensor<f64>
}
func.func private @rule(%x: tensor<f64>, %t: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c5 = arith.constant 5 : index
  %0:2 = scf.for %i = %c0 to %c5 step %c1 iter_args(%y = %x, %d = %t) -> (tensor<f64>, tensor<f64>) {
    %1 = grad.sin %y : tensor<f64>
    %2 = grad.cos %y : tensor<f64>
    %3 = grad.multiply %2, %d : tensor<f64>
    scf.yield %1, %3 : tensor<f64>, tensor<f64>
  }
  %4 = grad.negative %0#0 : tensor<f64>
  %5 = grad.negative %0#1 : tensor<f64>
  return %4, %5 : tensor<f64>, tensor<f64>
}
func.func private @uses_f(%x: tensor<f64>) -> tensor<f64> {
  %0 = grad.custom @f(%x) jvp = @rule : (tensor<f64>) -> tensor<f64>
  %1 = grad.exp %0 : tensor<f64>
  return %1 : tensor<f64>
}

// CHECK-LABEL: func.func @joint_loop
// CHECK-SAME: %[[X:.*]]: tensor<f64>, %[[T:.*]]: tensor<f64>
func.func @joint_loop(%x: tensor<f64>, %t: tensor<f64>) -> (tensor<f64>, tensor<f64>) {
  // CHECK: %[[LOOP:.*]]:2 = scf.for {{.*}} iter_args(%{{.*}} = %[[X]], %{{.*}} = %[[T]])
  // CHECK: %[[Y:.*]] = grad.negative %[[LOOP]]#0
  // CHECK: %[[D:.*]] = grad.negative %[[LOOP]]#1
  // CHECK: %[[E:.*]] = grad.exp %[[Y]]
  // CHECK: %[[R:.*]] = grad.multiply %[[D]], %[[E]]
  // CHECK: return %[[E]], %[[R]]
  %0:2 = grad.jvp @uses_f(%x), tangents(%t), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#0, %0#1 : tensor<f64>, tensor<f64>
}
