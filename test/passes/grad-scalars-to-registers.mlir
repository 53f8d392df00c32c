// RUN: gradopt %s --allow-unregistered-dialect --grad-scalars-to-registers --canonicalize -split-input-file | FileCheck %s

#s = affine_map<() -> ()>
#id = affine_map<(d0) -> (d0)>
#first = affine_map<(d0) -> ()>

// A recurrence of scalars does not touch memory.
// CHECK-LABEL: func.func @for
// CHECK-SAME: %[[X:.*]]: tensor<f64>
func.func @for(%x: tensor<f64>, %n: index) -> tensor<f64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: %[[X0:.*]] = tensor.extract %[[X]][]
  // CHECK: %[[R:.*]] = scf.for {{.*}} iter_args(%[[S:.*]] = %[[X0]]) -> (f64) {
  // CHECK-NEXT: %[[T:.*]] = math.sin %[[S]]
  // CHECK-NEXT: %[[U:.*]] = arith.addf %[[T]], %[[X0]]
  // CHECK-NEXT: scf.yield %[[U]] : f64
  // CHECK: tensor.from_elements %[[R]]
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%s = %x) -> tensor<f64> {
    %e = tensor.empty() : tensor<f64>
    %0 = linalg.generic {indexing_maps = [#s, #s, #s], iterator_types = []} ins(%s, %x : tensor<f64>, tensor<f64>) outs(%e : tensor<f64>) {
    ^bb0(%a: f64, %b: f64, %c: f64):
      %1 = math.sin %a : f64
      %2 = arith.addf %1, %b : f64
      linalg.yield %2 : f64
    } -> tensor<f64>
    scf.yield %0 : tensor<f64>
  }
  return %r : tensor<f64>
}

// -----

// Types, of the condition and of the body, may differ.
// CHECK-LABEL: func.func @while
func.func @while(%x: tensor<f64>, %v: tensor<4xf64>) -> (tensor<i64>, tensor<4xf64>) {
  // CHECK: scf.while (%[[A:.*]] = %{{.*}}) : (f64) -> i64 {
  // CHECK: scf.condition(%{{.*}}) %{{.*}} : i64
  // CHECK: ^bb0(%[[B:.*]]: i64):
  // CHECK: arith.sitofp %[[B]]
  // CHECK: scf.yield %{{.*}} : f64
  %r:2 = scf.while (%a = %x) : (tensor<f64>) -> (tensor<i64>, tensor<4xf64>) {
    %s = tensor.extract %a[] : tensor<f64>
    %k = arith.fptosi %s : f64 to i64
    %t = tensor.from_elements %k : tensor<i64>
    %z = arith.constant 0.0 : f64
    %p = arith.cmpf olt, %s, %z : f64
    scf.condition(%p) %t, %v : tensor<i64>, tensor<4xf64>
  } do {
  ^bb0(%b: tensor<i64>, %w: tensor<4xf64>):
    %s = tensor.extract %b[] : tensor<i64>
    %f = arith.sitofp %s : i64 to f64
    %t = tensor.from_elements %f : tensor<f64>
    scf.yield %t : tensor<f64>
  }
  return %r#0, %r#1 : tensor<i64>, tensor<4xf64>
}

// -----

// CHECK-LABEL: func.func @branches
func.func @branches(%c: i1, %k: index, %x: tensor<f64>, %y: tensor<f64>, %v: tensor<2xf64>) -> (tensor<f64>, tensor<2xf64>, tensor<f64>) {
  // CHECK: scf.if %{{.*}} -> (f64, tensor<2xf64>)
  %r:2 = scf.if %c -> (tensor<f64>, tensor<2xf64>) {
    %a:2 = "test.make"() : () -> (tensor<f64>, tensor<2xf64>)
    scf.yield %a#0, %a#1 : tensor<f64>, tensor<2xf64>
  } else {
    scf.yield %y, %v : tensor<f64>, tensor<2xf64>
  }
  // CHECK: scf.index_switch %{{.*}} -> f64
  %s = scf.index_switch %k -> tensor<f64>
  case 0 {
    %a = "test.make"() : () -> tensor<f64>
    scf.yield %a : tensor<f64>
  }
  default {
    scf.yield %y : tensor<f64>
  }
  return %r#0, %r#1, %s : tensor<f64>, tensor<2xf64>, tensor<f64>
}

// -----

#id = affine_map<(d0) -> (d0)>
#first = affine_map<(d0) -> ()>

// Elements are read and written directly; loops capture scalars.
// CHECK-LABEL: func.func @elements
func.func @elements(%x: tensor<4x4xf64>, %n: index) -> tensor<4x4xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: scf.for %[[I:.*]] = {{.*}} iter_args(%[[A:.*]] = %{{.*}}, %[[S:.*]] = %{{.*}}) -> (tensor<4x4xf64>, f64)
  // CHECK-NEXT: %[[E:.*]] = tensor.extract %[[A]][%[[I]], %[[I]]]
  // CHECK-NEXT: %[[B:.*]] = tensor.insert %[[S]] into %[[A]][%[[I]], %c0]
  // CHECK-NEXT: scf.yield %[[B]], %[[E]]
  %z = arith.constant dense<0.0> : tensor<f64>
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x, %s = %z) -> (tensor<4x4xf64>, tensor<f64>) {
    %0 = tensor.extract_slice %a[%i, %i] [1, 1] [1, 1] : tensor<4x4xf64> to tensor<1x1xf64>
    %1 = tensor.collapse_shape %0 [] : tensor<1x1xf64> into tensor<f64>
    %2 = tensor.expand_shape %s [] output_shape [1, 1] : tensor<f64> into tensor<1x1xf64>
    %3 = tensor.insert_slice %2 into %a[%i, 0] [1, 1] [1, 1] : tensor<1x1xf64> into tensor<4x4xf64>
    scf.yield %3, %1 : tensor<4x4xf64>, tensor<f64>
  }
  return %r#0 : tensor<4x4xf64>
}

// An element that moves within one tensor is read before that is written to.
// CHECK-LABEL: func.func @moved_elements
func.func @moved_elements(%x: tensor<9xf64>, %n: index) -> tensor<9xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: scf.for %[[I:.*]] = {{.*}} iter_args(%[[A:.*]] = %{{.*}})
  // CHECK: %[[J:.*]] = arith.addi %[[I]]
  // CHECK: %[[HERE:.*]] = tensor.extract %[[A]][%[[I]]]
  // CHECK: %[[THERE:.*]] = tensor.extract %[[A]][%[[J]]]
  // CHECK: %[[B:.*]] = tensor.insert %[[THERE]] into %[[A]][%[[I]]]
  // CHECK: %[[C:.*]] = tensor.insert %[[HERE]] into %[[B]][%[[J]]]
  // CHECK-NOT: slice
  // CHECK: scf.yield %[[C]]
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<9xf64> {
    %j = arith.addi %i, %c1 : index
    %0 = tensor.extract_slice %a[%i] [1] [1] : tensor<9xf64> to tensor<1xf64>
    %1 = tensor.extract_slice %a[%j] [1] [1] : tensor<9xf64> to tensor<1xf64>
    %2 = tensor.insert_slice %1 into %a[%i] [1] [1] : tensor<1xf64> into tensor<9xf64>
    %3 = tensor.insert_slice %0 into %2[%j] [1] [1] : tensor<1xf64> into tensor<9xf64>
    scf.yield %3 : tensor<9xf64>
  }
  return %r : tensor<9xf64>
}

// CHECK-LABEL: func.func @captured
func.func @captured(%x: tensor<4xf64>, %n: index, %z: tensor<f64>) -> tensor<4xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: scf.for {{.*}} iter_args(%[[A:.*]] = %{{.*}}, %[[S:.*]] = %{{.*}}) -> (tensor<4xf64>, f64)
  // CHECK: linalg.generic {{.*}} ins(%[[A]] : tensor<4xf64>)
  // CHECK: arith.mulf %{{.*}}, %[[S]]
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x, %s = %z) -> (tensor<4xf64>, tensor<f64>) {
    %e = tensor.empty() : tensor<4xf64>
    %0 = linalg.generic {indexing_maps = [#id, #first, #id], iterator_types = ["parallel"]} ins(%a, %s : tensor<4xf64>, tensor<f64>) outs(%e : tensor<4xf64>) {
    ^bb0(%p: f64, %q: f64, %o: f64):
      %1 = arith.mulf %p, %q : f64
      linalg.yield %1 : f64
    } -> tensor<4xf64>
    %2 = tensor.extract %a[%c0] : tensor<4xf64>
    %3 = tensor.from_elements %2 : tensor<f64>
    scf.yield %0, %3 : tensor<4xf64>, tensor<f64>
  }
  return %r#0 : tensor<4xf64>
}

// -----

// What is outside of loops runs once and stays.
// CHECK-LABEL: func.func @outside
func.func @outside(%x: tensor<f64>) -> tensor<f64> {
  // CHECK: linalg.generic
  %e = tensor.empty() : tensor<f64>
  %0 = linalg.generic {indexing_maps = [affine_map<() -> ()>, affine_map<() -> ()>], iterator_types = []} ins(%x : tensor<f64>) outs(%e : tensor<f64>) {
  ^bb0(%a: f64, %c: f64):
    %1 = math.sin %a : f64
    linalg.yield %1 : f64
  } -> tensor<f64>
  return %0 : tensor<f64>
}

// -----

// What is added to one element of a tensor is read and written directly, whatever
// dimensions of one element the operation has.
// CHECK-LABEL: func.func @one_element
// CHECK: scf.for {{.*}} iter_args(%[[A:.*]] = %{{.*}})
// CHECK-NEXT: %[[OLD:.*]] = tensor.extract %[[A]][%c3]
// CHECK-NEXT: %[[SUM:.*]] = arith.addf %[[OLD]], %{{.*}}
// CHECK-NEXT: %[[NEW:.*]] = tensor.insert %[[SUM]] into %[[A]][%c3]
// CHECK-NEXT: scf.yield %[[NEW]]
func.func @one_element(%x: tensor<4xf64>, %y: f64, %n: index) -> tensor<4xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<4xf64> {
    %0 = tensor.from_elements %y : tensor<f64>
    %1 = tensor.expand_shape %0 [] output_shape [1] : tensor<f64> into tensor<1xf64>
    %2 = tensor.extract_slice %a[3] [1] [1] : tensor<4xf64> to tensor<1xf64>
    %3 = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]} ins(%1 : tensor<1xf64>) outs(%2 : tensor<1xf64>) {
    ^bb0(%p: f64, %o: f64):
      %4 = arith.addf %o, %p : f64
      linalg.yield %4 : f64
    } -> tensor<1xf64>
    %5 = tensor.insert_slice %3 into %a[3] [1] [1] : tensor<1xf64> into tensor<4xf64>
    scf.yield %5 : tensor<4xf64>
  }
  return %r : tensor<4xf64>
}

// -----

// A number that fills a tensor of one element is written as it is.
// CHECK-LABEL: func.func @filled
// CHECK-SAME: %[[X:.*]]: tensor<4xf64>, %[[Y:.*]]: f64
// CHECK: scf.for %[[I:.*]] = {{.*}} iter_args(%[[A:.*]] = %[[X]])
// CHECK-NEXT: %[[NEW:.*]] = tensor.insert %[[Y]] into %[[A]][%[[I]]]
// CHECK-NEXT: scf.yield %[[NEW]]
func.func @filled(%x: tensor<4xf64>, %y: f64, %n: index) -> tensor<4xf64> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %e = tensor.empty() : tensor<1xf64>
  %0 = linalg.fill ins(%y : f64) outs(%e : tensor<1xf64>) -> tensor<1xf64>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x) -> tensor<4xf64> {
    %1 = tensor.insert_slice %0 into %a[%i] [1] [1] : tensor<1xf64> into tensor<4xf64>
    scf.yield %1 : tensor<4xf64>
  }
  return %r : tensor<4xf64>
}
