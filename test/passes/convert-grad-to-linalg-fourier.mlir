// RUN: gradopt %s --convert-grad-to-linalg | FileCheck %s

// What a transform works in is a tensor, too: of the parts of complex numbers.
// CHECK-LABEL: func.func @fft
func.func @fft(%x: tensor<2x4xcomplex<f32>>) -> tensor<2x4xcomplex<f32>> {
  // CHECK-DAG: %[[Y:.*]] = tensor.empty() : tensor<2x4xcomplex<f32>>
  // CHECK-DAG: %[[WORK:.*]] = tensor.empty() : tensor<{{[0-9]+}}xf32>
  // CHECK: %[[R:.*]]:2 = grad.fourier_into "fft", dimensions = [1], forward = false, norm = "size" (%{{.*}}) outs(%[[Y]], %[[WORK]])
  // CHECK: return %[[R]]#0
  %y = grad.fft %x, dimensions = [1], forward = false, norm = "size" : tensor<2x4xcomplex<f32>>
  return %y : tensor<2x4xcomplex<f32>>
}

// CHECK-LABEL: func.func @halves
func.func @halves(%x: tensor<3x8xf64>) -> tensor<3x8xf64> {
  // CHECK: %[[Y:.*]]:2 = grad.fourier_into "rfft", dimensions = [0, 1], forward = true, norm = "none" (%{{.*}}) outs({{.*}}) : (tensor<3x8xf64>, tensor<3x5xcomplex<f64>>, tensor<{{[0-9]+}}xf64>)
  %y = grad.rfft %x, dimensions = [0, 1], forward = true, norm = "none" : tensor<3x8xf64> -> tensor<3x5xcomplex<f64>>
  // CHECK: grad.fourier_into "irfft", dimensions = [0, 1], forward = false, norm = "size" (%[[Y]]#0)
  %z = grad.irfft %y, dimensions = [0, 1], size = 8, forward = false, norm = "size" : tensor<3x5xcomplex<f64>> -> tensor<3x8xf64>
  return %z : tensor<3x8xf64>
}

// No elements, nothing to do.
// CHECK-LABEL: func.func @empty
func.func @empty(%x: tensor<0x4xcomplex<f64>>) -> tensor<0x4xcomplex<f64>> {
  // CHECK-NOT: fourier_into
  %y = grad.fft %x, dimensions = [1], forward = true, norm = "none" : tensor<0x4xcomplex<f64>>
  return %y : tensor<0x4xcomplex<f64>>
}
