// RUN: not gradopt %s --grad-plan-memory=alignment=0 2>&1 | FileCheck %s
// RUN: not gradopt %s --grad-plan-memory=alignment=24 2>&1 | FileCheck %s
// RUN: not gradopt %s --grad-plan-memory=alignment=-9223372036854775808 2>&1 | FileCheck %s

// CHECK: expected option 'alignment' to be a power of two, but got
func.func @main() {
  return
}
