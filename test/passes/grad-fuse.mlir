// RUN: gradopt %s --grad-fuse --canonicalize -split-input-file | FileCheck %s

#id = affine_map<(d0) -> (d0)>
#scalar = affine_map<(d0) -> ()>

// Value and gradient of sum(exp(x)) are one loop: exp is computed once, the
// gradient is an output beside the accumulator.
// CHECK-DAG: #[[$ID:.*]] = affine_map<(d0) -> (d0)>
// CHECK-DAG: #[[$SCALAR:.*]] = affine_map<(d0) -> ()>
// CHECK-LABEL: func.func @value_and_gradient
// CHECK-SAME: %[[X:[^:]+]]: tensor<8xf64>
// CHECK-DAG: %[[ZERO:.*]] = linalg.fill
// CHECK-DAG: %[[EMPTY:.*]] = tensor.empty() : tensor<8xf64>
// CHECK: %[[R:.*]]:2 = linalg.generic {indexing_maps = [#[[$ID]], #[[$SCALAR]], #[[$ID]]], iterator_types = ["reduction"]} ins(%[[X]] : tensor<8xf64>) outs(%[[ZERO]], %[[EMPTY]] :
// CHECK: %[[E:.*]] = math.exp
// CHECK-NOT: math.exp
// CHECK-DAG: %[[S:.*]] = arith.addf
// CHECK-DAG: %[[G:.*]] = arith.mulf %[[E]]
// CHECK: linalg.yield %[[S]], %[[G]]
// CHECK: return %[[R]]#0, %[[R]]#1
func.func @value_and_gradient(%x: tensor<8xf64>) -> (tensor<f64>, tensor<8xf64>) {
  %zero = arith.constant 0.0 : f64
  %seed = arith.constant dense<2.0> : tensor<f64>
  %v = tensor.empty() : tensor<8xf64>
  %s = tensor.empty() : tensor<f64>
  %exp = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%x : tensor<8xf64>) outs(%v : tensor<8xf64>) {
  ^bb0(%a: f64, %o: f64):
    %0 = math.exp %a : f64
    linalg.yield %0 : f64
  } -> tensor<8xf64>
  %init = linalg.fill ins(%zero : f64) outs(%s : tensor<f64>) -> tensor<f64>
  %sum = linalg.generic {indexing_maps = [#id, #scalar], iterator_types = ["reduction"]}
      ins(%exp : tensor<8xf64>) outs(%init : tensor<f64>) {
  ^bb0(%a: f64, %o: f64):
    %0 = arith.addf %o, %a : f64
    linalg.yield %0 : f64
  } -> tensor<f64>
  %seeds = linalg.generic {indexing_maps = [#scalar, #id], iterator_types = ["parallel"]}
      ins(%seed : tensor<f64>) outs(%v : tensor<8xf64>) {
  ^bb0(%a: f64, %o: f64):
    linalg.yield %a : f64
  } -> tensor<8xf64>
  %grad = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]}
      ins(%exp, %seeds : tensor<8xf64>, tensor<8xf64>) outs(%v : tensor<8xf64>) {
  ^bb0(%a: f64, %b: f64, %o: f64):
    %0 = arith.mulf %a, %b : f64
    linalg.yield %0 : f64
  } -> tensor<8xf64>
  return %sum, %grad : tensor<f64>, tensor<8xf64>
}

// -----

// Dead ops with regions go away in the middle of the pass.
// CHECK-LABEL: func.func @dead_region
// CHECK-NEXT: return
func.func @dead_region(%x: tensor<4xf64>, %c: i1) -> tensor<4xf64> {
  %0 = scf.if %c -> tensor<4xf64> {
    %1 = tensor.empty() : tensor<4xf64>
    %2 = linalg.exp ins(%x : tensor<4xf64>) outs(%1 : tensor<4xf64>) -> tensor<4xf64>
    scf.yield %2 : tensor<4xf64>
  } else {
    scf.yield %x : tensor<4xf64>
  }
  return %x : tensor<4xf64>
}

// -----

#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>

// A softmax is two passes over its rows: what needs the sum has to wait for it.
// CHECK-LABEL: func.func @softmax
// CHECK: %[[E:.*]]:2 = linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]
// CHECK: math.exp
// CHECK: arith.addf
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]
// CHECK-SAME: ins(%[[E]]#{{[01]}}, %[[E]]#{{[01]}} :
// CHECK-NOT: math.exp
// CHECK: arith.divf
// CHECK-NOT: linalg.generic
func.func @softmax(%x: tensor<8x4xf64>) -> tensor<8x4xf64> {
  %zero = arith.constant 0.0 : f64
  %v = tensor.empty() : tensor<8x4xf64>
  %s = tensor.empty() : tensor<8xf64>
  %exp = linalg.exp ins(%x : tensor<8x4xf64>) outs(%v : tensor<8x4xf64>) -> tensor<8x4xf64>
  %init = linalg.fill ins(%zero : f64) outs(%s : tensor<8xf64>) -> tensor<8xf64>
  %sum = linalg.reduce { arith.addf } ins(%exp : tensor<8x4xf64>) outs(%init : tensor<8xf64>) dimensions = [1]
  %sums = linalg.broadcast ins(%sum : tensor<8xf64>) outs(%v : tensor<8x4xf64>) dimensions = [1]
  %y = linalg.div ins(%exp, %sums : tensor<8x4xf64>, tensor<8x4xf64>) outs(%v : tensor<8x4xf64>) -> tensor<8x4xf64>
  return %y : tensor<8x4xf64>
}

// -----

// An expensive producer is computed once per element of its own, not of what it
// is broadcast to; a cheap one needs no memory.
// CHECK-LABEL: func.func @broadcasts
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel"]
// CHECK: math.exp
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]
// CHECK-DAG: arith.negf
// CHECK-DAG: arith.mulf
// CHECK-NOT: linalg.generic
func.func @broadcasts(%x: tensor<4xf64>, %y: tensor<4xf64>) -> tensor<8x4xf64> {
  %v = tensor.empty() : tensor<4xf64>
  %m = tensor.empty() : tensor<8x4xf64>
  %exp = linalg.exp ins(%x : tensor<4xf64>) outs(%v : tensor<4xf64>) -> tensor<4xf64>
  %neg = linalg.negf ins(%y : tensor<4xf64>) outs(%v : tensor<4xf64>) -> tensor<4xf64>
  %a = linalg.broadcast ins(%exp : tensor<4xf64>) outs(%m : tensor<8x4xf64>) dimensions = [0]
  %b = linalg.broadcast ins(%neg : tensor<4xf64>) outs(%m : tensor<8x4xf64>) dimensions = [0]
  %r = linalg.mul ins(%a, %b : tensor<8x4xf64>, tensor<8x4xf64>) outs(%m : tensor<8x4xf64>) -> tensor<8x4xf64>
  return %r : tensor<8x4xf64>
}

// -----

#lhs = affine_map<(d0, d1, d2) -> (d0, d2)>
#rhs = affine_map<(d0, d1, d2) -> (d2, d1)>
#out = affine_map<(d0, d1, d2) -> (d0, d1)>

// A product takes a transposed operand by its indexing map, and nothing else.
// CHECK-DAG: #[[$TRANSPOSED:.*]] = affine_map<(d0, d1, d2) -> (d2, d0)>
// CHECK-LABEL: func.func @product
// CHECK-SAME: %[[X:[^:]+]]: tensor<8x4xf64>, %[[Y:[^:]+]]: tensor<8x2xf64>
// CHECK: %[[EXP:.*]] = linalg.generic
// CHECK-NEXT: ^bb0
// CHECK-NEXT: math.exp
// CHECK: linalg.generic {indexing_maps = [#[[$TRANSPOSED]], {{.*}}"reduction"]} ins(%[[X]], %[[EXP]] :
// CHECK: arith.mulf
// CHECK-NEXT: arith.addf
// CHECK-NEXT: linalg.yield
// CHECK-NOT: linalg.generic
func.func @product(%x: tensor<8x4xf64>, %y: tensor<8x2xf64>) -> tensor<4x2xf64> {
  %zero = arith.constant 0.0 : f64
  %t = tensor.empty() : tensor<4x8xf64>
  %v = tensor.empty() : tensor<8x2xf64>
  %r = tensor.empty() : tensor<4x2xf64>
  %xt = linalg.transpose ins(%x : tensor<8x4xf64>) outs(%t : tensor<4x8xf64>) permutation = [1, 0]
  %exp = linalg.exp ins(%y : tensor<8x2xf64>) outs(%v : tensor<8x2xf64>) -> tensor<8x2xf64>
  %init = linalg.fill ins(%zero : f64) outs(%r : tensor<4x2xf64>) -> tensor<4x2xf64>
  %p = linalg.generic {indexing_maps = [#lhs, #rhs, #out], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%xt, %exp : tensor<4x8xf64>, tensor<8x2xf64>) outs(%init : tensor<4x2xf64>) {
  ^bb0(%a: f64, %b: f64, %o: f64):
    %0 = arith.mulf %a, %b : f64
    %1 = arith.addf %o, %0 : f64
    linalg.yield %1 : f64
  } -> tensor<4x2xf64>
  return %p : tensor<4x2xf64>
}

// -----

// Cheap work is repeated rather than stored when its readers cannot be merged.
// CHECK-LABEL: func.func @repeated
// CHECK: linalg.generic {{.*}} iterator_types = ["reduction"]
// CHECK: arith.negf
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel"]
// CHECK: arith.negf
// CHECK-NOT: linalg.generic
func.func @repeated(%x: tensor<8xf64>) -> tensor<8xf64> {
  %low = arith.constant 0xFFF0000000000000 : f64
  %v = tensor.empty() : tensor<8xf64>
  %s = tensor.empty() : tensor<f64>
  %neg = linalg.negf ins(%x : tensor<8xf64>) outs(%v : tensor<8xf64>) -> tensor<8xf64>
  %init = linalg.fill ins(%low : f64) outs(%s : tensor<f64>) -> tensor<f64>
  %max = linalg.reduce { arith.maximumf } ins(%neg : tensor<8xf64>) outs(%init : tensor<f64>) dimensions = [0]
  %all = linalg.broadcast ins(%max : tensor<f64>) outs(%v : tensor<8xf64>) dimensions = [0]
  %y = linalg.sub ins(%neg, %all : tensor<8xf64>, tensor<8xf64>) outs(%v : tensor<8xf64>) -> tensor<8xf64>
  return %y : tensor<8xf64>
}

// -----

// Readers of the same tensor share a loop, also where one reads it transposed.
// CHECK-LABEL: func.func @siblings
// CHECK: %[[R:.*]]:2 = linalg.generic
// CHECK-SAME: ins(%{{[^ ,]*}} : tensor<8x4xf64>)
// CHECK-DAG: math.exp
// CHECK-DAG: math.sin
// CHECK-NOT: linalg.generic
func.func @siblings(%x: tensor<8x4xf64>) -> (tensor<8x4xf64>, tensor<4x8xf64>) {
  %v = tensor.empty() : tensor<8x4xf64>
  %w = tensor.empty() : tensor<4x8xf64>
  %exp = linalg.exp ins(%x : tensor<8x4xf64>) outs(%v : tensor<8x4xf64>) -> tensor<8x4xf64>
  %xt = linalg.transpose ins(%x : tensor<8x4xf64>) outs(%w : tensor<4x8xf64>) permutation = [1, 0]
  %sin = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
                         iterator_types = ["parallel", "parallel"]}
      ins(%xt : tensor<4x8xf64>) outs(%w : tensor<4x8xf64>) {
  ^bb0(%a: f64, %o: f64):
    %0 = math.sin %a : f64
    linalg.yield %0 : f64
  } -> tensor<4x8xf64>
  return %exp, %sin : tensor<8x4xf64>, tensor<4x8xf64>
}

// -----

// Indices follow their loop when loops are permuted.
// CHECK-LABEL: func.func @indices
// CHECK: linalg.generic
// CHECK-DAG: linalg.index 0
// CHECK-DAG: linalg.index 1
// CHECK-NOT: linalg.generic
func.func @indices(%x: tensor<8x4xi64>) -> (tensor<8x4xi64>, tensor<4x8xi64>) {
  %v = tensor.empty() : tensor<8x4xi64>
  %w = tensor.empty() : tensor<4x8xi64>
  %rows = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
                          iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<8x4xi64>) outs(%v : tensor<8x4xi64>) {
  ^bb0(%a: i64, %o: i64):
    %i = linalg.index 0 : index
    %0 = arith.index_cast %i : index to i64
    %1 = arith.divsi %a, %0 : i64
    linalg.yield %1 : i64
  } -> tensor<8x4xi64>
  %columns = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1, d0)>, affine_map<(d0, d1) -> (d0, d1)>],
                          iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<8x4xi64>) outs(%w : tensor<4x8xi64>) {
  ^bb0(%a: i64, %o: i64):
    %i = linalg.index 0 : index
    %0 = arith.index_cast %i : index to i64
    %1 = arith.divsi %a, %0 : i64
    linalg.yield %1 : i64
  } -> tensor<4x8xi64>
  return %rows, %columns : tensor<8x4xi64>, tensor<4x8xi64>
}

// -----

// The innermost loop of a sum over columns walks along the rows.
// CHECK-DAG: #[[$ID:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG: #[[$COLUMN:.*]] = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: func.func @column_sum
// CHECK: linalg.generic {indexing_maps = [#[[$ID]], #[[$COLUMN]]], iterator_types = ["reduction", "parallel"]}
func.func @column_sum(%x: tensor<8x4xf64>) -> tensor<4xf64> {
  %zero = arith.constant 0.0 : f64
  %s = tensor.empty() : tensor<4xf64>
  %init = linalg.fill ins(%zero : f64) outs(%s : tensor<4xf64>) -> tensor<4xf64>
  %sum = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1, d0)>, affine_map<(d0, d1) -> (d0)>],
                         iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<8x4xf64>) outs(%init : tensor<4xf64>) {
  ^bb0(%a: f64, %o: f64):
    %0 = arith.addf %o, %a : f64
    linalg.yield %0 : f64
  } -> tensor<4xf64>
  return %sum : tensor<4xf64>
}

// -----

// Accumulators of several operations have initial values of their own.
// CHECK-LABEL: func.func @separate_accumulators
// CHECK-COUNT-2: linalg.fill
func.func @separate_accumulators(%x: tensor<8x4xf64>, %y: tensor<8x4xf64>) -> (tensor<8xf64>, tensor<8xf64>) {
  %zero = arith.constant 0.0 : f64
  %s = tensor.empty() : tensor<8xf64>
  %init = linalg.fill ins(%zero : f64) outs(%s : tensor<8xf64>) -> tensor<8xf64>
  %a = linalg.reduce { arith.addf } ins(%x : tensor<8x4xf64>) outs(%init : tensor<8xf64>) dimensions = [1]
  %b = linalg.reduce { arith.addf } ins(%y : tensor<8x4xf64>) outs(%init : tensor<8xf64>) dimensions = [1]
  return %a, %b : tensor<8xf64>, tensor<8xf64>
}

// -----

// Loops of one iteration do not keep operations apart.
// CHECK-LABEL: func.func @unit_loops
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel"]
// CHECK: math.exp
// CHECK: math.sin
// CHECK-NOT: linalg.generic
func.func @unit_loops(%x: tensor<8xf64>) -> tensor<8xf64> {
  %v = tensor.empty() : tensor<8xf64>
  %w = tensor.empty() : tensor<8x1xf64>
  %exp = linalg.exp ins(%x : tensor<8xf64>) outs(%v : tensor<8xf64>) -> tensor<8xf64>
  %a = tensor.expand_shape %exp [[0, 1]] output_shape [8, 1] : tensor<8xf64> into tensor<8x1xf64>
  %sin = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
                         iterator_types = ["parallel", "parallel"]}
      ins(%a : tensor<8x1xf64>) outs(%w : tensor<8x1xf64>) {
  ^bb0(%i: f64, %o: f64):
    %0 = math.sin %i : f64
    linalg.yield %0 : f64
  } -> tensor<8x1xf64>
  %b = tensor.collapse_shape %sin [[0, 1]] : tensor<8x1xf64> into tensor<8xf64>
  return %b : tensor<8xf64>
}

// -----

// Cheap work with several readers is not repeated when all of them can run in
// its loop, one after the other: each step here reads what the last one did.
// CHECK-LABEL: func.func @recurrence
// CHECK: linalg.generic
// CHECK-COUNT-3: arith.addf
// CHECK-NOT: arith.addf
// CHECK: linalg.yield
// CHECK-NOT: linalg.generic
func.func @recurrence(%x: tensor<8xf64>, %v: tensor<8xf64>) -> tensor<8xf64> {
  %init = tensor.empty() : tensor<8xf64>
  %x1 = linalg.add ins(%x, %v : tensor<8xf64>, tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %a = linalg.exp ins(%x1 : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %x2 = linalg.add ins(%x1, %a : tensor<8xf64>, tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %b = linalg.exp ins(%x2 : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %x3 = linalg.add ins(%x2, %b : tensor<8xf64>, tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  return %x3 : tensor<8xf64>
}

// -----

// Bodies stop growing where registers end: 20 calls make two loops.
// CHECK-LABEL: func.func @long_chain
// CHECK-COUNT-2: linalg.generic
// CHECK-NOT: linalg.generic
func.func @long_chain(%x: tensor<8xf64>) -> tensor<8xf64> {
  %init = tensor.empty() : tensor<8xf64>
  %0 = linalg.tanh ins(%x : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %1 = linalg.tanh ins(%0 : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %2 = linalg.tanh ins(%1 : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %3 = linalg.tanh ins(%2 : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %4 = linalg.tanh ins(%3 : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %5 = linalg.tanh ins(%4 : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %6 = linalg.tanh ins(%5 : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %7 = linalg.tanh ins(%6 : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %8 = linalg.tanh ins(%7 : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %9 = linalg.tanh ins(%8 : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %10 = linalg.tanh ins(%9 : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %11 = linalg.tanh ins(%10 : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %12 = linalg.tanh ins(%11 : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %13 = linalg.tanh ins(%12 : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %14 = linalg.tanh ins(%13 : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %15 = linalg.tanh ins(%14 : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %16 = linalg.tanh ins(%15 : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %17 = linalg.tanh ins(%16 : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %18 = linalg.tanh ins(%17 : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %19 = linalg.tanh ins(%18 : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  return %19 : tensor<8xf64>
}

// -----

// A reshape between a producer and one of its readers keeps them apart.
// CHECK-LABEL: func.func @reshape_between
// CHECK: linalg.generic
// CHECK: tensor.expand_shape
// CHECK: linalg.generic
// CHECK: tensor.collapse_shape
// CHECK: linalg.generic
func.func @reshape_between(%x: tensor<8xf64>) -> tensor<8xf64> {
  %init = tensor.empty() : tensor<8xf64>
  %t0 = tensor.empty() : tensor<4x2xf64>
  %p = linalg.add ins(%x, %x : tensor<8xf64>, tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %e = linalg.exp ins(%p : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %s = tensor.expand_shape %e [[0, 1]] output_shape [2, 4] : tensor<8xf64> into tensor<2x4xf64>
  %t = linalg.transpose ins(%s : tensor<2x4xf64>) outs(%t0 : tensor<4x2xf64>) permutation = [1, 0]
  %c = tensor.collapse_shape %t [[0, 1]] : tensor<4x2xf64> into tensor<8xf64>
  %y = linalg.mul ins(%p, %c : tensor<8xf64>, tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  return %y : tensor<8xf64>
}

// -----

// Results of insertions have destinations of their own.
// CHECK-LABEL: func.func @separate_insertions
// CHECK: %[[A:.*]] = tensor.insert_slice %{{.*}} into %[[E:.*]][0] [2] [1]
// CHECK-NOT: into %[[E]]
// CHECK: %[[B:.*]] = tensor.insert_slice %{{.*}} into %{{.*}}[2] [2] [1]
// CHECK: return %[[A]], %[[B]]
func.func @separate_insertions(%x: tensor<2xf64>) -> (tensor<4xf64>, tensor<4xf64>) {
  %empty = tensor.empty() : tensor<4xf64>
  %a = tensor.insert_slice %x into %empty[0] [2] [1] : tensor<2xf64> into tensor<4xf64>
  %b = tensor.insert_slice %x into %empty[2] [2] [1] : tensor<2xf64> into tensor<4xf64>
  return %a, %b : tensor<4xf64>, tensor<4xf64>
}

// -----

// A correlation reads each element many times: nothing is computed inside it.
// CHECK-LABEL: func.func @correlation_stays
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel"]
// CHECK: arith.addf
// CHECK: linalg.generic {{.*}} iterator_types = ["reduction", "parallel"]
// CHECK-NEXT: ^bb0
// CHECK-NEXT: arith.mulf
// CHECK-NEXT: arith.addf
// CHECK-NEXT: linalg.yield
func.func @correlation_stays(%x: tensor<99xf64>, %w: tensor<3xf64>) -> tensor<97xf64> {
  %zero = arith.constant 0.0 : f64
  %like = tensor.empty() : tensor<99xf64>
  %twice = linalg.add ins(%x, %x : tensor<99xf64>, tensor<99xf64>) outs(%like : tensor<99xf64>) -> tensor<99xf64>
  %empty = tensor.empty() : tensor<97xf64>
  %init = linalg.fill ins(%zero : f64) outs(%empty : tensor<97xf64>) -> tensor<97xf64>
  %y = linalg.generic {
    indexing_maps = [affine_map<(d0, d1) -> (d0 + d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d1)>],
    iterator_types = ["reduction", "parallel"]
  } ins(%twice, %w : tensor<99xf64>, tensor<3xf64>) outs(%init : tensor<97xf64>) {
  ^bb0(%a: f64, %b: f64, %sum: f64):
    %p = arith.mulf %a, %b : f64
    %s = arith.addf %sum, %p : f64
    linalg.yield %s : f64
  } -> tensor<97xf64>
  return %y : tensor<97xf64>
}

// -----

// Dimensions of one element are dropped by what reads and writes a slice, but
// not if it has strides.
// CHECK-LABEL: func @rows
func.func @rows(%x: tensor<4x5xf64>, %y: tensor<8x5xf64>) -> (tensor<4x5xf64>, tensor<5xf64>) {
  // CHECK: %[[ROW:.*]] = tensor.extract_slice %{{.*}}[1, 0] [1, 5] [1, 1] : tensor<4x5xf64> to tensor<5xf64>
  // CHECK: %[[D:.*]] = linalg.generic {{.*}} ins(%[[ROW]]
  // CHECK: tensor.insert_slice %[[D]] into %{{.*}}[2, 0] [1, 5] [1, 1] : tensor<5xf64> into tensor<4x5xf64>
  // CHECK: tensor.extract_slice %{{.*}}[0, 0] [5, 1] [1, 3]
  // CHECK: tensor.collapse_shape
  %row = tensor.extract_slice %x[1, 0] [1, 5] [1, 1] : tensor<4x5xf64> to tensor<1x5xf64>
  %r = tensor.collapse_shape %row [[0, 1]] : tensor<1x5xf64> into tensor<5xf64>
  %e = tensor.empty() : tensor<5xf64>
  %d = linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>], iterator_types = ["parallel"]} ins(%r : tensor<5xf64>) outs(%e : tensor<5xf64>) {
  ^bb0(%a: f64, %o: f64):
    %s = arith.addf %a, %a : f64
    linalg.yield %s : f64
  } -> tensor<5xf64>
  %u = tensor.expand_shape %d [[0, 1]] output_shape [1, 5] : tensor<5xf64> into tensor<1x5xf64>
  %w = tensor.insert_slice %u into %x[2, 0] [1, 5] [1, 1] : tensor<1x5xf64> into tensor<4x5xf64>
  %column = tensor.extract_slice %y[0, 0] [5, 1] [1, 3] : tensor<8x5xf64> to tensor<5x1xf64>
  %c = tensor.collapse_shape %column [[0, 1]] : tensor<5x1xf64> into tensor<5xf64>
  return %w, %c : tensor<4x5xf64>, tensor<5xf64>
}

// -----

// What needs nothing else runs where the earlier operation stands, with its
// initial value: nothing in between moves, and waits for it.
// CHECK-LABEL: func.func @earlier_place
// CHECK-SAME: %[[X:[^:]+]]: tensor<8xf64>
// CHECK: %[[ZEROS:.*]] = linalg.fill
// CHECK: %[[PAIR:.*]]:2 = linalg.generic {{.*}} ins(%[[X]]{{.*}} outs(%{{.*}}, %[[ZEROS]]
// CHECK: math.exp
// CHECK: linalg.matmul
// CHECK-NOT: linalg.generic
// CHECK: return %{{.*}}, %[[PAIR]]#1
func.func @earlier_place(%x: tensor<8xf64>, %m: tensor<8x8xf64>) -> (tensor<8x8xf64>, tensor<f64>) {
  %init = tensor.empty() : tensor<8xf64>
  %exp = linalg.exp ins(%x : tensor<8xf64>) outs(%init : tensor<8xf64>) -> tensor<8xf64>
  %column = tensor.expand_shape %exp [[0, 1]] output_shape [8, 1] : tensor<8xf64> into tensor<8x1xf64>
  %row = tensor.expand_shape %exp [[0, 1]] output_shape [1, 8] : tensor<8xf64> into tensor<1x8xf64>
  %p = linalg.matmul ins(%column, %row : tensor<8x1xf64>, tensor<1x8xf64>) outs(%m : tensor<8x8xf64>) -> tensor<8x8xf64>
  %zero = arith.constant 0.0 : f64
  %empty = tensor.empty() : tensor<f64>
  %fill = linalg.fill ins(%zero : f64) outs(%empty : tensor<f64>) -> tensor<f64>
  %sum = linalg.reduce {arith.addf} ins(%x : tensor<8xf64>) outs(%fill : tensor<f64>) dimensions = [0]
  return %p, %sum : tensor<8x8xf64>, tensor<f64>
}

// -----

// A result that nobody else needs goes, unless it tells how long a loop is.
// CHECK-LABEL: func.func @extent
// CHECK: linalg.generic
// CHECK-SAME: outs(%{{.*}}, %{{.*}} : tensor<f64>, tensor<8xf64>)
// CHECK-LABEL: func.func @no_extent
// CHECK: linalg.generic
// CHECK-SAME: outs(%{{[^,]*}} : tensor<f64>)
#map = affine_map<(d0) -> (d0)>
#sum = affine_map<(d0) -> ()>
func.func @extent(%x: tensor<f64>) -> tensor<f64> {
  %empty = tensor.empty() : tensor<8xf64>
  %copies = linalg.generic {indexing_maps = [#sum, #map], iterator_types = ["parallel"]}
      ins(%x : tensor<f64>) outs(%empty : tensor<8xf64>) {
  ^bb0(%in: f64, %out: f64):
    %i = linalg.index 0 : index
    %n = arith.index_cast %i : index to i64
    %f = arith.sitofp %n : i64 to f64
    %e = math.exp %f : f64
    %y = arith.mulf %in, %e : f64
    linalg.yield %y : f64
  } -> tensor<8xf64>
  %zero = arith.constant 0.0 : f64
  %scalar = tensor.empty() : tensor<f64>
  %fill = linalg.fill ins(%zero : f64) outs(%scalar : tensor<f64>) -> tensor<f64>
  %result = linalg.generic {indexing_maps = [#map, #sum], iterator_types = ["reduction"]}
      ins(%copies : tensor<8xf64>) outs(%fill : tensor<f64>) {
  ^bb0(%in: f64, %out: f64):
    %y = arith.addf %in, %out : f64
    linalg.yield %y : f64
  } -> tensor<f64>
  return %result : tensor<f64>
}
func.func @no_extent(%x: tensor<8xf64>) -> tensor<f64> {
  %empty = tensor.empty() : tensor<8xf64>
  %exp = linalg.exp ins(%x : tensor<8xf64>) outs(%empty : tensor<8xf64>) -> tensor<8xf64>
  %zero = arith.constant 0.0 : f64
  %scalar = tensor.empty() : tensor<f64>
  %fill = linalg.fill ins(%zero : f64) outs(%scalar : tensor<f64>) -> tensor<f64>
  %result = linalg.generic {indexing_maps = [#map, #sum], iterator_types = ["reduction"]}
      ins(%exp : tensor<8xf64>) outs(%fill : tensor<f64>) {
  ^bb0(%in: f64, %out: f64):
    %y = arith.addf %in, %out : f64
    linalg.yield %y : f64
  } -> tensor<f64>
  return %result : tensor<f64>
}
