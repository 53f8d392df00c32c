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
// CHECK-DAG: %[[C:.*]] = grad.multiply %[[TWO]], %[[C0]]
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

// -----

// A factor of all, or of most, is multiplied with once.
// CHECK-LABEL: func.func @common_factor(
// CHECK-SAME: %[[G:.*]]: tensor<18xf64>
// CHECK: %[[V:.*]] = grad.multiply %[[G]], %{{.*}}
// CHECK: %[[WIDE:.*]] = grad.pad %[[V]], %{{.*}}, low = [2], high = [2], interior = [0]
// CHECK-DAG: %[[A:.*]] = grad.slice %[[WIDE]], offsets = [2]
// CHECK-DAG: %[[B:.*]] = grad.slice %[[WIDE]], offsets = [0]
// CHECK-DAG: %[[C0:.*]] = grad.slice %[[WIDE]], offsets = [1]
// CHECK-DAG: %[[C:.*]] = grad.negative %[[C0]]
// CHECK: return %[[A]], %[[B]], %[[C]]
func.func @common_factor(%g: tensor<18xf64>) -> (tensor<20xf64>, tensor<20xf64>, tensor<20xf64>) {
  %zero = grad.constant dense<0.0> : tensor<f64>
  %third = grad.constant dense<0.3> : tensor<18xf64>
  %v = grad.multiply %g, %third : tensor<18xf64>
  %n = grad.negative %v : tensor<18xf64>
  %a = grad.pad %v, %zero, low = [0], high = [2], interior = [0] : tensor<18xf64>, tensor<f64> -> tensor<20xf64>
  %b = grad.pad %v, %zero, low = [2], high = [0], interior = [0] : tensor<18xf64>, tensor<f64> -> tensor<20xf64>
  %c = grad.pad %n, %zero, low = [1], high = [1], interior = [0] : tensor<18xf64>, tensor<f64> -> tensor<20xf64>
  return %a, %b, %c : tensor<20xf64>, tensor<20xf64>, tensor<20xf64>
}

// -----

// Sums of multiples, as in the middle of a Laplacian; not what depends on
// another value, too.
// CHECK-LABEL: func.func @linear(
// CHECK-SAME: %[[G:.*]]: tensor<18xf64>, %[[H:.*]]: tensor<18xf64>
// CHECK: %[[WIDE:.*]] = grad.pad %[[G]], %{{.*}}, low = [1], high = [2], interior = [0]
// CHECK: %[[GH:.*]] = grad.add %[[G]], %[[H]]
// CHECK: %[[M:.*]] = grad.slice %[[WIDE]], offsets = [0]
// CHECK: %[[HALF:.*]] = grad.multiply %[[M]], %{{.*}}
// CHECK: %[[N:.*]] = grad.negative %[[HALF]]
// CHECK: %[[NN:.*]] = grad.subtract %[[N]], %[[HALF]]
// CHECK: %[[MIDDLE:.*]] = grad.add %[[M]], %[[NN]]
// CHECK: %[[A0:.*]] = grad.slice %[[WIDE]], offsets = [1]
// CHECK: %[[A:.*]] = grad.multiply %[[A0]], %{{.*}}
// CHECK: %[[B:.*]] = grad.pad %[[GH]]
// CHECK: return %[[MIDDLE]], %[[A]], %[[B]]
func.func @linear(%g: tensor<18xf64>, %h: tensor<18xf64>) -> (tensor<20xf64>, tensor<20xf64>, tensor<20xf64>) {
  %zero = grad.constant dense<0.0> : tensor<f64>
  %half = grad.constant dense<0.5> : tensor<18xf64>
  %v = grad.multiply %g, %half : tensor<18xf64>
  %n = grad.negative %v : tensor<18xf64>
  %nn = grad.subtract %n, %v : tensor<18xf64>
  %m = grad.add %g, %nn : tensor<18xf64>
  %gh = grad.add %g, %h : tensor<18xf64>
  %a = grad.pad %m, %zero, low = [1], high = [1], interior = [0] : tensor<18xf64>, tensor<f64> -> tensor<20xf64>
  %b = grad.pad %v, %zero, low = [0], high = [2], interior = [0] : tensor<18xf64>, tensor<f64> -> tensor<20xf64>
  %c = grad.pad %gh, %zero, low = [2], high = [0], interior = [0] : tensor<18xf64>, tensor<f64> -> tensor<20xf64>
  return %a, %b, %c : tensor<20xf64>, tensor<20xf64>, tensor<20xf64>
}

// -----

// Pads along several dimensions, as of differences along each of them.
// CHECK-LABEL: func.func @dimensions(
// CHECK: %[[WIDE:.*]] = grad.pad %{{.*}}, low = [1, 1], high = [1, 1], interior = [0, 0] : tensor<30x40xf64>, tensor<f64> -> tensor<32x42xf64>
// CHECK: %[[A:.*]] = grad.slice %[[WIDE]], offsets = [0, 1], sizes = [32, 40], strides = [1, 1]
// CHECK: %[[B:.*]] = grad.slice %[[WIDE]], offsets = [1, 0], sizes = [30, 42], strides = [1, 1]
// CHECK: return %[[A]], %[[B]]
func.func @dimensions(%g: tensor<30x40xf64>) -> (tensor<32x40xf64>, tensor<30x42xf64>) {
  %zero = grad.constant dense<0.0> : tensor<f64>
  %a = grad.pad %g, %zero, low = [1, 0], high = [1, 0], interior = [0, 0] : tensor<30x40xf64>, tensor<f64> -> tensor<32x40xf64>
  %b = grad.pad %g, %zero, low = [0, 1], high = [0, 1], interior = [0, 0] : tensor<30x40xf64>, tensor<f64> -> tensor<30x42xf64>
  return %a, %b : tensor<32x40xf64>, tensor<30x42xf64>
}
