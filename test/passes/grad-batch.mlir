// RUN: gradopt %s --grad-batch | FileCheck %s

// Ops of which nothing is mapped stay as they are; others have the batch in front.

func.func private @elementwise_of_one(%a: tensor<3xf64>, %b: tensor<3xf64>) -> tensor<3xf64> {
  %0 = grad.tanh %b : tensor<3xf64>
  %1 = grad.multiply %a, %0 : tensor<3xf64>
  return %1 : tensor<3xf64>
}
// CHECK-LABEL: func.func @elementwise(
// CHECK-SAME: %[[A:.*]]: tensor<8x3xf64>, %[[B:.*]]: tensor<3xf64>)
func.func @elementwise(%a: tensor<8x3xf64>, %b: tensor<3xf64>) -> tensor<8x3xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.tanh %[[B]] : tensor<3xf64>
  // CHECK-NEXT: %[[V1:.*]] = grad.broadcast %[[V0]], shape = [8, 3], dimensions = [1] : tensor<3xf64> -> tensor<8x3xf64>
  // CHECK-NEXT: %[[V2:.*]] = grad.multiply %[[A]], %[[V1]] : tensor<8x3xf64>
  // CHECK-NEXT: return %[[V2]] : tensor<8x3xf64>
  %0 = grad.vmap @elementwise_of_one(%a, %b), in_axes = [0, none], out_axes = [0], size = 8 : (tensor<8x3xf64>, tensor<3xf64>) -> tensor<8x3xf64>
  return %0 : tensor<8x3xf64>
}

func.func private @conversion_and_choice_of_one(%a: tensor<3xi1>, %b: tensor<3xf32>) -> tensor<3xf64> {
  %0 = grad.convert %b to f64 : tensor<3xf32>
  %1 = grad.select %a, %0, %0 : tensor<3xi1>, tensor<3xf64>
  return %1 : tensor<3xf64>
}
// CHECK-LABEL: func.func @conversion_and_choice(
// CHECK-SAME: %[[A:.*]]: tensor<3xi1>, %[[B:.*]]: tensor<8x3xf32>)
func.func @conversion_and_choice(%a: tensor<3xi1>, %b: tensor<8x3xf32>) -> tensor<8x3xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.convert %[[B]] to f64 : tensor<8x3xf32>
  // CHECK-NEXT: %[[V1:.*]] = grad.broadcast %[[A]], shape = [8, 3], dimensions = [1] : tensor<3xi1> -> tensor<8x3xi1>
  // CHECK-NEXT: %[[V2:.*]] = grad.select %[[V1]], %[[V0]], %[[V0]] : tensor<8x3xi1>, tensor<8x3xf64>
  // CHECK-NEXT: return %[[V2]] : tensor<8x3xf64>
  %0 = grad.vmap @conversion_and_choice_of_one(%a, %b), in_axes = [none, 0], out_axes = [0], size = 8 : (tensor<3xi1>, tensor<8x3xf32>) -> tensor<8x3xf64>
  return %0 : tensor<8x3xf64>
}

func.func private @axes_move_at_the_borders_of_one(%a: tensor<3x5xf64>) -> tensor<3x5xf64> {
  %0 = grad.negative %a : tensor<3x5xf64>
  return %0 : tensor<3x5xf64>
}
// CHECK-LABEL: func.func @axes_move_at_the_borders(
// CHECK-SAME: %[[A:.*]]: tensor<3x8x5xf64>)
func.func @axes_move_at_the_borders(%a: tensor<3x8x5xf64>) -> tensor<3x5x8xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.transpose %[[A]], permutation = [1, 0, 2] : tensor<3x8x5xf64> -> tensor<8x3x5xf64>
  // CHECK-NEXT: %[[V1:.*]] = grad.negative %[[V0]] : tensor<8x3x5xf64>
  // CHECK-NEXT: %[[V2:.*]] = grad.transpose %[[V1]], permutation = [1, 2, 0] : tensor<8x3x5xf64> -> tensor<3x5x8xf64>
  // CHECK-NEXT: return %[[V2]] : tensor<3x5x8xf64>
  %0 = grad.vmap @axes_move_at_the_borders_of_one(%a), in_axes = [1], out_axes = [2], size = 8 : (tensor<3x8x5xf64>) -> tensor<3x5x8xf64>
  return %0 : tensor<3x5x8xf64>
}

func.func private @constant_result_is_repeated_of_one(%a: tensor<3xf64>) -> tensor<3xf64> {
  %0 = grad.iota dimension = 0, shape = [3], f64 : tensor<3xf64>
  return %0 : tensor<3xf64>
}
// CHECK-LABEL: func.func @constant_result_is_repeated(
// CHECK-SAME: %[[A:.*]]: tensor<8x3xf64>)
func.func @constant_result_is_repeated(%a: tensor<8x3xf64>) -> tensor<3x8xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.iota dimension = 0, shape = [3], f64 : tensor<3xf64>
  // CHECK-NEXT: %[[V1:.*]] = grad.broadcast %[[V0]], shape = [3, 8], dimensions = [0] : tensor<3xf64> -> tensor<3x8xf64>
  // CHECK-NEXT: return %[[V1]] : tensor<3x8xf64>
  %0 = grad.vmap @constant_result_is_repeated_of_one(%a), in_axes = [0], out_axes = [1], size = 8 : (tensor<8x3xf64>) -> tensor<3x8xf64>
  return %0 : tensor<3x8xf64>
}

func.func private @broadcast_of_one(%a: tensor<3xf64>) -> tensor<4x3xf64> {
  %0 = grad.broadcast %a, shape = [4, 3], dimensions = [1] : tensor<3xf64> -> tensor<4x3xf64>
  return %0 : tensor<4x3xf64>
}
// CHECK-LABEL: func.func @broadcast(
// CHECK-SAME: %[[A:.*]]: tensor<8x3xf64>)
func.func @broadcast(%a: tensor<8x3xf64>) -> tensor<8x4x3xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.broadcast %[[A]], shape = [8, 4, 3], dimensions = [0, 2] : tensor<8x3xf64> -> tensor<8x4x3xf64>
  // CHECK-NEXT: return %[[V0]] : tensor<8x4x3xf64>
  %0 = grad.vmap @broadcast_of_one(%a), in_axes = [0], out_axes = [0], size = 8 : (tensor<8x3xf64>) -> tensor<8x4x3xf64>
  return %0 : tensor<8x4x3xf64>
}

func.func private @reshape_of_one(%a: tensor<2x3xf64>) -> tensor<6xf64> {
  %0 = grad.reshape %a, shape = [6] : tensor<2x3xf64> -> tensor<6xf64>
  return %0 : tensor<6xf64>
}
// CHECK-LABEL: func.func @reshape(
// CHECK-SAME: %[[A:.*]]: tensor<8x2x3xf64>)
func.func @reshape(%a: tensor<8x2x3xf64>) -> tensor<8x6xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.reshape %[[A]], shape = [8, 6] : tensor<8x2x3xf64> -> tensor<8x6xf64>
  // CHECK-NEXT: return %[[V0]] : tensor<8x6xf64>
  %0 = grad.vmap @reshape_of_one(%a), in_axes = [0], out_axes = [0], size = 8 : (tensor<8x2x3xf64>) -> tensor<8x6xf64>
  return %0 : tensor<8x6xf64>
}

func.func private @transpose_of_one(%a: tensor<2x3xf64>) -> tensor<3x2xf64> {
  %0 = grad.transpose %a, permutation = [1, 0] : tensor<2x3xf64> -> tensor<3x2xf64>
  return %0 : tensor<3x2xf64>
}
// CHECK-LABEL: func.func @transpose(
// CHECK-SAME: %[[A:.*]]: tensor<8x2x3xf64>)
func.func @transpose(%a: tensor<8x2x3xf64>) -> tensor<8x3x2xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.transpose %[[A]], permutation = [0, 2, 1] : tensor<8x2x3xf64> -> tensor<8x3x2xf64>
  // CHECK-NEXT: return %[[V0]] : tensor<8x3x2xf64>
  %0 = grad.vmap @transpose_of_one(%a), in_axes = [0], out_axes = [0], size = 8 : (tensor<8x2x3xf64>) -> tensor<8x3x2xf64>
  return %0 : tensor<8x3x2xf64>
}

func.func private @slice_of_one(%a: tensor<7xf64>) -> tensor<3xf64> {
  %0 = grad.slice %a, offsets = [1], sizes = [3], strides = [2] : tensor<7xf64> -> tensor<3xf64>
  return %0 : tensor<3xf64>
}
// CHECK-LABEL: func.func @slice(
// CHECK-SAME: %[[A:.*]]: tensor<8x7xf64>)
func.func @slice(%a: tensor<8x7xf64>) -> tensor<8x3xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.slice %[[A]], offsets = [0, 1], sizes = [8, 3], strides = [1, 2] : tensor<8x7xf64> -> tensor<8x3xf64>
  // CHECK-NEXT: return %[[V0]] : tensor<8x3xf64>
  %0 = grad.vmap @slice_of_one(%a), in_axes = [0], out_axes = [0], size = 8 : (tensor<8x7xf64>) -> tensor<8x3xf64>
  return %0 : tensor<8x3xf64>
}

func.func private @update_slice_of_one(%a: tensor<7xf64>, %b: tensor<3xf64>) -> tensor<7xf64> {
  %0 = grad.update_slice %a, %b, offsets = [1], strides = [2] : tensor<7xf64>, tensor<3xf64>
  return %0 : tensor<7xf64>
}
// CHECK-LABEL: func.func @update_slice(
// CHECK-SAME: %[[A:.*]]: tensor<7xf64>, %[[B:.*]]: tensor<8x3xf64>)
func.func @update_slice(%a: tensor<7xf64>, %b: tensor<8x3xf64>) -> tensor<8x7xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.broadcast %[[A]], shape = [8, 7], dimensions = [1] : tensor<7xf64> -> tensor<8x7xf64>
  // CHECK-NEXT: %[[V1:.*]] = grad.update_slice %[[V0]], %[[B]], offsets = [0, 1], strides = [1, 2] : tensor<8x7xf64>, tensor<8x3xf64>
  // CHECK-NEXT: return %[[V1]] : tensor<8x7xf64>
  %0 = grad.vmap @update_slice_of_one(%a, %b), in_axes = [none, 0], out_axes = [0], size = 8 : (tensor<7xf64>, tensor<8x3xf64>) -> tensor<8x7xf64>
  return %0 : tensor<8x7xf64>
}

func.func private @add_slice_of_one(%a: tensor<7xf64>, %b: tensor<3xf64>) -> tensor<7xf64> {
  %0 = grad.add_slice %a, %b, offsets = [1], strides = [2] : tensor<7xf64>, tensor<3xf64>
  return %0 : tensor<7xf64>
}
// CHECK-LABEL: func.func @add_slice(
// CHECK-SAME: %[[A:.*]]: tensor<8x7xf64>, %[[B:.*]]: tensor<8x3xf64>)
func.func @add_slice(%a: tensor<8x7xf64>, %b: tensor<8x3xf64>) -> tensor<8x7xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.add_slice %[[A]], %[[B]], offsets = [0, 1], strides = [1, 2] : tensor<8x7xf64>, tensor<8x3xf64>
  // CHECK-NEXT: return %[[V0]] : tensor<8x7xf64>
  %0 = grad.vmap @add_slice_of_one(%a, %b), in_axes = [0, 0], out_axes = [0], size = 8 : (tensor<8x7xf64>, tensor<8x3xf64>) -> tensor<8x7xf64>
  return %0 : tensor<8x7xf64>
}

func.func private @dynamic_slice_at_one_place_of_one(%a: tensor<7xf64>, %b: tensor<i64>) -> tensor<3xf64> {
  %0 = grad.dynamic_slice %a[%b], sizes = [3] : tensor<7xf64> -> tensor<3xf64>
  return %0 : tensor<3xf64>
}
// CHECK-LABEL: func.func @dynamic_slice_at_one_place(
// CHECK-SAME: %[[A:.*]]: tensor<8x7xf64>, %[[B:.*]]: tensor<i64>)
func.func @dynamic_slice_at_one_place(%a: tensor<8x7xf64>, %b: tensor<i64>) -> tensor<8x3xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.constant dense<0> : tensor<i64>
  // CHECK-NEXT: %[[V1:.*]] = grad.dynamic_slice %[[A]][%[[V0]], %[[B]]], sizes = [8, 3] : tensor<8x7xf64> -> tensor<8x3xf64>
  // CHECK-NEXT: return %[[V1]] : tensor<8x3xf64>
  %0 = grad.vmap @dynamic_slice_at_one_place_of_one(%a, %b), in_axes = [0, none], out_axes = [0], size = 8 : (tensor<8x7xf64>, tensor<i64>) -> tensor<8x3xf64>
  return %0 : tensor<8x3xf64>
}

func.func private @dynamic_slice_at_many_places_of_one(%a: tensor<5x7xf64>, %b: tensor<i64>) -> tensor<5x3xf64> {
  %z = grad.constant dense<0> : tensor<i64>
  %0 = grad.dynamic_slice %a[%z, %b], sizes = [5, 3] : tensor<5x7xf64> -> tensor<5x3xf64>
  return %0 : tensor<5x3xf64>
}
// CHECK-LABEL: func.func @dynamic_slice_at_many_places(
// CHECK-SAME: %[[A:.*]]: tensor<5x7xf64>, %[[B:.*]]: tensor<8xi64>)
func.func @dynamic_slice_at_many_places(%a: tensor<5x7xf64>, %b: tensor<8xi64>) -> tensor<8x5x3xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.constant dense<0> : tensor<8xi64>
  // CHECK-NEXT: %[[V1:.*]] = grad.maximum %[[B]], %[[V0]] : tensor<8xi64>
  // CHECK-NEXT: %[[V2:.*]] = grad.constant dense<4> : tensor<8xi64>
  // CHECK-NEXT: %[[V3:.*]] = grad.minimum %[[V1]], %[[V2]] : tensor<8xi64>
  // CHECK-NEXT: %[[V4:.*]] = grad.broadcast %[[V3]], shape = [8, 3], dimensions = [0] : tensor<8xi64> -> tensor<8x3xi64>
  // CHECK-NEXT: %[[V5:.*]] = grad.iota dimension = 1, shape = [8, 3], i64 : tensor<8x3xi64>
  // CHECK-NEXT: %[[V6:.*]] = grad.add %[[V4]], %[[V5]] : tensor<8x3xi64>
  // CHECK-NEXT: %[[V7:.*]] = grad.reshape %[[V6]], shape = [8, 3, 1] : tensor<8x3xi64> -> tensor<8x3x1xi64>
  // CHECK-NEXT: %[[V8:.*]] = grad.concatenate(%[[V7]]), dimension = 2 : tensor<8x3x1xi64> -> tensor<8x3x1xi64>
  // CHECK-NEXT: %[[V9:.*]] = grad.transpose %[[A]], permutation = [1, 0] : tensor<5x7xf64> -> tensor<7x5xf64>
  // CHECK-NEXT: %[[V10:.*]] = grad.gather %[[V9]], %[[V8]] : tensor<7x5xf64>, tensor<8x3x1xi64> -> tensor<8x3x5xf64>
  // CHECK-NEXT: %[[V11:.*]] = grad.transpose %[[V10]], permutation = [0, 2, 1] : tensor<8x3x5xf64> -> tensor<8x5x3xf64>
  // CHECK-NEXT: return %[[V11]] : tensor<8x5x3xf64>
  %0 = grad.vmap @dynamic_slice_at_many_places_of_one(%a, %b), in_axes = [none, 0], out_axes = [0], size = 8 : (tensor<5x7xf64>, tensor<8xi64>) -> tensor<8x5x3xf64>
  return %0 : tensor<8x5x3xf64>
}

func.func private @dynamic_update_slice_at_many_places_of_one(%a: tensor<7xf64>, %b: tensor<3xf64>, %c: tensor<i64>) -> tensor<7xf64> {
  %0 = grad.dynamic_update_slice %a, %b[%c] : tensor<7xf64>, tensor<3xf64>
  return %0 : tensor<7xf64>
}
// CHECK-LABEL: func.func @dynamic_update_slice_at_many_places(
// CHECK-SAME: %[[A:.*]]: tensor<8x7xf64>, %[[B:.*]]: tensor<8x3xf64>, %[[C:.*]]: tensor<8xi64>)
func.func @dynamic_update_slice_at_many_places(%a: tensor<8x7xf64>, %b: tensor<8x3xf64>, %c: tensor<8xi64>) -> tensor<8x7xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.constant dense<0> : tensor<8xi64>
  // CHECK-NEXT: %[[V1:.*]] = grad.maximum %[[C]], %[[V0]] : tensor<8xi64>
  // CHECK-NEXT: %[[V2:.*]] = grad.constant dense<4> : tensor<8xi64>
  // CHECK-NEXT: %[[V3:.*]] = grad.minimum %[[V1]], %[[V2]] : tensor<8xi64>
  // CHECK-NEXT: %[[V4:.*]] = grad.broadcast %[[V3]], shape = [8, 3], dimensions = [0] : tensor<8xi64> -> tensor<8x3xi64>
  // CHECK-NEXT: %[[V5:.*]] = grad.iota dimension = 1, shape = [8, 3], i64 : tensor<8x3xi64>
  // CHECK-NEXT: %[[V6:.*]] = grad.add %[[V4]], %[[V5]] : tensor<8x3xi64>
  // CHECK-NEXT: %[[V7:.*]] = grad.reshape %[[V6]], shape = [8, 3, 1] : tensor<8x3xi64> -> tensor<8x3x1xi64>
  // CHECK-NEXT: %[[V8:.*]] = grad.concatenate(%[[V7]]), dimension = 2 : tensor<8x3x1xi64> -> tensor<8x3x1xi64>
  // CHECK-NEXT: %[[V9:.*]] = grad.transpose %[[A]], permutation = [0, 1] : tensor<8x7xf64> -> tensor<8x7xf64>
  // CHECK-NEXT: %[[V10:.*]] = grad.transpose %[[B]], permutation = [0, 1] : tensor<8x3xf64> -> tensor<8x3xf64>
  // CHECK-NEXT: %[[V11:.*]] = grad.scatter %[[V9]], %[[V8]], %[[V10]] unique batch 1 : tensor<8x7xf64>, tensor<8x3x1xi64>, tensor<8x3xf64>
  // CHECK-NEXT: %[[V12:.*]] = grad.transpose %[[V11]], permutation = [0, 1] : tensor<8x7xf64> -> tensor<8x7xf64>
  // CHECK-NEXT: return %[[V12]] : tensor<8x7xf64>
  %0 = grad.vmap @dynamic_update_slice_at_many_places_of_one(%a, %b, %c), in_axes = [0, 0, 0], out_axes = [0], size = 8 : (tensor<8x7xf64>, tensor<8x3xf64>, tensor<8xi64>) -> tensor<8x7xf64>
  return %0 : tensor<8x7xf64>
}

func.func private @dynamic_add_slice_at_one_place_of_one(%a: tensor<7xf64>, %b: tensor<3xf64>, %c: tensor<i64>) -> tensor<7xf64> {
  %0 = grad.dynamic_add_slice %a, %b[%c] : tensor<7xf64>, tensor<3xf64>
  return %0 : tensor<7xf64>
}
// CHECK-LABEL: func.func @dynamic_add_slice_at_one_place(
// CHECK-SAME: %[[A:.*]]: tensor<8x7xf64>, %[[B:.*]]: tensor<8x3xf64>, %[[C:.*]]: tensor<i64>)
func.func @dynamic_add_slice_at_one_place(%a: tensor<8x7xf64>, %b: tensor<8x3xf64>, %c: tensor<i64>) -> tensor<8x7xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.constant dense<0> : tensor<i64>
  // CHECK-NEXT: %[[V1:.*]] = grad.dynamic_add_slice %[[A]], %[[B]][%[[V0]], %[[C]]] : tensor<8x7xf64>, tensor<8x3xf64>
  // CHECK-NEXT: return %[[V1]] : tensor<8x7xf64>
  %0 = grad.vmap @dynamic_add_slice_at_one_place_of_one(%a, %b, %c), in_axes = [0, 0, none], out_axes = [0], size = 8 : (tensor<8x7xf64>, tensor<8x3xf64>, tensor<i64>) -> tensor<8x7xf64>
  return %0 : tensor<8x7xf64>
}

func.func private @dynamic_add_slice_at_many_places_of_one(%a: tensor<7xf64>, %b: tensor<3xf64>, %c: tensor<i64>) -> tensor<7xf64> {
  %0 = grad.dynamic_add_slice %a, %b[%c] : tensor<7xf64>, tensor<3xf64>
  return %0 : tensor<7xf64>
}
// CHECK-LABEL: func.func @dynamic_add_slice_at_many_places(
// CHECK-SAME: %[[A:.*]]: tensor<8x7xf64>, %[[B:.*]]: tensor<8x3xf64>, %[[C:.*]]: tensor<8xi64>)
func.func @dynamic_add_slice_at_many_places(%a: tensor<8x7xf64>, %b: tensor<8x3xf64>, %c: tensor<8xi64>) -> tensor<8x7xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.constant dense<0> : tensor<8xi64>
  // CHECK-NEXT: %[[V1:.*]] = grad.maximum %[[C]], %[[V0]] : tensor<8xi64>
  // CHECK-NEXT: %[[V2:.*]] = grad.constant dense<4> : tensor<8xi64>
  // CHECK-NEXT: %[[V3:.*]] = grad.minimum %[[V1]], %[[V2]] : tensor<8xi64>
  // CHECK-NEXT: %[[V4:.*]] = grad.broadcast %[[V3]], shape = [8, 3], dimensions = [0] : tensor<8xi64> -> tensor<8x3xi64>
  // CHECK-NEXT: %[[V5:.*]] = grad.iota dimension = 1, shape = [8, 3], i64 : tensor<8x3xi64>
  // CHECK-NEXT: %[[V6:.*]] = grad.add %[[V4]], %[[V5]] : tensor<8x3xi64>
  // CHECK-NEXT: %[[V7:.*]] = grad.reshape %[[V6]], shape = [8, 3, 1] : tensor<8x3xi64> -> tensor<8x3x1xi64>
  // CHECK-NEXT: %[[V8:.*]] = grad.concatenate(%[[V7]]), dimension = 2 : tensor<8x3x1xi64> -> tensor<8x3x1xi64>
  // CHECK-NEXT: %[[V9:.*]] = grad.transpose %[[A]], permutation = [0, 1] : tensor<8x7xf64> -> tensor<8x7xf64>
  // CHECK-NEXT: %[[V10:.*]] = grad.transpose %[[B]], permutation = [0, 1] : tensor<8x3xf64> -> tensor<8x3xf64>
  // CHECK-NEXT: %[[V11:.*]] = grad.scatter_add %[[V9]], %[[V8]], %[[V10]] batch 1 : tensor<8x7xf64>, tensor<8x3x1xi64>, tensor<8x3xf64>
  // CHECK-NEXT: %[[V12:.*]] = grad.transpose %[[V11]], permutation = [0, 1] : tensor<8x7xf64> -> tensor<8x7xf64>
  // CHECK-NEXT: return %[[V12]] : tensor<8x7xf64>
  %0 = grad.vmap @dynamic_add_slice_at_many_places_of_one(%a, %b, %c), in_axes = [0, 0, 0], out_axes = [0], size = 8 : (tensor<8x7xf64>, tensor<8x3xf64>, tensor<8xi64>) -> tensor<8x7xf64>
  return %0 : tensor<8x7xf64>
}

func.func private @pad_of_one(%a: tensor<3xf64>, %b: tensor<f64>) -> tensor<6xf64> {
  %0 = grad.pad %a, %b, low = [1], high = [2], interior = [0] : tensor<3xf64>, tensor<f64> -> tensor<6xf64>
  return %0 : tensor<6xf64>
}
// CHECK-LABEL: func.func @pad(
// CHECK-SAME: %[[A:.*]]: tensor<8x3xf64>, %[[B:.*]]: tensor<f64>)
func.func @pad(%a: tensor<8x3xf64>, %b: tensor<f64>) -> tensor<8x6xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.pad %[[A]], %[[B]], low = [0, 1], high = [0, 2], interior = [0, 0] : tensor<8x3xf64>, tensor<f64> -> tensor<8x6xf64>
  // CHECK-NEXT: return %[[V0]] : tensor<8x6xf64>
  %0 = grad.vmap @pad_of_one(%a, %b), in_axes = [0, none], out_axes = [0], size = 8 : (tensor<8x3xf64>, tensor<f64>) -> tensor<8x6xf64>
  return %0 : tensor<8x6xf64>
}

func.func private @pad_by_many_values_of_one(%a: tensor<3xf64>, %b: tensor<f64>) -> tensor<6xf64> {
  %0 = grad.pad %a, %b, low = [1], high = [2], interior = [0] : tensor<3xf64>, tensor<f64> -> tensor<6xf64>
  return %0 : tensor<6xf64>
}
// CHECK-LABEL: func.func @pad_by_many_values(
// CHECK-SAME: %[[A:.*]]: tensor<3xf64>, %[[B:.*]]: tensor<8xf64>)
func.func @pad_by_many_values(%a: tensor<3xf64>, %b: tensor<8xf64>) -> tensor<8x6xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.broadcast %[[A]], shape = [8, 3], dimensions = [1] : tensor<3xf64> -> tensor<8x3xf64>
  // CHECK-NEXT: %[[V1:.*]] = grad.constant dense<0.000000e+00> : tensor<f64>
  // CHECK-NEXT: %[[V2:.*]] = grad.pad %[[V0]], %[[V1]], low = [0, 1], high = [0, 2], interior = [0, 0] : tensor<8x3xf64>, tensor<f64> -> tensor<8x6xf64>
  // CHECK-NEXT: %[[V3:.*]] = grad.constant dense<true> : tensor<8x3xi1>
  // CHECK-NEXT: %[[V4:.*]] = grad.constant dense<false> : tensor<i1>
  // CHECK-NEXT: %[[V5:.*]] = grad.pad %[[V3]], %[[V4]], low = [0, 1], high = [0, 2], interior = [0, 0] : tensor<8x3xi1>, tensor<i1> -> tensor<8x6xi1>
  // CHECK-NEXT: %[[V6:.*]] = grad.broadcast %[[B]], shape = [8, 6], dimensions = [0] : tensor<8xf64> -> tensor<8x6xf64>
  // CHECK-NEXT: %[[V7:.*]] = grad.select %[[V5]], %[[V2]], %[[V6]] : tensor<8x6xi1>, tensor<8x6xf64>
  // CHECK-NEXT: return %[[V7]] : tensor<8x6xf64>
  %0 = grad.vmap @pad_by_many_values_of_one(%a, %b), in_axes = [none, 0], out_axes = [0], size = 8 : (tensor<3xf64>, tensor<8xf64>) -> tensor<8x6xf64>
  return %0 : tensor<8x6xf64>
}

func.func private @concatenate_of_one(%a: tensor<2xf64>, %b: tensor<3xf64>) -> tensor<5xf64> {
  %0 = grad.concatenate(%a, %b), dimension = 0 : tensor<2xf64>, tensor<3xf64> -> tensor<5xf64>
  return %0 : tensor<5xf64>
}
// CHECK-LABEL: func.func @concatenate(
// CHECK-SAME: %[[A:.*]]: tensor<8x2xf64>, %[[B:.*]]: tensor<3xf64>)
func.func @concatenate(%a: tensor<8x2xf64>, %b: tensor<3xf64>) -> tensor<8x5xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.broadcast %[[B]], shape = [8, 3], dimensions = [1] : tensor<3xf64> -> tensor<8x3xf64>
  // CHECK-NEXT: %[[V1:.*]] = grad.concatenate(%[[A]], %[[V0]]), dimension = 1 : tensor<8x2xf64>, tensor<8x3xf64> -> tensor<8x5xf64>
  // CHECK-NEXT: return %[[V1]] : tensor<8x5xf64>
  %0 = grad.vmap @concatenate_of_one(%a, %b), in_axes = [0, none], out_axes = [0], size = 8 : (tensor<8x2xf64>, tensor<3xf64>) -> tensor<8x5xf64>
  return %0 : tensor<8x5xf64>
}

func.func private @reverse_of_one(%a: tensor<2x3xf64>) -> tensor<2x3xf64> {
  %0 = grad.reverse %a, dimensions = [1] : tensor<2x3xf64> -> tensor<2x3xf64>
  return %0 : tensor<2x3xf64>
}
// CHECK-LABEL: func.func @reverse(
// CHECK-SAME: %[[A:.*]]: tensor<8x2x3xf64>)
func.func @reverse(%a: tensor<8x2x3xf64>) -> tensor<8x2x3xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.reverse %[[A]], dimensions = [2] : tensor<8x2x3xf64> -> tensor<8x2x3xf64>
  // CHECK-NEXT: return %[[V0]] : tensor<8x2x3xf64>
  %0 = grad.vmap @reverse_of_one(%a), in_axes = [0], out_axes = [0], size = 8 : (tensor<8x2x3xf64>) -> tensor<8x2x3xf64>
  return %0 : tensor<8x2x3xf64>
}

func.func private @reductions_of_one(%a: tensor<2x3xf64>) -> tensor<f64> {
  %0 = grad.reduce_sum %a, dimensions = [1] : tensor<2x3xf64> -> tensor<2xf64>
  %1 = grad.reduce_max %0, dimensions = [0] : tensor<2xf64> -> tensor<f64>
  return %1 : tensor<f64>
}
// CHECK-LABEL: func.func @reductions(
// CHECK-SAME: %[[A:.*]]: tensor<8x2x3xf64>)
func.func @reductions(%a: tensor<8x2x3xf64>) -> tensor<8xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.reduce_sum %[[A]], dimensions = [2] : tensor<8x2x3xf64> -> tensor<8x2xf64>
  // CHECK-NEXT: %[[V1:.*]] = grad.reduce_max %[[V0]], dimensions = [1] : tensor<8x2xf64> -> tensor<8xf64>
  // CHECK-NEXT: return %[[V1]] : tensor<8xf64>
  %0 = grad.vmap @reductions_of_one(%a), in_axes = [0], out_axes = [0], size = 8 : (tensor<8x2x3xf64>) -> tensor<8xf64>
  return %0 : tensor<8xf64>
}

func.func private @argmax_of_one(%a: tensor<2x3xf64>) -> tensor<2xi64> {
  %0 = grad.argmax %a, dimension = 1 : tensor<2x3xf64> -> tensor<2xi64>
  return %0 : tensor<2xi64>
}
// CHECK-LABEL: func.func @argmax(
// CHECK-SAME: %[[A:.*]]: tensor<8x2x3xf64>)
func.func @argmax(%a: tensor<8x2x3xf64>) -> tensor<8x2xi64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.argmax %[[A]], dimension = 2 : tensor<8x2x3xf64> -> tensor<8x2xi64>
  // CHECK-NEXT: return %[[V0]] : tensor<8x2xi64>
  %0 = grad.vmap @argmax_of_one(%a), in_axes = [0], out_axes = [0], size = 8 : (tensor<8x2x3xf64>) -> tensor<8x2xi64>
  return %0 : tensor<8x2xi64>
}

func.func private @cumsum_of_one(%a: tensor<3xf64>) -> tensor<3xf64> {
  %0 = grad.cumsum %a, dimension = 0 {reverse = true} : tensor<3xf64>
  return %0 : tensor<3xf64>
}
// CHECK-LABEL: func.func @cumsum(
// CHECK-SAME: %[[A:.*]]: tensor<8x3xf64>)
func.func @cumsum(%a: tensor<8x3xf64>) -> tensor<8x3xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.cumsum %[[A]], dimension = 1 {reverse = true} : tensor<8x3xf64>
  // CHECK-NEXT: return %[[V0]] : tensor<8x3xf64>
  %0 = grad.vmap @cumsum_of_one(%a), in_axes = [0], out_axes = [0], size = 8 : (tensor<8x3xf64>) -> tensor<8x3xf64>
  return %0 : tensor<8x3xf64>
}

func.func private @product_of_batches_of_one(%a: tensor<3x5xf64>, %b: tensor<5xf64>) -> tensor<3xf64> {
  %0 = grad.dot_general %a, %b, batch = [] x [], contract = [1] x [0] : tensor<3x5xf64>, tensor<5xf64> -> tensor<3xf64>
  return %0 : tensor<3xf64>
}
// CHECK-LABEL: func.func @product_of_batches(
// CHECK-SAME: %[[A:.*]]: tensor<8x3x5xf64>, %[[B:.*]]: tensor<8x5xf64>)
func.func @product_of_batches(%a: tensor<8x3x5xf64>, %b: tensor<8x5xf64>) -> tensor<8x3xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.dot_general %[[A]], %[[B]], batch = [0] x [0], contract = [2] x [1] : tensor<8x3x5xf64>, tensor<8x5xf64> -> tensor<8x3xf64>
  // CHECK-NEXT: return %[[V0]] : tensor<8x3xf64>
  %0 = grad.vmap @product_of_batches_of_one(%a, %b), in_axes = [0, 0], out_axes = [0], size = 8 : (tensor<8x3x5xf64>, tensor<8x5xf64>) -> tensor<8x3xf64>
  return %0 : tensor<8x3xf64>
}

func.func private @product_with_a_batch_on_the_left_of_one(%a: tensor<5xf64>, %b: tensor<5x3xf64>) -> tensor<3xf64> {
  %0 = grad.dot_general %a, %b, batch = [] x [], contract = [0] x [0] : tensor<5xf64>, tensor<5x3xf64> -> tensor<3xf64>
  return %0 : tensor<3xf64>
}
// CHECK-LABEL: func.func @product_with_a_batch_on_the_left(
// CHECK-SAME: %[[A:.*]]: tensor<8x5xf64>, %[[B:.*]]: tensor<5x3xf64>)
func.func @product_with_a_batch_on_the_left(%a: tensor<8x5xf64>, %b: tensor<5x3xf64>) -> tensor<8x3xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.dot_general %[[A]], %[[B]], batch = [] x [], contract = [1] x [0] : tensor<8x5xf64>, tensor<5x3xf64> -> tensor<8x3xf64>
  // CHECK-NEXT: return %[[V0]] : tensor<8x3xf64>
  %0 = grad.vmap @product_with_a_batch_on_the_left_of_one(%a, %b), in_axes = [0, none], out_axes = [0], size = 8 : (tensor<8x5xf64>, tensor<5x3xf64>) -> tensor<8x3xf64>
  return %0 : tensor<8x3xf64>
}

func.func private @product_with_a_batch_on_the_right_of_one(%a: tensor<3x5xf64>, %b: tensor<5xf64>) -> tensor<3xf64> {
  %0 = grad.dot_general %a, %b, batch = [] x [], contract = [1] x [0] : tensor<3x5xf64>, tensor<5xf64> -> tensor<3xf64>
  return %0 : tensor<3xf64>
}
// CHECK-LABEL: func.func @product_with_a_batch_on_the_right(
// CHECK-SAME: %[[A:.*]]: tensor<3x5xf64>, %[[B:.*]]: tensor<8x5xf64>)
func.func @product_with_a_batch_on_the_right(%a: tensor<3x5xf64>, %b: tensor<8x5xf64>) -> tensor<8x3xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.dot_general %[[A]], %[[B]], batch = [] x [], contract = [1] x [1] : tensor<3x5xf64>, tensor<8x5xf64> -> tensor<3x8xf64>
  // CHECK-NEXT: %[[V1:.*]] = grad.transpose %[[V0]], permutation = [1, 0] : tensor<3x8xf64> -> tensor<8x3xf64>
  // CHECK-NEXT: return %[[V1]] : tensor<8x3xf64>
  %0 = grad.vmap @product_with_a_batch_on_the_right_of_one(%a, %b), in_axes = [none, 0], out_axes = [0], size = 8 : (tensor<3x5xf64>, tensor<8x5xf64>) -> tensor<8x3xf64>
  return %0 : tensor<8x3xf64>
}

func.func private @product_with_batches_of_its_own_of_one(%a: tensor<2x3x5xf64>, %b: tensor<2x5xf64>) -> tensor<2x3xf64> {
  %0 = grad.dot_general %a, %b, batch = [0] x [0], contract = [2] x [1] : tensor<2x3x5xf64>, tensor<2x5xf64> -> tensor<2x3xf64>
  return %0 : tensor<2x3xf64>
}
// CHECK-LABEL: func.func @product_with_batches_of_its_own(
// CHECK-SAME: %[[A:.*]]: tensor<8x2x3x5xf64>, %[[B:.*]]: tensor<2x5xf64>)
func.func @product_with_batches_of_its_own(%a: tensor<8x2x3x5xf64>, %b: tensor<2x5xf64>) -> tensor<8x2x3xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.dot_general %[[A]], %[[B]], batch = [1] x [0], contract = [3] x [1] : tensor<8x2x3x5xf64>, tensor<2x5xf64> -> tensor<2x8x3xf64>
  // CHECK-NEXT: %[[V1:.*]] = grad.transpose %[[V0]], permutation = [1, 0, 2] : tensor<2x8x3xf64> -> tensor<8x2x3xf64>
  // CHECK-NEXT: return %[[V1]] : tensor<8x2x3xf64>
  %0 = grad.vmap @product_with_batches_of_its_own_of_one(%a, %b), in_axes = [0, none], out_axes = [0], size = 8 : (tensor<8x2x3x5xf64>, tensor<2x5xf64>) -> tensor<8x2x3xf64>
  return %0 : tensor<8x2x3xf64>
}

func.func private @correlate_of_one(%a: tensor<9xf64>, %b: tensor<3xf64>) -> tensor<7xf64> {
  %0 = grad.correlate %a, %b, low = 0, high = 0 : tensor<9xf64>, tensor<3xf64> -> tensor<7xf64>
  return %0 : tensor<7xf64>
}
// CHECK-LABEL: func.func @correlate(
// CHECK-SAME: %[[A:.*]]: tensor<8x9xf64>, %[[B:.*]]: tensor<3xf64>)
func.func @correlate(%a: tensor<8x9xf64>, %b: tensor<3xf64>) -> tensor<8x7xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.broadcast %[[B]], shape = [8, 3], dimensions = [1] : tensor<3xf64> -> tensor<8x3xf64>
  // CHECK-NEXT: %[[V1:.*]] = grad.correlate %[[A]], %[[V0]], low = 0, high = 0 : tensor<8x9xf64>, tensor<8x3xf64> -> tensor<8x7xf64>
  // CHECK-NEXT: return %[[V1]] : tensor<8x7xf64>
  %0 = grad.vmap @correlate_of_one(%a, %b), in_axes = [0, none], out_axes = [0], size = 8 : (tensor<8x9xf64>, tensor<3xf64>) -> tensor<8x7xf64>
  return %0 : tensor<8x7xf64>
}

func.func private @gather_from_one_of_one(%a: tensor<5x3xf64>, %b: tensor<2x1xi64>) -> tensor<2x3xf64> {
  %0 = grad.gather %a, %b : tensor<5x3xf64>, tensor<2x1xi64> -> tensor<2x3xf64>
  return %0 : tensor<2x3xf64>
}
// CHECK-LABEL: func.func @gather_from_one(
// CHECK-SAME: %[[A:.*]]: tensor<5x3xf64>, %[[B:.*]]: tensor<8x2x1xi64>)
func.func @gather_from_one(%a: tensor<5x3xf64>, %b: tensor<8x2x1xi64>) -> tensor<8x2x3xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.gather %[[A]], %[[B]] : tensor<5x3xf64>, tensor<8x2x1xi64> -> tensor<8x2x3xf64>
  // CHECK-NEXT: return %[[V0]] : tensor<8x2x3xf64>
  %0 = grad.vmap @gather_from_one_of_one(%a, %b), in_axes = [none, 0], out_axes = [0], size = 8 : (tensor<5x3xf64>, tensor<8x2x1xi64>) -> tensor<8x2x3xf64>
  return %0 : tensor<8x2x3xf64>
}

func.func private @gather_from_many_of_one(%a: tensor<5x3xf64>, %b: tensor<2x1xi64>) -> tensor<2x3xf64> {
  %0 = grad.gather %a, %b : tensor<5x3xf64>, tensor<2x1xi64> -> tensor<2x3xf64>
  return %0 : tensor<2x3xf64>
}
// CHECK-LABEL: func.func @gather_from_many(
// CHECK-SAME: %[[A:.*]]: tensor<8x5x3xf64>, %[[B:.*]]: tensor<2x1xi64>)
func.func @gather_from_many(%a: tensor<8x5x3xf64>, %b: tensor<2x1xi64>) -> tensor<8x2x3xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.broadcast %[[B]], shape = [8, 2, 1], dimensions = [1, 2] : tensor<2x1xi64> -> tensor<8x2x1xi64>
  // CHECK-NEXT: %[[V1:.*]] = grad.gather %[[A]], %[[V0]] batch 1 : tensor<8x5x3xf64>, tensor<8x2x1xi64> -> tensor<8x2x3xf64>
  // CHECK-NEXT: return %[[V1]] : tensor<8x2x3xf64>
  %0 = grad.vmap @gather_from_many_of_one(%a, %b), in_axes = [0, none], out_axes = [0], size = 8 : (tensor<8x5x3xf64>, tensor<2x1xi64>) -> tensor<8x2x3xf64>
  return %0 : tensor<8x2x3xf64>
}

func.func private @gather_from_batches_of_one(%a: tensor<4x5xf64>, %b: tensor<4x2x1xi64>) -> tensor<4x2xf64> {
  %0 = grad.gather %a, %b batch 1 : tensor<4x5xf64>, tensor<4x2x1xi64> -> tensor<4x2xf64>
  return %0 : tensor<4x2xf64>
}
// CHECK-LABEL: func.func @gather_from_batches(
// CHECK-SAME: %[[A:.*]]: tensor<4x5xf64>, %[[B:.*]]: tensor<8x4x2x1xi64>)
func.func @gather_from_batches(%a: tensor<4x5xf64>, %b: tensor<8x4x2x1xi64>) -> tensor<8x4x2xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.broadcast %[[A]], shape = [8, 4, 5], dimensions = [1, 2] : tensor<4x5xf64> -> tensor<8x4x5xf64>
  // CHECK-NEXT: %[[V1:.*]] = grad.gather %[[V0]], %[[B]] batch 2 : tensor<8x4x5xf64>, tensor<8x4x2x1xi64> -> tensor<8x4x2xf64>
  // CHECK-NEXT: return %[[V1]] : tensor<8x4x2xf64>
  %0 = grad.vmap @gather_from_batches_of_one(%a, %b), in_axes = [none, 0], out_axes = [0], size = 8 : (tensor<4x5xf64>, tensor<8x4x2x1xi64>) -> tensor<8x4x2xf64>
  return %0 : tensor<8x4x2xf64>
}

func.func private @scatter_of_one(%a: tensor<5xf64>, %b: tensor<2x1xi64>, %c: tensor<2xf64>) -> tensor<5xf64> {
  %0 = grad.scatter %a, %b, %c unique : tensor<5xf64>, tensor<2x1xi64>, tensor<2xf64>
  return %0 : tensor<5xf64>
}
// CHECK-LABEL: func.func @scatter(
// CHECK-SAME: %[[A:.*]]: tensor<5xf64>, %[[B:.*]]: tensor<8x2x1xi64>, %[[C:.*]]: tensor<8x2xf64>)
func.func @scatter(%a: tensor<5xf64>, %b: tensor<8x2x1xi64>, %c: tensor<8x2xf64>) -> tensor<8x5xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.broadcast %[[A]], shape = [8, 5], dimensions = [1] : tensor<5xf64> -> tensor<8x5xf64>
  // CHECK-NEXT: %[[V1:.*]] = grad.scatter %[[V0]], %[[B]], %[[C]] unique batch 1 : tensor<8x5xf64>, tensor<8x2x1xi64>, tensor<8x2xf64>
  // CHECK-NEXT: return %[[V1]] : tensor<8x5xf64>
  %0 = grad.vmap @scatter_of_one(%a, %b, %c), in_axes = [none, 0, 0], out_axes = [0], size = 8 : (tensor<5xf64>, tensor<8x2x1xi64>, tensor<8x2xf64>) -> tensor<8x5xf64>
  return %0 : tensor<8x5xf64>
}

func.func private @scatter_add_of_one(%a: tensor<5xf64>, %b: tensor<2x1xi64>, %c: tensor<2xf64>) -> tensor<5xf64> {
  %0 = grad.scatter_add %a, %b, %c : tensor<5xf64>, tensor<2x1xi64>, tensor<2xf64>
  return %0 : tensor<5xf64>
}
// CHECK-LABEL: func.func @scatter_add(
// CHECK-SAME: %[[A:.*]]: tensor<8x5xf64>, %[[B:.*]]: tensor<2x1xi64>, %[[C:.*]]: tensor<8x2xf64>)
func.func @scatter_add(%a: tensor<8x5xf64>, %b: tensor<2x1xi64>, %c: tensor<8x2xf64>) -> tensor<8x5xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.broadcast %[[B]], shape = [8, 2, 1], dimensions = [1, 2] : tensor<2x1xi64> -> tensor<8x2x1xi64>
  // CHECK-NEXT: %[[V1:.*]] = grad.scatter_add %[[A]], %[[V0]], %[[C]] batch 1 : tensor<8x5xf64>, tensor<8x2x1xi64>, tensor<8x2xf64>
  // CHECK-NEXT: return %[[V1]] : tensor<8x5xf64>
  %0 = grad.vmap @scatter_add_of_one(%a, %b, %c), in_axes = [0, none, 0], out_axes = [0], size = 8 : (tensor<8x5xf64>, tensor<2x1xi64>, tensor<8x2xf64>) -> tensor<8x5xf64>
  return %0 : tensor<8x5xf64>
}

func.func private @stop_gradient_of_one(%a: tensor<3xf64>) -> tensor<3xf64> {
  %0 = grad.stop_gradient %a : tensor<3xf64>
  return %0 : tensor<3xf64>
}
// CHECK-LABEL: func.func @stop_gradient(
// CHECK-SAME: %[[A:.*]]: tensor<8x3xf64>)
func.func @stop_gradient(%a: tensor<8x3xf64>) -> tensor<8x3xf64> {
  // CHECK-NEXT: %[[V0:.*]] = grad.stop_gradient %[[A]] : tensor<8x3xf64>
  // CHECK-NEXT: return %[[V0]] : tensor<8x3xf64>
  %0 = grad.vmap @stop_gradient_of_one(%a), in_axes = [0], out_axes = [0], size = 8 : (tensor<8x3xf64>) -> tensor<8x3xf64>
  return %0 : tensor<8x3xf64>
}
// A request that is in the callee is expanded before.
func.func private @row(%a: tensor<f64>, %b: tensor<f64>) -> tensor<f64> {
  %0 = grad.multiply %a, %b : tensor<f64>
  return %0 : tensor<f64>
}
func.func private @rows(%a: tensor<3xf64>, %b: tensor<f64>) -> tensor<3xf64> {
  %0 = grad.vmap @row(%a, %b), in_axes = [0, none], out_axes = [0], size = 3 : (tensor<3xf64>, tensor<f64>) -> tensor<3xf64>
  return %0 : tensor<3xf64>
}
// CHECK-LABEL: func.func @nested(
// CHECK-SAME: %[[A:.*]]: tensor<3x8xf64>, %[[B:.*]]: tensor<8xf64>)
func.func @nested(%a: tensor<3x8xf64>, %b: tensor<8xf64>) -> tensor<8x3xf64> {
  // CHECK-NEXT: %[[T:.*]] = grad.transpose %[[A]], permutation = [1, 0]
  // CHECK-NEXT: %[[R:.*]] = grad.broadcast %[[B]], shape = [8, 3], dimensions = [0]
  // CHECK-NEXT: %[[P:.*]] = grad.multiply %[[T]], %[[R]]
  // CHECK-NEXT: return %[[P]]
  %0 = grad.vmap @rows(%a, %b), in_axes = [1, 0], out_axes = [0], size = 8 : (tensor<3x8xf64>, tensor<8xf64>) -> tensor<8x3xf64>
  return %0 : tensor<8x3xf64>
}

// A request for a derivative has to be expanded by other passes: this one waits.
func.func private @pushed(%a: tensor<f64>, %t: tensor<f64>) -> tensor<f64> {
  %0:2 = grad.jvp @row(%a, %a), tangents(%t), wrt = [0], of = [0] : (tensor<f64>, tensor<f64>, tensor<f64>) -> (tensor<f64>, tensor<f64>)
  return %0#1 : tensor<f64>
}
// CHECK-LABEL: func.func @waits(
func.func @waits(%a: tensor<f64>, %t: tensor<8xf64>) -> tensor<8xf64> {
  // CHECK-NEXT: grad.vmap @pushed
  %0 = grad.vmap @pushed(%a, %t), in_axes = [none, 0], out_axes = [0], size = 8 : (tensor<f64>, tensor<8xf64>) -> tensor<8xf64>
  return %0 : tensor<8xf64>
}

// Nothing is computed for no elements.
// CHECK-LABEL: func.func @batch_of_nothing(
func.func @batch_of_nothing(%a: tensor<0xf64>, %b: tensor<f64>) -> tensor<0xf64> {
  // CHECK-NEXT: %[[R:.*]] = grad.constant {{.*}} : tensor<0xf64>
  // CHECK-NEXT: return %[[R]]
  %0 = grad.vmap @row(%a, %b), in_axes = [0, none], out_axes = [0], size = 0 : (tensor<0xf64>, tensor<f64>) -> tensor<0xf64>
  return %0 : tensor<0xf64>
}

func.func private @random_of_one(%key: tensor<2xi32>, %first: tensor<i64>) -> tensor<5xi64> {
  %0 = grad.random_bits %key, %first, bits = 53, shape = [5], i64 : tensor<2xi32>, tensor<i64> -> tensor<5xi64>
  return %0 : tensor<5xi64>
}
// CHECK-LABEL: func.func @random(
// CHECK-SAME: %[[KEYS:.*]]: tensor<8x2xi32>, %[[FIRST:.*]]: tensor<i64>)
func.func @random(%keys: tensor<8x2xi32>, %first: tensor<i64>) -> tensor<8x5xi64> {
  // CHECK: %[[ALL:.*]] = grad.broadcast %[[FIRST]], shape = [8]
  // CHECK: grad.random_bits %[[KEYS]], %[[ALL]], bits = 53, shape = [5], i64 : tensor<8x2xi32>, tensor<8xi64> -> tensor<8x5xi64>
  %0 = grad.vmap @random_of_one(%keys, %first), in_axes = [0, none], out_axes = [0], size = 8 : (tensor<8x2xi32>, tensor<i64>) -> tensor<8x5xi64>
  return %0 : tensor<8x5xi64>
}

// Systems with one matrix are one system with more right-hand sides.

// CHECK-LABEL: func.func @systems_with_one_matrix
// CHECK-SAME: %[[A:.*]]: tensor<3x3xf64>, %[[B:.*]]: tensor<7x3x2xf64>
// CHECK: %[[T:.*]] = grad.transpose %[[B]], permutation = [1, 0, 2]
// CHECK: %[[R:.*]] = grad.reshape %[[T]], shape = [3, 14]
// CHECK: %[[X:.*]] = grad.triangular_solve %[[A]], %[[R]], left = true
// CHECK: %[[S:.*]] = grad.reshape %[[X]], shape = [3, 7, 2]
// CHECK: %[[Y:.*]] = grad.transpose %[[S]], permutation = [1, 0, 2]
// CHECK: return %[[Y]]
func.func @systems_with_one_matrix(%a: tensor<3x3xf64>, %b: tensor<7x3x2xf64>) -> tensor<7x3x2xf64> {
  %0 = grad.vmap @triangular(%a, %b), in_axes = [none, 0], out_axes = [0], size = 7
      : (tensor<3x3xf64>, tensor<7x3x2xf64>) -> tensor<7x3x2xf64>
  return %0 : tensor<7x3x2xf64>
}
func.func private @triangular(%a: tensor<3x3xf64>, %b: tensor<3x2xf64>) -> tensor<3x2xf64> {
  %x = grad.triangular_solve %a, %b, left = true, lower = true, transpose = false, unit = false : tensor<3x3xf64>, tensor<3x2xf64>
  return %x : tensor<3x2xf64>
}

// CHECK-LABEL: func.func @systems_with_a_matrix_each
// CHECK: grad.triangular_solve %{{.*}}, %{{.*}}, left = true, {{.*}} : tensor<7x3x3xf64>, tensor<7x3x3xf64>
func.func @systems_with_a_matrix_each(%a: tensor<7x3x3xf64>) -> tensor<7x3x3xf64> {
  %0 = grad.vmap @triangular_of_each(%a), in_axes = [0], out_axes = [0], size = 7
      : (tensor<7x3x3xf64>) -> tensor<7x3x3xf64>
  return %0 : tensor<7x3x3xf64>
}
func.func private @triangular_of_each(%a: tensor<3x3xf64>) -> tensor<3x3xf64> {
  %x = grad.triangular_solve %a, %a, left = true, lower = true, transpose = false, unit = false : tensor<3x3xf64>, tensor<3x3xf64>
  return %x : tensor<3x3xf64>
}

// Rows of rows are rows.

// CHECK-LABEL: func.func @sorts
// CHECK-SAME: %[[X:.*]]: tensor<7x3xf64>
// CHECK: %[[V:.*]], %[[I:.*]] = grad.sort %[[X]] : tensor<7x3xf64> -> tensor<7x3xf64>, tensor<7x3xi64>
// CHECK: return %[[V]], %[[I]]
func.func @sorts(%x: tensor<7x3xf64>) -> (tensor<7x3xf64>, tensor<7x3xi64>) {
  %0:2 = grad.vmap @sort_of_one(%x), in_axes = [0], out_axes = [0, 0], size = 7
      : (tensor<7x3xf64>) -> (tensor<7x3xf64>, tensor<7x3xi64>)
  return %0#0, %0#1 : tensor<7x3xf64>, tensor<7x3xi64>
}
func.func private @sort_of_one(%x: tensor<3xf64>) -> (tensor<3xf64>, tensor<3xi64>) {
  %0, %i = grad.sort %x : tensor<3xf64> -> tensor<3xf64>, tensor<3xi64>
  return %0, %i : tensor<3xf64>, tensor<3xi64>
}

// A batch of vectors is a matrix.

// CHECK-LABEL: func.func @products_with_one_sparse_matrix
// CHECK-SAME: %[[D:.*]]: tensor<7xf64>, %[[I:.*]]: tensor<7xi32>, %[[P:.*]]: tensor<4xi32>, %[[X:.*]]: tensor<8x5xf64>
// CHECK: %[[T:.*]] = grad.transpose %[[X]], permutation = [1, 0] : tensor<8x5xf64> -> tensor<5x8xf64>
// CHECK: %[[Y:.*]] = grad.sparse_dot %[[D]], %[[I]], %[[P]], %[[T]], columns = 5, transpose = false : {{.*}} -> tensor<3x8xf64>
// CHECK: grad.transpose %[[Y]], permutation = [1, 0] : tensor<3x8xf64> -> tensor<8x3xf64>
func.func @products_with_one_sparse_matrix(%d: tensor<7xf64>, %i: tensor<7xi32>, %p: tensor<4xi32>, %x: tensor<8x5xf64>) -> tensor<8x3xf64> {
  %0 = grad.vmap @sparse_of_one(%d, %i, %p, %x), in_axes = [none, none, none, 0], out_axes = [0], size = 8
      : (tensor<7xf64>, tensor<7xi32>, tensor<4xi32>, tensor<8x5xf64>) -> tensor<8x3xf64>
  return %0 : tensor<8x3xf64>
}
func.func private @sparse_of_one(%d: tensor<7xf64>, %i: tensor<7xi32>, %p: tensor<4xi32>, %x: tensor<5xf64>) -> tensor<3xf64> {
  %0 = grad.sparse_dot %d, %i, %p, %x, columns = 5, transpose = false : tensor<7xf64>, tensor<7xi32>, tensor<4xi32>, tensor<5xf64> -> tensor<3xf64>
  return %0 : tensor<3xf64>
}

// A batch of matrices has them on its diagonal.

// CHECK-LABEL: func.func @products_with_sparse_matrices
// CHECK: grad.sparse_dot %{{.*}}, columns = 40, transpose = false : tensor<56xf64>, tensor<56xi32>, tensor<25xi32>, tensor<40xf64> -> tensor<24xf64>
func.func @products_with_sparse_matrices(%d: tensor<8x7xf64>, %i: tensor<7xi32>, %p: tensor<4xi32>, %x: tensor<5xf64>) -> tensor<8x3xf64> {
  %0 = grad.vmap @sparse_of_one(%d, %i, %p, %x), in_axes = [0, none, none, none], out_axes = [0], size = 8
      : (tensor<8x7xf64>, tensor<7xi32>, tensor<4xi32>, tensor<5xf64>) -> tensor<8x3xf64>
  return %0 : tensor<8x3xf64>
}
