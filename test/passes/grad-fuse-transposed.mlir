// RUN: gradopt %s --grad-fuse="write-transposed" | FileCheck %s

// A product for a device writes its result transposed, where rows or columns of
// it are contiguous then.

#lhs = affine_map<(b, h, t, d, s) -> (b, h, t, s)>
#rhs = affine_map<(b, h, t, d, s) -> (b, h, s, d)>
#out = affine_map<(b, h, t, d, s) -> (b, h, t, d)>
#id = affine_map<(b, h, t, d) -> (b, h, t, d)>
#heads = affine_map<(b, h, t, d) -> (b, t, h, d)>
#last = affine_map<(b, h, t, d) -> (t, d, b, h)>

// CHECK: #[[$HEADS:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d2, d1, d3)>
// CHECK-LABEL: func @heads
// CHECK: %[[ZERO:.*]] = linalg.fill {{.*}} -> tensor<2x8x4x16xf32>
// CHECK: %[[R:.*]] = linalg.generic {indexing_maps = [#{{.*}}, #{{.*}}, #[[$HEADS]]]{{.*}} outs(%[[ZERO]] : tensor<2x8x4x16xf32>)
// CHECK-NOT: linalg.generic
// CHECK: return %[[R]]
func.func @heads(%a: tensor<2x4x8x8xf32>, %b: tensor<2x4x8x16xf32>) -> tensor<2x8x4x16xf32> {
  %zero = arith.constant 0.0 : f32
  %0 = tensor.empty() : tensor<2x4x8x16xf32>
  %1 = linalg.fill ins(%zero : f32) outs(%0 : tensor<2x4x8x16xf32>) -> tensor<2x4x8x16xf32>
  %2 = linalg.generic {indexing_maps = [#lhs, #rhs, #out], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<2x4x8x8xf32>, tensor<2x4x8x16xf32>) outs(%1 : tensor<2x4x8x16xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %p = arith.mulf %x, %y : f32
    %s = arith.addf %z, %p : f32
    linalg.yield %s : f32
  } -> tensor<2x4x8x16xf32>
  %3 = tensor.empty() : tensor<2x8x4x16xf32>
  %4 = linalg.generic {indexing_maps = [#id, #heads], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%2 : tensor<2x4x8x16xf32>) outs(%3 : tensor<2x8x4x16xf32>) {
  ^bb0(%x: f32, %y: f32):
    linalg.yield %x : f32
  } -> tensor<2x8x4x16xf32>
  return %4 : tensor<2x8x4x16xf32>
}

// Neither rows nor columns would be contiguous.
// CHECK-LABEL: func @batch_last
// CHECK-COUNT-2: linalg.generic
func.func @batch_last(%a: tensor<2x4x8x8xf32>, %b: tensor<2x4x8x16xf32>) -> tensor<8x16x2x4xf32> {
  %zero = arith.constant 0.0 : f32
  %0 = tensor.empty() : tensor<2x4x8x16xf32>
  %1 = linalg.fill ins(%zero : f32) outs(%0 : tensor<2x4x8x16xf32>) -> tensor<2x4x8x16xf32>
  %2 = linalg.generic {indexing_maps = [#lhs, #rhs, #out], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<2x4x8x8xf32>, tensor<2x4x8x16xf32>) outs(%1 : tensor<2x4x8x16xf32>) {
  ^bb0(%x: f32, %y: f32, %z: f32):
    %p = arith.mulf %x, %y : f32
    %s = arith.addf %z, %p : f32
    linalg.yield %s : f32
  } -> tensor<2x4x8x16xf32>
  %3 = tensor.empty() : tensor<8x16x2x4xf32>
  %4 = linalg.generic {indexing_maps = [#id, #last], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%2 : tensor<2x4x8x16xf32>) outs(%3 : tensor<8x16x2x4xf32>) {
  ^bb0(%x: f32, %y: f32):
    linalg.yield %x : f32
  } -> tensor<8x16x2x4xf32>
  return %4 : tensor<8x16x2x4xf32>
}
