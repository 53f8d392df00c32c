// RUN: gradopt %s -grad-block-loops=for-device=1 -split-input-file | FileCheck %s

#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>

// Each row is for a block of threads, and what only that needs is in shared memory.
// CHECK-LABEL: func @temporaries_are_shared
// CHECK-SAME: %[[X:.*]]: memref<1000x2000xf64>, %[[Y:.*]]: memref<1000x2000xf64>
func.func @temporaries_are_shared(%x: memref<1000x2000xf64>, %y: memref<1000x2000xf64>) {
  // CHECK-NOT: memref.alloc
  // CHECK: scf.for %[[I:[a-z0-9]+]] = %c0{{.*}} to %c1000{{.*}} step %c1
  // CHECK: %[[E:.*]] = memref.alloc() : memref<1x2000xf64, #gpu.address_space<workgroup>>
  // CHECK: linalg.exp ins(%{{.*}}) outs(%[[E]] :
  // CHECK: %[[SUM:.*]] = memref.alloc() : memref<1xf64, #gpu.address_space<workgroup>>
  // CHECK: linalg.generic {{.*}} ins(%[[E]] : {{.*}}) outs(%[[SUM]] :
  // CHECK: linalg.generic {{.*}} ins(%[[E]], %[[SUM]] :
  // CHECK: {grad.parallel, grad.row_loops = 1 : i64}
  %zero = arith.constant 0.0 : f64
  %e = memref.alloc() : memref<1000x2000xf64>
  %sum = memref.alloc() : memref<1000xf64>
  linalg.exp ins(%x : memref<1000x2000xf64>) outs(%e : memref<1000x2000xf64>)
  linalg.fill ins(%zero : f64) outs(%sum : memref<1000xf64>)
  linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%e : memref<1000x2000xf64>) outs(%sum : memref<1000xf64>) {
  ^bb0(%a: f64, %b: f64):
    %0 = arith.addf %a, %b : f64
    linalg.yield %0 : f64
  }
  linalg.generic {indexing_maps = [#ij, #i, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%e, %sum : memref<1000x2000xf64>, memref<1000xf64>) outs(%y : memref<1000x2000xf64>) {
  ^bb0(%a: f64, %s: f64, %b: f64):
    %0 = arith.divf %a, %s : f64
    linalg.yield %0 : f64
  }
  return
}

// -----

#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>

// Rows that there is no shared memory for stay in memory, and so does what others need.
// CHECK-LABEL: func @what_does_not_fit_stays
func.func @what_does_not_fit_stays(%x: memref<100x5000xf64>, %y: memref<100x5000xf64>, %z: memref<100xf64>) {
  // CHECK: %[[E:.*]] = memref.alloc() : memref<100x5000xf64>
  // CHECK: %[[SUM:.*]] = memref.alloc() : memref<100xf64>
  // CHECK: scf.for
  // CHECK-NOT: memref.alloc
  // CHECK: {grad.parallel, grad.row_loops = 1 : i64}
  %zero = arith.constant 0.0 : f64
  %e = memref.alloc() : memref<100x5000xf64>
  %sum = memref.alloc() : memref<100xf64>
  linalg.exp ins(%x : memref<100x5000xf64>) outs(%e : memref<100x5000xf64>)
  linalg.fill ins(%zero : f64) outs(%sum : memref<100xf64>)
  linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%e : memref<100x5000xf64>) outs(%sum : memref<100xf64>) {
  ^bb0(%a: f64, %b: f64):
    %0 = arith.addf %a, %b : f64
    linalg.yield %0 : f64
  }
  linalg.generic {indexing_maps = [#ij, #i, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%e, %sum : memref<100x5000xf64>, memref<100xf64>) outs(%y : memref<100x5000xf64>) {
  ^bb0(%a: f64, %s: f64, %b: f64):
    %0 = arith.divf %a, %s : f64
    linalg.yield %0 : f64
  }
  memref.copy %sum, %z : memref<100xf64> to memref<100xf64>
  return
}

// -----

#all = affine_map<(b, i, j) -> (b, i, j)>
#row = affine_map<(b, i, j) -> (b, i)>
#shift = affine_map<(b, i, j) -> (i, j)>

// The loop is for the rows of all matrices of a batch, of which a block has
// several. What comes between, for a product, stays outside with its fill, and
// an op that has nothing to do with the others, too.
// CHECK-LABEL: func @rows_of_a_batch
// CHECK-SAME: %[[X:.*]]: memref<16x512x256xf32>, %[[SHIFT:.*]]: memref<512x256xf32>, %[[W:.*]]: memref<256x8xf32>, %[[Y:[a-z0-9]*]]: memref<16x512x256xf32>
func.func @rows_of_a_batch(%x: memref<16x512x256xf32>, %shift: memref<512x256xf32>, %w: memref<256x8xf32>, %y: memref<16x512x256xf32>, %z: memref<512x8xf32>, %other: memref<16x512x256xf32>) {
  // CHECK: linalg.fill {{.*}} : memref<512x8xf32>
  // CHECK-NEXT: linalg.matmul
  // CHECK: linalg.exp
  // CHECK: scf.for %[[I:[a-z0-9]+]] = %c0{{.*}} to %c8192{{.*}} step %c16
  // CHECK: %[[ROW:.*]] = arith.remui %[[I]], %c512
  // CHECK: %[[BATCH:.*]] = arith.divui %[[I]], %c512
  // CHECK: %[[MAX:.*]] = memref.alloc() : memref<1x16xf32, #gpu.address_space<workgroup>>
  // CHECK: linalg.fill {{.*}} outs(%[[MAX]] :
  // CHECK: memref.subview %[[X]][%[[BATCH]], %[[ROW]], 0] [1, 16, 256] [1, 1, 1]
  // CHECK: linalg.generic {{.*}} outs(%[[MAX]] :
  // CHECK: memref.subview %[[SHIFT]][%[[ROW]], 0] [16, 256] [1, 1]
  // CHECK: memref.subview %[[Y]][%[[BATCH]], %[[ROW]], 0] [1, 16, 256] [1, 1, 1]
  // CHECK: {grad.parallel, grad.row_loops = 2 : i64}
  %zero = arith.constant 0.0 : f32
  %max = memref.alloc() : memref<16x512xf32>
  linalg.fill ins(%zero : f32) outs(%max : memref<16x512xf32>)
  linalg.fill ins(%zero : f32) outs(%z : memref<512x8xf32>)
  linalg.matmul ins(%shift, %w : memref<512x256xf32>, memref<256x8xf32>) outs(%z : memref<512x8xf32>)
  linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x : memref<16x512x256xf32>) outs(%max : memref<16x512xf32>) {
  ^bb0(%a: f32, %b: f32):
    %0 = arith.maximumf %a, %b : f32
    linalg.yield %0 : f32
  }
  linalg.exp ins(%other : memref<16x512x256xf32>) outs(%other : memref<16x512x256xf32>)
  linalg.generic {indexing_maps = [#all, #row, #shift, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x, %max, %shift : memref<16x512x256xf32>, memref<16x512xf32>, memref<512x256xf32>) outs(%y : memref<16x512x256xf32>) {
  ^bb0(%a: f32, %m: f32, %s: f32, %b: f32):
    %0 = arith.subf %a, %m : f32
    %1 = arith.addf %0, %s : f32
    linalg.yield %1 : f32
  }
  return
}
