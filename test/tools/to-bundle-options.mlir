// What `--grad-to-bundle` says of its options and files.

// RUN: not gradopt %s --grad-to-bundle 2>&1 | FileCheck %s --check-prefix=OUTPUT
// RUN: not gradopt %s --grad-to-bundle="output=%t.bundle levels=x86-64-v3,x86-64-v9" 2>&1 | FileCheck %s --check-prefix=LEVEL
// RUN: not gradopt %s --grad-to-bundle="output=%t.bundle functions=f,g" 2>&1 | FileCheck %s --check-prefix=FUNCTION
// RUN: not gradopt %s --grad-to-bundle="output=%t.bundle options={fast-math=1 fast=1}" 2>&1 | FileCheck %s --check-prefix=OPTION
// RUN: not gradopt %s --grad-to-bundle="output=%t.bundle options={chip=sm_90}" 2>&1 | FileCheck %s --check-prefix=CHIP
// RUN: not gradopt %s --grad-to-bundle="output=%t.bundle chips=sm_80,sm_1" 2>&1 | FileCheck %s --check-prefix=CHIPS
// RUN: not gradopt %s --symbol-privatize --grad-to-bundle="output=%t.bundle" 2>&1 | FileCheck %s --check-prefix=PUBLIC
// RUN: not ls %t.bundle
// RUN: not gradopt %s --grad-to-bundle="output=%t.none/f.bundle" 2>&1 | FileCheck %s --check-prefix=FILE
// RUN: rm -rf %t.folder && mkdir %t.folder && touch %t.folder/f.h
// RUN: not gradopt %s --grad-to-bundle="output=%t.folder" 2>&1 | FileCheck %s --check-prefix=FOLDER
// RUN: ls -A %t.folder | FileCheck %s --check-prefix=LEFT

// OUTPUT: error: expected the option output, a file
// LEVEL: error: expected a level of x86-64 CPUs, x86-64-v2, x86-64-v3, x86-64-v4, but got x86-64-v9
// FUNCTION: error: expected a function with a body called g
// OPTION: error: {{.*}}no such option fast
// CHIP: error: expected the chip as the option chips of the bundle
// CHIPS: error: expected GPUs, as in sm_80,sm_90, but got sm_80,sm_1
// PUBLIC: error: expected a public function with a body
// FILE: error: cannot write {{.*}}/f.bundle: No such file or directory
// FOLDER: error: cannot write {{.*}}.folder: {{Is a directory|File exists}}
// LEFT-NOT: {{.}}
// LEFT: f.h
// LEFT-NOT: {{.}}
func.func @f(%x: f64) -> f64 {
  return %x : f64
}
func.func private @g(%x: f64) -> f64
