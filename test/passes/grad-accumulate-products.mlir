// RUN: gradopt %s --grad-accumulate-products -split-input-file | FileCheck %s

#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>

// The later product adds to the earlier one.
// CHECK-LABEL: func.func @products(
// CHECK-SAME: %[[X:.*]]: tensor<4x5xf64>, %[[Y:.*]]: tensor<5x3xf64>
// CHECK: %[[FILL:.*]] = linalg.fill
// CHECK: %[[P:.*]] = linalg.generic {{.*}} ins(%[[X]], %[[Y]] : {{.*}}) outs(%[[FILL]]
// CHECK: %[[Q:.*]] = linalg.generic {{.*}} ins(%[[X]], %[[Y]] : {{.*}}) outs(%[[P]]
// CHECK: arith.mulf
// CHECK-NOT: linalg.generic
// CHECK: return %[[Q]]
func.func @products(%x: tensor<4x5xf64>, %y: tensor<5x3xf64>) -> tensor<4x3xf64> {
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<4x3xf64>
  %z = linalg.fill ins(%zero : f64) outs(%e : tensor<4x3xf64>) -> tensor<4x3xf64>
  %p = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : tensor<4x5xf64>, tensor<5x3xf64>) outs(%z : tensor<4x3xf64>) {
  ^bb0(%l: f64, %r: f64, %o: f64):
    %m = arith.mulf %l, %r : f64
    %s = arith.addf %o, %m : f64
    linalg.yield %s : f64
  } -> tensor<4x3xf64>
  %q = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : tensor<4x5xf64>, tensor<5x3xf64>) outs(%z : tensor<4x3xf64>) {
  ^bb0(%l: f64, %r: f64, %o: f64):
    %m = arith.mulf %l, %r : f64
    %s = arith.addf %o, %m : f64
    linalg.yield %s : f64
  } -> tensor<4x3xf64>
  %sum = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%q, %p : tensor<4x3xf64>, tensor<4x3xf64>) outs(%e : tensor<4x3xf64>) {
  ^bb0(%l: f64, %r: f64, %o: f64):
    %s = arith.addf %l, %r : f64
    linalg.yield %s : f64
  } -> tensor<4x3xf64>
  return %sum : tensor<4x3xf64>
}

// -----

#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>

// What is added to a slice is accumulated in it.
// CHECK-LABEL: func.func @slice(
// CHECK-SAME: %{{.*}}: tensor<4x5xf64>, %{{.*}}: tensor<5x3xf64>, %[[T:.*]]: tensor<8x3xf64>
// CHECK: %[[S:.*]] = tensor.extract_slice %[[T]]
// CHECK: %[[P:.*]] = linalg.generic {{.*}} outs(%[[S]]
// CHECK: arith.mulf
// CHECK-NOT: linalg.generic
// CHECK: tensor.insert_slice %[[P]] into %[[T]]
func.func @slice(%x: tensor<4x5xf64>, %y: tensor<5x3xf64>, %t: tensor<8x3xf64>) -> tensor<8x3xf64> {
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<4x3xf64>
  %z = linalg.fill ins(%zero : f64) outs(%e : tensor<4x3xf64>) -> tensor<4x3xf64>
  %p = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : tensor<4x5xf64>, tensor<5x3xf64>) outs(%z : tensor<4x3xf64>) {
  ^bb0(%l: f64, %r: f64, %o: f64):
    %m = arith.mulf %l, %r : f64
    %s = arith.addf %o, %m : f64
    linalg.yield %s : f64
  } -> tensor<4x3xf64>
  %slice = tensor.extract_slice %t[2, 0] [4, 3] [1, 1] : tensor<8x3xf64> to tensor<4x3xf64>
  %sum = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<4x3xf64>) outs(%slice : tensor<4x3xf64>) {
  ^bb0(%l: f64, %o: f64):
    %s = arith.addf %o, %l : f64
    linalg.yield %s : f64
  } -> tensor<4x3xf64>
  %u = tensor.insert_slice %sum into %t[2, 0] [4, 3] [1, 1] : tensor<4x3xf64> into tensor<8x3xf64>
  return %u : tensor<8x3xf64>
}

// -----

#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>

// A product that somebody else reads, and a sum with a value that does not die
// or that is no product, stay as they are.
// CHECK-LABEL: func.func @others(
// CHECK-COUNT-3: linalg.generic
func.func @others(%x: tensor<4x5xf64>, %y: tensor<5x3xf64>, %v: tensor<4x3xf64>) -> (tensor<4x3xf64>, tensor<4x3xf64>) {
  %zero = arith.constant 0.0 : f64
  %e = tensor.empty() : tensor<4x3xf64>
  %z = linalg.fill ins(%zero : f64) outs(%e : tensor<4x3xf64>) -> tensor<4x3xf64>
  %p = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : tensor<4x5xf64>, tensor<5x3xf64>) outs(%z : tensor<4x3xf64>) {
  ^bb0(%l: f64, %r: f64, %o: f64):
    %m = arith.mulf %l, %r : f64
    %s = arith.addf %o, %m : f64
    linalg.yield %s : f64
  } -> tensor<4x3xf64>
  %q = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : tensor<4x5xf64>, tensor<5x3xf64>) outs(%z : tensor<4x3xf64>) {
  ^bb0(%l: f64, %r: f64, %o: f64):
    %m = arith.mulf %l, %r : f64
    %s = arith.addf %o, %m : f64
    linalg.yield %s : f64
  } -> tensor<4x3xf64>
  %sum = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %v : tensor<4x3xf64>, tensor<4x3xf64>) outs(%e : tensor<4x3xf64>) {
  ^bb0(%l: f64, %r: f64, %o: f64):
    %s = arith.addf %l, %r : f64
    linalg.yield %s : f64
  } -> tensor<4x3xf64>
  return %q, %sum : tensor<4x3xf64>, tensor<4x3xf64>
}

// -----

#a = affine_map<(m, n, k) -> (m, k)>
#b = affine_map<(m, n, k) -> (k, n)>
#c = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>

// A loop sums in what it carries.
// CHECK-LABEL: func.func @loop(
// CHECK: scf.for {{.*}} iter_args(%[[T:.*]] = %{{.*}}) -> (tensor<4x3xf64>) {
// CHECK-NEXT: %[[P:.*]] = linalg.generic {{.*}} outs(%[[T]] : tensor<4x3xf64>)
// CHECK: scf.yield %[[P]]
func.func @loop(%n: index, %x: tensor<4x5xf64>, %y: tensor<5x3xf64>, %t: tensor<4x3xf64>) -> tensor<4x3xf64> {
  %zero = arith.constant 0.0 : f64
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %e = tensor.empty() : tensor<4x3xf64>
  %z = linalg.fill ins(%zero : f64) outs(%e : tensor<4x3xf64>) -> tensor<4x3xf64>
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%a = %t) -> (tensor<4x3xf64>) {
    %p = linalg.generic {indexing_maps = [#a, #b, #c], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %y : tensor<4x5xf64>, tensor<5x3xf64>) outs(%z : tensor<4x3xf64>) {
    ^bb0(%l: f64, %r: f64, %o: f64):
      %m = arith.mulf %l, %r : f64
      %s = arith.addf %o, %m : f64
      linalg.yield %s : f64
    } -> tensor<4x3xf64>
    %sum = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%a, %p : tensor<4x3xf64>, tensor<4x3xf64>) outs(%e : tensor<4x3xf64>) {
    ^bb0(%l: f64, %r: f64, %o: f64):
      %s = arith.addf %l, %r : f64
      linalg.yield %s : f64
    } -> tensor<4x3xf64>
    scf.yield %sum : tensor<4x3xf64>
  }
  return %r : tensor<4x3xf64>
}
