/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
   Trains a network on handwritten digits with the functions of digits.bundle,
   which 16_deployment.py makes. */
#include "digits.h"

#include <stdio.h>
#include <stdlib.h>

enum { PIXELS = 64, DIGITS = 10 };

/* All of a file, and how many elements it has. */
static void *read_file(const char *name, size_t element, size_t *count) {
  FILE *file = fopen(name, "rb");
  if (!file || fseek(file, 0, SEEK_END) != 0) {
    perror(name);
    exit(1);
  }
  size_t bytes = (size_t)ftell(file);
  rewind(file);
  void *data = malloc(bytes);
  if (!data || fread(data, 1, bytes, file) != bytes) {
    perror(name);
    exit(1);
  }
  fclose(file);
  *count = bytes / element;
  return data;
}

static void check(gradopt_status status) {
  if (status == GRADOPT_OK)
    return;
  fprintf(stderr, "%s\n", gradopt_last_error());
  exit(1);
}

int main(int argc, char **argv) {
  int epochs = argc > 1 ? atoi(argv[1]) : 20;
  size_t count, unused;
  double *images = read_file("images.bin", sizeof(double), &unused);
  double *one_hot = read_file("one_hot.bin", sizeof(double), &count);
  double *held_out = read_file("held_out.bin", sizeof(double), &unused);
  double *weights = read_file("weights.bin", sizeof(double), &unused);
  size_t batches = count / DIGITS / BATCH;
  int64_t *labels = read_file("labels.bin", sizeof(int64_t), &count);

  gradopt_bundle *bundle;
  check(gradopt_bundle_open("digits.bundle", &bundle));

  double *W0 = weights, *W1 = W0 + PIXELS * HIDDEN;
  double *b0 = W1 + HIDDEN * DIGITS, *b1 = b0 + HIDDEN;
  static double v[PIXELS * HIDDEN + HIDDEN * DIGITS + HIDDEN + DIGITS];
  double *vW0 = v, *vW1 = vW0 + PIXELS * HIDDEN;
  double *vb0 = vW1 + HIDDEN * DIGITS, *vb1 = vb0 + HIDDEN;

  for (int epoch = 0; epoch < epochs; ++epoch) {
    double sum = 0, loss;
    for (size_t i = 0; i < batches; ++i) {
      check(step(bundle, W0, W1, b0, b1, vW0, vW1, vb0, vb1,
                 images + i * BATCH * PIXELS, one_hot + i * BATCH * DIGITS,
                 &loss));
      sum += loss;
    }
    printf("epoch %d: loss %.4f\n", epoch + 1, sum / (double)batches);
  }

  int64_t *seen = malloc(count * sizeof(int64_t));
  check(scores(bundle, W0, W1, b0, b1, held_out, seen));
  size_t right = 0;
  for (size_t i = 0; i < count; ++i)
    right += seen[i] == labels[i];
  printf("held-out images: %.1f%%\n", 100.0 * (double)right / (double)count);
  gradopt_bundle_close(bundle);
  return 0;
}
