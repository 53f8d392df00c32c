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
  // CHECK: {grad.parallel}
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
  // CHECK: {grad.parallel}
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
