// RUN: gradopt %s --grad-to-bundle="output=%t.bundle levels=x86-64-v2 header=%t.h" -o /dev/null
// RUN: FileCheck %s < %t.h
// RUN: gradopt %s --grad-to-bundle="output=%t.bundle functions=most chips=sm_80 header=%t.cuda.h" -o /dev/null
// RUN: FileCheck %s --check-prefix=CUDA < %t.cuda.h
// RUN: gradopt %s --grad-to-bundle="output=%t.bundle functions=any chips=sm_80 header=%t.any.h" -o /dev/null
// RUN: FileCheck %s --check-prefix=ANY < %t.any.h

// Sizes that are others in each call are numbers of the C functions. Results
// have memory for the largest one, or for the room of the call.

// CHECK: static inline gradopt_status most(
// CHECK-NEXT: gradopt_bundle *bundle,
// CHECK-NEXT: const double *x /* x, shape (n, 3) */,
// CHECK-NEXT: int64_t n,
// CHECK-NEXT: double *result0 /* result0, shape (40, 3), the first result1 along dimension 0 */,
// CHECK-NEXT: int64_t *result1 /* result1, shape () */) {
// CHECK-NEXT: void *arguments[] = {(void *)x, (void *)&n};
// CHECK-NOT: most_room
// CHECK: static inline gradopt_status any(
// CHECK-NEXT: gradopt_bundle *bundle,
// CHECK-NEXT: const double *arg0 /* arg0, shape (arg1) */,
// CHECK-NEXT: int64_t arg1,
// CHECK-NEXT: double *result0 /* result0, shape (room), the first result1 along dimension 0 */,
// CHECK-NEXT: int64_t *result1 /* result1, shape () */) {
// CHECK: static inline gradopt_status any_room(
// CHECK-NEXT: gradopt_bundle *bundle, int64_t arg1, int64_t *room) {
// CHECK-NEXT: void *arguments[] = {0, &arg1};
// CHECK-NEXT: return gradopt_program_room(gradopt_bundle_program(bundle, 1), arguments,
// CHECK-NEXT: room);

// On a GPU, too, but those of results are where results are.
// CUDA: static inline gradopt_status most_cuda(
// CUDA-NEXT: gradopt_bundle *bundle,
// CUDA-NEXT: const double *x /* x, shape (n, 3) */,
// CUDA-NEXT: int64_t n,
// CUDA-NEXT: double *result0 /* result0, shape (40, 3), the first result1 along dimension 0 */,
// CUDA-NEXT: int64_t *result1 /* result1, shape () */,
// CUDA-NEXT: int32_t device, void *stream) {
// CUDA-NEXT: void *arguments[] = {(void *)x, (void *)&n};
func.func @most(%x: tensor<40x3xf64> loc("x"), %n: tensor<i64> loc("the size n")) -> (tensor<40x3xf64>, tensor<i64>)
    attributes {grad.argument_sizes = array<i64: 0, 0, 1>, grad.result_sizes = array<i64: 0, 0, 1>} {
  %y = grad.sin %x : tensor<40x3xf64>
  return %y, %n : tensor<40x3xf64>, tensor<i64>
}

// ANY: static inline gradopt_status any_room(
// ANY: static inline gradopt_status any_cuda(
// ANY-NEXT: gradopt_bundle *bundle,
// ANY-NEXT: const double *arg0 /* arg0, shape (arg1) */,
// ANY-NEXT: int64_t arg1,
// ANY-NEXT: double *result0 /* result0, shape (room), the first result1 along dimension 0 */,
// ANY-NEXT: int64_t *result1 /* result1, shape () */,
// ANY-NEXT: int32_t device, void *stream) {
func.func @any(%x: tensor<1061851424xf64>, %n: tensor<i64>) -> (tensor<1061851424xf64>, tensor<i64>)
    attributes {grad.argument_sizes = array<i64: 0, 0, 1>, grad.result_sizes = array<i64: 0, 0, 1>,
                grad.open_sizes = array<i64: 1>, grad.least_room = 0} {
  %y = grad.sin %x : tensor<1061851424xf64>
  return %y, %n : tensor<1061851424xf64>, tensor<i64>
}
