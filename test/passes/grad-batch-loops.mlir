// RUN: gradopt %s --grad-batch --canonicalize | FileCheck %s

// The bounds are the same for all: the loop stays one, of batches. Only what
// comes to depend on a mapped value is a batch: the second carried value is not,
// the third is after one iteration.
func.func private @counted_of_one(%x: tensor<f64>) -> (tensor<f64>, tensor<f64>, tensor<f64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %one = grad.constant dense<1.0> : tensor<f64>
  %r:3 = scf.for %i = %c0 to %c9 step %c1 iter_args(%s = %x, %k = %one, %u = %one) -> (tensor<f64>, tensor<f64>, tensor<f64>) {
    %0 = grad.tanh %s : tensor<f64>
    %1 = grad.sin %k : tensor<f64>
    scf.yield %0, %1, %s : tensor<f64>, tensor<f64>, tensor<f64>
  }
  return %r#0, %r#1, %r#2 : tensor<f64>, tensor<f64>, tensor<f64>
}
// CHECK-LABEL: func.func @counted(
// CHECK-SAME: %[[X:.*]]: tensor<8xf64>)
func.func @counted(%x: tensor<8xf64>) -> (tensor<8xf64>, tensor<f64>, tensor<8xf64>) {
  // CHECK: %[[ONES:.*]] = grad.constant dense<1.000000e+00> : tensor<8xf64>
  // CHECK: %[[R:.*]]:3 = scf.for {{.*}} iter_args(%[[S:.*]] = %[[X]], %[[K:.*]] = %{{.*}}, %{{.*}} = %[[ONES]]) -> (tensor<8xf64>, tensor<f64>, tensor<8xf64>)
  // CHECK-NEXT: %[[T:.*]] = grad.tanh %[[S]] : tensor<8xf64>
  // CHECK-NEXT: %[[N:.*]] = grad.sin %[[K]] : tensor<f64>
  // CHECK-NEXT: scf.yield %[[T]], %[[N]], %[[S]]
  // CHECK: return %[[R]]#0, %[[R]]#1, %[[R]]#2
  %0:3 = grad.vmap @counted_of_one(%x), in_axes = [0], out_axes = [0, none, 0], size = 8 : (tensor<8xf64>) -> (tensor<8xf64>, tensor<f64>, tensor<8xf64>)
  return %0#0, %0#1, %0#2 : tensor<8xf64>, tensor<f64>, tensor<8xf64>
}

// Each element has its own last iteration: the loop goes to the last of all.
func.func private @counts_differ_of_one(%x: tensor<f64>, %n: tensor<i64>) -> tensor<f64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %word = tensor.extract %n[] : tensor<i64>
  %last = arith.index_cast %word : i64 to index
  %r = scf.for %i = %c0 to %last step %c1 iter_args(%s = %x) -> (tensor<f64>) {
    %0 = grad.tanh %s : tensor<f64>
    scf.yield %0 : tensor<f64>
  }
  return %r : tensor<f64>
}
// CHECK-LABEL: func.func @counts_differ(
// CHECK-SAME: %[[X:.*]]: tensor<8xf64>, %[[N:.*]]: tensor<8xi64>)
func.func @counts_differ(%x: tensor<8xf64>, %n: tensor<8xi64>) -> tensor<8xf64> {
  // CHECK: %[[MAX:.*]] = grad.reduce_max %[[N]], dimensions = [0]
  // CHECK: %[[WORD:.*]] = tensor.extract %[[MAX]][]
  // CHECK: %[[LAST:.*]] = arith.index_cast %[[WORD]]
  // CHECK: scf.for %[[I:.*]] = %{{.*}} to %[[LAST]] step %{{.*}} iter_args(%[[S:.*]] = %[[X]])
  // CHECK: %[[T:.*]] = grad.tanh %[[S]] : tensor<8xf64>
  // CHECK: %[[NUMBER:.*]] = arith.index_cast %[[I]]
  // CHECK: %[[TENSOR:.*]] = tensor.from_elements %[[NUMBER]]
  // CHECK: %[[ALL:.*]] = grad.broadcast %[[TENSOR]], shape = [8]
  // CHECK: %[[GOES_ON:.*]] = grad.less %[[ALL]], %[[N]]
  // CHECK: %[[NEXT:.*]] = grad.select %[[GOES_ON]], %[[T]], %[[S]]
  // CHECK: scf.yield %[[NEXT]]
  %0 = grad.vmap @counts_differ_of_one(%x, %n), in_axes = [0, 0], out_axes = [0], size = 8 : (tensor<8xf64>, tensor<8xi64>) -> tensor<8xf64>
  return %0 : tensor<8xf64>
}

// The condition differs: the loop goes on while it holds for any element, and
// leaves alone those for which it does not.
func.func private @while_of_one(%x: tensor<2xf64>, %limit: tensor<f64>) -> tensor<2xf64> {
  %r = scf.while (%s = %x) : (tensor<2xf64>) -> tensor<2xf64> {
    %sum = grad.reduce_sum %s, dimensions = [0] : tensor<2xf64> -> tensor<f64>
    %p = grad.less %sum, %limit : tensor<f64>
    %flag = tensor.extract %p[] : tensor<i1>
    scf.condition(%flag) %s : tensor<2xf64>
  } do {
  ^bb0(%s: tensor<2xf64>):
    %0 = grad.exp %s : tensor<2xf64>
    scf.yield %0 : tensor<2xf64>
  }
  return %r : tensor<2xf64>
}
// CHECK-LABEL: func.func @while(
// CHECK-SAME: %[[X:.*]]: tensor<8x2xf64>, %[[LIMIT:.*]]: tensor<f64>)
func.func @while(%x: tensor<8x2xf64>, %limit: tensor<f64>) -> tensor<8x2xf64> {
  // CHECK: %[[R:.*]]:2 = scf.while (%[[S:.*]] = %[[X]]) : (tensor<8x2xf64>) -> (tensor<8x2xf64>, tensor<8xi1>)
  // CHECK: %[[SUM:.*]] = grad.reduce_sum %[[S]], dimensions = [1]
  // CHECK: %[[P:.*]] = grad.less %[[SUM]]
  // CHECK: %[[ANY:.*]] = grad.reduce_any %[[P]], dimensions = [0]
  // CHECK: %[[FLAG:.*]] = tensor.extract %[[ANY]][]
  // CHECK: scf.condition(%[[FLAG]]) %[[S]], %[[P]]
  // CHECK: ^bb0(%[[OLD:.*]]: tensor<8x2xf64>, %[[GOES_ON:.*]]: tensor<8xi1>):
  // CHECK: %[[E:.*]] = grad.exp %[[OLD]] : tensor<8x2xf64>
  // CHECK: %[[MASK:.*]] = grad.broadcast %[[GOES_ON]], shape = [8, 2], dimensions = [0]
  // CHECK: %[[NEXT:.*]] = grad.select %[[MASK]], %[[E]], %[[OLD]]
  // CHECK: scf.yield %[[NEXT]]
  // CHECK: return %[[R]]#0
  %0 = grad.vmap @while_of_one(%x, %limit), in_axes = [0, none], out_axes = [0], size = 8 : (tensor<8x2xf64>, tensor<f64>) -> tensor<8x2xf64>
  return %0 : tensor<8x2xf64>
}

func.func private @branch_of_one(%x: tensor<f64>, %y: tensor<f64>, %p: tensor<i1>) -> tensor<f64> {
  %flag = tensor.extract %p[] : tensor<i1>
  %r = scf.if %flag -> tensor<f64> {
    %0 = grad.tanh %x : tensor<f64>
    %1 = grad.sin %0 : tensor<f64>
    scf.yield %1 : tensor<f64>
  } else {
    %0 = grad.exp %y : tensor<f64>
    scf.yield %0 : tensor<f64>
  }
  return %r : tensor<f64>
}
// CHECK-LABEL: func.func @branch(
// CHECK-SAME: %[[X:.*]]: tensor<8xf64>, %[[Y:.*]]: tensor<f64>, %[[P:.*]]: tensor<i1>)
func.func @branch(%x: tensor<8xf64>, %y: tensor<f64>, %p: tensor<i1>) -> tensor<8xf64> {
  // CHECK: %[[FLAG:.*]] = tensor.extract %[[P]][]
  // CHECK: scf.if %[[FLAG]] -> (tensor<8xf64>)
  // CHECK: grad.sin %{{.*}} : tensor<8xf64>
  // CHECK: else
  // CHECK: %[[E:.*]] = grad.exp %[[Y]] : tensor<f64>
  // CHECK: %[[ALL:.*]] = grad.broadcast %[[E]], shape = [8]
  // CHECK: scf.yield %[[ALL]]
  %0 = grad.vmap @branch_of_one(%x, %y, %p), in_axes = [0, none, none], out_axes = [0], size = 8 : (tensor<8xf64>, tensor<f64>, tensor<i1>) -> tensor<8xf64>
  return %0 : tensor<8xf64>
}

// CHECK-LABEL: func.func @branches_differ(
// CHECK-SAME: %[[X:.*]]: tensor<f64>, %[[Y:.*]]: tensor<f64>, %[[P:.*]]: tensor<8xi1>)
func.func @branches_differ(%x: tensor<f64>, %y: tensor<f64>, %p: tensor<8xi1>) -> tensor<8xf64> {
  // CHECK-NOT: scf.if
  // CHECK: %[[T:.*]] = grad.tanh %[[X]] : tensor<f64>
  // CHECK: %[[S:.*]] = grad.sin %[[T]] : tensor<f64>
  // CHECK: %[[ONE:.*]] = grad.broadcast %[[S]], shape = [8]
  // CHECK: %[[E:.*]] = grad.exp %[[Y]] : tensor<f64>
  // CHECK: %[[OTHER:.*]] = grad.broadcast %[[E]], shape = [8]
  // CHECK: %[[R:.*]] = grad.select %[[P]], %[[ONE]], %[[OTHER]]
  // CHECK: return %[[R]]
  %0 = grad.vmap @branch_of_one(%x, %y, %p), in_axes = [none, none, 0], out_axes = [0], size = 8 : (tensor<f64>, tensor<f64>, tensor<8xi1>) -> tensor<8xf64>
  return %0 : tensor<8xf64>
}

func.func private @switch_of_one(%x: tensor<f64>, %i: tensor<i64>) -> tensor<f64> {
  %word = tensor.extract %i[] : tensor<i64>
  %case = arith.index_cast %word : i64 to index
  %r = scf.index_switch %case -> tensor<f64>
  case 3 {
    %0 = grad.tanh %x : tensor<f64>
    scf.yield %0 : tensor<f64>
  }
  case 5 {
    %0 = grad.exp %x : tensor<f64>
    scf.yield %0 : tensor<f64>
  }
  default {
    scf.yield %x : tensor<f64>
  }
  return %r : tensor<f64>
}
// CHECK-LABEL: func.func @cases_differ(
// CHECK-SAME: %[[X:.*]]: tensor<8xf64>, %[[I:.*]]: tensor<8xi64>)
func.func @cases_differ(%x: tensor<8xf64>, %i: tensor<8xi64>) -> tensor<8xf64> {
  // CHECK-DAG: %[[THREE:.*]] = grad.constant dense<3> : tensor<8xi64>
  // CHECK-DAG: %[[FIVE:.*]] = grad.constant dense<5> : tensor<8xi64>
  // CHECK: %[[T:.*]] = grad.tanh %[[X]] : tensor<8xf64>
  // CHECK: %[[E:.*]] = grad.exp %[[X]] : tensor<8xf64>
  // CHECK: %[[P5:.*]] = grad.equal %[[I]], %[[FIVE]]
  // CHECK: %[[S5:.*]] = grad.select %[[P5]], %[[E]], %[[X]]
  // CHECK: %[[P3:.*]] = grad.equal %[[I]], %[[THREE]]
  // CHECK: %[[S3:.*]] = grad.select %[[P3]], %[[T]], %[[S5]]
  // CHECK: return %[[S3]]
  %0 = grad.vmap @switch_of_one(%x, %i), in_axes = [0, 0], out_axes = [0], size = 8 : (tensor<8xf64>, tensor<8xi64>) -> tensor<8xf64>
  return %0 : tensor<8xf64>
}

// Where the counter differs, one element comes after the other.
func.func private @bounds_differ_of_one(%x: tensor<f64>, %n: tensor<i64>) -> tensor<f64> {
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %word = tensor.extract %n[] : tensor<i64>
  %first = arith.index_cast %word : i64 to index
  %r = scf.for %i = %first to %c9 step %c1 iter_args(%s = %x) -> (tensor<f64>) {
    %0 = grad.tanh %s : tensor<f64>
    scf.yield %0 : tensor<f64>
  }
  return %r : tensor<f64>
}
// CHECK-LABEL: func.func @lower_bounds_differ(
// CHECK-SAME: %[[X:.*]]: tensor<8xf64>, %[[N:.*]]: tensor<8xi64>)
func.func @lower_bounds_differ(%x: tensor<8xf64>, %n: tensor<8xi64>) -> tensor<8xf64> {
  // CHECK: %[[R:.*]] = scf.for %[[I:.*]] = %c0 to %c8 step %c1 iter_args(%[[ALL:.*]] = %{{.*}}) -> (tensor<8xf64>)
  // CHECK-DAG: grad.dynamic_slice %[[N]]
  // CHECK-DAG: grad.dynamic_slice %[[X]]
  // CHECK: %[[Y:.*]] = scf.for {{.*}} -> (tensor<f64>)
  // CHECK: %[[ROW:.*]] = grad.reshape %[[Y]], shape = [1]
  // CHECK: %[[NEXT:.*]] = grad.dynamic_update_slice %[[ALL]], %[[ROW]]
  // CHECK: scf.yield %[[NEXT]]
  // CHECK: return %[[R]]
  %0 = grad.vmap @bounds_differ_of_one(%x, %n), in_axes = [0, 0], out_axes = [0], size = 8 : (tensor<8xf64>, tensor<8xi64>) -> tensor<8xf64>
  return %0 : tensor<8xf64>
}

// An op of another dialect, on numbers.
func.func private @number_of_one(%n: tensor<i64>) -> tensor<i64> {
  %c2 = arith.constant 2 : i64
  %word = tensor.extract %n[] : tensor<i64>
  %half = arith.divui %word, %c2 : i64
  %0 = tensor.from_elements %half : tensor<i64>
  return %0 : tensor<i64>
}
// CHECK-LABEL: func.func @numbers(
func.func @numbers(%n: tensor<8xi64>) -> tensor<8xi64> {
  // CHECK: %[[TWO:.*]] = grad.constant dense<2> : tensor<8xi64>
  // CHECK: arith.divui %{{.*}}, %[[TWO]] : tensor<8xi64>
  %0 = grad.vmap @number_of_one(%n), in_axes = [0], out_axes = [0], size = 8 : (tensor<8xi64>) -> tensor<8xi64>
  return %0 : tensor<8xi64>
}

// A loop in a branch runs for those elements that it is meant for.
func.func private @loop_in_branch_of_one(%x: tensor<f64>, %p: tensor<i1>) -> tensor<f64> {
  %flag = tensor.extract %p[] : tensor<i1>
  %r = scf.if %flag -> tensor<f64> {
    %w = scf.while (%s = %x) : (tensor<f64>) -> tensor<f64> {
      %q = grad.less_equal %s, %x : tensor<f64>
      %go = tensor.extract %q[] : tensor<i1>
      scf.condition(%go) %s : tensor<f64>
    } do {
    ^bb0(%s: tensor<f64>):
      %0 = grad.tanh %s : tensor<f64>
      scf.yield %0 : tensor<f64>
    }
    scf.yield %w : tensor<f64>
  } else {
    scf.yield %x : tensor<f64>
  }
  return %r : tensor<f64>
}
// CHECK-LABEL: func.func @loop_in_branch(
func.func @loop_in_branch(%x: tensor<8xf64>, %p: tensor<8xi1>) -> tensor<8xf64> {
  // CHECK: scf.for {{.*}} -> (tensor<8xf64>)
  // CHECK: scf.if %{{.*}} -> (tensor<f64>)
  %0 = grad.vmap @loop_in_branch_of_one(%x, %p), in_axes = [0, 0], out_axes = [0], size = 8 : (tensor<8xf64>, tensor<8xi1>) -> tensor<8xf64>
  return %0 : tensor<8xf64>
}

// What is carried is copied for nobody.
func.func private @carries_much_of_one(%x: tensor<5000xf64>, %n: tensor<i64>) -> tensor<5000xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %word = tensor.extract %n[] : tensor<i64>
  %last = arith.index_cast %word : i64 to index
  %r = scf.for %i = %c0 to %last step %c1 iter_args(%s = %x) -> (tensor<5000xf64>) {
    %0 = grad.tanh %s : tensor<5000xf64>
    scf.yield %0 : tensor<5000xf64>
  }
  return %r : tensor<5000xf64>
}
// CHECK-LABEL: func.func @carries_much(
func.func @carries_much(%x: tensor<8x5000xf64>, %n: tensor<8xi64>) -> tensor<8x5000xf64> {
  // CHECK: scf.for {{.*}} -> (tensor<8x5000xf64>)
  // CHECK: scf.for {{.*}} -> (tensor<5000xf64>)
  // CHECK-NOT: grad.select
  %0 = grad.vmap @carries_much_of_one(%x, %n), in_axes = [0, 0], out_axes = [0], size = 8 : (tensor<8x5000xf64>, tensor<8xi64>) -> tensor<8x5000xf64>
  return %0 : tensor<8x5000xf64>
}
