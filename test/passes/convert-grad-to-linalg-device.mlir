// RUN: gradopt %s --convert-grad-to-linalg=for-device=1 --split-input-file | FileCheck %s

// For a GPU, a convolution is one nest over all images, which reads windows where they are.

// CHECK: #[[$KERNEL:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6, d7) -> (d0, d2, d5, d6, d7)>
// CHECK: #[[$WINDOWS:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6, d7) -> (d0, d1, d5, d3 + d6 * 2, d4 * 3 + d7)>
// CHECK: #[[$RESULT:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6, d7) -> (d0, d1, d2, d3, d4)>
// CHECK-LABEL: func @images
// CHECK-SAME: %[[X:.*]]: tensor<2x8x3x5x9xf64>, %[[W:.*]]: tensor<2x4x3x2x3xf64>
func.func @images(%x: tensor<2x8x3x5x9xf64>, %w: tensor<2x4x3x2x3xf64>) -> tensor<2x8x4x3x3xf64> {
  // CHECK-NOT: scf.for
  // CHECK: %[[COVERED:.*]] = tensor.extract_slice %[[X]][0, 0, 0, 0, 0] [2, 8, 3, 5, 9]
  // CHECK: %[[ZEROS:.*]] = linalg.fill {{.*}} -> tensor<2x8x4x3x3xf64>
  // CHECK: %[[RESULT:.*]] = linalg.generic {indexing_maps = [#[[$KERNEL]], #[[$WINDOWS]], #[[$RESULT]]], iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]} ins(%[[W]], %[[COVERED]] : {{.*}} outs(%[[ZEROS]]
  // CHECK: return %[[RESULT]]
  %0 = grad.convolution %x, %w, strides = [1, 3], low = [0, 0], high = [0, 0], dilation = [1, 1] x [2, 1]
      : tensor<2x8x3x5x9xf64>, tensor<2x4x3x2x3xf64> -> tensor<2x8x4x3x3xf64>
  return %0 : tensor<2x8x4x3x3xf64>
}

// -----

// Zeros are stored around all images at once.

// CHECK-LABEL: func @padding
// CHECK-SAME: %[[X:.*]]: tensor<1x8x3x9xf64>
func.func @padding(%x: tensor<1x8x3x9xf64>, %w: tensor<1x4x3x2xf64>) -> tensor<1x8x4x5xf64> {
  // CHECK-NOT: scf.for
  // CHECK: %[[ZEROS:.*]] = linalg.fill {{.*}} -> tensor<1x8x3x12xf64>
  // CHECK: %[[PADDED:.*]] = tensor.insert_slice %{{.*}} into %[[ZEROS]][0, 0, 0, 1] [1, 8, 3, 9]
  // CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[PADDED]] :
  %0 = grad.convolution %x, %w, strides = [2], low = [1], high = [2], dilation = [1] x [3]
      : tensor<1x8x3x9xf64>, tensor<1x4x3x2xf64> -> tensor<1x8x4x5xf64>
  return %0 : tensor<1x8x4x5xf64>
}

// -----

// In the gradient of a kernel, operands are read through transposes, and what is written has the
// order that the transpose of the result makes of it.

// CHECK-LABEL: func @kernel_gradient
// CHECK-SAME: %[[X:.*]]: tensor<1x8x3x9xf64>, %[[CT:.*]]: tensor<1x8x4x8xf64>
func.func @kernel_gradient(%x: tensor<1x8x3x9xf64>, %ct: tensor<1x8x4x8xf64>) -> tensor<1x4x3x2xf64> {
  // CHECK-NOT: scf.for
  // CHECK: %[[COVERED:.*]] = tensor.extract_slice %[[X]]
  // CHECK: %[[SUMS:.*]] = linalg.generic {{.*}} ins(%[[CT]], %[[COVERED]] : {{.*}} outs(%{{.*}} : tensor<1x4x3x2xf64>)
  // CHECK: %[[RESULT:.*]] = linalg.generic {indexing_maps = [#[[$SAME:.*]], #[[$SAME]]], {{.*}} ins(%[[SUMS]]
  // CHECK: return %[[RESULT]]
  %0 = grad.transpose %x, permutation = [0, 2, 1, 3] : tensor<1x8x3x9xf64> -> tensor<1x3x8x9xf64>
  %1 = grad.transpose %ct, permutation = [0, 2, 1, 3] : tensor<1x8x4x8xf64> -> tensor<1x4x8x8xf64>
  %2 = grad.convolution %0, %1, strides = [1], low = [0], high = [0], dilation = [1] x [1]
      : tensor<1x3x8x9xf64>, tensor<1x4x8x8xf64> -> tensor<1x3x4x2xf64>
  %3 = grad.transpose %2, permutation = [0, 2, 1, 3] : tensor<1x3x4x2xf64> -> tensor<1x4x3x2xf64>
  return %3 : tensor<1x4x3x2xf64>
}

// -----

// A product of narrow floats reads them as they lie in memory, also through transposes, and widens
// them one by one.

// CHECK: #[[$LEFT:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK: #[[$RIGHT:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-LABEL: func @narrow_product
// CHECK-SAME: %[[X:.*]]: tensor<4x5xf16>)
func.func @narrow_product(%x: tensor<4x5xf16>) -> tensor<4x4xf32> {
  // CHECK: linalg.generic {indexing_maps = [#[[$LEFT]], #[[$RIGHT]], #{{.*}}], iterator_types = ["parallel", "parallel", "reduction"]} ins(%[[X]], %[[X]] : tensor<4x5xf16>, tensor<4x5xf16>)
  // CHECK: arith.extf
  // CHECK: arith.extf
  // CHECK: arith.mulf
  %0 = grad.convert %x to f32 : tensor<4x5xf16>
  %1 = grad.transpose %x, permutation = [1, 0] : tensor<4x5xf16> -> tensor<5x4xf16>
  %2 = grad.convert %1 to f32 : tensor<5x4xf16>
  %3 = grad.dot_general %0, %2, batch = [] x [], contract = [1] x [0] : tensor<4x5xf32>, tensor<5x4xf32> -> tensor<4x4xf32>
  return %3 : tensor<4x4xf32>
}
