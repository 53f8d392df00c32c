//===- count_allocations.c - Counts what a process allocates --------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Preloaded by test_steady_state.py. Replaces glibc's allocation functions by
// ones that count, those called from a BLAS library apart.
//
//===----------------------------------------------------------------------===//

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

int counting;
long allocations, allocations_in_blas, frees;

static void count(const void *caller) {
  if (!__atomic_load_n(&counting, __ATOMIC_RELAXED))
    return;
  Dl_info info;
  int in_blas =
      dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "blas");
  __atomic_add_fetch(in_blas ? &allocations_in_blas : &allocations, 1,
                     __ATOMIC_RELAXED);
}

#define COUNT() count(__builtin_return_address(0))

void *malloc(size_t size) {
  COUNT();
  return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
  COUNT();
  return __libc_calloc(number, size);
}

void *realloc(void *pointer, size_t size) {
  COUNT();
  return __libc_realloc(pointer, size);
}

void *memalign(size_t alignment, size_t size) {
  COUNT();
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  COUNT();
  return __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
  COUNT();
  *result = __libc_memalign(alignment, size);
  return *result ? 0 : ENOMEM;
}

void free(void *pointer) {
  if (pointer && __atomic_load_n(&counting, __ATOMIC_RELAXED))
    __atomic_add_fetch(&frees, 1, __ATOMIC_RELAXED);
  __libc_free(pointer);
}
