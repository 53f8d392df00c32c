/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Functions for gradopt.custom_call. */
#include "gradopt_runtime.h"

#include <math.h>

static int64_t size(const gradopt_buffer *buffer) {
  int64_t count = 1;
  for (int32_t d = 0; d < buffer->rank; ++d)
    count *= buffer->shape[d];
  return count;
}

#define ELEMENTWISE(NAME, FUNCTION)                                            \
  int32_t NAME(const gradopt_buffer *in, const gradopt_buffer *out) {          \
    int64_t n = size(in);                                                      \
    if (in->dtype != out->dtype || n != size(out))                             \
      return 2;                                                                \
    for (int64_t i = 0; i < n; ++i) {                                          \
      if (in->dtype == GRADOPT_F64)                                            \
        ((double *)out->data)[i] = FUNCTION(((const double *)in->data)[i]);    \
      else if (in->dtype == GRADOPT_F32)                                       \
        ((float *)out->data)[i] =                                              \
            (float)FUNCTION(((const float *)in->data)[i]);                     \
      else                                                                     \
        return 3;                                                              \
    }                                                                          \
    return 0;                                                                  \
  }

ELEMENTWISE(sine, sin)
ELEMENTWISE(cosine, cos)

/* x * scale and the sum of x; scale has no dimensions, or those before the last
   of x. */
int32_t scale_and_sum(const gradopt_buffer *in, const gradopt_buffer *out) {
  const double *x = in[0].data, *scale = in[1].data;
  double *scaled = out[0].data, *sum = out[1].data;
  int64_t row = in[0].shape[in[0].rank - 1], rows = row ? size(in) / row : 0;
  int64_t step = size(&in[1]) == 1 ? 0 : 1;
  for (int64_t i = 0; i < rows; ++i) {
    sum[i] = 0;
    for (int64_t j = 0; j < row; ++j) {
      scaled[i * row + j] = x[i * row + j] * scale[i * step];
      sum[i] += x[i * row + j];
    }
  }
  return 0;
}

/* The rank, the dtype and the extents of the input. */
int32_t describe(const gradopt_buffer *in, const gradopt_buffer *out) {
  int64_t *words = out->data;
  words[0] = in->rank;
  words[1] = in->dtype;
  for (int32_t d = 0; d < in->rank; ++d)
    words[2 + d] = in->shape[d];
  return 0;
}

int32_t fail_above_one(const gradopt_buffer *in, const gradopt_buffer *out) {
  double x = *(const double *)in->data;
  *(double *)out->data = x + 0.25;
  return x > 1 ? 42 : 0;
}
