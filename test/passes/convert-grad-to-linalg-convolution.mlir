// RUN: gradopt %s --convert-grad-to-linalg --split-input-file | FileCheck %s

// Windows of one image are the columns of a matrix; the kernel times it is the image's result.

// CHECK: #[[$WINDOWS:.*]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1 + d3, d2 + d4)>
// CHECK-LABEL: func @images
// CHECK-SAME: %[[X:.*]]: tensor<1x8x3x5x6xf64>, %[[W:.*]]: tensor<1x4x3x3x2xf64>
func.func @images(%x: tensor<1x8x3x5x6xf64>, %w: tensor<1x4x3x3x2xf64>) -> tensor<1x8x4x3x5xf64> {
  // CHECK: %[[EMPTY:.*]] = tensor.empty() : tensor<1x8x4x3x5xf64>
  // CHECK: %[[RESULT:.*]] = scf.for %[[N:.*]] = %{{.*}} iter_args(%[[MADE:.*]] = %[[EMPTY]])
  // CHECK: %[[IMAGE:.*]] = tensor.extract_slice %[[X]][0, %[[N]], 0, 0, 0] [1, 1, 3, 5, 6] [1, 1, 1, 1, 1] : tensor<1x8x3x5x6xf64> to tensor<3x5x6xf64>
  // CHECK: %[[COLUMNS:.*]] = linalg.generic {indexing_maps = [#[[$WINDOWS]], {{.*}} ins(%[[IMAGE]] : {{.*}} outs(%{{.*}} : tensor<3x3x2x3x5xf64>)
  // CHECK: %[[KERNEL:.*]] = tensor.extract_slice %[[W]]
  // CHECK: %[[ZEROS:.*]] = linalg.fill
  // CHECK: %[[PRODUCT:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "reduction", "reduction", "reduction", "parallel", "parallel"]} ins(%[[KERNEL]], %[[COLUMNS]] : {{.*}} outs(%[[ZEROS]] : tensor<4x3x5xf64>)
  // CHECK: %[[NEXT:.*]] = tensor.insert_slice %[[PRODUCT]] into %[[MADE]][0, %[[N]], 0, 0, 0]
  // CHECK: scf.yield %[[NEXT]]
  // CHECK: return %[[RESULT]]
  %0 = grad.convolution %x, %w, strides = [1, 1], low = [0, 0], high = [0, 0], dilation = [1, 1] x [1, 1]
      : tensor<1x8x3x5x6xf64>, tensor<1x4x3x3x2xf64> -> tensor<1x8x4x3x5xf64>
  return %0 : tensor<1x8x4x3x5xf64>
}

// -----

// Padding is of one image; strides are those of the read.

// CHECK: #[[$WINDOWS:.*]] = affine_map<(d0, d1, d2) -> (d0, d1 * 3 + d2 * 2)>
// CHECK-LABEL: func @strides
func.func @strides(%x: tensor<1x8x3x9xf64>, %w: tensor<1x4x3x2xf64>) -> tensor<1x8x4x5xf64> {
  // CHECK: scf.for
  // CHECK: %[[IMAGE:.*]] = tensor.extract_slice %{{.*}} to tensor<3x9xf64>
  // CHECK: %[[ZEROS:.*]] = linalg.fill {{.*}} : tensor<3x12xf64>
  // CHECK: %[[PADDED:.*]] = tensor.insert_slice %[[IMAGE]] into %[[ZEROS]][0, 1] [3, 9] [1, 1]
  // CHECK: linalg.generic {indexing_maps = [#[[$WINDOWS]], {{.*}} ins(%[[PADDED]]
  %0 = grad.convolution %x, %w, strides = [2], low = [1], high = [2], dilation = [1] x [3]
      : tensor<1x8x3x9xf64>, tensor<1x4x3x2xf64> -> tensor<1x8x4x5xf64>
  return %0 : tensor<1x8x4x5xf64>
}

// -----

// A kernel larger than the result, as in the gradient of a kernel: products are added up over the
// features, which the transposes read are the images.

// CHECK-LABEL: func @features
// CHECK-SAME: %[[X:.*]]: tensor<1x8x3x9xf64>, %[[CT:.*]]: tensor<1x8x4x8xf64>
func.func @features(%x: tensor<1x8x3x9xf64>, %ct: tensor<1x8x4x8xf64>) -> tensor<1x4x3x2xf64> {
  // CHECK-NOT: linalg.transpose
  // CHECK: %[[ZEROS:.*]] = linalg.fill {{.*}} : tensor<4x3x2xf64>
  // CHECK: scf.for %[[N:.*]] = %{{.*}} iter_args(%[[SUM:.*]] = %[[ZEROS]])
  // CHECK: %[[IMAGE:.*]] = tensor.extract_slice %[[X]][0, %[[N]], 0, 0] [1, 1, 3, 9]
  // CHECK: %[[COLUMNS:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<3x2x8xf64>)
  // CHECK: %[[KERNEL:.*]] = tensor.extract_slice %[[CT]][0, %[[N]], 0, 0] [1, 1, 4, 8]
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%[[KERNEL]], %[[COLUMNS]] : {{.*}} outs(%[[SUM]] : tensor<4x3x2xf64>)
  %0 = grad.transpose %x, permutation = [0, 2, 1, 3] : tensor<1x8x3x9xf64> -> tensor<1x3x8x9xf64>
  %1 = grad.transpose %ct, permutation = [0, 2, 1, 3] : tensor<1x8x4x8xf64> -> tensor<1x4x8x8xf64>
  %2 = grad.convolution %0, %1, strides = [1], low = [0], high = [0], dilation = [1] x [1]
      : tensor<1x3x8x9xf64>, tensor<1x4x8x8xf64> -> tensor<1x3x4x2xf64>
  %3 = grad.transpose %2, permutation = [0, 2, 1, 3] : tensor<1x3x4x2xf64> -> tensor<1x4x3x2xf64>
  return %3 : tensor<1x4x3x2xf64>
}

// -----

// Where the elements of x are apart, each part of the result meets a part of the kernel.

// CHECK-DAG: #[[$EVEN:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3 * 2)>
// CHECK-DAG: #[[$ODD:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3 * 2 + 1)>
// CHECK-LABEL: func @parts
// CHECK-SAME: %[[X:.*]]: tensor<1x1x2x4xf64>, %[[W:.*]]: tensor<1x3x2x3xf64>
func.func @parts(%x: tensor<1x1x2x4xf64>, %w: tensor<1x3x2x3xf64>) -> tensor<1x1x3x9xf64> {
  // CHECK: linalg.generic {indexing_maps = [#[[$EVEN]], {{.*}} ins(%[[W]] : {{.*}} outs(%{{.*}} : tensor<1x3x2x2xf64>)
  // CHECK: tensor.insert_slice %{{.*}}[0, 0, 0, 0] [1, 1, 3, 5] [1, 1, 1, 2]
  // CHECK: linalg.generic {indexing_maps = [#[[$ODD]], {{.*}} ins(%[[W]] : {{.*}} outs(%{{.*}} : tensor<1x3x2x1xf64>)
  // CHECK: tensor.insert_slice %{{.*}}[0, 0, 0, 1] [1, 1, 3, 4] [1, 1, 1, 2]
  %0 = grad.convolution %x, %w, strides = [1], low = [2], high = [2], dilation = [2] x [1]
      : tensor<1x1x2x4xf64>, tensor<1x3x2x3xf64> -> tensor<1x1x3x9xf64>
  return %0 : tensor<1x1x3x9xf64>
}

// -----

// Rows of a large image are copied block by block, that the columns fit the cache.

// CHECK-LABEL: func @blocks
func.func @blocks(%x: tensor<1x1x64x41x40xf64>, %w: tensor<1x8x64x3x3xf64>) -> tensor<1x1x8x39x38xf64> {
  // CHECK: scf.for %[[BLOCK:.*]] = %{{.*}} to %c19
  // CHECK: %[[ROW:.*]] = arith.muli %[[BLOCK]], %c2
  // CHECK: tensor.extract_slice %{{.*}}[0, %{{.*}}, 0] [64, 4, 40] [1, 1, 1]
  // CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<64x3x3x2x38xf64>)
  // CHECK: tensor.insert_slice %{{.*}}[0, 0, 0, %[[ROW]], 0] [1, 1, 8, 2, 38]
  %0 = grad.convolution %x, %w, strides = [1, 1], low = [0, 0], high = [0, 0], dilation = [1, 1] x [1, 1]
      : tensor<1x1x64x41x40xf64>, tensor<1x8x64x3x3xf64> -> tensor<1x1x8x39x38xf64>
  return %0 : tensor<1x1x8x39x38xf64>
}
