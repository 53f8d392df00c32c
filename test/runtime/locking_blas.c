/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* A BLAS that is slow, and holds a lock all the while. */
#include <pthread.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
volatile int products = 0;

static void multiply(void) {
  pthread_mutex_lock(&lock);
  ++products;
  usleep(100000);
  pthread_mutex_unlock(&lock);
}

void cblas_dgemm(void) { multiply(); }
void cblas_sgemm(void) { multiply(); }
void cblas_dgemv(void) { multiply(); }
void cblas_sgemv(void) { multiply(); }
