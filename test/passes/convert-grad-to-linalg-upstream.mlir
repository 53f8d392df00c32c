// RUN: gradopt %s -convert-grad-to-linalg -split-input-file | FileCheck %s

// What a generic does not reach stays: it computes a part of its own, which is
// inserted.
#id = affine_map<(i, j) -> (i, j)>
#part = affine_map<(i, j) -> (j, 3, 2 * i + 1)>
// CHECK: #[[$TURNED:.*]] = affine_map<(d0, d1) -> (d1, d0)>
// CHECK-LABEL: func.func @part_of_an_init
// CHECK-SAME: %[[X:.*]]: tensor<2x3xf64>, %[[Z:.*]]: tensor<3x5x4xf64>)
// CHECK: %[[E:.*]] = tensor.empty() : tensor<3x2xf64>
// CHECK: %[[PART:.*]] = linalg.generic {indexing_maps = [#{{.*}}, #[[$TURNED]]]
// CHECK-SAME: ins(%[[X]] : {{.*}}) outs(%[[E]] : tensor<3x2xf64>)
// CHECK: %[[R:.*]] = tensor.insert_slice %[[PART]] into %[[Z]][0, 3, 1] [3, 1, 2] [1, 1, 2]
// CHECK: return %[[R]]
func.func @part_of_an_init(%x: tensor<2x3xf64>, %z: tensor<3x5x4xf64>) -> tensor<3x5x4xf64> {
  %0 = linalg.generic {indexing_maps = [#id, #part], iterator_types = ["parallel", "parallel"]}
    ins(%x : tensor<2x3xf64>) outs(%z : tensor<3x5x4xf64>) {
    ^bb0(%a: f64, %o: f64):
      %1 = math.sin %a : f64
      linalg.yield %1 : f64
  } -> tensor<3x5x4xf64>
  return %0 : tensor<3x5x4xf64>
}

// -----

// A part that is no slice is written element by element.
#id = affine_map<(i) -> (i)>
#diagonal = affine_map<(i) -> (i, i)>
// CHECK-LABEL: func.func @diagonal
// CHECK: scf.for %[[I:.*]] = {{.*}} iter_args(%[[Z:.*]] = %{{.*}})
// CHECK: tensor.insert %{{.*}} into %[[Z]][%[[I]], %[[I]]]
func.func @diagonal(%x: tensor<3xf64>, %z: tensor<3x3xf64>) -> tensor<3x3xf64> {
  %0 = linalg.generic {indexing_maps = [#id, #diagonal], iterator_types = ["parallel"]}
    ins(%x : tensor<3xf64>) outs(%z : tensor<3x3xf64>) {
    ^bb0(%a: f64, %o: f64):
      linalg.yield %a : f64
  } -> tensor<3x3xf64>
  return %0 : tensor<3x3xf64>
}

// -----

// A body that uses what was there reads it.
#id = affine_map<(i) -> (i)>
#first = affine_map<(i) -> (i, 0)>
// CHECK-LABEL: func.func @adds
// CHECK-NOT: tensor.insert
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<3x3xf64>)
func.func @adds(%x: tensor<3xf64>, %z: tensor<3x3xf64>) -> tensor<3x3xf64> {
  %0 = linalg.generic {indexing_maps = [#id, #first], iterator_types = ["parallel"]}
    ins(%x : tensor<3xf64>) outs(%z : tensor<3x3xf64>) {
    ^bb0(%a: f64, %o: f64):
      %1 = arith.addf %a, %o : f64
      linalg.yield %1 : f64
  } -> tensor<3x3xf64>
  return %0 : tensor<3x3xf64>
}

// -----

// CHECK-LABEL: func.func @no_iterations
// CHECK-SAME: %[[Z:[a-z0-9]*]]: tensor<3xf64>)
// CHECK: return %[[Z]]
func.func @no_iterations(%x: tensor<3x0xf64>, %z: tensor<3xf64>) -> tensor<3xf64> {
  %0 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>],
                       iterator_types = ["parallel", "reduction"]}
    ins(%x : tensor<3x0xf64>) outs(%z : tensor<3xf64>) {
    ^bb0(%a: f64, %o: f64):
      linalg.yield %a : f64
  } -> tensor<3xf64>
  return %0 : tensor<3xf64>
}

// -----

// CHECK-LABEL: func.func @leaves_out
// CHECK-SAME: %[[X:.*]]: tensor<4x6xf64>, %[[P:.*]]: f64)
// CHECK-DAG: %[[PADDING:.*]] = linalg.fill ins(%[[P]] : f64) outs(%{{.*}} : tensor<5x5xf64>)
// CHECK-DAG: %[[REST:.*]] = tensor.extract_slice %[[X]][1, 0] [3, 3] [1, 1]
// CHECK: tensor.insert_slice %[[REST]] into %[[PADDING]][0, 2] [3, 3] [1, 1]
func.func @leaves_out(%x: tensor<4x6xf64>, %p: f64) -> tensor<5x5xf64> {
  %0 = tensor.pad %x low[-1, 2] high[2, -3] {
  ^bb0(%i: index, %j: index):
    tensor.yield %p : f64
  } : tensor<4x6xf64> to tensor<5x5xf64>
  return %0 : tensor<5x5xf64>
}

// -----

// CHECK-LABEL: func.func @may_leave_out
// CHECK: tensor.generate
// CHECK: scf.if %{{.*}} -> (f64)
// CHECK: tensor.extract
func.func @may_leave_out(%x: tensor<6xf64>, %p: f64, %low: index, %high: index) -> tensor<7xf64> {
  %0 = tensor.pad %x low[%low] high[%high] {
  ^bb0(%i: index):
    tensor.yield %p : f64
  } : tensor<6xf64> to tensor<7xf64>
  return %0 : tensor<7xf64>
}

// -----

// CHECK-LABEL: func.func @only_adds
// CHECK: tensor.pad
func.func @only_adds(%x: tensor<6xf64>, %p: f64) -> tensor<9xf64> {
  %0 = tensor.pad %x low[1] high[2] {
  ^bb0(%i: index):
    tensor.yield %p : f64
  } : tensor<6xf64> to tensor<9xf64>
  return %0 : tensor<9xf64>
}
