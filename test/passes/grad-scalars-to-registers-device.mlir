// RUN: gradopt %s --grad-scalars-to-registers=for-device=1 --canonicalize | FileCheck %s

// Lists of commands have registers for numbers, but not for complex ones: these stay in memory.

#s = affine_map<() -> ()>

// CHECK-LABEL: func.func @for
// CHECK: scf.for {{.*}} iter_args(%{{.*}} = %{{.*}}, %{{.*}} = %{{.*}}) -> (tensor<complex<f64>>, f64) {
// CHECK: %[[X:.*]] = complex.add
// CHECK: %[[NEXT:.*]] = tensor.from_elements %[[X]] : tensor<complex<f64>>
// CHECK: %[[Y:.*]] = math.sin
// CHECK: scf.yield %[[NEXT]], %[[Y]] : tensor<complex<f64>>, f64
func.func @for(%x: tensor<complex<f64>>, %y: tensor<f64>, %n: index) -> (tensor<complex<f64>>, tensor<f64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r:2 = scf.for %i = %c0 to %n step %c1 iter_args(%a = %x, %b = %y) -> (tensor<complex<f64>>, tensor<f64>) {
    %e = tensor.empty() : tensor<complex<f64>>
    %0 = linalg.generic {indexing_maps = [#s, #s], iterator_types = []} ins(%a : tensor<complex<f64>>) outs(%e : tensor<complex<f64>>) {
    ^bb0(%in: complex<f64>, %out: complex<f64>):
      %1 = complex.add %in, %in : complex<f64>
      linalg.yield %1 : complex<f64>
    } -> tensor<complex<f64>>
    %f = tensor.empty() : tensor<f64>
    %2 = linalg.generic {indexing_maps = [#s, #s], iterator_types = []} ins(%b : tensor<f64>) outs(%f : tensor<f64>) {
    ^bb0(%in: f64, %out: f64):
      %3 = math.sin %in : f64
      linalg.yield %3 : f64
    } -> tensor<f64>
    scf.yield %0, %2 : tensor<complex<f64>>, tensor<f64>
  }
  return %r#0, %r#1 : tensor<complex<f64>>, tensor<f64>
}
