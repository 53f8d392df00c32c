// RUN: gradopt %s --grad-plan-memory=remarks -split-input-file -verify-diagnostics

// The plan can be read from remarks.
func.func @main(%x: memref<100xf64>, %r: memref<10xf64>) {
  %cst = arith.constant 1.0 : f64
  // expected-remark@+1 {{arena offset 0, size 800 bytes, live [2, 5]}}
  %a = memref.alloc() : memref<100xf64>
  linalg.fill ins(%cst : f64) outs(%a : memref<100xf64>)
  // expected-remark@+1 {{arena offset 832, size 80 bytes, live [4, 6]}}
  %b = memref.alloc() : memref<10xf64>
  linalg.fill ins(%cst : f64) outs(%b : memref<10xf64>)
  linalg.add ins(%a, %x : memref<100xf64>, memref<100xf64>) outs(%a : memref<100xf64>)
  linalg.add ins(%b, %r : memref<10xf64>, memref<10xf64>) outs(%r : memref<10xf64>)
  return
}

// -----

func.func @main(%n: index) {
  // expected-error@+1 {{expected a buffer of static shape without layout and memory space, but got 'memref<?xf64>'}}
  %a = memref.alloc(%n) : memref<?xf64>
  return
}

// -----

func.func private @helper() {
  // expected-error@+1 {{expected allocations in public functions only, but the function 'helper' is private: inline it first}}
  %a = memref.alloc() : memref<4xf64>
  return
}

// -----

func.func @main() -> memref<4xf64> {
  // expected-error@+1 {{expected results to be written to function arguments, but the buffer is returned}}
  %a = memref.alloc() : memref<4xf64>
  return %a : memref<4xf64>
}

// -----

func.func @main(%x: memref<4xf64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c9 = arith.constant 9 : index
  %r = scf.for %i = %c0 to %c9 step %c1 iter_args(%last = %x) -> memref<4xf64> {
    // expected-error@+1 {{expected a buffer that dies within one iteration, but it escapes from its loop}}
    %a = memref.alloc() : memref<4xf64>
    linalg.exp ins(%last : memref<4xf64>) outs(%a : memref<4xf64>)
    scf.yield %a : memref<4xf64>
  }
  linalg.exp ins(%r : memref<4xf64>) outs(%x : memref<4xf64>)
  return
}

// -----

func.func @main(%x: memref<4xf64>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.parallel (%i) = (%c0) to (%c1) step (%c1) {
    // expected-error@+1 {{expected no allocation in a parallel loop}}
    %a = memref.alloc() : memref<4xf64>
    memref.copy %a, %x : memref<4xf64> to memref<4xf64>
  }
  return
}

// -----

func.func @main(%c: i1) {
  // expected-error@+1 {{expected a function of one block, but 'main' has unstructured control flow}}
  %a = memref.alloc() : memref<4xf64>
  cf.br ^next
^next:
  return
}

// -----

// expected-error@+1 {{expected no uses of a public function, whose arena its caller would have to provide}}
func.func @main() {
  return
}
func.func @caller() {
  call @main() : () -> ()
  return
}

// -----

// 2^64 bytes are 0 in 64 bits.
func.func @main() {
  // expected-error@+1 {{expected a buffer of known size that memory can hold, but got 'memref<2305843009213693952xf64>'}}
  %a = memref.alloc() : memref<2305843009213693952xf64>
  return
}

// -----

func.func @main() {
  // expected-error@+1 {{expected a buffer of known size that memory can hold, but got 'memref<4xmemref<4xf64>>'}}
  %a = memref.alloc() : memref<4xmemref<4xf64>>
  return
}

// -----

// Indices and pairs of numbers have a size, too.
func.func @main(%x: memref<4xindex>, %y: memref<4xindex>, %z: memref<4xcomplex<f64>>) {
  // expected-remark@+1 {{size 32 bytes}}
  %a = memref.alloc() : memref<4xindex>
  linalg.transpose ins(%y : memref<4xindex>) outs(%x : memref<4xindex>) permutation = [0]
  linalg.transpose ins(%x : memref<4xindex>) outs(%a : memref<4xindex>) permutation = [0]
  linalg.transpose ins(%a : memref<4xindex>) outs(%x : memref<4xindex>) permutation = [0]
  // expected-remark@+1 {{size 64 bytes}}
  %b = memref.alloc() : memref<4xcomplex<f64>>
  memref.copy %z, %b : memref<4xcomplex<f64>> to memref<4xcomplex<f64>>
  memref.copy %z, %z : memref<4xcomplex<f64>> to memref<4xcomplex<f64>>
  memref.copy %b, %z : memref<4xcomplex<f64>> to memref<4xcomplex<f64>>
  return
}

// -----

func.func @main(%x: memref<4xf64>) {
  // expected-error@+1 {{expected an alignment of at most that of the arena, 64 bytes, but got 256}}
  %a = memref.alloc() {alignment = 256 : i64} : memref<4xf64>
  memref.copy %a, %x : memref<4xf64> to memref<4xf64>
  return
}
