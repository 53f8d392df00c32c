// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Kernels for the emulator of CUDA's driver, as the compiler makes them: each
// access is announced. Some do what a kernel must not do.

#include "gradopt_emulator.h"

static int64_t thread(void) { return gradopt_emulated_thread(); }
static int64_t threads(void) { return gradopt_emulated_num_threads(); }
static int64_t position(void) {
  return gradopt_emulated_block() * threads() + thread();
}

static double load(const double *from) {
  gradopt_emulated_load(from, sizeof(double));
  return *from;
}

static void store(double *to, double value) {
  gradopt_emulated_store(to, sizeof(double));
  *to = value;
}

static double *array(int64_t address) { return (double *)address; }

// y[i] = x[i] + 1, for n elements
void add_one(const int64_t *p) {
  for (int64_t i = position(); i < p[2];
       i += threads() * gradopt_emulated_num_blocks())
    store(array(p[1]) + i, load(array(p[0]) + i) + 1);
}

// y[0] = the sum of x, by one block: each thread has a number in shared memory
void block_sum(const int64_t *p) {
  double *shared = gradopt_emulated_shared(threads() * sizeof(double));
  double sum = 0;
  for (int64_t i = thread(); i < p[2]; i += threads())
    sum += load(array(p[0]) + i);
  store(shared + thread(), sum);
  for (int64_t half = threads() / 2; half > 0; half /= 2) {
    gradopt_emulated_barrier();
    if (thread() < half)
      store(shared + thread(),
            load(shared + thread()) + load(shared + thread() + half));
  }
  if (thread() == 0)
    store(array(p[1]), load(shared));
}

// The same with a barrier too few.
void racing_sum(const int64_t *p) {
  double *shared = gradopt_emulated_shared(threads() * sizeof(double));
  store(shared + thread(), load(array(p[0]) + thread()));
  if (thread() == 0)
    store(array(p[1]), load(shared) + load(shared + 1));
}

// y[thread] = what a shuffle of x[thread] gives
void shuffle(const int64_t *p) {
  int64_t *x = (int64_t *)p[0], *y = (int64_t *)p[1];
  int64_t i = position();
  gradopt_emulated_load(x + i, sizeof(int64_t));
  int64_t value = gradopt_emulated_shuffle(x[i], (int32_t)p[2], (int32_t)p[3]);
  gradopt_emulated_store(y + i, sizeof(int64_t));
  y[i] = value;
}

// y[2 * thread] and the one behind it: what the thread gets of a product, added
// to what is there, for which it brings a[thread] and b[thread].
void multiply(const int64_t *p) {
  const double *a = array(p[0]), *b = array(p[1]);
  double *y = array(p[2]) + 2 * position();
  struct gradopt_emulated_pair sums = gradopt_emulated_multiply(
      load(a + position()), load(b + position()), load(y), load(y + 1));
  store(y, sums.first);
  store(y + 1, sums.second);
}

// The same of narrow floats, for which each thread brings 4 registers of a, 2
// of b and 4 of y; p[3] tells which they are.
void multiply_narrow(const int64_t *p) {
  const int64_t *a = (const int64_t *)p[0] + 2 * position();
  const int64_t *b = (const int64_t *)p[1] + position();
  int64_t *y = (int64_t *)p[2] + 2 * position();
  struct gradopt_emulated_words sums = gradopt_emulated_multiply_narrow(
      a[0], a[1], b[0], y[0], y[1], (int32_t)p[3]);
  y[0] = sums.first;
  y[1] = sums.second;
}

// A product for which the first p[0] threads bring something; others shuffle.
void some_multiply(const int64_t *p) {
  if (thread() < p[0])
    gradopt_emulated_multiply(0, 0, 0, 0);
  else if (p[1])
    gradopt_emulated_shuffle(0, 1, 0);
}

// A barrier, or a shuffle, that only the first p[0] threads reach.
void some_wait(const int64_t *p) {
  if (thread() < p[0])
    gradopt_emulated_barrier();
}

void some_shuffle(const int64_t *p) {
  if (thread() < p[0])
    gradopt_emulated_shuffle(0, 1, 0);
  else if (p[1])
    gradopt_emulated_barrier();
}

// One access, of p[1] bytes at p[0], by the thread at position p[3]: a store if
// p[2] is not 0.
void access(const int64_t *p) {
  if (position() != p[3])
    return;
  if (p[2])
    gradopt_emulated_store((void *)p[0], p[1]);
  else
    gradopt_emulated_load((void *)p[0], p[1]);
}

// Each thread accesses p[1] bytes at p[0] + p[2] * position, stores if bit 0 of
// p[3] is set, else loads, then, if bit 1 is, waits at a barrier; and then once
// more, as bits 2 says, at the place of the next thread of the block.
void access_twice(const int64_t *p) {
  char *first = (char *)p[0] + p[2] * position();
  char *second = first + p[2] * ((thread() + 1) % threads() - thread());
  if (p[3] & 1)
    gradopt_emulated_store(first, p[1]);
  else
    gradopt_emulated_load(first, p[1]);
  if (p[3] & 2)
    gradopt_emulated_barrier();
  if (p[3] & 4)
    gradopt_emulated_store(second, p[1]);
  else
    gradopt_emulated_load(second, p[1]);
}

// Shared memory as it is at first: y[block] = its first number, then overwrites
// it
void first_of_shared(const int64_t *p) {
  int64_t *shared = gradopt_emulated_shared(64), *y = (int64_t *)p[0];
  gradopt_emulated_load(shared, 8);
  gradopt_emulated_store(y + gradopt_emulated_block(), 8);
  y[gradopt_emulated_block()] = *shared;
  gradopt_emulated_store(shared, 8);
  *shared = 1;
}

void unequal_shared(const int64_t *p) {
  (void)p;
  gradopt_emulated_shared(8 + thread());
}

void shared_bytes(const int64_t *p) { gradopt_emulated_shared(p[0]); }

// Barriers in a loop, on a deep stack.
static int64_t deep(int64_t depth) {
  volatile char frame[512];
  frame[depth % 512] = 1;
  if (depth == 0)
    gradopt_emulated_barrier();
  else
    return deep(depth - 1) + frame[depth % 512];
  return 0;
}

void many_barriers(const int64_t *p) {
  for (int64_t i = 0; i < p[0]; ++i)
    deep(p[1]);
}

// Writes where it does not say it writes.
void silent_store(const int64_t *p) { *(char *)p[0] = 0; }

// y[i] = a * x[i] + y[i], where a is a number in a word
void add_multiple(const int64_t *p) {
  double a;
  __builtin_memcpy(&a, &p[3], sizeof(a));
  int64_t i = position();
  if (i < p[2])
    store(array(p[1]) + i, a * load(array(p[0]) + i) + load(array(p[1]) + i));
}

// c = op(a) op(b) + beta c, for so many of each, with the operands of a command
void product(const int64_t *p) {
  double beta;
  __builtin_memcpy(&beta, &p[11], sizeof(beta));
  for (int64_t at = position(); at < p[2] * p[3] * p[12]; at += threads()) {
    int64_t number = at / (p[2] * p[3]);
    int64_t i = at / p[3] % p[2], j = at % p[3];
    double *a = array(p[5]) + number * p[13], *b = array(p[7]) + number * p[14];
    double *c = array(p[9]) + number * p[15] + i * p[10] + j, sum = 0;
    for (int64_t l = 0; l < p[4]; ++l)
      sum += load(a + (p[0] ? l * p[6] + i : i * p[6] + l)) *
             load(b + (p[1] ? j * p[8] + l : l * p[8] + j));
    store(c, beta == 0 ? sum : sum + beta * load(c));
  }
}

// *y = x, a number of so many bytes
void set_number(const int64_t *p) {
  gradopt_emulated_store((void *)p[0], p[2]);
  __builtin_memcpy((void *)p[0], &p[1], p[2]);
}

void nothing(const int64_t *p) { (void)p; }
