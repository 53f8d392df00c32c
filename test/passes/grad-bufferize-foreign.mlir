// RUN: gradopt %s --grad-results-to-destinations --grad-bufferize --canonicalize | FileCheck %s

// The results are written where they go.
// CHECK-LABEL: func.func @in_place
// CHECK-SAME: %[[X:[^:]+]]: memref<3xf64>, %[[R:[^:]+]]: memref<3xf64> {grad.result}
// CHECK-NOT: memref.alloc
// CHECK: grad.custom_call_into "f", target = 0 (%[[X]]) outs(%[[R]]) : (memref<3xf64>, memref<3xf64>) -> ()
// CHECK-NOT: memref.copy
func.func @in_place(%x: tensor<3xf64>) -> tensor<3xf64> {
  %e = tensor.empty() : tensor<3xf64>
  %0 = grad.custom_call_into "f", target = 0 (%x) outs(%e) : (tensor<3xf64>, tensor<3xf64>) -> tensor<3xf64>
  return %0 : tensor<3xf64>
}

// Foreign code knows row-major arrays only; rows of one are such.
// CHECK-LABEL: func.func @strided
// CHECK: %[[DENSE:.*]] = memref.alloc() {{.*}}: memref<4x1xf64>
// CHECK: memref.copy %{{.*}}, %[[DENSE]]
// CHECK: grad.custom_call_into "f", target = 0 (%[[DENSE]])
// CHECK-NOT: memref.copy
// CHECK: grad.custom_call_into "g", target = 1 (%{{.*}}) outs(%{{.*}}) : (memref<1x4xf64, strided<[4, 1], offset: 8>>, memref<f64>) -> ()
func.func @strided(%x: tensor<4x4xf64>) -> (tensor<f64>, tensor<f64>) {
  %e = tensor.empty() : tensor<f64>
  %column = tensor.extract_slice %x[0, 1] [4, 1] [1, 1] : tensor<4x4xf64> to tensor<4x1xf64>
  %0 = grad.custom_call_into "f", target = 0 (%column) outs(%e) : (tensor<4x1xf64>, tensor<f64>) -> tensor<f64>
  %row = tensor.extract_slice %x[2, 0] [1, 4] [1, 1] : tensor<4x4xf64> to tensor<1x4xf64>
  %1 = grad.custom_call_into "g", target = 1 (%row) outs(%e) : (tensor<1x4xf64>, tensor<f64>) -> tensor<f64>
  return %0, %1 : tensor<f64>, tensor<f64>
}
