// RUN: gradopt %s --grad-share-pads -split-input-file | FileCheck %s

// Pads of one value, also up to constant factors, are slices of the widest.
// CHECK-LABEL: func.func @shifted(
// CHECK-SAME: %[[G:.*]]: tensor<18xf64>
// CHECK: %[[WIDE:.*]] = grad.pad %[[G]], %{{.*}}, low = [2], high = [2], interior = [0]
// CHECK-DAG: %[[A:.*]] = grad.slice %[[WIDE]], offsets = [2], sizes = [20], strides = [1]
// CHECK-DAG: %[[B0:.*]] = grad.slice %[[WIDE]], offsets = [0], sizes = [20], strides = [1]
// CHECK-DAG: %[[B:.*]] = grad.negative %[[B0]]
// CHECK-DAG: %[[C0:.*]] = grad.slice %[[WIDE]], offsets = [1], sizes = [20], strides = [1]
// CHECK-DAG: %[[TWO:.*]] = grad.constant dense<-2.000000e+00> : tensor<20xf64>
// CHECK-DAG: %[[C:.*]] = grad.multiply %[[C0]], %[[TWO]]
// CHECK-DAG: %[[AB:.*]] = grad.add %[[A]], %[[B]]
// CHECK: %[[ABC:.*]] = grad.add %[[AB]], %[[C]]
// CHECK: return %[[ABC]]
func.func @shifted(%g: tensor<18xf64>) -> tensor<20xf64> {
  %zero = grad.constant dense<0.0> : tensor<f64>
  %two = grad.constant dense<-2.0> : tensor<18xf64>
  %n = grad.negative %g : tensor<18xf64>
  %m = grad.multiply %two, %g : tensor<18xf64>
  %a = grad.pad %g, %zero, low = [0], high = [2], interior = [0] : tensor<18xf64>, tensor<f64> -> tensor<20xf64>
  %b = grad.pad %n, %zero, low = [2], high = [0], interior = [0] : tensor<18xf64>, tensor<f64> -> tensor<20xf64>
  %c = grad.pad %m, %zero, low = [1], high = [1], interior = [0] : tensor<18xf64>, tensor<f64> -> tensor<20xf64>
  %ab = grad.add %a, %b : tensor<20xf64>
  %abc = grad.add %ab, %c : tensor<20xf64>
  return %abc : tensor<20xf64>
}

// -----

// Gaps between elements stay: a slice with a step has such a gradient.
// CHECK-LABEL: func.func @steps(
// CHECK: %[[WIDE:.*]] = grad.pad %{{.*}}, low = [1], high = [1], interior = [1] : tensor<10xf64>, tensor<f64> -> tensor<21xf64>
// CHECK: grad.slice %[[WIDE]], offsets = [1], sizes = [20]
// CHECK: grad.slice %[[WIDE]], offsets = [0], sizes = [20]
func.func @steps(%g: tensor<10xf64>) -> (tensor<20xf64>, tensor<20xf64>) {
  %zero = grad.constant dense<0.0> : tensor<f64>
  %a = grad.pad %g, %zero, low = [0], high = [1], interior = [1] : tensor<10xf64>, tensor<f64> -> tensor<20xf64>
  %b = grad.pad %g, %zero, low = [1], high = [0], interior = [1] : tensor<10xf64>, tensor<f64> -> tensor<20xf64>
  return %a, %b : tensor<20xf64>, tensor<20xf64>
}

// -----

// Not with other borders than zeros, other values, infinite factors, or
// borders that would be most of the array.
// CHECK-LABEL: func.func @apart(
// CHECK-COUNT-8: grad.pad
// CHECK-NOT: grad.slice
func.func @apart(%g: tensor<18xf64>, %h: tensor<18xf64>, %s: tensor<2xf64>, %one: tensor<f64>)
    -> (tensor<20xf64>, tensor<20xf64>, tensor<20xf64>, tensor<20xf64>, tensor<20xf64>, tensor<20xf64>, tensor<20xf64>, tensor<20xf64>) {
  %zero = grad.constant dense<0.0> : tensor<f64>
  %inf = grad.constant dense<0x7FF0000000000000> : tensor<18xf64>
  %a = grad.pad %g, %zero, low = [0], high = [2], interior = [0] : tensor<18xf64>, tensor<f64> -> tensor<20xf64>
  %b = grad.pad %g, %one, low = [2], high = [0], interior = [0] : tensor<18xf64>, tensor<f64> -> tensor<20xf64>
  %c = grad.pad %h, %zero, low = [2], high = [0], interior = [0] : tensor<18xf64>, tensor<f64> -> tensor<20xf64>
  %x = grad.multiply %g, %inf : tensor<18xf64>
  %d = grad.pad %x, %zero, low = [2], high = [0], interior = [0] : tensor<18xf64>, tensor<f64> -> tensor<20xf64>
  %e = grad.pad %s, %zero, low = [0], high = [18], interior = [0] : tensor<2xf64>, tensor<f64> -> tensor<20xf64>
  %f = grad.pad %s, %zero, low = [18], high = [0], interior = [0] : tensor<2xf64>, tensor<f64> -> tensor<20xf64>
  %p = grad.pad %s, %one, low = [0], high = [18], interior = [0] : tensor<2xf64>, tensor<f64> -> tensor<20xf64>
  %q = grad.pad %s, %one, low = [18], high = [0], interior = [0] : tensor<2xf64>, tensor<f64> -> tensor<20xf64>
  return %a, %b, %c, %d, %e, %f, %p, %q : tensor<20xf64>, tensor<20xf64>, tensor<20xf64>, tensor<20xf64>, tensor<20xf64>, tensor<20xf64>, tensor<20xf64>, tensor<20xf64>
}

// Pads of pads, as in second derivatives of stencils.
// CHECK-LABEL: func.func @nested(
// CHECK-SAME: %[[X:.*]]: tensor<100xf64>
// CHECK: %[[WIDE:.*]] = grad.pad %[[X]], %{{.*}}, low = [2], high = [2]
// CHECK: %[[A:.*]] = grad.slice %[[WIDE]], offsets = [1]
// CHECK: %[[WIDER:.*]] = grad.pad %[[A]], %{{.*}}, low = [2], high = [2]
// CHECK-NOT: grad.pad
func.func @nested(%x: tensor<100xf64>) -> (tensor<103xf64>, tensor<106xf64>, tensor<106xf64>) {
  %zero = grad.constant dense<0.0> : tensor<f64>
  %a = grad.pad %x, %zero, low = [1], high = [2], interior = [0] : tensor<100xf64>, tensor<f64> -> tensor<103xf64>
  %b = grad.pad %x, %zero, low = [2], high = [1], interior = [0] : tensor<100xf64>, tensor<f64> -> tensor<103xf64>
  %s = grad.add %a, %b : tensor<103xf64>
  %n = grad.negative %a : tensor<103xf64>
  %c = grad.pad %n, %zero, low = [1], high = [2], interior = [0] : tensor<103xf64>, tensor<f64> -> tensor<106xf64>
  %d = grad.pad %a, %zero, low = [2], high = [1], interior = [0] : tensor<103xf64>, tensor<f64> -> tensor<106xf64>
  return %s, %c, %d : tensor<103xf64>, tensor<106xf64>, tensor<106xf64>
}
