// RUN: gradopt --help | FileCheck %s
// RUN: gradopt --show-dialects | FileCheck --check-prefix=DIALECTS %s

// CHECK: --grad-to-bundle
// CHECK: --grad-differentiate
// CHECK: --grad-to-cpu
// DIALECTS: grad
