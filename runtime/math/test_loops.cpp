//===- test_loops.cpp - Scalar functions over arrays ----------------------===//
//
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For the tests of this library only: applies a scalar function to whole
// arrays.
//
//===----------------------------------------------------------------------===//

#include "common.h"

#define GRADOPT_TEST_MAPS(T, suffix)                                           \
  extern "C" __attribute__((visibility("default"))) void                       \
  gradopt_test_map1_##suffix(T (*function)(T), const T *x, T *results,         \
                             unsigned long count) {                            \
    for (unsigned long i = 0; i < count; ++i)                                  \
      results[i] = function(x[i]);                                             \
  }                                                                            \
  extern "C" __attribute__((visibility("default"))) void                       \
  gradopt_test_map2_##suffix(T (*function)(T, T), const T *x, const T *y,      \
                             T *results, unsigned long count) {                \
    for (unsigned long i = 0; i < count; ++i)                                  \
      results[i] = function(x[i], y[i]);                                       \
  }

GRADOPT_TEST_MAPS(double, f64)
GRADOPT_TEST_MAPS(float, f32)

// Quotients as a GPU finds them, whose reciprocals are wrong by so many units
// in the last place.
#define GRADOPT_TEST_DIVIDE(T, suffix)                                         \
  extern "C" __attribute__((visibility("default"))) void                       \
  gradopt_test_divide_##suffix(const T *a, const T *b, const long long *wrong, \
                               T *results, unsigned long count) {              \
    using gradopt::fromBits, gradopt::toBits;                                  \
    for (unsigned long i = 0; i < count; ++i)                                  \
      results[i] = gradopt::divideFrom(                                        \
          fromBits<T>(toBits(T(1) / b[i]) + wrong[i]), a[i], b[i]);            \
  }

GRADOPT_TEST_DIVIDE(double, f64)
GRADOPT_TEST_DIVIDE(float, f32)
