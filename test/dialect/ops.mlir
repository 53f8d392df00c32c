// RUN: gradopt %s | gradopt | FileCheck %s
// RUN: gradopt %s --mlir-print-op-generic | gradopt | FileCheck %s

// Every op round-trips in both forms, with the result type that it infers.

// CHECK-LABEL: func.func @elementwise
func.func @elementwise(%x: tensor<2x3xf64>, %v: tensor<2x3xf64>, %p: tensor<2x3xi1>) {
  // CHECK: grad.add %{{.*}}, %{{.*}} : tensor<2x3xf64>
  %0 = grad.add %x, %v : tensor<2x3xf64>
  // CHECK: grad.tanh %{{.*}} : tensor<2x3xf64>
  %1 = grad.tanh %x : tensor<2x3xf64>
  // CHECK: %[[LESS:.*]] = grad.less %{{.*}}, %{{.*}} : tensor<2x3xf64>
  %2 = grad.less %x, %v : tensor<2x3xf64>
  // CHECK: grad.logical_not %[[LESS]] : tensor<2x3xi1>
  %3 = grad.logical_not %2 : tensor<2x3xi1>
  // CHECK: grad.isnan %{{.*}} : tensor<2x3xf64>
  %4 = grad.isnan %x : tensor<2x3xf64>
  // CHECK: grad.select %{{.*}}, %{{.*}}, %{{.*}} : tensor<2x3xi1>, tensor<2x3xf64>
  %5 = grad.select %p, %x, %v : tensor<2x3xi1>, tensor<2x3xf64>
  // CHECK: %[[SINGLE:.*]] = grad.convert %{{.*}} to f32 : tensor<2x3xf64>
  %6 = grad.convert %x to f32 : tensor<2x3xf64>
  // CHECK: grad.exp %[[SINGLE]] : tensor<2x3xf32>
  %7 = grad.exp %6 : tensor<2x3xf32>
  return
}

// CHECK-LABEL: func.func @integers
func.func @integers(%x: tensor<3xui8>, %v: tensor<3xi16>) {
  // CHECK: grad.constant dense<[0, 200, 255]> : tensor<3xui8>
  %0 = grad.constant dense<[0, 200, 255]> : tensor<3xui8>
  // CHECK: grad.maximum %{{.*}}, %{{.*}} : tensor<3xui8>
  %1 = grad.maximum %x, %0 : tensor<3xui8>
  // CHECK: grad.floor_divide %{{.*}}, %{{.*}} : tensor<3xui8>
  %2 = grad.floor_divide %x, %0 : tensor<3xui8>
  // CHECK: grad.remainder %{{.*}}, %{{.*}} : tensor<3xi16>
  %3 = grad.remainder %v, %v : tensor<3xi16>
  // CHECK: grad.fmod %{{.*}}, %{{.*}} : tensor<3xi16>
  %4 = grad.fmod %v, %v : tensor<3xi16>
  // CHECK: grad.bitwise_and %{{.*}}, %{{.*}} : tensor<3xui8>
  %5 = grad.bitwise_and %x, %0 : tensor<3xui8>
  // CHECK: grad.bitwise_or %{{.*}}, %{{.*}} : tensor<3xui8>
  %6 = grad.bitwise_or %x, %0 : tensor<3xui8>
  // CHECK: grad.bitwise_xor %{{.*}}, %{{.*}} : tensor<3xui8>
  %7 = grad.bitwise_xor %x, %0 : tensor<3xui8>
  // CHECK: grad.left_shift %{{.*}}, %{{.*}} : tensor<3xui8>
  %8 = grad.left_shift %x, %0 : tensor<3xui8>
  // CHECK: grad.right_shift %{{.*}}, %{{.*}} : tensor<3xui8>
  %9 = grad.right_shift %x, %0 : tensor<3xui8>
  // CHECK: grad.invert %{{.*}} : tensor<3xui8>
  %10 = grad.invert %x : tensor<3xui8>
  // CHECK: grad.convert %{{.*}} to ui64 : tensor<3xi16>
  %11 = grad.convert %v to ui64 : tensor<3xi16>
  // CHECK: grad.iota dimension = 0, shape = [5], ui16 : tensor<5xui16>
  %12 = grad.iota dimension = 0, shape = [5], ui16 : tensor<5xui16>
  return
}

// CHECK-LABEL: func.func @complex
func.func @complex(%x: tensor<3xf64>, %m: tensor<3x4xcomplex<f32>>) {
  // CHECK: %[[Z:.*]] = grad.complex %{{.*}}, %{{.*}} : tensor<3xf64>
  %0 = grad.complex %x, %x : tensor<3xf64>
  // CHECK: grad.exp %[[Z]] : tensor<3xcomplex<f64>>
  %1 = grad.exp %0 : tensor<3xcomplex<f64>>
  // CHECK: %[[IM:.*]] = grad.imag %[[Z]] : tensor<3xcomplex<f64>>
  %2 = grad.imag %0 : tensor<3xcomplex<f64>>
  // CHECK: grad.add %[[IM]], %{{.*}} : tensor<3xf64>
  %3 = grad.add %2, %x : tensor<3xf64>
  // CHECK: grad.convert %[[Z]] to f64 : tensor<3xcomplex<f64>>
  %4 = grad.convert %0 to f64 : tensor<3xcomplex<f64>>
  // CHECK: grad.constant dense<(1.000000e+00,-2.000000e+00)> : tensor<complex<f32>>
  %5 = grad.constant dense<(1.0, -2.0)> : tensor<complex<f32>>
  // CHECK: grad.reduce_sum %{{.*}}, dimensions = [0] : tensor<3x4xcomplex<f32>> -> tensor<4xcomplex<f32>>
  %6 = grad.reduce_sum %m, dimensions = [0] : tensor<3x4xcomplex<f32>> -> tensor<4xcomplex<f32>>
  return
}

// CHECK-LABEL: func.func @sources
func.func @sources(%key: tensor<2xi32>, %first: tensor<i64>, %keys: tensor<4x2xi32>, %firsts: tensor<4xi64>) {
  // CHECK: grad.constant dense<1.000000e+00> : tensor<f64>
  %0 = grad.constant dense<1.0> : tensor<f64>
  // CHECK: grad.iota dimension = 0, shape = [5], i64 : tensor<5xi64>
  %1 = grad.iota dimension = 0, shape = [5], i64 : tensor<5xi64>
  // CHECK: grad.random_bits %{{.*}}, %{{.*}}, bits = 53, shape = [2, 3], i64 : tensor<2xi32>, tensor<i64> -> tensor<2x3xi64>
  %2 = grad.random_bits %key, %first, bits = 53, shape = [2, 3], i64 : tensor<2xi32>, tensor<i64> -> tensor<2x3xi64>
  // CHECK: grad.random_bits %{{.*}}, %{{.*}}, bits = 32, shape = [3], i32 : tensor<4x2xi32>, tensor<4xi64> -> tensor<4x3xi32>
  %3 = grad.random_bits %keys, %firsts, bits = 32, shape = [3], i32 : tensor<4x2xi32>, tensor<4xi64> -> tensor<4x3xi32>
  return
}

// CHECK-LABEL: func.func @shape
func.func @shape(%x: tensor<2x3xf64>, %s: tensor<f64>, %u: tensor<1x2xf64>, %i: tensor<i64>) {
  // CHECK: grad.broadcast %{{.*}}, shape = [4, 2, 3], dimensions = [1, 2] : tensor<2x3xf64> -> tensor<4x2x3xf64>
  %0 = grad.broadcast %x, shape = [4, 2, 3], dimensions = [1, 2] : tensor<2x3xf64> -> tensor<4x2x3xf64>
  // CHECK: grad.reshape %{{.*}}, shape = [6] : tensor<2x3xf64> -> tensor<6xf64>
  %1 = grad.reshape %x, shape = [6] : tensor<2x3xf64> -> tensor<6xf64>
  // CHECK: grad.transpose %{{.*}}, permutation = [1, 0] : tensor<2x3xf64> -> tensor<3x2xf64>
  %2 = grad.transpose %x, permutation = [1, 0] : tensor<2x3xf64> -> tensor<3x2xf64>
  // CHECK: grad.slice %{{.*}}, offsets = [0, 0], sizes = [1, 2], strides = [1, 2] : tensor<2x3xf64> -> tensor<1x2xf64>
  %3 = grad.slice %x, offsets = [0, 0], sizes = [1, 2], strides = [1, 2] : tensor<2x3xf64> -> tensor<1x2xf64>
  // CHECK: grad.dynamic_slice %{{.*}}[%{{.*}}, %{{.*}}], sizes = [1, 2] : tensor<2x3xf64> -> tensor<1x2xf64>
  %4 = grad.dynamic_slice %x[%i, %i], sizes = [1, 2] : tensor<2x3xf64> -> tensor<1x2xf64>
  // CHECK: grad.update_slice %{{.*}}, %{{.*}}, offsets = [1, 0], strides = [1, 2] : tensor<2x3xf64>, tensor<1x2xf64>
  %5 = grad.update_slice %x, %u, offsets = [1, 0], strides = [1, 2] : tensor<2x3xf64>, tensor<1x2xf64>
  // CHECK: grad.dynamic_update_slice %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}] : tensor<2x3xf64>, tensor<1x2xf64>
  %6 = grad.dynamic_update_slice %x, %u[%i, %i] : tensor<2x3xf64>, tensor<1x2xf64>
  // CHECK: grad.pad %{{.*}}, %{{.*}}, low = [1, 0], high = [0, 2], interior = [1, 0] : tensor<2x3xf64>, tensor<f64> -> tensor<4x5xf64>
  %7 = grad.pad %x, %s, low = [1, 0], high = [0, 2], interior = [1, 0] : tensor<2x3xf64>, tensor<f64> -> tensor<4x5xf64>
  // CHECK: grad.concatenate(%{{.*}}, %{{.*}}), dimension = 1 : tensor<2x3xf64>, tensor<2x3xf64> -> tensor<2x6xf64>
  %8 = grad.concatenate(%x, %x), dimension = 1 : tensor<2x3xf64>, tensor<2x3xf64> -> tensor<2x6xf64>
  // CHECK: grad.add_slice %{{.*}}, %{{.*}}, offsets = [1, 0], strides = [1, 2] : tensor<2x3xf64>, tensor<1x2xf64>
  %10 = grad.add_slice %x, %u, offsets = [1, 0], strides = [1, 2] : tensor<2x3xf64>, tensor<1x2xf64>
  // CHECK: grad.dynamic_add_slice %{{.*}}, %{{.*}}[%{{.*}}, %{{.*}}] : tensor<2x3xf64>, tensor<1x2xf64>
  %11 = grad.dynamic_add_slice %x, %u[%i, %i] : tensor<2x3xf64>, tensor<1x2xf64>
  // CHECK: grad.reverse %{{.*}}, dimensions = [1] : tensor<2x3xf64> -> tensor<2x3xf64>
  %9 = grad.reverse %x, dimensions = [1] : tensor<2x3xf64> -> tensor<2x3xf64>
  // CHECK: grad.identity shape = [2, 3], f64 : tensor<2x3x2x3xf64>
  %12 = grad.identity shape = [2, 3], f64 : tensor<2x3x2x3xf64>
  return
}

// CHECK-LABEL: func.func @reductions
func.func @reductions(%x: tensor<2x3xf64>, %p: tensor<2x3xi1>) {
  // CHECK: grad.reduce_sum %{{.*}}, dimensions = [0, 1] : tensor<2x3xf64> -> tensor<f64>
  %0 = grad.reduce_sum %x, dimensions = [0, 1] : tensor<2x3xf64> -> tensor<f64>
  // CHECK: grad.reduce_max %{{.*}}, dimensions = [1] : tensor<2x3xf64> -> tensor<2xf64>
  %1 = grad.reduce_max %x, dimensions = [1] : tensor<2x3xf64> -> tensor<2xf64>
  // CHECK: grad.reduce_any %{{.*}}, dimensions = [0] : tensor<2x3xi1> -> tensor<3xi1>
  %2 = grad.reduce_any %p, dimensions = [0] : tensor<2x3xi1> -> tensor<3xi1>
  // CHECK: grad.argmax %{{.*}}, dimension = 0 : tensor<2x3xf64> -> tensor<3xi64>
  %3 = grad.argmax %x, dimension = 0 : tensor<2x3xf64> -> tensor<3xi64>
  // CHECK: grad.cumsum %{{.*}}, dimension = 1 {reverse = true} : tensor<2x3xf64>
  %4 = grad.cumsum %x, dimension = 1 {reverse = true} : tensor<2x3xf64>
  return
}

// CHECK-LABEL: func.func @products_and_indexing
func.func @products_and_indexing(%a: tensor<7x2x3xf64>, %c: tensor<7x3x4xf64>, %i: tensor<5x1xi64>, %u: tensor<5x2x3xf64>, %v: tensor<9xf64>, %w: tensor<3xf64>, %image: tensor<1x8x3x32x32xf64>, %kernel: tensor<1x16x3x3x3xf64>) {
  // CHECK: grad.dot_general %{{.*}}, %{{.*}}, batch = [0] x [0], contract = [2] x [1] : tensor<7x2x3xf64>, tensor<7x3x4xf64> -> tensor<7x2x4xf64>
  %0 = grad.dot_general %a, %c, batch = [0] x [0], contract = [2] x [1] : tensor<7x2x3xf64>, tensor<7x3x4xf64> -> tensor<7x2x4xf64>
  // CHECK: grad.correlate %{{.*}}, %{{.*}}, low = 2, high = 1 : tensor<9xf64>, tensor<3xf64> -> tensor<10xf64>
  %3 = grad.correlate %v, %w, low = 2, high = 1 : tensor<9xf64>, tensor<3xf64> -> tensor<10xf64>
  // CHECK: grad.convolution %{{.*}}, %{{.*}}, strides = [2, 1], low = [1, 0], high = [1, -1], dilation = [1, 1] x [1, 2] : tensor<1x8x3x32x32xf64>, tensor<1x16x3x3x3xf64> -> tensor<1x8x16x16x27xf64>
  %6 = grad.convolution %image, %kernel, strides = [2, 1], low = [1, 0], high = [1, -1], dilation = [1, 1] x [1, 2] : tensor<1x8x3x32x32xf64>, tensor<1x16x3x3x3xf64> -> tensor<1x8x16x16x27xf64>
  // CHECK: grad.gather %{{.*}}, %{{.*}} : tensor<7x2x3xf64>, tensor<5x1xi64> -> tensor<5x2x3xf64>
  %1 = grad.gather %a, %i : tensor<7x2x3xf64>, tensor<5x1xi64> -> tensor<5x2x3xf64>
  // CHECK: grad.scatter %{{.*}}, %{{.*}}, %{{.*}} : tensor<7x2x3xf64>, tensor<5x1xi64>, tensor<5x2x3xf64>
  %4 = grad.scatter %a, %i, %u : tensor<7x2x3xf64>, tensor<5x1xi64>, tensor<5x2x3xf64>
  // CHECK: grad.scatter %{{.*}}, %{{.*}}, %{{.*}} unique : tensor<7x2x3xf64>, tensor<5x1xi64>, tensor<5x2x3xf64>
  %5 = grad.scatter %a, %i, %u unique : tensor<7x2x3xf64>, tensor<5x1xi64>, tensor<5x2x3xf64>
  // CHECK: grad.scatter_add %{{.*}}, %{{.*}}, %{{.*}} : tensor<7x2x3xf64>, tensor<5x1xi64>, tensor<5x2x3xf64>
  %2 = grad.scatter_add %a, %i, %u : tensor<7x2x3xf64>, tensor<5x1xi64>, tensor<5x2x3xf64>
  return
}

// CHECK-LABEL: func.func @batches
func.func @batches(%x: tensor<2x9xf64>, %w: tensor<2x3xf64>, %i: tensor<2x5x1xi64>, %u: tensor<2x5xf64>) {
  // CHECK: grad.correlate %{{.*}}, %{{.*}}, low = 2, high = 1 : tensor<2x9xf64>, tensor<2x3xf64> -> tensor<2x10xf64>
  %0 = grad.correlate %x, %w, low = 2, high = 1 : tensor<2x9xf64>, tensor<2x3xf64> -> tensor<2x10xf64>
  // CHECK: grad.gather %{{.*}}, %{{.*}} batch 1 : tensor<2x9xf64>, tensor<2x5x1xi64> -> tensor<2x5xf64>
  %1 = grad.gather %x, %i batch 1 : tensor<2x9xf64>, tensor<2x5x1xi64> -> tensor<2x5xf64>
  // CHECK: grad.scatter %{{.*}}, %{{.*}}, %{{.*}} unique batch 1 : tensor<2x9xf64>, tensor<2x5x1xi64>, tensor<2x5xf64>
  %2 = grad.scatter %x, %i, %u unique batch 1 : tensor<2x9xf64>, tensor<2x5x1xi64>, tensor<2x5xf64>
  // CHECK: grad.scatter_add %{{.*}}, %{{.*}}, %{{.*}} batch 1 : tensor<2x9xf64>, tensor<2x5x1xi64>, tensor<2x5xf64>
  %3 = grad.scatter_add %x, %i, %u batch 1 : tensor<2x9xf64>, tensor<2x5x1xi64>, tensor<2x5xf64>
  return
}

func.func private @f(%x: tensor<3xf64>) -> tensor<f64> {
  %0 = grad.reduce_sum %x, dimensions = [0] : tensor<3xf64> -> tensor<f64>
  return %0 : tensor<f64>
}

// CHECK-LABEL: func.func @requests
func.func @requests(%x: tensor<3xf64>, %g: tensor<f64>, %m: tensor<3x8xf64>) {
  // CHECK: grad.call @f(%{{.*}}) : (tensor<3xf64>) -> tensor<f64>
  %0 = grad.call @f(%x) : (tensor<3xf64>) -> tensor<f64>
  // CHECK: grad.vjp @f(%{{.*}}), cotangents(%{{.*}}), wrt = [0], of = [0] : (tensor<3xf64>, tensor<f64>) -> (tensor<f64>, tensor<3xf64>)
  %1:2 = grad.vjp @f(%x), cotangents(%g), wrt = [0], of = [0] : (tensor<3xf64>, tensor<f64>) -> (tensor<f64>, tensor<3xf64>)
  // CHECK: grad.jvp @f(%{{.*}}), tangents(%{{.*}}), wrt = [0], of = [0] : (tensor<3xf64>, tensor<3xf64>) -> (tensor<f64>, tensor<f64>)
  %2:2 = grad.jvp @f(%x), tangents(%x), wrt = [0], of = [0] : (tensor<3xf64>, tensor<3xf64>) -> (tensor<f64>, tensor<f64>)
  // CHECK: grad.vmap @f(%{{.*}}), in_axes = [1], out_axes = [0], size = 8 : (tensor<3x8xf64>) -> tensor<8xf64>
  %8 = grad.vmap @f(%m), in_axes = [1], out_axes = [0], size = 8 : (tensor<3x8xf64>) -> tensor<8xf64>
  // CHECK: grad.vmap @f(%{{.*}}), in_axes = [none], out_axes = [none], size = 8 : (tensor<3xf64>) -> tensor<f64>
  %7 = grad.vmap @f(%x), in_axes = [none], out_axes = [none], size = 8 : (tensor<3xf64>) -> tensor<f64>
  // CHECK: grad.stop_gradient %{{.*}} : tensor<3xf64>
  %3 = grad.stop_gradient %x : tensor<3xf64>
  // CHECK: grad.barrier %{{.*}}, %{{.*}} after %{{.*}} : (tensor<3xf64>, tensor<3xf64>, tensor<3xf64>) -> (tensor<3xf64>, tensor<3xf64>)
  %barrier:2 = grad.barrier %x, %3 after %x : (tensor<3xf64>, tensor<3xf64>, tensor<3xf64>) -> (tensor<3xf64>, tensor<3xf64>)
  // CHECK: grad.transposed(%{{.*}}) {
  %4 = grad.transposed(%g) {
  ^bb0(%t: tensor<3xf64>):
    %5 = grad.reduce_sum %t, dimensions = [0] : tensor<3xf64> -> tensor<f64>
    // CHECK: grad.yield %{{.*}} : tensor<f64>
    grad.yield %5 : tensor<f64>
  } : (tensor<f64>) -> tensor<3xf64>
  // CHECK: grad.transposed(%{{.*}}) "for a test" {
  %6 = grad.transposed(%x) "for a test" {
  ^bb0(%t: tensor<3xf64>):
    grad.yield %t : tensor<3xf64>
  } : (tensor<3xf64>) -> tensor<3xf64>
  return
}

func.func private @scaled(%x: tensor<3xf64>, %n: tensor<i64>, %c: tensor<f64>) -> (tensor<f64>, tensor<i1>)
func.func private @scaled_fwd(%x: tensor<3xf64>, %n: tensor<i64>, %c: tensor<f64>) -> (tensor<f64>, tensor<i1>, tensor<2xi8>)
func.func private @scaled_bwd(%r: tensor<2xi8>, %g: tensor<f64>, %c: tensor<f64>) -> tensor<3xf64>
func.func private @scaled_jvp(%x: tensor<3xf64>, %n: tensor<i64>, %t: tensor<3xf64>, %c: tensor<f64>) -> (tensor<f64>, tensor<i1>, tensor<f64>)

// CHECK-LABEL: func.func @custom
func.func @custom(%x: tensor<3xf64>, %n: tensor<i64>, %c: tensor<f64>) {
  // CHECK: grad.custom @scaled(%{{.*}}, %{{.*}}) captures(%{{.*}}) vjp = [@scaled_fwd, @scaled_bwd] jvp = @scaled_jvp : (tensor<3xf64>, tensor<i64>, tensor<f64>) -> (tensor<f64>, tensor<i1>)
  %0:2 = grad.custom @scaled(%x, %n) captures(%c) vjp = [@scaled_fwd, @scaled_bwd] jvp = @scaled_jvp : (tensor<3xf64>, tensor<i64>, tensor<f64>) -> (tensor<f64>, tensor<i1>)
  // CHECK: grad.custom @f(%{{.*}}) : (tensor<3xf64>) -> tensor<f64>
  %1 = grad.custom @f(%x) : (tensor<3xf64>) -> tensor<f64>
  return
}

// CHECK-LABEL: func.func @foreign
func.func @foreign(%x: tensor<3xf64>, %s: tensor<f32>) {
  // CHECK: grad.custom_call "scale", target = 2, batching = "sequential" (%{{.*}}, %{{.*}}) : (tensor<3xf64>, tensor<f32>) -> (tensor<3xf64>, tensor<i1>)
  %0:2 = grad.custom_call "scale", target = 2, batching = "sequential" (%x, %s) : (tensor<3xf64>, tensor<f32>) -> (tensor<3xf64>, tensor<i1>)
  // CHECK: grad.custom_call "nothing", target = 0, batching = "broadcast_all" () : () -> ()
  grad.custom_call "nothing", target = 0, batching = "broadcast_all" () : () -> ()
  // CHECK: grad.custom_call_into "scale", target = 2 (%{{.*}}) outs(%{{.*}}) : (tensor<f32>, tensor<3xf64>) -> tensor<3xf64>
  %1 = grad.custom_call_into "scale", target = 2 (%s) outs(%x) : (tensor<f32>, tensor<3xf64>) -> tensor<3xf64>
  return
}

// CHECK-LABEL: func.func @factorizations
func.func @factorizations(%a: tensor<2x3x3xf64>, %b: tensor<2x3x1xf64>, %t: tensor<5x3xf32>) {
  // CHECK: grad.cholesky %{{.*}} : tensor<2x3x3xf64> -> tensor<2x3x3xf64>, tensor<2xi32>
  %l, %0 = grad.cholesky %a : tensor<2x3x3xf64> -> tensor<2x3x3xf64>, tensor<2xi32>
  // CHECK: grad.lu %{{.*}} : tensor<2x3x3xf64> -> tensor<2x3x3xf64>, tensor<2x3xi32>, tensor<2x3xi64>, tensor<2xi32>
  %lu, %pivots, %order, %1 = grad.lu %a : tensor<2x3x3xf64> -> tensor<2x3x3xf64>, tensor<2x3xi32>, tensor<2x3xi64>, tensor<2xi32>
  // CHECK: grad.lu_solve %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, transpose = true : tensor<2x3x3xf64>, tensor<2x3x3xf64>, tensor<2x3xi32>, tensor<2x3x1xf64>
  %2 = grad.lu_solve %a, %lu, %pivots, %b, transpose = true : tensor<2x3x3xf64>, tensor<2x3x3xf64>, tensor<2x3xi32>, tensor<2x3x1xf64>
  // CHECK: grad.triangular_solve %{{.*}}, %{{.*}}, left = true, lower = false, transpose = true, unit = false : tensor<2x3x3xf64>, tensor<2x3x1xf64>
  %3 = grad.triangular_solve %a, %b, left = true, lower = false, transpose = true, unit = false : tensor<2x3x3xf64>, tensor<2x3x1xf64>
  // CHECK: grad.qr %{{.*}}, full = true : tensor<5x3xf32> -> tensor<5x5xf32>, tensor<5x3xf32>
  %q, %r = grad.qr %t, full = true : tensor<5x3xf32> -> tensor<5x5xf32>, tensor<5x3xf32>
  // CHECK: grad.eigh %{{.*}} : tensor<2x3x3xf64> -> tensor<2x3xf64>, tensor<2x3x3xf64>, tensor<2xi32>
  %w, %v, %4 = grad.eigh %a : tensor<2x3x3xf64> -> tensor<2x3xf64>, tensor<2x3x3xf64>, tensor<2xi32>
  // CHECK: grad.svd %{{.*}}, full = false : tensor<5x3xf32> -> tensor<5x3xf32>, tensor<3xf32>, tensor<3x3xf32>, tensor<i32>
  %u, %s, %vh, %5 = grad.svd %t, full = false : tensor<5x3xf32> -> tensor<5x3xf32>, tensor<3xf32>, tensor<3x3xf32>, tensor<i32>
  // CHECK: grad.lapack_into "cholesky", flags = 0 (%{{.*}}) outs(%{{.*}}, %{{.*}}) : (tensor<2x3x3xf64>, tensor<2x3x3xf64>, tensor<2xi32>) -> (tensor<2x3x3xf64>, tensor<2xi32>)
  %6:2 = grad.lapack_into "cholesky", flags = 0 (%a) outs(%l, %0) : (tensor<2x3x3xf64>, tensor<2x3x3xf64>, tensor<2xi32>) -> (tensor<2x3x3xf64>, tensor<2xi32>)
  return
}

// CHECK-LABEL: func.func @spectra
func.func @spectra(%a: tensor<2x3x3xf64>, %z: tensor<3x3xcomplex<f32>>, %c: tensor<2x3x3xf64>) {
  // CHECK: grad.eig %{{.*}} : tensor<2x3x3xf64> -> tensor<2x3xcomplex<f64>>, tensor<2x3x3xcomplex<f64>>, tensor<2xi32>
  %w, %v, %0 = grad.eig %a : tensor<2x3x3xf64> -> tensor<2x3xcomplex<f64>>, tensor<2x3x3xcomplex<f64>>, tensor<2xi32>
  // CHECK: grad.schur %{{.*}} : tensor<3x3xcomplex<f32>> -> tensor<3x3xcomplex<f32>>, tensor<3x3xcomplex<f32>>, tensor<i32>
  %t, %u, %1 = grad.schur %z : tensor<3x3xcomplex<f32>> -> tensor<3x3xcomplex<f32>>, tensor<3x3xcomplex<f32>>, tensor<i32>
  // CHECK: grad.triangular_sylvester %{{.*}}, %{{.*}}, %{{.*}}, transpose = true, below = false : tensor<2x3x3xf64>, tensor<2x3x3xf64>, tensor<2x3x3xf64>
  %2 = grad.triangular_sylvester %a, %a, %c, transpose = true, below = false : tensor<2x3x3xf64>, tensor<2x3x3xf64>, tensor<2x3x3xf64>
  // CHECK: grad.triangular_sqrt %{{.*}} : tensor<3x3xcomplex<f32>>
  %3 = grad.triangular_sqrt %t : tensor<3x3xcomplex<f32>>
  // CHECK: grad.svd %{{.*}}, full = true : tensor<3x3xcomplex<f32>> -> tensor<3x3xcomplex<f32>>, tensor<3xf32>, tensor<3x3xcomplex<f32>>, tensor<i32>
  %x, %s, %vh, %4 = grad.svd %z, full = true : tensor<3x3xcomplex<f32>> -> tensor<3x3xcomplex<f32>>, tensor<3xf32>, tensor<3x3xcomplex<f32>>, tensor<i32>
  return
}

// CHECK-LABEL: func.func @order
func.func @order(%x: tensor<2x3xf64>, %c: tensor<5xcomplex<f32>>, %m: tensor<4xi1>, %work: tensor<6xi64>) {
  // CHECK: grad.sort %{{.*}} : tensor<2x3xf64> -> tensor<2x3xf64>, tensor<2x3xi64>
  %0, %i = grad.sort %x : tensor<2x3xf64> -> tensor<2x3xf64>, tensor<2x3xi64>
  // CHECK: grad.sort %{{.*}} : tensor<5xcomplex<f32>> -> tensor<5xcomplex<f32>>, tensor<5xi64>
  %1, %j = grad.sort %c : tensor<5xcomplex<f32>> -> tensor<5xcomplex<f32>>, tensor<5xi64>
  // CHECK: grad.sort %{{.*}} : tensor<4xi1> -> tensor<4xi1>, tensor<4xi64>
  %2, %k = grad.sort %m : tensor<4xi1> -> tensor<4xi1>, tensor<4xi64>
  // CHECK: grad.sort_into values indices(%{{.*}}) outs(%{{.*}}, %{{.*}}, %{{.*}}) : (tensor<2x3xf64>, tensor<2x3xf64>, tensor<2x3xi64>, tensor<6xi64>) -> (tensor<2x3xf64>, tensor<2x3xi64>, tensor<6xi64>)
  %3:3 = grad.sort_into values indices(%x) outs(%0, %i, %work) : (tensor<2x3xf64>, tensor<2x3xf64>, tensor<2x3xi64>, tensor<6xi64>) -> (tensor<2x3xf64>, tensor<2x3xi64>, tensor<6xi64>)
  // CHECK: grad.sort_into indices unsigned(%{{.*}}) outs(%{{.*}}, %{{.*}}) : (tensor<2x3xi64>, tensor<2x3xi64>, tensor<6xi64>) -> (tensor<2x3xi64>, tensor<6xi64>)
  %4:2 = grad.sort_into indices unsigned(%i) outs(%i, %work) : (tensor<2x3xi64>, tensor<2x3xi64>, tensor<6xi64>) -> (tensor<2x3xi64>, tensor<6xi64>)
  return
}

// CHECK-LABEL: func.func @fourier_transforms
func.func @fourier_transforms(%x: tensor<2x8xf64>, %z: tensor<2x5xcomplex<f64>>, %w: tensor<52xf64>) {
  // CHECK: grad.fft %{{.*}}, dimensions = [1, 0], forward = true, norm = "none" : tensor<2x5xcomplex<f64>>
  %0 = grad.fft %z, dimensions = [1, 0], forward = true, norm = "none" : tensor<2x5xcomplex<f64>>
  // CHECK: grad.rfft %{{.*}}, dimensions = [1], forward = false, norm = "root" : tensor<2x8xf64> -> tensor<2x5xcomplex<f64>>
  %1 = grad.rfft %x, dimensions = [1], forward = false, norm = "root" : tensor<2x8xf64> -> tensor<2x5xcomplex<f64>>
  // CHECK: grad.irfft %{{.*}}, dimensions = [0, 1], size = 9, forward = false, norm = "size" : tensor<2x5xcomplex<f64>> -> tensor<2x9xf64>
  %2 = grad.irfft %z, dimensions = [0, 1], size = 9, forward = false, norm = "size" : tensor<2x5xcomplex<f64>> -> tensor<2x9xf64>
  // CHECK: grad.fourier_into "fft", dimensions = [1], forward = true, norm = "none" (%{{.*}}) outs(%{{.*}}, %{{.*}}) : (tensor<2x5xcomplex<f64>>, tensor<2x5xcomplex<f64>>, tensor<52xf64>) -> (tensor<2x5xcomplex<f64>>, tensor<52xf64>)
  %3:2 = grad.fourier_into "fft", dimensions = [1], forward = true, norm = "none" (%z) outs(%0, %w) : (tensor<2x5xcomplex<f64>>, tensor<2x5xcomplex<f64>>, tensor<52xf64>) -> (tensor<2x5xcomplex<f64>>, tensor<52xf64>)
  return
}

// CHECK-LABEL: func.func @sparse_matrices
func.func @sparse_matrices(%d: tensor<7xf64>, %i: tensor<7xi32>, %p: tensor<4xi64>, %x: tensor<5x2xf64>, %u: tensor<3xf64>, %v: tensor<5xf64>) {
  // CHECK: grad.sparse_dot %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, columns = 5, transpose = false : tensor<7xf64>, tensor<7xi32>, tensor<4xi64>, tensor<5x2xf64> -> tensor<3x2xf64>
  %0 = grad.sparse_dot %d, %i, %p, %x, columns = 5, transpose = false : tensor<7xf64>, tensor<7xi32>, tensor<4xi64>, tensor<5x2xf64> -> tensor<3x2xf64>
  // CHECK: grad.sparse_dot %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, columns = 5, transpose = true : tensor<7xf64>, tensor<7xi32>, tensor<4xi64>, tensor<3xf64> -> tensor<5xf64>
  %1 = grad.sparse_dot %d, %i, %p, %u, columns = 5, transpose = true : tensor<7xf64>, tensor<7xi32>, tensor<4xi64>, tensor<3xf64> -> tensor<5xf64>
  // CHECK: grad.sampled_dot %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : tensor<3xf64>, tensor<5xf64>, tensor<7xi32>, tensor<4xi64> -> tensor<7xf64>
  %2 = grad.sampled_dot %u, %v, %i, %p : tensor<3xf64>, tensor<5xf64>, tensor<7xi32>, tensor<4xi64> -> tensor<7xf64>
  return
}
